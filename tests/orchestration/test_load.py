"""What counts as being carried out: also what a cache cannot show yet."""

from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.remediation import BY_REMEDIATION, RemediationRequest, remediation_of
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.client import Client
from kubernaut.kube.manager import Manager
from kubernaut.orchestration.gate.load import ALL, DOUBT, Doubts, at_work, load, watch
from tests.orchestration.cases import Case, resource

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SYSTEM = "kubernaut-system"
ONE, TWO = f"{SYSTEM}/one", f"{SYSTEM}/two"


class Clock:
    def now(self):
        return T0


@pytest.fixture
async def cluster():
    client = Client("http://127.0.0.1:1")
    manager = Manager(client, Clock(), name="test", namespace=SYSTEM)
    watch(manager)
    manager.informer(KubernetesExecution, indexes={BY_REMEDIATION: remediation_of})
    yield manager.cluster
    await client.close()


def seen(cluster, model, name, spec, status=None):
    obj = resource(model, name, {"remediationRequestRef": {"name": "one", "namespace": SYSTEM}, **spec}, status).wire()
    cluster.observe(model.card, {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(len(name))}})


def request(name="one", **status):
    found = Case(name=name).request
    return found.model_copy(update={"status": found.status.model_validate(status)})


def remediation(cluster, **status):
    obj = request(**status).wire()
    cluster.observe(RemediationRequest.card, {**obj, "metadata": {**obj["metadata"], "resourceVersion": "1"}})


def planned(cluster):
    spec = {
        "targetResource": "team-a/deployment/shop",
        "workflowDefinition": {"name": "x", "steps": [{"stepNumber": 1, "action": "restart_pod"}]},
    }
    seen(cluster, WorkflowExecution, "one-workflow", spec, {"phase": "Completed", "completionTime": T0})


def execution(cluster, **status):
    spec = {"operations": [{"stepNumber": 1, "action": "restart_pod", "parameters": {"namespace": "team-a"}}]}
    seen(cluster, KubernetesExecution, "one-execution", {**spec, "workflowExecutionRef": {"name": "one-workflow"}}, status)


async def test_a_plan_counts_until_it_is_taken_up_whatever_the_remediation_says_so_far(cluster):
    remediation(cluster, overallPhase="AwaitingApproval")
    planned(cluster)
    assert at_work(cluster, ALL) == at_work(cluster, "team-a") == {ONE}
    assert at_work(cluster, "team-b") == set()


async def test_once_it_is_carried_out_the_execution_tells(cluster):
    remediation(cluster, overallPhase="Analyzing")
    planned(cluster)
    execution(cluster, phase="Completed", completionTime=T0)
    assert at_work(cluster, "team-a") == set()


@pytest.mark.parametrize(
    "status", [{"overallPhase": "Failed", "completionTime": T0}, {"overallPhase": "Verifying"}], ids=["ended", "behind it"]
)
async def test_a_plan_that_nobody_will_carry_out_does_not_count(cluster, status):
    remediation(cluster, **status)
    planned(cluster)
    assert at_work(cluster, ALL) == set()


async def test_a_fix_whose_creation_was_not_answered_counts_for_others_until_it_is_known(cluster):
    doubts = Doubts()
    doubts.begin(request("one"), "team-a", T0)
    for namespace, running in (("team-a", 1), (ALL, 1), ("team-b", 0)):
        found = load(cluster, request("two"), namespace, T0, doubts)
        assert (found.running, len(found.started)) == (running, running)
    assert load(cluster, request("one"), ALL, T0, doubts).running == 0
    assert load(cluster, request("two"), ALL, T0 + DOUBT, doubts).running == 0
    doubts.end(request("one"))
    assert load(cluster, request("two"), ALL, T0 + timedelta(seconds=1), doubts).running == 0
