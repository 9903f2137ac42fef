"""What the API server forbids, held against roles and bindings: who is meant, what is missing, and where."""

from dataclasses import replace
from typing import Any

import pytest

from kubernaut.analysis.investigators.rules.investigator import judge
from kubernaut.analysis.logs import Logs
from kubernaut.analysis.permissions import refusals
from kubernaut.api import core
from kubernaut.api.base import Obj
from tests.analysis.shelf import Shelf, names
from tests.analysis.world import NS, World, crash_loop, ended, running

ACCOUNT = {"kind": "ServiceAccount", "name": "watcher", "namespace": NS}
SAID = 'User "system:serviceaccount:shop:watcher" cannot list resource "nodes" in API group "" at the cluster scope'
HERE = 'User "system:serviceaccount:shop:watcher" cannot get resource "deployments/scale" in API group "apps" in the namespace "shop"'
THERE = HERE.replace('namespace "shop"', 'namespace "other"')
SCALES = {"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["get"]}


def world(said: str) -> World:
    last = ended("Error", 1, message=f"E0302 reflector: x is forbidden: {said}")
    return World(pod_spec={"serviceAccountName": "watcher"}, statuses=[[crash_loop(last)]])


def role(kind: str, *rules: Obj, name: str = "r", namespace: str = NS) -> Obj:
    return {"kind": kind, "metadata": {"name": name, "namespace": "" if kind == "ClusterRole" else namespace}, "rules": list(rules)}


def bound(kind: str, to: str, *, name: str = "r", namespace: str = NS, subject: Obj | None = None) -> Obj:
    place = "" if kind == "ClusterRoleBinding" else namespace
    return {
        "kind": kind,
        "metadata": {"name": "b", "namespace": place},
        "roleRef": {"kind": to, "name": name},
        "subjects": [subject or ACCOUNT],
    }


def judged(said: str, *objects: Obj, unread: tuple[str, ...] = ()) -> Any:
    snapshot = world(said).snapshot()
    rows = {
        kind: tuple(obj for obj in objects if obj["kind"] == kind) for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    }
    return judge(replace(snapshot, related={**snapshot.related, **rows}, unread=unread))


@pytest.mark.parametrize(
    ("said", "objects", "advice"),
    [
        pytest.param(SAID, [], "a ClusterRoleBinding to a role that allows it: verb list, resource nodes", id="nothing bound"),
        pytest.param(HERE, [], "a RoleBinding in namespace shop", id="nothing bound in the namespace"),
        pytest.param(
            SAID,
            [role("ClusterRole", {"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}), bound("ClusterRoleBinding", "ClusterRole")],
            "Let ClusterRole r allow it: verb list, resource nodes",
            id="a role without it",
        ),
        pytest.param(SAID, [bound("ClusterRoleBinding", "ClusterRole")], "Create ClusterRole r", id="a role that does not exist"),
        pytest.param(
            SAID,
            [role("ClusterRole", {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}), bound("RoleBinding", "ClusterRole")],
            "that needs a ClusterRoleBinding",
            id="bound in a namespace and asked for all",
        ),
        pytest.param(THERE, [role("Role", SCALES), bound("RoleBinding", "Role")], "that needs a RoleBinding there", id="bound elsewhere"),
        pytest.param(
            HERE,
            [role("Role", SCALES), bound("RoleBinding", "Role", subject={**ACCOUNT, "namespace": "other"})],
            "Give ServiceAccount shop/watcher a RoleBinding",
            id="bound to an account of the same name elsewhere",
        ),
        pytest.param(
            HERE,
            [role("Role", {**SCALES, "resourceNames": ["x"]}), bound("RoleBinding", "Role")],
            "Let Role r allow it",
            id="allowed for one name alone",
        ),
    ],
)
def test_it_says_what_is_missing(said, objects, advice):
    found = judged(said, *objects)
    assert (found.cause.name, found.action) == ("PermissionMissing", "")
    assert found.cause.confidence >= 0.86
    assert advice in found.advice


@pytest.mark.parametrize(
    ("said", "objects"),
    [
        pytest.param(HERE, [role("Role", SCALES), bound("RoleBinding", "Role")], id="by a Role"),
        pytest.param(HERE, [role("ClusterRole", SCALES), bound("RoleBinding", "ClusterRole")], id="by a ClusterRole in the namespace"),
        pytest.param(THERE, [role("ClusterRole", SCALES), bound("ClusterRoleBinding", "ClusterRole")], id="by a ClusterRole everywhere"),
        pytest.param(
            SAID,
            [
                role("ClusterRole", {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
                bound("ClusterRoleBinding", "ClusterRole", subject={"kind": "Group", "name": "system:serviceaccounts:shop"}),
            ],
            id="by its group",
        ),
        pytest.param(
            HERE,
            [role("Role", SCALES), bound("RoleBinding", "Role", subject={"kind": "User", "name": "system:serviceaccount:shop:watcher"})],
            id="by its name as a user",
        ),
    ],
)
def test_what_is_allowed_by_now_speaks_against_it(said, objects):
    found = judged(said, *objects)
    rows = [row for row in (found.cause, *found.alternatives) if getattr(row, "name", getattr(row, "cause", "")) == "PermissionMissing"]
    assert rows
    assert found.cause.confidence < 0.86


def test_roles_that_could_not_be_read_make_it_less_sure():
    assert judged(SAID, unread=("ClusterRole",)).cause.confidence < 0.86


def test_another_accounts_trouble_is_not_ours():
    assert judged(SAID.replace(":watcher", ":other")).cause.name == "ApplicationCrash"


def test_quotes_that_a_json_log_escapes_are_read_too():
    [found] = refusals(SAID.replace('"', '\\"') + " " + SAID)
    assert (found.account, found.what) == ("watcher", "list nodes in the whole cluster")


def test_roles_are_read_only_where_something_was_forbidden_and_those_of_the_place_too():
    quiet = World(pod_spec={"serviceAccountName": "watcher"}, statuses=[[running(ready=False)]])
    shelf = Shelf().stocked(quiet)
    shelf.put(core.CLUSTER_ROLE, role("ClusterRole", SCALES)).put(core.ROLE, role("Role", SCALES, namespace="other"))
    assert "ClusterRole" not in shelf.collect().related
    found = shelf.collect(logs=Logs({f"{NS}/checkout-hash1-0/app": THERE}))
    assert (names(found.of("ClusterRole")), names(found.of("Role"))) == (["r"], ["r"])
    assert judge(found).cause.name == "PermissionMissing"
