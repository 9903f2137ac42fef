"""Create, replace and patch as clients ask for them: the checks of the body come first, then the registry."""

from collections.abc import Callable, Sequence

from kubernaut.localcluster import errors, strategy
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.bodies import unread_fields
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import FieldFault, Obj
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.store import Record


def create(registry: Registry, kind: ResourceKind, namespace: str, body: Obj, call: Call, noticed: Sequence[str] = ()) -> Record:
    """Create an object from a decoded body (which becomes the registry's); `noticed` are the decoder's notices."""
    _check_namespace(namespace, body)
    _screen(registry, kind, body, call, noticed)
    return registry.create(kind, namespace, body, call)


def replace(
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


def patch(
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
    _check_type(kind, meta["name"], new)
    if asked.get("uid", meta["uid"]) != meta["uid"]:
        fault = FieldFault("metadata.uid", "FieldValueInvalid", f"Invalid value: {errors.encode_go(asked['uid'])}: field is immutable")
        raise errors.invalid(kind, meta["name"], [fault] * strategy.times_told(kind, changed=True))
    new |= {"kind": kind.kind, "apiVersion": kind.api_version}


def _check_type(kind: ResourceKind, name: str, new: Obj) -> None:
    for field, wanted in (("kind", kind.kind), ("apiVersion", kind.api_version)):
        if (given := new.get(field, wanted)) != wanted:
            fault = FieldFault(field, "FieldValueInvalid", f"Invalid value: {errors.encode_go(given)}: must be {wanted}")
            error = errors.invalid_named(str(new.get("kind", kind.kind)), kind.group, name, [fault])
            error.warnings = unread_fields(kind, new)
            raise error


def _check_namespace(namespace: str, body: Obj) -> None:
    asked = body["metadata"].get("namespace") or ""
    if namespace and asked and asked != namespace:
        raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")


def check_types(registry: Registry, kind: ResourceKind, body: Obj) -> None:
    """Refuse a body of the wrong types, with ApiError 400."""
    if fault := registry.schemas.of(kind).decode_fault(body):
        raise _undecodable(kind, body, fault, patched=False)


def _screen(registry: Registry, kind: ResourceKind, body: Obj, call: Call, noticed: Sequence[str], *, patched: bool = False) -> None:
    """Refuse a body of the wrong types; drop, tell or refuse what the schema does not know."""
    schema = registry.schemas.of(kind)
    if fault := schema.decode_fault(body):
        raise _undecodable(kind, body, fault, patched=patched)
    told = [*noticed, *(f'unknown field "{path}"' for path in schema.prune(body))]
    if not told or call.validation == "Ignore":
        return
    if call.validation == "Strict":
        raise _undecodable(kind, body, f"strict decoding error: {', '.join(told)}", patched=patched)
    call.warnings.extend(told)


def _undecodable(kind: ResourceKind, body: Obj, why: str, *, patched: bool) -> errors.ApiError:
    if not patched:
        return errors.bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}')
    shown = errors.encode_go(errors.encode_go(body))
    return errors.invalid_named("", "", "", [FieldFault("patch", "FieldValueInvalid", f"Invalid value: {shown}: {why}")])
