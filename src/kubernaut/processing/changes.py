"""Who changed what of an object, and when: read off its managed fields. Reads nothing, writes nothing."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from kubernaut.api.base import Obj

MAX_CHANGES: Final = 5
MAX_PATHS: Final = 6
PATH_LIMIT: Final = 120
IDENTITY: Final = ("name", "containerPort", "type", "ip", "key", "mountPath")
"""By which members an item of a list is named, the first that it has."""


def changes(obj: Obj) -> list[Obj]:
    """Return who wrote an object's content (not its status), the newest first: manager, operation, time, fields."""
    entries = [entry for entry in obj["metadata"].get("managedFields") or () if not entry.get("subresource")]
    newest = sorted(entries, key=lambda entry: str(entry.get("time") or ""), reverse=True)
    told = ({**_head(entry), "fields": _bounded(entry.get("fieldsV1") or {})} for entry in newest)
    return [each for each in told if each["fields"]][:MAX_CHANGES]


def _head(entry: Mapping[str, Any]) -> Obj:
    return {"manager": str(entry.get("manager", ""))[:PATH_LIMIT], "operation": entry.get("operation", ""), "at": entry.get("time") or ""}


def _bounded(fields: Mapping[str, Any]) -> list[str]:
    """Return the paths of content that an entry holds; the first few, and how many more there are."""
    paths = list(_paths({name: fields[name] for name in fields if name not in ("f:metadata", "f:status")}, ""))
    more = len(paths) - MAX_PATHS
    return [path[:PATH_LIMIT] for path in paths[:MAX_PATHS]] + ([f"and {more} more"] if more > 0 else [])


def _paths(fields: Any, path: str) -> Iterator[str]:
    """Yield the path of every leaf of a fieldsV1 tree, such as `spec.template.spec.containers[app].image`."""
    below = [(name, part) for name, part in fields.items() if name != "."] if isinstance(fields, dict) else []
    if not below and path:
        yield path
    for name, part in below:
        yield from _paths(part, _below(path, str(name)))


def _below(path: str, name: str) -> str:
    prefix, _, rest = name.partition(":")
    if prefix == "f":
        return f"{path}.{rest}" if path else rest
    return f"{path}[{_identity(rest)}]"


def _identity(text: str) -> str:
    """Name an item of a list by what fieldsV1 writes of it: its keys as JSON, its value, or its place."""
    try:
        keys = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text[:40]
    if not isinstance(keys, dict):
        return str(keys)[:40]
    return str(next((keys[name] for name in IDENTITY if name in keys), next(iter(keys.values()), "")))[:40]
