"""Sources that other packages bring, by the entry point group `kubernaut.sources`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint

from kubernaut.api.base import Unusable
from kubernaut.gateway.sources.base import Source
from kubernaut.plugins import installed

GROUP = "kubernaut.sources"
PREFIX = "/api/v1/signals/"


def with_installed(built_in: Sequence[Source], found: Iterable[EntryPoint] | None = None) -> tuple[Source, ...]:
    """Return the built-in sources and the installed ones; an entry point names a class or function that is called without arguments.

    Raise Unusable for one that cannot be loaded or is no source, and where two share a name or a path.
    """
    points = installed(GROUP) if found is None else found
    sources = (*built_in, *(_loaded(point) for point in points))
    for what, values in (("name", [source.name for source in sources]), ("path", [source.path for source in sources])):
        if doubled := [value for value, times in Counter(values).items() if times > 1]:
            raise Unusable(f"two sources of signals have the {what} {doubled[0]!r}: uninstall one of them")
    return sources


def _loaded(point: EntryPoint) -> Source:
    try:
        source: Source = point.load()()
    except (ImportError, AttributeError, TypeError) as fault:
        raise Unusable(f"the source {point.name!r} ({point.value}) cannot be loaded: {fault}") from fault
    missing = [name for name in ("name", "path", "schema", "read") if not hasattr(source, name)]
    if missing:
        raise Unusable(f"the source {point.name!r} ({point.value}) lacks {', '.join(missing)}: it is no source of signals")
    if not source.path.startswith(PREFIX):
        raise Unusable(f"the source {point.name!r} ({point.value}) must have a path below {PREFIX}, not {source.path!r}")
    return source
