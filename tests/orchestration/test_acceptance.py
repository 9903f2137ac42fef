"""The acceptance points of the founding document that are the orchestrator's, each over HTTP and the Kubernetes API, by its number."""

from datetime import timedelta

import pytest

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.base import CORRELATION_LABEL, Obj, Resource
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.notification import EscalationRequest, NotificationRequest
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.workflow import WorkflowExecution
from tests.orchestration.cases import CONTEXT, PROVIDER, SIGNAL, STEPS, WORKFLOW
from tests.orchestration.staging import ANALYSIS, EXECUTION, PLAN, PROCESSING, QUESTION, RR, STEP_WFE, WFE
from tests.orchestration.storage import Storage

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEPWISE: Obj = {
    "phase": "Completed",
    "rootCause": "the limit is too low",
    "recommendations": [{"id": "1", "action": "increase_resources", "workflowSteps": STEPS}],
}
CHAIN: list[tuple[type[Resource], str, Obj, str]] = [
    (RemediationProcessing, PROCESSING, {"phase": "Completed", "enrichedSignal": SIGNAL}, "remediationProcessingRef"),
    (AIAnalysis, ANALYSIS, STEPWISE, "aiAnalysisRef"),
    (WorkflowExecution, STEP_WFE, {"phase": "Completed", "operations": STEPS}, "workflowExecutionRef"),
    (KubernetesExecution, EXECUTION, {"phase": "Completed"}, "kubernetesExecutionRef"),
]


async def test_point_3_the_chain_has_exact_names_owners_and_refs_and_nothing_comes_before_its_parent_completed(stage):
    async with stage.orchestrator():
        request = await stage.open()
        for number, (model, name, report, ref) in enumerate(CHAIN):
            made = await stage.there(model, name)
            [owner] = made["metadata"]["ownerReferences"]
            assert (owner["kind"], owner["uid"], owner["controller"]) == ("RemediationRequest", request["metadata"]["uid"], True)
            assert (made["spec"]["remediationRequestRef"]["name"], made["spec"]["remediationRequestRef"]["namespace"]) == (
                RR,
                stage.namespace,
            )
            await stage.until(**{ref: {"name": name, "namespace": stage.namespace}})
            assert [await stage.get(later, other) for later, other, _, _ in CHAIN[number + 1 :]] == [None] * (3 - number)
            await stage.report(model, name, **report)
        await stage.until(overallPhase="Verifying")


