"""How each recorded case must end for a WorkflowExecution: written by hand from the README of tests/recordings/tekton, never from our output."""

from dataclasses import dataclass

from kubernaut.api.workflow import FailureCategory as C


@dataclass(frozen=True)
class Failed:
    """The failure as it must be told."""

    reason: str
    category: C
    task: str = ""
    step: str = ""
    exit_code: int | None = None
    ran: bool = False
    message: str = ""
    """A part of the summary."""


def _unresolved(message: str) -> Failed:
    return Failed("CouldntGetPipeline", C.CONFIGURATION_ERROR, message=message)


FAILED: dict[str, Failed] = {
    "bundle-garbage": _unresolved("error converting YAML to JSON"),
    "bundle-host-unknown": _unresolved("cannot retrieve the oci image"),
    "bundle-invalid-pipeline": Failed("PipelineValidationFailed", C.CONFIGURATION_ERROR, message="dryRunValidation"),
    "bundle-kind-default": _unresolved("could not find object in image with kind: task"),
    "bundle-name-missing": _unresolved("could not find object in image with kind: pipeline and name: nosuch"),
    "bundle-no-annotations": _unresolved("does not contain a dev.tekton.image.apiVersion annotation"),
    "bundle-no-name-param": _unresolved('parameter "name" required'),
    "bundle-ref-invalid": _unresolved("could not parse reference"),
    "bundle-registry-down": _unresolved("connection refused"),
    "bundle-repo-missing": _unresolved("MANIFEST_UNKNOWN"),
    "bundle-tag-missing": _unresolved("MANIFEST_UNKNOWN"),
    "bundle-task-missing": Failed("CouldntGetTask", C.CONFIGURATION_ERROR, message="Tasks that don't exist"),
    "bundle-wrong-kind": _unresolved("resource is not a pipeline"),
    "cancelled": Failed("Cancelled", C.UNKNOWN, "sleep", "sleep", 1, ran=True, message="was cancelled"),
    "cancelled-at-create": Failed("Cancelled", C.UNKNOWN, message="was cancelled"),
    "cancelled-run-finally": Failed("Cancelled", C.UNKNOWN, "sleep", "sleep", 1, ran=True),
    "command-missing": Failed("Failed", C.TASK_FAILED, "bad", "bad", 1, ran=True),
    "image-pull-failure": Failed("Failed", C.IMAGE_PULL_BACK_OFF, "pull", "pull", 1, message="failed to pull the image"),
    "node-down": Failed("Failed", C.TASK_FAILED, "sleep", "sleep", 255, ran=True),
    "oom-killed": Failed("Failed", C.OOM_KILLED, "eat", "eat", 137, ran=True),
    "parallel-one-fails": Failed("Failed", C.TASK_FAILED, "a", "quick", 7, ran=True),
    "param-missing": Failed("ParameterMissing", C.CONFIGURATION_ERROR, message="missing some parameters"),
    "pipelinerun-timeout": Failed("PipelineRunTimeout", C.DEADLINE_EXCEEDED, "sleep", "sleep", 1, ran=True),
    "pod-deleted": Failed("Failed", C.TASK_FAILED, "sleep", "sleep", 255, ran=True),
    "pod-security": Failed("Failed", C.FORBIDDEN, "first", message="violates PodSecurity"),
    "resolver-unknown": _unresolved("resolution took longer than global timeout"),
    "resolvers-down": _unresolved("resolution took longer than global timeout"),
    "result-missing": Failed("CouldntGetPipelineResult", C.CONFIGURATION_ERROR, ran=True, message="the referenced results don't exist"),
    "retry": Failed("Failed", C.TASK_FAILED, "flaky", "break", 5, ran=True),
    "serviceaccount-missing": Failed("Failed", C.CONFIGURATION_ERROR, "first", message='serviceaccounts "nosuch" not found'),
    "serviceaccount-missing-hello": Failed("Failed", C.CONFIGURATION_ERROR, "greet", message='serviceaccounts "nosuch" not found'),
    "step-exit-3": Failed("Failed", C.TASK_FAILED, "second", "break", 3, ran=True, message="exit code 3 (partial: partial)"),
    "stopped-run-finally-flat": Failed("Cancelled", C.UNKNOWN, ran=True),
    "tasks-timeout": Failed("PipelineRunTimeout", C.DEADLINE_EXCEEDED, "sleep", "sleep", 1, ran=True),
    "unschedulable": Failed("PipelineRunTimeout", C.DEADLINE_EXCEEDED, "first"),
    "workspace-missing": Failed("InvalidWorkspaceBindings", C.CONFIGURATION_ERROR, message="doesn't bind Pipeline"),
    "workspace-pvc-missing": Failed("PipelineRunTimeout", C.DEADLINE_EXCEEDED, "ws"),
}
SPOILED = {"resolvers-restart"}
"""Failed by resolvers that were restarting: nothing is wrong with the run."""
DELETED: dict[str, bool] = {
    # case: whether a step had run
    "deleted-background": True,
    "deleted-finalizer": True,
    "deleted-foreground": True,
    "deleted-owner": True,
}
SUCCEEDED: dict[str, tuple[int, int]] = {
    # case: tasks done, of total
    "bundle-raw-layer": (3, 3),
    "controller-down": (3, 3),
    "name-conflict": (3, 3),
    "on-error-continue": (2, 2),
    "param-extra": (3, 3),
    "param-object-key": (3, 3),
    "pending": (3, 3),
    "pod-deleted-graceful": (1, 1),
    "rejected": (3, 3),
    "success": (3, 3),
    "success-digest": (3, 3),
    "workspace-emptydir": (1, 1),
}
OTHERS: dict[tuple[str, str], str] = {
    # case and further PipelineRun: how it ended
    ("name-conflict", "n" * 63): "Completed",
    ("name-conflict", "gen-sbs4k"): "Completed",
    ("rejected", "trs"): "Failed",
    ("rejected", "beta"): "Completed",
    ("rejected", "live"): "Failed",
    ("resolvers-restart", "second"): "Failed",
}
