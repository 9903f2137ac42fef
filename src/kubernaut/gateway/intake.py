"""Each signal becomes exactly one open remediation: a new one, or a count on the one there is.

A Lease for each fingerprint is the claim: its uid and turn give the remediation's name, so that everybody who reads the claim,
in whatever replica and after whatever crash, creates the same object. The turn moves on only when the remediation it stands for has
ended. Memory decides nothing: the cache only says where to look first.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from weakref import WeakValueDictionary

import structlog
from prometheus_client import Counter as Metric

from kubernaut.api import core
from kubernaut.api.base import Obj
from kubernaut.api.remediation import RemediationRequest, claim_name, claimed_name
from kubernaut.api.signal import SignalState
from kubernaut.gateway.counting import Counter, NoLongerOpen, Repeat, first_tally, reported
from kubernaut.gateway.fingerprint import Identity, identify
from kubernaut.gateway.owners import top_owner
from kubernaut.gateway.requests import environment_of, remediation_request
from kubernaut.gateway.settings import FingerprintStrategy, GatewaySettings
from kubernaut.gateway.sources.base import Refused, Signal
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError

FINGERPRINT_INDEX = "fingerprint"
RESOURCE_INDEX = "resource"
ROUNDS = 6
"""How often the claim is read anew when others move it meanwhile."""

log = structlog.get_logger(__name__)
signals_received = Metric("gateway_signals_received_total", "Signals that came in", ["source_type", "severity"])
signals_deduplicated = Metric("gateway_signals_deduplicated_total", "Signals counted on an open remediation", ["source_type"])
signals_rejected = Metric("gateway_signals_rejected_total", "Signals that cannot be handled", ["source_type", "reason"])
requests_created = Metric("gateway_crds_created_total", "RemediationRequests made", ["environment", "priority"])
creation_errors = Metric("gateway_crd_creation_errors_total", "Signals that could not be stored", ["error_type"])


class Became(StrEnum):
    """What became of a signal."""

    CREATED = "created"
    DUPLICATE = "duplicate"
    RESOLVED = "resolved"
    REJECTED = "rejected"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one signal, for the answer."""

    status: Became
    message: str
    fingerprint: str = ""
    request: RemediationRequest | None = None
    reason: str = ""

    def body(self) -> Obj:
        """Return the answer's entry, with the keys of both ages."""
        meta = self.request.metadata if self.request else None
        entry: Obj = {"status": self.status.value, "message": self.message, "duplicate": self.status is Became.DUPLICATE}
        if self.fingerprint:
            entry["fingerprint"] = f"sha256:{self.fingerprint}"
        if meta is not None and self.request is not None:
            tally = self.request.status.deduplication
            entry["remediationRequestName"], entry["remediationRequestNamespace"] = meta.name, meta.namespace
            entry["remediationRequestRef"] = {"name": meta.name, "namespace": meta.namespace}
            entry["count"] = tally.occurrence_count if tally else 1
            entry["environment"], entry["priority"] = self.request.spec.environment, self.request.spec.priority.value
        if self.reason:
            entry["rejection"] = {"reason": self.reason}
        return entry


def is_open(request: RemediationRequest) -> bool:
    """Whether signals still belong to it."""
    return not request.status.phase.terminal and request.metadata.deletion_timestamp is None


def _version(claim: Obj) -> tuple[str, str]:
    return claim["metadata"]["uid"], claim["metadata"]["resourceVersion"]


def resources_of(obj: Obj) -> Iterable[str]:
    """File a request under every object that its signals were about."""
    request = RemediationRequest.model_validate(obj)
    tally = request.status.deduplication or first_tally(request)
    return dict.fromkeys([reported(request).path(), *tally.resources])


