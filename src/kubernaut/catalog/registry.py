"""Bundles in a registry, by the OCI distribution API: pushed blob by blob and manifest last, pulled within bounds, checked against digests.

Registries on this machine are spoken to by plain HTTP where they speak no HTTPS, as Tekton does. Who asks for credentials, by Basic or
by a token service, gets those of Docker's configuration file.
"""

import asyncio
import base64
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

import aiohttp
import orjson

from kubernaut.api.base import Unusable
from kubernaut.catalog.bundle import MANIFEST, MAX_BLOB, BadBundle, Image, blobs_of, decoded, digest_of
from kubernaut.network import words

ACCEPTED: Final = (MANIFEST, "application/vnd.docker.distribution.manifest.v2+json")
TRIES: Final = 3
PATIENCE_SECONDS: Final = 30
_ANSWER_LIMIT: Final = 64 << 10
_DOCKER_HUB: Final = "registry-1.docker.io"
_REFERENCE: Final = re.compile(
    r"(?P<host>localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+(?=:\d))(?P<port>:\d+)?/"
    r"(?P<path>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')
_FOUND, _MISSING, _UNAUTHORIZED, _SERVER_FAULT = 200, 404, 401, 500


class RegistryError(Unusable):
    """The registry did not do what it was asked; the message says what it answered."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a bundle is in a registry."""

    host: str
    """With its port."""
    path: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def read(cls, text: str) -> "Reference":
        """Read `host/path[:tag][@sha256:…]`; raise BadBundle."""
        found = _REFERENCE.fullmatch(text)
        if found is None:
            raise BadBundle(f"{text!r} is no reference of the form registry.example.com/path[:tag][@sha256:…]")
        return cls(found["host"] + (found["port"] or ""), found["path"], found["tag"] or "", found["digest"] or "")

    @property
    def repository(self) -> str:
        """Host and path."""
        return f"{self.host}/{self.path}"

    @property
    def local(self) -> bool:
        """Whether it is on this machine."""
        return self.host.partition(":")[0] in {"localhost", "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password by registry host."""

    known: Mapping[str, str] = field(default_factory=dict)
    """By host: the value of a header `Authorization: Basic …`, without the word."""

    @classmethod
    def of_docker(cls, path: Path | None = None) -> "Credentials":
        """Return those of Docker's configuration file (`$DOCKER_CONFIG/config.json`, else ~/.docker/config.json), if there is one."""
        file = path or Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
        if not file.is_file():
            return cls()
        rows = decoded(file.read_bytes(), str(file)).get("auths") or {}
        return cls({_host(name): row["auth"] for name, row in rows.items() if isinstance(row, dict) and isinstance(row.get("auth"), str)})

    @classmethod
    def of(cls, host: str, user: str, password: str) -> "Credentials":
        """Return those of one person at one registry."""
        return cls({host: base64.b64encode(f"{user}:{password}".encode()).decode()})


def _host(name: str) -> str:
    return name.removeprefix("https://").removeprefix("http://").partition("/")[0]


async def push(image: Image, reference: Reference, credentials: Credentials) -> str:
    """Put a bundle into a registry, under its digest and the tag, if one is named; return `repository@sha256:…`; raise RegistryError."""
    async with _session(reference, credentials) as session:
        manifest = image.blobs[image.digest]
        for digest in blobs_of(manifest):
            await session.upload(digest, image.blobs[digest])
        for name in (image.digest, reference.tag):
            if name:
                await session.put_manifest(name, manifest)
    return f"{reference.repository}@{image.digest}"


async def pull(reference: Reference, credentials: Credentials) -> Image:
    """Return a bundle of a registry as it stands there, checked against the reference's digest only; raise RegistryError, BadBundle."""
    async with _session(reference, credentials) as session:
        manifest = await session.get("manifests", reference.digest or reference.tag or "latest")
        digest = digest_of(manifest)
        if reference.digest and digest != reference.digest:
            raise BadBundle(f"the registry gave a manifest of digest {digest} for {reference.digest}: it was damaged or exchanged")
        blobs = {each: await session.get("blobs", each) for each in blobs_of(manifest)}
    return Image(digest, len(manifest), {digest: manifest, **blobs})


@asynccontextmanager
async def _session(reference: Reference, credentials: Credentials) -> AsyncIterator["_Session"]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS), auto_decompress=False) as http:
        session = _Session(http, reference, credentials)
        await session.open()
        yield session


