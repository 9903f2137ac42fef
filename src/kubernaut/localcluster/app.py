"""The HTTP face: from a request to an answer, over aiohttp."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog
from aiohttp import web

from kubernaut.localcluster import errors, negotiation, paths
from kubernaut.localcluster.authn import Authenticator, impersonated
from kubernaut.localcluster.bodies import BODY_MAX
from kubernaut.localcluster.calls import User
from kubernaut.localcluster.discovery import Discovery
from kubernaut.localcluster.errors import NoSuchPath
from kubernaut.localcluster.exchange import Exchange
from kubernaut.localcluster.negotiation import Answer
from kubernaut.localcluster.openapi import OpenApi
from kubernaut.localcluster.parameters import Parameters
from kubernaut.localcluster.paths import Target
from kubernaut.localcluster.rbac import Attributes, Authorizer, refusal
from kubernaut.localcluster.resources import Resources

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
_METHOD_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_log = structlog.get_logger(__name__)

Serve = Callable[[Exchange], Awaitable[Answer]]


class App:
    """Authenticates, authorizes and routes requests."""

    def __init__(
        self, authenticator: Authenticator, authorizer: Authorizer, resources: Resources, discovery: Discovery, openapi: OpenApi
    ) -> None:
        """Stand on the parts."""
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._resources = resources
        self._discovery = discovery
        self._openapi = openapi

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request."""
        try:
            answer = await self._answer(request)
        except errors.ApiError as error:
            answer = negotiation.fault(error, request.headers.get("Accept", ""))
        except NoSuchPath:
            answer = negotiation.plain(negotiation.NOT_FOUND, 404)
        except Exception as error:  # noqa: BLE001 - the one place: a fault of ours ends one request and not the server, and is logged
            _log.exception("request failed", method=request.method, path=request.path, error=str(error))
            answer = negotiation.fault(errors.internal_error(f"{type(error).__name__}: {error}"))
        return await _send(request, answer)

    async def _answer(self, request: web.BaseRequest) -> Answer:
        headers = {key.lower(): value for key, value in request.headers.items()}
        user = self._authenticator.user(headers)
        exchange = Exchange(request.method, request.path, Parameters(request.query_string), headers, user, lambda: _read(request))
        target = paths.parse(exchange.path)
        wanted = _wanted(exchange, target)
        if acting := impersonated(headers, tuple(request.headers.getall("Impersonate-Group", ()))):
            self._check_impersonation(wanted, acting)
            exchange, wanted = replace(exchange, user=acting), replace(wanted, user=acting)
        self._authorizer.check(wanted)
        if target is None:
            return await self._unnamed(exchange)
        return await self._resources.serve(exchange, target)

    def _check_impersonation(self, wanted: Attributes, acting: User) -> None:
        asked = [Attributes(wanted.user, "impersonate", resource="users", name=acting.name)]
        asked += [
            Attributes(wanted.user, "impersonate", resource="groups", name=group)
            for group in acting.groups
            if not group.startswith("system:auth")
        ]
        if not all(self._authorizer.decide(row).allowed for row in asked):
            raise refusal(replace(wanted, verb=f"impersonate-on:user-info:{wanted.verb}"))

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
            return _only_get(exchange, dict(_VERSION))
        if exchange.path == "/":
            return _only_get(exchange, {"paths": self._paths()})
        raise NoSuchPath

    def _paths(self) -> list[str]:
        found = {"/api", "/api/v1", "/apis", "/apis/", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"}
        for group in self._discovery.groups():
            if group:
                found |= {f"/apis/{group}", *(f"/apis/{group}/{version}" for version in self._discovery.versions(group))}
        return sorted(found)


def _wanted(exchange: Exchange, target: Target | None) -> Attributes:
    if target is None:
        return Attributes(exchange.user, exchange.method.lower(), path=exchange.path)
    namespace = target.name if (target.group, target.plural) == ("", "namespaces") else target.namespace
    return Attributes(exchange.user, _verb(exchange, target), target.group, target.plural, target.subresource, target.name, namespace)


def _verb(exchange: Exchange, target: Target) -> str:
    method = exchange.method
    if method in {"GET", "HEAD"}:
        if target.name:
            return "get"
        return "watch" if target.watch or exchange.parameters.flag("watch") else "list"
    if method == "DELETE":
        return "delete" if target.name else "deletecollection"
    return _METHOD_VERBS.get(method, "")


def _only_get(exchange: Exchange, body: errors.Obj) -> Answer:
    if exchange.method not in {"GET", "HEAD"}:
        raise errors.method_not_allowed()
    return negotiation.encode(body, negotiation.Form(), pretty=True)


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
    await response.prepare(request)
    try:
        async for chunk in stream:
            await response.write(chunk)
        await response.write_eof()
    except ConnectionError:
        _log.debug("watch ended by its reader", path=request.path)
    return response
