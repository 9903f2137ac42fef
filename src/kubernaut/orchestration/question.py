"""The part of an approval message that tells what would change, who decides and how. Pure: the question in, text out."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.execution import UndoKind

DIFF_LIMIT: Final = 6_000
"""A message is no place for long differences; the request has them whole."""
PODS_NAMED: Final = 5
UNKNOWN: Final = "The effect cannot be previewed."
UNDO: Final = {
    UndoKind.EXACT: "exact",
    UndoKind.COMPENSATING: "compensating, not exact",
    UndoKind.NONE: "none",
    None: "unknown",
}


def message_name(remediation: str, question: str) -> str:
    """Return the name of the message about a question: `{rr}-approval-notification`, and what tells a later question from the first."""
    first = f"approval-{remediation}-analysis"
    return f"{remediation}-approval-notification{question.removeprefix(first) if question.startswith(first) else ''}"


def change_told(question: AIApprovalRequest | None) -> str:
    """Tell what would change: in words, as a difference, what it touches, whether it can be taken back."""
    if question is None or not question.spec.what_will_change:
        return UNKNOWN
    spec = question.spec
    parts = [spec.what_will_change, *_differences(question)]
    if spec.objects_touched:
        parts.append("\n".join(_touched(question)))
    return "\n".join(parts)


def _differences(question: AIApprovalRequest) -> Iterator[str]:
    left = DIFF_LIMIT
    for change in question.spec.planned_changes:
        if not change.diff:
            continue
        shown = change.diff[:left].rstrip("\n")
        rest = "" if len(change.diff) <= left else f"\n… the rest: `kubectl describe aar {question.metadata.name}`"
        yield f"```diff\n{shown}\n```{rest}"
        left = max(0, left - len(change.diff))


def _touched(question: AIApprovalRequest) -> Iterator[str]:
    spec = question.spec
    yield f"- Objects: {', '.join(f'`{each.path()}`' for each in spec.objects_touched)}"
    if spec.pods_touched_count:
        named = [f"`{name.rpartition('/')[2]}`" for name in spec.pods_touched[:PODS_NAMED]]
        more = spec.pods_touched_count - len(named)
        yield f"- Pods replaced: {', '.join(named)}{f' and {more} more' if more else ''}"
    if len(spec.planned_changes) != 1:  # a single step's sentence says it
        yield f"- Undo: {UNDO[spec.undo]}"


def how_to_decide(name: str, namespace: str, question: AIApprovalRequest | None) -> str:
    """Tell who decides, how, and until when."""
    by = question.spec.required_by if question else None
    return "\n".join(
        [
            *_people(question),
            f"- `kubernaut approve {name}` or `kubernaut reject {name} -m '…'`",
            *_by_hand(name, namespace, question),
            _end(by),
        ]
    )


def _people(question: AIApprovalRequest | None) -> Iterator[str]:
    policy = question.spec.policy_evaluation if question else None
    if policy and policy.min_approvers > 1:
        yield f"- {policy.min_approvers} different people must approve; one no is enough"
    if policy and policy.approver_groups:
        yield f"- Members of {' or '.join(policy.approver_groups)} decide"


def _by_hand(name: str, namespace: str, question: AIApprovalRequest | None) -> Iterator[str]:
    """Show the plain command, where one person's word is the decision."""
    if question and question.spec.policy_evaluation.min_approvers > 1:
        return
    patch = '{"status":{"decision":"Approved","decidedBy":"YOUR-USER-NAME","decidedVia":"kubectl"}}'
    yield f"- `kubectl patch aiapprovalrequest {name} -n {namespace} --subresource=status --type=merge -p '{patch}'`"


def _end(by: datetime | None) -> str:
    return f"Nobody answering by {by:%Y-%m-%d %H:%M:%S} UTC is a no." if by else "Nobody answering in time is a no."
