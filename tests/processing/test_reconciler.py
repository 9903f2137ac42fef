"""Processing over a real Kubernetes API: what the caches hold becomes the result, once."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from kubernaut.api import core
from kubernaut.api.processing import RemediationProcessing
from kubernaut.processing.reconciler import setup
from kubernaut.processing.settings import ProcessingSettings
from tests.world import eventually, running

NAME = "remediation-abcde12345-processing"
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "registry.example/web:1"}]}}


def owner(obj):
    return {
        "apiVersion": "apps/v1",
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
    }


async def workload(world, namespace):
    """Make a Deployment with a ReplicaSet and two pods, one of them crashing, as their controllers would."""
    selector = {"matchLabels": {"app": "web"}}
    meta = {"namespace": namespace, "labels": {"app": "web"}}
    spec = {"replicas": 2, "selector": selector, "template": TEMPLATE}
    top = await world.create(core.DEPLOYMENT, {"metadata": {**meta, "name": "web"}, "spec": spec})
    held = await world.create(core.REPLICA_SET, {"metadata": {**meta, "name": "web-1", "ownerReferences": [owner(top)]}, "spec": spec})
    for number in range(2):
        status = {
            "phase": "Running",
            "containerStatuses": [
                {
                    "name": "app",
                    "image": "",
                    "imageID": "",
                    "ready": number > 0,
                    "restartCount": 4 - 4 * number,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                }
            ],
        }
        pod = {"metadata": {**meta, "name": f"web-1-{number}", "ownerReferences": [owner(held)]}, "spec": TEMPLATE["spec"]}
        await world.create(core.POD, pod, status)


async def process(world, namespace, target, *, name=NAME, **changes):
    """Create a processing for a target."""
    spec = {
        "remediationRequestRef": {"name": "remediation-abcde12345", "namespace": world.system},
        "alert": {"fingerprint": "a" * 64, "payload": "{}", "severity": "critical", "environment": "staging"},
        "target": {"namespace": namespace, **target},
    }
    await world.client.create(RemediationProcessing.card, {"metadata": {"name": name, "namespace": world.system}, "spec": spec | changes})


async def result(world, phase="Completed", name=NAME):
    async def reached():
        found = RemediationProcessing.model_validate(await world.client.get(RemediationProcessing.card, name, world.system))
        return found if found.status.phase == phase else None

    return await eventually(reached)


@asynccontextmanager
async def processing(world):
    manager = world.manager()
    setup(manager, ProcessingSettings())
    async with running(manager):
        yield


async def test_a_signal_about_a_pod_is_enriched_up_to_its_deployment_and_classified(world):
    namespace = await world.namespace("shop", environment="production", team="payments")
    await workload(world, namespace)
    await process(world, namespace, {"kind": "Pod", "name": "web-1-0"})
    async with processing(world):
        status = (await result(world)).status
    assert [f"{link.kind}/{link.name}" for link in status.owner_chain] == ["Pod/web-1-0", "ReplicaSet/web-1", "Deployment/web"]
    assert (status.enriched_signal.environment, status.enriched_signal.business_priority) == ("production", "P0")
    assert status.environment_classification.source == "namespace label environment"
    assert status.business_classification.business_unit == "payments"
    assert status.enriched_signal.kubernetes_context["pods"][0]["containers"][0]["restarts"] == 4
    assert not status.degraded_mode
    assert [entry.reason for entry in status.journal.pending] == ["PhaseTransition"]


async def test_a_signal_about_a_deployment_sees_all_its_pods(world):
    namespace = await world.namespace("shop")
    await workload(world, namespace)
    await process(world, namespace, {"kind": "Deployment", "name": "web"})
    async with processing(world):
        status = (await result(world)).status
    assert status.enriched_signal.kubernetes_context["podCount"] == 2
    assert (status.enriched_signal.environment, status.enriched_signal.business_priority) == ("staging", "P1")


async def test_a_signal_about_what_the_cluster_does_not_have_is_processed_and_marked(world):
    namespace = await world.namespace("shop")
    await process(world, namespace, {"kind": "Pod", "name": "gone"})
    async with processing(world):
        status = (await result(world)).status
    assert status.degraded_mode
    assert "was not found" in status.message
    assert {entry.reason for entry in status.journal.pending} == {"Degraded", "PhaseTransition"}


async def test_a_signal_about_a_kind_that_nobody_here_knows_is_processed_and_marked(world):
    namespace = await world.namespace("shop")
    await process(world, namespace, {"kind": "Certificate", "name": "web"})
    async with processing(world):
        assert (await result(world)).status.degraded_mode


async def test_nobody_waits_for_a_result_after_its_time(world):
    namespace = await world.namespace("shop")
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    await process(world, namespace, {"kind": "Pod", "name": "web-1-0"}, timesOutAt=past)
    async with processing(world):
        failed = (await result(world, "Failed")).status
    assert (failed.failure_reason, failed.enriched_signal) == ("the signal was not processed in time", None)


async def test_a_result_stands_when_the_cluster_changes_afterwards(world):
    namespace = await world.namespace("shop")
    await workload(world, namespace)
    await process(world, namespace, {"kind": "Pod", "name": "web-1-0"})
    async with processing(world):
        first = await result(world)
        await world.client.delete(core.DEPLOYMENT, "web", namespace)
        body = {"metadata": {"annotations": {"touched": "yes"}}}
        await world.client.patch(RemediationProcessing.card, NAME, world.system, body)
        await process(world, namespace, {"kind": "Deployment", "name": "web"}, name=f"{NAME}-later")
        assert (await result(world, name=f"{NAME}-later")).status.degraded_mode, "the caches know that the Deployment is gone"
        again = await result(world)
    assert again.status.owner_chain == first.status.owner_chain
    assert again.status.completion_time == first.status.completion_time
