"""What must hold of every decision, whatever was seen: total, final, bounded in time, never ahead of itself."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.execution import UndoOutcome
from kubernaut.api.remediation import TERMINAL, Outcome, Phase
from kubernaut.api.verification import Verdict
from kubernaut.orchestration.decide import at_work, decide
from kubernaut.orchestration.facts import FAILURE_PHASES, Analysis, Answer, Assessment, Child, Progress, Prospects, Seen, Stage, TakingBack
from kubernaut.orchestration.steps import Ask, End, Forget, Keep, Notice, Open, Recover, Stop, Wait
from kubernaut.orchestration.table import TABLE, mark_of, next_phase

pytestmark = pytest.mark.unit

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def at(minutes):
    return T0 + timedelta(minutes=minutes)


moments = st.integers(0, 120).map(at)
children = st.none() | st.builds(
    Child, st.sampled_from(Progress), moments, moments, st.none() | moments, st.text(max_size=3), st.text(max_size=3)
)
seens = st.builds(
    Seen,
    overall=moments,
    fault=st.sampled_from(["", "", "", "bad"]),
    resolved=st.booleans(),
    dry_run=st.booleans(),
    cancelled=st.sampled_from(["", "", "no"]),
    stopped_by=st.none() | moments,
    stepwise=st.booleans(),
    prospects=st.builds(
        Prospects, st.integers(0, 4), st.integers(0, 3), st.just(""), st.just((("s", "e"),)), st.integers(0, 30), st.integers(0, 30)
    ),
    verify=st.booleans(),
    expires_at=st.none() | moments,
    processing=children,
    analysis=st.none() | st.builds(Analysis, st.sampled_from(Answer), moments, moments, st.none() | moments, asked=st.booleans()),
    workflow=children,
    execution=children,
    assessment=st.none()
    | st.builds(Assessment, moments, moments, st.booleans(), st.booleans(), st.booleans(), st.none() | st.sampled_from(Verdict)),
    undo=st.none() | st.builds(TakingBack, moments, st.booleans(), st.none() | st.sampled_from(UndoOutcome)),
)


BEGUN = {Progress.RUNNING, Progress.SUCCEEDED, Progress.FAILED, Progress.UNDONE}


def completed(seen, stage):
    match stage:
        case Stage.ANALYSIS:
            begun = seen.workflow is not None and seen.workflow.progress in BEGUN
            return seen.analysis is not None and (begun or seen.analysis.answer in {Answer.WORKFLOW, Answer.STEPS})
        case Stage.EXECUTION if not seen.stepwise:
            return True
        case _:
            found = {Stage.PROCESSING: seen.processing, Stage.WORKFLOW: seen.workflow, Stage.EXECUTION: seen.execution}[stage]
            return found is not None and found.progress is Progress.SUCCEEDED


CHAIN = [Stage.PROCESSING, Stage.ANALYSIS, Stage.WORKFLOW, Stage.EXECUTION, Stage.VERIFICATION]


@given(seens, moments)
def test_nothing_opens_before_all_before_it_report_completed(seen, now):
    step = decide(seen, now)
    if isinstance(step, Open):
        assert all(completed(seen, before) for before in CHAIN[: CHAIN.index(step.stage)])
        assert seen.expires_at is None
        assert not seen.cancelled


@given(seens, moments)
def test_nothing_opens_twice(seen, now):
    step = decide(seen, now)
    there = dict(zip(CHAIN, (seen.processing, seen.analysis, seen.workflow, seen.execution, seen.assessment), strict=True))
    assert not isinstance(step, Open) or there[step.stage] is None


@given(seens, moments)
def test_nothing_is_carried_out_unless_the_analysis_says_so_and_never_in_a_dry_run(seen, now):
    step = decide(seen, now)
    if isinstance(step, Open) and step.stage is Stage.WORKFLOW:
        assert seen.analysis.answer in {Answer.WORKFLOW, Answer.STEPS}
        assert not seen.dry_run


@given(seens, moments)
def test_another_attempt_follows_only_a_fix_that_failed_and_never_beyond_the_limit(seen, now):
    step = decide(seen, now)
    if isinstance(step, Recover):
        failed = {Stage.WORKFLOW: seen.workflow, Stage.EXECUTION: seen.execution}[step.stage]
        assert failed.progress in {Progress.FAILED, Progress.UNDONE}
        assert step.number == seen.prospects.attempt + 1 <= seen.prospects.limit
        assert (failed.step, failed.reason) not in seen.prospects.failures
        assert not seen.cancelled


@given(seens, moments)
def test_a_cancelled_case_only_stops_or_ends(seen, now):
    step = decide(seen, now)
    if seen.cancelled and seen.expires_at is None:
        assert isinstance(step, Stop) or (isinstance(step, End) and step.phase is Phase.CANCELLED)
        assert isinstance(step, Stop) <= at_work(seen)


@given(seens, moments)
def test_every_wait_has_a_deadline_that_is_still_to_come(seen, now):
    step = decide(seen, now)
    match step:
        case Wait(phase, _, until):
            assert phase not in TERMINAL
            assert until > now
        case Ask(_, until) | Keep(until):
            assert until > now
        case Stop(until):
            assert seen.stopped_by is None or until > now
        case End():
            assert step.phase in TERMINAL


def phase_after(step):
    match step:
        case Wait(phase) | End(phase):
            return phase
        case Open(stage):
            return {Stage.PROCESSING: Phase.PROCESSING, Stage.ANALYSIS: Phase.ANALYZING, Stage.VERIFICATION: Phase.VERIFYING}.get(
                stage, Phase.EXECUTING
            )
        case _:
            return None


@given(seens, moments, st.integers(0, 60))
def test_time_alone_never_takes_a_case_back(seen, now, minutes):
    """An end stays one while nothing but time changes; a wait goes on, or ends."""
    before, after = decide(seen, now), decide(seen, now + timedelta(minutes=minutes))
    if isinstance(before, End):
        assert isinstance(after, End)
    if isinstance(before, Wait):
        assert isinstance(after, End) or phase_after(after) is before.phase


@given(seens, moments)
def test_an_end_is_for_ever(seen, now):
    step = decide(seen, now)
    assert isinstance(step, (Keep, Forget)) == (seen.expires_at is not None)


GOOD = {Outcome.REMEDIATED, Outcome.SELF_RESOLVED, Outcome.NO_ACTION_REQUIRED, Outcome.DRY_RUN}


@given(seens, moments)
def test_every_end_is_told_and_all_but_good_ends_call_people(seen, now):
    step = decide(seen, now)
    if isinstance(step, End):
        good = step.outcome in GOOD or step.reason == "Cancelled"
        assert (step.notice is Notice.COMPLETION) == good
        assert (step.notice is Notice.ESCALATION) == (step.escalation is not None)


@given(seens, moments)
def test_remediated_means_carried_out_and_seen_to_help(seen, now):
    step = decide(seen, now)
    if isinstance(step, End) and step.outcome is Outcome.REMEDIATED:
        assert all(completed(seen, before) for before in CHAIN[:-1])
        assert not seen.verify or seen.assessment.verdict is Verdict.EFFECTIVE


@given(seens, moments)
def test_a_fix_is_taken_back_only_when_it_made_things_worse_and_only_once(seen, now):
    step = decide(seen, now)
    if isinstance(step, Wait) and step.take_back is not None:
        assert seen.assessment.verdict is Verdict.WORSE
        assert not seen.undo.asked
    if isinstance(step, End) and step.outcome is Outcome.REMEDIATED and seen.undo is not None:
        assert seen.undo.outcome is not UndoOutcome.UNDONE or not seen.verify


PHASE_TABLE = {(row.before, row.after, row.mark) for row in TABLE}


@given(seens, moments)
def test_whatever_is_decided_the_phases_walk_rows_of_the_table(seen, now):
    """From the beginning, over each phase that the way leads through, to the one decided."""
    step = decide(seen, now)
    goal = phase_after(step)
    if goal is None:
        return
    mark = mark_of(step.phase, step.outcome or "", step.failure_phase or FAILURE_PHASES[step.stage]) if isinstance(step, End) else ""
    before = Phase.PENDING
    while before is not goal:
        following = next_phase(before, goal, mark)
        assert (before, following, mark if following is goal else "") in PHASE_TABLE
        before = following
