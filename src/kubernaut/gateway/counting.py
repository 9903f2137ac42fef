"""Repeats of a signal, gathered and counted on the open remediation in one write for all that came meanwhile."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from pydantic import ValidationError

from kubernaut.api.base import ResourceIdentifier
from kubernaut.api.remediation import Deduplication, KubernetesProviderData, RemediationRequest
from kubernaut.api.signal import Severity, SignalState
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError

RESOURCES_LIMIT = 20
FIRING_LIMIT = 200
CONFLICT_TRIES = 8


@dataclass(frozen=True, slots=True)
class Repeat:
    """One more report of a problem that has an open remediation."""

    name: str
    resource: ResourceIdentifier
    severity: Severity
    state: SignalState
    seen_at: datetime


class NoLongerOpen(Exception):  # noqa: N818  (a state of the world, not a fault)
    """The remediation ended before the repeat could be counted on it."""


def tallied(request: RemediationRequest, repeats: Sequence[Repeat]) -> dict[str, object]:
    """Return the status fields after counting: pods seen are added, the highest severity is kept, resolved is noted once all says so."""
    status = request.status
    firing = [repeat for repeat in repeats if repeat.state is SignalState.FIRING]
    before = status.deduplication or first_tally(request)
    last = max((repeat.seen_at for repeat in firing), default=before.last_seen_at)
    worst = max([before.highest_severity or request.spec.severity, *(repeat.severity for repeat in firing)], key=lambda each: each.rank)
    after = Deduplication(
        first_seen_at=before.first_seen_at,
        last_seen_at=last,
        occurrence_count=before.occurrence_count + len(firing),
        resources=_seen([*before.resources, *(repeat.resource.path() for repeat in firing)]),
        highest_severity=worst,
        firing=_still_firing(before.firing, repeats),
    )
    fields: dict[str, object] = {"deduplication": after.wire(), "duplicateCount": after.occurrence_count - 1}
    if firing and last is not None:
        fields["lastDuplicateTime"] = last.isoformat()
    return {**fields, **_state(after, repeats[-1].seen_at)}


def first_tally(request: RemediationRequest) -> Deduplication:
    """Return the count as it was when the request was made."""
    spec = request.spec
    resource = reported(request)
    return Deduplication(
        first_seen_at=spec.received_time,
        last_seen_at=spec.received_time,
        resources=[resource.path()],
        highest_severity=spec.severity,
        firing=[_key(spec.signal_name, resource)],
    )


def reported(request: RemediationRequest) -> ResourceIdentifier:
    """Return the object that the first signal was about: the provider data's, else the target."""
    try:
        return KubernetesProviderData.model_validate_json(request.spec.provider_data).resource
    except ValidationError:
        return request.spec.target


def _key(name: str, resource: ResourceIdentifier) -> str:
    return sha256(f"{name}@{resource.path()}".encode()).hexdigest()[:12]


def _still_firing(before: Sequence[str], repeats: Sequence[Repeat]) -> list[str]:
    """Return the keys of the signals that fire after these reports."""
    firing = dict.fromkeys(before)
    for repeat in repeats:
        key = _key(repeat.name, repeat.resource)
        firing.pop(key, None)
        if repeat.state is SignalState.FIRING:
            firing[key] = None
    return list(firing)[-FIRING_LIMIT:]


def _seen(paths: Sequence[str]) -> list[str]:
    """Return each path once, the newest last, at most 20."""
    return list(dict.fromkeys(reversed(paths)))[:RESOURCES_LIMIT][::-1]


def _state(tally: Deduplication, seen_at: datetime) -> Mapping[str, object]:
    if not tally.firing:
        return {"signalState": SignalState.RESOLVED.value, "signalResolvedAt": seen_at.isoformat()}
    return {"signalState": SignalState.FIRING.value, "signalResolvedAt": None}


@dataclass
class _Batch:
    repeats: list[Repeat] = field(default_factory=list)
    stored: asyncio.Future[RemediationRequest] | None = None


class Counter:
    """Counts repeats; a caller is answered only after its count is stored."""

    def __init__(self, cluster: Cluster, *, flush_seconds: float) -> None:
        self._cluster = cluster
        self._flush_seconds = flush_seconds
        self._gathering: dict[tuple[str, str], _Batch] = {}
        self._flushes: set[asyncio.Task[None]] = set()

    async def count(self, request: RemediationRequest, repeat: Repeat) -> RemediationRequest:
        """Count one repeat; return the request as stored. Raises NoLongerOpen, or ApiError when it cannot be stored."""
        batch = self._gathering.get(request.key)
        if batch is None or batch.stored is None:
            batch = self._gathering[request.key] = _Batch(stored=asyncio.get_running_loop().create_future())
            flush = asyncio.create_task(self._flush(request, batch))
            self._flushes.add(flush)
            flush.add_done_callback(self._flushes.discard)
        batch.repeats.append(repeat)
        stored = batch.stored
        if stored is None:
            raise RuntimeError("a batch was gathered without an answer to wait for")
        return await asyncio.shield(stored)

    async def _flush(self, request: RemediationRequest, batch: _Batch) -> None:
        """Wait a little, then write what has gathered; everyone who waits hears how it went."""
        await asyncio.sleep(self._flush_seconds)
        self._gathering.pop(request.key, None)
        stored = batch.stored
        if stored is None:
            return
        try:
            stored.set_result(await self._store(request, batch.repeats))
        except (ApiError, NoLongerOpen) as error:
            stored.set_exception(error)
            stored.exception()

    async def _store(self, request: RemediationRequest, repeats: Sequence[Repeat]) -> RemediationRequest:
        current = self._cluster.find(RemediationRequest, *request.key) or request
        for _ in range(CONFLICT_TRIES):
            if current.status.phase.terminal or current.metadata.deletion_timestamp:
                raise NoLongerOpen(current.metadata.name)
            try:
                return await self._cluster.patch_status(current, tallied(current, repeats))
            except ApiError as error:
                if not (error.conflict or error.not_found):
                    raise
            fresh = await self._cluster.fetch(RemediationRequest, *request.key)
            if fresh is None or fresh.metadata.uid != request.metadata.uid:
                raise NoLongerOpen(request.metadata.name)
            current = fresh
        raise ApiError(503, "TooManyConflicts", f"{request.metadata.name} changes too fast to be counted on")
