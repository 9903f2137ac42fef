"""Kubernetes' REST protocol, one method a verb, JSON in and out; everything that reads or writes a cluster goes through here.

Nothing is retried here: informers and work queues do that, who know what has changed meanwhile.
"""

import builtins
import copy
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote

import orjson

from kubernaut.api.base import Kind, Obj
from kubernaut.kube import kubeconfig
from kubernaut.kube.credentials import Credentials, Fixed, TokenFile, bearer
from kubernaut.kube.errors import ApiError
from kubernaut.kube.transport import MIB, Headers, HttpTransport, Request, Transport

__all__ = ["APPLY_PATCH", "JSON_PATCH", "MERGE_PATCH", "STRATEGIC_PATCH", "ApiError", "Client", "ObjList", "path_of"]

MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
TEXT_LIMIT: Final = 4 * MIB
IDLE_MARGIN: Final = 30.0
"""How many seconds a server may be late in ending a watch before the connection counts as lost."""

Patch = Obj | builtins.list[Obj]


class ObjList(NamedTuple):
    """All objects of a list, and the resource version to watch from."""

    items: builtins.list[Obj]
    resource_version: str


class Client:
    """A connection to one API server as one user. Every method raises `ApiError`."""

    def __init__(
        self,
        server: str,
        *,
        token: str | None = None,
        token_file: Path | None = None,
        credentials: Credentials | None = None,
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
        limit: int = 64,
        user_agent: str = "kubernaut",
    ) -> None:
        who = credentials or (TokenFile(token_file) if token_file else Fixed(bearer(token)) if token else Fixed())
        self._transport: Transport = HttpTransport(server, who, tls=tls, server_name=server_name, limit=limit, user_agent=user_agent)
        self._headers = Headers()

    @classmethod
    def from_kubeconfig(cls, path: str | None = None, context: str | None = None) -> Self:
        """Reach the cluster of a kubeconfig (the path, KUBECONFIG, ~/.kube/config), else the one we run in; raise `KubeconfigError`."""
        access = kubeconfig.load(path, context)
        return cls(access.server, credentials=access.credentials, tls=access.tls, server_name=access.server_name)

    @classmethod
    def over(cls, transport: Transport) -> Self:
        """Speak over a transport of the caller's make, which has its own credentials."""
        client = cls("")
        client._transport = transport
        return client

    async def get(self, kind: Kind, name: str, namespace: str = "", *, subresource: str = "") -> Obj:
        """Return one object."""
        return await self._send("GET", path_of(kind, namespace, _required(name), subresource))

    async def list(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> ObjList:
        """Return all objects in their newest state, in pages of `limit`."""
        query = {"labelSelector": label_selector, "fieldSelector": field_selector}
        try:
            return await self._pages(kind, namespace, query | {"limit": str(limit)})
        except ApiError as fault:
            if not fault.expired:
                raise
        return await self._pages(kind, namespace, query)  # a continue token died while we paged: all at once

    async def create(self, kind: Kind, obj: Obj, *, subresource_of: str = "", subresource: str = "", dry_run: bool = False) -> Obj:
        """Create an object, or post to a subresource (`eviction`, `token`) of the one named."""
        path = path_of(kind, _namespace(obj), subresource_of, subresource)
        return await self._send("POST", path, _dry(dry_run), _typed(kind, obj) if not subresource else obj)

    async def update(self, kind: Kind, obj: Obj, *, subresource: str = "", dry_run: bool = False) -> Obj:
        """Replace an object; a resourceVersion in its metadata is a precondition."""
        path = path_of(kind, _namespace(obj), _required(obj["metadata"].get("name", "")), subresource)
        return await self._send("PUT", path, _dry(dry_run), _typed(kind, obj) if not subresource else obj)

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str,
        body: Patch,
        *,
        content_type: str = MERGE_PATCH,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Obj:
        """Patch an object; a resourceVersion in a merge patch's metadata is a precondition."""
        path = path_of(kind, namespace, _required(name), subresource)
        return await self._send("PATCH", path, _dry(dry_run), body, content_type)

    async def apply(self, kind: Kind, obj: Obj, *, manager: str, force: bool = False, dry_run: bool = False, subresource: str = "") -> Obj:
        """Apply fields as `manager` (server-side apply); fields of another manager are a conflict unless forced."""
        path = path_of(kind, _namespace(obj), _required(obj["metadata"].get("name", "")), subresource)
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        return await self._send("PATCH", path, query | _dry(dry_run), _typed(kind, obj), APPLY_PATCH)

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: str = "",
        grace_seconds: int | None = None,
        dry_run: bool = False,
    ) -> Obj:
        """Delete one object, under the preconditions given; return it, or a Status when it is gone at once."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options: Obj = {
            "preconditions": {field: value for field, value in preconditions.items() if value} or None,
            "propagationPolicy": propagation or None,
            "gracePeriodSeconds": grace_seconds,
            "dryRun": ["All"] if dry_run else None,
        }
        body = {"apiVersion": "v1", "kind": "DeleteOptions"} | {field: value for field, value in options.items() if value is not None}
        return await self._send("DELETE", path_of(kind, namespace, _required(name)), body=body)

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str,
        timeout_seconds: int = 300,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncGenerator[tuple[str, Obj], None]:
        """Yield (type, object) for every change after a version, bookmarks too, until the server ends it; an ERROR event is raised."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
        }
        request = Request("GET", path_of(kind, namespace), _present(query), self._headers)
        async with aclosing(self._transport.lines(request, idle=timeout_seconds + IDLE_MARGIN)) as lines:
            async for line in lines:
                if line:
                    yield _event(line)

    async def text(self, path: str, **query: str) -> str:
        """Return a text below the API's root, such as a pod's log, cut at 4 MiB. Build the path with `path_of`."""
        headers = self._headers.copy()
        headers["Accept"] = "*/*"
        body = await self._transport.send(Request("GET", path, _present(query), headers, limit=TEXT_LIMIT, cut=True))
        return body.decode(errors="replace")

    def impersonating(self, user: str, groups: Sequence[str] = ()) -> "Client":
        """Return a client that acts as another user over the same connections; the API server must allow us to."""
        if not user:
            raise ValueError("nobody to impersonate")
        client = copy.copy(self)
        client._headers = Headers([("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)])  # noqa: SLF001
        return client

    def metadata_only(self) -> "Client":
        """Return a client whose answers hold metadata and nothing else: how a Secret is read and written without seeing its data."""
        client = copy.copy(self)
        client._headers = self._headers.copy()  # noqa: SLF001
        client._headers["Accept"] = METADATA_ONLY  # noqa: SLF001
        return client

    async def close(self) -> None:
        """Close all connections, those of impersonating clients too."""
        await self._transport.close()

    async def _pages(self, kind: Kind, namespace: str, query: dict[str, str]) -> ObjList:
        items: list[Obj] = []
        while True:
            page = await self._send("GET", path_of(kind, namespace), query)
            items += (_typed(kind, item) for item in page.get("items") or ())
            token = page["metadata"].get("continue")
            if not token:
                return ObjList(items, page["metadata"].get("resourceVersion", ""))
            query = {**query, "continue": token}

    async def _send(
        self, method: str, path: str, query: dict[str, str] | None = None, body: Patch | None = None, content_type: str = "application/json"
    ) -> Obj:
        headers = self._headers.copy()
        if body is not None:
            headers["Content-Type"] = content_type
        request = Request(method, path, _present(query or {}), headers, None if body is None else orjson.dumps(body))
        return _decoded(await self._transport.send(request))


def path_of(kind: Kind, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Return the percent-encoded path of a collection, an object or its subresource; a name that could leave it is refused."""
    if name and kind.namespaced and not namespace:
        raise ApiError(400, "BadRequest", f"{kind.kind} {name} needs a namespace")
    scope = ("namespaces", namespace) if namespace and kind.namespaced else ()
    root = ("apis", kind.group, kind.version) if kind.group else ("api", kind.version)
    parts = [*root, *scope, kind.plural, *(part for part in (name, *subresource.split("/")) if part)]
    return "/" + "/".join(_segment(part) for part in parts)


@lru_cache(maxsize=1024)
def _segment(part: str) -> str:
    """Encode a path segment by the API server's own rule for names: not `.`, not `..`, no `/`, no `%`."""
    if part in {".", ".."} or "/" in part or "%" in part:
        raise ApiError(400, "BadRequest", f"{part!r} is no name")
    return quote(part, safe=":")


def _required(name: str) -> str:
    """Refuse an empty name, which would address the whole collection."""
    if not name:
        raise ApiError(400, "BadRequest", "a name is required")
    return name


def _namespace(obj: Obj) -> str:
    namespace: str = obj["metadata"].get("namespace") or ""
    return namespace


def _typed(kind: Kind, obj: Obj) -> Obj:
    return obj if "kind" in obj and "apiVersion" in obj else {"apiVersion": kind.api_version, "kind": kind.kind, **obj}


def _present(query: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in query.items() if value}


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _decoded(body: bytes) -> Obj:
    try:
        decoded: Any = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise ApiError(0, "NotJson", body[:200].decode(errors="replace")) from fault
    if not isinstance(decoded, dict):
        raise ApiError(0, "NotJson", "the answer is no object")
    return decoded


def _event(line: bytes) -> tuple[str, Obj]:
    event = _decoded(line)
    type_, obj = event.get("type"), event.get("object")
    if not isinstance(type_, str) or not isinstance(obj, dict):
        raise ApiError(0, "NotAWatchEvent", line[:200].decode(errors="replace"))
    if type_ == "ERROR":
        raise ApiError.of_status(obj)
    return type_, obj
