"""Who a caller is and what he may, by the API server's word: TokenReview and SubjectAccessReview; and who we are: SelfSubjectReview."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kubernaut.api.base import Obj
from kubernaut.api.core import SELF_SUBJECT_REVIEW, SUBJECT_ACCESS_REVIEW, TOKEN_REVIEW
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError


@dataclass(frozen=True, slots=True)
class Permission:
    """What a caller must be allowed, as RBAC says it."""

    verb: str
    resource: str
    name: str
    namespace: str
    group: str = ""

    def __str__(self) -> str:
        """Say it for a person."""
        return f"{self.verb} {self.resource} {self.name!r} in {self.namespace}"


class Caller(NamedTuple):
    """What the API server says of the bearer of a token."""

    user: str
    """Empty: it does not know the token, or not for our audience."""
    allowed: bool


@dataclass(frozen=True, slots=True)
class Person:
    """Who we are to the API server."""

    name: str
    groups: tuple[str, ...] = ()


async def person(client: Client) -> Person:
    """Return the name and the groups that the API server knows us by. Raise ApiError."""
    review = await client.create(SELF_SUBJECT_REVIEW, {"metadata": {}})
    found = review["status"]["userInfo"]
    return Person(str(found["username"]), tuple(found.get("groups") or ()))


class Reviewer:
    """Judges tokens. With audiences, a token must be meant for one of them; with a permission, its bearer must have it."""

    def __init__(self, client: Client, *, audiences: Sequence[str] = (), permission: Permission | None = None) -> None:
        self._client = client
        self._audiences = list(audiences)
        self._permission = permission

    async def __call__(self, token: str) -> Caller:
        """Return who bears a token; raise ConnectionError when the API server cannot be asked."""
        try:
            user = await self._user(token)
            name = str(user.get("username") or "")
            return Caller(name, bool(name) and (self._permission is None or await self._allowed(user, self._permission)))
        except ApiError as fault:
            raise ConnectionError(str(fault)) from fault

    async def _user(self, token: str) -> Obj:
        """Return the token's user, or nothing."""
        wanted: Obj = {"audiences": self._audiences} if self._audiences else {}
        review = await self._client.create(TOKEN_REVIEW, {"metadata": {}, "spec": {"token": token} | wanted})
        status: Obj = review.get("status") or {}
        meant = not wanted or bool(set(self._audiences) & set(status.get("audiences") or ()))
        user: Obj = status.get("user") or {}
        return user if status.get("authenticated") and meant else {}

    async def _allowed(self, user: Obj, wanted: Permission) -> bool:
        attributes = {
            "verb": wanted.verb,
            "group": wanted.group,
            "resource": wanted.resource,
            "name": wanted.name,
            "namespace": wanted.namespace,
        }
        spec = {"user": user["username"], "groups": user.get("groups") or [], "resourceAttributes": attributes}
        spec |= {name: user[name] for name in ("uid", "extra") if user.get(name)}
        review = await self._client.create(SUBJECT_ACCESS_REVIEW, {"metadata": {}, "spec": spec})
        return bool((review.get("status") or {}).get("allowed"))
