"""Held before a stage is opened: remediations of one cluster that stand in each other's way, and what releases them."""

from datetime import timedelta

import pytest
import pytest_asyncio

from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.notification import NotificationRequest
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.gateway.settings import GatewaySettings
from kubernaut.orchestration.settings import OrchestrationSettings
from tests.orchestration.cases import DEPLOYMENT, SIGNAL
from tests.orchestration.staging import ANALYSIS, EA, PROCESSING, RR, WFE

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECOND = "remediation-second"
CONTEXT = {"pods": [{"name": "a-1", "containers": [{"name": "app", "ready": True, "restarts": 3}]}]}


@pytest_asyncio.fixture(loop_scope="module")
async def second(stage):
    """Open another remediation of the same target, and take it away afterwards."""

    async def open_second(**spec):
        return await stage.open(name=SECOND, **{"signalFingerprint": "b" * 64, "signalName": "HighLatency", **spec})

    yield open_second
    if await stage.get(RemediationRequest, SECOND):
        await stage.world.client.patch(RemediationRequest.card, SECOND, stage.namespace, {"metadata": {"finalizers": None}})


async def test_a_duplicate_waits_ends_with_the_one_ahead_and_one_message_tells_of_all(stage, second):
    async with stage.orchestrator():
        await stage.open()
        await stage.until(overallPhase="Processing")
        await stage.skip(seconds=0)
        await second(createdAt="2026-01-01T12:00:05Z")
        held = await stage.until(name=SECOND, overallPhase="Blocked", blockReason="DuplicateInProgress", duplicateOf=RR)
        assert held["blockMessage"] == f"{RR} works on production/pod/payment-service-5d8f-x2 already; this one ends as that one ends"
        assert held["blockedUntil"] > held["blockedSince"]
        await stage.planned(phase="Completed", actionRequired=False, message="all pods are healthy")
        ended = await stage.until(name=SECOND, overallPhase="Skipped", outcome="NoActionRequired", duplicateOf=RR)
        message = await stage.there(NotificationRequest, f"{RR}-duplicates")
        assert await stage.get(RemediationProcessing, f"{SECOND}-processing") is None
        assert await stage.get(NotificationRequest, f"{SECOND}-completion") is None
    assert "blockReason" not in ended
    assert f"`{SECOND}`: HighLatency" in message["spec"]["body"]
    assert message["metadata"]["ownerReferences"][0]["name"] == RR
    assert stage.escalations() == []


async def test_a_duplicate_goes_its_own_way_when_the_one_ahead_is_deleted(stage, second):
    async with stage.orchestrator(services=False):
        await stage.open()
        await stage.until(overallPhase="Processing")
        await second()
        await stage.until(name=SECOND, overallPhase="Blocked")
        await stage.world.client.delete(RemediationRequest.card, RR, stage.namespace)
        await stage.gone(RemediationRequest, RR)
        released = await stage.until(name=SECOND, overallPhase="Processing")
        await stage.there(RemediationProcessing, f"{SECOND}-processing")
    assert "duplicateOf" not in released
    await stage.walks("Pending-Blocked", "Blocked-Pending", "Pending-Processing", name=SECOND)


async def test_a_problem_that_failed_a_moment_ago_rests_and_then_goes_on(stage, second):
    async with stage.orchestrator():
        await stage.open()
        await stage.report(RemediationProcessing, PROCESSING, phase="Failed")
        await stage.until(overallPhase="Failed")
        await second(signalFingerprint="a" * 64)
        held = await stage.until(name=SECOND, overallPhase="Blocked", blockReason="ExponentialBackoff")
        assert held["nextAllowedExecution"] == held["blockedUntil"]
        await stage.skip(name=SECOND, minutes=1)
        released = await stage.until(name=SECOND, overallPhase="Processing")
    assert released["heldSeconds"] >= 59
    assert "nextAllowedExecution" not in released


async def test_what_is_held_for_too_long_is_told_to_people(stage):
    namespace = {"metadata": {"name": f"{stage.namespace}-out", "labels": {"kubernaut.ai/managed": "false"}}}
    await stage.world.client.create(core.NAMESPACE, namespace)
    stage.world.made.append(namespace["metadata"]["name"])
    target = {"kind": "Deployment", "name": "shop", "namespace": namespace["metadata"]["name"], "apiVersion": "apps/v1"}
    async with stage.orchestrator():
        await stage.open(target=target, targetResource=f"{target['namespace']}/deployment/shop")
        await stage.until(overallPhase="Blocked", blockReason="UnmanagedResource")
        await stage.skip(hours=2)
        ended = await stage.until(overallPhase="Failed", failurePhase="Blocked")
        (body,) = stage.escalations()
    assert ended["failureReason"].startswith("UnmanagedResource: held for 2 hours: neither")
    assert body["escalationReason"] == "failed"
    assert ended["blockReason"] == "UnmanagedResource"


async def test_an_object_that_opts_in_is_worked_on_where_its_namespace_opts_out(stage):
    namespace = await stage.world.namespace("opted-out")
    await stage.world.client.patch(core.NAMESPACE, namespace, "", {"metadata": {"labels": {"kubernaut.ai/managed": "false"}}})
    labelled = {"metadata": {"name": "shop", "namespace": namespace, "labels": {"kubernaut.ai/managed": "true"}}}
    await stage.world.client.create(core.CONFIG_MAP, labelled)
    async with stage.orchestrator():
        await stage.open(target={"kind": "ConfigMap", "name": "shop", "namespace": namespace}, targetResource=f"{namespace}/configMap/shop")
        await stage.until(overallPhase="Processing")