class _Session:
    """One registry, spoken to about one repository."""

    def __init__(self, http: aiohttp.ClientSession, reference: Reference, credentials: Credentials) -> None:
        self._http = http
        self._reference = reference
        self._basic = credentials.known.get(reference.host, "")
        self._scheme = "https"
        self._headers: dict[str, str] = {}

    async def open(self) -> None:
        """Find out by which scheme the registry answers."""
        schemes = ("https", "http") if self._reference.local else ("https",)
        for self._scheme in schemes:
            try:
                await self._once("GET", self._url(""))
            except aiohttp.ClientConnectionError as fault:
                if self._scheme == schemes[-1]:
                    raise RegistryError(f"the registry {self._reference.host} cannot be reached: {fault}") from fault
            else:
                return

    async def upload(self, digest: str, data: bytes) -> None:
        """Put a blob there, unless it is there already."""
        status, _, _ = await self._ask("HEAD", self._url(f"{self._reference.path}/blobs/{digest}"))
        if status == _FOUND:
            return
        began = await self._expect("POST", self._url(f"{self._reference.path}/blobs/uploads/"), 202)
        place = urljoin(self._url(""), began.get("Location", ""))
        place += ("&" if "?" in place else "?") + f"digest={digest}"
        await self._expect("PUT", place, 201, data=data, content_type="application/octet-stream")

    async def put_manifest(self, name: str, manifest: bytes) -> None:
        """Put the manifest there under a digest or tag."""
        await self._expect("PUT", self._url(f"{self._reference.path}/manifests/{name}"), 201, data=manifest, content_type=MANIFEST)

    async def get(self, what: str, name: str) -> bytes:
        """Return a manifest or blob."""
        status, _, body = await self._ask("GET", self._url(f"{self._reference.path}/{what}/{name}"))
        if status == _MISSING:
            raise RegistryError(f"{self._reference.repository} has no {what.removesuffix('s')} {name}")
        if status != _FOUND:
            raise RegistryError(_told(self._reference, "GET", status, body))
        return body

    async def _expect(self, method: str, url: str, wanted: int, *, data: bytes = b"", content_type: str = "") -> Mapping[str, str]:
        status, headers, body = await self._ask(method, url, data=data, content_type=content_type)
        if status != wanted:
            raise RegistryError(_told(self._reference, method, status, body))
        return headers

    async def _ask(self, method: str, url: str, *, data: bytes = b"", content_type: str = "") -> tuple[int, Mapping[str, str], bytes]:
        """Ask, with credentials where they are wanted, and again where the registry stumbles."""
        for left in reversed(range(TRIES)):
            try:
                answer = await self._once(method, url, data=data, content_type=content_type)
                if answer[0] == _UNAUTHORIZED and await self._authorize(answer[1].get("WWW-Authenticate", "")):
                    answer = await self._once(method, url, data=data, content_type=content_type)
            except (aiohttp.ClientError, TimeoutError) as fault:
                if not left:
                    raise RegistryError(f"the registry {self._reference.host} cannot be reached: {words(fault)}") from fault
            else:
                if answer[0] < _SERVER_FAULT or not left:
                    return answer
            await asyncio.sleep(0.2 * (TRIES - left))
        raise AssertionError("unreachable")

    async def _once(self, method: str, url: str, *, data: bytes = b"", content_type: str = "") -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Accept": ", ".join(ACCEPTED), **self._headers} | ({"Content-Type": content_type} if content_type else {})
        if not url.startswith(self._url("")):
            headers.pop("Authorization", None)  # an upload or blob that lies elsewhere is none of our credentials' business
        async with self._http.request(method, url, data=data or None, headers=headers) as reply:
            return reply.status, reply.headers, await _bounded(reply)

    async def _authorize(self, challenge: str) -> bool:
        """Take up what the registry asks for; False when there is nothing better than what was sent."""
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic" and self._basic and "Authorization" not in self._headers:
            self._headers["Authorization"] = f"Basic {self._basic}"
            return True
        if kind.lower() != "bearer":
            return False
        asked = dict(_CHALLENGE.findall(rest))
        token = await self._token(asked.pop("realm", ""), asked)
        changed = self._headers.get("Authorization") != f"Bearer {token}"
        self._headers["Authorization"] = f"Bearer {token}"
        return changed

    async def _token(self, realm: str, asked: Mapping[str, str]) -> str:
        scope = asked.get("scope") or f"repository:{self._reference.path}:pull,push"
        params = {"scope": scope} | ({"service": asked["service"]} if "service" in asked else {})
        if not realm.startswith("https://") and not self._reference.local:
            raise RegistryError(f"the registry {self._reference.host} names a token service without TLS: {realm[:200]}")
        headers = {"Authorization": f"Basic {self._basic}"} if self._basic else {}
        async with self._http.get(realm, params=params, headers=headers) as reply:
            body = await _bounded(reply)
        if reply.status != _FOUND:
            raise RegistryError(_told(self._reference, "GET", reply.status, body))
        answer = decoded(body, "the token service's answer")
        return str(answer.get("token") or answer.get("access_token") or "")

    def _url(self, path: str) -> str:
        return f"{self._scheme}://{self._reference.host}/v2/{path}"


async def _bounded(reply: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in reply.content.iter_chunked(_ANSWER_LIMIT):
        data += chunk
        if len(data) > MAX_BLOB:
            raise BadBundle(f"{reply.url.path} is larger than {MAX_BLOB} bytes")
    return bytes(data)


def _told(reference: Reference, method: str, status: int, body: bytes) -> str:
    """Say what a registry answered, in its own words where it has any."""
    said = body[:500].decode("utf-8", "replace")
    with suppress(orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        said = "; ".join(str(each.get("message") or each.get("code")) for each in orjson.loads(body)["errors"]) or said
    hint = f" (credentials for {reference.host} are read from Docker's config.json)" if status in {401, 403} else ""
    return f"the registry {reference.host} answered {method} with {status}: {said.strip()[:500]}{hint}"
