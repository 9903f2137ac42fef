"""Walks each AIAnalysis from a question to a fix that may run, or to a person."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, assert_never

from kubernaut.analysis.approval import context_of, forget_answer, note_answer, request_for, request_name, what_will_change
from kubernaut.analysis.binding import Binding
from kubernaut.analysis.collect import Collector, indexes
from kubernaut.analysis.decide import Answer, Asked, Await, Begin, Confirm, Investigate, Refused, Rest, Seen, Step, TimeOut, decide
from kubernaut.analysis.investigators.base import Finding, Investigator, Question, Verdict
from kubernaut.analysis.investigators.rules.investigator import RuleInvestigator
from kubernaut.analysis.plan import Next, Plan, plan_for
from kubernaut.analysis.policy import Policy
from kubernaut.analysis.report import (
    end_as_void,
    end_by_refusal,
    end_in_time_out,
    end_with_person,
    end_with_plan,
    end_without_action,
    write_plan,
)
from kubernaut.analysis.requests import Requests
from kubernaut.analysis.settings import AnalysisSettings
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.analysis import AIAnalysis, ApprovalStatus, Phase
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.base import AuditOutcome, FreeForm, Obj
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.durations import parse_duration
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.journal import record
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome, again
from kubernaut.kube.status import cut

BY_ACTION: Final = "analysis.action"
GRACE: Final = timedelta(seconds=5)
"""How long to leave the clock's own answer to be written before looking again; its watch comes first."""
VOID: Final = "The target or the workflow changed after the approval: it was for something else and does not hold."
_RANKS: Final = {Verdict.CAUSE_FOUND: 0, Verdict.INCONCLUSIVE: 1, Verdict.NO_ACTION: 2}
"""Of several subjects, the one with a cause counts; all must be well for nothing to be done."""
_ANSWERS = {None: Answer.NONE, Decision.APPROVED: Answer.YES, Decision.REJECTED: Answer.NO, Decision.EXPIRED: Answer.EXPIRED}


class Analyst:
    """Walks each AIAnalysis to its end."""

    def __init__(self, cluster: Cluster, investigators: Sequence[Investigator], settings: AnalysisSettings) -> None:
        self._cluster = cluster
        self._investigators = tuple(investigators)
        self._settings = settings
        self._policy = Policy(settings.policy)
        self._collector = Collector(cluster, window_limit=settings.time_window_limit)
        self._binding = Binding(cluster, BY_ACTION)

    async def reconcile(self, analysis: AIAnalysis) -> Outcome:
        """Observe, decide, act and report, one step a pass."""
        now = self._cluster.clock.now()
        return await self._act(analysis, decide(self._observe(analysis, now), now), now)

    def _observe(self, analysis: AIAnalysis, now: datetime) -> Seen:
        status, spec = analysis.status, analysis.spec
        began = analysis.metadata.creation_timestamp or now
        return Seen(
            ended=status.completed_at is not None,
            started=status.started_at is not None,
            investigated=bool(status.investigator),
            deadline=spec.times_out_at or began + self._settings.time_limit,
            asked=self._asked(analysis),
            rounds=self._settings.approval_rounds,
        )

    def _asked(self, analysis: AIAnalysis) -> Asked | None:
        """Return the latest approval request that exists."""
        for round_ in range(self._settings.approval_rounds, 0, -1):
            request = self._request(analysis, round_)
            if request is not None:
                return Asked(round_, _ANSWERS[request.status.decision], request.spec.required_by)
        return None

    def _request(self, analysis: AIAnalysis, round_: int) -> AIApprovalRequest | None:
        namespace, name = analysis.key
        return self._cluster.find(AIApprovalRequest, namespace, request_name(name, round_))

    async def _act(self, analysis: AIAnalysis, step: Step, now: datetime) -> Outcome:
        match step:
            case Rest():
                return DONE
            case Begin():
                return _begin(analysis, now)
            case Investigate(round_):
                return await self._investigate(analysis, round_, now)
            case Await(until):
                return again(max(until, now + GRACE))
            case Confirm(round_, last):
                return await self._confirm(analysis, round_, now, last=last)
            case Refused(round_):
                return self._refused(analysis, round_, now)
            case TimeOut():
                end_in_time_out(analysis.status, now)
                return DONE
            case _:
                assert_never(step)

    async def _investigate(self, analysis: AIAnalysis, round_: int, now: datetime) -> Outcome:
        """Find cause and fix in one pass: rules need milliseconds. An investigator that needs longer becomes an object of its own here."""
        finding, snapshot = await self._finding(analysis, now)
        catalogue = self._cluster.where(RemediationWorkflow, BY_ACTION, finding.action) if finding.action else []
        plan = plan_for(analysis.spec, finding, snapshot, catalogue, self._policy, self._settings.mode)
        write_plan(analysis, plan, self._settings.mode)
        _note_finding(analysis, plan, now)
        return await self._follow(analysis, plan, round_, now)

    async def _finding(self, analysis: AIAnalysis, now: datetime) -> tuple[Finding, Snapshot]:
        """Ask about every subject of the scope, and keep the finding that says most."""
        request = analysis.spec.analysis_request
        question = Question(request=request, tried=tuple(analysis.spec.previous_executions))
        found = []
        for subject in self._collector.subjects(request):
            snapshot = self._collector.collect(request, subject, now)
            found.append((await self._ask(question, snapshot), snapshot))
        return min(found, key=lambda row: (_RANKS[row[0].verdict], -row[0].cause.confidence))

    async def _ask(self, question: Question, snapshot: Snapshot) -> Finding:
        """Ask the investigators in turn until one knows; the first one's answer stands when none does."""
        findings = []
        for investigator in self._investigators:
            findings.append(await investigator.investigate(question, snapshot))
            if findings[-1].verdict is not Verdict.INCONCLUSIVE:
                return findings[-1]
        return findings[0]

    async def _follow(self, analysis: AIAnalysis, plan: Plan, round_: int, now: datetime) -> Outcome:
        match plan.next:
            case Next.NOTHING:
                end_without_action(analysis.status, plan, now)
            case Next.PERSON:
                end_with_person(analysis.status, plan, now)
            case Next.RUN:
                end_with_plan(analysis.status, now)
            case Next.ASK:
                return await self._request_approval(analysis, plan, round_, now)
            case _:
                assert_never(plan.next)
        return DONE

    async def _request_approval(self, analysis: AIAnalysis, plan: Plan, round_: int, now: datetime) -> Outcome:
        status = analysis.status
        context = context_of(status, plan.ruling.why, plan.ruling.evaluation)
        change = what_will_change(plan.selection.workflow, status)
        by = now + self._patience(analysis)
        wanted = request_for(analysis, context, round_=round_, bound_to=self._binding.then(status), change=change, required_by=by)
        request = await self._cluster.create_owned(wanted, analysis)
        _note_question(analysis, request, now)
        status.approval_context = context
        twice = "" if round_ == 1 else " The target changed after the last approval, so a person is asked again."
        status.message = cut(f"Waiting for a person to approve {status.recommended_action}: {plan.ruling.why}.{twice}")
        return again(request.spec.required_by)

    def _patience(self, analysis: AIAnalysis) -> timedelta:
        """Return how long a person has; a text that is no duration counts as none given."""
        try:
            return parse_duration(analysis.spec.approval_timeout)
        except ValueError:
            return self._settings.approval_timeout

    async def _confirm(self, analysis: AIAnalysis, round_: int, now: datetime, *, last: bool) -> Outcome:
        """Let the fix run when it is still exactly what was approved; else ask again, or give up."""
        request = self._request(analysis, round_)
        if request is None:
            return again(now)
        note_answer(analysis.status, request)
        if await self._binding.now(analysis.status) == request.spec.bound_to:
            end_with_plan(analysis.status, now)
            return DONE
        record(analysis, "ApprovalVoid", VOID, now=now, outcome=AuditOutcome.FAILURE, data={"request": request.metadata.name})
        if last:
            end_as_void(analysis.status, round_, now)
            return DONE
        forget_answer(analysis.status)
        return await self._investigate(analysis, round_ + 1, now)

    def _refused(self, analysis: AIAnalysis, round_: int, now: datetime) -> Outcome:
        if request := self._request(analysis, round_):
            note_answer(analysis.status, request)
        end_by_refusal(analysis.status, now)
        return DONE


