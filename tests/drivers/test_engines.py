"""What every engine keeps: each call may come again after a crash, and there is still one run, one end, and nothing left behind."""

from contextlib import asynccontextmanager
from typing import Any

import pytest

from kubernaut.api.catalog import Engine as EngineName
from kubernaut.api.core import PIPELINE_RUN, TASK_RUN
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.cluster import Caches, Cluster
from kubernaut.localcluster.pipelines import TektonWebhook
from kubernaut.workflow.decide import RunState
from kubernaut.workflow.engines.base import ABSENT
from kubernaut.workflow.reconciler import built
from kubernaut.workflow.settings import WorkflowSettings
from tests.workflow.bench import RUNS, Bench, bench_of
from tests.workflow.executions import execution_of

STEPS = {"name": "plan", "steps": [{"stepNumber": 1, "action": "notify_only", "parameters": {"message": "look"}}]}
FORMS: dict[EngineName, dict[str, Any]] = {EngineName.TEKTON: {}, EngineName.STEPS: {"workflowDefinition": STEPS}}
"""What an execution of each engine has in its spec. A new engine adds a row."""
_NOWHERE = Client("http://127.0.0.1:1")
NAMES = list(built(Cluster(_NOWHERE, SystemClock(), Caches(_NOWHERE)), WorkflowSettings()))
every_engine = pytest.mark.parametrize("name", NAMES)
ENDED = {
    "conditions": [{"type": "Succeeded", "status": "True", "reason": "Succeeded", "message": "done"}],
    "completionTime": "2026-01-01T00:10:00Z",
}
SPENT = {RunState.SUCCEEDED, RunState.FAILED, RunState.SPOILED}


@pytest.fixture
async def bench():
    async with bench_of(Bench, WorkflowExecution) as found:
        found.cluster.registry.gates.append(TektonWebhook())
        yield found


@asynccontextmanager
async def engine(bench, name):
    """Give a new engine of a name, as a process that has just started has it."""

    def watching(manager):
        for kind in (PIPELINE_RUN, TASK_RUN):
            manager.informer(kind, namespace=RUNS)

    async with bench.at_work(watching) as manager:
        yield built(manager.cluster, WorkflowSettings())[name]


async def runs(bench):
    return [(each["metadata"]["name"], each["metadata"]["uid"]) for each in (await bench.client.list(PIPELINE_RUN, RUNS)).items]


async def end(bench):
    """Let every run that the cluster holds succeed."""
    for name, _ in await runs(bench):
        await bench.client.patch(PIPELINE_RUN, name, RUNS, {"status": ENDED}, subresource="status")


def told(run):
    """Return what a run is, less the moment it was looked at."""
    return run.state, run.reference, run.operations


@every_engine
async def test_before_the_start_there_is_nothing(bench, name):
    async with engine(bench, name) as found:
        assert await found.observe(execution_of(**FORMS[name])) == ABSENT
    assert await runs(bench) == []


@every_engine
async def test_starting_again_is_the_same_run(bench, name):
    execution = execution_of(**FORMS[name])
    async with engine(bench, name) as found:
        first = await found.start(execution)
        again = await found.start(execution)
        after = await runs(bench)
    async with engine(bench, name) as restarted:
        third = await restarted.start(execution)
    assert first.state is not RunState.ABSENT
    assert told(first) == told(again) == told(third)
    assert await runs(bench) == after
    assert len(after) <= 1


@every_engine
async def test_a_run_is_observed_as_it_was_started_unless_it_is_over_already(bench, name):
    execution = execution_of(**FORMS[name])
    async with engine(bench, name) as found:
        started = await found.start(execution)
        seen = await found.observe(execution)
    assert told(seen) == told(started) or (started.state in SPENT and seen == ABSENT)


@every_engine
async def test_another_execution_of_the_name_does_not_take_the_run_over(bench, name):
    async with engine(bench, name) as found:
        await found.start(execution_of(uid="first", **FORMS[name]))
        before = await runs(bench)
        second = execution_of(uid="second", **FORMS[name])
        state = (await found.start(second)).state
        assert await found.cleanup(second)
    assert await runs(bench) == before
    assert state is (RunState.FOREIGN if before else RunState.SUCCEEDED)


@every_engine
async def test_stopping_what_never_ran_does_nothing(bench, name):
    execution = execution_of(**FORMS[name])
    async with engine(bench, name) as found:
        await found.cancel(execution)
        assert await found.observe(execution) == ABSENT


@every_engine
async def test_stopping_twice_is_stopping_once(bench, name):
    execution = execution_of(**FORMS[name])
    async with engine(bench, name) as found:
        await found.start(execution)
        await found.cancel(execution)
        await found.cancel(execution)
    stopped = [each["spec"].get("status") for each in (await bench.client.list(PIPELINE_RUN, RUNS)).items]
    assert stopped == ["Cancelled"] * len(stopped)


@every_engine
async def test_stopping_what_has_ended_leaves_its_end_as_it_is(bench, name):
    execution = execution_of(**FORMS[name])
    async with engine(bench, name) as found:
        await found.start(execution)
        await end(bench)
        for run, _ in await runs(bench):
            await bench.until(PIPELINE_RUN, RUNS, run, lambda obj: "completionTime" in (obj.get("status") or {}))
    async with engine(bench, name) as found:
        before = await found.observe(execution)
        await found.cancel(execution)
        assert told(await found.observe(execution)) == told(before)
        assert before.state in SPENT | {RunState.ABSENT}


@every_engine
async def test_cleaning_up_leaves_nothing_and_may_come_again(bench, name):
    execution = execution_of(**FORMS[name])
    async with engine(bench, name) as found:
        await found.start(execution)
        await found.cleanup(execution)
        assert await found.cleanup(execution)
        assert await found.cleanup(execution)
    assert await runs(bench) == []


@every_engine
async def test_cleaning_up_what_never_was_is_no_fault(bench, name):
    async with engine(bench, name) as found:
        assert await found.cleanup(execution_of(**FORMS[name]))
