"""The other sides of the channels over HTTP: servers on loopback that check what they are sent as the vendors do, and answer as told."""

import json
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from slack_sdk.signature import Clock, SignatureVerifier

from tests.notification import forms
from tests.notification.pieces import START

PLANTED = "planted-7f3a9c"


class Receiver:
    """Keeps what it is sent and answers as told."""

    def __init__(self, status=200, text="", headers=None):
        self.got = []
        self.answer = {"status": status, "text": text, "headers": headers or {}}

    async def __call__(self, request):
        self.got.append((request.path, dict(request.headers), await request.read()))
        return web.Response(**self.answer)

    @asynccontextmanager
    async def serving(self, path="/hooks/kubernaut"):
        runner = web.ServerRunner(web.Server(self._plain), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}{path}"
        finally:
            await runner.cleanup()

    async def _plain(self, request):
        return await self(request)


@dataclass
class Vendor(Receiver):
    """A vendor's server: it takes what has the right form, and refuses the rest as the vendor does. `fault` is its answer while it is ill."""

    fault: dict[str, Any] | None = None
    told: list[Any] = field(default_factory=list)
    """What was taken, decoded."""
    requests: int = 0

    def __post_init__(self):
        super().__init__()

    async def __call__(self, request):
        self.requests += 1
        body = await request.read()
        if self.fault is not None:
            return web.Response(**self.fault)
        try:
            return self.take(request, body)
        except (AssertionError, ValueError, KeyError) as wrong:
            return web.Response(status=400, text=f"invalid: {wrong}"[:2000])

    def take(self, request, body):
        raise NotImplementedError

    def texts(self):
        """Return what was taken, as text in which all that people would read stands."""
        return [json.dumps(each, ensure_ascii=False) for each in self.told]


class SlackHook(Vendor):
    """An incoming webhook."""

    def take(self, request, body):
        assert request.path == f"/services/{PLANTED}"
        self.told.append(forms.slack(body))
        return web.Response(text="ok")


class SlackApi(Vendor):
    """The Web API: chat.postMessage, chat.update, chat.postEphemeral and views.open; `refused` is what methods answer while they are ill."""

    refused: Mapping[str, str] = {}

    def take(self, request, body):
        method = request.path.rpartition("/")[2]
        if request.headers["Authorization"] != f"Bearer {PLANTED}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        if error := self.refused.get(method):
            return web.json_response({"ok": False, "error": error})
        return self._ask(method, body) if method in {"chat.postEphemeral", "views.open"} else self._post(method, body)

    def _ask(self, method, body):
        """Take what one person alone is shown."""
        self.told.append({"method": method} | (forms.slack_view(body) if method == "views.open" else forms.slack_aside(body)))
        return web.json_response({"ok": True})

    def _post(self, method, body):
        message = forms.slack(body)
        message["method"] = method
        known = {f"{number}.0" for number, each in enumerate(self.told, 1) if each["method"] == "chat.postMessage"}
        if message["method"] == "chat.update" and message["ts"] not in known:
            return web.json_response({"ok": False, "error": "message_not_found"})
        assert message.get("thread_ts", "1.0") in {*known, "1.0"}
        self.told.append(message)
        return web.json_response({"ok": True, "channel": "C024BE91L", "ts": message.get("ts", f"{len(self.told)}.0")})


class PagerDutyApi(Vendor):
    """The Events API v2, with the alerts that it keeps by their keys."""

    def __post_init__(self):
        super().__post_init__()
        self.alerts: dict[str, str] = {}

    def take(self, request, body):
        event = forms.pagerduty(body)
        assert request.path == "/v2/enqueue"
        assert event["routing_key"] == PLANTED
        states = {"trigger": "triggered", "acknowledge": "acknowledged", "resolve": "resolved"}
        self.alerts[event["dedup_key"]] = states[event["event_action"]]
        self.told.append({key: value for key, value in event.items() if key != "routing_key"})
        return web.json_response({"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}, status=202)


class TeamsWorkflow(Vendor):
    """A workflow that posts cards."""

    def take(self, request, body):
        assert request.query["sig"] == PLANTED
        self.told.append(forms.teams(body))
        return web.Response(status=202)


class _SentThen(Clock):
    def now(self):
        return START.timestamp()


class SignedHook(Vendor):
    """Somebody's receiver, which takes nothing that is not signed, and nothing old."""

    def take(self, request, body):
        signed = {"x-slack-signature": request.headers["X-Kubernaut-Signature"]}
        signed |= {"x-slack-request-timestamp": request.headers["X-Kubernaut-Timestamp"]}
        assert SignatureVerifier(PLANTED, _SentThen()).is_valid_request(body, signed)
        assert request.headers["X-Kubernaut-Delivery"]
        self.told.append(json.loads(body))
        return web.Response(status=204)
