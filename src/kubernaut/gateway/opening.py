"""Opening a remediation, exactly one for a fingerprint, whoever else tries at the same time or tried and died.

A Lease for each fingerprint is the claim: its uid and turn give the remediation's name, so that everybody who reads the claim,
in whatever replica and after whatever crash, creates the same object. The turn moves on only when the remediation it stands for has
ended.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from kubernaut.api import core
from kubernaut.api.base import Obj
from kubernaut.api.remediation import RemediationRequest, claim_name, claimed_name
from kubernaut.gateway import metrics
from kubernaut.gateway.fingerprint import Identity
from kubernaut.gateway.requests import remediation_request
from kubernaut.gateway.sources.base import Signal
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError

ROUNDS: Final = 6
"""How often the claim is read anew when others move it meanwhile."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A signal with all that is known of it when it has come in."""

    signal: Signal
    identity: Identity
    environment: str
    source: str
    body_digest: str
    received_at: datetime

    def request(self, name: str, namespace: str) -> RemediationRequest:
        """Return the remediation that this signal would open."""
        return remediation_request(
            name,
            namespace,
            self.signal,
            self.identity,
            environment=self.environment,
            source=self.source,
            body_digest=self.body_digest,
            now=self.received_at,
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """The open remediation of a fingerprint, and whether this very signal made it."""

    request: RemediationRequest
    ours: bool


def is_open(request: RemediationRequest) -> bool:
    """Whether signals still belong to it."""
    return not request.status.phase.terminal and request.metadata.deletion_timestamp is None


class Opening:
    """Takes a fingerprint's turn."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    async def open(self, arrival: Arrival) -> Opened:
        """Create the remediation, or return the open one that somebody else made, or that a lost answer of ours did. Raises ApiError."""
        fingerprint = arrival.identity.fingerprint
        claim, ours = await self._claim(fingerprint)
        for _ in range(ROUNDS):
            name = claimed_name(claim)
            there = await self._cluster.fetch(RemediationRequest, self._namespace, name)
            if there is not None and is_open(there):
                return Opened(there, _same(there, arrival.request(name, self._namespace)))
            if there is not None:
                claim, ours = await self._moved_on(claim, fingerprint)
                continue
            if not ours and (stands := await self._claim(fingerprint)) and _version(stands[0]) != _version(claim):
                claim, ours = stands  # it went with a remediation that was deleted just now: the name must not be given again
                continue
            made = await self._created(name, arrival)
            if made is not None:
                return Opened(made, ours=True)
        raise ApiError(503, "Contended", "others keep taking this signal's turn")

    async def find(self, fingerprint: str) -> RemediationRequest | None:
        """Return the open remediation of a fingerprint by the API server's own word, or None. Raises ApiError."""
        try:
            claim = await self._cluster.client.get(core.LEASE, claim_name(fingerprint), self._namespace)
        except ApiError as error:
            if error.not_found:
                return None
            raise
        there = await self._cluster.fetch(RemediationRequest, self._namespace, claimed_name(claim))
        return there if there is not None and is_open(there) else None

    async def _claim(self, fingerprint: str) -> tuple[Obj, bool]:
        """Return the fingerprint's claim, and whether this very write made it."""
        name = claim_name(fingerprint)
        lease = {"metadata": {"name": name, "namespace": self._namespace}, "spec": {"leaseTransitions": 0}}
        try:
            return await self._cluster.client.create(core.LEASE, lease), True
        except ApiError as error:
            if not error.already_exists:
                raise
        return await self._cluster.client.get(core.LEASE, name, self._namespace), False

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

    async def _created(self, name: str, arrival: Arrival) -> RemediationRequest | None:
        """Create the remediation of this turn; None when somebody else just did."""
        try:
            made = await self._cluster.create(arrival.request(name, self._namespace))
        except ApiError as error:
            if not error.already_exists:
                raise
            return None
        metrics.created(made)
        log.info("remediation created", remediation=name, correlation_id=name, target=made.spec.target_resource)
        return made


def _version(claim: Obj) -> tuple[str, str]:
    return claim["metadata"]["uid"], claim["metadata"]["resourceVersion"]


def _same(there: RemediationRequest, wanted: RemediationRequest) -> bool:
    """Whether what is there is what this very signal makes: its creation took effect and the answer got lost."""
    return there.spec.received_time == wanted.spec.received_time and there.spec.wire() == wanted.spec.wire()