def _begin(analysis: AIAnalysis, now: datetime) -> Outcome:
    alert = analysis.spec.analysis_request.alert_context
    analysis.status.started_at, analysis.status.phase = now, Phase.INVESTIGATING
    analysis.status.message = f"Looking at {alert.resource_kind} {alert.namespace}/{alert.resource_name} and what stands around it"
    return again(now)


def _note_finding(analysis: AIAnalysis, plan: Plan, now: datetime) -> None:
    """Write down what was found and chosen, for the audit trail."""
    found, chosen = plan.finding, plan.selection.chosen
    data: FreeForm = {
        "verdict": found.verdict.value,
        "cause": found.cause.name,
        "confidence": found.cause.confidence,
        "target": found.target.path(),
        "action": found.action,
        "workflow": chosen.workflow_id if chosen else "",
        "parameters": {**chosen.parameters} if chosen else {},
        "policy": ", ".join(plan.ruling.evaluation.matched_rules),
        "policyHash": plan.ruling.evaluation.policy_hash,
    }
    record(analysis, "InvestigationCompleted", found.cause.summary, now=now, data=data)


def _note_question(analysis: AIAnalysis, request: AIApprovalRequest, now: datetime) -> None:
    status = analysis.status
    status.phase = Phase.APPROVING
    status.approval_request_name = request.metadata.name
    status.approval_requested_at = request.metadata.creation_timestamp or now
    status.approval_status = ApprovalStatus.PENDING


def setup(manager: Manager, settings: AnalysisSettings, investigators: Sequence[Investigator] = ()) -> None:
    """Add the analysis stage to a manager; the investigators are asked in their order, the rules alone where none are named."""
    for kind, functions in indexes().items():
        manager.informer(kind, indexes=functions)
    manager.informer(RemediationWorkflow, indexes={BY_ACTION: _action})
    analyst, requests = Analyst(manager.cluster, investigators or (RuleInvestigator(),), settings), Requests(manager.cluster)
    manager.controller(AIAnalysis, analyst.reconcile).owns(AIApprovalRequest)
    manager.controller(AIApprovalRequest, requests.reconcile)


def _action(obj: Obj) -> Iterable[str]:
    return (obj["spec"].get("actionType", ""),)
