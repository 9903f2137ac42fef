"""A small API server in memory, with faults to order, and a client for it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from kubernaut.kube.client import Client

asyncio.set_event_loop(None)  # else pytest-asyncio, asking for a loop to restore, makes Python 3.11 create one that nobody closes

Obj = dict[str, Any]
REASONS = {404: "NotFound", 409: "Conflict", 410: "Expired", 422: "Invalid", 500: "InternalError", 503: "ServiceUnavailable"}


def status(code: int, reason: str = "") -> Obj:
    reason = reason or REASONS.get(code, "Failure")
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason, "reason": reason, "code": code}


class RefusedError(Exception):
    def __init__(self, code: int, reason: str = "") -> None:
        self.body = status(code, reason)
        self.code = code


@dataclass
class Fault:
    """What happens instead to the next requests that a test describes: a status, or 0 for a reset connection."""

    matches: Callable[[web.Request], bool]
    code: int
    times: int
    after: bool = False
    """Whether the request is carried out first: its answer gets lost."""


@dataclass(eq=False)
class Watcher:
    collection: tuple[str, str]
    namespace: str
    queue: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)


def merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


class ApiServer:
    """Lists, watches and stores objects of any kind, the way kube-apiserver does it."""

    def __init__(self) -> None:
        self.url = ""
        self.revision = 100
        self.objects: dict[tuple[str, str], dict[tuple[str, str], Obj]] = {}
        self.history: list[tuple[int, tuple[str, str], str, Obj]] = []
        self.compacted = 0
        self.expiry_in_stream = True
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.watchers: list[Watcher] = []
        self.logs = ""
        self._tick = asyncio.Event()

    # what tests do to it

    def refuse(self, method: str, needle: str, code: int, times: int = 1, *, agent: str = "", after: bool = False) -> None:
        def matches(request: web.Request) -> bool:
            return request.method == method and needle in request.path_qs and request.headers["User-Agent"].startswith(agent)

        self.faults.append(Fault(matches, code, times, after))

    def interrupt(self, how: str) -> None:
        """Break all watches: `close` them, or `reset` their connections."""
        for watcher in self.watchers:
            watcher.queue.put_nowait(how)

    def bookmark(self) -> None:
        self.revision += 10
        for watcher in self.watchers:
            watcher.queue.put_nowait(("BOOKMARK", {"metadata": {"resourceVersion": str(self.revision)}}))

    def compact(self) -> None:
        self.compacted = self.revision

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(60):
            while not holds():
                self._tick.clear()
                await self._tick.wait()

    def count(self, method: str, needle: str) -> int:
        return sum(1 for verb, path in self.requests if verb == method and needle in path)

    def put(self, collection: tuple[str, str], obj: Obj) -> Obj:
        """Create or replace an object as someone else would."""
        metadata = {"namespace": "default", **obj["metadata"]}
        key = (metadata["namespace"], metadata["name"])
        known = self.objects.setdefault(collection, {}).get(key)
        metadata["uid"] = metadata.get("uid") or (known or {"metadata": {"uid": f"uid-{self.revision}"}})["metadata"]["uid"]
        metadata["generation"] = metadata.get("generation") or 1
        metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        return self._store(collection, {**obj, "metadata": metadata}, "MODIFIED" if known else "ADDED")

    def remove(self, collection: tuple[str, str], name: str, namespace: str = "default") -> None:
        self._store(collection, self.objects[collection].pop((namespace, name)), "DELETED")

    def get(self, collection: tuple[str, str], name: str, namespace: str = "default") -> Obj:
        found = self.objects.get(collection, {}).get((namespace, name))
        if found is None:
            raise RefusedError(404)
        return found

    def _store(self, collection: tuple[str, str], obj: Obj, type_: str) -> Obj:
        self.revision += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}}
        if type_ != "DELETED":
            self.objects.setdefault(collection, {})[obj["metadata"].get("namespace", ""), obj["metadata"]["name"]] = obj
        self.history.append((self.revision, collection, type_, obj))
        for watcher in self.watchers:
            if watcher.collection == collection and watcher.namespace in {"", obj["metadata"].get("namespace", "")}:
                watcher.queue.put_nowait((type_, obj))
        self._tick.set()
        return obj

    # HTTP

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        self.headers.append(dict(request.headers))
        fault = next((fault for fault in self.faults if fault.times > 0 and fault.matches(request)), None)
        try:
            if fault is not None and not fault.after:
                return self._fail(request, fault)
            response = await self._route(request)
            return response if fault is None else self._fail(request, fault)
        except RefusedError as refusal:
            return web.json_response(refusal.body, status=refusal.code)
        finally:
            self._tick.set()

    def _fail(self, request: web.Request, fault: Fault) -> web.Response:
        fault.times -= 1
        if fault.code == 0 and request.transport is not None:
            request.transport.abort()
        raise RefusedError(fault.code or 500)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        group, rest = (parts[1], parts[3:]) if parts[0] == "apis" else ("", parts[2:])
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        collection, name, sub = (group, rest[0]), *([*rest[1:], "", ""][:2])
        if sub == "log":
            return web.Response(text=self.logs)
        body = json.loads(await request.read() or b"null")
        if not name and request.method == "GET":
            return await self._list(request, collection, namespace)
        if not name:
            return web.json_response(self._create(collection, namespace, body), status=201)
        return web.json_response(self._one(request.method, collection, namespace, name, sub, body))

    async def _list(self, request: web.Request, collection: tuple[str, str], namespace: str) -> web.StreamResponse:
        if request.query.get("watch") == "true":
            return await self._watch(request, collection, namespace)
        items = [obj for key, obj in self.objects.get(collection, {}).items() if namespace in {"", key[0]}]
        metadata = {"resourceVersion": str(self.revision)}
        start, limit = int(request.query.get("continue", "0")), int(request.query.get("limit", "500"))
        if start + limit < len(items):
            metadata["continue"] = str(start + limit)
        bare = [{name: value for name, value in obj.items() if name not in {"kind", "apiVersion"}} for obj in items[start : start + limit]]
        return web.json_response({"kind": "List", "metadata": metadata, "items": bare})

    def _create(self, collection: tuple[str, str], namespace: str, body: Obj) -> Obj:
        metadata = {**body["metadata"], "namespace": namespace}
        if (namespace, metadata["name"]) in self.objects.get(collection, {}):
            raise RefusedError(409, "AlreadyExists")
        return self.put(collection, {**body, "metadata": metadata})

    def _one(self, method: str, collection: tuple[str, str], namespace: str, name: str, sub: str, body: Any) -> Obj:
        known = self.get(collection, name, namespace)
        if method == "GET":
            return known
        if method == "DELETE":
            return self._delete(collection, known, body or {})
        wanted = body if method == "PUT" else merged(known, body)
        if (wanted["metadata"].get("resourceVersion") or known["metadata"]["resourceVersion"]) != known["metadata"]["resourceVersion"]:
            raise RefusedError(409)
        new = {**known, "status": wanted.get("status", {})} if sub == "status" else {**wanted, "status": known.get("status", {})}
        if not sub and new.get("spec") != known.get("spec"):
            new["metadata"] = {**new["metadata"], "generation": known["metadata"]["generation"] + 1}
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            del self.objects[collection][namespace, name]
            return self._store(collection, new, "DELETED")
        return known if new == known else self._store(collection, new, "MODIFIED")

    def _delete(self, collection: tuple[str, str], known: Obj, options: Obj) -> Obj:
        metadata = known["metadata"]
        if (options.get("preconditions") or {}).get("uid", metadata["uid"]) != metadata["uid"]:
            raise RefusedError(409)
        if metadata.get("finalizers"):
            metadata = {"deletionTimestamp": "2026-01-01T01:00:00Z", **metadata}
            return self._store(collection, {**known, "metadata": metadata}, "MODIFIED")
        self.remove(collection, metadata["name"], metadata["namespace"])
        return {"kind": "Status", "status": "Success"}

    async def _watch(self, request: web.Request, collection: tuple[str, str], namespace: str) -> web.StreamResponse:
        since = int(request.query["resourceVersion"])
        if since < self.compacted and not self.expiry_in_stream:
            raise RefusedError(410)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        watcher = Watcher(collection, namespace)
        if since < self.compacted:
            watcher.queue.put_nowait(("ERROR", status(410)))
            watcher.queue.put_nowait("close")
        for revision, where, type_, obj in self.history:
            if revision > since >= self.compacted and where == collection and namespace in {"", obj["metadata"].get("namespace", "")}:
                watcher.queue.put_nowait((type_, obj))
        self.watchers.append(watcher)
        self._tick.set()
        try:
            await self._stream(request, response, watcher)
        finally:
            self.watchers.remove(watcher)
        return response

    async def _stream(self, request: web.Request, response: web.StreamResponse, watcher: Watcher) -> None:
        while (event := await watcher.queue.get()) != "close":
            if event == "reset":
                assert request.transport is not None
                request.transport.abort()
                return
            with suppress(ConnectionError):
                await response.write(json.dumps({"type": event[0], "object": event[1]}).encode() + b"\n")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def pass_(self, **span: float) -> None:
        self.time += timedelta(**span)


@pytest.fixture
async def api() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    application = web.Application(client_max_size=16 * 1024 * 1024)
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.01, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
async def client(api: ApiServer) -> AsyncIterator[Client]:
    made = Client(api.url)
    yield made
    await made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def running() -> AsyncIterator[Callable[[Any], asyncio.Task[Any]]]:
    """Run coroutines beside the test; they are cancelled, and awaited, at its end."""
    tasks: list[asyncio.Task[Any]] = []

    def start(coroutine: Any) -> asyncio.Task[Any]:
        tasks.append(asyncio.ensure_future(coroutine))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
