"""OpenAPI v3: one document a group and version, for `kubectl explain` and for what `kubectl apply` asks before it writes."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from kubernaut.localcluster import builtin, errors, negotiation
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.catalog import Catalog
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.exchange import Exchange
from kubernaut.localcluster.negotiation import JSON, Answer

_SECOND_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_REF = "#/components/schemas/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation", "force")
_ACTIONS = {"get": "get", "put": "update", "patch": "patch", "delete": "delete"}


class OpenApi:
    """Makes the documents, and keeps each until a definition changes."""

    def __init__(self, catalog: Catalog, version: str) -> None:
        """`version` is that of the cluster."""
        self._catalog = catalog
        self._version = version
        self._made: dict[str, bytes] = {}
        self._made_at = -1

    def serve(self, exchange: Exchange) -> Answer:
        """Answer /openapi/v2 and all under /openapi/v3."""
        if exchange.method not in {"GET", "HEAD"}:
            raise errors.method_not_allowed()
        path = exchange.path.strip("/")
        if path == "openapi/v2":
            return self._second(exchange)
        documents = self._documents()
        if path == "openapi/v3":
            paths = {name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={_hash(body)}"} for name, body in documents.items()}
            return negotiation.plain(orjson.dumps({"paths": paths}).decode())
        found = documents.get(path.removeprefix("openapi/v3/"))
        if found is None:
            return Answer(404, content_type="")
        return Answer(200, found, headers=[("Etag", f'"{_hash(found)}"'), ("Vary", "Accept")])

    def _second(self, exchange: Exchange) -> Answer:
        """Answer version 2 with a document that says nothing: kubectl asks for it before it creates a List, and asks no more."""
        if _SECOND_PROTOBUF in exchange.accept:
            title = _field(1, b"Kubernetes") + _field(2, self._version.encode())
            return Answer(
                200, _field(1, b"2.0") + _field(2, title), _SECOND_PROTOBUF.replace("@", "."), [("Vary", "Accept-Encoding, Accept")]
            )
        body = orjson.dumps({"swagger": "2.0", "info": {"title": "Kubernetes", "version": self._version}, "paths": {}, "definitions": {}})
        return Answer(200, body, headers=[("Etag", f'"{_hash(body)}"'), ("Vary", "Accept-Encoding, Accept")])

    def _documents(self) -> dict[str, bytes]:
        if self._made_at != self._catalog.revision:
            self._made = {name: orjson.dumps(self._document(kinds)) for name, kinds in self._by_version().items()}
            self._made_at = self._catalog.revision
        return self._made

    def _by_version(self) -> dict[str, list[ResourceKind]]:
        found: dict[str, list[ResourceKind]] = {}
        for kind in self._catalog:
            name = f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"
            found.setdefault(name, []).append(kind)
        return found

    def _document(self, kinds: list[ResourceKind]) -> Obj:
        custom = all(kind.custom for kind in kinds)
        title = {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"} if custom else {"title": "Kubernetes", "version": self._version}
        paths = {path: operations for kind in kinds for path, operations in _paths(kind)}
        return {"openapi": "3.0.0", "info": title, "paths": paths, "components": {"schemas": _schemas(kinds)}}


def _field(number: int, body: bytes) -> bytes:
    """Return a short length-delimited protobuf field."""
    return bytes([number << 3 | 2, len(body)]) + body


def _hash(body: bytes) -> str:
    return hashlib.sha512(body).hexdigest().upper()


def _paths(kind: ResourceKind) -> Iterator[tuple[str, Obj]]:
    home = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    base = f"{home}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{home}/{kind.plural}"
    collection = {"post": _operation(kind, "post")}
    if "list" in kind.verbs:
        collection |= {"get": _operation(kind, "list"), "delete": _operation(kind, "deletecollection")}
    yield base, collection
    if kind.namespaced and "list" in kind.verbs:
        yield f"{home}/{kind.plural}", {"get": _operation(kind, "list")}
    if "get" in kind.verbs:
        yield f"{base}/{{name}}", {method: _operation(kind, action) for method, action in _ACTIONS.items()}
    for part in kind.subresources:
        yield f"{base}/{{name}}/{part}", {method: _operation(kind, action) for method, action in _ACTIONS.items() if method != "delete"}


def _operation(kind: ResourceKind, action: str) -> Obj:
    names = _PARAMETERS if action in {"post", "update", "patch"} else ()
    parameters = [{"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}} for name in names]
    body = {"content": {JSON: {"schema": {"$ref": _REF + _component(kind)}}}}
    return {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "parameters": parameters,
        "responses": {"200": {"description": "OK", **body}},
    }


def _component(kind: ResourceKind) -> str:
    if not kind.custom:
        return builtin.definition_name(kind.group, kind.version, kind.kind)
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


def _schemas(kinds: Iterable[ResourceKind]) -> Obj:
    known = builtin.definitions()
    found: Obj = {}
    wanted: list[str] = []
    for kind in kinds:
        if kind.custom:
            found[_component(kind)] = _custom_schema(kind)
            wanted.append(_META)
        else:
            wanted.append(_component(kind))
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = known[name]
            wanted += _references(known[name])
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix(_REF)
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def _custom_schema(kind: ResourceKind) -> Obj:
    given: Obj = ((kind.definition or {}).get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}
    head = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"$ref": _REF + _META}}
    named = [{"group": kind.group, "version": kind.version, "kind": kind.kind}]
    return {
        **given,
        "properties": {**head, **(given.get("properties") or {}), "metadata": head["metadata"]},
        "x-kubernetes-group-version-kind": named,
    }
