"""What may not change in built-in objects, as a table by kind."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.faults import Fault, forbidden, invalid
from kubernaut.localcluster.poddiff import spec_diff

Change = Callable[[Obj, Obj], Iterator[Fault]]
"""Gives the faults of a change, from the new and the old object."""

_POD_WORDS = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds`"
    " (allow it to be set to 1 if it was previously negative)"
)
_SET_WORDS = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit',"
    " 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_CLAIM_WORDS = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
_SET_MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def change_faults(kind: ResourceKind, new: Obj, old: Obj) -> list[Fault]:
    """Return the faults of a change to a built-in object."""
    return [fault for rule in CHANGES.get(kind.resource, ()) for fault in rule(new, old)]


def fixed(path: str) -> Change:
    """Make the rule that a value stays as it was."""

    def rule(new: Obj, old: Obj) -> Iterator[Fault]:
        if _at(new, path) != _at(old, path):
            yield invalid(path, _at(new, path), "field is immutable")

    return rule


def _at(obj: Obj, path: str) -> object:
    value: object = obj
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _sealed(new: Obj, old: Obj) -> Iterator[Fault]:
    """Refuse changes to the data of a ConfigMap or Secret that was made immutable."""
    if not old.get("immutable"):
        return
    words = "field is immutable when `immutable` is set"
    for field in ("immutable", "data", "binaryData"):
        if (new.get(field) or None) != (old.get(field) or None):
            yield forbidden(field, words)


def _pod(new: Obj, old: Obj) -> Iterator[Fault]:
    """Refuse changes to a Pod's spec beyond the few that are allowed."""
    free = ["activeDeadlineSeconds", "ephemeralContainers", "schedulingGates", "nodeName"]
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if all(item in (after.get("tolerations") or []) for item in before.get("tolerations") or []):
        free.append("tolerations")
    if (before.get("terminationGracePeriodSeconds") or 0) < 0 and after.get("terminationGracePeriodSeconds") == 1:
        free.append("terminationGracePeriodSeconds")
    if _without_images(after, free) != _without_images(before, free):
        yield forbidden("spec", f"{_POD_WORDS}\n{spec_diff(before, _munged(after, before, free))}")


def _munged(after: Obj, before: Obj, free: Sequence[str]) -> Obj:
    """Give the new spec with what may change as it was, which the diff leaves out."""
    munged = {**after, **{name: before[name] for name in free if name in before}}
    for part in ("containers", "initContainers"):
        images = {row["name"]: row.get("image", "") for row in before.get(part) or []}
        if part in after:
            munged[part] = [{**row, "image": images.get(row["name"], row.get("image", ""))} for row in after[part]]
    return munged


def _without_images(spec: Obj, free: Sequence[str]) -> Obj:
    """Give a Pod's spec without what may change."""
    kept = {name: value for name, value in spec.items() if name not in free}
    for part in ("containers", "initContainers"):
        if part in kept:
            kept[part] = [{name: value for name, value in container.items() if name != "image"} for container in kept[part]]
    return kept


def _stateful_set(new: Obj, old: Obj) -> Iterator[Fault]:
    """Refuse changes to a StatefulSet's spec beyond those that roll out."""
    fixed_parts = [{key: value for key, value in (obj.get("spec") or {}).items() if key not in _SET_MUTABLE} for obj in (new, old)]
    if fixed_parts[0] != fixed_parts[1]:
        yield forbidden("spec", _SET_WORDS)


def _claim(new: Obj, old: Obj) -> Iterator[Fault]:
    """Refuse changes to a claim beyond its size and class, and the volume it is bound to."""
    mutable = {"resources", "volumeAttributesClassName"} | (set() if (old.get("spec") or {}).get("volumeName") else {"volumeName"})
    parts = [{key: value for key, value in (obj.get("spec") or {}).items() if key not in mutable} for obj in (new, old)]
    if parts[0] != parts[1]:
        yield forbidden("spec", _CLAIM_WORDS)


def _role_ref(new: Obj, old: Obj) -> Iterator[Fault]:
    """Refuse another role in a binding."""
    if new.get("roleRef") != old.get("roleRef"):
        yield invalid("roleRef", new.get("roleRef"), "cannot change roleRef")


def _event(new: Obj, old: Obj) -> Iterator[Fault]:
    """Refuse changes to an event beyond its series."""
    words = {"note": "message"}
    for field in ("note", "reason", "type", "action", "reportingController", "reportingInstance", "regarding", "related", "eventTime"):
        if new.get(field) != old.get(field):
            yield invalid(words.get(field, field), new.get(field), "field is immutable")


def _immutable_kind(*fields: str) -> Sequence[Change]:
    return tuple(fixed(field) for field in fields)


CHANGES: Mapping[str, Sequence[Change]] = {
    "configmaps": (_sealed,),
    "clusterrolebindings.rbac.authorization.k8s.io": (_role_ref,),
    "customresourcedefinitions.apiextensions.k8s.io": _immutable_kind("spec.scope", "spec.names.kind", "spec.names.plural"),
    "daemonsets.apps": _immutable_kind("spec.selector"),
    "deployments.apps": _immutable_kind("spec.selector"),
    "events.events.k8s.io": (_event,),
    "jobs.batch": _immutable_kind("spec.completions", "spec.selector", "spec.template", "spec.completionMode"),
    "persistentvolumeclaims": (_claim,),
    "pods": (_pod,),
    "priorityclasses.scheduling.k8s.io": (
        lambda new, old: iter([forbidden("value", "may not be changed in an update.")] if new.get("value") != old.get("value") else []),
    ),
    "replicasets.apps": _immutable_kind("spec.selector"),
    "rolebindings.rbac.authorization.k8s.io": (_role_ref,),
    "secrets": (fixed("type"), _sealed),
    "statefulsets.apps": (_stateful_set,),
    "storageclasses.storage.k8s.io": _immutable_kind("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"),
}
