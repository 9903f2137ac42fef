"""Repeats of a signal, gathered and counted on the open remediation in one write for all that came meanwhile."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from pydantic import ValidationError

from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.api.remediation import Deduplication, KubernetesProviderData, RemediationRequest
from kubernaut.api.signal import Severity, SignalState
from kubernaut.gateway.opening import is_open
from kubernaut.gateway.persistence import persistently
from kubernaut.gateway.settings import GatewaySettings
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError

RESOURCES_LIMIT = 20
FIRING_LIMIT = 200
CONFLICT_TRIES = 8
WRITES = 16
"""How many counts are written at once: with the openings, fewer than the client has connections, so that leases still get through."""


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
    whole = {**after.wire(), "firing": after.firing}  # a merge patch that leaves out an empty list leaves the old one standing
    fields: dict[str, object] = {"deduplication": whole, "duplicateCount": after.occurrence_count - 1}
    if firing and last is not None:
        fields["lastDuplicateTime"] = last.isoformat()
    return {**fields, **_state(request, after, repeats[-1].seen_at)}


def changes_nothing(request: RemediationRequest, fields: Mapping[str, object]) -> bool:
    """Whether a status holds these fields already: a sender says "resolved" again until it is heard."""
    status = request.status
    if fields.get("signalState", status.signal_state) != status.signal_state:
        return False
    return Deduplication.model_validate(fields["deduplication"]) == status.deduplication


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
    return _named_in(request.spec.provider_data) or request.spec.target


def paths_of(obj: Obj) -> Iterable[str]:
    """Return every object that the signals of a stored remediation were about."""
    spec, tally = obj["spec"], (obj.get("status") or {}).get("deduplication") or {}
    first = _named_in(spec.get("providerData") or "")
    return dict.fromkeys([first.path() if first else spec["targetResource"], *(tally.get("resources") or ())])


@lru_cache(maxsize=1024)
def _named_in(provider_data: str) -> ResourceIdentifier | None:
    """Return the object that provider data names; None where they name none. They never change, and are looked at with every count."""
    try:
        return KubernetesProviderData.model_validate_json(provider_data).resource
    except ValidationError:
        return None


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


def _state(request: RemediationRequest, tally: Deduplication, seen_at: datetime) -> Mapping[str, object]:
    if not tally.firing and request.status.signal_state is SignalState.RESOLVED:
        return {}
    if not tally.firing:
        return {"signalState": SignalState.RESOLVED.value, "signalResolvedAt": seen_at.isoformat()}
    return {"signalState": SignalState.FIRING.value, "signalResolvedAt": None}


@dataclass
class _Batch:
    """Repeats of one remediation that one write will count."""

    request: RemediationRequest
    stored: asyncio.Future[RemediationRequest]
    repeats: dict[object, Repeat] = field(default_factory=dict)


class Counter:
    """Counts repeats; a caller is answered only after its count is stored.

    A remediation is written by one at a time, and a few are at once: what comes meanwhile gathers. So a storm of repeats waits here,
    where a caller that gives up leaves nothing behind, and not in the API server, where work for nobody would hold up all other.
    """

    def __init__(self, cluster: Cluster, settings: GatewaySettings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._gathering: dict[tuple[str, str], _Batch] = {}
        self._writers: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(WRITES)

    async def count(self, request: RemediationRequest, repeat: Repeat) -> RemediationRequest:
        """Count one repeat; return the request as stored. Raises NoLongerOpen, TimeoutError, or ApiError when it cannot be stored."""
        batch = self._gathering.get(request.key)
        if batch is None:
            batch = self._gathering[request.key] = _Batch(request, asyncio.get_running_loop().create_future())
        if request.key not in self._writers:
            self._writers[request.key] = asyncio.create_task(self._write(request.key))
        mine = object()
        batch.repeats[mine] = repeat
        try:
            return await asyncio.shield(batch.stored)
        finally:
            batch.repeats.pop(mine, None)  # nobody waits for it any more: not to be counted, unless that has begun

    async def _write(self, key: tuple[str, str]) -> None:
        """Write what has gathered for a remediation, and again what has gathered meanwhile."""
        try:
            while key in self._gathering:
                await asyncio.sleep(self._settings.count_flush_seconds)
                async with self._slots:
                    await self._flush(self._gathering.pop(key))
        finally:
            del self._writers[key]

    async def _flush(self, batch: _Batch) -> None:
        """Write one batch; everyone who waits hears how it went."""
        if not batch.repeats:
            return
        try:
            async with asyncio.timeout(self._settings.store_timeout_seconds):
                batch.stored.set_result(await self._store(batch.request, list(batch.repeats.values())))
        except (ApiError, NoLongerOpen, TimeoutError) as error:
            batch.stored.set_exception(error)
            batch.stored.exception()

    async def _store(self, request: RemediationRequest, repeats: Sequence[Repeat]) -> RemediationRequest:
        """Write a count, again where the API server could not take it."""
        return await persistently(_Write(self._cluster, request, repeats).carry_out, self._settings)


class _Write:
    """One count on its way into the status; one that took effect though its answer got lost counts once."""

    def __init__(self, cluster: Cluster, request: RemediationRequest, repeats: Sequence[Repeat]) -> None:
        self._cluster = cluster
        self._request = request
        self._repeats = repeats
        self._current = cluster.find(RemediationRequest, *request.key) or request
        self._live = False
        self._tried: list[Deduplication] = []

    async def carry_out(self) -> RemediationRequest:
        """Write on what there is, and again on what others made of it meanwhile; may be called again when it has failed."""
        if self._tried:
            await self._look()
        for _ in range(CONFLICT_TRIES):
            if (stored := await self._once()) is not None:
                return stored
            await self._look()
        raise ApiError(503, "TooManyConflicts", f"{self._request.metadata.name} changes too fast to be counted on")

    async def _once(self) -> RemediationRequest | None:
        """Return the request as it stands with the count; None where it must be looked at again."""
        current = self._current
        if current.status.deduplication in self._tried:
            return current
        if not is_open(current):
            raise NoLongerOpen(current.metadata.name)
        fields = tallied(current, self._repeats)
        if changes_nothing(current, fields):
            return current if self._live else None
        self._tried.append(Deduplication.model_validate(fields["deduplication"]))
        try:
            return await self._cluster.patch_status(current, fields)
        except ApiError as error:
            if not (error.conflict or error.not_found):
                raise
        return None

    async def _look(self) -> None:
        """Read the request as it is now; raise NoLongerOpen where it is gone, or another has its name."""
        fresh = await self._cluster.fetch(RemediationRequest, *self._request.key)
        if fresh is None or fresh.metadata.uid != self._request.metadata.uid:
            raise NoLongerOpen(self._request.metadata.name)
        self._current, self._live = fresh, True
