"""The stage objects against the founding documents: names, fields, references, limits."""

from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.api.base import CORRELATION_LABEL
from kubernaut.orchestration.children import Incomplete, build
from kubernaut.orchestration.facts import Stage

pytestmark = pytest.mark.unit

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
RR = "remediation-abcde12345"
REF = {"apiVersion": "kubernaut.ai/v1alpha1", "kind": "RemediationRequest", "name": RR, "namespace": "kubernaut-system", "uid": f"uid-{RR}"}
DEPLOYMENT = {"kind": "Deployment", "name": "payment-service", "namespace": "production", "apiVersion": "apps/v1"}


def made(stage, case):
    child, until = build(stage, case.request, case.family, case.settings, case.now)
    assert child.metadata.namespace == "kubernaut-system"
    assert child.metadata.labels == {CORRELATION_LABEL: RR}
    wire = child.wire()
    assert wire["spec"]["remediationRequestRef"] == REF
    return wire["metadata"]["name"], wire["spec"], until


def test_processing_is_a_snapshot_of_the_alert(case):
    name, spec, until = made(Stage.PROCESSING, case)
    assert (name, until) == (f"{RR}-processing", T0 + timedelta(minutes=5))
    assert {key: spec["alert"][key] for key in ("fingerprint", "payload", "severity")} == {
        "fingerprint": "a" * 64,
        "payload": '{"alerts": []}',
        "severity": "critical",
    }
    assert spec["target"] == {"kind": "Pod", "name": "payment-service-5d8f-x2", "namespace": "production"}
    assert spec["timesOutAt"] == "2026-01-01T12:05:00Z"


def test_the_analysis_has_the_documented_scope_and_no_investigator_settings(case):
    name, spec, until = made(Stage.ANALYSIS, case.processed())
    assert (name, until) == (f"{RR}-analysis", T0 + timedelta(minutes=10))
    assert spec["analysisRequest"] == {
        "alertContext": {
            "fingerprint": "a" * 64,
            "severity": "critical",
            "environment": "production",
            "businessPriority": "P0",
            "namespace": "production",
            "resourceKind": "Pod",
            "resourceName": "payment-service-5d8f-x2",
            "kubernetesContext": {"pod": {"restarts": 4}},
        },
        "analysisTypes": ["investigation", "root-cause", "recovery-analysis"],
        "investigationScope": {
            "timeWindow": "24h",
            "resourceScope": [{"kind": "Pod", "namespace": "production", "name": "payment-service-5d8f-x2"}],
            "correlationDepth": "detailed",
            "includeHistoricalPatterns": True,
        },
    }
    assert "holmesGPTConfig" not in spec
    assert "holmesGptConfig" not in spec


def test_the_catalogue_workflow_is_pinned_and_aims_at_what_the_analysis_names(case):
    name, spec, until = made(Stage.WORKFLOW, case.processed().analysed())
    assert name == f"{RR}-wfe"
    assert until == T0 + timedelta(minutes=30)
    assert spec["workflowRef"] == {
        "workflowId": "increase-memory-conservative",
        "containerImage": "ghcr.io/kubernaut/workflows/increase-memory@sha256:" + "b" * 64,
        "version": "1.0.0",
    }
    assert spec["targetResource"] == "production/deployment/payment-service"
    assert spec["target"] == DEPLOYMENT
    assert spec["parameters"] == {"NAMESPACE": "production", "DEPLOYMENT_NAME": "payment-service", "MEMORY_LIMIT": "256Mi"}
    assert "workflowDefinition" not in spec


def test_without_a_target_of_its_own_the_workflow_aims_at_the_signal(case):
    _, spec, _ = made(Stage.WORKFLOW, case.processed().analysed(remediationTarget=None))
    assert spec["targetResource"] == "production/pod/payment-service-5d8f-x2"


def test_the_step_workflow_takes_the_first_recommendation_and_the_documented_limits(case):
    name, spec, _ = made(Stage.WORKFLOW, case.processed().stepped())
    assert name == f"{RR}-workflow"
    assert [(step["stepNumber"], step["action"]) for step in spec["workflowDefinition"]["steps"]] == [(1, "increase_resources")]
    config = spec["executionConfig"]
    assert {key: config[key] for key in ("dryRun", "stepTimeout", "workflowTimeout", "concurrencyLimit")} == {
        "dryRun": False,
        "stepTimeout": "5m",
        "workflowTimeout": "20m",
        "concurrencyLimit": 1,
    }
    assert "workflowRef" not in spec


def test_the_execution_takes_the_planned_operations(case):
    planned = [{"stepNumber": 1, "action": "increase_resources", "parameters": {"memory": "256Mi"}, "target": DEPLOYMENT}]
    name, spec, until = made(Stage.EXECUTION, case.processed().stepped().run(operations=planned))
    assert (name, until) == (f"{RR}-execution", T0 + timedelta(minutes=10))
    assert [each["action"] for each in spec["operations"]] == ["increase_resources"]
    assert spec["executionConfig"].items() >= {"dryRun": False, "safetyValidation": True, "timeout": "10m"}.items()


def test_the_assessment_knows_what_was_fixed_and_when(case):
    case.processed().analysed().run(startTime=T0, completionTime=T0 + timedelta(seconds=40))
    name, spec, until = made(Stage.VERIFICATION, case)
    assert (name, until) == (f"ea-{RR}", T0 + timedelta(minutes=30))
    assert spec["remediationTarget"] == DEPLOYMENT
    assert (spec["fixStartedAt"], spec["fixCompletedAt"]) == ("2026-01-01T12:00:00Z", "2026-01-01T12:00:40Z")
    assert spec["config"] == {"stabilizationWindow": "5m0s", "validity": "25m0s", "hashComputeDelay": "0s", "alertCheckDelay": "0s"}


@pytest.mark.parametrize(
    ("stage", "given", "minutes"),
    [
        pytest.param(Stage.PROCESSING, {"remediationProcessingTimeout": "90s"}, 1.5, id="processing"),
        pytest.param(Stage.ANALYSIS, {"aiAnalysisTimeout": "2m"}, 2, id="analysis"),
        pytest.param(Stage.WORKFLOW, {"workflowExecutionTimeout": "1h"}, 60, id="workflow"),
        pytest.param(Stage.VERIFICATION, {"verificationTimeout": "3m"}, 3, id="verification"),
    ],
)
def test_a_remediation_may_have_limits_of_its_own(case, stage, given, minutes):
    case.processed().analysed().run(startTime=T0)
    case.spec["timeoutConfig"] = given
    assert made(stage, case)[2] == T0 + timedelta(minutes=minutes)


def test_an_approval_limit_is_handed_to_the_analysis(case):
    case.spec["timeoutConfig"] = {"approvalTimeout": "1m"}
    assert made(Stage.ANALYSIS, case.processed())[1]["approvalTimeout"] == "1m"


@pytest.mark.parametrize("stage", [Stage.ANALYSIS, Stage.WORKFLOW, Stage.EXECUTION])
def test_nothing_is_made_of_a_stage_that_left_nothing(case, stage):
    with pytest.raises(Incomplete):
        build(stage, case.request, case.family, case.settings, case.now)


def test_every_derived_name_fits_a_label(make_case):
    longest = make_case(name="r" * 50)
    for stage in (Stage.PROCESSING, Stage.ANALYSIS, Stage.WORKFLOW, Stage.VERIFICATION):
        longest.processed().analysed().run(startTime=T0)
        child, _ = build(stage, longest.request, longest.family, longest.settings, longest.now)
        assert len(child.metadata.name) <= 63
