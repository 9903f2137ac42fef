"""A counter that takes answers on a real API server: its people, its message with its question, and what they send."""

import re
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
from prometheus_client import REGISTRY
from pydantic import SecretStr
from slack_sdk.signature import SignatureVerifier

from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.notification import NotificationRequest
from kubernaut.notification.answering.app import SLACK_PATH, answers_app, guards
from kubernaut.notification.answering.buttons import Buttons
from kubernaut.notification.answering.clerk import Clerk
from kubernaut.notification.answering.keys import Keys
from kubernaut.notification.answering.offers import PATH
from kubernaut.notification.answering.settings import AnswerSettings
from kubernaut.notification.answering.ticket import Purpose
from kubernaut.notification.channels.slack_api import SlackApi
from kubernaut.notification.settings import SlackSettings
from kubernaut.notification.surroundings import QUESTION
from kubernaut.service import serving
from tests.notification import receivers
from tests.notification.pieces import spec
from tests.notification.receivers import PLANTED
from tests.questions import CASE, NAME, allow, ask

ONCALL = "payments-oncall"
ADA, KIM, LEE, MAX = "ada@example.com", "kim@example.com", "lee@example.com", "max@example.com"
MESSAGE = "ask-notification"
SIGNING = "signing-secret"
PEOPLE = (
    {"user": ADA, "email": ADA, "slack": "U0ADA", "groups": [ONCALL]},
    {"user": KIM, "email": KIM, "slack": "U0KIM", "groups": [ONCALL]},
    {"user": LEE, "email": LEE, "slack": "U0LEE"},
    {"user": MAX, "email": MAX, "groups": [ONCALL]},
)
"""Max has no role in the cluster."""
FORM = re.compile(r'name="form" value="([^"]+)"')


def signed(payload, secret=SIGNING, ago=0):
    """Return a body as Slack sends an interaction, and its headers."""
    body = urlencode({"payload": orjson.dumps(payload).decode()})
    when = str(int(time.time()) - ago)
    sign = SignatureVerifier(secret).generate_signature(timestamp=when, body=body)
    return body, {"X-Slack-Request-Timestamp": when, "X-Slack-Signature": sign, "Content-Type": "application/x-www-form-urlencoded"}


def press(action, ticket, user="U0ADA"):
    """Return what Slack reports when somebody presses a button."""
    return {
        "type": "block_actions",
        "user": {"id": user},
        "channel": {"id": "C024BE91L"},
        "trigger_id": "t.1",
        "actions": [{"action_id": action, "value": ticket}],
    }


def submit(view, reason, user="U0ADA"):
    """Return what Slack reports when somebody sends a form that was opened."""
    state = {"values": {"reason": {"reason": {"value": reason}}}}
    return {"type": "view_submission", "user": {"id": user}, "view": {**view, "state": state}}


@dataclass
class Page:
    """An answer of the service to a browser."""

    status: int
    text: str
    headers: Any

    @property
    def form(self):
        found = FORM.search(self.text)
        return found[1] if found else ""


@dataclass
class Counter:
    """The service with a browser before it, Slack beside it, and a question on the table."""

    world: Any
    clerk: Clerk
    url: str
    http: aiohttp.ClientSession
    slack: receivers.SlackApi

    async def ask(self, **changes):
        """Ask anew, with the message that tells people; return the question."""
        await ask(self.world.client, self.world.system, **changes)
        meta = {"name": MESSAGE, "namespace": self.world.system}
        ref = {"remediationRequestRef": {"name": CASE, "namespace": self.world.system}}
        await self.world.client.create(
            NotificationRequest.card, {"metadata": meta, "spec": spec(type="Approval", metadata={QUESTION: NAME}, **ref)}
        )
        return await self.question()

    async def question(self):
        return AIApprovalRequest.model_validate(await self.world.client.get(AIApprovalRequest.card, NAME, self.world.system))

    async def status(self, **fields):
        """Write into the question's status what others than people write there."""
        await self.world.client.patch(AIApprovalRequest.card, NAME, self.world.system, {"status": fields}, subresource="status")

    async def link(self, reader=f"email {ADA}"):
        return self.clerk.issue(await self.question(), MESSAGE, Purpose.LINK, reader)

    async def button(self):
        return self.clerk.issue(await self.question(), MESSAGE, Purpose.BUTTON)

    async def send(self, method, link, about="", **sent):
        asked = {"m": about or f"{self.world.system}/{MESSAGE}", "t": link}
        async with self.http.request(method, f"{self.url}{PATH}", params=asked, **sent) as reply:
            return Page(reply.status, await reply.text(), reply.headers)

    async def open(self, link):
        return await self.send("GET", link)

    async def answer(self, link, decision="Approved", reason="", form=None):
        """Answer on the page of a link, as a browser does."""
        form = (await self.open(link)).form if form is None else form
        return await self.send("POST", link, data={"form": form, "decision": decision, "reason": reason})

    async def pressed(self, payload, **changes):
        """Report to the service what somebody did in Slack; return its status."""
        body, headers = signed(payload, **changes)
        async with self.http.post(f"{self.url}{SLACK_PATH}", data=body, headers=headers) as reply:
            return reply.status

    async def recorded(self):
        """Return why answers were refused, as it stands in the message's journal."""
        found = await self.world.client.get(NotificationRequest.card, MESSAGE, self.world.system)
        pending = ((found.get("status") or {}).get("journal") or {}).get("pending") or ()
        return [(entry["data"]["reason"], entry["data"]["who"]) for entry in pending if entry["reason"] == "AnswerRefused"]


def counted(channel, result):
    """Return how many answers of a channel came to a result."""
    return REGISTRY.get_sample_value("kubernaut_answers_total", {"channel": channel, "result": result}) or 0.0


@asynccontextmanager
async def counter(world, folder, people=PEOPLE):
    """Open the counter; the people of PEOPLE but Max have a role that lets them answer."""
    await allow(world.client, world.system, "approver", ["get", "patch"], (ADA, KIM, LEE))
    settings = AnswerSettings.model_validate({"key_file": folder / "answers.key", "people": people})
    keys, api = Keys(settings.key_file), receivers.SlackApi()
    keys.prepare()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)))
        vendor = await stack.enter_async_context(api.serving("/api/"))
        slack = SlackSettings.model_validate({"token": SecretStr(PLANTED), "signing_secret": SecretStr(SIGNING), "api_url": vendor})
        clerk = Clerk(world.manager().cluster, settings, keys)
        app = answers_app(clerk, Buttons(clerk, SlackApi(http, slack), slack), {}, guards(settings))
        url = await stack.enter_async_context(serving(app, host="127.0.0.1", port=0))
        yield Counter(world, clerk, url, http, api)
