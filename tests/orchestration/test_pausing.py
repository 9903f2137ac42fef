"""The kill switch over a real API: nothing begins while people have paused, in any stage, and who did what is on record."""

import pytest

from kubernaut.api.base import CANCEL_ANNOTATION
from kubernaut.api.brake import BRAKE, EVERYWHERE, RemediationBrake
from kubernaut.api.core import DEPLOYMENT
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli import pausing
from kubernaut.cli.approving import whoami
from kubernaut.execution import reconciler as execution
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.halt import halt
from kubernaut.kube.client import ApiError, Client
from kubernaut.kube.manager import Manager
from kubernaut.workflow import reconciler as workflow
from kubernaut.workflow.settings import WorkflowSettings
from tests.orchestration.cases import STEPS
from tests.orchestration.crowd import facts, place
from tests.world import eventually

SHOP = place("shop", "team-a")
CASE = "remediation-one"


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def pause(crowd, scope=EVERYWHERE, *, cancel=False, reason="a release is on its way"):
    return await pausing.pause(crowd.client, crowd.namespace, scope, reason, crowd.clock.now(), cancel=cancel)


async def resume(crowd, scope=EVERYWHERE):
    return await pausing.resume(crowd.client, crowd.namespace, scope, "it is out")


async def condition(crowd, model, name, status, type_="Paused"):
    """Wait until an object's condition has a status."""

    async def there():
        found = (await crowd.get(model.card, name) or {}).get("status", {})
        return found if any((each["type"], each["status"]) == (type_, status) for each in found.get("conditions", ())) else None

    return await eventually(there)


async def test_nothing_begins_while_paused_and_what_waited_goes_on(crowd):
    async with crowd.at_work():
        me = await whoami(crowd.client)
        await pause(crowd)
        await crowd.ready(CASE, SHOP)
        held = await crowd.status(CASE, overallPhase="Blocked", blockReason="Paused")
        assert held["blockMessage"].startswith(f"paused everywhere by {me} since ")
        assert held["blockMessage"].endswith(": a release is on its way")
        brake = await crowd.brake(lambda brake: brake["status"].get("phase") == "Paused")
        assert facts(brake) == ["RemediationPaused"]
        (fact,) = [each for each in brake["status"]["journal"]["pending"] if each["reason"] == "RemediationPaused"]
        assert (fact["data"]["actor"], fact["data"]["reason"]) == (me, "a release is on its way")
        assert await crowd.runs() == []
        await resume(crowd)
        await crowd.there(WorkflowExecution, f"{CASE}-wfe")
        brake = await crowd.brake(lambda brake: brake["status"].get("phase") == "Released")
        assert facts(brake) == ["RemediationPaused", "RemediationResumed"]


async def test_a_pause_of_a_namespace_holds_what_acts_on_it_alone(crowd):
    async with crowd.at_work():
        await pause(crowd, "team-a")
        await crowd.ready(CASE, SHOP)
        await crowd.status(CASE, overallPhase="Blocked", blockReason="Paused")
        await crowd.ready("remediation-two", place("shop", "team-b"))
        await crowd.there(WorkflowExecution, "remediation-two-wfe")
        assert [run["metadata"]["name"] for run in await crowd.runs()] == ["remediation-two-wfe"]


def stages(crowd):
    """The stages that begin work, in the test's namespace."""
    return (
        lambda manager: workflow.setup(manager, WorkflowSettings(namespace=crowd.namespace)),
        lambda manager: execution.setup(manager, ExecutionSettings(identity_namespace="")),
    )


async def steps(crowd, name="one"):
    """Make a workflow that has only to be planned."""
    spec = {
        "remediationRequestRef": {"name": CASE},
        "targetResource": "team-a/deployment/shop",
        "workflowDefinition": {"name": "scale", "steps": STEPS},
    }
    return await crowd.client.create(WorkflowExecution.card, {"metadata": {"name": name, "namespace": crowd.namespace}, "spec": spec})


async def test_a_workflow_that_was_created_but_not_begun_waits(crowd):
    async with crowd.at_work(*stages(crowd)):
        await pause(crowd)
        await steps(crowd)
        held = await condition(crowd, WorkflowExecution, "one", "True")
        assert held["phase"] == "Pending"
        assert "waiting until it is resumed" in held["message"]
        await resume(crowd)
        ended = await condition(crowd, WorkflowExecution, "one", "False")
        assert ended["phase"] == "Completed"


async def scaled(crowd, namespace, *names):
    """Make Deployments, and an execution that scales one after the other."""
    for name in names:
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}}
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
        await crowd.client.create(DEPLOYMENT, {"metadata": {"name": name, "namespace": namespace}, "spec": spec})
    operations = [
        {
            "stepNumber": number,
            "action": "scale_deployment",
            "parameters": {"namespace": namespace, "resource_name": name, "replicas": 2, "wait_for_ready": False},
        }
        for number, name in enumerate(names, 1)
    ]
    spec = {"remediationRequestRef": {"name": CASE}, "operations": operations}
    return await crowd.client.create(KubernetesExecution.card, {"metadata": {"name": "one", "namespace": crowd.namespace}, "spec": spec})


async def test_an_execution_waits_between_its_steps(crowd):
    shops = await crowd.world.namespace("shops")
    async with crowd.at_work(*stages(crowd)):
        await pause(crowd, shops)
        await scaled(crowd, shops, "cart", "till")
        held = await condition(crowd, KubernetesExecution, "one", "True")
        assert held["message"].startswith("step 1 scale_deployment waits until it is resumed: paused in namespace ")
        assert (await crowd.client.get(DEPLOYMENT, "cart", shops))["spec"]["replicas"] == 1
        await resume(crowd, shops)
        ended = await condition(crowd, KubernetesExecution, "one", "True", "Complete")
    assert ended["phase"] == "Completed"
    assert [(await crowd.client.get(DEPLOYMENT, name, shops))["spec"]["replicas"] for name in ("cart", "till")] == [2, 2]


