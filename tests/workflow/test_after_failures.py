"""After a run that failed: rest, a stop until a person has looked, and what is told of it."""

from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.cli.clearing import CannotClear, clear, line, waiting
from tests.workflow.bench import SYSTEM
from tests.workflow.recorded import recording
from tests.workflow.stage import NAME, TARGET, WFE, held

OTHER = {"remediationRequestRef": {"name": "rr-2"}}


def now():
    return datetime.now(UTC)


async def fail_under_way(world, name=NAME):
    """Let the run of an execution fail after its steps had begun."""
    case = recording("step-exit-3")
    await world.run_of(name)
    for task, obj in case.task_runs.items():
        await world.task_run(task, obj["status"])
    await world.tekton("False", "Failed", "Tasks Completed: 3", name=name, childReferences=case.pipeline_run["status"]["childReferences"])
    return await world.phase("Failed", name)


async def why(world, name):
    """Return why an execution waits, as its condition says."""
    status = (await world.until(WFE, SYSTEM, name, lambda obj: held(obj) & {"ResourceLocked", "Cooldown"}))["status"]
    return next(each["reason"] for each in status["conditions"] if each["status"] == "True"), status["message"]


async def test_after_a_failure_under_way_the_target_waits_for_a_person(world):
    async with world.at_work(world.stage()):
        await world.execute()
        failed = await fail_under_way(world)
        assert "ClearanceNeeded" in held({"status": failed})
        await world.execute("second", **OTHER)
        reason, message = await why(world, "second")
        assert reason == "PreviousExecutionFailed"
        assert f"kubernaut clear {NAME} --reason" in message
        assert [each.metadata.name for each in await waiting(world.client, SYSTEM)] == [NAME]
        assert line((await waiting(world.client, SYSTEM))[0]).startswith(f"{TARGET}: {NAME} failed at ")
        await clear(world.client, SYSTEM, TARGET, "rolled back by hand", now())
        await world.phase("Running", "second")
        first = await world.until(WFE, SYSTEM, NAME, lambda obj: "ClearanceNeeded" not in held(obj))
        assert first["status"]["blockClearance"]["clearReason"] == "rolled back by hand"
        assert await waiting(world.client, SYSTEM) == []
        _, record = await world.records.until("workflowexecution.block.cleared")
        assert record["workflowExecutionId"] == NAME


async def test_the_stop_outlives_the_deletion_of_who_caused_it(world):
    async with world.at_work(world.stage()):
        await world.execute()
        await fail_under_way(world)
        await world.client.delete(WFE, NAME, SYSTEM)
        await world.execute("second", **OTHER)
        assert (await why(world, "second"))[0] == "PreviousExecutionFailed"
        assert (await world.client.get(WFE, NAME, SYSTEM))["metadata"]["deletionTimestamp"]
        await clear(world.client, SYSTEM, NAME, "looked at it", now())
        await world.phase("Running", "second")
        await world.gone(WFE, SYSTEM, NAME)


async def test_another_attempt_of_the_same_remediation_may_follow(world):
    async with world.at_work(world.stage()):
        await world.execute()
        await fail_under_way(world)
        await world.execute("attempt-1")
        await world.phase("Running", "attempt-1")
        later = (now() + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        await world.tekton("True", "Succeeded", name="attempt-1", completionTime=later)
        await world.phase("Completed", "attempt-1")
        with pytest.raises(CannotClear, match="need not be cleared"):
            await clear(world.client, SYSTEM, TARGET, "why not", now())


async def test_who_waits_for_a_person_in_vain_is_told_so(world):
    async with world.at_work(world.stage()):
        await world.execute()
        await fail_under_way(world)
        await world.execute("second", **OTHER)
        await why(world, "second")
        world.clock.ahead = timedelta(minutes=31)
        await world.poke(WFE, SYSTEM, "second")
        details = (await world.phase("Failed", "second"))["failureDetails"]
        assert details["reason"] == "PreviousExecutionFailed"
        assert not details.get("wasExecutionFailure")


async def test_after_a_failure_before_anything_ran_the_target_rests_a_while(world):
    async with world.at_work(world.stage()):
        await world.execute()
        await world.run_of()
        await world.tekton("False", "CouldntGetPipeline", "connection refused")
        details = (await world.phase("Failed"))["failureDetails"]
        assert "its registry answers" in details["naturalLanguageSummary"]
        await world.execute("second", **OTHER)
        reason, message = await why(world, "second")
        assert (reason, "failed once before it began" in message) == ("Backoff", True)
        world.clock.ahead = timedelta(seconds=61)
        await world.poke(WFE, SYSTEM, "second")
        await world.phase("Running", "second")


@pytest.mark.parametrize(
    ("name", "reason", "said"),
    [
        (TARGET, "", "say why"),
        ("nowhere/deployment/x", "because", "kubernaut clear lists what waits"),
        (NAME, "because", "need not be cleared"),
    ],
)
async def test_what_cannot_be_cleared_is_said(world, name, reason, said):
    await world.execute()
    with pytest.raises(CannotClear, match=said):
        await clear(world.client, SYSTEM, name, reason, now())


async def test_clearing_twice_is_told(world):
    async with world.at_work(world.stage()):
        await world.execute()
        await fail_under_way(world)
        await clear(world.client, SYSTEM, "rr-1", "by its remediation", now())
        await world.until(WFE, SYSTEM, NAME, lambda obj: "ClearanceNeeded" not in held(obj))
        with pytest.raises(CannotClear, match=r"has cleared .* already: by its remediation"):
            await clear(world.client, SYSTEM, NAME, "again", now())
