"""Parameters of operations: typed, bounded, refused before anything happens."""

import re
from importlib.metadata import EntryPoint

import pytest

from kubernaut.api.base import Unusable
from kubernaut.api.plan import Operation
from kubernaut.execution.actions.registry import NOT_BUILT, Registry, built, with_installed
from kubernaut.execution.actions.restoring import RESTORE
from kubernaut.execution.difference import difference
from kubernaut.execution.safety import Refused, Safety
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.kube.client import Client

pytestmark = pytest.mark.unit
PLACE = {"namespace": "shop", "resource_name": "api"}
DEPLOYMENT = {"kind": "Deployment", "namespace": "shop", "name": "api"}
SAFETY = Safety(Client("http://127.0.0.1:1"), Registry(built()), ExecutionSettings())
CANONICAL = 30 + 6


def resolve(action, parameters, target=None):
    return SAFETY.resolve(Operation.model_validate({"stepNumber": 1, "action": action, "parameters": parameters, "target": target}))


@pytest.mark.parametrize(
    ("action", "parameters", "target", "expected"),
    [
        pytest.param("scale_deployment", PLACE | {"replicas": 3}, None, "scale_deployment shop/deployment/api", id="scale"),
        pytest.param(
            "scale-deployment",
            PLACE | {"replicas": "3"},
            None,
            "scale_deployment shop/deployment/api",
            id="hyphens and text, as previews give",
        ),
        pytest.param(
            "scale_deployment", {"replicas": 3}, DEPLOYMENT, "scale_deployment shop/deployment/api", id="the place from the target"
        ),
        pytest.param("restart_pod", PLACE, None, "restart_pod shop/pod/api", id="restart of a pod"),
        pytest.param(
            "restart_pod",
            PLACE | {"resource_type": "deployment"},
            None,
            "rollout_restart shop/deployment/api",
            id="restart of a deployment",
        ),
        pytest.param("restart-pod", {}, DEPLOYMENT, "rollout_restart shop/deployment/api", id="restart of the target"),
        pytest.param(
            "rollout_restart", PLACE | {"resource_type": "statefulset"}, None, "rollout_restart shop/statefulset/api", id="of a statefulset"
        ),
        pytest.param("increase_resources", PLACE | {"memory": "256Mi"}, None, "increase_resources shop/deployment/api", id="more memory"),
        pytest.param("rollback_deployment", PLACE | {"revision": "0"}, None, "rollback_deployment shop/deployment/api", id="back by one"),
        pytest.param("notify_only", {"message": "look"}, DEPLOYMENT, "notify_only None", id="notify"),
    ],
)
def test_what_an_operation_means(action, parameters, target, expected):
    found = resolve(action, parameters, target)
    assert f"{found.action.name} {found.target}" == expected


