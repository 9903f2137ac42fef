"""The kinds served now: the built-in table and, as definitions come and go, the custom ones."""

from collections.abc import Iterable, Iterator

from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import no_resource
from kubernaut.localcluster.kinds import BUILTIN

Path = tuple[str, str, str]  # group, version, plural


class Catalog:
    """Kinds by path. `revision` counts its changes, for caches of what is derived from it."""

    def __init__(self, kinds: Iterable[ResourceKind] = BUILTIN) -> None:
        """Start with the built-in kinds."""
        self._kinds: dict[Path, ResourceKind] = {(kind.group, kind.version, kind.plural): kind for kind in kinds}
        self.revision = 0
        self._others: dict[Path, tuple[ResourceKind, ...]] = {}

    def __iter__(self) -> Iterator[ResourceKind]:
        """Yield every kind in every version."""
        return iter(self._kinds.values())

    def find(self, group: str, version: str, plural: str) -> ResourceKind | None:
        """Return the kind served at a path, or None."""
        return self._kinds.get((group, version, plural))

    def preferred(self, group: str, plural: str) -> ResourceKind:
        """Return a resource in its preferred version; raise ApiError 404."""
        for kind in self._kinds.values():
            if (kind.group, kind.plural) == (group, plural):
                return kind
        raise no_resource()

    def by_kind(self, api_version: str, kind: str) -> ResourceKind | None:
        """Return what an object's apiVersion and kind stand for, or None."""
        return next((row for row in self._kinds.values() if row.kind == kind and row.api_version == api_version), None)

    def others(self, kind: ResourceKind) -> tuple[ResourceKind, ...]:
        """Return the other versions and groups in which the objects of a kind are served."""
        path = (kind.group, kind.version, kind.plural)
        if path not in self._others:
            self._others[path] = tuple(other for other in self if other.stored == kind.stored and other != kind)
        return self._others[path]

    def replace(self, group: str, plural: str, kinds: Iterable[ResourceKind]) -> None:
        """Serve these versions of a custom resource, best first, and no others."""
        self._kinds = {path: kind for path, kind in self._kinds.items() if (path[0], path[2]) != (group, plural)}
        self._kinds |= {(kind.group, kind.version, kind.plural): kind for kind in kinds}
        self._others = {}
        self.revision += 1
