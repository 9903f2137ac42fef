"""Each signal becomes exactly one open remediation: a new one, or a count on the one there is. Memory decides nothing: the cache
only says where to look first, and a write under a precondition says whether it was right.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from kubernaut.api import core
from kubernaut.api.base import Obj
from kubernaut.api.remediation import MANAGED_LABEL, RemediationRequest
from kubernaut.api.signal import SignalState
from kubernaut.gateway import metrics
from kubernaut.gateway.counting import Counter, NoLongerOpen, Repeat
from kubernaut.gateway.fingerprint import Identity, identify
from kubernaut.gateway.opening import ROUNDS, Arrival, Opening, is_open
from kubernaut.gateway.owners import top_owner
from kubernaut.gateway.persistence import persistently, reason_of
from kubernaut.gateway.requests import environment_of
from kubernaut.gateway.results import Became, Result
from kubernaut.gateway.scope import is_managed
from kubernaut.gateway.settings import FingerprintStrategy, GatewaySettings
from kubernaut.gateway.sources.base import Refused, Signal
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import Informer

FINGERPRINT_INDEX = "fingerprint"
RESOURCE_INDEX = "resource"
PARALLEL = 32
"""How many remediations are opened, or looked for, at once."""


class Intake:
    """Takes signals in."""

    def __init__(self, cluster: Cluster, settings: GatewaySettings, informers: Sequence[Informer] = ()) -> None:
        self._cluster = cluster
        self._settings = settings
        self._informers = informers
        self._opening = Opening(cluster, settings.namespace)
        self._counter = Counter(cluster, settings)
        self._turns: dict[str, asyncio.Task[RemediationRequest | Result]] = {}
        self._slots = asyncio.Semaphore(PARALLEL)

    @property
    def now(self) -> datetime:
        """The time."""
        return self._cluster.clock.now()

    def unsynced(self) -> list[str]:
        """Return the kinds whose caches are not full yet: until then owners are unknown, and signals would be taken for others."""
        return [informer.kind.kind for informer in self._informers if not informer.synced.is_set()]

    async def synced(self) -> list[str]:
        """Wait for the caches as long as the settings allow; return the kinds that are still missing."""
        if not self.unsynced():
            return []
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.start_wait_seconds):
                await asyncio.gather(*(informer.synced.wait() for informer in self._informers))
        return self.unsynced()

    async def take(self, entry: Signal | Refused, *, source: str, body_digest: str) -> Result:
        """Judge and store one report. Never raises for what the API server answers: the result says it."""
        if isinstance(entry, Refused):
            metrics.unreadable(source, entry.reason)
            return Result(Became.REJECTED, entry.message, reason=entry.reason)
        identity, owned = self._identity(entry)
        where = self._cluster.read(core.NAMESPACE, "", identity.target.namespace) or {}
        environment = environment_of(entry, where.get("metadata", {}).get("labels") or {})
        metrics.received(source, entry, environment, owned=owned)
        arrival = Arrival(entry, identity, environment, source, body_digest, self.now)
        if self._is_replay(entry):
            message = f"last seen at {entry.seen_at}: older than the replay window of {self._settings.replay_window}"
            return self._rejected(arrival, "Stale", message)
        return await self._taken(arrival)

    async def _taken(self, arrival: Arrival) -> Result:
        try:
            return await self._store(arrival)
        except TimeoutError:
            return self._failed(arrival, "Timeout", "the API server did not answer in time")
        except ApiError as error:
            if error.invalid:
                return self._rejected(arrival, "Invalid", f"the API server refuses it, and would again: {error.message[:500]}")
            return self._failed(arrival, reason_of(error), error.message)

    def _rejected(self, arrival: Arrival, reason: str, message: str) -> Result:
        metrics.rejected(arrival.source, reason)
        return Result(Became.REJECTED, message, arrival.identity.fingerprint, reason=reason)

    def _failed(self, arrival: Arrival, reason: str, message: str) -> Result:
        metrics.failed(reason)
        return Result(Became.FAILED, f"not stored, send it again: {message[:500]}", arrival.identity.fingerprint, reason=reason)

    def _is_replay(self, signal: Signal) -> bool:
        window = self._settings.replay_window
        return bool(window) and signal.seen_at is not None and self.now - signal.seen_at > window

    def is_fresh(self, moment: datetime) -> bool:
        """Whether a sender's clock time is within the replay window, on either side."""
        window = self._settings.replay_window
        return not window or abs(self.now - moment) <= window

    def _identity(self, signal: Signal) -> tuple[Identity, bool]:
        """Return which problem a signal reports, and whether its object's owner is known."""
        owner = top_owner(signal.resource, self._cluster.read)
        if owner is None and (known := self._seen_before(signal)) is not None:
            return Identity(known.spec.signal_fingerprint, FingerprintStrategy(known.spec.fingerprint_form), known.spec.target), True
        return identify(signal.name, signal.resource, owner, self._settings.fingerprint), owner is not None

    def _seen_before(self, signal: Signal) -> RemediationRequest | None:
        """Return the open remediation that has seen a signal about this object: a pod that is gone still belongs to its problem."""
        known = self._cluster.where(RemediationRequest, RESOURCE_INDEX, signal.resource.path())
        return next((each for each in known if is_open(each)), None)

    async def _store(self, arrival: Arrival) -> Result:
        """Store one signal: on the open remediation, or as a new one."""
        known = self._open(arrival)
        for _ in range(ROUNDS):
            if known is None:
                became = await self._opened(arrival)
                if isinstance(became, Result):
                    return became
                known = became
            try:
                return await self._counted(known, arrival)
            except NoLongerOpen:
                known = None
        raise ApiError(503, "Contended", "the remediation of this signal begins and ends too fast to be counted on")

    async def _opened(self, arrival: Arrival) -> RemediationRequest | Result:
        """Open a remediation where the cache knows none; of signals that come at once one opens it, and the others get to count on it."""
        fingerprint = arrival.identity.fingerprint
        if (turn := self._turns.get(fingerprint)) is not None:
            became = await asyncio.shield(turn)
            return became.request if isinstance(became, Result) and became.request is not None else became
        if arrival.signal.state is SignalState.RESOLVED:
            async with self._slots, asyncio.timeout(self._settings.store_timeout_seconds):
                known = await persistently(lambda: self._opening.find(fingerprint), self._settings)
            return known or Result(Became.RESOLVED, "resolved, and no remediation is open for it", fingerprint)
        turn = self._turns[fingerprint] = asyncio.create_task(self._turn(arrival))
        turn.add_done_callback(lambda done: self._turned(fingerprint, done))
        return await asyncio.shield(turn)

    def _turned(self, fingerprint: str, turn: "asyncio.Task[RemediationRequest | Result]") -> None:
        self._turns.pop(fingerprint, None)
        if not turn.cancelled():
            turn.exception()  # whoever still waits hears it; nobody may

    async def _turn(self, arrival: Arrival) -> RemediationRequest | Result:
        async with self._slots, asyncio.timeout(self._settings.store_timeout_seconds):
            return await self._created(arrival)

    async def _created(self, arrival: Arrival) -> RemediationRequest | Result:
        target = arrival.identity.target
        if not await is_managed(self._cluster, target, silent=not self._settings.managed_only):
            where = f"{target.path()} or its namespace" if target.namespace else target.path()
            return self._rejected(
                arrival, "unmanaged_resource", f"not ours to remediate: label {where} {MANAGED_LABEL}=true to change that"
            )
        opened = await persistently(lambda: self._opening.open(arrival), self._settings)
        if not opened.ours:
            return opened.request
        return Result(Became.CREATED, f"created {opened.request.metadata.name}", arrival.identity.fingerprint, opened.request)

    def _open(self, arrival: Arrival) -> RemediationRequest | None:
        """Return the remediation that the cache believes open; a write that follows tells whether it still is."""
        known = self._cluster.select(RemediationRequest.card, FINGERPRINT_INDEX, arrival.identity.fingerprint)
        return next((each for each in map(self._read, known) if is_open(each)), None)

    def _read(self, obj: Obj) -> RemediationRequest:
        """Return an object of the cache as its model, which a storm of repeats would otherwise have read anew each time."""
        return self._cluster.shared(RemediationRequest, obj)

    async def _counted(self, request: RemediationRequest, arrival: Arrival) -> Result:
        signal, fingerprint = arrival.signal, request.spec.signal_fingerprint
        repeat = Repeat(signal.name, signal.resource, signal.severity, signal.state, self.now)
        async with asyncio.timeout(self._settings.store_timeout_seconds):
            stored = await self._counter.count(request, repeat)
        if signal.state is SignalState.RESOLVED:
            return Result(Became.RESOLVED, f"noted on {request.metadata.name}", fingerprint, stored)
        metrics.deduplicated(arrival.source)
        return Result(Became.DUPLICATE, f"counted on {request.metadata.name}", fingerprint, stored)
