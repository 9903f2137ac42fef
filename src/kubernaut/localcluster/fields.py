"""Sets of fields: who owns what in `metadata.managedFields`, in the form of structured-merge-diff's FieldsV1.

A field is named by path elements as FieldsV1 spells them: `f:name` (member),
`k:{"name":"a"}` (item of a map list), `v:"x"` (item of a set).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubernaut.localcluster.checking import same
from kubernaut.localcluster.nodes import Node

Obj = dict[str, Any]

ABSENT: Any = type("Absent", (), {"__slots__": ()})()
"""What stands where a value is missing; None is a JSON null."""

_ORDER = "fkvi"


@dataclass(slots=True)
class FieldSet:
    """A set of fields: those that belong to it here, and those below."""

    members: set[str] = field(default_factory=set)
    children: "dict[str, FieldSet]" = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Tell whether any field belongs to the set."""
        return bool(self.members) or any(self.children.values())

    def insert(self, path: Sequence[str]) -> None:
        """Add one field; the whole object (an empty path) is never owned."""
        if not path:
            return
        place = self
        for element in path[:-1]:
            place = place.children.setdefault(element, FieldSet())
        place.members.add(path[-1])

    def has(self, path: Sequence[str]) -> bool:
        """Tell whether a field belongs to the set."""
        place: FieldSet | None = self
        for element in path[:-1]:
            place = place.children.get(element) if place else None
        return place is not None and bool(path) and path[-1] in place.members

    def below(self, element: str) -> "FieldSet":
        """Give the fields under an element."""
        return self.children.get(element) or FieldSet()

    def union(self, other: "FieldSet") -> "FieldSet":
        """Give the fields of either."""
        children = dict(self.children)
        for element, theirs in other.children.items():
            children[element] = children[element].union(theirs) if element in children else theirs
        return FieldSet(self.members | other.members, children)

    def intersection(self, other: "FieldSet") -> "FieldSet":
        """Give the fields of both."""
        shared = {
            element: mine.intersection(other.children[element]) for element, mine in self.children.items() if element in other.children
        }
        return FieldSet(self.members & other.members, {element: found for element, found in shared.items() if found})

    def difference(self, other: "FieldSet") -> "FieldSet":
        """Give the fields of this set that are not in the other; a parent does not take its children along."""
        left = {
            element: mine.difference(other.children[element]) if element in other.children else mine
            for element, mine in self.children.items()
        }
        return FieldSet(self.members - other.members, {element: found for element, found in left.items() if found})

    def with_named(self, node: Node | None) -> "FieldSet":
        """Give the set with all named members on the way counted in: who owns `spec.a` then owns `spec`."""
        named = {element for element in self.children if node is not None and element[:2] == "f:" and element[2:] in node.properties}
        children = {element: found.with_named(step(node, element)) for element, found in self.children.items()}
        return FieldSet(self.members | named, children)

    def paths(self) -> Iterator[tuple[str, ...]]:
        """Give all fields, members before what is below, in kube's order."""
        for element in sorted(self.members, key=_rank):
            yield (element,)
        for element in sorted(self.children, key=_rank):
            for rest in self.children[element].paths():
                yield (element, *rest)

    def to_fields_v1(self) -> Obj:
        """Write as FieldsV1."""
        fields: Obj = {}
        for element in sorted({*self.members, *self.children}, key=_rank):
            below = self.below(element)
            fields[element] = below.to_fields_v1() if below else {}
            if below and element in self.members:
                fields[element] = {".": {}, **fields[element]}
        return fields


def from_fields_v1(fields: Obj) -> FieldSet:
    """Read FieldsV1; raises ValueError where it is none."""
    found = FieldSet()
    for element, below in fields.items():
        if element[:2] not in {"f:", "k:", "v:", "i:"} or not isinstance(below, dict):
            raise ValueError(f"invalid FieldsV1 element {element!r}")
        if not below or "." in below:
            found.members.add(element)
        if rest := {name: value for name, value in below.items() if name != "."}:
            found.children[element] = from_fields_v1(rest)
    return found


def _rank(element: str) -> tuple[int, str]:
    return _ORDER.index(element[0]), element


def describe(path: Sequence[str]) -> str:
    """Write a path as conflicts do: `.spec.ports[name="a"].port`."""
    return "".join(map(_describe, path))


def _describe(element: str) -> str:
    kind, text = element[0], element[2:]
    if kind == "f":
        return f".{text}"
    if kind == "k":
        keys = ",".join(f"{name}={_compact(value)}" for name, value in sorted(json.loads(text).items()))
        return f"[{keys}]"
    return f"[={text}]" if kind == "v" else f"[{text}]"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def step(node: Node | None, element: str) -> Node | None:
    """Go down the schema by one path element."""
    if node is None:
        return None
    return node.member(element[2:]) if element[0] == "f" else node.items


def is_map(value: Any, node: Node) -> bool:
    """Tell whether the members of a value are owned one by one."""
    return isinstance(value, dict) and not node.atomic and not (node.builtin and node.keeps_unknown)


def is_keyed_list(value: Any, node: Node) -> bool:
    """Tell whether the items of a value are owned one by one."""
    return isinstance(value, list) and node.list_type in {"map", "set"}


class KeyError_(ValueError):  # noqa: N801, N818 - told apart from the builtin
    """An item of a map list has none of its keys."""


def element_of(item: Any, node: Node) -> str:
    """Name the item of a map or set list."""
    if node.list_type == "set":
        return f"v:{_compact(item)}"
    keys: Obj = {}
    for name in node.list_keys:
        below = node.items.properties.get(name)
        if isinstance(item, dict) and name in item:
            keys[name] = item[name]
        elif below is not None and below.has_default:
            keys[name] = below.raw["default"]
    if not keys:
        told = ", ".join(f'"{name}"' for name in node.list_keys)
        raise KeyError_(
            f"associative list with keys has an element that omits all key fields [{told}]"
            " (and doesn't have default values for any key fields)"
        )
    return f"k:{_compact(keys)}"


