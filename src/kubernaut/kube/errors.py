"""What an API server refuses with, as an exception that callers can ask questions."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson

from kubernaut.api.base import Foreseen, Obj

RETRYABLE: Final = frozenset({0, 429, 500, 502, 503, 504})
MESSAGE_LIMIT: Final = 4096
DATA_FAULTS: Final = (LookupError, TypeError, ValueError, AttributeError)
"""What reading an object of an unexpected shape raises."""


class ApiError(Foreseen):
    """A request the API server refused, or that never reached it (status 0)."""

    def __init__(self, status: int, reason: str, message: str, details: Obj | None = None) -> None:
        self.status = status
        self.reason = reason
        self.message = message[:MESSAGE_LIMIT]
        self.details: Obj = details or {}
        super().__init__(f"{' '.join(filter(None, (str(status or ''), reason)))}: {self.message}")

    @classmethod
    def of(cls, status: int, body: bytes, asked: str = "") -> "ApiError":
        """Read an answer's body: a `Status` object, or whatever a proxy wrote, which does not say what was asked."""
        try:
            decoded = orjson.loads(body)
        except orjson.JSONDecodeError:
            decoded = None
        if isinstance(decoded, dict):
            return cls.of_status(decoded, status)
        said = body[:500].decode(errors="replace").strip()
        return cls(status, "", f"{asked}: {said}" if asked else said)

    @classmethod
    def of_status(cls, status: Mapping[str, Any], code: int = 500) -> "ApiError":
        """Read a `Status` object, as in the body of a refusal or in an ERROR event of a watch."""
        return cls(int(status.get("code") or code), status.get("reason") or "", status.get("message") or "", status.get("details"))

    @property
    def not_found(self) -> bool:
        """The object, or its kind, does not exist."""
        return self.status == HTTPStatus.NOT_FOUND

    @property
    def already_exists(self) -> bool:
        """The name is taken."""
        return self.reason == "AlreadyExists"

    @property
    def conflict(self) -> bool:
        """The object has changed since it was read, or fields belong to another manager."""
        return self.status == HTTPStatus.CONFLICT and not self.already_exists

    @property
    def invalid(self) -> bool:
        """The object breaks its schema or its rules."""
        return self.status == HTTPStatus.UNPROCESSABLE_ENTITY

    @property
    def forbidden(self) -> bool:
        """We may not do that, or admission refused it."""
        return self.status == HTTPStatus.FORBIDDEN

    @property
    def expired(self) -> bool:
        """The resource version or continue token is too old: list again."""
        return self.status == HTTPStatus.GONE or self.reason in {"Expired", "Gone"}

    @property
    def retryable(self) -> bool:
        """The same request may succeed later: 429, 500, 502, 503, 504, a timeout, no connection."""
        return self.status in RETRYABLE
