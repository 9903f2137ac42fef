"""The rules of a decision, in CEL: who may decide, for whom, and what may change of an answer. The API server enforces them at every write.

They look at the old and the new status of an AIApprovalRequest, at the caller, and at what the caller may do: who may `settle`
(our own account) keeps the books; who may `decide` (an administrator) decides whatever groups a policy names.
"""

from dataclasses import dataclass
from typing import Final

from kubernaut.api.base import Rule


@dataclass(frozen=True)
class Admission(Rule):
    """A rule of an admission policy; a sentence made for the case goes before the plain one."""

    sentence: str = ""
    """CEL that gives a string; the API server lets it not ask what the caller may do."""


SETTLE: Final = "settle"
"""The verb on `aiapprovalrequests/status` of the account that counts, expires and voids."""
DECIDE: Final = "decide"
"""The verb on `aiapprovalrequests/status` of those who decide without being in a group that the policy names."""
_KEPT: Final = {"conditions": "[]", "journal": "{'count': 0}", "observedGeneration": "0", "voidedAt": "''", "voidReason": "''"}
"""Fields of the status that only our own account writes, with what they are where nobody wrote them."""

VARIABLES: Final[dict[str, str]] = {
    "before": "oldObject.?status.orValue({})",
    "after": "object.?status.orValue({})",
    "policy": "object.spec.?policyEvaluation.orValue({})",
    "callerGroups": "request.userInfo.?groups.orValue([])",
    "groups": "variables.policy.?approverGroups.orValue([])",
    "wanted": "variables.policy.?minApprovers.orValue(1)",
    "keeper": f"authorizer.requestResource.check('{SETTLE}').allowed()",
    "inGroup": "variables.groups.size() == 0 || variables.groups.exists(g, g in variables.callerGroups)",
    "member": f"variables.inGroup || authorizer.requestResource.check('{DECIDE}').allowed()",
    "decidedBefore": "variables.before.?decision.orValue('')",
    "decidedNow": "variables.after.?decision.orValue('')",
    "by": "variables.after.?decidedBy.orValue('')",
    "said": "variables.before.?approvals.orValue([])",
    "says": "variables.after.?approvals.orValue([])",
    "added": "variables.says.filter(a, !variables.said.exists(b, b.approver == a.approver))",
    "stays": """
        variables.said.all(a, variables.says.exists(b,
            a == b || (variables.keeper && a.approver == b.approver && a.decision == b.decision)))
    """,
    "booksUntouched": " && ".join(
        f"variables.before.?{field}.orValue({otherwise}) == variables.after.?{field}.orValue({otherwise})"
        for field, otherwise in _KEPT.items()
    ),
    "deciding": "variables.decidedNow != '' && variables.decidedBefore == ''",
}
"""What the rules are written with, in their order: one may use those before it."""

RULES: Final[tuple[Admission, ...]] = (
    Admission(
        """
        !variables.deciding
        || variables.by == request.userInfo.username
        || (variables.keeper && variables.decidedNow == 'Expired' && variables.by == 'system')
        || (variables.keeper && variables.said.exists(a, a.approver == variables.by && a.decision == variables.decidedNow))
        """,
        "decidedBy must be your own user name: nobody decides for somebody else",
    ),
    Admission(
        "!variables.deciding || variables.decidedNow != 'Expired' || (variables.keeper && variables.by == 'system')",
        "decidedBy must be a person: only kubernaut itself says that nobody answered",
    ),
    Admission(
        "!variables.deciding || variables.by != request.userInfo.username || variables.member",
        "you are in none of the groups whose members decide on this",
        "'only members of ' + variables.groups.join(', ') + ' decide on this'",
    ),
    Admission(
        """
        !variables.deciding || variables.decidedNow != 'Approved' || variables.wanted <= 1
        || variables.said.filter(a, a.decision == 'Approved').size() >= variables.wanted
        """,
        "more people must approve this: add your own entry to status.approvals, as `kubernaut approve` does",
        """
        'this needs the approval of ' + string(variables.wanted)
        + ' different people: add your own entry to status.approvals, as `kubernaut approve` does'
        """,
    ),
    Admission(
        """
        variables.decidedBefore == ''
        || (['decision', 'decidedBy', 'decidedVia', 'decisionMessage'].all(f,
            (f in variables.before) == (f in variables.after)
            && (!(f in variables.before) || variables.before[f] == variables.after[f])))
        """,
        "the decision has been made and is final",
    ),
    Admission(
        "!('voidedAt' in variables.before) || variables.decidedBefore == variables.decidedNow",
        "this question is void: what it was about changed since; `kubernaut approvals` lists what is asked now",
    ),
    Admission(
        """
        variables.stays && variables.added.all(a,
            (a.approver == request.userInfo.username && a.decision in ['Approved', 'Rejected'] && variables.member
                && a.?groups.orValue([]).all(g, g in variables.callerGroups))
            || (variables.keeper && a.approver == variables.by && a.decision == variables.decidedNow))
        """,
        "in status.approvals each person adds one entry, under their own user name and with groups of their own; what was said stays",
        """
        variables.inGroup
        ? 'in status.approvals each person adds one entry, under their own user name and with groups of their own; what was said stays'
        : 'only members of ' + variables.groups.join(', ') + ' decide on this'
        """,
    ),
    Admission(
        """
        variables.keeper || variables.added.size() == 0
        || (variables.decidedBefore == '' && !('voidedAt' in variables.before))
        """,
        "nobody is asked any more: the decision has been made, or the question is void",
    ),
    Admission(
        """
        variables.booksUntouched
        || (variables.keeper && (!('voidedAt' in variables.before) || variables.before.voidedAt == variables.after.?voidedAt.orValue('')))
        """,
        "conditions, journal and what makes a question void are kept by kubernaut itself",
    ),
)
