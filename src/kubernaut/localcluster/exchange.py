"""One request on its way through the HTTP face, apart from any HTTP library."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from kubernaut.localcluster.calls import Call, User
from kubernaut.localcluster.parameters import Parameters


@dataclass(frozen=True)
class Asked:
    """A request as it came in, over HTTP or in process."""

    method: str
    path: str
    """Decoded."""
    query: str
    headers: Mapping[str, str]
    """By lower case name."""
    read: Callable[[], Awaitable[bytes]]
    """Gives the body, or raises ApiError 413."""
    acting_groups: tuple[str, ...] = ()
    """The values of `Impersonate-Group`, which may come several times."""
    acting_extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The values of `Impersonate-Extra-KEY` by key in lower case, decoded; each may come several times."""


@dataclass(frozen=True)
class Exchange:
    """A request; header names are lower case, `read` gives the body or raises ApiError 413."""

    method: str
    path: str
    parameters: Parameters
    headers: Mapping[str, str]
    user: User
    read: Callable[[], Awaitable[bytes]]

    @property
    def accept(self) -> str:
        """The Accept header."""
        return self.headers.get("accept", "")

    @property
    def content_type(self) -> str:
        """The Content-Type header."""
        return self.headers.get("content-type", "")

    def call(self, options: str) -> Call:
        """Return how the registry is to be called; `options` names the kind of options in refusals (`CreateOptions`)."""
        parameters = self.parameters
        agent = self.headers.get("user-agent", "").split("/")[0] or "unknown"
        call = Call(self.user, parameters.manager(options) or agent, validation=parameters.validation(options))
        return replace(call, dry_run=parameters.dry_run(options))
