"""Killed at any of its API calls, an action goes on to its end with one effect or none, and so does its undo.

Each run carries an action out and takes it back on the same scene, one death in each; what was done is counted in the embedded cluster's own log.
A death before a call leaves the same cluster as one after the call before it.
"""

from collections import Counter
from itertools import zip_longest
from zlib import crc32

import pytest

from kubernaut.api.core import POD
from kubernaut.api.execution import UndoKind
from kubernaut.api.keyed import keyed
from kubernaut.kube.patches import merged
from kubernaut.kube.reversal import against
from tests.drivers.scene import at_scene, every_action
from tests.execution.mortal import ALIVE, GOING, MortalScene
from tests.execution.mortality import Death, content, excerpt

pytestmark = pytest.mark.cluster
SAMPLES = 2
"""Deaths of an action in the default series, beside the one right after its effect."""
EFFECTS = 2
"""Of an action's writes so many are followed by death for certain."""
FEWEST = 3
"""Calls that any action makes at least."""
ROLLING = {"scale_deployment", "scale_statefulset", "migrate_workload", "rollout_restart", "restart_daemonset", "rollback_deployment"} | {
    "increase_resources",
    "patch_deployment",
}
"""Actions after which controllers replace pods."""


@pytest.fixture
async def shop():
    async with at_scene(MortalScene) as bench:
        yield bench


async def lives(shop, action, death=ALIVE, second=ALIVE):
    """Carry an action out and take it back, a death in each; check what was done. Return the processes that died."""
    before = await shop.beginning()
    where, victims = shop.target(action), await shop.victims(action)
    acting, status = await shop.acts(death, shop.told(action))
    assert status["phase"] == "Completed", (death, status)
    await shop.rest()
    assert shop.changed(before, await shop.state()) == ({(where.kind.kind, where.name)} if where else set()), death
    result, changed = once_on_record(action, status), None
    if where and action.name not in GOING:
        changed = the_one_change(shop, where)
        recorded_as_it_was(action, result, where, changed)
    if action.name not in ROLLING:
        assert sorted(shop.log(POD).deleted()) == victims, death
        assert {(each["name"], each["uid"]) for each in result.get("resourcesAffected", []) if each["kind"] == POD.kind} >= set(victims)
    undoing, undo = await shop.takes_back(second)
    await shop.rest()
    taken_back_once(shop, action, where, changed, undo)
    return acting, undoing


def once_on_record(action, status):
    """Check that the record knows of one operation, carried out once and effective."""
    (result,) = status["operationResults"]
    facts = Counter(each["reason"] for each in status["journal"]["pending"])
    assert (facts["OperationExecuted"], facts["OperationFailed"]) == (1, 0)
    assert [each["name"] for each in result["checks"] if each["passed"]][-1] == "postconditions"
    assert (result.get("undo") or {"kind": "none"})["kind"] == action.undo.value
    return result


def the_one_change(shop, where):
    """Return an object before and after the one write that changed it since the run began."""
    changes = shop.log(where.kind).changes(where.name)
    assert len(changes) == 1, changes
    (before, after) = changes[0]
    if before and after and "generation" in before["metadata"]:
        assert after["metadata"]["generation"] - before["metadata"]["generation"] == (before["spec"] != after["spec"])
    return before, after


def recorded_as_it_was(action, result, where, changed):
    """Check the record of a change, and the way back in it, against the object's revisions."""
    (before, after), affected, undo = changed, result["resourcesAffected"][0], result["undo"]
    named = (affected["kind"], affected.get("namespace", ""), affected["name"], affected["uid"])
    assert named == (where.kind.kind, where.namespace, where.name, after["metadata"]["uid"])
    assert affected.get("before", {}) == excerpt(keyed(before or {}), affected.get("before", {}))
    assert affected.get("after", {}) == excerpt(keyed(after), affected.get("after", {}))
    if action.undo is not UndoKind.NONE:
        assert affected["after"] != affected.get("before")
        assert undo.get("created", False) == (before is None)
        assert before is None or content(merged(after, against(after, undo["patch"]))) == content(before)


def taken_back_once(shop, action, where, changed, undo):
    """Check that one write put the object back to the byte, or that nothing was touched where nothing can be taken back."""
    if action.undo is UndoKind.NONE:
        assert undo["outcome"] == ("NotUndoable" if where else "Nothing"), undo
        assert where is None or shop.log(where.kind).changes(where.name) == []
        return
    assert undo["outcome"] == "Undone", undo
    (again, back) = the_one_change(shop, where)
    assert (content(again), content(back)) == (content(changed[1]), content(changed[0]))


@every_action
async def test_killed_at_some_of_its_calls_an_action_has_one_effect_and_its_undo_too(shop, action):
    whole, undone = await lives(shop, action)
    deaths = [*whole.effects()[:EFFECTS], *spread(len(whole.calls), action.name)]
    second = [*undone.effects()[:EFFECTS], *spread(len(undone.calls), action.name)]
    for first, last in zip_longest(deaths, second[: len(deaths)], fillvalue=0):
        acting, _ = await lives(shop, action, Death(first), Death(last))
        assert acting.dead.is_set() or first > len(acting.calls)


def spread(calls, name):
    """Return some calls of so many: not the same ones for every action."""
    offset = crc32(name.encode()) % calls
    return sorted({1 + (offset + part * calls // SAMPLES) % calls for part in range(SAMPLES)})


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("sent", [True, False], ids=["answer lost", "not sent"])
@every_action
async def test_killed_at_any_of_its_calls_an_action_has_one_effect_and_its_undo_too(shop, action, sent):
    undone = call = 0
    died = True
    while died:
        call += 1
        acting, undoing = await lives(shop, action, Death(call, sent), Death(1 + call % undone if undone else 0, sent))
        undone = undone or len(undoing.calls)
        died = acting.dead.is_set()
    assert call > FEWEST