async def test_point_4_the_analysis_has_the_fixed_scope_and_no_investigator_settings(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.report(RemediationProcessing, PROCESSING, phase="Completed", enrichedSignal=SIGNAL)
        spec = (await stage.there(AIAnalysis, ANALYSIS))["spec"]
    request = spec["analysisRequest"]
    assert request["analysisTypes"] == ["investigation", "root-cause", "recovery-analysis"]
    assert request["investigationScope"] == {
        "timeWindow": "24h",
        "resourceScope": [{"kind": "Pod", "namespace": "production", "name": "payment-service-5d8f-x2"}],
        "correlationDepth": "detailed",
        "includeHistoricalPatterns": True,
    }
    assert request["alertContext"] == SIGNAL
    assert not [name for name in spec if "holmes" in name.casefold()]


async def test_point_5_step_mode_has_the_documented_settings(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned(**STEPWISE)
        workflow = await stage.there(WorkflowExecution, STEP_WFE)
        config = workflow["spec"]["executionConfig"]
        assert {name: config[name] for name in ("stepTimeout", "workflowTimeout", "concurrencyLimit")} == {
            "stepTimeout": "5m",
            "workflowTimeout": "20m",
            "concurrencyLimit": 1,
        }
        assert config.get("dryRun", False) is False
        await stage.report(WorkflowExecution, STEP_WFE, phase="Completed", operations=STEPS)
        execution = await stage.there(KubernetesExecution, EXECUTION)
    assert execution["spec"]["executionConfig"].items() >= {"dryRun": False, "safetyValidation": True, "timeout": "10m"}.items()


async def test_point_6_catalogue_mode_has_the_documented_fields_the_correlation_label_alone_and_the_uid_in_the_reference(stage):
    async with stage.orchestrator():
        request = await stage.open()
        await stage.planned()
        made = await stage.there(WorkflowExecution, WFE)
    assert made["metadata"]["labels"] == {CORRELATION_LABEL: RR}
    assert made["spec"]["remediationRequestRef"] == {
        "apiVersion": "kubernaut.ai/v1alpha1",
        "kind": "RemediationRequest",
        "name": RR,
        "namespace": stage.namespace,
        "uid": request["metadata"]["uid"],
    }
    assert made["spec"]["workflowRef"] == {name: WORKFLOW[name] for name in ("workflowId", "containerImage", "version")}
    assert made["spec"]["targetResource"] == "production/deployment/payment-service"
    assert made["spec"]["parameters"] == WORKFLOW["parameters"]
    assert "workflowDefinition" not in made["spec"]


@pytest.mark.parametrize(
    ("priority", "channels", "urgency"),
    [
        ("P0", ["pagerduty", "slack", "email"], "critical"),
        ("P1", ["slack", "email"], "high"),
        ("P2", ["email"], "normal"),
        ("P3", ["email"], "low"),
    ],
)
async def test_point_12_a_timeout_is_posted_with_every_field_as_classified(stage, priority, channels, urgency):
    async with stage.orchestrator():
        await stage.open(priority="P2", environment="unknown")
        signal = {**SIGNAL, "businessPriority": priority, "environment": "production"}
        await stage.report(RemediationProcessing, PROCESSING, phase="Completed", enrichedSignal=signal)
        await stage.until(overallPhase="Analyzing")
        await stage.skip(minutes=10)
        await stage.until(overallPhase="TimedOut", timeoutPhase="ai-analysis")
        (body,) = stage.escalations()
    parsed = EscalationRequest.model_validate(body)
    assert (parsed.priority, [each.value for each in parsed.channels], parsed.urgency) == (priority, channels, urgency)
    assert (body["environment"], body["escalatingController"], body["escalationReason"]) == (
        "production",
        "remediation-orchestrator",
        "timeout",
    )
    assert body["escalationDetails"] == {"phase": "ai-analysis", "timeoutDuration": "10m0s", "retryCount": 0}
    assert (body["alertmanagerURL"], body["grafanaURL"]) == (PROVIDER["alertmanagerURL"], PROVIDER["grafanaURL"])
    assert body["remediationDuration"].startswith("10m")
    assert not {"aiAnalysis", "recommendedActions"} & set(body)


async def test_point_12_provider_data_that_cannot_be_decoded_is_not_posted_and_people_are_told_in_the_same_form(stage):
    async with stage.orchestrator():
        await stage.open(providerData="{")
        await stage.until(overallPhase="Processing")
        await stage.skip(minutes=5)
        await stage.until(overallPhase="TimedOut")
        message = await stage.there(NotificationRequest, f"{RR}-escalation-remediation-processing")
    assert stage.escalations() == []
    kept = EscalationRequest.model_validate(message["spec"]["details"])
    assert (kept.alert_name, kept.resource.path()) == ("PodOOMKilled", "production/pod/payment-service-5d8f-x2")


async def test_point_13_the_audit_record_leaves_out_what_is_not_known_and_has_a_row_for_each_object(stage):
    storage = Storage()
    async with stage.orchestrator(records=storage):
        await stage.open()
        await stage.planned(phase="Completed", actionRequired=False)
        await storage.told("completed")
    first, *_, last = storage.got
    assert set(first) == {"alertFingerprint", "remediationName", "overallPhase", "startTime", "serviceCrdStatuses"}
    assert [(each["serviceType"], each["crdName"], each["phase"]) for each in last["serviceCrdStatuses"]] == [
        ("RemediationProcessing", PROCESSING, "completed"),
        ("AIAnalysis", ANALYSIS, "completed"),
    ]
    assert (last["overallPhase"], "completionTime" in last, "timeoutPhase" in last) == ("completed", True, False)


async def test_point_14_approving_makes_one_notification_once_with_subject_channels_metadata_and_owner(stage):
    async with stage.orchestrator():
        request = await stage.open()
        moment = stage.clock.now()
        await stage.planned(phase="Approving", approvalRequestedAt=moment.isoformat(), **QUESTION)
        asked = await stage.until(overallPhase="AwaitingApproval", approvalNotificationSent=True)
        await stage.report(AIAnalysis, ANALYSIS, message="still waiting")
        await stage.skip(seconds=1)
        message = await stage.there(NotificationRequest, f"{RR}-approval-notification")
        everything = await stage.world.client.list(NotificationRequest.card, stage.namespace)
    assert [each["metadata"]["name"] for each in everything.items] == [f"{RR}-approval-notification"]
    spec = message["spec"]
    assert spec["subject"] == f"🚨 Approval Required: {CONTEXT['reason']}"
    assert (spec["priority"], spec["channels"]) == ("High", ["slack", "console"])
    assert spec["recipients"] == [{"channel": "slack", "address": "#kubernaut-approvals"}]
    assert set(spec["metadata"]) == {"remediationRequest", "aiAnalysis", "aiApprovalRequest", "confidence"}
    assert message["metadata"]["ownerReferences"][0]["uid"] == request["metadata"]["uid"]
    noted = [each for each in asked["journal"]["pending"] if each["reason"] == "NotificationCreated"]
    assert len(noted) == 1


async def test_point_15_deleting_a_remediation_takes_all_that_belongs_to_it(stage):
    async with stage.orchestrator(services=False):
        await stage.open()
        await stage.planned(**PLAN)
        await stage.until(overallPhase="Executing")
        await stage.there(WorkflowExecution, WFE)
        await stage.world.client.delete(RemediationRequest.card, RR, stage.namespace)
        await stage.gone(RemediationRequest, RR)
    for model, name in ((RemediationProcessing, PROCESSING), (AIAnalysis, ANALYSIS), (WorkflowExecution, WFE)):
        await stage.gone(model, name)


async def test_point_15_what_has_ended_is_kept_for_24_hours_and_the_end_is_on_record(stage):
    async with stage.orchestrator(services=False):
        await stage.open()
        await stage.planned(phase="Completed", actionRequired=False)
        ended = await stage.until(overallPhase="Completed")
        await stage.skip(hours=23, minutes=59)
        assert (await stage.get(RemediationRequest, RR))["status"]["retentionExpiryTime"] == ended["retentionExpiryTime"]
        assert stage.clock.ahead < timedelta(hours=24)
        await stage.skip(minutes=2)
        await stage.gone(RemediationRequest, RR)
