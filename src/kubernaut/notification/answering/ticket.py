"""What a link or a button carries: for which question it is good, for whom, until when; sealed against being made up or changed. Pure."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final

import orjson
from cryptography.fernet import InvalidToken, MultiFernet
from pydantic import TypeAdapter, ValidationError

from kubernaut.api.approval import AIApprovalRequest

LONGEST: Final = 2000
"""Characters of a sealed ticket: what the value of a button in Slack may have."""
FORM_TIME: Final = timedelta(minutes=30)
"""How long a page may stay open before its buttons are pressed."""
_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]+")


class Purpose(StrEnum):
    """What a ticket is for: one kind is never taken for another."""

    LINK = "link"
    BUTTON = "button"
    FORM = "form"


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to answer one question as one person, once; the question itself says whether it was used."""

    purpose: Purpose
    namespace: str
    message: str
    """The NotificationRequest that carried it."""
    question: str
    """The AIApprovalRequest's name."""
    bound: str
    """What was asked: another question of that name has another."""
    reader: str
    """Whom it was given to: `email ADDRESS` or `console`; empty where the channel says who answers."""
    expires: int
    """Unix seconds."""


_TICKET: Final = TypeAdapter(Ticket)


def bound_to(question: AIApprovalRequest) -> str:
    """Return what is the same as long as the very same thing is asked: the object, its plan, its deadline."""
    spec = question.spec
    whole = orjson.dumps([question.metadata.uid, spec.bound_to, spec.required_by.isoformat(), spec.recommendation.wire()])
    return sha256(whole).hexdigest()[:32]


def ticket_for(question: AIApprovalRequest, message: str, purpose: Purpose, reader: str) -> Ticket:
    """Return a ticket that is good until the question's deadline."""
    meta, until = question.metadata, int(question.spec.required_by.timestamp())
    return Ticket(purpose, meta.namespace, message, meta.name, bound_to(question), reader, until)


def form_for(ticket: Ticket, link: str, now: datetime) -> Ticket:
    """Return what the confirm page carries: it is good for the link that was opened, and for a short time."""
    until = min(ticket.expires, int((now + FORM_TIME).timestamp()))
    return Ticket(Purpose.FORM, ticket.namespace, ticket.message, ticket.question, _digest(link), ticket.reader, until)


def is_form_of(form: Ticket | None, link: str, now: datetime) -> bool:
    """Tell whether a page's ticket was made for this link, not too long ago."""
    return form is not None and form.bound == _digest(link) and now.timestamp() < form.expires


def seal(keys: MultiFernet, ticket: Ticket, now: datetime) -> str:
    """Return a ticket as text for a URL, which shows nothing of what is in it."""
    return _text(keys.encrypt_at_time(orjson.dumps(astuple(ticket)), int(now.timestamp())))


def unseal(keys: MultiFernet, text: str, purpose: Purpose) -> Ticket | None:
    """Return the ticket of a text, None for one that we did not write exactly so, or for something else."""
    if len(text) > LONGEST or not _ALPHABET.fullmatch(text):
        return None
    padded = text + "=" * (-len(text) % 4)
    try:
        if _text(urlsafe_b64encode(urlsafe_b64decode(padded))) != text:
            return None
        fields = orjson.loads(keys.decrypt(padded))
        ticket = _TICKET.validate_python(dict(zip(Ticket.__slots__, fields, strict=True)))
    except (ValueError, TypeError, InvalidToken, ValidationError):
        return None
    return ticket if ticket.purpose is purpose else None


def expiry(ticket: Ticket) -> datetime:
    """Return when a ticket ends."""
    return datetime.fromtimestamp(ticket.expires, UTC)


def _text(token: bytes) -> str:
    return token.decode("ascii").rstrip("=")


def _digest(link: str) -> str:
    return sha256(link.encode()).hexdigest()[:32]
