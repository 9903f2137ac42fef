"""Permissions: a program that the API server forbids what it needs, by its words, held against roles and bindings of all kinds."""

from collections.abc import Iterator
from dataclasses import dataclass

from kubernaut.analysis.containers import Container
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.complaints import complaining, logged, protesting
from kubernaut.analysis.investigators.rules.crashes import crashes, last_words, spoken
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence, sure
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded, regression
from kubernaut.analysis.permissions import Refusal, allows, bindings_of, reaches, refusals, role_of
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj

_UNREAD_WEIGHT = -0.08
_KINDS = ("Role", "ClusterRole")
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")


@dataclass(frozen=True, slots=True)
class Standing:
    """How it comes that an account may not do something."""

    told: tuple[Evidence, ...]
    advice: str
    granted: bool = False


def forbidden(snapshot: Snapshot) -> Candidate | None:
    """The API server forbids a program something it needs: its ServiceAccount has no role for it, there or in the whole cluster.

    Said by the program's last words or its log; believed where the ServiceAccount named there is the pods' own. Roles, ClusterRoles and
    both kinds of bindings say whether it is so, and what is missing: a binding, a role that a binding names, or a rule in the role.
    """
    for container, refusal, told in _said(snapshot):
        if refusal.account != _account(container) or refusal.space != container.pod["metadata"].get("namespace"):
            continue
        standing = _standing(snapshot, refusal)
        unknown = _UNREAD_WEIGHT if set(snapshot.unread) & {*_KINDS, *_BINDINGS} else 0.0
        return concluded(
            snapshot,
            "PermissionMissing",
            f"ServiceAccount {refusal.account} of {snapshot.target.path()} may not {refusal.what}, and its program needs to.",
            0.5 if standing.granted else sure(0.86, unknown),
            (told, *standing.told),
            Remedy(advice=standing.advice),
            pods=[container.pod],
            back=regression(snapshot, [container.pod], lambda change: "serviceAccount" in change.path or ".image" in change.path),
        )
    return None


def _said(snapshot: Snapshot) -> Iterator[tuple[Container, Refusal, Evidence]]:
    for container, ended in crashes(snapshot):
        yield from ((container, refusal, last_words(container, ended)) for refusal in refusals(spoken(ended.message)))
    protests = ((container, "\n".join(lines)) for container, lines in protesting(snapshot))
    for container, text in (*complaining(snapshot), *protests):
        yield from ((container, refusal, logged(container, text)) for refusal in refusals(spoken(text)))


def _account(container: Container) -> str:
    spec = container.pod["spec"]
    return str(spec.get("serviceAccountName") or spec.get("serviceAccount") or "default")


def _standing(snapshot: Snapshot, refusal: Refusal) -> Standing:
    """Return what roles and bindings say of a refusal: the nearest to what would allow it."""
    rows = list(bindings_of(refusal, (row for kind in _BINDINGS for row in snapshot.of(kind))))
    here = [row for row in rows if reaches(refusal, row)]
    granting = [row for row in here if allows(_role(snapshot, row), refusal)]
    if granting:
        told = evidence(granting[0], "roleRef.name", _named(granting[0]), "speaks against it: by now it may")
        return Standing((told,), f"It may {refusal.what} by now: start the pods again, and look whether it goes on.", granted=True)
    return _dangling(snapshot, here) or _lacking(refusal, here) or _elsewhere(snapshot, refusal, rows) or _unbound(refusal)


def _dangling(snapshot: Snapshot, here: list[Obj]) -> Standing | None:
    for row in here:
        kind = str((row.get("roleRef") or {}).get("kind"))
        if snapshot.knows(kind) and _role(snapshot, row) is None:
            told = evidence(row, "roleRef.name", _named(row), f"it is bound to a {kind} that does not exist")
            return Standing(
                (told,), f"Create {kind} {_named(row)}, or correct the binding: a binding's roleRef cannot be changed, make a new one."
            )
    return None


def _lacking(refusal: Refusal, here: list[Obj]) -> Standing | None:
    told = tuple(evidence(row, "roleRef.name", _named(row), "a role it has, which does not allow this") for row in here[:2])
    role = f"{(here[0].get('roleRef') or {}).get('kind')} {_named(here[0])}" if here else ""
    return Standing(told, f"Let {role} allow it: verb {refusal.verb}, {_resource(refusal)}.") if here else None


def _elsewhere(snapshot: Snapshot, refusal: Refusal, rows: list[Obj]) -> Standing | None:
    """Tell of a binding that would allow it, were it not for the place where it holds."""
    for row in rows:
        if allows(_role(snapshot, row), refusal):
            place = row["metadata"].get("namespace", "")
            told = evidence(row, "metadata.namespace", place, "a binding that allows it, in this namespace alone")
            means = "a RoleBinding there" if refusal.namespace else "a ClusterRoleBinding"
            return Standing((told,), f"It may not {refusal.what}: that needs {means}.")
    return None


def _unbound(refusal: Refusal) -> Standing:
    binding = f"a RoleBinding in namespace {refusal.namespace}" if refusal.namespace else "a ClusterRoleBinding"
    account = f"ServiceAccount {refusal.space}/{refusal.account}"
    return Standing((), f"Give {account} {binding} to a role that allows it: verb {refusal.verb}, {_resource(refusal)}.")


def _resource(refusal: Refusal) -> str:
    return f"resource {refusal.resource}, apiGroup '{refusal.group or ''}'"


def _role(snapshot: Snapshot, binding: Obj) -> Obj | None:
    return role_of(binding, {kind: snapshot.of(kind) for kind in _KINDS})


def _named(binding: Obj) -> str:
    return str((binding.get("roleRef") or {}).get("name"))


RULES = (Rule("PermissionMissing", forbidden, explains=SYMPTOMS),)
