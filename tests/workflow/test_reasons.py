"""Every reason of a condition that Tekton's published API names (pkg/apis/pipeline/v1 of 1.15, pkg/pod): what it means for us, by hand."""

import pytest

from kubernaut.api.workflow import FailureCategory
from kubernaut.workflow import failure
from kubernaut.workflow.decide import RunState
from kubernaut.workflow.engines.tekton import run_state
from kubernaut.workflow.failure import Culprit

C = FailureCategory
GOES_ON = (
    *("Started", "Running", "PipelineRunPending", "PipelineRunStopping", "CancelledRunningFinally", "StoppedRunningFinally"),
    *(
        "PipelineRunTimeoutRunningFinally",
        "ResolvingPipelineRef",
        "ResolvingTaskRef",
        "ResolvingStepActionRef",
        "Cancelled",
        "SomethingNew",
    ),
)
"""Reasons of a run that goes on; a run that is being cancelled may say Cancelled before it has ended."""
SUCCEEDS = ("Succeeded", "Completed", "SomethingNew")
RUN_FAILS = {
    "Failed": C.TASK_FAILED,
    "Cancelled": C.UNKNOWN,
    "PipelineRunTimeout": C.DEADLINE_EXCEEDED,
    "CouldntGetPipeline": C.CONFIGURATION_ERROR,
    "CouldntGetTask": C.CONFIGURATION_ERROR,
    "CouldntGetPipelineResult": C.CONFIGURATION_ERROR,
    "InvalidPipelineResourceBindings": C.CONFIGURATION_ERROR,
    "InvalidWorkspaceBindings": C.CONFIGURATION_ERROR,
    "InvalidTaskRunSpecs": C.CONFIGURATION_ERROR,
    "ParameterTypeMismatch": C.CONFIGURATION_ERROR,
    "ObjectParameterMissKeys": C.CONFIGURATION_ERROR,
    "ParamArrayIndexingInvalid": C.CONFIGURATION_ERROR,
    "ParameterMissing": C.CONFIGURATION_ERROR,
    "PipelineValidationFailed": C.CONFIGURATION_ERROR,
    "PipelineInvalidGraph": C.CONFIGURATION_ERROR,
    "PipelineRunCouldntCancel": C.UNKNOWN,
    "PipelineRunCouldntTimeOut": C.DEADLINE_EXCEEDED,
    "InvalidMatrixParameterTypes": C.CONFIGURATION_ERROR,
    "InvalidTaskResultReference": C.CONFIGURATION_ERROR,
    "InvalidPipelineResultReference": C.CONFIGURATION_ERROR,
    "RequiredWorkspaceMarkedOptional": C.CONFIGURATION_ERROR,
    "ResourceVerificationFailed": C.FORBIDDEN,
    "CreateRunFailed": C.UNKNOWN,
    "CELEvaluationFailed": C.CONFIGURATION_ERROR,
    "InvalidParamValue": C.CONFIGURATION_ERROR,
    "SomethingNew": C.UNKNOWN,
}
TASK_FAILS = {
    "Failed": C.TASK_FAILED,
    "StepFailed": C.TASK_FAILED,
    "StepOOM": C.OOM_KILLED,
    "SidecarFailed": C.TASK_FAILED,
    "PodEvicted": C.RESOURCE_EXHAUSTED,
    "InitContainerFailed": C.UNKNOWN,
    "TaskRunTimeout": C.DEADLINE_EXCEEDED,
    "TaskRunImagePullFailed": C.IMAGE_PULL_BACK_OFF,
    "TaskRunResultLargerThanAllowedLimit": C.TASK_FAILED,
    "TaskRunStopSidecarFailed": C.TASK_FAILED,
    "TaskRunResultsVerificationFailed": C.FORBIDDEN,
    "InvalidParamValue": C.CONFIGURATION_ERROR,
    "TaskRunResolutionFailed": C.CONFIGURATION_ERROR,
    "TaskRunValidationFailed": C.CONFIGURATION_ERROR,
    "TaskValidationFailed": C.CONFIGURATION_ERROR,
    "ResourceVerificationFailed": C.FORBIDDEN,
    "CouldntGetTask": C.CONFIGURATION_ERROR,
    "ExceededResourceQuota": C.RESOURCE_EXHAUSTED,
    "ExceededNodeResources": C.RESOURCE_EXHAUSTED,
    "PullImageFailed": C.IMAGE_PULL_BACK_OFF,
    "CreateContainerConfigError": C.CONFIGURATION_ERROR,
    "PodCreationFailed": C.CONFIGURATION_ERROR,
    "PodAdmissionFailed": C.FORBIDDEN,
}
STEP_FAILS = {
    "Error": C.TASK_FAILED,
    "OOMKilled": C.OOM_KILLED,
    "Evicted": C.RESOURCE_EXHAUSTED,
    "DeadlineExceeded": C.DEADLINE_EXCEEDED,
    "TaskRunTimeout": C.DEADLINE_EXCEEDED,
    "TaskRunImagePullFailed": C.IMAGE_PULL_BACK_OFF,
    "StartError": C.CONFIGURATION_ERROR,
    "ContainerCannotRun": C.CONFIGURATION_ERROR,
    "CreateContainerConfigError": C.CONFIGURATION_ERROR,
}


def run(status, reason):
    return {"status": {"conditions": [{"type": "Succeeded", "status": status, "reason": reason, "message": ""}]}}


@pytest.mark.parametrize("reason", GOES_ON)
def test_a_run_that_goes_on_has_not_ended_whatever_its_reason(reason):
    assert run_state(run("Unknown", reason)) is RunState.RUNNING


@pytest.mark.parametrize("reason", SUCCEEDS)
def test_a_run_that_succeeded(reason):
    assert run_state(run("True", reason)) is RunState.SUCCEEDED


@pytest.mark.parametrize(("reason", "category"), RUN_FAILS.items())
def test_a_run_that_failed(reason, category):
    assert run_state(run("False", reason)) is RunState.FAILED
    assert failure.category(Culprit(), reason, "") is category


@pytest.mark.parametrize(("reason", "category"), TASK_FAILS.items())
def test_a_task_that_failed(reason, category):
    assert failure.category(Culprit(task="a", task_reason=reason), "Failed", "") is category


@pytest.mark.parametrize(("reason", "category"), STEP_FAILS.items())
def test_a_step_that_failed(reason, category):
    assert failure.category(Culprit(task="a", task_reason="StepFailed", step="b", step_reason=reason), "Failed", "") is category


def test_the_tables_have_no_reason_that_is_not_tested():
    assert set(failure.RUN_CATEGORIES) <= set(RUN_FAILS)
    assert set(failure.TASK_CATEGORIES) <= set(TASK_FAILS)
    assert set(failure.STEP_CATEGORIES) <= set(STEP_FAILS)


@pytest.mark.parametrize(
    "said",
    [
        'Error from server (Forbidden): deployments.apps "api" is forbidden: User "system:serviceaccount:a:b" cannot patch resource "deployments"',
        'message: Error from server (Forbidden): pods is forbidden: User "x" cannot list resource "pods" in API group ""',
    ],
)
def test_a_step_that_was_not_allowed_is_forbidden_not_just_failed(said):
    blamed = Culprit(task="a", task_reason="StepFailed", step="b", step_reason="Error", exit_code=1, message=said)
    assert failure.category(blamed, "Failed", "") is C.FORBIDDEN
