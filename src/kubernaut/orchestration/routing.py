"""May the next stage be opened now? Ordered, small, pure checks: each says why not, or how the case ends instead, or nothing.

A check sees a `Situation` and returns a `Block` (hold it, look again), an `End` (it is over) or None (no objection). The first
objection counts. Who adds a check adds its facts to `Situation`, with a default, and fills them in `lookout.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from kubernaut.api.remediation import Outcome, Phase, RemediationRequest
from kubernaut.api.signal import Severity
from kubernaut.orchestration.decide import RECOVERY_EVALUATION
from kubernaut.orchestration.evidence import evidence_hash
from kubernaut.orchestration.facts import Stage
from kubernaut.orchestration.family import Family
from kubernaut.orchestration.gate.checks import Gate, braked, kept_by_a_tool, paused, resolved, seen_once_more
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.orchestration.steps import Ask, Block, End, Hold, Notice, Open, escalated

BLOCKED: Final = "Blocked"
FAILED: Final = frozenset({Phase.FAILED, Phase.TIMED_OUT})
USELESS: Final = frozenset({Outcome.INCONCLUSIVE, Outcome.ROLLED_BACK, Outcome.VERIFICATION_TIMED_OUT})


@dataclass(frozen=True, slots=True)
class Past:
    """Another remediation, as far as it matters here."""

    name: str
    phase: Phase
    alert: str = ""
    severity: Severity = Severity.UNKNOWN
    outcome: Outcome | None = None
    failure_phase: str = ""
    evidence: str = ""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fix:
    """A fix of another remediation on the target that matters here."""

    name: str
    fix: str
    at_work: bool
    succeeded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """The moment before a stage is opened."""

    stage: Stage
    """What is about to be opened."""
    request: RemediationRequest
    family: Family
    settings: OrchestrationSettings
    now: datetime
    target: str = ""
    """What is or will be acted on: `namespace/kind/name`."""
    fix: str = ""
    """The fix that was chosen, and the hash of it with its parameters; empty before there is one."""
    plan_hash: str = ""
    managed: bool | None = None
    """What the label says, the object's own before its namespace's; None where neither says anything."""
    history: tuple[Past, ...] = ()
    """Ended remediations of the same problem, latest first."""
    ahead: Past | None = None
    """The remediation that this one is a duplicate of: the one that was noted, else the oldest open one on the target."""
    fixes: tuple[Fix, ...] = ()
    """Fixes of other remediations on the target."""
    chain: tuple[Past, ...] = ()
    """Ended remediations of the same target, latest first."""
    gate: Gate = field(default_factory=Gate)
    """What is looked at just before acting: the brake, the world, who keeps the target."""


Check = Callable[[Situation], Block | End | None]


def unmanaged(here: Situation) -> Block | None:
    """Leave alone what people have not opted in, or have opted out; look again soon, then less and less often."""
    if here.managed or (here.managed is None and not here.settings.managed_only):
        return None
    since = here.request.status.blocked_since or here.now
    wait = min(max(here.now - since, here.settings.unmanaged_backoff), here.settings.unmanaged_backoff_limit)
    message = f"neither {here.target} nor its namespace is labelled kubernaut.ai/managed=true"
    return Block("UnmanagedResource", message, here.now + wait, recheck=True)


def failing(here: Situation) -> Block | None:
    """Let a problem rest after each failure, longer each time, and longer still after a few in a row."""
    failures = failures_in_a_row(here.history)
    if not failures or failures[0].ended_at is None:
        return None
    settings, count = here.settings, len(failures)
    many = count >= settings.failure_threshold
    rest = settings.failure_rest if many else min(settings.failure_backoff * 2 ** (count - 1), settings.failure_backoff_limit)
    until = failures[0].ended_at + rest
    if here.now >= until:
        return None
    times = "once" if count == 1 else f"{count} times in a row"
    message = f"the remediation of this problem failed {times}, last as {failures[0].name}; it rests for {_minutes(rest)}"
    return Block("ConsecutiveFailures" if many else "ExponentialBackoff", message, until)


def duplicate(here: Situation) -> Block | End | None:
    """Wait for the remediation that already works on the target, and end as it ends."""
    ahead = here.ahead
    if ahead is None:
        return None
    if ahead.phase.terminal:
        return _as_its_parent(here, ahead)
    message = f"{ahead.name} works on {here.target} already; this one ends as that one ends"
    until = here.now + here.settings.recheck
    return Block("DuplicateInProgress", message, until, limit=here.settings.duplicate_limit, duplicate_of=ahead.name, recheck=True)


def _as_its_parent(here: Situation, ahead: Past) -> End:
    came = f"{ahead.phase.value}, {ahead.outcome.value}" if ahead.outcome else ahead.phase.value
    message = f"duplicate of {ahead.name}, which ended: {came}"
    return End(Phase.SKIPPED, here.stage, "Duplicate", message, Notice.BULK, ahead.outcome, duplicate_of=ahead.name)


def known_harmless(here: Situation) -> End | None:
    """Spare a second analysis of the same alert with the same evidence, but never of a higher severity."""
    status, spec, settings = here.request.status, here.request.spec, here.settings
    evidence = evidence_hash(here.family.processing.status.enriched_signal if here.family.processing else None)
    if not evidence or here.family.attempt:
        return None
    highest = status.deduplication.highest_severity if status.deduplication else None
    severity = max(spec.severity, highest or spec.severity, key=lambda each: each.rank)
    for past in here.history:
        recent = past.ended_at is not None and here.now < past.ended_at + settings.no_action_memory
        same = past.outcome is Outcome.NO_ACTION_REQUIRED and (past.alert, past.evidence) == (spec.signal_name, evidence)
        if recent and same and past.severity.rank >= severity.rank:
            message = f"nothing was to be done in {past.name}, and alert and evidence are the same"
            return End(Phase.COMPLETED, Stage.PROCESSING, "NoActionRequired", message, Notice.COMPLETION, Outcome.NO_ACTION_REQUIRED)
    return None


def tried_before(here: Situation) -> End | None:
    """Never carry out in one case what has failed in it."""
    tried = (*here.request.status.workflow_execution_refs, *here.request.status.kubernetes_execution_refs)
    failed = {each.attempt_number for each in tried if each.outcome == "failed" and each.attempt_number < here.family.attempt}
    if not here.plan_hash or here.plan_hash not in {each.plan_hash for each in tried if each.attempt_number in failed}:
        return None
    message = f"the analysis chose {here.fix} again, which has failed in this case"
    end = escalated(Phase.FAILED, here.stage, "RepeatedFix", message)
    return replace(end, failure_phase=RECOVERY_EVALUATION, verdict="repeated_failure_pattern")


def busy(here: Situation) -> Block | None:
    """Wait while another fix is at work on the target."""
    rival = next((each for each in here.fixes if each.at_work), None)
    if rival is None:
        return None
    return Block("ResourceBusy", f"{rival.name} is at work on {here.target}", here.now + here.settings.recheck, recheck=True)


def rested(here: Situation) -> Block | None:
    """Give the same fix time to show its effect before it is done again."""
    done = [each for each in here.fixes if each.fix == here.fix and each.succeeded_at is not None]
    last = max(done, key=lambda each: each.succeeded_at or here.now, default=None)
    if last is None or last.succeeded_at is None or here.now >= last.succeeded_at + here.settings.cooldown:
        return None
    message = f"{here.fix} was carried out on {here.target} by {last.name} less than {_minutes(here.settings.cooldown)} ago"
    return Block("RecentlyRemediated", message, last.succeeded_at + here.settings.cooldown)


def chained(here: Situation) -> End | None:
    """Give the target to a person when fixes of it do not help, or do not last."""
    settings = here.settings
    recent = [each for each in here.chain if each.ended_at is not None and here.now - each.ended_at < settings.chain_window]
    useless = sum(each.outcome in USELESS for each in recent)
    recurring = sum(each.outcome is Outcome.REMEDIATED for each in recent if each.alert == here.request.spec.signal_name)
    if useless < settings.ineffective_limit and recurring < settings.recurrence_limit:
        return None
    count, what = (useless, "did not help") if useless >= settings.ineffective_limit else (recurring, "helped, but not for long")
    message = f"{count} fixes of {here.target} in the last {_minutes(settings.chain_window)} {what}: another is not carried out"
    return End(Phase.FAILED, Stage.ANALYSIS, "IneffectiveChain", message, Notice.REVIEW, Outcome.MANUAL_REVIEW_REQUIRED)


CHECKS: Final[Mapping[Stage, tuple[Check, ...]]] = {
    Stage.PROCESSING: (unmanaged, duplicate, failing),
    Stage.ANALYSIS: (duplicate, known_harmless),
    Stage.APPROVAL: (kept_by_a_tool, tried_before, chained),
    Stage.WORKFLOW: (resolved, paused, seen_once_more, kept_by_a_tool, unmanaged, tried_before, chained, busy, rested, braked),
    Stage.EXECUTION: (resolved, paused, seen_once_more),
}
"""In this order, before that stage's object is created, or people are asked. The last two are the gates to the cluster."""


