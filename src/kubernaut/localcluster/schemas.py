"""The compiled schema of each kind served, made once, and the tracking of who set which field."""

from functools import cache

from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.apply import update_managed
from kubernaut.localcluster.builtin import builtin_schema
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.nodes import Node
from kubernaut.localcluster.schema import Schema, compiled

_ANYTHING: Obj = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


class Schemas:
    """Schemas by kind; that of a custom resource is made anew when its definition changes."""

    def __init__(self) -> None:
        """Start empty."""
        self._known: dict[tuple[str, str, str], tuple[Obj | None, Schema]] = {}

    def of(self, kind: ResourceKind) -> Schema:
        """Return the schema of a kind."""
        path = (kind.group, kind.version, kind.kind)
        known = self._known.get(path)
        if known is None or known[0] is not kind.definition:
            known = self._known[path] = (kind.definition, _schema(kind))
        return known[1]

    def node(self, kind: ResourceKind) -> Node:
        """Return the compiled root of a kind's schema."""
        return self.of(kind).node

    def track(self, kind: ResourceKind, old: Obj | None, new: Obj, call: Call, now: str, subresource: str) -> None:
        """Write down in managedFields what a call changed; an apply has done so itself."""
        if call.applied:
            return
        managed = update_managed(
            old, new, manager=call.manager, api_version=kind.api_version, subresource=subresource, now=now, schema=self.node(kind)
        )
        if managed:
            new["metadata"]["managedFields"] = managed
        else:
            new["metadata"].pop("managedFields", None)


def _schema(kind: ResourceKind) -> Schema:
    if kind.definition is not None:
        return compiled((kind.definition.get("schema") or {}).get("openAPIV3Schema") or _ANYTHING)
    return _builtin(kind.group, kind.version, kind.kind)


@cache
def _builtin(group: str, version: str, kind: str) -> Schema:
    return Schema(builtin_schema(group, version, kind))
