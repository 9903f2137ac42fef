"""kubernaut undo: shown first, asked for under one's own name, carried out by the stage with the rights of the action's own account."""

from datetime import UTC, datetime

import pytest

from kubernaut.api.core import CONFIG_MAP
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli import undoing
from kubernaut.execution.reconciler import setup
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.kube.client import ApiError
from tests.world import eventually, running

KE = KubernetesExecution.card
T0 = datetime(2026, 1, 1, tzinfo=UTC)


async def carried_out(world, place, name="rr-1-execution"):
    """Carry out a change of a ConfigMap."""
    step = {
        "stepNumber": 1,
        "action": "update_configmap",
        "parameters": {"namespace": place, "resource_name": "app", "data": {"level": "debug"}},
    }
    spec = {"remediationRequestRef": {"name": "rr-1"}, "operations": [step]}
    await world.client.create(KE, {"metadata": {"name": name, "namespace": world.system}, "spec": spec})

    async def ended():
        found = await world.client.get(KE, name, world.system)
        return found.get("status", {}).get("completionTime") and found["status"]

    return await eventually(ended)


async def furnished(world):
    """Make a namespace with a ConfigMap, and a manager with the stage."""
    place, manager = await world.namespace("undo"), world.manager()
    await world.client.create(CONFIG_MAP, {"metadata": {"name": "app", "namespace": place}, "data": {"level": "info"}})
    setup(manager, ExecutionSettings(poll=0.2))
    return place, manager


async def test_a_fix_is_shown_and_taken_back_under_ones_own_name(world):
    place, manager = await furnished(world)
    async with running(manager):
        status = await carried_out(world, place)
        assert status["phase"] == "Completed", status["message"]
        assert "as system:serviceaccount:kubernaut-system:update-configmap-sa" in status["operationResults"][0]["checks"][1]["message"]
        found = await undoing.find(world.client, world.system, "rr-1")
        shown = await undoing.preview(world.client, found)
        assert undoing.verdict(shown) == ""
        assert list(undoing.lines(shown)) == [f"step 1  {place}/configMap/app  Undone: put back as it was before"]
        with pytest.raises(ApiError, match="nobody undoes for somebody else"):
            await world.client.patch(
                KE,
                found.metadata.name,
                world.system,
                {"spec": {"undo": {"requestedBy": "somebody", "requestedAt": "2026-01-01T00:00:00Z"}}},
            )
        asked = await undoing.ask(world.client, found, "it did not help", T0)
        said = await undoing.answer(world.client, found, asked)
    assert undoing.tell(said, found) == 0
    assert said is not None
    assert said.requested_by == asked.requested_by
    assert (await world.client.get(CONFIG_MAP, "app", place))["data"] == {"level": "info"}


async def test_a_conflict_is_shown_before_anything_is_asked_for(world):
    place, manager = await furnished(world)
    async with running(manager):
        await carried_out(world, place)
    await world.client.patch(CONFIG_MAP, "app", place, {"data": {"level": "trace"}})
    shown = await undoing.preview(world.client, await undoing.find(world.client, world.system, "rr-1-execution"))
    assert undoing.verdict(shown).startswith("somebody else has changed the same fields")
    assert [line.strip() for line in undoing.lines(shown)][1:] == [
        "data.level",
        'before the fix: "info"',
        'after the fix:  "debug"',
        'now:            "trace"',
    ]


def run_of(place, **status):
    """Return a run from the catalogue that has ended."""
    spec = {
        "remediationRequestRef": {"name": "rr-2"},
        "targetResource": f"{place}/configmap/app",
        "workflowRef": {"workflowId": "restore-key", "containerImage": "w@sha256:" + "a" * 64, "version": "1.0.0"},
    }
    ended = {"phase": "Completed", "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:00Z"}
    return WorkflowExecution.model_validate({"metadata": {"name": "rr-2-wfe"}, "spec": spec, "status": {**ended, **status}})


async def catalogue_run(world, place, **status):
    """Write down a run from the catalogue."""
    made = run_of(place, **status).wire()
    meta = {"metadata": {"name": "rr-2-wfe", "namespace": world.system}}
    await world.client.create(WorkflowExecution.card, {**meta, "spec": made["spec"]})
    await world.client.patch(WorkflowExecution.card, "rr-2-wfe", world.system, {"status": made["status"]}, subresource="status")
    return await undoing.find(world.client, world.system, "rr-2")


async def test_what_a_run_from_the_catalogue_changed_is_shown_the_same_way(world):
    place, _ = await furnished(world)
    live = await world.client.get(CONFIG_MAP, "app", place)
    where = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": place, "name": "app", "uid": live["metadata"]["uid"]}
    changed = {**where, "action": "restore-key", "before": {"data": {"level": "warn"}}, "after": {"data": {"level": "info"}}}
    reversal = {"kind": "exact", "patch": {"data": {"level": "warn"}}}
    found = await catalogue_run(world, place, changed=changed, reversal=reversal)
    assert found.metadata.name == "rr-2-wfe"
    shown = await undoing.preview(world.client, found)
    assert list(undoing.lines(shown)) == [f"step 1  {place}/configMap/app  Undone: put back as it was before"]
    await world.client.patch(CONFIG_MAP, "app", place, {"data": {"level": "trace"}})
    assert undoing.verdict(await undoing.preview(world.client, found)).startswith("somebody else has changed the same fields")
    asked = {"requestedBy": "somebody", "requestedAt": "2026-01-01T00:00:00Z"}
    with pytest.raises(ApiError, match="nobody undoes for somebody else"):
        await world.client.patch(WorkflowExecution.card, "rr-2-wfe", world.system, {"spec": {"undo": asked}})
    asked_for = await undoing.ask(world.client, found, "it did not help", T0)
    assert await undoing.answer(world.client, found, asked_for, seconds=0) is None  # nobody is at work; the request stands


async def test_why_a_run_cannot_be_taken_back_is_told(world):
    place, _ = await furnished(world)
    found = await catalogue_run(world, place, reversalNote="the target is larger than what is kept")
    shown = await undoing.preview(world.client, found)
    assert list(undoing.lines(shown)) == [f"step 1  {place}/configmap/app  NotUndoable: the target is larger than what is kept"]
    assert undoing.verdict(shown) == "there is nothing that could be taken back"


async def test_what_is_not_there_is_told(world):
    with pytest.raises(undoing.CannotUndo, match=f"no fix of 'nobody' has been carried out in {world.system}"):
        await undoing.find(world.client, world.system, "nobody")
