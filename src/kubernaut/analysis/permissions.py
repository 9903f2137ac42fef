"""What an API server says when it forbids something, and what roles and bindings allow, by Kubernetes' own rules of RBAC. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kubernaut.api.base import Obj

_TEXT_LIMIT: Final = 16_384
_REFUSALS: Final = 8
_FORBIDDEN: Final = re.compile(
    r'(?:[a-z.]+ \\?"(?P<name>[^"\\]{1,253})\\?" is forbidden: )?'
    r'User \\?"system:serviceaccount:(?P<space>[a-z0-9-]+):(?P<account>[a-z0-9.-]+)\\?" cannot (?P<verb>[a-z]+) '
    r'resource \\?"(?P<resource>[a-z0-9./-]+)\\?"'
    r'(?: in API group \\?"(?P<group>[a-z0-9.-]*)\\?")?'
    r'(?: in the namespace \\?"(?P<namespace>[a-z0-9-]+)\\?"|(?P<wide> at the cluster scope))?'
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that the API server forbade a service account."""

    space: str
    """The service account's own namespace."""
    account: str
    verb: str
    resource: str
    """With its subresource, if any: `deployments/scale`."""
    group: str | None
    """None where the message does not say it."""
    name: str
    """Of the one object that was asked for; empty for all of a kind."""
    namespace: str
    """Where; empty for the whole cluster."""

    @property
    def what(self) -> str:
        """Say it in words."""
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {kind} {f'in namespace {self.namespace}' if self.namespace else 'in the whole cluster'}"


def refusals(text: str) -> list[Refusal]:
    """Return what a text says was forbidden to service accounts, once each."""
    found = (_refusal(match) for match in _FORBIDDEN.finditer(text[-_TEXT_LIMIT:]))
    return list(dict.fromkeys(found))[:_REFUSALS]


def _refusal(match: re.Match[str]) -> Refusal:
    place = "" if match["wide"] else match["namespace"] or match["space"]
    return Refusal(match["space"], match["account"], match["verb"], match["resource"], match["group"], match["name"] or "", place)


def bindings_of(refusal: Refusal, bindings: Iterable[Obj]) -> Iterator[Obj]:
    """Yield the bindings that name the account, itself or by a group that it is in."""
    return (binding for binding in bindings if any(_is(refusal, subject, binding) for subject in binding.get("subjects") or ()))


def _is(refusal: Refusal, subject: Obj, binding: Obj) -> bool:
    name = subject.get("name")
    match subject.get("kind"):
        case "ServiceAccount":
            home = subject.get("namespace") or binding["metadata"].get("namespace")
            return bool((name, home) == (refusal.account, refusal.space))
        case "User":
            return bool(name == f"system:serviceaccount:{refusal.space}:{refusal.account}")
        case "Group":
            return name in {"system:serviceaccounts", f"system:serviceaccounts:{refusal.space}", "system:authenticated"}
    return False


def reaches(refusal: Refusal, binding: Obj) -> bool:
    """Tell whether a binding holds where the thing was asked for: a RoleBinding in its own namespace alone."""
    return bool(
        binding["kind"] == "ClusterRoleBinding" or (refusal.namespace and binding["metadata"].get("namespace") == refusal.namespace)
    )


def role_of(binding: Obj, roles: Mapping[str, Sequence[Obj]]) -> Obj | None:
    """Return the role that a binding gives, from roles by kind; None where there is none of that name."""
    reference = binding.get("roleRef") or {}
    space = binding["metadata"].get("namespace", "") if reference.get("kind") == "Role" else ""
    rows = roles.get(str(reference.get("kind")), ())
    return next(
        (row for row in rows if (row["metadata"]["name"], row["metadata"].get("namespace", "")) == (reference.get("name"), space)), None
    )


def allows(role: Obj | None, refusal: Refusal) -> bool:
    """Tell whether a role allows what was refused."""
    return any(_rule_allows(rule, refusal) for rule in (role or {}).get("rules") or ())


def _rule_allows(rule: Obj, refusal: Refusal) -> bool:
    named, names = set(rule.get("resources") or ()), rule.get("resourceNames") or ()
    _, slash, part = refusal.resource.partition("/")
    groups = set(rule.get("apiGroups") or ())
    return bool(
        {refusal.verb, "*"} & set(rule.get("verbs") or ())
        and {refusal.resource, "*", *([f"*/{part}"] if slash else ())} & named
        and (refusal.group is None or {refusal.group, "*"} & groups)
        and (not names or refusal.name in names)
    )
