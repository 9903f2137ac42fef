"""Objects with their lists of named things (containers, variables, volumes) written as maps by name: one of them can change alone. Pure.

`[{"name": "app", "image": "a"}]` reads `{"[]": ["app"], "[app]": {"image": "a"}}`. A merge patch (RFC 7386) between two objects so
written names exactly what differs, and nothing that stands beside it in the same list.
"""

from typing import Any, Final

from kubernaut.api.base import Obj

ORDER: Final = "[]"
"""Under it stand the names of a list's items in their order."""


def keyed(value: Any) -> Any:
    """Return a JSON value with its lists of named things as maps; any other list stays what it is."""
    if isinstance(value, dict):
        return {_escaped(name): keyed(item) for name, item in value.items()}
    return _mapped(value) if isinstance(value, list) and value and _names(value) else value


def unkeyed(value: Any) -> Any:
    """Return the JSON value that `keyed` was given."""
    if not isinstance(value, dict):
        return value
    if ORDER in value:
        return [{"name": name, **unkeyed(value.get(f"[{name}]") or {})} for name in value[ORDER]]
    return {name.removeprefix("[") if name.startswith("[[") else name: unkeyed(item) for name, item in value.items()}


def item_name(key: str) -> str:
    """Return the name of the item of a list that stands under a key; empty for any other key."""
    return key[1:-1] if key[:1] == "[" and key[:2] != "[[" and key.endswith("]") else ""


def _escaped(name: str) -> str:
    return f"[{name}" if name.startswith("[") else name


def _names(value: list[Any]) -> list[str]:
    """Return the names of a list's items, of which each must have one of its own; empty where that is not so."""
    names = [item.get("name") if isinstance(item, dict) else None for item in value]
    known = {name for name in names if isinstance(name, str) and name}
    return [str(name) for name in names] if len(known) == len(value) else []


def _mapped(value: list[Obj]) -> Obj:
    names = _names(value)
    items = ({key: item for key, item in each.items() if key != "name"} for each in value)
    return {ORDER: names, **{f"[{name}]": keyed(item) for name, item in zip(names, items, strict=True)}}
