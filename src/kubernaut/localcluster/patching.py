"""PATCH: the four media types, what each does to an object, and how each refuses."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from kubernaut.localcluster import apply, bodies, errors, strategic, writing
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.exchange import Exchange
from kubernaut.localcluster.patch import PatchError, json_patch, merge_patch
from kubernaut.localcluster.paths import Target
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.store import Record

JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC_PATCH, APPLY_PATCH = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
_FOR_CUSTOM = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
_FOR_BUILTIN = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


@dataclass(frozen=True, slots=True)
class Patch:
    """A decoded patch: its media type and its value, a list for JSON patches."""

    media: str
    value: Any
    force: bool = False
    notices: tuple[str, ...] = ()


def read(kind: ResourceKind, body: bytes, exchange: Exchange) -> Patch:
    """Decode a patch; raise ApiError 400, 415 or 422."""
    media = exchange.content_type.split(";")[0].strip().lower()
    accepted = _FOR_CUSTOM if kind.custom else _FOR_BUILTIN
    if media not in accepted:
        raise errors.unsupported_media_type(accepted)
    force = exchange.parameters.flag("force")
    if media == APPLY_PATCH:
        return Patch(media, _applied(kind, body, exchange), force)
    if exchange.parameters.has("force"):
        raise errors.invalid_options("PatchOptions", "force", "FieldValueForbidden", "Forbidden: may not be specified for non-apply patch")
    return Patch(media, _json(media, body), notices=tuple(bodies.duplicates(body)))


def _applied(kind: ResourceKind, body: bytes, exchange: Exchange) -> Obj:
    if not exchange.parameters.text("fieldManager"):
        text = "Required value: is required for apply patch"
        raise errors.invalid_options("PatchOptions", "fieldManager", "FieldValueRequired", text)
    try:
        value = bodies.yaml_value(body) if body.lstrip()[:1] != b"{" else bodies.json_value(body)
    except ValueError as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from error
    if not isinstance(value, dict):
        raise errors.bad_request("error decoding YAML: an object is expected")
    return _checked(kind, value)


def _checked(kind: ResourceKind, value: Obj) -> Obj:
    version, named = str(value.get("apiVersion") or ""), str(value.get("kind") or "")
    group, _, number = version.rpartition("/")
    if not version or not named:
        raise errors.bad_request(f"invalid object type: {group}/{number}, Kind={named}")
    if version != kind.api_version or named != kind.kind:
        raise errors.bad_request(f"invalid object type: {group}/{number}, Kind={named}")
    meta = value.setdefault("metadata", {})
    if meta.get("managedFields") is not None:
        raise errors.bad_request("metadata.managedFields must be nil")
    return value


def _json(media: str, body: bytes) -> Any:
    wanted, described = (list, "[]handlers.jsonPatchOp") if media == JSON_PATCH else (dict, "map[string]interface {}")
    try:
        value = bodies.json_value(body)
    except bodies.NotJsonError as error:
        raise errors.bad_request(f"error decoding patch: {error}") from error
    if not isinstance(value, wanted):
        raise errors.bad_request(f"error decoding patch: json: cannot unmarshal {bodies.go_type(value)} into Go value of type {described}")
    return value


def changer(registry: Registry, kind: ResourceKind, patch: Patch) -> Callable[[Obj], Obj]:
    """Return what a JSON, merge or strategic patch does to an object."""

    def change(obj: Obj) -> Obj:
        try:
            if patch.media == JSON_PATCH:
                return json_patch(obj, patch.value)
            if patch.media == MERGE_PATCH:
                return merge_patch(obj, patch.value)
            return strategic.strategic_patch(obj, patch.value, registry.schemas.node(kind))
        except strategic.StrategicError as error:
            raise errors.internal(str(error)) from error
        except PatchError as error:
            raise errors.unprocessable() from error

    return change


def carry_out(registry: Registry, kind: ResourceKind, target: Target, patch: Patch, call: Call) -> Record:
    """Patch an object, or create it by apply; raise ApiError."""
    if patch.media == APPLY_PATCH:
        return _apply(registry, kind, target, patch, call)
    return writing.patch(
        registry, kind, target.namespace, target.name, changer(registry, kind, patch), call, target.subresource, patch.notices
    )


def _apply(registry: Registry, kind: ResourceKind, target: Target, patch: Patch, call: Call) -> Record:
    config: Obj = {**patch.value, "metadata": {**patch.value["metadata"]}}
    meta = config["metadata"]
    if meta.setdefault("name", target.name) != target.name:
        raise errors.bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({target.name})")
    if target.namespace and meta.get("namespace") not in (None, "", target.namespace):
        raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")
    applied = replace(call, applied=True)
    record = registry.find(kind, target.namespace, target.name)
    if record is None:
        return _create(registry, kind, target, _Merge(registry, kind, patch.force, call, target.subresource)(None, config), applied)
    _check_precondition(kind, record, config)
    merge = _Merge(registry, kind, patch.force, call, target.subresource)
    return registry.update(kind, target.namespace, target.name, lambda old: merge(old, config), applied, target.subresource)


def _check_precondition(kind: ResourceKind, record: Record, config: Obj) -> None:
    version = config["metadata"].pop("resourceVersion", None)
    if version and str(version) != str(record.revision):
        raise errors.conflict(kind, record.key[1])


def _create(registry: Registry, kind: ResourceKind, target: Target, obj: Obj, call: Call) -> Record:
    meta = obj["metadata"]
    meta.pop("resourceVersion", None)
    if target.subresource:
        raise errors.not_found(kind, target.name)
    if uid := meta.get("uid"):
        raise errors.conflict(kind, target.name, f"uid mismatch: the provided object specified uid {uid}, and no existing object was found")
    return registry.create(kind, target.namespace, obj, call)


class _Merge:
    """Server-side apply of one configuration."""

    def __init__(self, registry: Registry, kind: ResourceKind, force: bool, call: Call, subresource: str) -> None:
        self._registry = registry
        self._kind = kind
        self._force = force
        self._call = call
        self._subresource = subresource

    def __call__(self, live: Obj | None, config: Obj) -> Obj:
        """Return the merged object; raise ApiError 409 or 500."""
        try:
            return apply.apply(
                live,
                config,
                manager=self._call.manager,
                force=self._force,
                api_version=self._kind.api_version,
                subresource=self._subresource,
                now=self._registry.sources.now(),
                schema=self._registry.schemas.node(self._kind),
            )
        except apply.ApplyConflict as error:
            raise _conflict(error) from error
        except apply.ApplyError as error:
            raise errors.internal(str(error)) from error


def _conflict(error: apply.ApplyConflict) -> errors.ApiError:
    causes = [{"reason": "FieldManagerConflict", "message": row.message, "field": row.field} for row in error.conflicts]
    return errors.ApiError(409, "Conflict", str(error), {"causes": causes})
