"""Acting as another: who a request wants to be taken for, and whether its sender may.

Two ways lead there: the verb `impersonate` on the identity, which allows everything that the other may do, and since v1.36 a pair of
verbs, `impersonate:MODE` on the identity and `impersonate-on:MODE:VERB` on what is asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kubernaut.localcluster import errors
from kubernaut.localcluster.authn import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, service_account
from kubernaut.localcluster.calls import User
from kubernaut.localcluster.rbac import Attributes, Authorizer, refusal

EXTRA = "impersonate-extra-"
"""What names of the headers that carry extra fields begin with, in lower case."""
_AUTHN = "authentication.k8s.io"
_ACCOUNT = "system:serviceaccount:"
_NODE = "system:node:"
_ACCOUNT_PARTS = 4


@dataclass(frozen=True, slots=True)
class Acting:
    """Who a request wants to be taken for, as its headers say."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Sequence[str]] | None = None

    @property
    def account(self) -> tuple[str, str] | None:
        """Namespace and name of the service account that it is, None for any other."""
        parts = self.name.split(":")
        return (parts[2], parts[3]) if self.name.startswith(_ACCOUNT) and len(parts) == _ACCOUNT_PARTS else None

    @property
    def mode(self) -> str:
        """The word for such an identity in verbs."""
        if self.account:
            return "serviceaccount"
        return "arbitrary-node" if self.name.startswith(_NODE) else "user-info"

    def user(self) -> User:
        """Return the user that it is; a service account has its own groups where none are asked for."""
        extra = dict(self.extra or {})
        if self.account and not self.groups:
            return replace(service_account(*self.account), uid=self.uid, extra=extra)
        own = self.groups if self.name == ANONYMOUS.name else tuple(dict.fromkeys((*self.groups, AUTHENTICATED)))
        return User(self.name, self.uid, own or (UNAUTHENTICATED,), extra)


def read(headers: Mapping[str, str], groups: tuple[str, ...], extra: Mapping[str, Sequence[str]]) -> Acting | None:
    """Return who a request wants to be taken for, None where it does not; raise ApiError 500 where it does not say who."""
    name, uid = headers.get("impersonate-user", ""), headers.get("impersonate-uid", "")
    if name:
        return Acting(name, uid, groups, extra)
    if groups or uid or extra:
        raise errors.internal("requested impersonation without impersonating a user")
    return None


def check(authorizer: Authorizer, wanted: Attributes, acting: Acting) -> None:
    """Raise ApiError 403 unless who asks may be taken for another, altogether or for what is wanted."""
    if all(authorizer.decide(row).allowed for row in _identity(wanted.user, acting, "impersonate", "")):
        return
    for row in _constrained(wanted, acting):
        if not authorizer.decide(row).allowed:
            raise refusal(row)


def _constrained(wanted: Attributes, acting: Acting) -> Iterator[Attributes]:
    yield replace(wanted, verb=f"impersonate-on:{acting.mode}:{wanted.verb}")
    yield from _identity(wanted.user, acting, f"impersonate:{acting.mode}", _AUTHN)


def _identity(user: User, acting: Acting, verb: str, group: str) -> Iterator[Attributes]:
    """Yield what must be allowed to be taken for somebody: a line for the name, each group, the uid and each extra value."""
    asked = Attributes(user, verb, group)
    if acting.account:
        namespace, name = acting.account
        yield replace(asked, resource="serviceaccounts", name=name, namespace=namespace)
    elif acting.mode == "arbitrary-node" and group:
        yield replace(asked, resource="nodes", name=acting.name.removeprefix(_NODE))
    else:
        yield replace(asked, resource="users", name=acting.name)
    yield from (replace(asked, resource="groups", name=each) for each in acting.groups)
    if acting.uid:
        yield replace(asked, group=_AUTHN, resource="uids", name=acting.uid)
    for key, values in (acting.extra or {}).items():
        yield from (replace(asked, group=_AUTHN, resource="userextras", subresource=key, name=value) for value in values)
