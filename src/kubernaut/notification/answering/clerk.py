"""Takes answers: finds out who answers what, writes the decision as that person, and records what was not taken."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

import structlog
from prometheus_client import Counter

from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.base import AuditOutcome
from kubernaut.api.notification import NotificationRequest
from kubernaut.approving import CannotDecide, answer
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.kube.journal import crowded, record
from kubernaut.notification.answering.judging import SLACK, VIA, Reason, Refused, channel_of, must_answer, must_be_first, person_for
from kubernaut.notification.answering.keys import BadKeys, Keys
from kubernaut.notification.answering.settings import AnswerSettings, Person
from kubernaut.notification.answering.ticket import Purpose, Ticket, form_for, is_form_of, seal, ticket_for, unseal

REMEMBERED: Final = 4096
TRIES: Final = 5
LINK: Final = "link"
"""How all answers by link are counted."""
ANSWERS: Final = Counter("kubernaut_answers_total", "Answers given by link or button, by what became of them", ["channel", "result"])
UNAVAILABLE: Final = "The cluster could not be asked just now, so nothing was decided."
AGAIN: Final = "Try again in a moment, or on the command line: `kubernaut approve`"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A person with a question that they may answer."""

    ticket: Ticket
    question: AIApprovalRequest
    person: Person
    channel: str


@dataclass(frozen=True, slots=True)
class Trial:
    """An answer as it came, whatever it is worth."""

    channel: str
    text: str
    """What should be a ticket."""
    who: str = ""
    """The address that the channel vouches for."""
    message: str = ""
    """Namespace and name of the message that it says it is from; a ticket knows better."""


