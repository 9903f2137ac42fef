"""Recorded exchanges of a real API server, made again with the embedded one, and what differs.

A replayer goes through one theme in order: it puts its own values where a request was bound to earlier answers, repeats what a
controller has to bring about, and keeps watches open while the exchanges inside them are made.
"""

import asyncio
import copy
import io
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from tests.localcluster import normalising
from tests.localcluster.normalising import Obj

RECORDINGS = Path(__file__).parent.parent / "recordings" / "apiserver"
_DEFAULTS_OF_AIOHTTP = ("Accept", "Content-Type", "User-Agent")
_INITIAL_EVENTS = "k8s.io/initial-events-end"
_PATIENCE = 20.0
"""Seconds until a poll or the events of a watch are given up."""
_MOMENT = 1.0
_REST = 0.15
"""Seconds without an event after which a watch with all its events is taken to be done."""


def theme(name: str) -> Obj:
    """Read a recording."""
    found: Obj = json.loads((RECORDINGS / f"{name}.json").read_bytes())
    return found


@dataclass(frozen=True)
class Server:
    """Where to send requests; a token for each of the recorded callers that has one."""

    url: str
    tokens: Mapping[str, str]
    words: Mapping[str, str] = field(default_factory=dict)
    """What stands there for words of the recordings, each as long as the other."""

    def there(self, text: bytes) -> bytes:
        """Put its words in the place of the recorded ones."""
        for word, own in self.words.items():
            text = text.replace(word.encode(), own.encode())
        return text

    def back(self, text: bytes) -> bytes:
        """Put the recorded words back."""
        for word, own in self.words.items():
            text = text.replace(own.encode(), word.encode())
        return text


