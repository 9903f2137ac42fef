"""Walks each AIAnalysis from a question to a fix that may run, or to a person."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, assert_never

from kubernaut.analysis.approval import forget_answer, note_answer
from kubernaut.analysis.approval_asking import BY_TARGET, SETTLING, VOID, Askers, Asking, target_waited_for
from kubernaut.analysis.approval_count import verdict
from kubernaut.analysis.approval_words import APPROVAL, Approval, shipped
from kubernaut.analysis.binding import Bindings
from kubernaut.analysis.collect import NEEDED, OWNERS, Collector, indexes
from kubernaut.analysis.contact import note_contact
from kubernaut.analysis.decide import (
    Answer,
    Ask,
    Asked,
    Await,
    Begin,
    Confirm,
    Investigate,
    Refused,
    Renew,
    Rest,
    Seen,
    Step,
    TimeOut,
    Withdraw,
    decide,
)
from kubernaut.analysis.diagnosis import Diagnosis
from kubernaut.analysis.history import history_indexes, without_help
from kubernaut.analysis.investigators.base import Investigator, Question, Unfinished
from kubernaut.analysis.investigators.rules.investigator import RuleInvestigator
from kubernaut.analysis.logs import ApiLogs, RecentLogs
from kubernaut.analysis.plan import Means, Next, Plan, plan_for
from kubernaut.analysis.policy import ApprovalPolicy
from kubernaut.analysis.report import (
    end_as_cancelled,
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
from kubernaut.api.analysis import AIAnalysis, Phase
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.base import CANCEL_ANNOTATION, AuditOutcome, FreeForm, Obj
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.execution import KubernetesExecution
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import IndexFn
from kubernaut.kube.journal import record
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome, again
from kubernaut.policy.live import CurrentPolicy, follow
from kubernaut.policy.metrics import FAULTS

BY_ACTION: Final = "analysis.action"
ALL_WORKFLOWS: Final = "analysis.workflows"
GRACE: Final = timedelta(seconds=5)
"""How long to leave the clock's own answer to be written before looking again; its watch comes first."""
_ANSWERS = {None: Answer.NONE, Decision.APPROVED: Answer.YES, Decision.REJECTED: Answer.NO, Decision.EXPIRED: Answer.EXPIRED}


