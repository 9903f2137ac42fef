"""A model that says what a test has it say, behind the real protocol: an OpenAI-compatible server on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from kubernaut.analysis.investigators.holmesgpt import blind

Body = dict[str, Any]
Says = str | int | Body
"""A text, an HTTP status, or a message with tool calls."""
Script = Callable[[Body], Awaitable[Says]]
TOKENS = {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000}


@dataclass
class Model:
    """The model, and what it was sent."""

    url: str = ""
    script: Script | None = None
    bodies: list[Body] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    blind: list[Body] = field(default_factory=list)
    """The questions for a second look, which are answered by `fits`."""
    fits: tuple[str, ...] = ()
    """The workflows that the state alone calls for; all that are offered, where none are named."""

    def plays(self, *says: Says) -> None:
        """Say these in turn, the last one for ever; start counting anew."""
        left = list(says)

        async def script(_: Body) -> Says:
            return left.pop(0) if len(left) > 1 else left[0]

        self.does(script)

    def does(self, script: Script) -> None:
        """Follow a script; start counting anew."""
        self.script, self.bodies, self.keys, self.blind = script, [], [], []

    @property
    def heard(self) -> str:
        """All that it was ever sent, as text."""
        return "\n".join(text for body in [*self.bodies, *self.blind] for text in texts(body))

    async def serve(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.keys.append(request.headers.get("authorization", ""))
        said = self._look(body) if body["messages"][0]["content"] == blind.SYSTEM else await self._say(body)
        if isinstance(said, int):
            return web.json_response({"error": {"message": "not now"}}, status=said)
        message = {"role": "assistant", "content": said} if isinstance(said, str) else said
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response(
            {"id": "c", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice], "usage": TOKENS}
        )

    async def _say(self, body: Body) -> Says:
        self.bodies.append(body)
        assert self.script is not None
        return await self.script(body)

    def _look(self, body: Body) -> str:
        self.blind.append(body)
        offered = [each["id"] for each in json.loads(body["messages"][1]["content"])["workflows"]]
        return json.dumps({"fits": self.fits or offered})


def texts(body: Body) -> list[str]:
    """Return the texts of a conversation, but for the model's own."""
    contents = [message.get("content") or "" for message in body["messages"] if message["role"] != "assistant"]
    return [each if isinstance(each, str) else " ".join(part.get("text", "") for part in each) for each in contents]


def using(tool: str, **arguments: Any) -> Body:
    """Return a message that calls a tool."""
    call = {"id": f"call-{tool}", "type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


async def silent(_: Body) -> Says:
    """Never answer."""
    await asyncio.Event().wait()
    return ""


@asynccontextmanager
async def scripted() -> AsyncIterator[Model]:
    """Serve a model while the context lasts."""
    model = Model()
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", model.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    model.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield model
    finally:
        await runner.cleanup()