class Clerk:
    """Takes answers."""

    def __init__(self, cluster: Cluster, settings: AnswerSettings, keys: Keys) -> None:
        self._cluster = cluster
        self._settings = settings
        self._keys = keys
        self._noted: OrderedDict[str, None] = OrderedDict()
        """What was put down already: the same refusal again is counted, not recorded."""

    def now(self) -> datetime:
        """Return the time."""
        return self._cluster.clock.now()

    def issue(self, question: AIApprovalRequest, message: str, purpose: Purpose, reader: str = "") -> str:
        """Return a sealed ticket; raise BadKeys."""
        return seal(self._keys.read(), ticket_for(question, message, purpose, reader), self.now())

    def open(self, text: str, purpose: Purpose) -> Ticket:
        """Return the ticket of a text; raise Refused."""
        try:
            ticket = unseal(self._keys.read(), text, purpose)
        except BadKeys as error:
            log.error("answers cannot be taken", fault=str(error)[:500])  # noqa: TRY400  (it says which file)
            raise Refused(Reason.UNAVAILABLE, "kubernaut's key for links cannot be read, so nothing was decided.", AGAIN) from error
        if ticket is None:
            raise Refused(Reason.ALTERED, "This link or button is not one of ours, or was changed or cut on its way.")
        return ticket

    async def asked(self, ticket: Ticket, channel: str = "", address: str = "") -> Asked:
        """Return the question of a ticket, for its reader or for whom the channel names; raise Refused."""
        if not channel:
            channel, address = channel_of(ticket)
        person = person_for(self._settings.people, channel, address)
        try:
            found = await self._cluster.fetch(AIApprovalRequest, ticket.namespace, ticket.question)
        except ApiError as error:
            raise Refused(Reason.UNAVAILABLE, UNAVAILABLE, AGAIN) from error
        question = must_answer(ticket, found, self.now())
        must_be_first(question, person)
        return Asked(ticket, question, person, channel)

    def form(self, asked: Asked, link: str) -> str:
        """Return what the confirm page of a link carries; raise Refused."""
        try:
            now = self.now()
            return seal(self._keys.read(), form_for(asked.ticket, link, now), now)
        except BadKeys as error:
            raise Refused(Reason.UNAVAILABLE, "kubernaut's key for links cannot be read, so nothing was decided.", AGAIN) from error

    def must_be_confirmed(self, form: str, link: str) -> None:
        """Raise Refused for an answer that does not come from the page of its link."""
        try:
            ticket: Ticket | None = self.open(form, Purpose.FORM)
        except Refused:
            ticket = None
        if not is_form_of(ticket, link, self.now()):
            said = "The page was open too long, or this was not sent from it, so nothing was decided."
            raise Refused(Reason.UNCONFIRMED, said, "Open the link in the message again and answer on the page that it shows")

    async def decide(self, asked: Asked, decision: Decision, reason: str) -> AIApprovalRequest:
        """Write the answer as the person who gives it, with their rights; raise Refused."""
        person, client = asked.person, self._cluster.client.impersonating(asked.person.user, asked.person.groups)
        try:
            stored = await answer(client, asked.question, decision, reason, self.now(), via=VIA[asked.channel])
        except CannotDecide as error:
            refused_by_rule = isinstance(error.__cause__, ApiError)
            raise Refused(Reason.FORBIDDEN if refused_by_rule else Reason.REUSED, f"{_capital(str(error))}.") from error
        except ApiError as error:
            raise _refusal(error, person) from error
        ANSWERS.labels(SLACK if asked.channel == SLACK else LINK, "accepted").inc()
        log.info("answer taken", question=asked.question.metadata.name, decision=decision.value, by=person.user, channel=asked.channel)
        return stored

    async def note(self, refused: Refused, trial: Trial) -> None:
        """Count and log an answer that was not taken, and put it on record with the message that it says it is from, each only once."""
        ANSWERS.labels(trial.channel, refused.reason.value).inc()
        ticket = self._ticket(trial.text)
        who = trial.who or (ticket.reader if ticket else "") or "somebody"
        told = {"channel": trial.channel, "reason": refused.reason.value, "who": who}
        log.warning("answer refused", **told, message=trial.message, why=refused.message)
        message = f"{ticket.namespace}/{ticket.message}" if ticket else trial.message
        mark = sha256(f"{refused.reason}/{trial.who}/{trial.text if ticket else message}".encode()).hexdigest()
        if not message or refused.reason is Reason.UNAVAILABLE or mark in self._noted:
            return
        self._noted[mark] = None
        while len(self._noted) > REMEMBERED:
            self._noted.popitem(last=False)
        await self._record(message, refused, told)

    def _ticket(self, text: str) -> Ticket | None:
        try:
            keys = self._keys.read()
        except BadKeys:
            return None
        return unseal(keys, text, Purpose.LINK) or unseal(keys, text, Purpose.BUTTON)

    async def _record(self, name: str, refused: Refused, told: Mapping[str, str]) -> None:
        """Add the refusal to the journal of the message, from where it goes to the audit trail; a message that is gone has none."""
        text, (namespace, _, name) = f"an answer by {told['who']} was refused: {refused.message}", name.partition("/")
        for _ in range(TRIES):
            try:
                message = await self._cluster.fetch(NotificationRequest, namespace, name) if name else None
                if message is None or crowded(message.status.journal):
                    return
                record(message, "AnswerRefused", text, now=self.now(), outcome=AuditOutcome.FAILURE, data=told)
                await self._cluster.patch_status(message, {"journal": message.status.journal.wire()})
            except ApiError as error:
                if not error.conflict:
                    log.warning("a refused answer was not put on record", message=name, fault=str(error)[:500])
                    return
            else:
                return


def _refusal(error: ApiError, person: Person) -> Refused:
    """Say why the API server did not take an answer."""
    if not error.forbidden:
        return Refused(Reason.UNAVAILABLE, UNAVAILABLE, AGAIN)
    log.error("answer not allowed", by=person.user, fault=error.message[:500])
    said = f"The cluster does not allow it: {error.message[:300]}"
    return Refused(
        Reason.FORBIDDEN, said, "Answer as yourself with `kubernaut approve`; who may answer from here is an administrator's to say"
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
