"""The way from HolmesGPT to the model: a loopback OpenAI-compatible endpoint through which every word for the model passes.

Here the budgets hold, call by call; secrets and planted instructions are taken out of what tools have read; the key of the real endpoint is
put in, which HolmesGPT's process never sees; failures are retried. A pass is valid for one investigation, and worth nothing after it.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from kubernaut.analysis.investigators.base import Contact
from kubernaut.analysis.investigators.holmesgpt import metrics
from kubernaut.analysis.investigators.holmesgpt.book import Book, Unwritable
from kubernaut.analysis.investigators.holmesgpt.breaker import Breaker
from kubernaut.analysis.investigators.holmesgpt.ledger import Account
from kubernaut.analysis.investigators.holmesgpt.plants import Sieve
from kubernaut.analysis.investigators.holmesgpt.screening import Screened, hide, screen
from kubernaut.analysis.investigators.holmesgpt.settings import HolmesGPTSettings
from kubernaut.kube.clock import Clock
from kubernaut.service import serving

BODY_LIMIT: Final = 4 * 1024 * 1024
PLANTED_LIMIT: Final = 20
CHARS_A_TOKEN: Final = 4
"""A guess, for models that do not say what they counted."""
_AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_PATH: Final = "/v1/chat/completions"


class Refused(Exception):  # noqa: N818  (a plain statement)
    """No call is made: the budget is spent, or the model is left alone for a while."""


class Failed(Exception):  # noqa: N818  (a plain statement)
    """The model did not answer; `again` tells whether it may later."""

    def __init__(self, message: str, *, again: bool) -> None:
        super().__init__(message[:300])
        self.again = again


@dataclass(slots=True)
class Pass:
    """Lets one investigation ask the model."""

    account: Account
    sieve: Sieve
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    planted: list[str] = field(default_factory=list)
    """What was withheld from the model."""
    refused: str = ""
    """Why a call was not made, or did not succeed."""
    contact: Contact = field(default_factory=Contact)
    """How the model could be reached so far."""
    calls: set[asyncio.Task[Any]] = field(default_factory=set)
    cleaned: dict[str, str] = field(default_factory=dict)
    """Texts as the model may see them, by their hash; bounded by the calls that one investigation may make."""

    def note(self, planted: tuple[str, ...]) -> None:
        """Keep what was withheld, each once, as far as people would read it."""
        new = [each for each in dict.fromkeys(planted) if each not in self.planted]
        self.planted += new[: PLANTED_LIMIT - len(self.planted)]

    def failed(self, why: str, now: datetime, pause: timedelta | None) -> None:
        """Keep why a try failed, and when the next one is, if there is one."""
        tries, waited = (self.contact.retries + 1, self.contact.waited + pause) if pause else (self.contact.retries, self.contact.waited)
        next_at = now + pause if pause else None
        self.contact = Contact(last_error=why, last_at=now, next_at=next_at, retries=tries, waited=waited)


class Gate:
    """Serves the model to HolmesGPT, on conditions."""

    def __init__(self, settings: HolmesGPTSettings, clock: Clock, book: Book, breaker: Breaker) -> None:
        self._settings = settings
        self._clock = clock
        self._book = book
        self._breaker = breaker
        self._passes: dict[str, Pass] = {}
        self._http: aiohttp.ClientSession | None = None
        self.url = ""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[str]:
        """Serve while the context lasts; gives the base URL."""
        app = FastAPI(title="HolmesGPT's way to the model", openapi_url=None, docs_url=None, redoc_url=None)
        app.add_route(_PATH, self._serve, methods=["POST"])
        timeout = aiohttp.ClientTimeout(total=self._settings.call_timeout.total_seconds())
        async with AsyncExitStack() as stack:
            self._http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
            self.url = await stack.enter_async_context(serving(app, host="127.0.0.1", port=0)) + "/v1"
            yield self.url

    @contextmanager
    def passing(self, account: Account, sieve: Sieve) -> Iterator[Pass]:
        """Give a pass for one investigation; its calls end with it."""
        made = Pass(account, sieve)
        self._passes[made.key] = made
        try:
            yield made
        finally:
            del self._passes[made.key]
            for call in made.calls:
                call.cancel()

    async def say(self, found: Pass, system: str, text: str, *, tokens: int) -> str:
        """Ask the model one thing by itself; raise Refused or Failed."""
        messages = [{"role": "system", "content": system}, {"role": "user", "content": hide(text)}]
        body = {"model": self._settings.model, "messages": messages, "max_tokens": tokens, "temperature": 0.0, "stream": False}
        answer = await self._ask(found, body)
        return str(answer["choices"][0]["message"].get("content") or "")

    async def _serve(self, request: Request) -> Response:
        """Answer one call of HolmesGPT."""
        found = self._passes.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if found is None:
            return _error(HTTPStatus.UNAUTHORIZED, "this investigation is over")
        raw = await request.body()
        if len(raw) > BODY_LIMIT:
            return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the conversation is too long")
        task = asyncio.create_task(self._cleaned(found, raw))
        found.calls.add(task)
        task.add_done_callback(found.calls.discard)
        try:
            return _answer(await task)
        except Refused as why:
            found.refused = str(why)
            return _error(HTTPStatus.BAD_REQUEST, str(why))
        except Failed as why:
            found.refused = str(why)
            return _error(HTTPStatus.BAD_REQUEST, str(why))
        except asyncio.CancelledError:
            return _error(HTTPStatus.GONE, "this investigation is over")

    async def _cleaned(self, found: Pass, raw: bytes) -> Any:
        return await self._ask(found, await asyncio.to_thread(self._clean, found, orjson.loads(raw)))

    def _clean(self, found: Pass, body: Any) -> Any:
        """Return a request as the model may see it."""
        messages = [self._message(found, message) for message in body.get("messages", ())]
        return {**body, "messages": messages, "model": self._settings.model, "stream": False}

    def _message(self, found: Pass, message: Any) -> Any:
        content = message.get("content")
        if isinstance(content, list):
            return {**message, "content": [self._part(found, message, part) for part in content]}
        return {**message, "content": self._text(found, message, content)} if isinstance(content, str) else message

    def _part(self, found: Pass, message: Any, part: Any) -> Any:
        return {**part, "text": self._text(found, message, part["text"])} if isinstance(part.get("text"), str) else part

    def _text(self, found: Pass, message: Any, text: str) -> str:
        """Take out secrets; and instructions, where a tool has read the text. A conversation comes again with each call: it is known."""
        tool = message.get("role") == "tool"
        key = f"{tool} {hashlib.sha256(text.encode(errors='replace')).hexdigest()}"
        if key not in found.cleaned:
            screened = screen(text, found.sieve) if tool else Screened(hide(text))
            found.note(screened.planted)
            found.cleaned[key] = screened.text
        return found.cleaned[key]

    async def _ask(self, found: Pass, body: Any) -> Any:
        """Ask the model, again after each failure that may pass, up the ladder; every try is booked."""
        pauses = iter(self._settings.retries.pauses())
        while True:
            now = self._clock.now()
            if rest := self._breaker.refusal(now):
                raise Failed(rest, again=False)
            await self._booked(found, now)
            try:
                return await self._try(found, body)
            except Failed as fault:
                pause = next(pauses, None) if fault.again else None
                found.failed(str(fault), now, pause)
                if pause is None:
                    raise
                await asyncio.sleep(pause.total_seconds())

    async def _booked(self, found: Pass, now: datetime) -> None:
        """Put a call on record before it is made; raise Refused."""
        try:
            why = await self._book.call(found.account, now)
        except Unwritable as fault:
            why = str(fault)
        if why:
            raise Refused(why)

    async def _try(self, found: Pass, body: Any) -> Any:
        self._breaker.began()
        well = False
        try:
            answer = await self._call(body)
            well = True
        finally:
            self._breaker.ended(self._clock.now(), well=well)
            metrics.CALLS.labels("answered" if well else "failed").inc()
        asked, answered = _usage(body, answer)
        await self._book.tokens(found.account, self._clock.now(), asked, answered)
        metrics.TOKENS.labels("asked").inc(asked)
        metrics.TOKENS.labels("answered").inc(answered)
        return answer

    async def _call(self, body: Any) -> Any:
        """Make one call; raise Failed."""
        assert self._http is not None  # noqa: S101  (a pass exists only while the gate is open)
        headers = {"content-type": "application/json", **self._key()}
        url = self._settings.endpoint.rstrip("/") + "/chat/completions"
        try:
            async with self._http.post(url, data=orjson.dumps(body), headers=headers, allow_redirects=False) as reply:
                if reply.status != HTTPStatus.OK:
                    raise Failed(f"the model's endpoint answered {reply.status}", again=reply.status in _AGAIN)
                return _completion(await _read(reply.content))
        except TimeoutError as fault:
            raise Failed(f"the model did not answer within {self._settings.call_timeout.total_seconds():g} s", again=True) from fault
        except aiohttp.ClientError as fault:
            raise Failed(f"the model's endpoint cannot be reached: {type(fault).__name__}", again=True) from fault

    def _key(self) -> dict[str, str]:
        if not self._settings.api_key_file:
            return {}
        try:
            key = Path(self._settings.api_key_file).read_text(encoding="utf-8").strip()
        except OSError as fault:
            raise Failed(f"the key of the model's endpoint cannot be read: {fault.strerror}", again=False) from fault
        return {"authorization": f"Bearer {key}"}


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Return a body; raise Failed for one that is too long."""
    parts = bytearray()
    async for part in content.iter_any():
        parts += part
        if len(parts) > BODY_LIMIT:
            raise Failed("the model's endpoint answered more than anybody reads", again=False)
    return bytes(parts)


def _completion(raw: bytes) -> Any:
    """Read a completion; raise Failed for what is none."""
    try:
        answer = orjson.loads(raw)
        _ = answer["choices"][0]["message"]
    except (ValueError, LookupError, TypeError) as fault:
        raise Failed("the model's endpoint answered something that is no completion", again=True) from fault
    return answer


def _usage(body: Any, answer: Any) -> tuple[int, int]:
    """Return the tokens asked and answered: as the endpoint counted them, else guessed."""
    usage = answer.get("usage") or {}
    asked, answered = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if isinstance(asked, int) and isinstance(answered, int):
        return max(0, asked), max(0, answered)
    return len(orjson.dumps(body)) // CHARS_A_TOKEN, len(orjson.dumps(answer)) // CHARS_A_TOKEN


def _answer(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


def _error(status: HTTPStatus, message: str) -> Response:
    return Response(orjson.dumps({"error": {"message": message, "type": "invalid_request_error"}}), status, media_type="application/json")
