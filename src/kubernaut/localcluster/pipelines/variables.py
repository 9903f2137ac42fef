"""Variable substitution: `$(params.x)`, `$(tasks.t.results.r)`, `$(context.…)` and the like, as Tekton writes them.

A value is a string, a list of strings or an object of strings. `$(x[*])` stands for a whole list or object, `$(x[0])` for
one item and `$(x.key)` for one member; `x["name"]` and `x.name` are the same. What is not known stays as it is written.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from kubernaut.localcluster.errors import Obj

Value = str | list[str] | dict[str, str]
Variables = Mapping[str, Value]

_VARIABLE = re.compile(r"\$\(([^()\s]+)\)")
_QUOTED = re.compile(r"""\[(?:"([^"\]]+)"|'([^'\]]+)')\]""")
_INDEXED = re.compile(r"(.+)\[(\d+)\]")
_STAR = "[*]"


def value_of(raw: Any) -> Value:
    """Return a parameter's value; numbers and booleans become strings, as Tekton's webhook makes them."""
    if isinstance(raw, dict):
        return {str(key): _text(item) for key, item in raw.items()}
    return [_text(item) for item in raw] if isinstance(raw, list) else _text(raw)


def _text(raw: Any) -> str:
    if isinstance(raw, bool):
        return str(raw).lower()
    return "" if raw is None else str(raw)


def references(value: Any) -> list[str]:
    """Return the paths of all variables inside a structure, in order, quoted names written with dots."""
    if isinstance(value, str):
        return [_dotted(path) for path in _VARIABLE.findall(value)]
    if isinstance(value, dict):
        return references(list(value.values()))
    return [path for item in value for path in references(item)] if isinstance(value, list) else []


def expand(value: Any, variables: Variables) -> Any:
    """Return the structure with every known variable put in; a list named by `$(x[*])` inside a list is spliced into it."""
    if isinstance(value, str):
        return _expand_text(value, variables)
    if isinstance(value, dict):
        return {key: expand(item, variables) for key, item in value.items()}
    return _expand_list(value, variables) if isinstance(value, list) else value


def expand_fields(obj: Obj, variables: Variables, *, keep: frozenset[str]) -> Obj:
    """Expand all members of an object but the named ones."""
    return {key: item if key in keep else expand(item, variables) for key, item in obj.items()}


def _expand_list(items: list[Any], variables: Variables) -> list[Any]:
    result: list[Any] = []
    for item in items:
        new = expand(item, variables)
        if isinstance(item, str) and isinstance(new, list):
            result.extend(new)
        else:
            result.append(new)
    return result


def _expand_text(text: str, variables: Variables) -> Value:
    whole = _VARIABLE.fullmatch(text)
    found = _look_up(whole[1], variables) if whole else None
    if found is not None:
        return found
    return _VARIABLE.sub(_putter(variables), text)


def _putter(variables: Variables) -> Callable[[re.Match[str]], str]:
    def put(match: re.Match[str]) -> str:
        found = _look_up(match[1], variables)
        return found if isinstance(found, str) else match[0]

    return put


def _look_up(path: str, variables: Variables) -> Value | None:
    dotted = _dotted(path)
    if dotted.endswith(_STAR):
        found = variables.get(dotted.removesuffix(_STAR))
        return None if isinstance(found, str) else found
    found = variables.get(dotted)
    if isinstance(found, str):
        return found
    item = _item(dotted, variables)
    return _member(dotted, variables) if item is None else item


def _item(path: str, variables: Variables) -> str | None:
    match = _INDEXED.fullmatch(path)
    found = variables.get(match[1]) if match else None
    if match is None or not isinstance(found, list) or int(match[2]) >= len(found):
        return None
    return found[int(match[2])]


def _member(path: str, variables: Variables) -> str | None:
    parent, _, key = path.rpartition(".")
    found = variables.get(parent)
    return found.get(key) if isinstance(found, dict) else None


def _dotted(path: str) -> str:
    return _QUOTED.sub(lambda match: f".{match[1] or match[2]}", path)
