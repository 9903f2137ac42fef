"""Verification over a real Kubernetes API: the test plays kubelet, roll-out and gateway, and writes what they would report."""

from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from kubernaut.api import core
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.kube.manager import Manager
from kubernaut.verification.reconciler import setup
from kubernaut.verification.settings import VerificationSettings
from tests.hands import rolled_out
from tests.world import eventually, running
from tests.world import world as make_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

RR, EA = "remediation-abcde12345", "ea-remediation-abcde12345"
LABELS = {"app": "payment"}
TEMPLATE = {
    "metadata": {"labels": LABELS},
    "spec": {"schedulerName": "nobody", "containers": [{"name": "app", "image": "registry.example/payment:1"}]},
}
OOM = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2126-01-01T00:00:00Z"}}


class Later:
    def __init__(self):
        self.ahead = timedelta()

    def now(self):
        return datetime.now(UTC) + self.ahead


def stamp(when):
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


class Scene:
    """A fixed Deployment, its remediation, and the assessment that looks at it."""

    def __init__(self, world, namespace):
        self.world, self.namespace, self.clock = world, namespace, Later()
        self.fixed = datetime.now(UTC)

    def manager(self):
        manager = Manager(self.world.client, self.clock, name="test", namespace=self.namespace)
        setup(manager, VerificationSettings(look_every=timedelta(milliseconds=20)))
        return manager

    async def deployment(self, *, ready):
        """Make the Deployment; where nobody rolls it out, do it by hand."""
        spec = {"replicas": 2, "selector": {"matchLabels": LABELS}, "template": TEMPLATE}
        made = await self._make(core.DEPLOYMENT, "payment", spec)
        self.live = await rolled_out(self.world, made)
        if not self.live:
            replicas = {"replicas": 2, "selector": spec["selector"], "template": TEMPLATE}
            held = await self._make(core.REPLICA_SET, "payment-1", replicas, owner=made)
            for number in range(2):
                await self._make(core.POD, f"payment-1-{number}", TEMPLATE["spec"], owner=held)
        self.pods = await eventually(self._two_pods)
        await self.become(ready=ready)

    async def _two_pods(self):
        found = (await self.world.client.list(core.POD, self.namespace)).items
        return sorted(pod["metadata"]["name"] for pod in found) if len(found) == 2 else None

    async def become(self, *, ready):
        """Write how the two pods stand now, and see that the Deployment tells it."""
        for number in range(2):
            await self.pod(number, ready=number < ready)
        status = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": ready, "availableReplicas": ready}
        if not self.live:
            await self.world.client.patch(core.DEPLOYMENT, "payment", self.namespace, {"status": status}, subresource="status")

        async def told():
            found = (await self.world.client.get(core.DEPLOYMENT, "payment", self.namespace))["status"]
            return status == {key: found.get(key, 0) for key in status}

        await eventually(told)

    async def pod(self, number, *, ready, last=None):
        body = {"status": self._pod(ready=ready, last=last)}
        await self.world.client.patch(core.POD, self.pods[number], self.namespace, body, subresource="status")

    def _pod(self, *, ready, last=None):
        container = {
            "name": "app",
            "image": "registry.example/payment:1",
            "imageID": "",
            "restartCount": 1 if last else 0,
            "ready": ready,
            "state": {"running": {"startedAt": stamp(self.fixed)}},
            "lastState": last or {},
        }
        ready_ = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": stamp(self.clock.now())}
        return {"phase": "Running", "conditions": [ready_], "containerStatuses": [container]}

    async def _make(self, kind, name, spec, owner=None):
        meta = {"name": name, "namespace": self.namespace, "labels": LABELS}
        if owner:
            reference = {"apiVersion": "apps/v1", "kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
            meta["ownerReferences"] = [{**reference, "controller": True}]
        return await self.world.create(kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "spec": spec})

    async def remediation(self, *, config=None, **more):
        now = stamp(self.fixed)
        target = {"kind": "Deployment", "name": "payment", "namespace": self.namespace}
        spec = {
            "signalFingerprint": "a" * 64,
            "signalName": "PodOOMKilled",
            "severity": "critical",
            "targetResource": f"{self.namespace}/deployment/payment",
            "target": target,
            **dict.fromkeys(("firingTime", "receivedTime", "createdAt"), now),
            "originalPayload": "{}",
            **more,
        }
        await self.world.create(RemediationRequest.card, {"metadata": {"name": RR, "namespace": self.namespace}, "spec": spec})
        assessed = {
            "remediationRequestRef": {"name": RR, "namespace": self.namespace},
            "signalTarget": target,
            "remediationTarget": {**target, "apiVersion": "apps/v1"},
            "signalFingerprint": "a" * 64,
            "signalName": "PodOOMKilled",
            "fixStartedAt": now,
            "fixCompletedAt": now,
            "baseline": {"ready": 1, "desired": 2, "crashReasons": ["CrashLoopBackOff"]},
            "config": {"stabilizationWindow": "5m", "validity": "25m", **(config or {})},
        }
        await self.world.create(EffectivenessAssessment.card, {"metadata": {"name": EA, "namespace": self.namespace}, "spec": assessed})

    async def alert(self, state):
        await self.world.client.patch(RemediationRequest.card, RR, self.namespace, {"status": {"signalState": state}}, subresource="status")

    async def until(self, **status):
        async def reached():
            found = (await self.world.client.get(EffectivenessAssessment.card, EA, self.namespace)).get("status", {})
            return found if all(found.get(key) == value for key, value in status.items()) else None

        return await eventually(reached)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(anywhere):
    async with make_world() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def scene(cluster):
    return Scene(cluster, await cluster.namespace("verification"))


