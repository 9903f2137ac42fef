"""The way from a process to the API server, in process: latency, faults, and the death of either end; the server's code is the real one."""

import asyncio
import hashlib
import random
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import copy_context
from dataclasses import replace
from typing import Final
from urllib.parse import unquote, urlencode

import orjson

from kubernaut.kube.errors import ApiError
from kubernaut.kube.transport import REQUEST_SECONDS, Request
from kubernaut.localcluster.app import App
from kubernaut.localcluster.exchange import Asked
from kubernaut.localcluster.negotiation import Answer
from kubernaut.localcluster.store import Store
from tests.simulation.chaos import WRITES, Chaos, Fault
from tests.simulation.loop import OWNER, Life

REFUSED: Final = 300
TRACED: Final = 40
LATE_SECONDS: Final = 8.0
GONE: Final = orjson.dumps(
    {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}}
)


class Server:
    """The API server as all wires reach it; keeps the trace of what it did."""

    def __init__(self, face: App, chaos: Chaos, store: Store) -> None:
        self.face = face
        """The revision at which the world was furnished: no cache is older."""
        self._store = store
        self.chaos = chaos
        self.latency = random.Random(f"latency {chaos.seed}")
        self.writes: deque[str] = deque(maxlen=TRACED)
        self.calls = 0
        self.actor = ""
        """Who is being answered."""
        self._digest = hashlib.sha256()

    @property
    def trace(self) -> str:
        """A hash of everything that was asked and answered so far."""
        return self._digest.hexdigest()

    async def answer(self, request: Request, token: str, who: str) -> Answer:
        """Let the server answer, now."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers |= {"authorization": f"Bearer {token}", "user-agent": "kubernaut"}

        async def read() -> bytes:
            return request.body or b""

        groups = tuple(request.headers.getall("Impersonate-Group", ()))
        asked = Asked(request.method, unquote(request.path), urlencode(request.query), headers, read, groups)
        self.actor = who
        answer = await self.face.answer(asked)
        self._trace(request, answer, who)
        return answer

    def _trace(self, request: Request, answer: Answer, who: str) -> None:
        self.calls += 1
        line = f"{self.chaos.now():10.3f} {who} {request.method} {request.path} -> {answer.status}"
        self._digest.update(line.encode() + (request.body or b"") + answer.body)
        if request.method in WRITES and not request.path.endswith("/events"):
            body = (request.body or b"").decode()
            self.writes.append(f"{line} {body[:300]}")


class Wire:
    """One process's transport. Implements the kernel's `Transport`."""

    def __init__(self, server: Server, life: Life | None, token: str, *, faulty: bool = True) -> None:
        self._server = server
        self._life = life
        self._token = token
        self._faulty = faulty
        self._who = life.name if life else "hands"
        self.cut = False
        """Nothing gets through any more."""

    async def send(self, request: Request) -> bytes:
        """Send a request and return the answer's body, or what a fault makes of it."""
        where = f"{self._who} {request.method} {request.path}"
        await asyncio.sleep(self._latency())
        if self.cut:
            raise ApiError(0, "Unreachable", where)
        fault = self._fault(request, where)
        await self._before(fault, request, where)
        if request.path.endswith("/events") and request.method == "POST":
            return request.body or b""  # nobody decides by our own Events, and they are half of all writes: taken, and forgotten
        answer = await self._server.answer(request, self._token, self._who)
        await self._after(fault, where)
        if answer.status >= REFUSED:
            raise ApiError.of(answer.status, answer.body)
        return answer.body

    async def lines(self, request: Request, *, idle: float) -> AsyncGenerator[bytes, None]:
        """Send a watch and yield its events, as late and as often as faults have it."""
        where = f"{self._who} watch {request.path}"
        await asyncio.sleep(self._latency())
        if self.cut:
            raise ApiError(0, "Unreachable", where)
        # a server may send bookmarks, and need not: ours does not, for they are half of all events where most kinds are quiet
        bare = replace(request, query={name: value for name, value in request.query.items() if name != "allowWatchBookmarks"})
        answer = await self._server.answer(bare, self._token, self._who)
        if answer.status >= REFUSED or answer.stream is None:
            raise ApiError.of(answer.status, answer.body)
        stream = answer.stream
        assert isinstance(stream, AsyncGenerator)
        async with aclosing(stream):
            async for chunk in stream:
                await asyncio.sleep(self._latency())
                for line in chunk.splitlines():
                    for told in await self._told(line, where):
                        yield told

    async def close(self) -> None:
        """There is nothing to close."""

    def _latency(self) -> float:
        """Return the seconds of one way: mostly a few milliseconds."""
        return self._server.latency.random() * 0.006

    def _fault(self, request: Request, where: str) -> Fault | None:
        if not self._faulty:
            return None
        guarded = request.method in {"PUT", "PATCH"} and b'"resourceVersion":"' in (request.body or b"")
        return self._server.chaos.call(request.method, where, guarded=guarded)

    async def _before(self, fault: Fault | None, request: Request, where: str) -> None:
        match fault:
            case Fault.CONFLICT:
                raise ApiError(409, "Conflict", "the object has been modified; please apply your changes to the latest version")
            case Fault.TOO_MANY:
                raise ApiError(429, "TooManyRequests", "the server has received too many requests")
            case Fault.INTERNAL:
                raise ApiError(500, "InternalError", "etcdserver: request timed out")
            case Fault.LOST_BEFORE:
                await self._time_out(where)
            case Fault.LATE:
                self._effect_later(request)
                await self._time_out(where)
            case Fault.KILL_BEFORE:
                await self._die()
            case _:
                pass

    async def _after(self, fault: Fault | None, where: str) -> None:
        match fault:
            case Fault.LOST_AFTER:
                await self._time_out(where)
            case Fault.RESET:
                raise ApiError(0, "Unreachable", f"{where}: connection reset")
            case Fault.KILL_AFTER:
                await self._die()
            case _:
                await asyncio.sleep(self._latency())

    async def _time_out(self, where: str) -> None:
        await asyncio.sleep(REQUEST_SECONDS)
        raise ApiError(0, "Timeout", f"{where}: no answer in time")

    def _effect_later(self, request: Request) -> None:
        """Let the server carry a request out when its sender has given up, or is dead."""
        delay = REQUEST_SECONDS + self._server.latency.random() * LATE_SECONDS
        context = copy_context()
        context.run(OWNER.set, None)
        loop = asyncio.get_running_loop()
        work = self._server.answer
        loop.call_later(delay, lambda: loop.create_task(work(request, self._token, f"{self._who} (late)")), context=context)

    async def _die(self) -> None:
        """End the life of who calls; nothing of it runs any more."""
        if self._life is not None:
            self._life.alive = False
        await asyncio.get_running_loop().create_future()

    async def _told(self, line: bytes, where: str) -> tuple[bytes, ...]:
        """Return an event as it arrives: once, mostly."""
        fault = self._server.chaos.event(where) if self._faulty else None
        if self.cut:
            raise ApiError(0, "Unreachable", where)
        match fault:
            case Fault.WATCH_CUT:
                raise ApiError(0, "Unreachable", f"{where}: cut")
            case Fault.WATCH_GONE:
                return (GONE,)
            case Fault.WATCH_TWICE:
                return line, line
            case Fault.WATCH_LATE:
                await asyncio.sleep(self._server.latency.random() ** 3 * 60)
                return (line,)
            case _:
                return (line,)
