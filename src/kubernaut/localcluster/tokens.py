"""Tokens of service accounts: JSON web tokens signed with the cluster's own key."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from kubernaut.localcluster.errors import Obj

ISSUER = "https://kubernetes.default.svc"
_HEADER = {"alg": "HS256", "typ": "JWT"}
_PARTS = 3


class InvalidTokenError(ValueError):
    """A token that is not one of ours, or no more."""


def _encode(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True, slots=True)
class TokenBook:
    """Signs and checks tokens with one key."""

    key: bytes

    def _sign(self, head: bytes) -> bytes:
        return _encode(hmac.new(self.key, head, hashlib.sha256).digest())

    def issue(self, account: Obj, audiences: list[str], expires: datetime, now: datetime, token_id: str) -> str:
        """Return a token for a service account."""
        meta = account["metadata"]
        claims: dict[str, Any] = {
            "aud": audiences,
            "exp": int(expires.timestamp()),
            "iat": int(now.timestamp()),
            "iss": ISSUER,
            "jti": token_id,
            "kubernetes.io": {"namespace": meta["namespace"], "serviceaccount": {"name": meta["name"], "uid": meta["uid"]}},
            "nbf": int(now.timestamp()),
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
        }
        head = _encode(orjson.dumps(_HEADER)) + b"." + _encode(orjson.dumps(claims))
        return (head + b"." + self._sign(head)).decode()

    def read(self, token: str, now: datetime) -> Obj:
        """Return a token's claims; raise InvalidTokenError for a forged or expired one."""
        head, _, signature = token.rpartition(".")
        if token.count(".") != _PARTS - 1 or not hmac.compare_digest(self._sign(head.encode()), signature.encode()):
            raise InvalidTokenError("invalid bearer token")
        try:
            claims: Obj = orjson.loads(_decode(head.split(".")[1]))
        except (binascii.Error, orjson.JSONDecodeError) as error:
            raise InvalidTokenError("invalid bearer token") from error
        if claims["exp"] < now.astimezone(UTC).timestamp():
            raise InvalidTokenError("[invalid bearer token, service account token has expired]")
        return claims
