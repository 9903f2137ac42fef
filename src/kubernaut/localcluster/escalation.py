"""Nobody hands out rights that they do not hold: the gate on roles and bindings, as kube-apiserver has it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kubernaut.localcluster import errors
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.rbac import BINDINGS, CLUSTER_BINDINGS, CLUSTER_ROLES, ROLES, Attributes, Authorizer, path_covers

_ROLE_KINDS = {ROLES.resource, CLUSTER_ROLES.resource}
_BINDING_KINDS = {BINDINGS.resource, CLUSTER_BINDINGS.resource}


class _Right(NamedTuple):
    """One verb on one resource, on one object of it, or on one path."""

    verb: str
    group: str = ""
    resource: str = ""
    name: str = ""
    path: str = ""


class Escalation:
    """The gate: who may `escalate` a role or `bind` one is free of it."""

    def __init__(self, authorizer: Authorizer) -> None:
        """Ask an authorizer what a caller holds."""
        self._authorizer = authorizer

    def mutate(self, kind: ResourceKind, obj: Obj, call: Call) -> None:
        """Change nothing."""

    def check(self, kind: ResourceKind, operation: str, new: Obj | None, old: Obj | None, call: Call, subresource: str) -> None:  # noqa: ARG002
        """Refuse with ApiError 403 a role or binding that grants more than its writer holds; 404 where the role to bind is not there."""
        if new is None:
            return
        if kind.resource in _ROLE_KINDS and _changed(new, old, "rules"):
            self._check_role(kind, new, call)
        elif kind.resource in _BINDING_KINDS and _changed(new, old, "subjects", "roleRef"):
            self._check_binding(kind, new, call)

    def _check_role(self, kind: ResourceKind, role: Obj, call: Call) -> None:
        if not self._may("escalate", kind, role["metadata"]["name"], role, call):
            self._check_held(kind, role, call, role.get("rules") or [])

    def _check_binding(self, kind: ResourceKind, binding: Obj, call: Call) -> None:
        target = binding["roleRef"]
        role = ROLES if target["kind"] == "Role" else CLUSTER_ROLES
        if not self._may("bind", role, target["name"], binding, call):
            bound = self._authorizer.registry.get(role, binding["metadata"].get("namespace", ""), target["name"])
            self._check_held(kind, binding, call, bound.obj.get("rules") or [])

    def _may(self, verb: str, role: ResourceKind, name: str, obj: Obj, call: Call) -> bool:
        namespace = obj["metadata"].get("namespace", "")
        return self._authorizer.decide(Attributes(call.user, verb, role.group, role.plural, name=name, namespace=namespace)).allowed

    def _check_held(self, kind: ResourceKind, obj: Obj, call: Call, rules: Sequence[Obj]) -> None:
        held = self._authorizer.rules(call.user, obj["metadata"].get("namespace", ""))
        lacking = [right for rule in rules for right in _rights(rule) if not any(_covers(row, right) for row in held)]
        if lacking:
            groups = " ".join(errors.encode_go(name) for name in call.user.groups)
            told = f'user "{call.user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:'
            raise errors.forbidden(kind, obj["metadata"]["name"], "\n".join([told, *_told(lacking)]))


def _changed(new: Obj, old: Obj | None, *parts: str) -> bool:
    return old is None or any(old.get(part) != new.get(part) for part in parts)


def _rights(rule: Obj) -> Iterator[_Right]:
    for verb in rule.get("verbs") or ():
        for path in rule.get("nonResourceURLs") or ():
            yield _Right(verb, path=path)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                for name in rule.get("resourceNames") or ("",):
                    yield _Right(verb, group, resource, name)


def _covers(rule: Obj, right: _Right) -> bool:
    """Tell whether a rule holds a right, which may itself be a pattern."""
    if not _among(rule.get("verbs"), right.verb):
        return False
    if right.path:
        return any(path_covers(row, right.path) for row in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames") or ()
    _, slash, part = right.resource.partition("/")
    resources = rule.get("resources") or ()
    held = _among(resources, right.resource) or (bool(slash) and f"*/{part}" in resources)
    return held and _among(rule.get("apiGroups"), right.group) and (not names or right.name in names)


def _among(patterns: Sequence[str] | None, value: str) -> bool:
    return "*" in (patterns or ()) or value in (patterns or ())


def _told(rights: Sequence[_Right]) -> list[str]:
    """Write rights as Go prints rules: those of one resource together."""
    verbs: dict[_Right, list[str]] = defaultdict(list)
    for right in rights:
        verbs[right._replace(verb="")].append(right.verb)
    return sorted(f"{{{_where(right)}, Verbs:{_listed(found)}}}" for right, found in verbs.items())


def _where(right: _Right) -> str:
    if right.path:
        return f"NonResourceURLs:{_listed([right.path])}"
    name = f", ResourceNames:{_listed([right.name])}" if right.name else ""
    return f"APIGroups:{_listed([right.group])}, Resources:{_listed([right.resource])}{name}"


def _listed(values: Sequence[str]) -> str:
    return "[" + " ".join(errors.encode_go(value) for value in dict.fromkeys(values)) + "]"
