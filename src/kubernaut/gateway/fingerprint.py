"""What makes two signals the same problem: a SHA-256 over the owner, or over alert and object."""

from dataclasses import dataclass
from hashlib import sha256

from kubernaut.api.base import ResourceIdentifier
from kubernaut.gateway.settings import FingerprintStrategy


@dataclass(frozen=True, slots=True)
class Identity:
    """Which problem a signal reports, and the object to be remediated."""

    fingerprint: str
    """64 hex digits."""
    form: FingerprintStrategy
    """What it was made of; `alert` also when no owner could be found."""
    target: ResourceIdentifier


def identify(name: str, resource: ResourceIdentifier, owner: ResourceIdentifier | None, strategy: FingerprintStrategy) -> Identity:
    """Return the identity of a signal about `resource`, whose top-level owner is `owner` (None: unknown).

    Owner form hashes `namespace:ownerKind:ownerName`, alert form `alert:namespace:kind:name`. A signal whose owner is unknown
    is never dropped: it takes the alert form and says so.
    """
    if owner is not None and strategy is FingerprintStrategy.OWNER:
        return Identity(_digest(owner.namespace, owner.kind, owner.name), FingerprintStrategy.OWNER, owner)
    target = owner or resource
    return Identity(_digest(name, resource.namespace, resource.kind, resource.name), FingerprintStrategy.ALERT, target)


def _digest(*parts: str) -> str:
    return sha256(":".join(parts).encode()).hexdigest()
