"""Killed at any of its API calls, an action goes on to its end with one effect or none, and so does its undo.

Each run carries an action out and takes it back on the same scene, one death in each; what was done is counted in the embedded cluster's own log.
A death before a call leaves the same cluster as one after the call before it.
"""

from collections import Counter
from contextlib import asynccontextmanager
from itertools import zip_longest
from zlib import crc32

import pytest

from kubernaut.api.core import NODE, POD
from kubernaut.api.execution import UndoKind
from kubernaut.execution.undo import merged
from kubernaut.kube.client import Client
from kubernaut.kube.credentials import Fixed, bearer
from kubernaut.kube.transport import HttpTransport
from tests.drivers.scene import POD_NAME, Scene, at_scene, every_action, operation, stage
from tests.execution.mortality import Death, MortalTransport, Revisions, content, excerpt
from tests.execution.world import KE, SHOP
from tests.workflow.bench import SYSTEM

pytestmark = pytest.mark.cluster
SAMPLES = 2
"""Deaths of an action in the default series, beside the one right after its effect."""
EFFECTS = 2
"""Of an action's writes so many are followed by death for certain."""
ALIVE = Death()
FEWEST = 3
"""Calls that any action makes at least."""
GOING = {"delete_pod", "restart_pod"}
"""Actions whose target goes."""
DELETING = {*GOING, "drain_node"}
ROLLING = {"scale_deployment", "scale_statefulset", "migrate_workload", "rollout_restart", "restart_daemonset", "rollback_deployment"} | {
    "increase_resources",
    "patch_deployment",
}
"""Actions after which controllers replace pods."""
VARIED = {
    "expand_pvc": lambda run: {"size": f"{run + 2}Gi"},
    "drain_node": lambda run: {"node_name": f"node-{1 + run % 2}"},
}
"""What an action is told in each run where the same again would change nothing."""


class MortalScene(Scene):
    """The scene, with processes that die on it; each run is told what changes something."""

    run = 0
    revision = 0
    """Where the log was when the run began."""

    @property
    def name(self):
        return f"rr-{self.run}-execution"

    async def beginning(self):
        """Make ready for a run; return what stands there."""
        self.run += 1
        await self.offer(f"n3w-{self.run}")
        return await self.state()

    def told(self, action):
        return operation(action, **VARIED.get(action.name, lambda _run: {})(self.run))

    def target(self, action):
        return action.target(action.parameters.model_validate(self.told(action)["parameters"]))

    @asynccontextmanager
    async def life(self, death):
        """Let a process work that dies at a call."""
        token = Fixed(bearer(self.cluster.admin_token))
        inner = HttpTransport(self.cluster.url, token, tls=None, server_name="", limit=8, user_agent="mortal")
        transport = MortalTransport(inner, death)
        try:
            async with self.at_work(stage, Client.over(transport)):
                transport.armed = True
                yield transport
        finally:
            await transport.close()

    async def acts(self, action, death):
        """Carry an action out, with a death on the way; return the process that died and the status at the end."""

        def ended(obj):
            return "completionTime" in (obj.get("status") or {})

        self.revision = self.cluster.registry.store.revision
        async with self.life(death) as process:
            await self.execute(self.told(action), name=self.name)
            await self.either(process.dead, KE, self.name, ended)
        return process, (await self.survived(process, ended))["status"]

    async def takes_back(self, death):
        """Ask for an undo, with a death on the way; return the process that died and what became of the undo."""

        def answered(obj):
            return "completionTime" in ((obj.get("status") or {}).get("undo") or {})

        self.revision = self.cluster.registry.store.revision
        async with self.life(death) as process:
            await self.ask_undo(self.name)
            await self.either(process.dead, KE, self.name, answered)
        return process, (await self.survived(process, answered))["status"]["undo"]

    async def survived(self, process, holds):
        """Have another process go on where one died."""
        if not process.dead.is_set():
            return await self.until(KE, SYSTEM, self.name, holds)
        await self.replaced()
        async with self.at_work(stage):
            return await self.until(KE, SYSTEM, self.name, holds)

    async def replaced(self):
        """Wait until the pod whose name comes back is another one, if it is going: the next process must not take that for the old one."""
        named = [each["metadata"] for each in (await self.client.list(POD, SHOP)).items if each["metadata"]["name"] == POD_NAME]
        going = {meta["uid"] for meta in named if "deletionTimestamp" in meta}
        if going:
            await self.until(POD, SHOP, POD_NAME, lambda obj: obj["metadata"]["uid"] not in going)

    async def victims(self, action):
        """Return the pods that an action is to delete, by name and uid."""
        if action.name not in DELETING:
            return []
        pods, where = (await self.client.list(POD, SHOP)).items, self.target(action)
        drained = where.kind is NODE

        def meant(pod):
            if drained:
                return pod["spec"]["nodeName"] == where.name and pod["metadata"]["ownerReferences"][0]["kind"] != "DaemonSet"
            return pod["metadata"]["name"] == where.name

        staying = [pod["metadata"] for pod in pods if meant(pod) and "deletionTimestamp" not in pod["metadata"]]
        return sorted((meta["name"], meta["uid"]) for meta in staying)

    def log(self, kind):
        return Revisions.of(self.cluster, kind, self.revision)


@pytest.fixture
async def shop():
    async with at_scene(MortalScene) as bench:
        yield bench


async def lives(shop, action, death=ALIVE, second=ALIVE):
    """Carry an action out and take it back, a death in each; check what was done. Return the processes that died."""
    before = await shop.beginning()
    where, victims = shop.target(action), await shop.victims(action)
    acting, status = await shop.acts(action, death)
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
    assert affected.get("before", {}) == excerpt(before or {}, affected.get("before", {}))
    assert affected.get("after", {}) == excerpt(after, affected.get("after", {}))
    if action.undo is not UndoKind.NONE:
        assert affected["after"] != affected.get("before")
        assert undo.get("created", False) == (before is None)
        assert before is None or content(merged(after, undo["patch"])) == content(before)


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
