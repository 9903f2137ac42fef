"""The phase table, as data: every change of phase that a remediation may make, each row with its id.

The report writes no other change, and where the stage objects are further on than the phase, it walks there row by row.
"""

from collections import deque
from typing import Final, NamedTuple

from kubernaut.api.remediation import Phase, RemediationRequestStatus


class Row(NamedTuple):
    """One change of phase. The mark tells ends apart that share a phase: the outcome, else the failure phase; empty for what goes on."""

    id: str
    before: Phase
    after: Phase
    mark: str
    event: str


_P = Phase
_ROWS: Final[tuple[tuple[Phase, Phase, str, str], ...]] = (
    (_P.PENDING, _P.PROCESSING, "", "the signal is usable; processing was opened"),
    (_P.PENDING, _P.BLOCKED, "", "held before anything was opened"),
    (_P.PENDING, _P.FAILED, "Processing", "the signal is unusable, or no object can be made of it"),
    (_P.PENDING, _P.TIMED_OUT, "Overall", "nothing was opened before the overall limit"),
    (_P.PENDING, _P.CANCELLED, "", "a person cancelled"),
    (_P.PROCESSING, _P.ANALYZING, "", "processing completed; the analysis was opened"),
    (_P.PROCESSING, _P.BLOCKED, "", "held before the analysis"),
    (_P.PROCESSING, _P.COMPLETED, "NoActionRequired", "the same evidence needed no action a short while ago"),
    (_P.PROCESSING, _P.FAILED, "Processing", "processing failed"),
    (_P.PROCESSING, _P.FAILED, "Analyzing", "no analysis can be made of it"),
    (_P.PROCESSING, _P.TIMED_OUT, "Processing", "processing outlived its limit"),
    (_P.PROCESSING, _P.TIMED_OUT, "Overall", "the overall limit came first"),
    (_P.PROCESSING, _P.CANCELLED, "", "a person cancelled"),
    (_P.ANALYZING, _P.AWAITING_APPROVAL, "", "a person is asked"),
    (_P.ANALYZING, _P.EXECUTING, "", "a fix was found; the workflow was opened"),
    (_P.ANALYZING, _P.BLOCKED, "", "held before the fix"),
    (_P.ANALYZING, _P.COMPLETED, "NoActionRequired", "nothing is to be done"),
    (_P.ANALYZING, _P.COMPLETED, "SelfResolved", "it resolved by itself"),
    (_P.ANALYZING, _P.COMPLETED, "DryRun", "a dry run stops here"),
    (_P.ANALYZING, _P.FAILED, "ManualReviewRequired", "a person must look"),
    (_P.ANALYZING, _P.FAILED, "Analyzing", "the analysis failed"),
    (_P.ANALYZING, _P.FAILED, "recovery_evaluation", "the analysis chose again what has failed in this case"),
    (_P.ANALYZING, _P.FAILED, "Executing", "no workflow can be made of the plan"),
    (_P.ANALYZING, _P.TIMED_OUT, "Analyzing", "the analysis outlived its limit"),
    (_P.ANALYZING, _P.TIMED_OUT, "Overall", "the overall limit came first"),
    (_P.ANALYZING, _P.CANCELLED, "", "a person cancelled"),
    (_P.AWAITING_APPROVAL, _P.EXECUTING, "", "approved; the workflow was opened"),
    (_P.AWAITING_APPROVAL, _P.ANALYZING, "", "the question became void, and the analysis looks again"),
    (_P.AWAITING_APPROVAL, _P.BLOCKED, "", "approved, and held before the fix"),
    (_P.AWAITING_APPROVAL, _P.COMPLETED, "NoActionRequired", "meanwhile nothing is to be done"),
    (_P.AWAITING_APPROVAL, _P.COMPLETED, "SelfResolved", "it resolved by itself while a person was asked"),
    (_P.AWAITING_APPROVAL, _P.COMPLETED, "DryRun", "made a dry run while a person was asked"),
    (_P.AWAITING_APPROVAL, _P.FAILED, "Approval", "rejected, or nobody answered in time"),
    (_P.AWAITING_APPROVAL, _P.FAILED, "ManualReviewRequired", "a person must look"),
    (_P.AWAITING_APPROVAL, _P.FAILED, "Analyzing", "the analysis failed"),
    (_P.AWAITING_APPROVAL, _P.FAILED, "recovery_evaluation", "the analysis chose again what has failed in this case"),
    (_P.AWAITING_APPROVAL, _P.FAILED, "Executing", "no workflow can be made of the plan"),
    (_P.AWAITING_APPROVAL, _P.TIMED_OUT, "Analyzing", "the analysis outlived its limit"),
    (_P.AWAITING_APPROVAL, _P.TIMED_OUT, "Overall", "approved after the overall limit"),
    (_P.AWAITING_APPROVAL, _P.CANCELLED, "", "a person cancelled"),
    (_P.EXECUTING, _P.VERIFYING, "", "the fix was carried out; verification was opened"),
    (_P.EXECUTING, _P.RECOVERING, "", "the fix failed, and another is looked for"),
    (_P.EXECUTING, _P.BLOCKED, "", "the fix waits for its target"),
    (_P.EXECUTING, _P.AWAITING_APPROVAL, "", "the approval became void"),
    (_P.EXECUTING, _P.COMPLETED, "Remediated", "carried out; verification is off"),
    (_P.EXECUTING, _P.COMPLETED, "RolledBack", "it failed and was undone"),
    (_P.EXECUTING, _P.COMPLETED, "SelfResolved", "it resolved by itself before the cluster was touched"),
    (_P.EXECUTING, _P.FAILED, "Executing", "the fix failed, or cannot be carried out"),
    (_P.EXECUTING, _P.FAILED, "ManualReviewRequired", "a person must look"),
    (_P.EXECUTING, _P.FAILED, "recovery_evaluation", "the fix failed, and another attempt is not viable"),
    (_P.EXECUTING, _P.FAILED, "Verifying", "no verification can be made"),
    (_P.EXECUTING, _P.FAILED, "Processing", "nothing can be made for another attempt"),
    (_P.EXECUTING, _P.TIMED_OUT, "Executing", "the fix outlived its limit"),
    (_P.EXECUTING, _P.TIMED_OUT, "Overall", "the overall limit came first"),
    (_P.EXECUTING, _P.CANCELLED, "", "a person cancelled; what was at work has stopped"),
    (_P.RECOVERING, _P.ANALYZING, "", "looked anew; another analysis was opened"),
    (_P.RECOVERING, _P.BLOCKED, "", "held before another analysis"),
    (_P.RECOVERING, _P.FAILED, "Processing", "looking anew failed"),
    (_P.RECOVERING, _P.FAILED, "Analyzing", "no analysis can be made of it"),
    (_P.RECOVERING, _P.TIMED_OUT, "Processing", "looking anew outlived its limit"),
    (_P.RECOVERING, _P.TIMED_OUT, "Overall", "the overall limit came first"),
    (_P.RECOVERING, _P.CANCELLED, "", "a person cancelled"),
    (_P.VERIFYING, _P.COMPLETED, "Remediated", "the fix helped"),
    (_P.VERIFYING, _P.COMPLETED, "SelfResolved", "all is well, and the fix had changed nothing"),
    (_P.VERIFYING, _P.COMPLETED, "Inconclusive", "the fix did not help, or nobody can tell"),
    (_P.VERIFYING, _P.COMPLETED, "VerificationTimedOut", "whether it helped was not known in time"),
    (_P.VERIFYING, _P.COMPLETED, "RolledBack", "undone, for it made things worse"),
    (_P.VERIFYING, _P.CANCELLED, "", "a person cancelled"),
    (_P.BLOCKED, _P.PENDING, "", "released; back to where it was held"),
    (_P.BLOCKED, _P.PROCESSING, "", "released; back to where it was held"),
    (_P.BLOCKED, _P.ANALYZING, "", "released; back to where it was held"),
    (_P.BLOCKED, _P.AWAITING_APPROVAL, "", "released; back to where it was held"),
    (_P.BLOCKED, _P.RECOVERING, "", "released; back to where it was held"),
    (_P.BLOCKED, _P.EXECUTING, "", "the target is free; the fix begins"),
    (_P.BLOCKED, _P.FAILED, "Blocked", "held for longer than may be"),
    (_P.BLOCKED, _P.TIMED_OUT, "Executing", "waited for its target for longer than may be"),
    (_P.BLOCKED, _P.SKIPPED, "", "the remediation ahead of this duplicate has ended"),
    (_P.BLOCKED, _P.CANCELLED, "", "a person cancelled"),
)