def fields_of(value: Any, node: Node) -> FieldSet:
    """Give the fields that a configuration sets: its leaves, the items of its lists, and what it leaves empty."""
    found = FieldSet()
    _collect(value, node, (), found)
    return found


def _collect(value: Any, node: Node, path: tuple[str, ...], found: FieldSet) -> None:
    if is_map(value, node):
        for name, item in value.items():
            below, here = node.member(name), (*path, f"f:{name}")
            if below is None:
                continue
            _collect(item, below, here, found)
            if item is None or item == {} or name not in node.properties:
                found.insert(here)
    elif is_keyed_list(value, node):
        for item in value:
            here = (*path, element_of(item, node))
            _collect(item, node.items, here, found)
            found.insert(here)
    else:
        found.insert(path)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed between two values."""

    added: FieldSet
    modified: FieldSet
    removed: FieldSet


def compare(old: Any, new: Any, node: Node) -> Comparison:
    """Give the fields that were added, modified and removed; a new or gone map counts with all below it."""
    found = Comparison(FieldSet(), FieldSet(), FieldSet())
    _compare(old, new, node, (), found)
    return found


def _compare(old: Any, new: Any, node: Node, path: tuple[str, ...], found: Comparison) -> None:
    if old is new or (isinstance(old, str) and old == new):
        return
    old, new = _filled(old, new, node), _filled(new, old, node)
    if _descends(old, new, node, is_map) and (old or new):
        _compare_maps(_or_empty(old, {}), _or_empty(new, {}), node, path, found)
    elif _descends(old, new, node, is_keyed_list) and (old or new):
        _compare_lists(_or_empty(old, []), _or_empty(new, []), node, path, found)
    elif old is not ABSENT and new is not ABSENT:
        if not same(old, new):
            found.modified.insert(path)
        return
    if old is ABSENT:
        found.added.insert(path)
    elif new is ABSENT:
        found.removed.insert(path)


def _filled(value: Any, other: Any, node: Node) -> Any:
    """Take null for a map or list without content where the other side has one with content."""
    descends = value is None and other and (is_map(other, node) or is_keyed_list(other, node))
    return type(other)() if descends else value


def _descends(old: Any, new: Any, node: Node, fits: Any) -> bool:
    """Tell whether both sides (as far as there) have a form whose parts are compared."""
    return (old is ABSENT or fits(old, node)) and (new is ABSENT or fits(new, node))


def _or_empty(value: Any, empty: Any) -> Any:
    return empty if value is ABSENT else value


def _compare_maps(old: Obj, new: Obj, node: Node, path: tuple[str, ...], found: Comparison) -> None:
    for name in {**old, **new}:
        below = node.member(name)
        if below is not None:
            _compare(old.get(name, ABSENT), new.get(name, ABSENT), below, (*path, f"f:{name}"), found)


def _compare_lists(old: list[Any], new: list[Any], node: Node, path: tuple[str, ...], found: Comparison) -> None:
    before, after = index_items(old, node), index_items(new, node)
    for element in {**before, **after}:
        _compare(before.get(element, ABSENT), after.get(element, ABSENT), node.items, (*path, element), found)


def index_items(items: list[Any], node: Node) -> dict[str, Any]:
    """Give the items of a keyed list by their element; of several with one key the first."""
    found: dict[str, Any] = {}
    for item in items:
        found.setdefault(element_of(item, node), item)
    return found


def without(value: Any, node: Node | None, gone: FieldSet) -> Any:
    """Return a value without some fields; what is empty then is null, as with kube."""
    if node is None or not gone or not value:
        return value
    if is_map(value, node):
        kept = {name: _kept(item, step(node, f"f:{name}"), f"f:{name}", gone) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item is not ABSENT} or None
    if is_keyed_list(value, node):
        items = [_kept(item, node.items, element_of(item, node), gone) for item in value]
        return [item for item in items if item is not ABSENT] or None
    return value


def _kept(value: Any, node: Node | None, element: str, gone: FieldSet) -> Any:
    return ABSENT if element in gone.members else without(value, node, gone.below(element))


def merge(old: Any, new: Any, node: Node) -> Any:
    """Lay a configuration over a value: maps merge, keyed lists merge by key, all else is replaced."""
    if new is ABSENT:
        return old
    if is_map(old, node) and is_map(new, node) and (old or new):
        return {**old, **{name: _merged(old, new, name, node) for name in new}}
    if is_keyed_list(old, node) and is_keyed_list(new, node):
        return _merge_lists(old, new, node)
    return new


def _merged(old: Obj, new: Obj, name: str, node: Node) -> Any:
    below = node.member(name)
    return new[name] if below is None else merge(old.get(name, ABSENT), new[name], below)


def _merge_lists(old: list[Any], new: list[Any], node: Node) -> list[Any]:
    """Merge keyed lists: the order of the new one among the items they share, the others where they stood."""
    before, after = index_items(old, node), index_items(new, node)
    shared = [element for element in after if element in before]
    left, right = list(before), list(after)
    merged: list[Any] = []
    while left or right:
        if left and right and left[0] != right[0] and left[0] in after and shared[:1] != left[:1]:
            left.pop(0)
        elif left and left[0] not in after:
            merged.append(before[left.pop(0)])
        elif right:
            element = right.pop(0)
            if left[:1] == [element]:
                left.pop(0)
            if shared[:1] == [element]:
                shared.pop(0)
            merged.append(merge(before.get(element, ABSENT), after[element], node.items))
        else:
            left.pop(0)
    return merged