@dataclass
class Reply:
    """A whole answer; `body` is None where it is no JSON."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    body: Any


@dataclass
class Replayer:
    """Makes exchanges and gathers what differs, by exchange id; `expire` makes all older resource versions expire."""

    session: aiohttp.ClientSession
    server: Server
    closed: Server
    """The server that takes no anonymous requests."""
    expire: Callable[[], None]
    hopeless: Collection[str] = ()
    """Exchanges that are known to differ: polled for a moment only."""
    left_out: Collection[str] = ()
    """Exchanges that this server cannot make."""
    differences: dict[str, str] = field(default_factory=dict)
    _answers: dict[str, Obj] = field(default_factory=dict)
    _versions: dict[str, str] = field(default_factory=dict)
    _etag: str = ""

    async def play(self, exchanges: list[Obj]) -> int:
        """Make exchanges in order; return how many, those inside watches included."""
        count = 0
        for entry in exchanges:
            if "control" in entry:
                await self._control(*entry["control"].split())
            else:
                count += 1 + len(entry.get("during", ()))
                if entry["id"] not in self.left_out:
                    await self._exchange(entry)
        return count

    async def _control(self, what: str, argument: str = "") -> None:
        if what == "expire":
            self.expire()
        elif what == "serviceaccount":
            await self._wait_for(f"/api/v1/namespaces/{argument}/serviceaccounts/default")
            await self._wait_for(f"/api/v1/namespaces/{argument}/configmaps/kube-root-ca.crt")
        # `sleep` waits for caches that the embedded server does not have; what controllers bring about is polled for

    async def _wait_for(self, path: str) -> None:
        request = {"method": "GET", "path": path, "query": {}, "headers": {}, "as": "admin"}
        async with asyncio.timeout(_PATIENCE):
            while (await self._send(self.server, request)).status != 200:
                await asyncio.sleep(0.02)

    async def _exchange(self, entry: Obj) -> None:
        if entry.get("watch"):
            await self._watch(entry)
            return
        server = self.closed if entry.get("server") == "anonymous-auth=false" else self.server
        loop = asyncio.get_running_loop()
        end = loop.time() + bool(entry.get("poll")) * (_MOMENT if entry["id"] in self.hopeless else _PATIENCE)
        while True:
            reply = await self._send(server, self._bound(entry))
            found = self._compare(entry, reply)
            if not found or loop.time() > end:
                break
            await asyncio.sleep(0.05)
        self._etag = reply.headers.get("etag", self._etag)
        self._answers[entry["id"]] = {"body": reply.body}
        self._note(entry["id"], found or self._compare_versions(entry["response"].get("body"), reply.body))

    def _note(self, id_: str, found: str) -> None:
        if found:
            self.differences[id_] = f"{id_}: {found}"

    def _bound(self, entry: Obj) -> Obj:
        """Return the request with this run's values in place of the recorded ones."""
        request: Obj = copy.deepcopy(entry["request"])
        for row in entry.get("bindings", ()):
            try:
                value = _at(self._answers[row["from"]], _steps(row["fromPointer"]))
            except (KeyError, IndexError, TypeError):
                continue
            *way, last = _steps(row["pointer"])
            holder = _at(request, way)
            holder[int(last) if isinstance(holder, list) else last] = value
        if "If-None-Match" in request["headers"]:
            request["headers"]["If-None-Match"] = self._etag
        return request

    async def _send(self, server: Server, request: Obj) -> Reply:
        async with self._request(server, request) as response:
            raw = server.back(await response.read())
            return Reply(response.status, _joined(response), raw, _parsed(raw))

    def _request(self, server: Server, request: Obj) -> Any:
        token = server.tokens.get(request["as"])
        headers = {**request["headers"], **({"Authorization": f"Bearer {token}"} if token else {})}
        asked = f"{request['path']}?{urlencode(request['query'])}".rstrip("?")
        url = URL(server.url + server.there(asked.encode()).decode(), encoded=True)
        payload = _payload(request)
        data = None if payload is None else io.BytesIO(server.there(payload))
        return self.session.request(
            request["method"], url, data=data, headers=headers, skip_auto_headers=_DEFAULTS_OF_AIOHTTP, allow_redirects=False
        )

    def _compare(self, entry: Obj, reply: Reply) -> str:
        wanted = entry["response"]
        if reply.status != wanted["status"]:
            return f"status {wanted['status']} expected, got {reply.status}: {reply.raw[:500].decode(errors='replace')}"
        heads = normalising.headers(wanted["headers"]), normalising.headers(reply.headers)
        if heads[0] != heads[1]:
            return f"headers {normalising.difference(*heads)}"
        return _compare_bodies(wanted, reply, managed=bool(entry.get("compareManagedFields")))

    def _compare_versions(self, wanted: Any, found: Any) -> str:
        """Say where one recorded resource version of an object stands for two of ours, or the other way round."""
        asked, got = _version(wanted), _version(found)
        if not asked or not got:
            return ""
        for pair in ((f"recorded {asked}", got), (f"ours {got}", asked)):
            held = self._versions.setdefault(*pair)
            if held != pair[1]:
                return f"resourceVersion: {pair[0]} is {pair[1]} here and was {held} before"
        return ""

    async def _watch(self, entry: Obj) -> None:
        wanted = entry["response"]
        request = self._bound(entry)
        if not entry["during"]:
            # a whole number of seconds, as short as it can be
            request["query"]["timeoutSeconds"] = "1"
        async with self._request(self.server, request) as response:
            if response.status != wanted["status"]:
                self._note(entry["id"], f"status {wanted['status']} expected, got {response.status}: {await response.text()}")
                return
            async with aclosing(_lines(response, self.server)) as lines:
                found = await self._follow(entry, lines)
        self._answers[entry["id"]] = {"events": found}
        asked, got = ([normalising.body(event) for event in events] for events in (_meant(wanted["events"]), found))
        if asked != got:
            kinds = [" ".join(event["type"] for event in events) for events in (asked, got)]
            self._note(entry["id"], f"events [{kinds[0]}] expected, got [{kinds[1]}] {normalising.difference(asked, got)}")

    async def _follow(self, entry: Obj, lines: AsyncIterator[Obj]) -> list[Obj]:
        """Read the events before the first of the exchanges inside a watch, then those after each; at last all up to its end or to rest."""
        found: list[Obj] = []
        after = [id_ for id_, event in zip(entry["response"]["eventsAfter"], entry["response"]["events"], strict=True) if _meant([event])]
        reader = asyncio.create_task(_gather(lines, found))
        try:
            await _reach(found, after.count(None), reader)
            seen = after.count(None)
            for inner in entry["during"]:
                await self._exchange(inner)
                seen += after.count(inner["id"])
                await _reach(found, seen, reader)
            await asyncio.wait({reader}, timeout=_REST if entry["during"] else _PATIENCE)
        finally:
            reader.cancel()
            await asyncio.wait({reader})
        return found


