"""What other packages bring, by group of entry points: sources, engines, investigators, actions. Looked for once in a process."""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points


@cache
def installed(group: str) -> Sequence[EntryPoint]:
    """Return the entry points of a group, of all packages that are installed."""
    return tuple(entry_points(group=group))
