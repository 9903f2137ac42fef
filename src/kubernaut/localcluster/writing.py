"""Create, replace and patch as clients ask for them: the checks of the body come first, then the registry."""

from collections.abc import Callable, Sequence

from kubernaut.localcluster import errors, strategy
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import FieldFault, Obj
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.store import Record


def create(registry: Registry, kind: ResourceKind, namespace: str, body: Obj, call: Call, noticed: Sequence[str] = ()) -> Record:  # noqa: PLR0913
    """Create an object from a decoded body (which becomes the registry's); `noticed` are the decoder's notices."""
    _check_namespace(namespace, body)
    _screen(registry, kind, body, call, noticed)
    return registry.create(kind, namespace, body, call)


def replace(  # noqa: PLR0913 - a write names its object, its part and its caller
    registry: Registry,
    kind: ResourceKind,
    namespace: str,
    name: str,
    body: Obj,
    call: Call,
    subresource: str = "",
    *,
    checked: bool = True,
    noticed: Sequence[str] = (),
) -> Record:
    """Replace an object by a decoded body; `checked` is off inside the process, where a missing resourceVersion means the newest."""
    _check_namespace(namespace, body)
    asked = body["metadata"].get("name") or ""
    if asked != name:
        raise errors.bad_request(f"the name of the object ({asked}) does not match the name on the URL ({name})")
    _screen(registry, kind, body, call, noticed)
    if registry.find(kind, namespace, name) is None and kind.resource == "leases.coordination.k8s.io" and not subresource:
        return registry.create(kind, namespace, body, call)
    if checked and strategy.must_name_version(kind) and body["metadata"].get("resourceVersion", "") in ("", "0"):
        registry.get(kind, namespace, name)
        raise strategy.version_required(kind, name)
    return registry.update(kind, namespace, name, lambda old: _replaced(kind, name, old, body), call, subresource)


def _replaced(kind: ResourceKind, name: str, old: Obj, body: Obj) -> Obj:
    asked, uid = body["metadata"].get("uid"), old["metadata"]["uid"]
    if asked and asked != uid:
        key = "/".join(part for part in ("/registry", kind.group, kind.plural, old["metadata"].get("namespace", ""), name) if part)
        raise errors.conflict(
            kind,
            name,
            f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, "
            f"AdditionalErrorMsg: Precondition failed: UID in precondition: {asked}, UID in object meta: {uid}",
        )
    return body


def patch(  # noqa: PLR0913 - a write names its object, its part and its caller
    registry: Registry,
    kind: ResourceKind,
    namespace: str,
    name: str,
    change: Callable[[Obj], Obj],
    call: Call,
    subresource: str = "",
    noticed: Sequence[str] = (),
) -> Record:
    """Change an object by what a patch makes of it."""

    def changed(old: Obj) -> Obj:
        meta = dict(old["metadata"])
        new = change(old)
        _check_identity(kind, meta, new)
        _screen(registry, kind, new, call, noticed, patched=True)
        return new

    return registry.update(kind, namespace, name, changed, call, subresource)


def _check_identity(kind: ResourceKind, meta: Obj, new: Obj) -> None:
    if not isinstance(new.get("metadata"), dict):
        new["metadata"] = {}
    asked = new["metadata"]
    if asked.get("name", meta["name"]) != meta["name"]:
        raise errors.bad_request(f"the name of the object ({asked['name']}) does not match the name on the URL ({meta['name']})")
    if asked.get("namespace", meta.get("namespace")) != meta.get("namespace"):
        raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")
    faults = [
        FieldFault(field, "FieldValueInvalid", f"Invalid value: {errors.encode_go(new.get(field))}: must be {wanted}")
        for field, wanted in (("kind", kind.kind), ("apiVersion", kind.api_version))
        if new.get(field, wanted) != wanted
    ]
    if asked.get("uid", meta["uid"]) != meta["uid"]:
        faults.append(FieldFault("metadata.uid", "FieldValueInvalid", f"Invalid value: {errors.encode_go(asked['uid'])}: field is immutable"))
    if faults:
        raise errors.invalid(kind, meta["name"], faults)
    new |= {"kind": kind.kind, "apiVersion": kind.api_version}


def _check_namespace(namespace: str, body: Obj) -> None:
    asked = body["metadata"].get("namespace") or ""
    if namespace and asked and asked != namespace:
        raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")


def _screen(registry: Registry, kind: ResourceKind, body: Obj, call: Call, noticed: Sequence[str], *, patched: bool = False) -> None:  # noqa: PLR0913
    unknown = [f'unknown field "{path}"' for path in registry.schemas.of(kind).prune(body)]
    told = [*noticed, *unknown]
    if not told or call.validation == "Ignore":
        return
    if call.validation != "Strict":
        call.warnings.extend(told)
        return
    text = f"strict decoding error: {', '.join(told)}"
    if not patched:
        raise errors.bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {text}')
    shown = errors.encode_go(errors.encode_go(body))
    raise errors.invalid_named("", "", "", [FieldFault("patch", "FieldValueInvalid", f"Invalid value: {shown}: {text}")])
