"""What a cluster tells of itself: groups, versions and resources, in the old form and the aggregated one."""

import base64
import hashlib
from collections.abc import Iterable, Mapping

import orjson

from kubernaut.localcluster import errors, negotiation
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.catalog import Catalog
from kubernaut.localcluster.errors import NoSuchPath, Obj
from kubernaut.localcluster.exchange import Exchange
from kubernaut.localcluster.kinds import SUBRESOURCES, Subresource
from kubernaut.localcluster.negotiation import JSON, Answer
from kubernaut.localcluster.versions import by_priority

_AGGREGATED = f"{JSON};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_PAIR = 2


class Discovery:
    """Answers the discovery paths from the catalog of kinds."""

    def __init__(self, catalog: Catalog, address: str) -> None:
        """`address` is host and port, as clients are told."""
        self._catalog = catalog
        self._address = address

    def serve(self, exchange: Exchange) -> Answer:
        """Answer /api, /apis and what is directly under them; raise NoSuchPath or ApiError."""
        if exchange.method not in {"GET", "HEAD"}:
            raise errors.method_not_allowed()
        parts = exchange.path.strip("/").split("/")
        core = parts[0] == "api"
        if len(parts) == 1:
            return self._top(exchange, core=core)
        group, version = ("", parts[1]) if core else (parts[1], parts[2] if len(parts) > _PAIR else "")
        if not core and len(parts) == _PAIR:
            return negotiation.encode(self._group(group, with_type=True), negotiation.choose(exchange.accept, core=False))
        return negotiation.encode(self._resources(group, version), negotiation.choose(exchange.accept, core=False))

    def _top(self, exchange: Exchange, *, core: bool) -> Answer:
        if _wants_aggregated(exchange.accept):
            return self._aggregated(exchange, core=core)
        form = negotiation.choose(exchange.accept, core=False)
        if core:
            addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": self._address}]
            return negotiation.encode({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}, form)
        groups = [self._group(group) for group in self.groups() if group]
        return negotiation.encode({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}, form)

    def groups(self) -> list[str]:
        """Return the groups served, built-in ones first."""
        return list(dict.fromkeys(kind.group for kind in self._catalog))

    def versions(self, group: str) -> list[str]:
        """Return a group's versions, the preferred one first."""
        return sorted({kind.version for kind in self._catalog if kind.group == group}, key=by_priority)

    def _group(self, group: str, *, with_type: bool = False) -> Obj:
        rows = [{"groupVersion": f"{group}/{version}", "version": version} for version in self.versions(group)]
        if not rows:
            raise NoSuchPath
        head = {"kind": "APIGroup", "apiVersion": "v1"} if with_type else {}
        return {**head, "name": group, "versions": rows, "preferredVersion": rows[0]}

    def _of(self, group: str, version: str) -> list[ResourceKind]:
        return sorted((kind for kind in self._catalog if (kind.group, kind.version) == (group, version)), key=lambda kind: kind.plural)

    def _resources(self, group: str, version: str) -> Obj:
        kinds = self._of(group, version)
        if not kinds:
            raise NoSuchPath
        rows = [row for kind in kinds for row in _rows(kind)]
        head = {"kind": "APIResourceList"} | ({"apiVersion": "v1"} if group else {})
        return {**head, "groupVersion": kinds[0].api_version, "resources": rows}

    def _aggregated(self, exchange: Exchange, *, core: bool) -> Answer:
        items = [self._aggregated_group(group) for group in ([""] if core else [name for name in self.groups() if name])]
        body = orjson.dumps({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
        tag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
        headers = [("Etag", tag), ("Vary", "Accept"), ("Cache-Control", "public")]
        if exchange.headers.get("if-none-match") == tag:
            return Answer(304, content_type="", headers=headers)
        return Answer(200, body + b"\n", _AGGREGATED, headers)

    def _aggregated_group(self, group: str) -> Obj:
        rows = [
            {"version": version, "resources": [_aggregated_row(kind) for kind in self._of(group, version)], "freshness": "Current"}
            for version in self.versions(group)
        ]
        return {"metadata": {"name": group} if group else {}, "versions": rows}


def _wants_aggregated(accept: str) -> bool:
    """Say whether aggregated discovery is the first form that can be given; raise ApiError 406 where only an older one is wanted."""
    for clause in accept.replace(" ", "").split(","):
        media, *parameters = clause.split(";")
        if media not in {JSON, "*/*", "application/*", ""}:
            continue
        given = dict(part.split("=", 1) for part in parameters if "=" in part)
        if given.get("as") == "APIGroupDiscoveryList" and given.get("v") == "v2":
            return True
        if "as" not in given:
            return False
    return False


def _rows(kind: ResourceKind) -> Iterable[Obj]:
    row: Obj = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if kind.categories:
        row["categories"] = list(kind.categories)
    if kind.verbs != ("create",):
        row["storageVersionHash"] = _storage_hash(kind)
    yield row
    for name in kind.subresources:
        yield _subresource_row(kind, name, SUBRESOURCES[name])


def _subresource_row(kind: ResourceKind, name: str, part: Subresource) -> Obj:
    where = {"group": part.group, "version": part.version} if part.group else {}
    head: Mapping[str, object] = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
    return {**head, **where, "kind": part.kind or kind.kind, "verbs": list(part.verbs)}


def _storage_hash(kind: ResourceKind) -> str:
    return base64.b64encode(hashlib.sha256(f"{kind.hub}/{kind.kind}".encode()).digest()[:8]).decode()


def _aggregated_row(kind: ResourceKind) -> Obj:
    home = {"group": kind.group, "version": kind.version} if kind.custom else {"group": "", "version": ""}
    row: Obj = {
        "resource": kind.plural,
        "responseKind": {**home, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if kind.categories:
        row["categories"] = list(kind.categories)
    if kind.subresources:
        row["subresources"] = [_aggregated_part(kind, name, SUBRESOURCES[name], home) for name in kind.subresources]
    return row


def _aggregated_part(kind: ResourceKind, name: str, part: Subresource, home: Obj) -> Obj:
    given = {"group": part.group, "version": part.version} if part.group else home
    return {"subresource": name, "responseKind": {**given, "kind": part.kind or kind.kind}, "verbs": list(part.verbs)}
