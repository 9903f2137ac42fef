"""Gives each approval message what its reader can answer with: a link that is theirs alone, or buttons."""

from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.notification import ChannelName, NotificationRequest, NotificationType
from kubernaut.approving import is_open
from kubernaut.kube.cluster import Cluster
from kubernaut.notification.answering.clerk import Clerk
from kubernaut.notification.answering.judging import CONSOLE, MAIL, reader_of
from kubernaut.notification.answering.keys import BadKeys
from kubernaut.notification.answering.settings import Person
from kubernaut.notification.answering.ticket import Purpose
from kubernaut.notification.channels.base import Link
from kubernaut.notification.decide import Target
from kubernaut.notification.settings import NotificationSettings
from kubernaut.notification.surroundings import QUESTION

PATH: Final = "/api/v1/answers/link"
TEXT: Final = "Approve or reject"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Offer(NamedTuple):
    """What one place is given."""

    answers: tuple[Link, ...] = ()
    ticket: str = ""


NOTHING: Final = Offer()
Offered = Callable[[Target], Offer]
"""What a message gives to each of its places."""


def nothing(_: Target) -> Offer:
    """Offer nothing."""
    return NOTHING


class Offers:
    """Makes links and buttons. `url` is where people reach the pages; empty: there are no links."""

    def __init__(self, cluster: Cluster, clerk: Clerk, settings: NotificationSettings, url: str) -> None:
        self._cluster = cluster
        self._clerk = clerk
        self._url = url
        self._buttons = settings.slack is not None and settings.slack.hears
        people = settings.answers.people if settings.answers else ()
        self._by_mail = {each.email.lower(): each for each in people if each.email}
        self._at_console = next((each for each in people if each.console), None)
        self._own_mail = settings.email.to if settings.email else ""

    async def of(self, request: NotificationRequest) -> Offered:
        """Return what a message gives to its places: something, while its question is open. Raise ApiError."""
        name = request.spec.metadata.get(QUESTION, "")
        if request.spec.type is not NotificationType.APPROVAL or not name:
            return nothing
        question = await self._cluster.fetch(AIApprovalRequest, request.metadata.namespace, name)
        if question is None or not is_open(question) or self._cluster.clock.now() >= question.spec.required_by:
            return nothing
        return lambda target: self._offer(request, question, target)

    def _offer(self, request: NotificationRequest, question: AIApprovalRequest, target: Target) -> Offer:
        """Return what a place gets; without a key that is nothing, as the message must go out all the same."""
        try:
            if target.channel is ChannelName.SLACK and self._buttons:
                return Offer(ticket=self._clerk.issue(question, request.metadata.name, Purpose.BUTTON))
            channel, person = self._reader(target)
            if person is None or not self._url:
                return NOTHING
            ticket = self._clerk.issue(question, request.metadata.name, Purpose.LINK, reader_of(person, channel))
        except BadKeys as error:
            log.error("messages go out without links", fault=str(error)[:500])  # noqa: TRY400  (it says which file)
            return NOTHING
        about = f"{request.metadata.namespace}/{request.metadata.name}"
        return Offer(answers=(Link(TEXT, f"{self._url}{PATH}?m={about}&t={ticket}"),))

    def _reader(self, target: Target) -> tuple[str, Person | None]:
        """Return the one person who reads what is sent to a place, and how they are known there."""
        if target.channel is ChannelName.EMAIL:
            return MAIL, self._by_mail.get((target.address or self._own_mail).lower())
        if target.channel in {ChannelName.CONSOLE, ChannelName.FILE}:
            return CONSOLE, self._at_console
        return "", None