async def test_well_through_the_window_and_resolved_is_effective(scene):
    await scene.deployment(ready=2)
    await scene.remediation()
    async with running(scene.manager()):
        first = await scene.until(phase="Stabilizing")
        assert first["message"] == "2 of 2 pods are ready, without restarts since the fix"
        scene.clock.ahead += timedelta(minutes=6)
        await scene.until(phase="Assessing")
        await scene.alert("resolved")
        ended = await scene.until(phase="Completed")
    assert (ended["verdict"], ended["reason"], ended["score"]) == ("Effective", "Full", 1.0)
    assert [entry["reason"] for entry in ended["journal"]["pending"]][-2:] == ["EffectivenessAssessed", "PhaseTransition"]
    kept = ended["journal"]["pending"][-2]["data"]  # what history tells the next analysis
    assert kept["components"] == {"health": 1.0, "alert": 1.0, "spec": 1.0}
    assert (kept["before"]["ready"], kept["after"]["ready"]) == (1, 2)


async def test_a_target_that_becomes_well_is_given_its_window_from_then(scene):
    await scene.deployment(ready=1)
    await scene.remediation()
    async with running(scene.manager()):
        await scene.alert("resolved")
        await scene.until(phase="Stabilizing", message="1 of 2 pods are ready")
        scene.clock.ahead += timedelta(minutes=6)
        await scene.become(ready=2)
        await scene.until(phase="Stabilizing", message="2 of 2 pods are ready, without restarts since the fix")
        scene.clock.ahead += timedelta(minutes=6)
        await scene.until(phase="Completed", verdict="Effective")


async def test_an_alert_that_never_resolves_is_not_effective(scene):
    await scene.deployment(ready=2)
    await scene.remediation()
    async with running(scene.manager()):
        await scene.until(phase="Stabilizing")
        scene.clock.ahead += timedelta(minutes=25)
        ended = await scene.until(phase="Completed")
    assert (ended["verdict"], ended["reason"]) == ("Ineffective", "AlertDecayTimeout")
    assert "yet the alert still fires" in ended["message"]


async def test_a_container_killed_for_memory_again_is_not_effective(scene):
    await scene.deployment(ready=2)
    await scene.remediation()
    async with running(scene.manager()):
        await scene.alert("resolved")
        await scene.pod(0, ready=True, last=OOM)
        await scene.until(message="2 of 2 pods are ready; 1 containers were killed for memory since the fix")
        scene.clock.ahead += timedelta(minutes=25)
        ended = await scene.until(phase="Completed")
    assert (ended["verdict"], ended["reason"]) == ("Ineffective", "Unhealthy")


