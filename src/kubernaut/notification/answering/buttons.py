"""Works on what Slack reports: a yes is decided, a no asks why first, and what is not taken is told to the one who pressed."""

from collections.abc import Mapping
from typing import Final

import structlog

from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.notification.answering.clerk import ANSWERS, Clerk, Trial
from kubernaut.notification.answering.judging import SLACK, Reason, Refused
from kubernaut.notification.answering.slack import Pressed, Submitted, is_signed, read, why_form
from kubernaut.notification.answering.ticket import Purpose
from kubernaut.notification.channels.base import NotDelivered, secret_of
from kubernaut.notification.channels.markup import mrkdwn
from kubernaut.notification.channels.slack_api import SlackApi
from kubernaut.notification.channels.slack_blocks import APPROVE
from kubernaut.notification.settings import SlackSettings
from kubernaut.service import Problem

TELL_LIMIT: Final = 2000

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Buttons:
    """Hears Slack."""

    def __init__(self, clerk: Clerk, api: SlackApi, settings: SlackSettings) -> None:
        self._clerk = clerk
        self._api = api
        self._settings = settings

    async def believed(self, body: bytes, headers: Mapping[str, str]) -> Pressed | Submitted | None:
        """Return what somebody did, None for what is no answer; raise Problem for what Slack did not sign, or would not send."""
        try:
            secret = secret_of(self._settings.signing_secret, self._settings.signing_secret_file)
        except NotDelivered as error:
            log.error("Slack cannot be believed", fault=str(error))  # noqa: TRY400  (it says which file)
            raise Problem(503, "SERVICE_UNAVAILABLE", "The signing secret cannot be read") from error
        if not is_signed(secret, body, headers, self._clerk.now().timestamp()):
            ANSWERS.labels(SLACK, Reason.UNSIGNED.value).inc()
            log.warning("answer refused", channel=SLACK, reason=Reason.UNSIGNED.value)
            raise Problem(401, "AUTH_TOKEN_INVALID", "This is not signed by Slack, or was more than five minutes ago")
        try:
            return read(body)
        except ValueError as error:
            raise Problem(400, "VALIDATION_ERROR", str(error)) from error

    async def act(self, done: Pressed | Submitted) -> None:
        """Do what somebody asked for; they alone are told what is not taken, and how many more are needed."""
        try:
            told = await self._do(done)
        except Refused as refused:
            await self._clerk.note(refused, Trial(SLACK, done.ticket, who=done.user))
            told = f"{refused.message}\n{refused.then}."
        if told and done.channel:
            await self._tell(done, told)

    async def _do(self, done: Pressed | Submitted) -> str:
        """Decide, or ask why; return what the person is to be told. Raise Refused."""
        asked = await self._clerk.asked(self._clerk.open(done.ticket, Purpose.BUTTON), SLACK, done.user)
        if isinstance(done, Submitted):
            return _told(await self._clerk.decide(asked, Decision.REJECTED, done.reason))
        if done.action == APPROVE:
            return _told(await self._clerk.decide(asked, Decision.APPROVED, ""))
        wanted = asked.question.spec.recommendation
        view = why_form(done.ticket, done.channel, f"{wanted.action} on {wanted.target_resource}")
        try:
            await self._api.call("views.open", {"trigger_id": done.trigger, "view": view})
        except NotDelivered as error:
            then = f"Press it again, or: `kubernaut reject {asked.question.metadata.name}`"
            raise Refused(Reason.UNAVAILABLE, f"Slack did not show the form that asks why: {error}", then) from error
        return ""

    async def _tell(self, done: Pressed | Submitted, text: str) -> None:
        body = {"channel": done.channel, "user": done.user, "text": mrkdwn(text)[:TELL_LIMIT]}
        try:
            await self._api.call("chat.postEphemeral", body)
        except NotDelivered as error:
            log.warning("a person was not told what became of their answer", user=done.user, fault=str(error))


def _told(question: AIApprovalRequest) -> str:
    """Say how many more are needed; a decision is written over the message itself."""
    if question.status.decision is not None:
        return ""
    missing = question.spec.policy_evaluation.min_approvers - len(question.status.approvals)
    if missing <= 0:
        return "Your answer is recorded."
    return f"Your answer is recorded. {missing} more {'person' if missing == 1 else 'people'} must approve it."
