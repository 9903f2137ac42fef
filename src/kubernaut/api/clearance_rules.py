"""Who may clear a target after a run that failed under way, and under which name, in CEL: the API server enforces it at every write.

A clearance is written once, into the status of the WorkflowExecution that failed. Who may write only the status (an operator) writes
nothing else there: whoever may change the object itself (our own account) keeps the rest.
"""

from typing import Final

from kubernaut.api.approval_rules import Admission

VARIABLES: Final[dict[str, str]] = {
    "before": "oldObject.?status.orValue({})",
    "after": "object.?status.orValue({})",
    "keeper": """
        authorizer.group('kubernaut.ai').resource('workflowexecutions').namespace(object.metadata.namespace).check('patch').allowed()
    """,
    "clears": "!('blockClearance' in variables.before) && 'blockClearance' in variables.after",
    "said": "variables.after.?blockClearance.orValue({})",
}
"""What the rules are written with, in their order: one may use those before it."""

RULES: Final[tuple[Admission, ...]] = (
    Admission(
        "!variables.clears || variables.said.?clearedBy.orValue('') == request.userInfo.username",
        "clearedBy must be your own user name: nobody clears a target for somebody else",
    ),
    Admission(
        "!variables.clears || (variables.said.?clearReason.orValue('') != '' && 'clearedAt' in variables.said)",
        "a target is cleared with a reason and a time, which are kept on record",
    ),
    Admission(
        "!variables.clears || variables.before.?phase.orValue('') == 'Failed'",
        "there is nothing to clear: the execution has not failed",
    ),
    Admission(
        """
        !('blockClearance' in variables.before)
        || ('blockClearance' in variables.after && variables.before.blockClearance == variables.after.blockClearance)
        """,
        "the target has been cleared, and that stays on record",
    ),
    Admission(
        """
        variables.keeper
        || (variables.before.all(f, f == 'blockClearance' || (f in variables.after && variables.before[f] == variables.after[f]))
            && variables.after.all(f, f == 'blockClearance' || f in variables.before))
        """,
        "of the status only blockClearance is yours to write",
    ),
)
"""They hold together."""
