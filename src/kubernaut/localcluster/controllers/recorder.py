"""Events as the parts of a cluster tell them: one object for a message, counted up when it is told again."""

import zlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from kubernaut.localcluster.api import Api, Obj, ResourceKind
from kubernaut.localcluster.controllers.moments import micro_stamp, stamp
from kubernaut.localcluster.errors import ApiError

__all__ = ["NORMAL", "WARNING", "Recorder"]

NORMAL, WARNING = "Normal", "Warning"
_REMEMBERED: Final = 4096
_MESSAGE_LIMIT: Final = 1024
_log = structlog.get_logger(__name__)


class Recorder:
    """Writes core/v1 Events in the name of one component."""

    def __init__(self, api: Api, component: str, clock: Callable[[], datetime]) -> None:
        """Speak as `component` (`kubelet`, `deployment-controller`, ...)."""
        self._api = api
        self._kind = api.kind("", "events")
        self._component = component
        self._clock = clock
        self._digits = zlib.crc32(component.encode()) % 1000
        self._last = 0
        self._told: OrderedDict[tuple[str, ...], tuple[str, int]] = OrderedDict()

    async def tell(self, kind: ResourceKind, obj: Obj, type_: str, reason: str, message: str, *, field: str = "", host: str = "") -> None:
        """Record an event about an object; one that the API refuses is logged and lost, as anywhere."""
        namespace = obj["metadata"].get("namespace") or "default"
        told = (obj["metadata"]["uid"], field, type_, reason, message)
        try:
            name, count = self._told.get(told, ("", 0))
            if not count or not await self._counted_up(namespace, name, count + 1):
                name, count = await self._create(_involved(kind, obj, field), namespace, type_, reason, message, host), 0
            self._remember(told, name, count + 1)
        except ApiError as error:
            _log.debug("event lost", reason=reason, object=obj["metadata"]["name"], error=error.message)

    async def scheduling(self, kind: ResourceKind, pod: Obj, type_: str, reason: str, message: str) -> None:
        """Record an event in the newer form that the scheduler uses: eventTime and action, no count."""
        now = self._clock()
        action = "Binding" if reason == "Scheduled" else "Scheduling"
        body = self._body(_involved(kind, pod, ""), pod["metadata"]["namespace"], type_, reason, message) | {
            "eventTime": micro_stamp(now),
            "action": action,
            "reportingInstance": f"{self._component}-0",
        }
        try:
            await self._api.create(self._kind, body)
        except ApiError as error:
            _log.debug("event lost", reason=reason, object=pod["metadata"]["name"], error=error.message)

    async def _counted_up(self, namespace: str, name: str, count: int) -> bool:
        patch = {"count": count, "lastTimestamp": stamp(self._clock())}
        try:
            await self._api.patch(self._kind, name, namespace, patch)
        except ApiError as error:
            if error.code != 404:  # noqa: PLR2004 - an event may have been cleared away
                raise
            return False
        return True

    async def _create(self, involved: Obj, namespace: str, type_: str, reason: str, message: str, host: str) -> str:
        seen = stamp(self._clock())
        source = {"component": self._component} | ({"host": host} if host else {})
        body = self._body(involved, namespace, type_, reason, message) | {
            "source": source,
            "firstTimestamp": seen,
            "lastTimestamp": seen,
            "count": 1,
            "reportingInstance": host,
        }
        return str((await self._api.create(self._kind, body))["metadata"]["name"])

    def _body(self, involved: Obj, namespace: str, type_: str, reason: str, message: str) -> Obj:
        name = f"{involved['name'][:230]}.{self._nanoseconds():x}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": involved,
            "reason": reason,
            "message": message[:_MESSAGE_LIMIT],
            "type": type_,
            "reportingComponent": self._component,
        }

    def _nanoseconds(self) -> int:
        # names differ between components and between events of one moment
        self._last = max(self._last + 1, int(self._clock().timestamp() * 1e6) * 1000 + self._digits)
        return self._last

    def _remember(self, told: tuple[str, ...], name: str, count: int) -> None:
        self._told[told] = (name, count)
        self._told.move_to_end(told)
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)


def _involved(kind: ResourceKind, obj: Obj, field: str) -> Obj:
    meta = obj["metadata"]
    involved = {
        "kind": kind.kind,
        "name": meta["name"],
        "uid": meta["uid"],
        "apiVersion": kind.api_version,
        "resourceVersion": meta["resourceVersion"],
    }
    if "namespace" in meta:
        involved["namespace"] = meta["namespace"]
    return involved | ({"fieldPath": field} if field else {})
