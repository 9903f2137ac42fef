"""Processing over a real Kubernetes API: what the caches hold becomes the result, once."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from kubernaut.api import core
from kubernaut.api.base import Obj
from kubernaut.api.gitops import FLUX_KUSTOMIZATION
from kubernaut.api.processing import RemediationProcessing
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.manager import Manager
from kubernaut.processing.enrich import READ
from kubernaut.processing.reconciler import setup
from kubernaut.processing.settings import ProcessingSettings
from tests.processing.pieces import network_policy
from tests.ways import EVERYTHING, Way, account, beyond
from tests.world import eventually, listed, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
QUICK = ProcessingSettings(enrichment_limit=timedelta())
NAME = "remediation-abcde12345-processing"
TEMPLATE: Obj = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "registry.example/web:1"}]}}


def owner(obj):
    return {
        "apiVersion": "apps/v1",
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
    }


async def workload(world, namespace):
    """Make a Deployment with a ReplicaSet and two pods, one of them crashing; controllers find nothing to do, nor does a kubelet."""
    meta, spec = {"namespace": namespace, "labels": {"app": "web"}}, {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}}
    top = await world.create(core.DEPLOYMENT, {"metadata": {**meta, "name": "web"}, "spec": {**spec, "paused": True, "template": TEMPLATE}})
    for number in range(2):
        gated = {**TEMPLATE["spec"], "schedulingGates": [{"name": "example.com/tests"}]}
        await world.create(core.POD, {"metadata": {**meta, "name": f"web-1-{number}"}, "spec": gated}, crashing(4 - 4 * number))
    made = {"metadata": {**meta, "name": "web-1", "ownerReferences": [owner(top)]}, "spec": {**spec, "template": TEMPLATE}}
    held = await world.create(core.REPLICA_SET, made)
    for number in range(2):
        await world.client.patch(core.POD, f"web-1-{number}", namespace, {"metadata": {"ownerReferences": [owner(held)]}})


def crashing(restarts):
    container = {"name": "app", "image": "", "imageID": "", "ready": not restarts, "restartCount": restarts}
    return {"phase": "Running", "containerStatuses": [{**container, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}


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
async def processing(world, *, client=None, settings=QUICK):
    manager = Manager(client, SystemClock(), name="test", namespace=world.system) if client else world.manager()
    setup(manager, settings)
    async with running(manager):
        yield manager


async def test_a_signal_about_a_pod_is_enriched_up_to_its_deployment_and_classified(world):
    namespace = await world.namespace("shop", environment="production", team="payments")
    await workload(world, namespace)
    await process(world, namespace, {"kind": "Pod", "name": "web-1-0"})
    async with processing(world):
        status = (await result(world)).status
    assert [f"{link.kind}/{link.name}" for link in status.owner_chain] == ["Pod/web-1-0", "ReplicaSet/web-1", "Deployment/web"]
    assert (status.enriched_signal.environment, status.enriched_signal.business_priority) == ("production", "P0")
    decided = status.environment_classification
    assert (decided.source, decided.policy_name, decided.confidence) == ("rule environment-label", "shipped", 1.0)
    assert (status.priority_assignment.priority, status.priority_assignment.source) == ("P0", "rule critical-in-production")
    assert status.business_classification.business_unit == "payments"
    assert status.business_classification.decided_by == {"businessUnit": "rule usual-labels-of-namespace of shipped"}
    assert status.enriched_signal.kubernetes_context["pods"][0]["containers"][0]["restarts"] == 4
    assert not status.degraded_mode
    assert [(each.type, each.status) for each in status.conditions] == [("Enriched", "True")]
    assert (status.missing, status.warnings) == ([], [])
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
    assert status.missing == [f"{namespace}/pod/gone was not found in the cluster"]
    assert "was not found" in status.message
    assert [(each.type, each.status, each.reason) for each in status.conditions] == [("Enriched", "False", "TargetNotFound")]
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


ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
SOME = (
    {"apiGroups": ["kubernaut.ai"], "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["pods", "nodes", "namespaces", "services"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["apps", "batch"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
)
"""What somebody may do who may not read events, autoscalers, budgets, network policies, quotas, limits, ConfigMaps and claims."""


async def test_what_may_not_be_read_is_named_and_the_case_goes_on_without_it(world):
    namespace = await world.namespace("shop", environment="production")
    await workload(world, namespace)
    await process(world, namespace, {"kind": "Deployment", "name": "web"})
    async with account(world, *SOME) as (client, _), processing(world, client=client, settings=ProcessingSettings()):
        status = (await result(world)).status
    assert status.enriched_signal.business_priority == "P0"
    assert status.enriched_signal.kubernetes_context["podCount"] == 2
    assert status.degraded_mode
    kinds = {each.split()[0] for each in status.missing}
    hidden = {"HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "ResourceQuota", "LimitRange", "ConfigMap", "Event"}
    assert kinds == hidden | {"PersistentVolumeClaim"}
    assert all("forbidden" in each for each in status.missing)
    [condition] = status.conditions
    assert (condition.type, condition.status, condition.reason) == ("Enriched", "False", "NotReadable")


async def test_what_may_be_read_again_is_read_again(world):
    namespace = await world.namespace("shop")
    await workload(world, namespace)
    async with account(world, *SOME) as (client, change), processing(world, client=client) as manager:
        await change(EVERYTHING)

        async def all_is_known():
            return not any(manager.cluster.unread(kind) for kind in READ)

        await eventually(all_is_known)
        await process(world, namespace, {"kind": "Deployment", "name": "web"})
        assert not (await result(world)).status.degraded_mode


async def test_what_is_out_of_order_is_waited_for_within_the_limit(world):
    namespace = await world.namespace("shop")
    await workload(world, namespace)
    await process(world, namespace, {"kind": "Deployment", "name": "web"})
    way = Way(beyond(world))
    way.out_of_order = {"horizontalpodautoscalers"}
    async with processing(world, client=Client.over(way), settings=ProcessingSettings(enrichment_limit=timedelta(minutes=5))):
        waiting = (await result(world, "Enriching")).status
        assert waiting.completion_time is None
        way.out_of_order = set()
        assert not (await result(world)).status.degraded_mode


async def test_what_stays_out_of_order_does_not_hold_the_case_up(world):
    namespace = await world.namespace("shop")
    await workload(world, namespace)
    await process(world, namespace, {"kind": "Deployment", "name": "web"})
    way = Way(beyond(world))
    way.out_of_order = {"horizontalpodautoscalers"}
    async with processing(world, client=Client.over(way)):
        status = (await result(world)).status
    assert status.missing == ["HorizontalPodAutoscaler could not be read: 503 ServiceUnavailable: etcdserver: request timed out"]


OWN = "rules: [{name: night, match: \"target.kind == 'Deployment'\", set: {priority: P3, confidence: 0.6}}]"
BROKEN = "rules: [{name: night, match: angry, set: {priority: P2}}]"


async def test_a_policy_that_a_user_edits_decides_from_then_on_and_a_broken_one_is_told_in_the_status(world):
    namespace = await world.namespace("shop", environment="production")
    await workload(world, namespace)
    own = {"metadata": {"name": "kubernaut-classification", "namespace": world.system}, "data": {"policy.yaml": OWN}}
    async with processing(world):
        await process(world, namespace, {"kind": "Deployment", "name": "web"}, name="before")
        assert (await result(world, name="before")).status.priority_assignment.priority == "P0"
        await world.client.create(core.CONFIG_MAP, own)
        await _event(world, "PolicyAccepted")
        await process(world, namespace, {"kind": "Deployment", "name": "web"}, name="after")
        assigned = (await result(world, name="after")).status.priority_assignment
        assert (assigned.priority, assigned.source, assigned.confidence) == ("P3", "rule night", 0.6)
        assert assigned.policy_name == "configmap/kubernaut-classification/policy.yaml"
        await world.client.patch(core.CONFIG_MAP, "kubernaut-classification", world.system, {"data": {"policy.yaml": BROKEN}})
        await _event(world, "PolicyRejected")
        await process(world, namespace, {"kind": "Deployment", "name": "web"}, name="broken")
        status = (await result(world, name="broken")).status
    assert status.enriched_signal.business_priority == "P3"
    [warning] = status.warnings
    assert "policy.yaml:1:30: `match`: undeclared reference to 'angry'" in warning


async def _event(world, reason):
    async def found():
        return any(each["reason"] == reason for each in (await world.client.list(core.EVENT, world.system)).items)

    await eventually(found)


async def kustomized(world, namespace, source):
    marks = {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": source}
    await world.client.patch(core.DEPLOYMENT, "web", namespace, {"metadata": {"labels": marks}})


async def test_a_workload_that_flux_manages_is_recognised(world):
    namespace = await world.namespace("shop")
    await workload(world, namespace)
    await kustomized(world, namespace, "flux-system")
    await process(world, namespace, {"kind": "Deployment", "name": "web"})
    async with processing(world):
        status = (await result(world)).status
    assert status.detected_labels == {"gitOpsManaged": "true", "gitOpsTool": "flux", "gitOpsSource": "Kustomization/flux-system/shop"}
    assert not status.degraded_mode, "what does not exist is not missing"


async def test_neighbours_and_past_changes_are_in_the_context(world):
    namespace = await world.namespace("shop")
    await workload(world, namespace)
    policy = network_policy({"app": "web"})
    await world.create(core.NETWORK_POLICY, {**policy, "metadata": {"name": "deny", "namespace": namespace}})
    body = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "registry.example/web:2"}]}}}}
    apply = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": namespace}, **body}
    await world.client.apply(core.DEPLOYMENT, apply, manager="release-robot", force=True)
    await process(world, namespace, {"kind": "Deployment", "name": "web"})
    async with processing(world):
        context = (await result(world)).status.enriched_signal.kubernetes_context
    assert context["networkPolicies"] == ["deny"]
    assert ["spec.template.spec.containers[app].image"] in [
        [field for field in each["fields"] if field.endswith("image")] for each in context["changes"] if each["manager"] == "release-robot"
    ]
    assert [each["name"] for each in context["revisions"]] == ["web-1"]


@pytest_asyncio.fixture(loop_scope="module")
async def flux(world):
    """Give a cluster that knows Kustomizations."""
    definition: Obj = {
        "metadata": {"name": f"{FLUX_KUSTOMIZATION.plural}.{FLUX_KUSTOMIZATION.group}"},
        "spec": {
            "group": FLUX_KUSTOMIZATION.group,
            "scope": "Namespaced",
            "names": {"kind": "Kustomization", "plural": FLUX_KUSTOMIZATION.plural, "singular": "kustomization"},
            "versions": [{"name": FLUX_KUSTOMIZATION.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": ANYTHING}}],
        },
    }
    await world.client.create(core.CUSTOM_RESOURCE_DEFINITION, definition)
    await eventually(lambda: listed(world.client, FLUX_KUSTOMIZATION))
    yield
    await world.client.delete(core.CUSTOM_RESOURCE_DEFINITION, definition["metadata"]["name"])


async def test_a_workload_whose_kustomization_is_suspended_is_told_as_suspended(world, flux):
    namespace = await world.namespace("shop")
    await workload(world, namespace)
    await kustomized(world, namespace, namespace)
    await world.client.create(FLUX_KUSTOMIZATION, {"metadata": {"name": "shop", "namespace": namespace}, "spec": {"suspend": True}})
    await process(world, namespace, {"kind": "Deployment", "name": "web"})
    async with processing(world):
        assert (await result(world)).status.detected_labels["gitOpsSuspended"] == "true"


async def test_a_kustomization_that_may_not_be_read_is_named(world, flux):
    namespace = await world.namespace("shop")
    await workload(world, namespace)
    await kustomized(world, namespace, namespace)
    await process(world, namespace, {"kind": "Deployment", "name": "web"})
    way = Way(beyond(world))
    way.out_of_order = {FLUX_KUSTOMIZATION.plural}
    async with processing(world, client=Client.over(way)):
        status = (await result(world)).status
    assert status.missing == ["Flux (Kustomization shop) could not be read: 503 ServiceUnavailable: etcdserver: request timed out"]
    assert "gitOpsSuspended" not in status.detected_labels


async def test_a_node_is_processed_with_the_pods_on_it(world):
    namespace = await world.namespace("shop")
    name = f"node-{namespace}"
    conditions = [{"type": "Ready", "status": "False", "reason": "KubeletNotReady"}]
    await world.create(core.NODE, {"metadata": {"name": name}}, {"conditions": conditions})
    pod = {
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {**TEMPLATE["spec"], "nodeName": name, "terminationGracePeriodSeconds": 0},
    }
    await world.create(core.POD, pod, {"phase": "Running"})
    await process(world, "", {"kind": "Node", "name": name})
    async with processing(world):
        status = (await result(world)).status
    await world.client.delete(core.NODE, name)
    context = status.enriched_signal.kubernetes_context
    assert [(each["name"], each["conditions"]["Ready"]) for each in context["node"]] == [(name, "False")]
    assert [each["name"] for each in context["pods"]] == ["web"]
    assert not status.degraded_mode


async def test_a_stateful_set_is_processed_with_its_revisions_and_a_cron_job_with_its_jobs_pods(world, embedded):
    namespace = await world.namespace("shop")
    meta = {"namespace": namespace}
    selector = {"matchLabels": {"app": "web"}}
    stateful = await world.create(
        core.STATEFUL_SET,
        {"metadata": {**meta, "name": "db"}, "spec": {"serviceName": "db", "selector": selector, "template": TEMPLATE}},
    )
    kept = {"metadata": {**meta, "name": "db-1", "ownerReferences": [owner(stateful)]}, "revision": 3, "data": {"spec": {}}}
    await world.create(core.CONTROLLER_REVISION, kept)
    template = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}
    job = {"template": template}
    cron = await world.create(
        core.CRON_JOB, {"metadata": {**meta, "name": "backup"}, "spec": {"schedule": "@daily", "jobTemplate": {"spec": job}}}
    )
    batch = {"apiVersion": "batch/v1"}
    run = await world.create(core.JOB, {"metadata": {**meta, "name": "backup-1", "ownerReferences": [owner(cron) | batch]}, "spec": job})
    pod = {"metadata": {**meta, "name": "backup-1-x", "ownerReferences": [owner(run) | batch]}, "spec": template["spec"]}
    await world.create(core.POD, pod, {"phase": "Failed"})
    await process(world, namespace, {"kind": "StatefulSet", "name": "db"}, name="stateful")
    await process(world, namespace, {"kind": "CronJob", "name": "backup"}, name="cron")
    async with processing(world):
        stateful_status, cron_status = (await result(world, name="stateful")).status, (await result(world, name="cron")).status
    assert [each["revision"] for each in stateful_status.enriched_signal.kubernetes_context["revisions"]] == [3]
    assert stateful_status.detected_labels == {"stateful": "true"}
    assert [each["name"] for each in cron_status.enriched_signal.kubernetes_context["pods"]] == ["backup-1-x"]
