"""Who may do what: roles and their bindings, evaluated at every request."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.authn import AUTHENTICATED
from kubernaut.localcluster.calls import User
from kubernaut.localcluster.errors import ApiError, Obj, qualified
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.registry import Registry

MASTERS = "system:masters"
_GROUP = "rbac.authorization.k8s.io"
CLUSTER_ROLES, ROLES = builtin(_GROUP, "clusterroles"), builtin(_GROUP, "roles")
CLUSTER_BINDINGS, BINDINGS = builtin(_GROUP, "clusterrolebindings"), builtin(_GROUP, "rolebindings")


@dataclass(frozen=True, slots=True)
class Attributes:
    """One thing to be allowed: a verb on a resource, or on a path that is none."""

    user: User
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    namespace: str = ""
    path: str = ""

    @property
    def whole(self) -> str:
        """The resource with its subresource, as rules name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed, and by what."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True)
class Authorizer:
    """Decides; with `enforced` off every authenticated caller may do everything."""

    registry: Registry
    enforced: bool = False

    def decide(self, wanted: Attributes) -> Decision:
        """Decide by group, then by bindings."""
        if MASTERS in wanted.user.groups or (not self.enforced and AUTHENTICATED in wanted.user.groups):
            return Decision(allowed=True)
        for reason, rules in self._grants(wanted.user, wanted.namespace):
            if any(allows(rule, wanted) for rule in rules):
                return Decision(allowed=True, reason=f"RBAC: allowed by {reason}")
        return Decision(allowed=False)

    def check(self, wanted: Attributes) -> None:
        """Raise ApiError 403 for what is not allowed."""
        if not self.decide(wanted).allowed:
            raise refusal(wanted)

    def rules(self, user: User, namespace: str) -> list[Obj]:
        """Return all rules that hold for a user in a namespace."""
        if not self.enforced and AUTHENTICATED in user.groups:
            return [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, {"verbs": ["*"], "nonResourceURLs": ["*"]}]
        return [rule for _, rules in self._grants(user, namespace) for rule in rules]

    def _grants(self, user: User, namespace: str) -> Iterator[tuple[str, Sequence[Obj]]]:
        yield from self._bound(CLUSTER_BINDINGS, "", user)
        if namespace:
            yield from self._bound(BINDINGS, namespace, user)

    def _bound(self, kind: ResourceKind, namespace: str, user: User) -> Iterator[tuple[str, Sequence[Obj]]]:
        for record in self.registry.all_of(kind, namespace):
            binding = record.obj
            subject = next((row for row in binding.get("subjects") or [] if _is(row, user, namespace)), None)
            if subject is None:
                continue
            target = binding["roleRef"]
            name = "/".join(part for part in (binding["metadata"]["name"], namespace) if part)
            told = f'{kind.kind} "{name}" of {target["kind"]} "{target["name"]}" to {subject["kind"]} "{_shown(subject)}"'
            yield told, self._rules_of(target, namespace)

    def _rules_of(self, target: Obj, namespace: str) -> Sequence[Obj]:
        kind, place = (ROLES, namespace) if target["kind"] == "Role" else (CLUSTER_ROLES, "")
        record = self.registry.find(kind, place, target["name"])
        return [] if record is None else record.obj.get("rules") or []


def _shown(subject: Obj) -> str:
    return f"{subject['name']}/{subject['namespace']}" if subject["kind"] == "ServiceAccount" else str(subject["name"])


def _is(subject: Obj, user: User, namespace: str) -> bool:
    if subject["kind"] == "User":
        return bool(subject["name"] == user.name)
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    return user.name == f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject['name']}"


def allows(rule: Obj, wanted: Attributes) -> bool:
    """Say whether a rule covers what is wanted."""
    if not _covers(rule.get("verbs"), wanted.verb):
        return False
    if wanted.path:
        return any(path_covers(pattern, wanted.path) for pattern in rule.get("nonResourceURLs") or [])
    if not _covers(rule.get("apiGroups"), wanted.group) or not _resource_covers(rule.get("resources") or [], wanted):
        return False
    names = rule.get("resourceNames") or []
    return not names or wanted.name in names


def _covers(patterns: Sequence[str] | None, value: str) -> bool:
    return bool(patterns) and ("*" in (patterns or ()) or value in (patterns or ()))


def _resource_covers(patterns: Sequence[str], wanted: Attributes) -> bool:
    return "*" in patterns or wanted.whole in patterns or (bool(wanted.subresource) and f"*/{wanted.subresource}" in patterns)


def path_covers(pattern: str, path: str) -> bool:
    """Say whether a path is, or begins as, a rule has it."""
    return pattern in {"*", path} or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def refusal(wanted: Attributes) -> ApiError:
    """403, in the words of kube-apiserver."""
    if wanted.path:
        return ApiError(403, "Forbidden", f'forbidden: User "{wanted.user.name}" cannot {wanted.verb} path "{wanted.path}"', {})
    scope = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    what = f'User "{wanted.user.name}" cannot {wanted.verb} resource "{wanted.whole}" in API group "{wanted.group}" {scope}'
    shown = f' "{wanted.name}"' if wanted.name else ""
    details = {key: value for key, value in (("name", wanted.name), ("group", wanted.group), ("kind", wanted.resource)) if value}
    return ApiError(403, "Forbidden", f"{qualified(wanted.resource, wanted.group)}{shown} is forbidden: {what}", details)
