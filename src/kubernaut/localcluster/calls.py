"""Who calls, and how: the user and the request options that travel with a call from the HTTP face to the registry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated caller."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


SYSTEM = User("system:apiserver", groups=("system:masters", "system:authenticated"))


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the registry sees it; `warnings` gathers what goes out as Warning headers."""

    user: User = SYSTEM
    manager: str = "apiserver"
    dry_run: bool = False
    validation: str = "Warn"
    """fieldValidation: Strict, Warn or Ignore."""
    warnings: list[str] = field(default_factory=list)
    applied: bool = False
    """A server-side apply, which has settled managedFields itself."""
    answers: dict[str, dict[str, Any]] | None = None
    """What admission webhooks said of this write so far; None where they are not asked."""


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """The options of a delete."""

    uid: str = ""
    resource_version: str = ""
    propagation: str = ""
    """Background, Foreground, Orphan, or empty for the kind's default."""
    grace_seconds: int | None = None
