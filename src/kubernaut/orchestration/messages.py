"""What people are told: the approval request, the good end, the end that needs a person. Pure: facts in, messages out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from kubernaut.api.analysis import AIAnalysis, ApprovalContext, Evidence
from kubernaut.api.base import OwnerReference
from kubernaut.api.durations import go_duration
from kubernaut.api.notification import (
    ChannelName,
    EscalationReason,
    NotificationRequest,
    NotificationRequestSpec,
    NotificationType,
    Priority,
    Recipient,
)
from kubernaut.api.remediation import Outcome, RemediationRequest
from kubernaut.api.signal import Priority as RemediationPriority
from kubernaut.orchestration.children import metadata, target_of
from kubernaut.orchestration.escalation import CHANNELS, Escalation, message_details, priority_of
from kubernaut.orchestration.facts import TITLES
from kubernaut.orchestration.family import Family
from kubernaut.orchestration.gate.gitops import helm_warning
from kubernaut.orchestration.plans import fix_of
from kubernaut.orchestration.question import change_told, how_to_decide, message_name
from kubernaut.orchestration.steps import End

SUBJECT_LIMIT: Final = 500
BULK_LIMIT: Final = 50
"""How many duplicates one message names."""
BODY_LIMIT: Final = 40_000
LOUDNESS: Final = {
    RemediationPriority.P0: Priority.CRITICAL,
    RemediationPriority.P1: Priority.HIGH,
    RemediationPriority.P2: Priority.MEDIUM,
    RemediationPriority.P3: Priority.LOW,
}
URGENT: Final = frozenset({RemediationPriority.P0, RemediationPriority.P1})
SIGNS: Final[dict[Outcome | None, str]] = {
    Outcome.REMEDIATED: "✅ Remediated",
    Outcome.SELF_RESOLVED: "✅ Resolved by itself",
    Outcome.NO_ACTION_REQUIRED: "✅ No action required",
    Outcome.DRY_RUN: "🧪 Dry run",
}
WHY: Final = {
    EscalationReason.TIMEOUT: "out of time",
    EscalationReason.REJECTED: "fix rejected",
    EscalationReason.FAILED: "failed",
    EscalationReason.VALIDATION_ERROR: "signal unusable",
}


def approval(request: RemediationRequest, family: Family, channel: str) -> NotificationRequest:
    """Make `{rr}-approval-notification`, numbered when people are asked again: everything needed to decide, and how to."""
    analysis = family.analysis
    if analysis is None:
        raise ValueError("an approval is asked for by an analysis, and there is none")
    context = _context(analysis)
    question = analysis.status.approval_request_name
    spec = NotificationRequestSpec(
        remediation_request_ref=request.reference(),
        type=NotificationType.APPROVAL,
        priority=Priority.HIGH,
        subject=cut(f"🚨 Approval Required: {context.reason}", SUBJECT_LIMIT),
        body=cut(approval_body(request, analysis, context, family), BODY_LIMIT),
        channels=[ChannelName.SLACK, ChannelName.CONSOLE],
        recipients=[Recipient(channel=ChannelName.SLACK, address=channel)],
        metadata={
            "remediationRequest": request.metadata.name,
            "aiAnalysis": analysis.metadata.name,
            "aiApprovalRequest": question,
            "confidence": f"{context.confidence_score:.2f}",
        },
    )
    return NotificationRequest(metadata=metadata(request, message_name(request.metadata.name, question)), spec=spec)


def approval_body(request: RemediationRequest, analysis: AIAnalysis, context: ApprovalContext, family: Family) -> str:
    """Write the five documented parts, what will change, and how to decide."""
    question, environment = family.approval, request.status.environment or request.spec.environment
    facts = f"{request.spec.severity.value}, {environment}, confidence {context.confidence_score:.0%}"
    parts = [
        f"**{request.spec.signal_name}** on `{request.spec.target_resource}` ({facts}).",
        _section("Investigation summary", context.investigation_summary),
        _section("Evidence", _bullets(context.evidence_collected)),
        _section("Recommended actions", _bullets([_pair(each.action, each.rationale) for each in context.recommended_actions])),
        _section("Alternatives", _bullets([_pair(each.approach, each.pros_cons) for each in context.alternatives_considered])),
        _section("Why approval is required", context.why_approval_required),
        _section("What will change", "\n\n".join(filter(None, (change_told(question), _helm(family))))),
        _section("How to decide", how_to_decide(analysis.status.approval_request_name, request.metadata.namespace, question)),
    ]
    return "\n\n".join(parts)


def completion(request: RemediationRequest, family: Family, end: End, now: datetime) -> NotificationRequest:
    """Make `{rr}-completion`: good news, with what was done."""
    loud = priority_of(request) in URGENT
    spec = NotificationRequestSpec(
        remediation_request_ref=request.reference(),
        type=NotificationType.COMPLETION,
        priority=Priority.MEDIUM if loud else Priority.LOW,
        subject=_subject(SIGNS.get(end.outcome, end.reason), request),
        body=cut(_story(request, family, end, now), BODY_LIMIT),
        channels=[ChannelName.CONSOLE, ChannelName.SLACK] if loud else [ChannelName.CONSOLE],
        metadata=_lineage(request, family, end),
    )
    return NotificationRequest(metadata=metadata(request, f"{request.metadata.name}-completion"), spec=spec)


def manual_review(request: RemediationRequest, family: Family, end: End, now: datetime) -> NotificationRequest:
    """Make `{rr}-manual-review`: no fix was found, or none is sure enough, and why."""
    spec = NotificationRequestSpec(
        remediation_request_ref=request.reference(),
        type=NotificationType.MANUAL_REVIEW,
        priority=LOUDNESS[priority_of(request)],
        subject=_subject("🔎 Manual review required", request),
        body=cut(_story(request, family, end, now), BODY_LIMIT),
        channels=[ChannelName.CONSOLE, *CHANNELS[priority_of(request)]],
        metadata=_lineage(request, family, end),
    )
    return NotificationRequest(metadata=metadata(request, f"{request.metadata.name}-manual-review"), spec=spec)


def escalation_fallback(escalation: Escalation) -> NotificationRequest:
    """Make `{rr}-escalation-{phase}`, the object that the escalation endpoint would have made; with its owner, as it stands alone."""
    request, end = escalation.request, escalation.end
    made = metadata(request, escalation.name)
    spec = NotificationRequestSpec(
        remediation_request_ref=request.reference(),
        type=NotificationType.ESCALATION,
        priority=LOUDNESS[priority_of(request)],
        subject=_subject(f"🔥 Escalation, {TITLES[end.stage]} {WHY[escalation.reason]}", request),
        body=cut(_story(request, escalation.family, end, escalation.now), BODY_LIMIT),
        channels=[ChannelName.CONSOLE, *CHANNELS[priority_of(request)]],
        metadata=_lineage(request, escalation.family, end) | {"escalationReason": escalation.reason.value},
        details=message_details(escalation),
    )
    return NotificationRequest(metadata=made.model_copy(update={"owner_references": [_owner(request)]}), spec=spec)


def bulk(parent: RemediationRequest, duplicates: Sequence[RemediationRequest]) -> NotificationRequest:
    """Make `{parent}-duplicates`: one message about all remediations that end as another one did."""
    status, count = parent.status, len(duplicates)
    came = f"{status.overall_phase.value}, {status.outcome.value}" if status.outcome else status.overall_phase.value
    named = [f"`{each.metadata.name}`: {each.spec.signal_name} on `{each.spec.target_resource}`" for each in duplicates[:BULK_LIMIT]]
    more = [f"and {count - BULK_LIMIT} more: `kubectl get rr -n {parent.metadata.namespace}`"] if count > BULK_LIMIT else []
    told = f"`{parent.metadata.name}` worked on `{parent.spec.target_resource}` and ended: {came}. {status.message}"
    spec = NotificationRequestSpec(
        remediation_request_ref=parent.reference(),
        type=NotificationType.COMPLETION,
        priority=Priority.LOW,
        subject=_subject(f"{count} {'duplicate' if count == 1 else 'duplicates'} ended with {parent.metadata.name}", parent),
        body=cut("\n".join([told, "", "Nothing was done for these, which are about the same target:", _bullets(named + more)]), BODY_LIMIT),
        channels=[ChannelName.CONSOLE],
        metadata={"remediationRequest": parent.metadata.name, "outcome": came, "duplicates": str(count)},
    )
    return NotificationRequest(metadata=metadata(parent, f"{parent.metadata.name}-duplicates"), spec=spec)


def cut(text: str, limit: int) -> str:
    """Return a text that fits its bound; a longer one ends in an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _owner(request: RemediationRequest) -> OwnerReference:
    card, meta = request.card, request.metadata
    return OwnerReference(
        api_version=card.api_version, kind=card.kind, name=meta.name, uid=meta.uid, controller=True, block_owner_deletion=True
    )


