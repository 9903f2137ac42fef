"""The brake over a real API: limits under a crowd, and storms that come and go."""

import asyncio
from datetime import timedelta

import pytest

from kubernaut.api.brake import BRAKE, RemediationBrake
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.informer import Informer
from kubernaut.orchestration.gate.brake import BrakeSettings
from kubernaut.orchestration.settings import OrchestrationSettings
from tests.orchestration.crowd import facts, place
from tests.world import eventually

FREE = BrakeSettings(concurrent=None, concurrent_per_namespace=None, hourly=None, hourly_per_namespace=None, storm_cases=None)


def limited(**limits):
    return OrchestrationSettings(brake=FREE.model_copy(update=limits), verification=False)


pytestmark = pytest.mark.asyncio(loop_scope="module")


class Watcher:
    """Sees how many fixes are open at every moment, by the order of the API's own events."""

    def __init__(self, crowd):
        self._crowd, self._open, self.most, self.most_in_one = crowd, {}, 0, 0
        self.informer = Informer(crowd.client, WorkflowExecution.card, crowd.namespace)
        self.informer.on_change(self._changed)

    def _changed(self, _old, new):
        name = new["metadata"]["name"]
        if (new.get("status") or {}).get("completionTime"):
            self._open.pop(name, None)
        else:
            self._open[name] = new["spec"]["targetResource"].split("/")[0]
        namespaces = list(self._open.values())
        self.most = max(self.most, len(namespaces))
        self.most_in_one = max([self.most_in_one, *(namespaces.count(each) for each in namespaces)])

    def open(self):
        return sorted(self._open)


async def test_thirty_cases_at_once_keep_the_limits_and_all_have_their_turn(crowd):
    targets = {f"remediation-{number:02}": place(f"shop-{number:02}", f"team-{number % 3}") for number in range(30)}
    watcher = Watcher(crowd)
    work = asyncio.create_task(watcher.informer.run())
    async with crowd.at_work(settings=limited(concurrent=4, concurrent_per_namespace=2)):
        await asyncio.gather(*(crowd.ready(name, target) for name, target in targets.items()))
        left = len(targets)
        while left:
            fixes = await eventually(lambda: asyncio.sleep(0, watcher.open()))
            moment = crowd.clock.now().isoformat()
            await asyncio.gather(
                *(crowd.report(WorkflowExecution, name, phase="Completed", startTime=moment, completionTime=moment) for name in fixes)
            )
            await asyncio.gather(*(crowd.status(name.removesuffix("-wfe"), overallPhase="Completed") for name in fixes))
            left -= len(fixes)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert 1 < watcher.most <= 4
    assert watcher.most_in_one <= 2


async def test_what_is_held_says_by_what_with_the_figure_and_a_restart_counts_the_same(crowd):
    settings = limited(concurrent_per_namespace=1)
    async with crowd.at_work(settings=settings):
        await crowd.ready("remediation-one", place("shop", "team-a"))
        await crowd.there(WorkflowExecution, "remediation-one-wfe")
        await crowd.ready("remediation-two", place("cart", "team-a"))
        held = await crowd.status("remediation-two", overallPhase="Blocked", blockReason="RemediationLimit")
        assert held["blockMessage"] == "1 of 1 remediations are running in namespace team-a"
        assert held["blockedUntil"]
    async with crowd.at_work(settings=settings):
        await crowd.ready("remediation-three", place("till", "team-b"))
        await crowd.there(WorkflowExecution, "remediation-three-wfe")
        assert await crowd.get(WorkflowExecution.card, "remediation-two-wfe") is None


async def test_no_more_are_started_in_an_hour_than_the_settings_say(crowd):
    async with crowd.at_work(settings=limited(hourly=1)):
        await crowd.ready("remediation-one", place("shop", "team-a"))
        moment = crowd.clock.now().isoformat()
        await crowd.report(WorkflowExecution, "remediation-one-wfe", phase="Completed", startTime=moment, completionTime=moment)
        await crowd.status("remediation-one", overallPhase="Completed")
        await crowd.ready("remediation-two", place("cart", "team-b"))
        held = await crowd.status("remediation-two", overallPhase="Blocked")
        assert held["blockMessage"].startswith("1 of 1 remediations an hour were started in the cluster; next look at ")
        await crowd.skip("remediation-two", hours=1, seconds=1)
        await crowd.status("remediation-two", workflowExecutionRef={"name": "remediation-two-wfe", "namespace": crowd.namespace})


async def test_storm_mode_comes_and_goes_by_itself_and_is_on_record(crowd):
    names = [f"remediation-{number}" for number in range(6)]
    async with crowd.at_work(settings=limited(storm_cases=4, storm_cooldown=timedelta(minutes=10))):
        await asyncio.gather(*(crowd.open(name, place(f"shop-{name}", "team-a")) for name in names))
        stormy = await crowd.brake(lambda brake: brake["status"].get("storm", {}).get("cases") == len(names))
        assert (stormy["status"]["phase"], facts(stormy)) == ("Storm", ["StormBegan"])
        for name in names[:2]:
            await crowd.enriched(name, place(f"shop-{name}", "team-a"))
            await crowd.planned(name, place(f"shop-{name}", "team-a"))
            held = await crowd.status(name, overallPhase="Blocked", blockReason="StormMode")
            assert "6 new cases came within minutes; nothing new is started before" in held["blockMessage"]
        assert await crowd.runs() == []
        (told,) = await crowd.messages()
        assert told.startswith("storm-")

        await crowd.skip(*names, minutes=11)
        calm = await crowd.brake(lambda brake: brake["status"].get("storm") is None)
        assert (calm["status"]["phase"], facts(calm)) == ("Released", ["StormBegan", "StormEnded"])
        for name in names[:2]:
            await crowd.there(WorkflowExecution, f"{name}-wfe")
        bulk = (await crowd.messages())[f"{told}-over"]["spec"]["body"]
    assert "6 cases came, 0 have ended, 6 are open" in bulk
    assert "remediation-0 PodOOMKilled on `team-a/deployment/shop-remediation-0`" in bulk


async def test_there_is_always_a_brake_and_it_says_the_limits(crowd):
    async with crowd.at_work():
        made = await crowd.brake(lambda brake: bool(brake.get("status", {}).get("limits")))
        assert made["status"]["limits"] == {"concurrent": 5, "concurrentPerNamespace": 2, "hourly": 20, "hourlyPerNamespace": 10}
        await crowd.client.delete(RemediationBrake.card, BRAKE, crowd.namespace)
        await crowd.brake(lambda brake: brake["metadata"]["uid"] != made["metadata"]["uid"])