async def test_fewer_ready_than_before_is_worse(scene):
    await scene.deployment(ready=0)
    await scene.remediation()
    async with running(scene.manager()):
        await scene.until(phase="Stabilizing")
        scene.clock.ahead += timedelta(minutes=6)
        ended = await scene.until(phase="Completed")
    assert (ended["verdict"], ended["reason"], ended["score"]) == ("Worse", "WorseThanBefore", 0.0)
    assert ended["message"] == "worse than before the fix: 0 of 2 pods are ready (1 were ready before)"
    assert ended["observed"] == {"desired": 2, "ready": 0, "restarts": 0}


async def test_a_dip_is_not_worse(scene):
    await scene.deployment(ready=0)
    await scene.remediation()
    async with running(scene.manager()):
        assert (await scene.until(phase="Stabilizing"))["worseSince"]
        scene.clock.ahead += timedelta(minutes=4)
        await scene.become(ready=1)
        await scene.until(phase="Stabilizing", message="1 of 2 pods are ready", worseSince=None)
        scene.clock.ahead += timedelta(minutes=4)
        await scene.become(ready=0)
        await scene.until(phase="Stabilizing", message="0 of 2 pods are ready (1 were ready before)")
        scene.clock.ahead += timedelta(minutes=4)  # twelve minutes of trouble in all, but never five without a break
        await scene.become(ready=2)
        await scene.alert("resolved")
        await scene.until(phase="Stabilizing", message="2 of 2 pods are ready, without restarts since the fix")
        scene.clock.ahead += timedelta(minutes=6)
        await scene.until(phase="Completed", verdict="Effective")


async def test_somebody_who_changes_the_target_after_the_fix_makes_it_unknowable(scene):
    await scene.deployment(ready=2)
    await scene.remediation()
    async with running(scene.manager()):
        await scene.until(phase="Stabilizing")
        body = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}}
        await scene.world.client.patch(core.DEPLOYMENT, "payment", scene.namespace, body)
        ended = await scene.until(phase="Completed")
    assert (ended["verdict"], ended["reason"], ended["score"]) == ("Unknown", "SpecDrift", 0)
    assert "changed its spec after the fix" in ended["message"]


async def test_what_keeps_the_target_is_given_time_to_follow(scene):
    await scene.deployment(ready=2)
    await scene.remediation(config={"hashComputeDelay": "3m"})
    async with running(scene.manager()):
        waiting = await scene.until(phase="WaitingForPropagation")
        assert "specHash" not in waiting
        await scene.alert("resolved")
        scene.clock.ahead += timedelta(minutes=4)
        assert (await scene.until(phase="Stabilizing"))["specHash"]
        scene.clock.ahead += timedelta(minutes=3)
        await scene.until(phase="Stabilizing")  # the window began when the fix had arrived
        scene.clock.ahead += timedelta(minutes=2)
        await scene.until(phase="Completed", verdict="Effective")


async def test_a_source_that_never_says_resolved_leaves_it_to_the_target(scene):
    await scene.deployment(ready=2)
    await scene.remediation(signalType="kubernetes-event")
    async with running(scene.manager()):
        await scene.until(phase="Stabilizing")
        scene.clock.ahead += timedelta(minutes=6)
        ended = await scene.until(phase="Completed")
    assert (ended["verdict"], ended["reason"]) == ("Effective", "Partial")


async def test_a_target_that_is_gone_is_worse(scene):
    await scene.remediation()
    async with running(scene.manager()):
        await scene.until(phase="Stabilizing")
        scene.clock.ahead += timedelta(minutes=6)
        ended = await scene.until(phase="Completed")
    assert (ended["verdict"], ended["reason"]) == ("Worse", "Unrecoverable")
    assert "is gone" in ended["message"]
