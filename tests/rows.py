"""Which rows of the orchestrator's phase table the suite must walk: all but those named here, each with the reason why chance decides."""

from collections.abc import Iterable
from typing import Final

from kubernaut.orchestration.table import TABLE

_LIMIT = "the limit must come within the moments that this phase lasts; test_decide plays it"
_PERSON = "a person must cancel within the moments that this phase lasts; test_decide plays it"
_BROKEN = "the stage object must lack what a stage of ours always leaves; test_decide plays it"
_MEANWHILE = "something else must happen between two passes; test_decide plays it"
_SETTING = "only where a setting says so, and no case of many has it; a test of its own plays it"
SELDOM: Final = {
    "Pending-TimedOut-Overall": _LIMIT,
    "Processing-TimedOut-Overall": _LIMIT,
    "Analyzing-TimedOut-Overall": _LIMIT,
    "AwaitingApproval-TimedOut-Analyzing": _LIMIT,
    "AwaitingApproval-TimedOut-Overall": _LIMIT,
    "Executing-TimedOut-Overall": _LIMIT,
    "Recovering-TimedOut-Processing": _LIMIT,
    "Recovering-TimedOut-Overall": _LIMIT,
    "Pending-Cancelled": _PERSON,
    "Analyzing-Cancelled": _PERSON,
    "AwaitingApproval-Cancelled": _PERSON,
    "Recovering-Cancelled": _PERSON,
    "Verifying-Cancelled": _PERSON,
    "Processing-Failed-Analyzing": _BROKEN,
    "Analyzing-Failed-Analyzing": _BROKEN,
    "Analyzing-Failed-Executing": _BROKEN,
    "AwaitingApproval-Failed-Analyzing": _BROKEN,
    "AwaitingApproval-Failed-Executing": _BROKEN,
    "Executing-Failed-Processing": _BROKEN,
    "Executing-Failed-Verifying": _BROKEN,
    "Recovering-Failed-Processing": _BROKEN,
    "Recovering-Failed-Analyzing": _BROKEN,
    "Processing-Blocked": _MEANWHILE,
    "AwaitingApproval-Analyzing": _MEANWHILE,
    "AwaitingApproval-Completed-NoActionRequired": _MEANWHILE,
    "AwaitingApproval-Failed-ManualReviewRequired": _MEANWHILE,
    "AwaitingApproval-Failed-recovery_evaluation": _MEANWHILE,
    "Executing-Completed-SelfResolved": _MEANWHILE,
    "Executing-Failed-ManualReviewRequired": _MEANWHILE,
    "Recovering-Blocked": _MEANWHILE,
    "Verifying-Completed-SelfResolved": _MEANWHILE,
    "Blocked-Processing": _MEANWHILE,
    "Blocked-Recovering": _MEANWHILE,
    "AwaitingApproval-Completed-DryRun": _SETTING,
    "Executing-Completed-Remediated": _SETTING,
    "Executing-Completed-RolledBack": _SETTING,
    "Verifying-Completed-RolledBack": _SETTING,
}
"""Row to reason."""


def missed(walked: Iterable[str]) -> list[str]:
    """Return the rows that should have been walked and were not, in the table's order."""
    known = {*walked, *SELDOM}
    return [row.id for row in TABLE if row.id not in known]
