"""How long each part of a remediation may take: the settings, unless the remediation says otherwise."""

from datetime import datetime, timedelta

from kubernaut.api.durations import parse_duration
from kubernaut.api.remediation import RemediationRequest, TimeoutConfig
from kubernaut.orchestration.facts import Stage
from kubernaut.orchestration.settings import OrchestrationSettings


class Limits:
    """The limits of one remediation."""

    def __init__(self, request: RemediationRequest, settings: OrchestrationSettings) -> None:
        self._request = request
        self._settings = settings

    def of(self, stage: Stage, *, steps: bool = False) -> timedelta:
        """Return a stage's limit; `steps` is for a workflow in step mode, which only plans."""
        given = _given(self._request.spec.timeout_config, stage)
        return parse_duration(given) if given else _default(self._settings, stage, steps=steps)

    def deadline(self, stage: Stage, since: datetime, written: datetime | None, *, steps: bool = False) -> datetime:
        """Return when a stage's time is up: as its object says, or earlier where a person has shortened the limit since."""
        due = since + self.of(stage, steps=steps)
        return due if written is None else min(written, due) if _given(self._request.spec.timeout_config, stage) else written

    def overall_deadline(self, waited: timedelta) -> datetime:
        """Return when the fix must have been carried out, given how long was spent waiting."""
        return self.started + self.of(Stage.OVERALL) + waited

    @property
    def started(self) -> datetime:
        """When the remediation began."""
        return self._request.metadata.creation_timestamp or self._request.spec.created_at

    @property
    def pause(self) -> timedelta:
        """How long people may keep it waiting."""
        return self._settings.pause_limit

    @property
    def lock_wait(self) -> timedelta:
        """How long to wait for the target."""
        return self._settings.lock_wait_limit

    @property
    def approval_grace(self) -> timedelta:
        """How long after the approval's own end it is ended from here."""
        return self._settings.approval_grace


def retention_of(request: RemediationRequest, settings: OrchestrationSettings) -> timedelta:
    """Return how long a remediation is kept once it has ended: by its environment, as classified, else as for all."""
    environment = (request.status.environment or request.spec.environment).casefold()
    return settings.retention_by_environment.get(environment, settings.retention)


def _given(config: TimeoutConfig, stage: Stage) -> str | None:
    return {
        Stage.PROCESSING: config.remediation_processing_timeout,
        Stage.ANALYSIS: config.ai_analysis_timeout,
        Stage.APPROVAL: config.approval_timeout,
        Stage.WORKFLOW: config.workflow_execution_timeout,
        Stage.EXECUTION: config.kubernetes_execution_timeout,
        Stage.VERIFICATION: config.verification_timeout,
        Stage.OVERALL: config.overall_workflow_timeout,
    }[stage]


def _default(settings: OrchestrationSettings, stage: Stage, *, steps: bool) -> timedelta:
    return {
        Stage.PROCESSING: settings.processing_limit,
        Stage.ANALYSIS: settings.analysis_limit,
        Stage.APPROVAL: settings.approval_limit,
        Stage.WORKFLOW: settings.steps_limit if steps else settings.workflow_limit,
        Stage.EXECUTION: settings.execution_limit,
        Stage.VERIFICATION: settings.verification_limit,
        Stage.OVERALL: settings.overall_limit,
    }[stage]
