"""The rules of built-in kinds that a schema cannot tell."""

from collections.abc import Sequence

from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import Cause, Obj


def faults(kind: ResourceKind, new: Obj, old: Obj | None, subresource: str) -> Sequence[Cause]:
    """Return what is wrong with an object."""
    return []
