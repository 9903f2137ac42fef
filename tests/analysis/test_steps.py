"""Typed steps of a finding: as the actions take them, or none."""

from typing import Any

import pytest

from kubernaut.analysis.investigators.base import Cause, Finding, Verdict
from kubernaut.analysis.steps import steps_for, told
from kubernaut.api.base import ResourceIdentifier
from kubernaut.execution.actions.registry import Registry, built

ACTIONS = Registry(built())
MEMORY = {"container": "app", "memory.limit.proposed": "256Mi"}
REVISIONS = {"rollout.revision.previous": "2", "rollout.revision.current": "3"}


def wanted(action: str, kind: str = "Deployment", **facts: str) -> Finding:
    namespace = "" if kind == "Node" else "shop"
    target = ResourceIdentifier(kind=kind, name="checkout", namespace=namespace)
    cause = Cause(name="Cause", summary="", confidence=0.9)
    return Finding(verdict=Verdict.CAUSE_FOUND, investigator="x", target=target, cause=cause, action=action, facts=facts)


@pytest.mark.parametrize(
    ("finding", "steps"),
    [
        pytest.param(wanted("IncreaseMemoryLimits", **MEMORY), [("increase_resources", {"memory": "256Mi"})], id="memory"),
        pytest.param(
            wanted("IncreaseCPULimits", "StatefulSet", container="app", **{"cpu.limit.proposed": "500m"}),
            [("increase_resources", {"cpu": "500m", "resource_type": "statefulset"})], id="cpu of a StatefulSet",
        ),
        pytest.param(wanted("RollbackDeployment", **REVISIONS), [("rollback_deployment", {"revision": 2})], id="roll-back"),
        pytest.param(wanted("RestartPod", "Pod"), [("restart_pod", {"resource_type": "pod"})], id="a pod"),
        pytest.param(wanted("RestartDeployment"), [("restart_pod", {"resource_type": "deployment"})], id="a Deployment"),
        pytest.param(wanted("RestartDaemonSet", "DaemonSet"), [("restart_daemonset", {})], id="a DaemonSet"),
        pytest.param(wanted("ScaleReplicas", **{"replicas.proposed": "4"}), [("scale_deployment", {"replicas": 4})], id="replicas"),
        pytest.param(
            wanted("ScaleReplicas", "StatefulSet", **{"replicas.proposed": "4"}), [("scale_statefulset", {"replicas": 4})], id="a StatefulSet's"
        ),
        pytest.param(wanted("UncordonNode", "Node"), [("uncordon_node", {"node_name": "checkout"})], id="a node"),
        pytest.param(wanted("CordonDrainNode", "Node"), [("cordon_node", {}), ("drain_node", {})], id="a node, in two steps"),
        pytest.param(
            wanted("RemoveTaint", "Node", **{"taint.key": "dedicated", "taint.effect": "NoSchedule"}),
            [("untaint_node", {"key": "dedicated", "effect": "NoSchedule"})], id="a taint",
        ),
        pytest.param(
            wanted("PatchHPA", "HorizontalPodAutoscaler", **{"hpa.maxReplicas.proposed": "8"}), [("update_hpa", {"max_replicas": 8})], id="an HPA"
        ),
        pytest.param(
            wanted("ExpandPersistentVolumeClaim", "PersistentVolumeClaim", **{"pvc.size.proposed": "20Gi"}),
            [("expand_pvc", {"size": "20Gi"})], id="a claim",
        ),
        pytest.param(wanted("IncreaseMemoryLimits"), [], id="without the facts"),
        pytest.param(wanted("IncreaseMemoryLimits", "Node", **MEMORY), [], id="on a kind that has none"),
        pytest.param(wanted("RollbackDeployment", **{"rollout.revision.previous": "two"}), [], id="a revision that is no number"),
        pytest.param(wanted("ScaleReplicas", **{"replicas.proposed": "many"}), [], id="replicas that are no number"),
        pytest.param(wanted("DropTheDatabase"), [], id="an action that nobody knows"),
        pytest.param(wanted(""), [], id="no action"),
    ],
)  # fmt: skip
def test_steps_are_what_the_actions_take(finding: Finding, steps: list[tuple[str, dict[str, Any]]]):
    made = steps_for(finding)
    assert [step.action for step in made] == [name for name, _ in steps]
    for step, (_, parameters) in zip(made, steps, strict=True):
        assert parameters.items() <= step.parameters.items()
        ACTIONS.find(step.action, step.parameters).parameters.model_validate(step.parameters)
        assert told(step).startswith(finding.target.path())


def test_later_steps_wait_for_earlier_ones():
    first, second = steps_for(wanted("CordonDrainNode", "Node"))
    assert (first.step_number, first.depends_on, second.step_number, second.depends_on) == (1, [], 2, [1])


@pytest.mark.parametrize(
    ("finding", "back"),
    [
        pytest.param(wanted("IncreaseMemoryLimits", **MEMORY, **{"memory.limit.current": "128Mi"}), {"memory": "128Mi"}, id="a limit"),
        pytest.param(wanted("RollbackDeployment", **REVISIONS), {"revision": 3}, id="a revision"),
    ],
)
def test_what_takes_a_step_back_is_named_where_it_is_known(finding, back):
    [step] = steps_for(finding)
    assert step.rollback is not None
    assert back.items() <= step.rollback.parameters.items()


def test_what_takes_a_step_back_is_left_out_where_it_is_not_known():
    [step] = steps_for(wanted("IncreaseMemoryLimits", **MEMORY))
    assert step.rollback is None
