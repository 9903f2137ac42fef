"""What a custom resource definition must be: its names, versions and schemas. Messages are those of kube-apiserver."""

from collections.abc import Iterator

from kubernaut.localcluster.errors import Obj, encode_go
from kubernaut.localcluster.faults import Fault, forbidden, invalid, not_supported, required
from kubernaut.localcluster.formats import label, label_1035
from kubernaut.localcluster.schema import compiled

_APPROVAL = "api-approved.kubernetes.io"
_PROTECTED = (".k8s.io", ".kubernetes.io")
_SCOPES = ("Cluster", "Namespaced")
_STRATEGIES = ("None", "Webhook")


def faults(definition: Obj) -> Iterator[Fault]:
    """Yield what is wrong with a definition."""
    spec = definition.get("spec") or {}
    yield from _names(definition, spec)
    yield from _approval(definition, spec)
    versions = spec.get("versions") or []
    if not versions:
        yield required("spec.versions", "must have at least one version")
        return
    yield from _storage(versions)
    yield from _conversion(spec.get("conversion") or {})
    shared = all(row.get("schema") == versions[0].get("schema") for row in versions)
    for index, row in enumerate(versions):
        if index == 0 or not shared:
            yield from _schema(row, "spec.validation" if shared else f"spec.versions[{index}].schema", index)


def _names(definition: Obj, spec: Obj) -> Iterator[Fault]:
    names = spec.get("names") or {}
    for field in ("plural", "kind"):
        if not names.get(field):
            yield required(f"spec.names.{field}")
    if spec.get("scope") not in _SCOPES:
        yield _unsupported("spec.scope", str(spec.get("scope") or ""))
    if not spec.get("group"):
        yield required("spec.group")
    wanted = f"{names.get('plural', '')}.{spec.get('group', '')}"
    if definition["metadata"].get("name") not in (None, "", wanted):
        yield invalid("metadata.name", definition["metadata"]["name"], 'must be spec.names.plural+"."+spec.group')
    for index, row in enumerate(spec.get("versions") or []):
        for text in label_1035(row.get("name") or ""):
            yield invalid(f"spec.versions[{index}].name", row.get("name") or "", text)
    for index, name in enumerate(names.get("shortNames") or []):
        for text in label(name):
            yield invalid(f"spec.names.shortNames[{index}]", name, text)


def _unsupported(field: str, value: str) -> Fault:
    return Fault(field, "FieldValueNotSupported", f'Unsupported value: {encode_go(value)}: supported values: "Cluster", "Namespaced"')


def _approval(definition: Obj, spec: Obj) -> Iterator[Fault]:
    group = f".{spec.get('group', '')}"
    if group.endswith(_PROTECTED) and not (definition["metadata"].get("annotations") or {}).get(_APPROVAL):
        why = f'protected groups must have approval annotation "{_APPROVAL}", see https://github.com/kubernetes/enhancements/pull/1111'
        yield required(f"metadata.annotations[{_APPROVAL}]", why)


def _storage(versions: list[Obj]) -> Iterator[Fault]:
    if sum(bool(row.get("storage")) for row in versions) != 1:
        shown = encode_go([_go(row) for row in versions])
        yield Fault(
            "spec.versions", "FieldValueInvalid", f"Invalid value: {shown}: must have exactly one version marked as storage version"
        )
    if not any(row.get("storage") for row in versions):
        yield invalid("status.storedVersions", None, "must have at least one stored version")


def _conversion(conversion: Obj) -> Iterator[Fault]:
    strategy, webhook = conversion.get("strategy") or "None", conversion.get("webhook")
    if strategy not in _STRATEGIES:
        yield not_supported("spec.conversion.strategy", strategy, _STRATEGIES)
    elif strategy == "None" and webhook:
        yield forbidden("spec.conversion.webhookClientConfig", "should not be set when strategy is not set to Webhook")
    elif strategy == "Webhook":
        if not (webhook or {}).get("clientConfig"):
            yield required("spec.conversion.webhookClientConfig", "required when strategy is set to Webhook")
        if not (webhook or {}).get("conversionReviewVersions"):
            yield required("spec.conversion.conversionReviewVersions")


def _go(row: Obj) -> Obj:
    """Return a version as Go prints it inside the server."""
    head = {"Name": row.get("name", ""), "Served": bool(row.get("served")), "Storage": bool(row.get("storage"))}
    shown = {"Deprecated": bool(row.get("deprecated")), "DeprecationWarning": row.get("deprecationWarning")}
    return {**head, **shown, **dict.fromkeys(("Schema", "Subresources", "AdditionalPrinterColumns", "SelectableFields"))}


def _schema(row: Obj, path: str, index: int) -> Iterator[Fault]:
    schema = (row.get("schema") or {}).get("openAPIV3Schema")
    if not schema:
        yield required(f"spec.versions[{index}].schema.openAPIV3Schema")
        return
    for fault in compiled(schema).definition_faults:
        yield Fault(f"{path}.openAPIV3Schema.{fault.field}".rstrip("."), fault.type, fault.message)


def change_faults(new: Obj, old: Obj) -> Iterator[Fault]:
    """Yield what may not change: a version that objects are stored in may not go."""
    named = {row["name"] for row in new["spec"].get("versions") or []}
    for index, version in enumerate((old.get("status") or {}).get("storedVersions") or []):
        if version not in named:
            told = f"{version} was previously a storage version, and must remain in spec.versions until a storage migration"
            why = f"missing from spec.versions; {told}"
            yield invalid(f"status.storedVersions[{index}]", version, why)
    if new["spec"].get("group") != old["spec"].get("group"):
        yield invalid("spec.group", new["spec"].get("group"), "field is immutable")