async def test_a_trial_is_not_held(crowd):
    shops = await crowd.world.namespace("shops")
    async with crowd.at_work(*stages(crowd)):
        await pause(crowd)
        template = {"metadata": {"labels": {"app": "cart"}}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}}
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": "cart"}}, "template": template}
        await crowd.client.create(DEPLOYMENT, {"metadata": {"name": "cart", "namespace": shops}, "spec": spec})
        parameters = {"namespace": shops, "resource_name": "cart", "replicas": 2}
        trial = {
            "remediationRequestRef": {"name": CASE},
            "operations": [{"stepNumber": 1, "action": "scale_deployment", "parameters": parameters}],
            "executionConfig": {"dryRun": True},
        }
        await crowd.client.create(KubernetesExecution.card, {"metadata": {"name": "trial", "namespace": crowd.namespace}, "spec": trial})
        ended = await condition(crowd, KubernetesExecution, "trial", "True", "Complete")
    assert "replicas: 2" in ended["operationResults"][0]["diff"]


async def test_running_work_is_cancelled_where_that_was_asked_for(crowd):
    async with crowd.at_work():
        await crowd.ready(CASE, SHOP)
        await crowd.report(WorkflowExecution, f"{CASE}-wfe", phase="Running", startTime=crowd.clock.now().isoformat())
        await crowd.status(CASE, overallPhase="Executing")
        await pause(crowd, "team-b", cancel=True)
        await crowd.brake(lambda brake: brake["status"].get("phase") == "Paused")
        assert CANCEL_ANNOTATION not in (await crowd.get(RemediationRequest.card, CASE))["metadata"].get("annotations", {})
        await pause(crowd, cancel=True)

        async def cancelled():
            return (await crowd.get(RemediationRequest.card, CASE))["metadata"].get("annotations", {}).get(CANCEL_ANNOTATION)

        assert "paused everywhere by" in await eventually(cancelled)


async def test_what_cannot_be_read_counts_as_paused(crowd):
    assert await halt(crowd.world.manager().cluster, crowd.namespace, "team-a") == ""
    gone = Client("https://127.0.0.1:1", token="nobody")
    try:
        cluster = Manager(gone, crowd.clock, name="test", namespace=crowd.namespace).cluster
        assert "counts as paused" in await halt(cluster, crowd.namespace, "team-a")
    finally:
        await gone.close()


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        pytest.param({"pauses": [{"namespace": "*", "by": "somebody@else", "at": "2026-01-01T00:00:00Z"}]}, "by must be", id="for another"),
        pytest.param({"changedBy": "somebody@else"}, "changedBy must be", id="changed by another"),
    ],
)
async def test_nobody_pauses_under_another_name(crowd, spec, refused):
    with pytest.raises(ApiError, match=refused):
        await crowd.client.create(RemediationBrake.card, {"metadata": {"name": BRAKE, "namespace": crowd.namespace}, "spec": spec})


async def test_nobody_resumes_in_silence(crowd):
    await pause(crowd)
    with pytest.raises(ApiError, match="work is paused: resume it before"):
        await crowd.client.delete(RemediationBrake.card, BRAKE, crowd.namespace)
    body = {"spec": {"pauses": None, "changedBy": "somebody@else"}}
    with pytest.raises(ApiError, match="changedBy must be"):
        await crowd.client.patch(RemediationBrake.card, BRAKE, crowd.namespace, body)
    assert await resume(crowd) == []
    brake = await crowd.get(RemediationBrake.card, BRAKE)
    assert (brake["spec"]["changedBy"], brake["spec"]["changeReason"]) == (await whoami(crowd.client), "it is out")
    await crowd.client.delete(RemediationBrake.card, BRAKE, crowd.namespace)


async def test_pausing_twice_stays_with_who_paused_first(crowd):
    first = await pause(crowd, reason="first")
    again = await pause(crowd, reason="second")
    assert (first.reason, again.reason) == ("first", "first")
    assert (await pause(crowd, cancel=True, reason="now really")).cancel


async def test_there_must_be_something_to_resume(crowd):
    with pytest.raises(pausing.CannotResume, match=r"^nothing is paused$"):
        await resume(crowd)
    await pause(crowd, "team-a")
    with pytest.raises(pausing.CannotResume, match="there is no pause everywhere; paused in namespace team-a by"):
        await resume(crowd)


async def test_the_status_tells_who_paused_what_runs_and_what_waits_for_what(crowd):
    assert "Not paused. No brake is there yet" in (await pausing.status_lines(crowd.client, crowd.namespace, crowd.clock.now()))[0]
    async with crowd.at_work():
        await crowd.ready(CASE, SHOP)
        await crowd.there(WorkflowExecution, f"{CASE}-wfe")
        await pause(crowd)
        await crowd.ready("remediation-two", place("cart", "team-a"))
        await crowd.status("remediation-two", overallPhase="Blocked")
        await crowd.brake(lambda brake: bool(brake["status"].get("limits")))
        lines = await pausing.status_lines(crowd.client, crowd.namespace, crowd.clock.now())
    assert lines[0].startswith("Paused everywhere by ")
    assert lines[1:4] == [
        "2 open, 1 of 5 in execution, 1 of 20 started in the last hour.",
        f"  {CASE}  increase-memory-conservative on team-a/deployment/shop",
        "1 held:",
    ]
    assert lines[4].startswith("  remediation-two  Paused: paused everywhere by ")
