"""The HTTP face: from a request to an answer, over aiohttp."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import unquote

import structlog
from aiohttp import web

from kubernaut.localcluster import errors, impersonation, negotiation, paths
from kubernaut.localcluster.authn import Authenticator
from kubernaut.localcluster.bodies import BODY_MAX
from kubernaut.localcluster.discovery import Discovery
from kubernaut.localcluster.errors import NoSuchPath
from kubernaut.localcluster.exchange import Asked, Exchange
from kubernaut.localcluster.metrics import Metrics
from kubernaut.localcluster.negotiation import Answer
from kubernaut.localcluster.openapi import OpenApi
from kubernaut.localcluster.parameters import Parameters
from kubernaut.localcluster.paths import Target
from kubernaut.localcluster.rbac import Attributes, Authorizer
from kubernaut.localcluster.resources import Resources
from kubernaut.localcluster.traces import told

MAJOR, MINOR = "1", "36"
GIT_VERSION = f"v{MAJOR}.{MINOR}.2"
_VERSION = {
    "major": MAJOR,
    "minor": MINOR,
    "emulationMajor": MAJOR,
    "emulationMinor": MINOR,
    "minCompatibilityMajor": MAJOR,
    "minCompatibilityMinor": str(int(MINOR) - 1),
    "gitVersion": GIT_VERSION,
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
_HEALTH = ("healthz", "livez", "readyz")
_CHECKS = ("ping", "log", "etcd")
_log = structlog.get_logger(__name__)

Serve = Callable[[Exchange], Awaitable[Answer]]


class App:
    """Authenticates, authorizes and routes requests."""

    def __init__(
        self,
        authenticator: Authenticator,
        authorizer: Authorizer,
        resources: Resources,
        discovery: Discovery,
        openapi: OpenApi,
        metrics: Metrics,
    ) -> None:
        """Stand on the parts."""
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._resources = resources
        self._discovery = discovery
        self._openapi = openapi
        self._metrics = metrics

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request."""
        headers = {key.lower(): value for key, value in request.headers.items()}
        groups = tuple(request.headers.getall("Impersonate-Group", ()))
        extra = {
            unquote(key.removeprefix(impersonation.EXTRA)): tuple(request.headers.getall(key))
            for key in headers
            if key.startswith(impersonation.EXTRA)
        }
        asked = Asked(request.method, request.path, request.query_string, headers, lambda: _read(request), groups, extra)
        return await _send(request, await self.answer(asked))

    async def answer(self, asked: Asked) -> Answer:
        """Answer one request, however it came in."""
        answer = await self._guarded(asked)
        self._metrics.count(asked, answer.status)
        return answer

    async def _guarded(self, asked: Asked) -> Answer:
        """Answer one request, with what went wrong where something did."""
        try:
            return await self._answer(asked)
        except errors.ApiError as error:
            return negotiation.fault(error, asked.headers.get("accept", ""))
        except NoSuchPath:
            return negotiation.plain(negotiation.NOT_FOUND, 404)
        except Exception as error:  # noqa: BLE001 - the one place: a fault of ours ends one request and not the server, and is logged
            _log.error("request failed", method=asked.method, path=asked.path, fault=told(error))
            return negotiation.fault(errors.internal_error(f"{type(error).__name__}: {error}"))

    async def _answer(self, asked: Asked) -> Answer:
        headers = asked.headers
        user = self._authenticator.user(headers)
        exchange = Exchange(asked.method, asked.path, Parameters(asked.query), headers, user, asked.read)
        target = paths.parse(exchange.path)
        wanted = _wanted(exchange, target)
        if acting := impersonation.read(headers, asked.acting_groups, asked.acting_extra):
            impersonation.check(self._authorizer, wanted, acting)
            exchange, wanted = replace(exchange, user=acting.user()), replace(wanted, user=acting.user())
        self._authorizer.check(wanted)
        if target is None:
            return await self._unnamed(exchange)
        return await self._resources.serve(exchange, target)

    async def _unnamed(self, exchange: Exchange) -> Answer:
        """Answer a path that is no resource."""
        top = exchange.path.strip("/").split("/")[0]
        if top in {"api", "apis"}:
            return self._discovery.serve(exchange)
        if top == "openapi":
            return self._openapi.serve(exchange)
        if top in _HEALTH:
            return _health(exchange)
        if exchange.path.strip("/") == "version":
            return _got(exchange, negotiation.encode(dict(_VERSION), negotiation.Form(), pretty=True))
        if exchange.path == "/metrics":
            return _got(exchange, self._metrics.page())
        if exchange.path == "/":
            return _got(exchange, negotiation.encode({"paths": self._paths()}, negotiation.Form(), pretty=True))
        raise NoSuchPath

    def _paths(self) -> list[str]:
        found = {
            "/api",
            "/api/v1",
            "/apis",
            "/apis/",
            "/healthz",
            "/livez",
            "/metrics",
            "/openapi/v2",
            "/openapi/v3",
            "/readyz",
            "/version",
        }
        for group in self._discovery.groups():
            if group:
                found |= {f"/apis/{group}", *(f"/apis/{group}/{version}" for version in self._discovery.versions(group))}
        return sorted(found)


def _wanted(exchange: Exchange, target: Target | None) -> Attributes:
    if target is None:
        return Attributes(exchange.user, exchange.method.lower(), path=exchange.path)
    namespace = target.name if (target.group, target.plural) == ("", "namespaces") else target.namespace
    verb = paths.verb(exchange.method, target, watch=exchange.parameters.flag("watch"))
    return Attributes(exchange.user, verb, target.group, target.plural, target.subresource, target.name, namespace)


def _got(exchange: Exchange, answer: Answer) -> Answer:
    """Return an answer to GET and HEAD alone; raise ApiError 405."""
    if exchange.method not in {"GET", "HEAD"}:
        raise errors.method_not_allowed()
    return answer


def _health(exchange: Exchange) -> Answer:
    parts = exchange.path.strip("/").split("/")
    if len(parts) > 1 and parts[1] not in _CHECKS:
        raise NoSuchPath
    if exchange.parameters.has("verbose") and len(parts) == 1:
        told = "".join(f"[+]{name} ok\n" for name in _CHECKS)
        return negotiation.plain(f"{told}{parts[0]} check passed\n")
    return negotiation.plain("ok")


async def _read(request: web.BaseRequest) -> bytes:
    """Return the body; raise ApiError 413 once it is longer than allowed."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > BODY_MAX:
            raise errors.too_large(BODY_MAX)
    return bytes(body)


async def _send(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    response = web.Response(status=answer.status) if answer.stream is None else web.StreamResponse(status=answer.status)
    for name, value in answer.headers:
        response.headers.add(name, value)
    if answer.content_type:
        response.headers["Content-Type"] = answer.content_type
    response.headers.setdefault("Cache-Control", "no-cache, private")
    if isinstance(response, web.Response):
        response.body = answer.body
        return response
    return await _send_stream(request, response, answer)


async def _send_stream(request: web.BaseRequest, response: web.StreamResponse, answer: Answer) -> web.StreamResponse:
    stream = answer.stream
    if stream is None:
        return response
    response.enable_chunked_encoding()
    try:
        await response.prepare(request)
        async for chunk in stream:
            await response.write(chunk)
        await response.write_eof()
    except ConnectionError:
        _log.debug("watch ended by its reader", path=request.path)
    return response
