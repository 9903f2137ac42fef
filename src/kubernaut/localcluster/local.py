"""The API for code inside the process: the same registry as behind HTTP, without the wire."""

from collections.abc import AsyncIterator
from dataclasses import replace

import orjson

from kubernaut.localcluster import deletion, errors, faces, writing
from kubernaut.localcluster.api import Objects, ResourceKind, WatchEvent
from kubernaut.localcluster.calls import Call, DeleteOptions
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.patch import merge_patch
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.selecting import Selection


def _own(obj: Obj) -> Obj:
    copied: Obj = orjson.loads(orjson.dumps(obj))
    return copied


class LocalApi:
    """Implements `api.Api` over a registry."""

    def __init__(self, registry: Registry, call: Call) -> None:
        """Act as the caller given."""
        self._registry = registry
        self._call = call

    def acting_as(self, manager: str) -> "LocalApi":
        """Return the same API with writes made under a field manager's name."""
        return LocalApi(self._registry, replace(self._call, manager=manager))

    def kind(self, group: str, plural: str) -> ResourceKind:
        """Return the preferred version of a resource; raise ApiError 404."""
        return self._registry.catalog.preferred(group, plural)

    async def get(self, kind: ResourceKind, name: str, namespace: str = "") -> Obj:
        """Return one object; raise ApiError 404."""
        return faces.shown(kind, self._registry.get(kind, namespace, name))

    async def create(self, kind: ResourceKind, obj: Obj) -> Obj:
        """Create an object in the namespace its metadata names."""
        body = {"apiVersion": kind.api_version, "kind": kind.kind, **_own(obj)}
        namespace = body["metadata"].get("namespace", "")
        record = await self._registry.hooks.carry_out(
            self._fresh(), body, lambda call, body: writing.create(self._registry, kind, namespace, body, call)
        )
        return faces.shown(kind, record)

    async def update(self, kind: ResourceKind, obj: Obj, subresource: str = "") -> Obj:
        """Replace an object; raise ApiError 409 where metadata.resourceVersion is given and stale."""
        body = {"apiVersion": kind.api_version, "kind": kind.kind, **_own(obj)}
        meta = body["metadata"]
        namespace, name = meta.get("namespace", ""), meta["name"]
        record = await self._registry.hooks.carry_out(
            self._fresh(),
            body,
            lambda call, body: writing.replace(self._registry, kind, namespace, name, body, call, subresource, checked=False),
        )
        return faces.shown(kind, record)

    async def patch(self, kind: ResourceKind, name: str, namespace: str, patch: Obj, subresource: str = "") -> Obj:
        """Apply a JSON merge patch."""
        record = await self._registry.hooks.carry_out(
            self._fresh(),
            patch,
            lambda call, patch: writing.patch(
                self._registry, kind, namespace, name, lambda obj: merge_patch(obj, _own(patch)), call, subresource
            ),
        )
        return faces.shown(kind, record)

    async def delete(
        self,
        kind: ResourceKind,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        propagation: str = "",
        grace_seconds: int | None = None,
    ) -> None:
        """Delete an object; `uid` is a precondition, `propagation` Background, Foreground or Orphan."""
        options = DeleteOptions(uid=uid, propagation=propagation, grace_seconds=grace_seconds)
        await self._registry.hooks.carry_out(
            self._fresh(), options, lambda call, options: deletion.delete(self._registry, kind, namespace, name, options, call)
        )

    async def watch(self, kind: ResourceKind) -> AsyncIterator[WatchEvent]:
        """Yield an ADDED for all that is there, a BOOKMARK when caught up, then every change.

        Raises ApiError 404 once the kind is served no more, 410 where the caller is too slow; the watch is begun anew then.
        """
        store = self._registry.store
        if self._registry.catalog.find(kind.group, kind.version, kind.plural) is None:
            raise errors.no_resource()
        with store.follow(kind.stored, store.revision) as follower:
            for record in list(self._registry.all_of(kind)):
                yield WatchEvent("ADDED", faces.shown(kind, record))
            meta = {"resourceVersion": str(follower.revision), "annotations": {"k8s.io/initial-events-end": "true"}}
            yield WatchEvent("BOOKMARK", {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta})
            while not follower.ended:
                for record in await follower.batch():
                    yield WatchEvent(record.type, faces.shown(kind, record))

        raise errors.no_resource()

    async def list(self, kind: ResourceKind, namespace: str = "", *, labels: str = "", fields: str = "") -> Objects:
        """Return the objects of a namespace (or of all), by namespace and name."""
        selection = Selection(kind, labels, fields)
        return [faces.shown(kind, record) for record in self._registry.all_of(kind, namespace) if selection(record)]

    def _fresh(self) -> Call:
        return replace(self._call, warnings=[])