async def test_without_a_label_nothing_is_worked_on_unless_that_is_asked_for(stage):
    namespace = await stage.world.namespace("silent")
    target = {"kind": "ConfigMap", "name": "shop", "namespace": namespace}
    await stage.world.client.create(core.CONFIG_MAP, {"metadata": {"name": "shop", "namespace": namespace}})
    async with stage.orchestrator(settings=OrchestrationSettings(managed_only=True)):
        await stage.open(target=target, targetResource=f"{namespace}/configMap/shop")
        await stage.until(overallPhase="Blocked", blockReason="UnmanagedResource")
    assert OrchestrationSettings().managed_only is GatewaySettings().managed_only is True


async def test_an_object_that_opts_out_is_left_alone_where_its_namespace_opts_in(stage):
    namespace = await stage.world.namespace("opted-in", **{"kubernaut.ai/managed": "true"})
    labelled = {"metadata": {"name": "shop", "namespace": namespace, "labels": {"kubernaut.ai/managed": "false"}}}
    await stage.world.client.create(core.CONFIG_MAP, labelled)
    async with stage.orchestrator():
        await stage.open(target={"kind": "ConfigMap", "name": "shop", "namespace": namespace}, targetResource=f"{namespace}/configMap/shop")
        await stage.until(overallPhase="Blocked", blockReason="UnmanagedResource")


async def test_time_held_does_not_count(stage, second):
    async with stage.orchestrator(services=False):
        await stage.open(target=DEPLOYMENT, targetResource="production/deployment/payment-service")
        await stage.until(overallPhase="Processing")
        await second(target=DEPLOYMENT, targetResource="production/deployment/payment-service")
        await stage.until(name=SECOND, overallPhase="Blocked")
        await stage.skip(name=SECOND, minutes=90)
        await stage.until(name=SECOND, overallPhase="Blocked")
        await stage.world.client.delete(RemediationRequest.card, RR, stage.namespace)
        await stage.until(name=SECOND, overallPhase="Processing")


async def test_a_fix_waits_for_another_on_its_target_and_for_the_same_fix_to_rest(stage, second):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned()
        await stage.until(overallPhase="Executing")
        await stage.report(WorkflowExecution, WFE, phase="Running", startTime=stage.clock.now().isoformat())
        other = {"kind": "Pod", "name": "payment-service-5d8f-x3", "namespace": "production"}
        await second(target=other, targetResource="production/pod/payment-service-5d8f-x3")
        await stage.planned(name=SECOND)
        held = await stage.until(name=SECOND, overallPhase="Blocked", blockReason="ResourceBusy")
        assert held["blockMessage"] == f"{WFE} is at work on production/deployment/payment-service"
        await stage.report(WorkflowExecution, WFE, phase="Completed", completionTime=stage.clock.now().isoformat())
        await stage.until(name=SECOND, overallPhase="Blocked", blockReason="RecentlyRemediated")
        await stage.skip(name=SECOND, minutes=5)
        await stage.until(name=SECOND, overallPhase="Executing")
        await stage.there(WorkflowExecution, f"{SECOND}-wfe")


async def test_a_target_rests_after_a_fix_whose_object_somebody_has_deleted(stage, second):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned()
        await stage.report(WorkflowExecution, WFE, phase="Completed", completionTime=stage.clock.now().isoformat())
        await stage.report(EffectivenessAssessment, EA, phase="Completed", verdict="Effective")
        await stage.until(overallPhase="Completed", outcome="Remediated")
        await stage.world.client.delete(WorkflowExecution.card, WFE, stage.namespace)
        await stage.gone(WorkflowExecution, WFE)
        await second()
        await stage.planned(name=SECOND)
        held = await stage.until(name=SECOND, overallPhase="Blocked", blockReason="RecentlyRemediated")
        assert WFE in held["blockMessage"]
        await stage.skip(name=SECOND, minutes=5)
        await stage.until(name=SECOND, overallPhase="Executing")


async def test_the_same_alert_with_the_same_evidence_is_not_analysed_again(stage, second):
    signal = {**SIGNAL, "kubernetesContext": CONTEXT}
    async with stage.orchestrator():
        await stage.open()
        await stage.report(RemediationProcessing, PROCESSING, phase="Completed", enrichedSignal=signal)
        await stage.report(AIAnalysis, ANALYSIS, phase="Completed", actionRequired=False)
        await stage.until(overallPhase="Completed", outcome="NoActionRequired")
        await second(signalFingerprint="a" * 64, signalName="PodOOMKilled")
        await stage.report(RemediationProcessing, f"{SECOND}-processing", phase="Completed", enrichedSignal=signal)
        ended = await stage.until(name=SECOND, overallPhase="Completed", outcome="NoActionRequired")
        assert await stage.get(AIAnalysis, f"{SECOND}-analysis") is None
    assert ended["message"] == f"nothing was to be done in {RR}, and alert and evidence are the same"
    assert "evidenceHash" not in ended


async def test_fixes_that_do_not_help_are_not_repeated_for_ever(stage, second):
    settings = OrchestrationSettings(ineffective_limit=1, cooldown=timedelta())
    async with stage.orchestrator(settings=settings):
        await stage.open()
        await stage.planned()
        await stage.report(WorkflowExecution, WFE, phase="Completed")
        await stage.until(overallPhase="Verifying")
        await stage.skip(minutes=30)
        await stage.until(overallPhase="Completed", outcome="VerificationTimedOut")
        await second()
        await stage.planned(name=SECOND)
        ended = await stage.until(name=SECOND, overallPhase="Failed", outcome="ManualReviewRequired")
        assert await stage.get(WorkflowExecution, f"{SECOND}-wfe") is None
    assert ended["failureReason"].startswith("IneffectiveChain: 1 fixes of production/deployment/payment-service in the last 4 hours")