@pytest.mark.parametrize(
    ("action", "parameters", "target", "why"),
    [
        pytest.param("scale_deployment", PLACE | {"replicas": 101}, None, "replicas: .*100", id="too many replicas"),
        pytest.param("scale_deployment", PLACE | {"replicas": -1}, None, "replicas", id="negative replicas"),
        pytest.param("scale_deployment", PLACE | {"replicas": "many"}, None, "replicas", id="no number"),
        pytest.param("scale_deployment", PLACE | {"replicas": 1.5}, None, "replicas", id="half a replica"),
        pytest.param("scale_deployment", {"replicas": 1}, None, "namespace: Field required", id="no place"),
        pytest.param("scale_deployment", PLACE | {"replicas": 1, "image": "x"}, None, "image: Extra inputs", id="an unknown parameter"),
        pytest.param(
            "scale_deployment", PLACE | {"resource_name": "api; rm -rf /", "replicas": 1}, None, "resource_name", id="a name that is none"
        ),
        pytest.param("scale_deployment", PLACE | {"resource_name": "../../secrets", "replicas": 1}, None, "resource_name", id="a path"),
        pytest.param("scale_deployment", PLACE | {"reason": "x" * 1_000_000, "replicas": 1}, None, "reason", id="a megabyte"),
        pytest.param(
            "scale_deployment",
            PLACE | {"resource_name": "web", "replicas": 1},
            DEPLOYMENT,
            "operation's target is",
            id="another than the target",
        ),
        pytest.param(
            "scale_deployment",
            {"replicas": 1},
            {"kind": "Pod", "namespace": "shop", "name": "api"},
            "operation's target is",
            id="another kind",
        ),
        pytest.param("increase_resources", PLACE, None, "give memory, cpu or both", id="no resource"),
        pytest.param("increase_resources", PLACE | {"memory": "256Mb"}, None, "memory", id="no quantity"),
        pytest.param("increase_resources", PLACE | {"cpu": "1.5"}, None, "cpu", id="cpu in another form"),
        pytest.param(
            "patch_deployment", PLACE | {"patch": {}, "patch_type": "json"}, None, "json patch is a list", id="a patch of the wrong form"
        ),
        pytest.param("patch_deployment", PLACE | {"patch": {"a": "x" * 70_000}}, None, "at most 65536", id="a patch too large"),
        pytest.param("delete_pod", PLACE | {"grace_period_seconds": 301}, None, "grace_period_seconds", id="too much grace"),
        pytest.param("notify_only", {"message": ""}, None, "message", id="nothing to say"),
        pytest.param("failover-database", PLACE, None, "failover_database must be done by the database", id="beyond plain Kubernetes"),
        pytest.param("format_disk", {}, None, "'format_disk' is unknown; known are apply_manifest,", id="unknown"),
    ],
)
def test_what_is_refused_and_why(action, parameters, target, why):
    with pytest.raises(Refused, match=why):
        resolve(action, parameters, target)


def test_actions_of_other_packages_come_by_entry_points_and_win_over_ours():
    point = EntryPoint("cordon", "kubernaut.execution.actions.nodes:Cordon", "kubernaut.actions")
    found = with_installed(built(), [point])
    assert (len(found), found[-1].name) == (len(built()) + 1, "cordon_node")


@pytest.mark.parametrize(
    ("value", "why"),
    [("nowhere:Action", "cannot be loaded"), ("collections:OrderedDict", "lacks name, parameters, undo"), ("math:pi", "cannot be loaded")],
)
def test_an_entry_point_that_is_no_action_is_told(value, why):
    with pytest.raises(Unusable, match=why):
        with_installed((), [EntryPoint("odd", value, "kubernaut.actions")])


def test_what_is_refused_says_what_to_use_instead():
    assert all(re.search(r"use |put it in|set its", why) for why in NOT_BUILT.values())


def test_every_canonical_action_is_either_built_or_refused_by_name():
    names = {action.name for action in built()} | set(NOT_BUILT)
    assert not {action.name for action in built()} & set(NOT_BUILT)
    assert len(names - {RESTORE}) == CANONICAL  # what puts back what a run has changed is our own


def test_a_difference_shows_what_people_write_and_nothing_else():
    before = {"metadata": {"resourceVersion": "1", "labels": {"a": "b"}}, "spec": {"replicas": 3}, "status": {"replicas": 3}}
    after = {
        "metadata": {"resourceVersion": "2", "labels": {"a": "b"}, "annotations": {"kubernaut.ai/operation": "x"}},
        "spec": {"replicas": 5},
    }
    changed = [line for line in difference(before, after).splitlines() if line[0] in "+-"]
    assert changed == ["--- before", "+++ after", "-  replicas: 3", "+  replicas: 5"]


def test_a_difference_hides_values_under_secret_names():
    def state(memory):
        env = [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "LEVEL", "value": "info"}]
        annotations = {"vendor/apiKey": "k-123"}
        return {"metadata": {"annotations": annotations}, "spec": {"containers": [{"env": env, "memory": memory}]}}

    shown = difference(state("1"), state("2"))
    assert "hunter2" not in shown
    assert "k-123" not in shown
    assert "info" in shown
