"""Whether a ticket still answers its question, and as whom. Pure: what was read and the time go in, a person or a refusal comes out."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from kubernaut.api.approval import AIApprovalRequest
from kubernaut.notification.answering.settings import Person
from kubernaut.notification.answering.ticket import Ticket, bound_to, expiry

CONSOLE: Final = "console"
MAIL: Final = "email"
SLACK: Final = "slack"
VIA: Final = {MAIL: "email-link", CONSOLE: "console", SLACK: "slack-button"}
"""How `status.decidedVia` calls the ways to answer."""


class Reason(StrEnum):
    """Why an answer was not taken."""

    ALTERED = "altered"
    """Not a ticket of ours, or changed on its way."""
    UNSIGNED = "unsigned"
    """Slack did not sign it, or not just now."""
    STRANGER = "stranger"
    """Nobody whom the settings know."""
    UNKNOWN = "unknown"
    """The question is not there any more, or is another now."""
    EXPIRED = "expired"
    VOID = "void"
    REUSED = "reused"
    """Decided already, or said already."""
    UNCONFIRMED = "unconfirmed"
    """Sent without the page, or from one that was open too long."""
    FORBIDDEN = "forbidden"
    """The API server does not let this person decide."""
    UNAVAILABLE = "unavailable"
    """Nobody could be asked: another try may help."""


class Refused(Exception):  # noqa: N818  (the answer to an answer)
    """An answer that was not taken; the message tells the person why, `then` what to do."""

    def __init__(self, reason: Reason, message: str, then: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.then = then or "See what is asked now: `kubernaut approvals`"


def person_for(people: Sequence[Person], channel: str, address: str) -> Person:
    """Return who somebody is by the address that a channel knows them by; raise Refused for nobody."""
    found = next((each for each in people if address and _address(each, channel) == address.lower()), None)
    if found is None:
        who = f"{channel} {address}".strip()
        raise Refused(
            Reason.STRANGER,
            f"kubernaut does not know who {who} is in the cluster, so nothing was decided.",
            "Answer as yourself with `kubernaut approve`; an administrator can add you to notification.answers.people",
        )
    return found


def reader_of(person: Person, channel: str) -> str:
    """Return how a ticket for a person calls its reader."""
    return f"{channel} {_address(person, channel)}"


def channel_of(ticket: Ticket) -> tuple[str, str]:
    """Return the channel and the address that a ticket was given to."""
    channel, _, address = ticket.reader.partition(" ")
    return channel, address


def must_answer(ticket: Ticket, question: AIApprovalRequest | None, now: datetime) -> AIApprovalRequest:
    """Return the question that a ticket still answers; raise Refused where it does not."""
    case = f"See the case: `kubernaut show {_case(question)}`" if question else ""
    if question is None or bound_to(question) != ticket.bound:
        raise Refused(Reason.UNKNOWN, "What was asked here is not asked any more.", case)
    status = question.status
    if status.decision is not None:
        said = f"This was {status.decision.value.lower()} by {status.decided_by}: a decision is final."
        raise Refused(Reason.REUSED if status.decided_by != "system" else Reason.EXPIRED, said, case)
    if status.voided_at is not None:
        raise Refused(Reason.VOID, f"This question no longer counts: {status.void_reason or 'what it was about has changed'}.", case)
    if now >= expiry(ticket):
        over = f"The time to answer was up at {expiry(ticket):%Y-%m-%d %H:%M:%S} UTC: nobody answering is a no."
        raise Refused(Reason.EXPIRED, over, case)
    return question


def must_be_first(question: AIApprovalRequest, person: Person) -> None:
    """Raise Refused for somebody who has answered already."""
    own = next((each for each in question.status.approvals if each.approver == person.user), None)
    if own is not None:
        wanted = question.spec.policy_evaluation.min_approvers
        said = f"You ({person.user}) have said {own.decision.value.lower()} already; this needs {wanted} different people."
        raise Refused(Reason.REUSED, said, f"See the case: `kubernaut show {_case(question)}`")


def _case(question: AIApprovalRequest) -> str:
    return question.spec.remediation_request_ref.name


def _address(person: Person, channel: str) -> str:
    """Return the address that a channel knows a person by; empty for none."""
    found = {MAIL: person.email, SLACK: person.slack, CONSOLE: person.user if person.console else ""}
    return found.get(channel, "").lower()