async def _gather(lines: AsyncIterator[Obj], found: list[Obj]) -> None:
    async for event in lines:
        found.extend(_meant([event]))


async def _reach(found: list[Obj], count: int, reader: asyncio.Task[None]) -> None:
    """Wait until as many events are there, or none can come any more."""
    end = asyncio.get_running_loop().time() + _PATIENCE
    while len(found) < count and not reader.done() and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.005)


async def _lines(response: aiohttp.ClientResponse, server: Server) -> AsyncGenerator[Obj, None]:
    while line := await response.content.readline():
        yield json.loads(server.back(line))


def _meant(events: list[Obj]) -> list[Obj]:
    """Leave out bookmarks that may come at any time or not at all."""
    return [row for row in events if row["type"] != "BOOKMARK" or _INITIAL_EVENTS in row["object"]["metadata"].get("annotations", {})]


def _compare_bodies(wanted: Obj, reply: Reply, *, managed: bool) -> str:
    if "body" in wanted:
        cut = normalising.trimmed(wanted.get("bodyTrimmed", ""), reply.body, wanted["body"])
        pair = [normalising.body(side, managed=managed) for side in (copy.deepcopy(wanted["body"]), cut)]
        return "" if pair[0] == pair[1] else f"body {normalising.difference(*pair)}"
    if "bodyHex" in wanted:
        pair = [wanted["bodyHex"], reply.raw.hex()]
    else:
        pair = [normalising.timeless(wanted.get("bodyText", "")), normalising.timeless(reply.raw.decode(errors="replace"))]
    told = "bodyOmitted" not in wanted and ("bodyHex" in wanted or "bodyText" in wanted)
    return f"text {normalising.difference(*pair)}" if told and pair[0] != pair[1] else ""


def _version(body: Any) -> str:
    meta = body.get("metadata") if isinstance(body, dict) else None
    return str(meta.get("resourceVersion", "")) if isinstance(meta, dict) and "uid" in meta else ""


def _steps(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.strip("/").split("/")]


def _at(value: Any, way: list[str]) -> Any:
    for step in way:
        value = value[int(step) if isinstance(value, list) else step]
    return value


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _joined(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Join headers that come several times by a comma, as the recordings have them."""
    names = dict.fromkeys(name.lower() for name in response.headers)
    return {name: ", ".join(response.headers.getall(name)) for name in names}


def _payload(request: Obj) -> bytes | None:
    if "body" in request:
        return json.dumps(request["body"]).encode()
    if "bodyText" in request:
        # bodies with control characters were bytes
        binary = any(ord(letter) < 9 for letter in request["bodyText"])
        text: str = request["bodyText"]
        return text.encode("latin1" if binary else "utf-8")
    return _oversized(request) if "bodyRecipe" in request else None


def _oversized(request: Obj) -> bytes:
    """Make the big body that a recipe tells in words: one text of many letters in an otherwise good object."""
    recipe: str = request["bodyRecipe"]
    length = re.search(r"of (\d+) letters", recipe)
    assert length, recipe
    letters = "x" * int(length[1])
    namespace = request["path"].split("/namespaces/")[1].split("/")[0]
    meta = {"name": "big", "namespace": namespace}
    if "ConfigMap" in recipe:
        return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"k": letters}}).encode()
    spec = {"size": "medium", "owner": "ann", "free": {"k": letters}}
    return json.dumps({"apiVersion": "example.dev/v1alpha1", "kind": "Widget", "metadata": meta, "spec": spec}).encode()
