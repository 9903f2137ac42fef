"""The HTTP face of answers: the page behind a link, and the presses of buttons that Slack reports."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from starlette.background import BackgroundTask
from starlette.responses import HTMLResponse, Response

from kubernaut.api.approval import Decision
from kubernaut.notification.answering import page
from kubernaut.notification.answering.buttons import Buttons
from kubernaut.notification.answering.clerk import LINK, Asked, Clerk, Trial
from kubernaut.notification.answering.judging import Reason, Refused
from kubernaut.notification.answering.offers import PATH
from kubernaut.notification.answering.settings import AnswerSettings
from kubernaut.notification.answering.ticket import LONGEST, Purpose
from kubernaut.service import Check, Guard, Problem, Rates, create_app

SERVICE: Final = "answers"
SLACK_PATH: Final = "/api/v1/answers/slack"
BODY_LIMIT: Final = 1024 * 1024
FORM_LIMIT: Final = 16 * 1024
AT_ONCE: Final = 100
TICKET: Final = "t"
MESSAGE: Final = "m"
NAMES: Final = 320
"""Characters of a namespace and a name."""
FORM_TYPE: Final = "application/x-www-form-urlencoded"
STATUSES: Final[Mapping[Reason, HTTPStatus]] = {
    Reason.ALTERED: HTTPStatus.FORBIDDEN,
    Reason.STRANGER: HTTPStatus.FORBIDDEN,
    Reason.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Reason.UNKNOWN: HTTPStatus.GONE,
    Reason.EXPIRED: HTTPStatus.GONE,
    Reason.VOID: HTTPStatus.GONE,
    Reason.REUSED: HTTPStatus.GONE,
    Reason.UNCONFIRMED: HTTPStatus.BAD_REQUEST,
    Reason.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


def guards(settings: AnswerSettings) -> tuple[Guard, ...]:
    """Return who is asked before an answer is heard: how often. Who answers is shown by links and signatures."""
    return (Rates(SERVICE, settings.rate),)


def answers_app(clerk: Clerk, buttons: Buttons | None, checks: Mapping[str, Check], guarding: Sequence[Guard] = ()) -> FastAPI:
    """Make the app; without `buttons` it has pages alone."""
    app = create_app(SERVICE, title="kubernaut answers", checks=checks, body_limit=BODY_LIMIT, max_concurrent=AT_ONCE, guards=guarding)
    pages = Pages(clerk)
    app.add_route(PATH, pages.show, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_route(PATH, pages.take, methods=["POST"], include_in_schema=False)
    if buttons is not None:
        heard = buttons

        async def pressed(request: Request) -> Response:
            """Take what Slack reports; it is answered at once, and worked on after that."""
            body = await request.body()
            interaction = await heard.believed(body, request.headers)
            work = BackgroundTask(heard.act, interaction) if interaction is not None else None
            return Response(status_code=HTTPStatus.OK, background=work)

        app.add_route(SLACK_PATH, pressed, methods=["POST"], include_in_schema=False)
    return app


class Pages:
    """The pages behind a link: to look at one changes nothing, whoever and how often."""

    def __init__(self, clerk: Clerk) -> None:
        self._clerk = clerk

    async def show(self, request: Request) -> Response:
        """Show what is asked, with two buttons."""
        trial = _trial(request)
        try:
            asked = await self._clerk.asked(self._clerk.open(trial.text, Purpose.LINK))
            form = self._clerk.form(asked, trial.text)
        except Refused as refused:
            return await self._refused(refused, trial)
        return _html(page.confirm(asked.question, asked.person, form, self._clerk.now()))

    async def take(self, request: Request) -> Response:
        """Take the answer that the page sends."""
        trial, fields = _trial(request), await _fields(request)
        try:
            ticket = self._clerk.open(trial.text, Purpose.LINK)
            self._clerk.must_be_confirmed(fields.get("form", ""), trial.text)
            asked, decision = await self._clerk.asked(ticket), _decision(fields)
            return await self._decide(asked, decision, fields.get("reason", "").strip()[: page.REASON_LIMIT])
        except Refused as refused:
            return await self._refused(refused, trial)

    async def _decide(self, asked: Asked, decision: Decision, reason: str) -> Response:
        stored = await self._clerk.decide(asked, decision, reason)
        return _html(page.done(stored, decision, asked.person))

    async def _refused(self, refused: Refused, trial: Trial) -> Response:
        await self._clerk.note(refused, trial)
        return _html(page.refusal(refused), STATUSES.get(refused.reason, HTTPStatus.FORBIDDEN))


def _trial(request: Request) -> Trial:
    asked = request.query_params
    return Trial(LINK, asked.get(TICKET, "")[: LONGEST + 1], message=asked.get(MESSAGE, "")[:NAMES])


async def _fields(request: Request) -> dict[str, str]:
    """Return the fields of a page's form; raise Problem for a body that no page of ours sends."""
    body = await request.body()
    wanted = request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM_TYPE
    wrong = Problem(400, "VALIDATION_ERROR", "This takes the form of its own page alone: open the link in the message")
    if not wanted or len(body) > FORM_LIMIT:
        raise wrong
    try:
        return {name: values[0] for name, values in parse_qs(body.decode(), max_num_fields=8).items()}
    except ValueError as error:
        raise wrong from error


def _decision(fields: Mapping[str, str]) -> Decision:
    """Return what was chosen; raise Refused for anything but yes and no."""
    for decision in (Decision.APPROVED, Decision.REJECTED):
        if fields.get("decision") == decision.value:
            return decision
    said = "Neither Approve nor Reject was pressed, so nothing was decided."
    raise Refused(Reason.UNCONFIRMED, said, "Open the link in the message again and press one of the two")


def _html(text: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return HTMLResponse(text, status, page.HEADERS)