def _context(analysis: AIAnalysis) -> ApprovalContext:
    """Return what a person needs to decide; where the analysis gave no context, its plain findings."""
    status = analysis.status
    return status.approval_context or ApprovalContext(
        reason=status.root_cause or "a fix needs approval",
        confidence_score=status.confidence,
        confidence_level="",
        investigation_summary=status.root_cause or status.message,
        evidence_collected=[each.says for each in status.evidence],
        why_approval_required="the approval policy asks for a person",
    )


def _subject(sign: str, request: RemediationRequest) -> str:
    return cut(f"{sign}: {request.spec.signal_name} on {request.spec.target_resource}", SUBJECT_LIMIT)


def _story(request: RemediationRequest, family: Family, end: End, now: datetime) -> str:
    """Tell how it went: the signal, the cause, the fix, the end."""
    lines = [f"**{request.spec.signal_name}** on `{request.spec.target_resource}`: {(end.message or end.reason).rstrip('.')}."]
    if family.analysis and family.analysis.status.root_cause:
        status = family.analysis.status
        lines += [f"- Cause: {f'{status.root_cause} (confidence {status.confidence:.0%})' if status.confidence else 'not known'}"]
        lines += [f"- Fix: {fix_of(family)} on `{target_of(request, family).path()}`"] if fix_of(family) else []
        lines += _evidence(status.evidence)[:5]
    took, meta = (
        go_duration(now.replace(microsecond=0) - (request.metadata.creation_timestamp or request.spec.created_at)),
        request.metadata,
    )
    lines += [f"- Ended in {TITLES[end.stage]} with {end.reason} after {took}"]
    lines += [f"- Note: {warning}"] if (warning := _helm(family)) else []
    lines += [f"- Look: `kubernaut timeline {meta.name}` or `kubectl describe rr {meta.name} -n {meta.namespace}`"]
    return "\n".join([*lines, "", _section("Proposed change", end.proposal)] if end.proposal else lines)


def _evidence(rows: Sequence[Evidence]) -> list[str]:
    """What speaks for the cause, each thing once, with the first object that says it."""
    by_what: dict[str, list[str]] = {}
    for row in rows:
        by_what.setdefault(row.says, []).append(row.source)
    return [f"- Evidence: {says} (`{found[0]}`{f' and {len(found) - 1} more' if found[1:] else ''})" for says, found in by_what.items()]


def _helm(family: Family) -> str:
    return helm_warning(family.processing.status.detected_labels) if family.processing else ""


def _lineage(request: RemediationRequest, family: Family, end: End) -> dict[str, str]:
    found = {
        "remediationRequest": request.metadata.name,
        "aiAnalysis": family.analysis.metadata.name if family.analysis else "",
        "outcome": end.outcome.value if end.outcome else end.phase.value,
        "phase": end.stage.value,
        "reason": end.reason,
        "target": target_of(request, family).path(),
        "fix": fix_of(family),
    }
    return {key: value for key, value in found.items() if value}


def _section(title: str, text: str) -> str:
    return f"## {title}\n{text or 'None.'}"


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _pair(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what
