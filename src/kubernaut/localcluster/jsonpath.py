r"""kube's JSONPath subset, for printer columns and selectable fields (and the waits of tests).

Supported: `.a.b`, `['a.b']`, `[0]`, `[-1]`, `[*]`, `[?(@.type=="Ready")]` (==, !=, <, <=, >, >=, or just existence), `..name`
and `\.` as an escaped dot, with or without braces.
"""

import operator
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterator[Any]]

_STEP = re.compile(
    r"""\.\.(?P<deep>[^.\[\]]+)
      | \.?\[(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\]
      | \.?\[\?\((?P<filter>.*?)\)\]
      | \.?\[(?P<index>-?\d+|\*)\]
      | \.?(?P<name>(?:\\.|[^.\[\]\\])+)""",
    re.VERBOSE,
)
_FILTER = re.compile(r"""\s*@(?P<path>[^=!<>\s]*)\s*(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<value>.+?))?\s*$""")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_PATHS_KEPT = 1024


class JSONPathError(ValueError):
    """The path is outside the subset."""


def find(obj: Any, path: str) -> Any:
    """Give the first value that the path leads to, or None (what a printer column shows)."""
    return next(iter(find_all(obj, path)), None)


def find_all(obj: Any, path: str) -> list[Any]:
    """Give all values that the path leads to, in document order."""
    found = [obj]
    for step in compile_path(path):
        found = [value for node in found for value in step(node)]
    return found


@lru_cache(maxsize=_PATHS_KEPT)
def compile_path(path: str) -> tuple[Step, ...]:
    """Parse a path to its steps; raises JSONPathError."""
    text = path.strip()
    text = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    text = text.removeprefix("$").removeprefix("@")
    steps: list[Step] = []
    position = 0
    while position < len(text) and text[position:] != ".":
        match = _STEP.match(text, position)
        if match is None:
            raise JSONPathError(f"invalid JSONPath {path!r} at {text[position:]!r}")
        steps.append(_step(match))
        position = match.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    """Make the function of one step."""
    if match["deep"]:
        return lambda node: _descendants(node, match["deep"])
    if match["quoted"] is not None:
        return _member(match["quoted"])
    if match["filter"]:
        return _filtered(match["filter"])
    if match["index"]:
        return _indexed(match["index"])
    name = re.sub(r"\\(.)", r"\1", match["name"])
    return _every if name == "*" else _member(name)


def _member(name: str) -> Step:
    """Step into a member of an object."""
    return lambda node: iter([node[name]] if isinstance(node, dict) and name in node else [])


def _indexed(text: str) -> Step:
    """Step into one item of a list, from the end when negative."""
    if text == "*":
        return _every
    index = int(text)
    return lambda node: iter([node[index]] if isinstance(node, list) and -len(node) <= index < len(node) else [])


def _every(node: Any) -> Iterator[Any]:
    """Step into all items or members."""
    if isinstance(node, dict):
        yield from node.values()
    elif isinstance(node, list):
        yield from node


def _descendants(node: Any, name: str) -> Iterator[Any]:
    """Find a member at any depth."""
    if isinstance(node, dict) and name in node:
        yield node[name]
    for child in _every(node):
        yield from _descendants(child, name)


def _filtered(text: str) -> Step:
    """Keep the items for which a comparison holds."""
    match = _FILTER.match(text)
    if match is None:
        raise JSONPathError(f"invalid JSONPath filter {text!r}")
    inner, wanted = match["path"] or "", match["value"]
    compares = _OPERATORS.get(match["op"] or "")
    literal = _literal(wanted) if wanted is not None else None

    def holds(item: Any) -> bool:
        values = find_all(item, inner)
        if compares is None:
            return bool(values)
        return any(_same_type(value, literal) and compares(value, literal) for value in values)

    return lambda node: (item for item in _every(node) if holds(item))


def _literal(text: str) -> Any:
    """Read the right-hand side of a filter: a quoted text, a number or a boolean."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if text in {"true", "false"}:
        return text == "true"
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text) if "." in text else int(text)
    raise JSONPathError(f"invalid JSONPath literal {text!r}")


def _same_type(value: Any, literal: Any) -> bool:
    """Tell whether the two can be compared at all."""
    numbers = (int, float)
    if isinstance(value, bool) or isinstance(literal, bool):
        return isinstance(value, bool) and isinstance(literal, bool)
    return (isinstance(value, numbers) and isinstance(literal, numbers)) or type(value) is type(literal)