def failures_in_a_row(history: Sequence[Past]) -> list[Past]:
    """Return the failures right before now, latest first; what was held, skipped or cancelled neither counts nor breaks the row."""
    row = []
    for past in history:
        if past.phase is Phase.COMPLETED:
            break
        if past.phase in FAILED and past.failure_phase != BLOCKED:
            row.append(past)
    return row


def admitted(step: Open | Ask, situation: Situation, checks: Mapping[Stage, tuple[Check, ...]] = CHECKS) -> Open | Ask | Hold | End:
    """Return the step itself, or what stands in its way."""
    for check in checks.get(situation.stage, ()):
        if objection := check(situation):
            return objection if isinstance(objection, End) else _held(objection, situation)
    return step


def _held(block: Block, situation: Situation) -> Hold | End:
    """Hold it while its own time lasts; then people are called."""
    limit = block.limit or situation.settings.block_limit
    deadline = (situation.request.status.blocked_since or situation.now) + limit
    if situation.now >= deadline:
        end = escalated(Phase.FAILED, situation.stage, block.reason, f"held for {_minutes(limit)}: {block.message}")
        return replace(end, failure_phase=BLOCKED)
    until = max(min(block.until, deadline), situation.now + situation.settings.block_poll)
    return Hold(block, situation.stage, until, deadline)


def _minutes(span: timedelta) -> str:
    return f"{span / timedelta(minutes=1):g} minutes" if span < timedelta(hours=2) else f"{span / timedelta(hours=1):g} hours"
