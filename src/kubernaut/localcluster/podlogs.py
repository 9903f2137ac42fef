"""The logs of pods: where their texts come from, and how they are asked for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from kubernaut.localcluster import errors
from kubernaut.localcluster.errors import FieldFault, Obj
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.parameters import Parameters
from kubernaut.localcluster.podparts import PODS
from kubernaut.localcluster.registry import Registry

_NODES = builtin("", "nodes")
_LOG_MAX = 1024 * 1024
_LOOK_SECONDS = 0.2
"""How often a log that is followed is looked at."""
_PULLS = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}


class LogSource(Protocol):
    """Where a pod's log text comes from: whoever plays its kubelet."""

    def __call__(self, namespace: str, pod: str, container: str, *, previous: bool = False) -> str | None:
        """Return what a container wrote, or the one before it did; None where nothing is known of it."""


class PodLogs:
    """The texts that pods wrote, published by whoever runs them; asked in the order added."""

    def __init__(self) -> None:
        """Start without any."""
        self._sources: list[LogSource] = []

    def publish(self, source: LogSource) -> Callable[[], None]:
        """Add a source; return what takes it away."""
        self._sources.append(source)
        return lambda: self._sources.remove(source)

    def text(self, namespace: str, pod: str, container: str, *, previous: bool = False) -> str | None:
        """Return a container's log, or that of the one before it."""
        found = (source(namespace, pod, container, previous=previous) for source in self._sources)
        return next((text for text in found if text is not None), None)


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of a request for a log, checked."""

    container: str
    previous: bool = False
    follow: bool = False
    timestamps: bool = False
    since: datetime | None = None
    tail: int | None = None
    limit: int = _LOG_MAX


class PodLog:
    """The log of one container of one pod, as one request asks for it."""

    def __init__(self, registry: Registry, logs: PodLogs, namespace: str, name: str, parameters: Parameters) -> None:
        """Check what is asked for; raise ApiError 400, 404 or 422."""
        self._registry = registry
        self._logs = logs
        self._place = (namespace, name)
        pod = registry.get(PODS, namespace, name).obj
        self.asked = _read(parameters, pod, registry.sources.clock())
        self._instance = _instance(pod, self.asked.container)

    def text(self) -> str | None:
        """Return what there is now, None where the pod has no node yet; raise ApiError 400 or 404."""
        asked, pod = self.asked, self._registry.get(PODS, *self._place).obj
        found = self._logs.text(*self._place, asked.container, previous=asked.previous)
        if found is None and asked.previous and pod["spec"].get("nodeName"):
            raise errors.bad_request(f'previous terminated container "{asked.container}" in pod "{self._place[1]}" not found')
        if found is None:
            return _silence(self._registry, pod["spec"].get("nodeName", ""))
        _refuse_waiting(pod, asked.container)
        return self._shown(pod, found)

    def _shown(self, pod: Obj, text: str) -> str:
        """Cut a text to what is asked for. All lines are of the moment at which their container started: nobody knows better."""
        asked, begun = self.asked, _begun(pod, self.asked)
        if asked.since and begun and datetime.fromisoformat(begun) < asked.since:
            return ""
        lines = text.splitlines(keepends=True)
        if asked.tail is not None:
            lines = lines[-asked.tail :] if asked.tail else []
        if asked.timestamps and begun:
            lines = [f"{begun.removesuffix('Z')}.000000000Z {line}" for line in lines]
        return "".join(lines)[: asked.limit]

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield what there is, then what comes, until the container has ended, started anew or gone."""
        told = self.text() or ""
        if told:
            yield told.encode()
        seen = len(self._whole())
        while len(told) < self.asked.limit:
            over = self._over()
            if len(whole := self._whole()) > seen:
                fresh, seen = whole[seen:][: self.asked.limit - len(told)], len(whole)
                told += fresh
                yield fresh.encode()
            if over:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def _whole(self) -> str:
        return self._logs.text(*self._place, self.asked.container, previous=self.asked.previous) or ""

    def _over(self) -> bool:
        record = self._registry.find(PODS, *self._place)
        if self.asked.previous or record is None or _instance(record.obj, self.asked.container) != self._instance:
            return True
        status = record.obj.get("status") or {}
        row = _row(record.obj, self.asked.container)
        return bool(row and "running" not in row.get("state", {})) or status.get("phase") in {"Succeeded", "Failed"}


