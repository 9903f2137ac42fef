"""What every engine keeps: each call may come again after a crash, and there is still one run, one end, and nothing left behind."""

from contextlib import asynccontextmanager
from typing import Any

import pytest

from kubernaut.api.base import Unusable
from kubernaut.api.catalog import Engine as EngineName
from kubernaut.api.core import JOB, PIPELINE_RUN
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.cluster import Caches, Cluster
from kubernaut.localcluster.pipelines import TektonWebhook
from kubernaut.workflow.decide import RunState
from kubernaut.workflow.engines.base import ABSENT
from kubernaut.workflow.engines.registry import GROUP, built, with_installed
from kubernaut.workflow.settings import WorkflowSettings
from tests.workflow.bench import RUNS, Bench, bench_anywhere
from tests.workflow.executions import execution_of

STEPS = {"name": "plan", "steps": [{"stepNumber": 1, "action": "notify_only", "parameters": {"message": "look"}}]}
FORMS: dict[str, dict[str, Any]] = {
    EngineName.TEKTON.value: {},
    EngineName.JOB.value: {"executionConfig": {"engine": "job"}},
    EngineName.STEPS.value: {"workflowDefinition": STEPS},
}
"""What an execution of each engine has in its spec. A new engine adds a row."""
_NOWHERE = Client("http://127.0.0.1:1")
NAMES = list(built(Cluster(_NOWHERE, SystemClock(), Caches(_NOWHERE)), WorkflowSettings()))
every_engine = pytest.mark.parametrize("name", NAMES)
KINDS = (PIPELINE_RUN, JOB)
"""What runs are made of."""
_TIMES = {"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:10:00Z"}
ENDED = {
    PIPELINE_RUN: _TIMES | {"conditions": [{"type": "Succeeded", "status": "True", "reason": "Succeeded", "message": "done"}]},
    JOB: _TIMES | {"succeeded": 1, "conditions": [{"type": each, "status": "True"} for each in ("SuccessCriteriaMet", "Complete")]},
}
"""How a run of a kind says that it succeeded."""
SPENT = {RunState.SUCCEEDED, RunState.FAILED, RunState.SPOILED}


@pytest.fixture
async def bench(anywhere):
    async with bench_anywhere(Bench, WorkflowExecution) as found:
        if not anywhere:
            found.cluster.registry.gates.append(TektonWebhook())
        yield found


@asynccontextmanager
async def engine(bench, name):
    """Give a new engine of a name, as a process that has just started has it."""

    def watching(manager):
        for kind in built(manager.cluster, WorkflowSettings())[name].watches:
            manager.informer(kind, namespace=RUNS)

    async with bench.at_work(watching) as manager:
        yield built(manager.cluster, WorkflowSettings())[name]


async def runs(bench):
    return [(kind, each["metadata"]["name"], each["metadata"]["uid"]) for kind, each in await objects(bench)]


async def objects(bench):
    return [(kind, each) for kind in KINDS for each in (await bench.client.list(kind, RUNS)).items]


async def end(bench):
    """Let every run that the cluster holds succeed."""
    for kind, name, _ in await runs(bench):
        await bench.client.patch(kind, name, RUNS, {"status": ENDED[kind]}, subresource="status")


def is_stopped(kind, obj):
    """Tell whether a run was told to stop, in the way of its kind."""
    return obj["spec"].get("status") == "Cancelled" if kind is PIPELINE_RUN else obj["spec"]["activeDeadlineSeconds"] == 1


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
    assert all(is_stopped(kind, obj) for kind, obj in await objects(bench))


@every_engine
async def test_stopping_what_has_ended_leaves_its_end_as_it_is(bench, name):
    execution = execution_of(**FORMS[name])
    async with engine(bench, name) as found:
        await found.start(execution)
        await end(bench)
        for kind, run, _ in await runs(bench):
            await bench.until(kind, RUNS, run, lambda obj: "completionTime" in (obj.get("status") or {}))
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


@every_engine
async def test_a_run_that_is_deleted_stays_until_it_is_on_record_and_is_never_made_again(bench, name):
    execution = execution_of(**FORMS[name])
    async with engine(bench, name) as found:
        started = await found.start(execution)
        before = await runs(bench)
        for kind, run, _ in before:
            await bench.client.delete(kind, run, RUNS, propagation="Background")
    async with engine(bench, name) as restarted:
        assert told(await restarted.start(execution)) == told(started)
        assert await runs(bench) == before
        execution.status.pipeline_run_ref = started.reference
        await restarted.observe(execution)
    assert await runs(bench) == []


@every_engine
async def test_a_run_is_at_work_from_its_start_to_its_end_whoever_asks(bench, name):
    execution = execution_of(**FORMS[name])
    async with engine(bench, name) as found:
        assert not found.at_work("rr-1-wfe", "uid-rr-1-wfe")
        await found.start(execution)
        assert found.at_work("rr-1-wfe", "uid-rr-1-wfe") is bool(await runs(bench))
        assert not found.at_work("rr-1-wfe", "another execution of the name")
        await end(bench)
        for kind, run, _ in await runs(bench):
            await bench.until(kind, RUNS, run, lambda obj: "completionTime" in (obj.get("status") or {}))
    async with engine(bench, name) as restarted:
        assert not restarted.at_work("rr-1-wfe", "uid-rr-1-wfe")


class Point:
    """An entry point, as importlib.metadata gives it."""

    value = "theirs:Engine"

    def __init__(self, name, made):
        self.name, self._made = name, made

    def load(self):
        return self._made


def installed(*points):
    return with_installed(Cluster(_NOWHERE, SystemClock(), Caches(_NOWHERE)), WorkflowSettings(), points)


def test_an_installed_engine_is_called_by_the_name_of_its_entry_point():
    own = built(Cluster(_NOWHERE, SystemClock(), Caches(_NOWHERE)), WorkflowSettings())["job"]
    assert installed(Point("argo", lambda _cluster, _settings: own))["argo"] is own
    assert GROUP == "kubernaut.engines"


@pytest.mark.parametrize(
    ("point", "why"),
    [
        pytest.param(Point("tekton", lambda *_: None), "two workflow engines are called 'tekton'", id="a name that is taken"),
        pytest.param(Point("argo", lambda *_: object()), "lacks watches, at_work", id="no engine"),
        pytest.param(Point("argo", lambda: None), "cannot be loaded", id="one that takes other arguments"),
    ],
)
def test_an_entry_point_that_is_no_engine_is_told(point, why):
    with pytest.raises(Unusable, match=why):
        installed(point)
