"""The Kubernetes API as code inside the process sees it: what the stand-in controllers and the pipeline runner are written against."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from kubernaut.localcluster.errors import Obj

__all__ = ["Api", "Obj", "Objects", "ResourceKind", "WatchEvent"]

Objects = list[Obj]


@dataclass(frozen=True)
class ResourceKind:
    """One kind as served in one version: a row of the built-in table, or a version of a custom resource definition."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    generation: bool = False
    """Whether metadata.generation is kept."""
    custom: bool = False
    stored: str = ""
    """The storage key, `plural.group` of the storage version; events of both groups share one."""
    hub: str = ""
    """The apiVersion objects are stored with."""
    definition: Obj | None = field(default=None, compare=False, repr=False)
    """Of a custom resource: its version entry in the definition's spec."""

    @property
    def api_version(self) -> str:
        """`group/version`, or the version alone for core."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`plural.group`, or the plural alone for core."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


class WatchEvent(NamedTuple):
    """One line of a watch; `type` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Obj


class Api(Protocol):
    """The Kubernetes API in process: same checks, storage, admission and watch as over HTTP.

    Objects returned are shared: never mutate them.
    """

    def kind(self, group: str, plural: str) -> ResourceKind:
        """Return the preferred version of a resource; raise ApiError 404 where it is not served."""

    async def get(self, kind: ResourceKind, name: str, namespace: str = "") -> Obj:
        """Return one object; raise ApiError 404."""

    async def list(self, kind: ResourceKind, namespace: str = "", *, labels: str = "", fields: str = "") -> Objects:
        """Return the objects of a namespace (or of all), by namespace and name."""

    async def create(self, kind: ResourceKind, obj: Obj) -> Obj:
        """Create an object in the namespace its metadata names."""

    async def update(self, kind: ResourceKind, obj: Obj, subresource: str = "") -> Obj:
        """Replace an object; raise ApiError 409 where metadata.resourceVersion is given and stale."""

    async def patch(self, kind: ResourceKind, name: str, namespace: str, patch: Obj, subresource: str = "") -> Obj:
        """Apply a JSON merge patch."""

    async def delete(
        self,
        kind: ResourceKind,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        propagation: str = "",
        grace_seconds: int | None = None,
    ) -> None:
        """Delete an object; `uid` is a precondition, `propagation` Background, Foreground or Orphan."""

    def watch(self, kind: ResourceKind) -> AsyncIterator[WatchEvent]:
        """Yield an ADDED for all that is there, a BOOKMARK when caught up, then every change; never ends by itself.

        Raises ApiError 404 once the kind is served no more, 410 where the caller fell behind the history: it begins anew then.
        """

    def acting_as(self, manager: str) -> "Api":
        """Return the same API with writes made under a field manager's name."""
