"""Asks people: tries the fix without effect to show what it changes, writes the question, takes it back when it no longer stands."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from kubernaut.analysis.approval import context_of, patience, request_for, request_name
from kubernaut.analysis.approval_preview import effect_of, is_preview, operations_of, preview_of
from kubernaut.analysis.binding import Bindings
from kubernaut.analysis.collect import Collector
from kubernaut.analysis.plan import Plan
from kubernaut.analysis.settings import AnalysisSettings
from kubernaut.api.analysis import AIAnalysis, ApprovalStatus, Phase
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.api.execution import KubernetesExecution
from kubernaut.kube.cluster import OWNER_INDEX, Cluster
from kubernaut.kube.informer import Key
from kubernaut.kube.outcome import Outcome, again
from kubernaut.kube.status import cut

BY_TARGET: Final = "analysis.target"
"""Files analyses that wait, for people or for a roll-out, under the path of what they would act on."""
VOID: Final = "The target or the workflow changed after people were asked: the question was about something else."
SETTLING: Final = "The target is being changed: it is looked at again when that is over"
_WATCHING: Final = frozenset({Phase.APPROVING.value, Phase.ANALYZING.value})
TRYING: Final = "Trying the fix without effect, to show what it would change"


class Asking:
    """Writes questions to people, and takes them back."""

    def __init__(self, cluster: Cluster, settings: AnalysisSettings, collector: Collector, bindings: Bindings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._collector = collector
        self._bindings = bindings

    def request(self, analysis: AIAnalysis, round_: int) -> AIApprovalRequest | None:
        """Return the request of a round, the first of which is 1."""
        namespace, name = analysis.key
        return self._cluster.find(AIApprovalRequest, namespace, request_name(name, round_)) if round_ else None

    def latest(self, analysis: AIAnalysis) -> tuple[int, AIApprovalRequest] | None:
        """Return the latest request that exists, with its round."""
        for round_ in range(self._settings.approval_rounds, 0, -1):
            if request := self.request(analysis, round_):
                return round_, request
        return None

    def prepare(self, analysis: AIAnalysis, plan: Plan) -> None:
        """Keep what will be asked, so that the question can be written in a later pass."""
        analysis.status.approval_context = context_of(analysis.status, plan.ruling.why, plan.ruling.evaluation)

    async def ask(self, analysis: AIAnalysis, round_: int, now: datetime) -> Outcome:
        """Ask in a round: find out what the fix changes, then write the question; one that exists already stays as it is."""
        request = self.request(analysis, round_)
        if request is None:
            trial = await self._trial(analysis, now)
            if trial is not None and _under_way(trial, now):
                analysis.status.phase, analysis.status.message = Phase.RECOMMENDING, TRYING
                return again(trial.spec.times_out_at or now)
            request = await self._write(analysis, trial, round_, now)
        _note_question(analysis, request, round_, now)
        await self.tidy(analysis)
        return again(request.spec.required_by)

    async def take_back(self, request: AIApprovalRequest, now: datetime, why: str = VOID) -> None:
        """Make a question void, unless something else about it changed meanwhile; a question that is void stays so."""
        if request.status.voided_at is None:
            await self._cluster.patch_status(request, {"voidedAt": now.isoformat(), "voidReason": cut(why)})

    def settles_until(self, analysis: AIAnalysis, request: AIApprovalRequest, now: datetime) -> datetime | None:
        """Return until when to leave a target alone whose change made a question void; None when it may be looked at."""
        until = (request.status.voided_at or now) + self._settings.settling_limit
        return until if now < until and self._bindings.settling(analysis.status) else None

    async def _trial(self, analysis: AIAnalysis, now: datetime) -> KubernetesExecution | None:
        """Return the dry run of the plan; None where it has no steps that could be tried."""
        operations = operations_of(self._bindings.workflow_of(analysis.status), analysis.status)
        if not operations:
            return None
        wanted = preview_of(analysis, operations, now, self._settings.preview_timeout)
        known = self._cluster.find(KubernetesExecution, wanted.metadata.namespace, wanted.metadata.name)
        return known or await self._cluster.create_owned(wanted, analysis)

    async def _write(self, analysis: AIAnalysis, trial: KubernetesExecution | None, round_: int, now: datetime) -> AIApprovalRequest:
        status = analysis.status
        context = status.approval_context
        if context is None:
            raise ValueError("a question is written after it was prepared")
        ended = trial if trial and trial.status.completion_time else None
        effect = effect_of(self._bindings.workflow_of(status), status, ended, self._pods_of)
        by = now + patience(analysis.spec.approval_timeout, context.policy_evaluation, self._settings.approval_timeout)
        wanted = request_for(analysis, context, effect, round_=round_, required_by=by)
        return await self._cluster.create_owned(wanted, analysis)

    async def tidy(self, analysis: AIAnalysis) -> None:
        """Delete previews whose difference was copied; they go when their facts are on record. Trials that others made are theirs."""
        for trial in self._cluster.where(KubernetesExecution, OWNER_INDEX, analysis.metadata.uid):
            if trial.metadata.deletion_timestamp is None and is_preview(analysis, trial.metadata.name):
                await self._cluster.delete(trial)

    def _pods_of(self, target: ResourceIdentifier) -> list[str]:
        pods = self._collector.pods_of(target)
        return [f"{pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}" for pod in pods]


def _under_way(trial: KubernetesExecution, now: datetime) -> bool:
    return trial.status.completion_time is None and (trial.spec.times_out_at is None or now < trial.spec.times_out_at)


def _note_question(analysis: AIAnalysis, request: AIApprovalRequest, round_: int, now: datetime) -> None:
    status, spec = analysis.status, request.spec
    status.phase, status.approvals_void = Phase.APPROVING, round_ - 1
    status.approval_request_name = request.metadata.name
    status.approval_requested_at = request.metadata.creation_timestamp or now
    status.approval_status = ApprovalStatus.PENDING
    twice = "" if round_ == 1 else " The target changed after people were asked before, so they are asked again."
    people = "a person" if spec.policy_evaluation.min_approvers == 1 else f"{spec.policy_evaluation.min_approvers} people"
    status.message = cut(f"Waiting for {people} to approve {status.recommended_action}: {spec.why_approval_required}.{twice}")


class Askers:
    """Leads from an object that changed to the analyses that ask people about it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def about(self, obj: Obj) -> Iterable[Key]:
        """Return the analyses that wait for an answer about an object."""
        meta = obj["metadata"]
        path = ResourceIdentifier(kind=obj["kind"], name=meta["name"], namespace=meta.get("namespace", "")).path()
        found = self._cluster.select(AIAnalysis.card, BY_TARGET, path)
        return [Key(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found]


def target_waited_for(obj: Obj) -> Iterable[str]:
    """Return the path of what an analysis asks people about; nothing once it no longer asks."""
    status = obj.get("status") or {}
    named = status.get("remediationTarget")
    if not named or status.get("phase") not in _WATCHING:
        return ()
    return (ResourceIdentifier.model_validate(named).path(),)
