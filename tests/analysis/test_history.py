"""What was tried on a target before and did not help."""

from datetime import timedelta
from typing import Any

import pytest

from kubernaut.analysis.history import history_indexes, without_help
from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.kube.still import StillCluster
from tests.analysis.world import NS, T0

TARGET = ResourceIdentifier(kind="Deployment", name="checkout", namespace=NS, api_version="apps/v1")
DAY_AGO = T0 - timedelta(days=1)


def assessment(case: str = "rr-1", verdict: str | None = "Ineffective", *, hours: float = 1, name: str = "checkout") -> Obj:
    at = (T0 - timedelta(hours=hours)).isoformat()
    target = {"kind": "Deployment", "name": name, "namespace": NS}
    spec = {"remediationRequestRef": {"name": case}, "signalTarget": target, "remediationTarget": target}
    told = {"signalFingerprint": "f", "signalName": "Alert", "fixStartedAt": at, "fixCompletedAt": at}
    return _ours("EffectivenessAssessment", f"ea-{case}", spec | told, {"verdict": verdict} if verdict else {})


def execution(case: str = "rr-1", **spec: Any) -> Obj:
    run = spec or {"workflowRef": {"workflowId": "grow", "containerImage": "r/w@sha256:" + "b" * 64}, "parameters": {"LIMIT": "256Mi"}}
    common = {"remediationRequestRef": {"name": case}, "targetResource": f"{NS}/deployment/checkout"}
    return _ours("WorkflowExecution", f"{case}-wfe", common | run, {})


def _ours(kind: str, name: str, spec: Obj, status: Obj) -> Obj:
    meta = {"name": name, "namespace": "kubernaut-system", "uid": name}
    return {"apiVersion": "kubernaut.ai/v1alpha1", "kind": kind, "metadata": meta, "spec": spec, "status": status}


def known(*objects: Obj) -> list[tuple[str, str, dict[str, str]]]:
    indexes = {model.card: functions for model, functions in history_indexes().items()}
    found = without_help(StillCluster(T0, objects, indexes), TARGET, DAY_AGO)
    return [(row.workflow_id, row.failed_step, row.parameters) for row in found]


GROWN = ("grow", "", {"LIMIT": "256Mi"})


@pytest.mark.parametrize(
    ("objects", "rows"),
    [
        pytest.param([assessment(), execution()], [GROWN], id="a workflow without effect"),
        pytest.param([assessment(verdict="Worse"), execution()], [GROWN], id="one that made it worse"),
        pytest.param([assessment(verdict="Effective"), execution()], [], id="one that helped may be done again"),
        pytest.param([assessment(verdict=None), execution()], [], id="one that is not judged yet"),
        pytest.param([assessment(verdict="Unknown"), execution()], [], id="one of which nobody knows"),
        pytest.param([assessment(hours=30), execution()], [], id="one of long ago"),
        pytest.param([assessment(name="other"), execution()], [], id="one on another target"),
        pytest.param([assessment(), execution("rr-2")], [], id="the run of another case"),
        pytest.param([assessment("rr-1", hours=2), assessment("rr-2"), execution("rr-1"), execution("rr-2")], [GROWN, GROWN], id="of every case"),
    ],
)  # fmt: skip
def test_a_fix_that_did_not_help_is_known(objects, rows):
    assert known(*objects) == rows


def test_typed_steps_are_known_by_what_they_did():
    steps = [{"stepNumber": 1, "action": "increase_resources", "parameters": {"memory": "256Mi", "reason": "OOMKilled"}}]
    run = execution(workflowDefinition={"name": "steps", "steps": steps})
    assert known(assessment(), run) == [("", "increase_resources", {"memory": "256Mi"})]


def test_it_says_when_and_how_it_was_judged():
    indexes = {model.card: functions for model, functions in history_indexes().items()}
    [row] = without_help(StillCluster(T0, [assessment(), execution()], indexes), TARGET, DAY_AGO)
    assert row.message == "assessed as Ineffective at 2026-03-02 11:00 UTC"