def _read(parameters: Parameters, pod: Obj, now: datetime) -> Asked:
    name = pod["metadata"]["name"]
    tail, seconds, moment = _count(name, "tailLines", parameters), parameters.number("sinceSeconds"), parameters.text("sinceTime")
    container = parameters.text("container") or _only_container(pod, name)
    named = [row["name"] for field in ("containers", "initContainers", "ephemeralContainers") for row in pod["spec"].get(field) or []]
    if container not in named:
        raise errors.bad_request(f"container {container} is not valid for pod {name}")
    previous, follow, timestamps = (parameters.flag(flag) for flag in ("previous", "follow", "timestamps"))
    since, limit = _since(name, seconds, moment, now), parameters.number("limitBytes") or _LOG_MAX
    return Asked(container, previous, follow, timestamps, since, tail, limit)


def _since(name: str, seconds: int | None, moment: str, now: datetime) -> datetime | None:
    if seconds is not None and moment:
        raise _refused(name, "", "FieldValueForbidden", "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified")
    if seconds is not None and seconds < 1:
        raise _refused(name, "sinceSeconds", "FieldValueInvalid", f"Invalid value: {seconds}: must be greater than 0")
    try:
        return now - timedelta(seconds=seconds) if seconds else datetime.fromisoformat(moment) if moment else None
    except (OverflowError, ValueError) as error:
        raise errors.bad_request(f'parsing time "{moment or seconds}": {error}') from error


def _refused(name: str, field: str, reason: str, text: str) -> errors.ApiError:
    return errors.invalid_named("PodLogOptions", "", name, [FieldFault(field, reason, text)])


def _count(name: str, field: str, parameters: Parameters) -> int | None:
    count = parameters.number(field)
    if count is not None and count < 0:
        raise _refused(name, field, "FieldValueInvalid", f"Invalid value: {count}: must be greater than or equal to 0")
    return count


def _only_container(pod: Obj, name: str) -> str:
    named = [str(row["name"]) for row in pod["spec"]["containers"]]
    if len(named) > 1:
        told = " ".join(named)
        raise errors.bad_request(f"a container name must be specified for pod {name}, choose one of: [{told}]")
    return named[0]


def _row(pod: Obj, container: str) -> Obj:
    """Return the status of a container, empty where it has none."""
    status = pod.get("status") or {}
    rows = [row for field in ("containerStatuses", "initContainerStatuses") for row in status.get(field) or ()]
    return next((row for row in rows if row["name"] == container), {})


def _instance(pod: Obj, container: str) -> tuple[str, int]:
    """Return what tells one start of a container from the next."""
    return pod["metadata"]["uid"], _row(pod, container).get("restartCount", 0)


def _begun(pod: Obj, asked: Asked) -> str:
    """Return when the instance that is asked for started, empty where it did not."""
    row = _row(pod, asked.container)
    state, last = row.get("state") or {}, row.get("lastState") or {}
    rows = [last.get("terminated")] if asked.previous else [state.get("running"), state.get("terminated"), last.get("terminated")]
    return next((str(found["startedAt"]) for found in rows if found and found.get("startedAt")), "")


def _refuse_waiting(pod: Obj, container: str) -> None:
    """Refuse the log of a container that never ran, with ApiError 400, as a kubelet does."""
    row = _row(pod, container)
    waiting = (row.get("state") or {}).get("waiting")
    if waiting and not (row.get("lastState") or {}).get("terminated"):
        why = _PULLS.get(waiting.get("reason", ""), waiting.get("reason", ""))
        raise errors.bad_request(f'container "{container}" in pod "{pod["metadata"]["name"]}" is waiting to start: {why}')


def _silence(registry: Registry, node: str) -> str | None:
    if node and registry.find(_NODES, "", node) is None:
        # kube-apiserver names the node as if it were a pod
        raise errors.not_found(PODS, node)
    return "" if node else None
