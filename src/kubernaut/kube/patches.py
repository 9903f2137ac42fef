"""JSON merge patches (RFC 7386), taken back: their exact inverses, and what of an object they touch. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from kubernaut.api.base import Obj

SHARED: Final = frozenset({"labels", "annotations", "data"})


def inverse(before: Obj, patch: Obj) -> Obj:
    """Return the merge patch that takes `patch` back, so that what comes out is what was before, as JSON, to the byte."""
    return {key: _inverse(key, before.get(key), value) for key, value in patch.items() if key in before or value is not None}


def _inverse(key: str, before: Any, value: Any) -> Any:
    """A null takes away what was not there; an object that stays an object is taken back member by member; the rest comes back whole.

    Maps that many write into lose only what was added to them, though they were not there before: the API server drops empty ones.
    """
    if isinstance(value, dict) and (isinstance(before, dict) or (before is None and key in SHARED)):
        return inverse(before or {}, value)
    return before


def touched(obj: Obj, patch: Obj) -> Obj:
    """Return the fields of an object that a patch names, as they are; what is absent is left out."""
    return {key: touched(obj[key], value) if both(obj[key], value) else obj[key] for key, value in patch.items() if key in obj}


def both(one: Any, other: Any) -> bool:
    """Tell whether both are objects."""
    return isinstance(one, dict) and isinstance(other, dict)


def merged(target: Any, patch: Any) -> Any:
    """Return the target with a merge patch applied."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def leaves(patch: Obj, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths at which a patch sets or removes something."""
    for key, value in patch.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key)
