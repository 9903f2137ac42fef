"""Messages as Slack's blocks, within its limits: 50 blocks, 3,000 characters a section, 150 a header; judged by slack_sdk's models."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ConfirmObject,
    ContextBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)

from kubernaut.api.notification import DeliveryEvent
from kubernaut.notification.channels.base import Link, Message
from kubernaut.notification.channels.markup import mrkdwn, one_line, pieces, sections, where

BLOCKS: Final = 50
SECTION: Final = 3000
HEADER: Final = 150
FALLBACK: Final = 3000
BUTTON: Final = 75
BUTTONS: Final = 5
URL: Final = 3000
ROOM: Final = 2400
"""Of a section before its characters are escaped, as a rule."""
TEXT: Final = 36_000
"""Characters of a whole message, below Slack's 40,000."""
APPROVE: Final = "kubernaut-approve"
REJECT: Final = "kubernaut-reject"
CONFIRM: Final = 250

Json = dict[str, Any]


def blocks_of(message: Message) -> list[Json]:
    """Return a message's blocks: a header, its sections, what can be clicked, and which case it is of."""
    if message.event is not DeliveryEvent.TOLD:
        return _checked([_section(mrkdwn(message.note)), _footer(message)])
    tail: list[Block] = [*_buttons(message), _footer(message)]
    texts = [text for text in _texts(message) if text.strip()]
    kept = _fitting(texts, BLOCKS - 2 - len(tail))
    body: list[Block] = [_section(text) for text in kept]
    if len(kept) < len(texts):
        body.append(_section(mrkdwn(where(message.whole))))
    return _checked([_header(message.subject), *body, *tail])


def closed_blocks_of(message: Message) -> list[Json]:
    """Return what takes a message's place when it was answered or is over: its subject, and what became of it; nothing to click."""
    return _checked([_header(message.subject), _section(mrkdwn(message.note)), _footer(message)])


def fallback_of(message: Message) -> str:
    """Return the text for notifications and screen readers."""
    told = message.subject if message.event is DeliveryEvent.TOLD else f"{message.subject}: {message.note}"
    return mrkdwn(one_line(f"[{message.priority.value}] {told}", FALLBACK // 5))[:FALLBACK]


def _section(text: str) -> Block:
    """Return a section; Slack takes none that is blank."""
    return SectionBlock(text=MarkdownTextObject(text=text[:SECTION] if text.strip() else "…"))


def _header(subject: str) -> Block:
    return HeaderBlock(text=PlainTextObject(text=one_line(subject, HEADER), emoji=True))


def _texts(message: Message) -> Iterable[str]:
    for section in sections(message.body):
        title = f"**{section.title}**\n" if section.title else ""
        for number, piece in enumerate(pieces(section.text, ROOM - 200) if section.text else ("",)):
            yield from _escaped((one_line(title, 180) + "\n" if title and number == 0 else "") + piece)


def _escaped(text: str) -> Iterable[str]:
    """Yield a piece in Slack's dialect; one that escaping made too long, in smaller pieces."""
    found = mrkdwn(text)
    if len(found) <= SECTION:
        yield found
        return
    for piece in pieces(text, SECTION // 6):
        yield mrkdwn(piece)


def _fitting(texts: Sequence[str], blocks: int) -> list[str]:
    """Return the first texts that fit into a message, leaving a block to say that it was cut."""
    kept: list[str] = []
    for text in texts:
        if len(kept) >= blocks - 1 or sum(map(len, kept)) + len(text) > TEXT:
            break
        kept.append(text)
    return kept


def _buttons(message: Message) -> list[Block]:
    """Return the answers and links that can be clicked."""
    here = [_approve(message), _reject(message)] if message.ticket else []
    answers = [_button(link, f"answer-{number}", "primary" if number == 0 else None) for number, link in enumerate(message.answers)]
    links = [_button(link, f"link-{number}", None) for number, link in enumerate(message.links) if len(link.url) <= URL]
    return [ActionsBlock(elements=group[:BUTTONS]) for group in (here, answers, links) if group]


def _button(link: Link, action: str, style: str | None) -> ButtonElement:
    return ButtonElement(text=PlainTextObject(text=one_line(link.text, BUTTON)), action_id=action, url=link.url, style=style)


def _approve(message: Message) -> ButtonElement:
    """Return the button that approves, once the reader is sure."""
    sure = ConfirmObject(
        title=PlainTextObject(text="Approve this fix?"),
        text=PlainTextObject(text=one_line(f"{message.subject} — it is carried out at once. A decision is final.", CONFIRM)),
        confirm=PlainTextObject(text="Approve"),
        deny=PlainTextObject(text="Back"),
    )
    return ButtonElement(text=PlainTextObject(text="Approve"), action_id=APPROVE, value=message.ticket, style="primary", confirm=sure)


def _reject(message: Message) -> ButtonElement:
    return ButtonElement(text=PlainTextObject(text="Reject…"), action_id=REJECT, value=message.ticket, style="danger")


def _footer(message: Message) -> Block:
    parts = [f"*{message.priority.value}*", message.type.value, mrkdwn(f"case `{message.correlation_id}`")]
    return ContextBlock(elements=[MarkdownTextObject(text=" · ".join(parts)[:SECTION])])


def _checked(blocks: Sequence[Block]) -> list[Json]:
    """Return blocks as JSON; the models refuse what Slack would."""
    return [block.to_dict() for block in blocks]
