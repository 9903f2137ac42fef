"""Who is asking: static tokens, service account tokens, anonymous callers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from kubernaut.localcluster import errors
from kubernaut.localcluster.calls import User
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.tokens import InvalidTokenError, TokenBook

AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
ANONYMOUS = User("system:anonymous", groups=(UNAUTHENTICATED,))
SERVICE_ACCOUNTS = builtin("", "serviceaccounts")
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"


@dataclass(frozen=True)
class Authenticator:
    """Reads credentials; `static` maps tokens to users."""

    registry: Registry
    book: TokenBook
    static: Mapping[str, User] = field(default_factory=dict, repr=False)
    anonymous: bool = False

    def user(self, headers: Mapping[str, str]) -> User:
        """Return who sent a request; raise ApiError 401."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            found = self.by_token(token.strip())
            if found is None:
                raise errors.unauthorized()
            return found
        if not self.anonymous:
            raise errors.unauthorized()
        return ANONYMOUS

    def by_token(self, token: str) -> User | None:
        """Return the holder of a token, None where nobody is."""
        if known := self.static.get(token):
            return known if AUTHENTICATED in known.groups else replace(known, groups=(*known.groups, AUTHENTICATED))
        try:
            claims = self.book.read(token, self._now())
        except InvalidTokenError:
            return None
        return self.holder(claims)

    def claims(self, token: str) -> Obj | None:
        """Return the claims of a service account's token, None for any other."""
        try:
            return self.book.read(token, self._now())
        except InvalidTokenError:
            return None

    def _now(self) -> datetime:
        return self.registry.sources.clock()

    def holder(self, claims: Obj) -> User | None:
        """Return the service account of a token's claims, None where it is gone."""
        place = claims["kubernetes.io"]
        namespace, account = place["namespace"], place["serviceaccount"]
        record = self.registry.find(SERVICE_ACCOUNTS, namespace, account["name"])
        if record is None or record.obj["metadata"]["uid"] != account["uid"]:
            return None
        extra = {CREDENTIAL_ID: [f"JTI={claims['jti']}"]}
        return replace(service_account(namespace, account["name"]), uid=account["uid"], extra=extra)


def service_account(namespace: str, name: str) -> User:
    """Return the user a service account is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    return User(f"system:serviceaccount:{namespace}:{name}", groups=groups)
