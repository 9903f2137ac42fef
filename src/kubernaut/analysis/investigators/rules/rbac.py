"""Permissions: a program that the API server forbids what it needs, by its last words, held against roles and bindings."""

import re

from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.crashes import crashes, last_words, spoken
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded, regression
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj

_FORBIDDEN = re.compile(
    r'User "system:serviceaccount:(?P<space>[a-z0-9-]+):(?P<account>[a-z0-9.-]+)" cannot (?P<verb>[a-z]+) '
    r'resource "(?P<resource>[a-z0-9./-]+)"'
    r'(?: in API group "(?P<group>[a-z0-9.-]*)")?'
)


def forbidden(snapshot: Snapshot) -> Candidate | None:
    """The API server forbids a program something it needs: its ServiceAccount has no role for it.

    Said by the program's last words; believed where the ServiceAccount named there is the pods' own.
    """
    for container, ended in crashes(snapshot):
        found = _FORBIDDEN.search(spoken(ended.message))
        account = str(container.pod["spec"].get("serviceAccountName") or "default")
        if found is None or found["account"] != account or found["space"] != container.pod["metadata"].get("namespace"):
            continue
        granted = [row for row in _bound(snapshot, account) if _grants(snapshot, row, found)]
        told = last_words(container, ended)
        what = f"{found['verb']} {found['resource']}"
        summary = f"ServiceAccount {account} of {snapshot.target.path()} may not {what}, and its program needs to."
        advice = f"Bind ServiceAccount {account} to a role that lets it {what}."
        return concluded(
            snapshot,
            "PermissionMissing",
            summary,
            0.86 if not granted else 0.5,
            (told, *_standing(snapshot, account, granted)),
            Remedy(advice=advice),
            pods=[container.pod],
            back=regression(snapshot, [container.pod], lambda change: "serviceAccount" in change.path or ".image" in change.path),
        )
    return None


def _bound(snapshot: Snapshot, account: str) -> list[Obj]:
    """Return the RoleBindings of the namespace that name the account."""
    rows = snapshot.of("RoleBinding")
    return [
        row
        for row in rows
        if any(each.get("kind") == "ServiceAccount" and each.get("name") == account for each in row.get("subjects") or ())
    ]


def _grants(snapshot: Snapshot, binding: Obj, wanted: re.Match[str]) -> bool:
    role = (
        snapshot.named("Role", str((binding.get("roleRef") or {}).get("name")))
        if (binding.get("roleRef") or {}).get("kind") == "Role"
        else None
    )
    return any(
        {wanted["verb"], "*"} & set(rule.get("verbs") or ()) and {wanted["resource"], "*"} & set(rule.get("resources") or ())
        for rule in (role or {}).get("rules") or ()
    )


def _standing(snapshot: Snapshot, account: str, granted: list[Obj]) -> tuple[Evidence, ...]:
    if granted:
        return (evidence(granted[0], "roleRef", (granted[0].get("roleRef") or {}).get("name"), "speaks against it: by now it may"),)
    rows = _bound(snapshot, account)
    return tuple(
        evidence(row, "roleRef", (row.get("roleRef") or {}).get("name"), "a role it has, which does not allow this") for row in rows[:2]
    )


RULES = (Rule("PermissionMissing", forbidden, explains=SYMPTOMS),)
