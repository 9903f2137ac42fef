"""The hash chain of the trail, one a day: what a record's hash is made of, and signed checkpoints. Pure.

Shared by the store and by who verifies. A record's hash is SHA-256 over the hash before it and the record's canonical JSON: keys
sorted, no space, times in UTC. A day's chain begins with a hash made of the day and of the last hash of the chain before, so that
a whole day cannot be taken out either.
"""

from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALGORITHM: Final = "sha256"
BEGINNING: Final = "0" * 64
"""What the first chain of all follows."""
KEY_ID_LENGTH: Final = 16
_CANONICAL: Final = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z


def canonical(value: object) -> bytes:
    """Return the one JSON form that is hashed and signed."""
    return orjson.dumps(value, option=_CANONICAL)


def opening(day: date, follows: str) -> str:
    """Return the hash that the first record of a day follows."""
    return sha256(f"kubernaut audit {day.isoformat()} after {follows}".encode()).hexdigest()


def body(day: date | str, position: int, stored_at: datetime | str, event: Mapping[str, Any]) -> bytes:
    """Return what is hashed of a record: its place in the day's chain, when it was stored, and the event as its producer told it."""
    return canonical({"day": day, "event": event, "position": position, "stored_at": stored_at})


def link(previous: str, content: bytes) -> str:
    """Return the hash of a record that follows another."""
    return sha256(bytes.fromhex(previous) + content).hexdigest()


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain of a day ends; position 0 when it has no record yet. `follows` is the last hash of the chain before."""

    day: date
    position: int
    hash: str
    follows: str

    def of(self, day: date) -> "Head":
        """Return the head for storing on a day: this one, or the beginning of a new chain; a clock that went back changes nothing."""
        return self if day <= self.day else Head(day, 0, opening(day, self.hash), self.hash)


class Signer:
    """Signs with an Ed25519 key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = public_text(key.public_key())
        self.key_id = key_id(self.public)

    def sign(self, statement: Mapping[str, Any]) -> str:
        """Return the signature of a statement in base64."""
        return b64encode(self._key.sign(canonical(statement))).decode()

    def checkpoint(self, head: Head, at: datetime) -> dict[str, Any]:
        """Return a signed word on where a chain stood."""
        statement = {"day": head.day.isoformat(), "position": head.position, "hash": head.hash, "at": at.isoformat()}
        return {**statement, "key_id": self.key_id, "signature": self.sign(statement)}


def public_text(key: Ed25519PublicKey) -> str:
    """Return a public key as base64 of its 32 bytes."""
    return b64encode(key.public_bytes_raw()).decode()


def key_id(public: str) -> str:
    """Return the short name of a public key."""
    return sha256(public.encode()).hexdigest()[:KEY_ID_LENGTH]


def signed(statement: Mapping[str, Any], signature: str, public: str) -> bool:
    """Tell whether a signature of a statement was made with the private half of a key."""
    try:
        key = Ed25519PublicKey.from_public_bytes(b64decode(public, validate=True))
        key.verify(b64decode(signature, validate=True), canonical(statement))
    except (InvalidSignature, NoBase64, ValueError):
        return False
    return True


def checkpoint_holds(checkpoint: Mapping[str, Any], public: str) -> bool:
    """Tell whether a checkpoint was signed with a key."""
    statement = {name: checkpoint.get(name) for name in ("day", "position", "hash", "at")}
    return signed(statement, str(checkpoint.get("signature", "")), public)