class Analyst:
    """Walks each AIAnalysis to its end."""

    def __init__(
        self, cluster: Cluster, investigators: Sequence[Investigator], settings: AnalysisSettings, policy: CurrentPolicy[Approval]
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._policy = policy
        collector = Collector(cluster, window_limit=settings.time_window_limit)
        self._diagnosis = Diagnosis(collector, investigators, RecentLogs(ApiLogs(cluster.client), cluster.clock))
        self._bindings = Bindings(cluster, BY_ACTION)
        self._asking = Asking(cluster, settings, collector, self._bindings)

    async def reconcile(self, analysis: AIAnalysis) -> Outcome:
        """Observe, decide, act and report, one step a pass."""
        now = self._cluster.clock.now()
        step = decide(self._observe(analysis, now), now)
        outcome = await self._act(analysis, step, now)
        if isinstance(step, Rest | Await | Confirm | Refused | Withdraw):
            await self._asking.tidy(analysis)
        return outcome

    def _observe(self, analysis: AIAnalysis, now: datetime) -> Seen:
        status = analysis.status
        return Seen(
            ended=status.completed_at is not None,
            started=status.started_at is not None,
            investigated=bool(status.investigator),
            deadline=self._deadline(analysis, now),
            asked=self._asked(analysis),
            rounds=self._settings.approval_rounds,
            void=status.approvals_void,
            cancelled=CANCEL_ANNOTATION in analysis.metadata.annotations,
        )

    def _deadline(self, analysis: AIAnalysis, now: datetime) -> datetime:
        """Return when an analysis that has asked nobody is given up."""
        return analysis.spec.times_out_at or (analysis.metadata.creation_timestamp or now) + self._settings.time_limit

    def _asked(self, analysis: AIAnalysis) -> Asked | None:
        """Return what came of the latest approval request that exists."""
        found = self._asking.latest(analysis)
        if found is None:
            return None
        round_, request = found
        answer = Answer.VOID if request.status.voided_at else _ANSWERS[verdict(request).decision]
        return Asked(round_, answer, request.spec.required_by)

    async def _act(self, analysis: AIAnalysis, step: Step, now: datetime) -> Outcome:
        match step:
            case Rest():
                return DONE
            case Begin():
                return _begin(analysis, now)
            case Investigate(round_):
                return await self._investigate(analysis, round_, now)
            case Ask(round_):
                return await self._asking.ask(analysis, round_, now)
            case Await(round_, until):
                return await self._await(analysis, round_, until, now)
            case Confirm(round_):
                return await self._confirm(analysis, round_, now)
            case Renew(round_, last):
                return await self._renew(analysis, round_, now, last=last)
            case Refused() | Withdraw():
                return await self._closed(analysis, step, now)
            case TimeOut():
                end_in_time_out(analysis.status, now)
                return DONE
            case _:
                assert_never(step)

    async def _investigate(self, analysis: AIAnalysis, round_: int, now: datetime) -> Outcome:
        """Find cause and fix: rules need milliseconds, and who needs longer is asked again."""
        spec, policy = analysis.spec, ApprovalPolicy.of(self._policy)
        try:
            finding, snapshot = await self._diagnosis.find(self._question(analysis, round_, now), now)
        except Unfinished as wait:
            return _wait(analysis, wait, now)
        note_contact(analysis.status, finding.contact, now)
        catalogue = self._cluster.where(RemediationWorkflow, BY_ACTION, finding.action) if finding.action else []
        known = without_help(self._cluster, finding.target, snapshot.since)
        means = Means(catalogue=catalogue, policy=policy, mode=self._settings.mode, without_help=known)
        plan = plan_for(spec, finding, snapshot, means)
        FAULTS.labels(APPROVAL.name).inc(len(plan.ruling.faults))
        write_plan(analysis, plan, self._settings.mode)
        analysis.status.binding = await self._bindings.make(analysis.status, snapshot.chain)
        _note_finding(analysis, plan, now)
        return await self._follow(analysis, plan, round_, now)

    def _question(self, analysis: AIAnalysis, round_: int, now: datetime) -> Question:
        return Question(
            request=analysis.spec.analysis_request,
            tried=tuple(analysis.spec.previous_executions),
            catalogue=lambda: self._cluster.where(RemediationWorkflow, ALL_WORKFLOWS, ""),
            until=self._deadline(analysis, now) if round_ == 1 else None,  # people took their time
        )

    async def _follow(self, analysis: AIAnalysis, plan: Plan, round_: int, now: datetime) -> Outcome:
        match plan.next:
            case Next.NOTHING:
                end_without_action(analysis.status, plan, now)
            case Next.PERSON:
                end_with_person(analysis.status, plan, now)
            case Next.RUN:
                end_with_plan(analysis.status, now, plan.ruling)
            case Next.ASK:
                self._asking.prepare(analysis, plan)
                return await self._asking.ask(analysis, round_, now)
            case _:
                assert_never(plan.next)
        return DONE

    async def _await(self, analysis: AIAnalysis, round_: int, until: datetime, now: datetime) -> Outcome:
        """Wait for people, while what they are asked about still stands; a question that a crash left unnoted is noted first."""
        request = self._asking.request(analysis, round_)
        if request is not None and analysis.status.approval_request_name != request.metadata.name:
            return await self._asking.ask(analysis, round_, now)
        if request is None or self._bindings.hold(analysis.status):
            return again(max(until, now + GRACE))
        await self._asking.take_back(request, now)
        return again(now)

    async def _confirm(self, analysis: AIAnalysis, round_: int, now: datetime) -> Outcome:
        """Let the fix run when it is still exactly what was approved."""
        request = self._asking.request(analysis, round_)
        if request is None:
            return again(now)
        if not await self._bindings.hold_live(analysis.status):
            await self._asking.take_back(request, now)
            return again(now)
        note_answer(analysis.status, request)
        end_with_plan(analysis.status, now)
        return DONE

    async def _renew(self, analysis: AIAnalysis, round_: int, now: datetime, *, last: bool) -> Outcome:
        """Begin anew after a question became void, wherever the analysis stood; or give up when people were asked often enough."""
        status, request = analysis.status, self._asking.request(analysis, round_)
        if request is None:
            return again(now)
        status.completed_at, status.reason, status.sub_reason = None, "", ""
        if not last and (until := self._asking.settles_until(analysis, request, now)):
            status.phase, status.message = Phase.ANALYZING, SETTLING
            return again(until)
        why, data = request.status.void_reason or VOID, {"request": request.metadata.name}
        record(analysis, "ApprovalVoid", why, now=now, outcome=AuditOutcome.FAILURE, data={**data})
        status.approvals_void = round_
        forget_answer(status)
        if last:
            end_as_void(status, round_, now)
            return DONE
        return await self._investigate(analysis, round_ + 1, now)

    async def _closed(self, analysis: AIAnalysis, step: Refused | Withdraw, now: datetime) -> Outcome:
        """End without a fix: as people said, or since nobody waits for it; then the question is taken back, lest it be answered in vain."""
        request = self._asking.request(analysis, step.round)
        if isinstance(step, Withdraw):
            why = analysis.metadata.annotations[CANCEL_ANNOTATION].strip() or "by a person"
            if request:
                await self._asking.take_back(request, now, f"Nobody need decide any more: {why}")
            end_as_cancelled(analysis.status, why, now)
            return DONE
        if request:
            note_answer(analysis.status, request)
        end_by_refusal(analysis.status, now)
        return DONE


def _begin(analysis: AIAnalysis, now: datetime) -> Outcome:
    alert = analysis.spec.analysis_request.alert_context
    analysis.status.started_at, analysis.status.phase = now, Phase.INVESTIGATING
    analysis.status.message = f"Looking at {alert.resource_kind} {alert.namespace}/{alert.resource_name} and what stands around it"
    return again(now)


def _wait(analysis: AIAnalysis, wait: Unfinished, now: datetime) -> Outcome:
    """Say what is waited for; a plan from before is not gone on with."""
    status = analysis.status
    status.phase, status.message, status.investigator = Phase.INVESTIGATING, str(wait), ""
    note_contact(status, wait.contact, now)
    return again(now + wait.pause)


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


def setup(manager: Manager, settings: AnalysisSettings, investigators: Sequence[Investigator] = ()) -> None:
    """Add the analysis stage to a manager; the investigators are asked in their order, the rules alone where none are named."""
    for kind, functions in indexes().items():
        manager.informer(kind, indexes=functions, required=kind in NEEDED)
    for model, functions in history_indexes().items():
        manager.informer(model, indexes=functions, required=False)
    manager.informer(RemediationWorkflow, indexes=catalogue_indexes())
    policy = follow(manager, APPROVAL, shipped(), settings.policy)
    analyst, requests = Analyst(manager.cluster, investigators or (RuleInvestigator(),), settings, policy), Requests(manager.cluster)
    manager.informer(AIAnalysis, indexes={BY_TARGET: target_waited_for})
    analyses = manager.controller(AIAnalysis, analyst.reconcile).owns(AIApprovalRequest).owns(KubernetesExecution)
    askers = Askers(manager.cluster)
    for kind in OWNERS:
        analyses.watches(kind, askers.about)
    manager.controller(AIApprovalRequest, requests.reconcile)


def catalogue_indexes() -> dict[str, IndexFn]:
    """Return the indexes that workflows are chosen by."""
    return {BY_ACTION: _action, ALL_WORKFLOWS: _any}


def _any(_: Obj) -> Iterable[str]:
    return ("",)


def _action(obj: Obj) -> Iterable[str]:
    return (obj["spec"].get("actionType", ""),)