def _slug(before: Phase, after: Phase, mark: str) -> str:
    return f"{before.value}-{after.value}" + (f"-{mark}" if mark else "")


TABLE: Final = tuple(Row(_slug(before, after, mark), before, after, mark, event) for before, after, mark, event in _ROWS)
"""All rows; `Pending` is where every remediation begins."""
_BY_CHANGE: Final = {(row.before, row.after, row.mark): row for row in TABLE}
_ONWARD: Final[dict[Phase, tuple[Phase, ...]]] = {
    phase: tuple(row.after for row in TABLE if row.before is phase and not row.after.terminal and phase is not Phase.BLOCKED)
    for phase in Phase
}


def mark_of(phase: Phase, outcome: str, failure_phase: str) -> str:
    """Return what tells an end from others of its phase; nothing for what goes on, was cancelled or skipped."""
    return outcome or failure_phase if phase in {Phase.COMPLETED, Phase.FAILED, Phase.TIMED_OUT} else ""


def row_of(before: Phase, status: RemediationRequestStatus) -> Row | None:
    """Return the row of a change to what a status says now; None for a change that is not in the table."""
    outcome = status.outcome.value if status.outcome else ""
    mark = mark_of(status.overall_phase, outcome, status.failure_phase)
    return _BY_CHANGE.get((before, status.overall_phase, mark))


def next_phase(before: Phase, after: Phase, mark: str = "", *, blocked_from: Phase | None = None) -> Phase:
    """Return the phase to be written next on the way from one to another: the other itself where a row leads there.

    From Blocked the way leads back to where it was held. Where no way is known it is the other one: better told than stuck.
    """
    known = before is after or (before, after, mark) in _BY_CHANGE
    if before is Phase.BLOCKED and blocked_from is not None and not (known and (after.terminal or after is before)):
        return blocked_from
    if known:
        return after
    queue, first = deque([before]), {before: before}
    while queue:
        phase = queue.popleft()
        if phase is not before and (phase is after or (phase, after, mark) in _BY_CHANGE):
            return first[phase]
        for onward in _ONWARD[phase]:
            if onward not in first:
                first[onward] = onward if phase is before else first[phase]
                queue.append(onward)
    return after