class Intake:
    """Takes signals in."""

    def __init__(self, cluster: Cluster, settings: GatewaySettings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._counter = Counter(cluster, flush_seconds=settings.count_flush_seconds)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def take(self, entry: Signal | Refused, *, source: str, body_digest: str) -> Result:
        """Judge and store one entry of a webhook. Never raises for what the API server answers: the result says it."""
        if isinstance(entry, Refused):
            signals_rejected.labels(source, entry.reason).inc()
            log.warning("signal rejected", source=source, reason=entry.reason, message=entry.message[:500])
            return Result(Became.REJECTED, entry.message, reason=entry.reason)
        signals_received.labels(source, entry.severity.value).inc()
        identity = self._identity(entry)
        try:
            async with asyncio.timeout(self._settings.store_timeout_seconds):
                return await self._store(entry, identity, source=source, body_digest=body_digest)
        except TimeoutError:
            return self._failed(identity, "Timeout", "the API server did not answer in time")
        except ApiError as error:
            return self._failed(identity, error.reason or str(error.status), error.message)

    def _failed(self, identity: Identity, reason: str, message: str) -> Result:
        creation_errors.labels(reason).inc()
        log.warning("signal not stored", fingerprint=identity.fingerprint, reason=reason, message=message[:500])
        return Result(Became.FAILED, f"not stored: {message[:500]}", identity.fingerprint, reason=reason)

    def _identity(self, signal: Signal) -> Identity:
        owner = top_owner(signal.resource, self._cluster.read)
        if owner is None and (known := self._seen_before(signal)) is not None:
            return Identity(known.spec.signal_fingerprint, FingerprintStrategy(known.spec.fingerprint_form), known.spec.target)
        return identify(signal.name, signal.resource, owner, self._settings.fingerprint)

    def _seen_before(self, signal: Signal) -> RemediationRequest | None:
        """Return the open remediation that has seen a signal about this object: a pod that is gone still belongs to its problem."""
        known = self._cluster.where(RemediationRequest, RESOURCE_INDEX, signal.resource.path())
        return next((each for each in known if is_open(each)), None)

    async def _store(self, signal: Signal, identity: Identity, *, source: str, body_digest: str) -> Result:
        """Store one signal: on the open remediation, or as a new one."""
        known = self._open(identity.fingerprint)
        for _ in range(ROUNDS):
            if known is None:
                became = await self._opened(signal, identity, source, body_digest)
                if isinstance(became, Result):
                    return became
                known = became
            try:
                return await self._counted(known, signal, source)
            except NoLongerOpen:
                known = None
        raise ApiError(503, "Contended", "the remediation of this signal begins and ends too fast to be counted on")

    async def _opened(self, signal: Signal, identity: Identity, source: str, body_digest: str) -> RemediationRequest | Result:
        """Open a remediation where the cache knows none, or return the one that another task opened meanwhile."""
        if signal.state is SignalState.RESOLVED:
            return Result(Became.RESOLVED, "resolved, and no remediation is open for it", identity.fingerprint)
        async with self._turns.setdefault(identity.fingerprint, asyncio.Lock()):
            return await self._claimed(signal, identity, source, body_digest)

    def _open(self, fingerprint: str) -> RemediationRequest | None:
        """Return the remediation that the cache believes open; a write that follows tells whether it still is."""
        known = self._cluster.where(RemediationRequest, FINGERPRINT_INDEX, fingerprint)
        return next((each for each in known if is_open(each)), None)

    async def _counted(self, request: RemediationRequest, signal: Signal, source: str) -> Result:
        repeat = Repeat(signal.name, signal.resource, signal.severity, signal.state, self._cluster.clock.now())
        stored = await self._counter.count(request, repeat)
        fingerprint = request.spec.signal_fingerprint
        if signal.state is SignalState.RESOLVED:
            return Result(Became.RESOLVED, f"noted on {request.metadata.name}", fingerprint, stored)
        signals_deduplicated.labels(source).inc()
        return Result(Became.DUPLICATE, f"counted on {request.metadata.name}", fingerprint, stored)

    async def _claimed(self, signal: Signal, identity: Identity, source: str, body_digest: str) -> RemediationRequest | Result:
        """Take the fingerprint's turn: return the result of a creation, or the open remediation that another one made."""
        claim, ours = await self._claim(identity.fingerprint)
        for _ in range(ROUNDS):
            name = claimed_name(claim)
            there = await self._cluster.fetch(RemediationRequest, self._settings.namespace, name)
            if there is not None and is_open(there):
                return there
            if there is not None:
                claim, ours = await self._moved_on(claim, identity.fingerprint)
                continue
            if not ours and (stands := await self._claim(identity.fingerprint)) and _version(stands[0]) != _version(claim):
                claim, ours = stands  # it went with a remediation that was deleted just now: the name must not be given again
                continue
            made = await self._created(name, signal, identity, source, body_digest)
            if made is not None:
                return made
        raise ApiError(503, "Contended", "others keep taking this signal's turn")

    async def _claim(self, fingerprint: str) -> tuple[Obj, bool]:
        """Return the fingerprint's claim, and whether this very write made it."""
        namespace, name = self._settings.namespace, claim_name(fingerprint)
        lease = {"metadata": {"name": name, "namespace": namespace}, "spec": {"leaseTransitions": 0}}
        try:
            return await self._cluster.client.create(core.LEASE, lease), True
        except ApiError as error:
            if not error.already_exists:
                raise
        return await self._cluster.client.get(core.LEASE, name, namespace), False

    async def _moved_on(self, claim: Obj, fingerprint: str) -> tuple[Obj, bool]:
        """Move the claim to its next turn, unless somebody else did; return it as it stands then, and whether this write moved it."""
        spec = {**claim["spec"], "leaseTransitions": int(claim["spec"].get("leaseTransitions", 0)) + 1}
        moved = {**claim, "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec}
        try:
            return await self._cluster.client.update(core.LEASE, moved), True
        except ApiError as error:
            if not (error.conflict or error.not_found):
                raise
        return await self._claim(fingerprint)

    async def _created(self, name: str, signal: Signal, identity: Identity, source: str, body_digest: str) -> Result | None:
        """Create the remediation of this turn; None when somebody else just did."""
        where = self._cluster.read(core.NAMESPACE, "", identity.target.namespace) or {}
        environment = environment_of(signal, where.get("metadata", {}).get("labels") or {})
        request = remediation_request(
            name,
            self._settings.namespace,
            signal,
            identity,
            environment=environment,
            source=source,
            body_digest=body_digest,
            now=self._cluster.clock.now(),
        )
        try:
            made = await self._cluster.create(request)
        except ApiError as error:
            if not error.already_exists:
                raise
            return None
        requests_created.labels(made.spec.environment, made.spec.priority.value).inc()
        log.info("remediation created", remediation=name, correlation_id=name, target=request.spec.target_resource)
        return Result(Became.CREATED, f"created {name}", identity.fingerprint, made)
