"""The pages that a link leads to: what is asked, with two buttons; what became of the answer; why it was not taken. Plain HTML. Pure."""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.durations import go_duration
from kubernaut.api.execution import UndoKind
from kubernaut.api.redact import redact
from kubernaut.notification.answering.judging import Refused
from kubernaut.notification.answering.settings import Person

DIFF_LIMIT: Final = 8_000
"""Characters of differences that are shown; the question has them whole."""
REASON_LIMIT: Final = 1000
ASKS: Final = "Approve this fix?"
PODS_NAMED: Final = 5
UNDO: Final = {
    UndoKind.EXACT: "exact: what stood there before is put back",
    UndoKind.COMPENSATING: "not exact: another change makes good for it",
    UndoKind.NONE: "none: it cannot be taken back",
    None: "unknown",
}
SIGNS: Final = {"+": "plus", "-": "minus"}
_STYLE: Final = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""What every page is sent with: nothing is loaded or run, nobody frames or keeps it, and its address is told to nobody."""


def confirm(question: AIApprovalRequest, person: Person, form: str, now: datetime) -> str:
    """Return the page that asks; opening it changes nothing."""
    parts = [
        _card("", f"<h1>{ASKS}</h1>{_facts(_summary(question, now))}"),
        _card("Why", "".join(_paragraphs(question.spec.investigation_summary, f"Asked because {question.spec.why_approval_required}"))),
        _card("What will change", "".join(_change(question))),
        _form(person, form),
    ]
    return _page(ASKS, parts)


def done(question: AIApprovalRequest, decision: Decision, person: Person) -> str:
    """Return the page that says what became of an answer."""
    word, case = decision.value.lower(), question.spec.remediation_request_ref.name
    decided = question.status.decision is not None
    said = f"{decision.value} by {person.user}." if decided else f"Your answer is recorded: {word} by {person.user}."
    missing = max(0, question.spec.policy_evaluation.min_approvers - len(question.status.approvals))
    follows = _what_follows(decision) if decided else f"{missing} more {'person' if missing == 1 else 'people'} must approve it."
    return _page(
        decision.value,
        [_card("", f"<h1>{_shown(said)}</h1><p>{_shown(follows)}</p><p>See the case: <code>kubernaut show {_shown(case)}</code></p>")],
    )


def refusal(refused: Refused) -> str:
    """Return the page that says why an answer was not taken, and what to do."""
    return _page("Not answered", [_card("", f"<h1>{_shown(refused.message)}</h1><p>{_commands(refused.then)}</p>")])


def _what_follows(decision: Decision) -> str:
    approved = "The fix is carried out now, and its effect is watched; how it ends is told where you were asked."
    return approved if decision is Decision.APPROVED else "The fix is not carried out; people are called."


def _summary(question: AIApprovalRequest, now: datetime) -> Iterator[tuple[str, str]]:
    spec = question.spec
    policy, yes = spec.policy_evaluation, [each.approver for each in question.status.approvals if each.decision is Decision.APPROVED]
    yield "Action", _shown(spec.recommendation.action)
    yield "Target", _code(spec.recommendation.target_resource)
    yield "Risk", f'<span class="risk">{_shown(spec.recommendation.risk_level.value)}</span>'
    yield "Confidence", f"{spec.confidence:.0%}"
    if policy.min_approvers > 1:
        yield "Approvals", _shown(f"{len(yes)} of {policy.min_approvers}{': ' + ', '.join(yes) if yes else ''}")
    if policy.approver_groups:
        yield "Decided by", _shown(f"members of {' or '.join(policy.approver_groups)}")
    yield "Answer by", _shown(f"{spec.required_by:%Y-%m-%d %H:%M} UTC, in {_left(spec.required_by - now)}")
    yield "Case", _code(spec.remediation_request_ref.name)


def _left(rest: timedelta) -> str:
    whole = max(timedelta(), rest - rest % timedelta(minutes=1))
    return go_duration(whole).removesuffix("0s") if whole else "less than a minute"


def _change(question: AIApprovalRequest) -> Iterator[str]:
    spec, left = question.spec, DIFF_LIMIT
    yield from _paragraphs(spec.what_will_change or "The effect cannot be previewed.")
    for change in spec.planned_changes:
        if change.refused:
            yield f'<p class="minus">{_shown(f"As it stands it would fail: {change.refused}")}</p>'
        if change.diff and left > 0:
            yield f"<pre>{''.join(_lines(redact(change.diff)[:left]))}</pre>"
        left -= len(change.diff)
    if left < 0:
        yield f"<p>The rest: <code>kubectl describe aar {_shown(question.metadata.name)}</code></p>"
    yield _facts(_touched(question))


def _lines(diff: str) -> Iterator[str]:
    """Yield the lines of a difference, what comes and what goes in colour."""
    for line in diff.splitlines():
        sign = SIGNS.get(line[:1], "")
        yield f'<span class="{sign}">{escape(line)}</span>\n' if sign else f"{escape(line)}\n"


def _touched(question: AIApprovalRequest) -> Iterator[tuple[str, str]]:
    spec = question.spec
    if spec.objects_touched:
        yield "Objects", ", ".join(_code(each.path()) for each in spec.objects_touched)
    if spec.pods_touched_count:
        named = ", ".join(_code(name.rpartition("/")[2]) for name in spec.pods_touched[:PODS_NAMED])
        more = spec.pods_touched_count - min(len(spec.pods_touched), PODS_NAMED)
        yield "Pods replaced", f"{named}{f' and {more} more' if more > 0 else ''}"
    yield "Undo", UNDO[spec.undo]


def _form(person: Person, form: str) -> str:
    return (
        '<form method="post" autocomplete="off">'
        f'<input type="hidden" name="form" value="{escape(form)}">'
        '<label for="reason">Reason (told to everybody; not needed for a yes)</label>'
        f'<textarea id="reason" name="reason" maxlength="{REASON_LIMIT}"></textarea>'
        f'<p class="who">You answer as <strong>{_shown(person.user)}</strong>. A decision is final.</p>'
        '<div class="buttons">'
        f'<button class="yes" name="decision" value="{Decision.APPROVED.value}">Approve</button>'
        f'<button class="no" name="decision" value="{Decision.REJECTED.value}">Reject</button>'
        "</div></form>"
    )


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{value}</dd>' for name, value in rows)}</dl>"


def _paragraphs(*texts: str) -> Iterator[str]:
    yield from (f"<p>{_shown(text)}</p>" for text in texts if text)


def _card(title: str, content: str) -> str:
    return f"<section>{f'<h2>{escape(title)}</h2>' if title else ''}{content}</section>"


def _code(name: str) -> str:
    """Return a name as code; a long one may be broken behind a slash."""
    return f"<code>{_shown(name).replace('/', '/<wbr>')}</code>"


def _commands(text: str) -> str:
    """Return a text in which what stands between backticks is code."""
    return "".join(f"<code>{_shown(part)}</code>" if number % 2 else _shown(part) for number, part in enumerate(text.split("`")))


def _shown(text: str) -> str:
    """Return a text fit for a page: without secrets, and nothing of it markup."""
    return escape(redact(text))


def _page(title: str, parts: Iterable[str]) -> str:
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="robots" content="noindex, nofollow"><title>{escape(title)} · kubernaut</title><style>{_STYLE}</style>'
    )
    body = f'<main><p class="brand">kubernaut</p>{"".join(parts)}</main>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'
