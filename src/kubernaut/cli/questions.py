"""Looks at what waits for a person: the list, and one question in full, with what would change."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.text import Text

from kubernaut.api.analysis import PolicyEvaluation
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.durations import go_duration
from kubernaut.api.execution import UndoKind

WIDTH = 13
PODS_NAMED = 5
DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}
UNDO = {
    UndoKind.EXACT: "exact: what stood there before is put back",
    UndoKind.COMPENSATING: "compensating: another change makes good for it, what happened meanwhile stays",
    UndoKind.NONE: "none: it cannot be taken back",
    None: "unknown: the workflow declares no way back",
}


APPROVALS = ("NAME", "ACTION", "TARGET", "SAID YES", "LEFT", "WHY A PERSON IS ASKED")


def approvals_rows(requests: list[AIApprovalRequest], now: datetime) -> list[tuple[str, ...]]:
    """Return the open questions as rows of a table."""
    return [_approval(each, now) for each in requests]


def _approval(request: AIApprovalRequest, now: datetime) -> tuple[str, ...]:
    wanted, spec = request.spec.recommendation, request.spec
    yes = sum(said.decision is Decision.APPROVED for said in request.status.approvals)
    of = f"{yes}/{spec.policy_evaluation.min_approvers}"
    return request.metadata.name, wanted.action, wanted.target_resource, of, left(request, now), spec.why_approval_required


def left(request: AIApprovalRequest, now: datetime) -> str:
    """Return how long people have, to the second."""
    rest = request.spec.required_by - now
    return go_duration(rest - rest % type(rest)(seconds=1)) if rest.total_seconds() > 0 else "none"


def show(console: Console, request: AIApprovalRequest, now: datetime) -> None:
    """Print a question in full: cause, evidence, what would change and can be taken back, who must answer, until when."""
    wanted = request.spec.recommendation
    console.print(Text(f"{wanted.action} on {wanted.target_resource}", style="bold"), soft_wrap=True)
    for title, text in _before(request):
        _row(console, title, text)
    for change in request.spec.planned_changes:
        for line in change.diff.splitlines():
            console.print(Text(f"    {line}", style=DIFF_STYLES.get(line[:1], "dim")), soft_wrap=True)
    for title, text in _after(request, now):
        _row(console, title, text)


def _row(console: Console, title: str, text: str) -> None:
    lines = text.splitlines() or [""]
    for number, line in enumerate(lines):
        told = Text(f"  {title if number == 0 else '':<{WIDTH}} ", style="dim")
        console.print(told.append(line, style="default"), soft_wrap=True)


def _before(request: AIApprovalRequest) -> Iterator[tuple[str, str]]:
    spec = request.spec
    yield "cause", f"{spec.investigation_summary} (confidence {spec.confidence:.0%}, {spec.confidence_level})"
    if spec.evidence_collected:
        yield "evidence", "\n".join(spec.evidence_collected)
    if spec.alternatives_considered:
        yield "not chosen", "\n".join(f"{each.approach}: {each.pros_cons}" for each in spec.alternatives_considered)
    yield "asked because", f"{spec.why_approval_required} ({_rule(spec.policy_evaluation)})"
    yield "will change", spec.what_will_change or "the effect cannot be previewed"


def _rule(policy: PolicyEvaluation) -> str:
    return f"policy {policy.policy_name or 'default'}, {', '.join(policy.matched_rules) or 'no rule'}"


def _after(request: AIApprovalRequest, now: datetime) -> Iterator[tuple[str, str]]:
    spec = request.spec
    yield "touches", "; ".join([*(each.path() for each in spec.objects_touched), pods_told(request)])
    yield "undo", UNDO[spec.undo]
    yield "who decides", who_decides(request)
    yield "time left", f"{left(request, now)} (until {spec.required_by:%H:%M:%S} UTC); nobody answering is a no"


def pods_told(request: AIApprovalRequest) -> str:
    """Say which pods are replaced or deleted."""
    spec = request.spec
    if not spec.pods_touched_count:
        return "no pod is replaced" if spec.previewed else "which pods, cannot be told"
    named = ", ".join(name.rpartition("/")[2] for name in spec.pods_touched[:PODS_NAMED])
    more = spec.pods_touched_count - min(PODS_NAMED, len(spec.pods_touched))
    return f"pods replaced: {named}{f' and {more} more' if more else ''}"


def who_decides(request: AIApprovalRequest) -> str:
    """Say how many people must say yes, of which groups, and who has spoken."""
    policy, status = request.spec.policy_evaluation, request.status
    people = "one person" if policy.min_approvers == 1 else f"{policy.min_approvers} different people"
    groups = f", of {' or '.join(policy.approver_groups)}" if policy.approver_groups else ""
    said = "; ".join(f"{each.approver} said {each.decision.value.lower()}" for each in status.approvals) or "nobody has answered yet"
    return f"{people}{groups}; {said}"


def outcome(request: AIApprovalRequest) -> str:
    """Say what an answer has made of a question."""
    wanted, status, policy = request.spec.recommendation, request.status, request.spec.policy_evaluation
    what = f"{wanted.action} on {wanted.target_resource}"
    if status.decision is not None:
        return f"{what} {status.decision.value.lower()} by {status.decided_by}"
    yes = [each.approver for each in status.approvals if each.decision is Decision.APPROVED]
    return f"{what}: {len(yes)} of {policy.min_approvers} approvals ({', '.join(yes)}); {policy.min_approvers - len(yes)} more must approve"
