"""Validation of a value against a structural schema, in the words of apiextensions-apiserver (kube-openapi's validator underneath)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubernaut.localcluster import regular, strfmt
from kubernaut.localcluster.faults import Fault, child, duplicate, invalid, not_supported, required, shown, too_long, too_many, type_invalid
from kubernaut.localcluster.nodes import Node

Obj = dict[str, Any]

_INT_RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_UNREQUIRED_PARTS = frozenset({"metadata", "status"})
_MAY_BE_EMPTY: Mapping[str, frozenset[str]] = {
    "authentication.v1.TokenReviewSpec": frozenset({"token"}),
    "core.v1.HTTPHeader": frozenset({"value"}),
    "core.v1.LimitRangeSpec": frozenset({"limits"}),
    "core.v1.Sysctl": frozenset({"value"}),
}
"""Required for the schema, but an empty value will do."""


def faults(value: Any, node: Node, old: Any = None) -> list[Fault]:
    """Return the faults of a whole custom object, without those in parts that `old` has just so (ratcheting)."""
    return [*_value_faults(_At(value, node, "", old)), *_list_faults(_At(value, node, "", old))]


def required_faults(value: Any, node: Node, path: str = "") -> list[Fault]:
    """Return the required members of a built-in object that are absent or empty; metadata and status are not looked at."""
    if isinstance(value, list):
        return [fault for index, item in enumerate(value) for fault in required_faults(item, node.items, f"{path}[{index}]")]
    if not isinstance(value, dict):
        return []
    allowed = _MAY_BE_EMPTY.get(node.go_type, frozenset())
    found = [required(child(path, name)) for name in sorted(node.required - allowed) if value.get(name) in (None, "", [])]
    for name, item in value.items():
        below = node.properties.get(name)
        if below is not None and (path or name not in _UNREQUIRED_PARTS):
            found += required_faults(item, below, child(path, name))
    return found


@dataclass(frozen=True, slots=True)
class _At:
    """A value, its schema, where it stands, and what stood there before."""

    value: Any
    node: Node
    path: str
    old: Any = None

    @property
    def unchanged(self) -> bool:
        return self.old is not None and same(self.old, self.value)

    def below(self) -> "Iterator[_At]":
        """Give the members or items that have a schema."""
        if isinstance(self.value, dict):
            yield from self._members()
        elif isinstance(self.value, list):
            olds = _old_items(self)
            for index, item in enumerate(self.value):
                yield _At(item, self.node.items, f"{self.path}[{index}]", olds(index, item))

    def _members(self) -> "Iterator[_At]":
        old = self.old if isinstance(self.old, dict) else {}
        for name, item in self.value.items():
            below = self.node.properties.get(name) or self.node.additional
            if below is not None:
                yield _At(item, below, child(self.path, name), old.get(name))

    def words(self) -> str:
        return f"{self.path} in body"


def same(left: Any, right: Any) -> bool:
    """Compare as JSON: true is not 1."""
    if isinstance(left, str):
        return isinstance(right, str) and left == right
    return bool(left == right) and shown(left) == shown(right)


def _old_items(at: _At) -> Callable[[int, Any], Any]:
    """Find the former self of a list item: by keys in `map` lists, nothing elsewhere."""
    if at.node.list_type != "map" or not isinstance(at.old, list):
        return lambda _index, _item: None
    former = {_keys_of(item, at.node): item for item in at.old if isinstance(item, dict)}
    return lambda _index, item: former.get(_keys_of(item, at.node)) if isinstance(item, dict) else None


def _keys_of(item: Obj, node: Node) -> str:
    return shown([item.get(key) for key in node.list_keys])


def _value_faults(at: _At) -> list[Fault]:
    """Check a value and all below it."""
    if at.unchanged:
        return []
    if at.value is None:
        return [] if at.node.nullable or _accepts_any(at.node) else [_wrong_type(at)]
    found = [fault for check in _CHECKS for fault in check(at)]
    for below in at.below():
        found += _value_faults(below)
    return found


def _accepts_any(node: Node) -> bool:
    return not node.type and not node.int_or_string


def _wrong_type(at: _At) -> Fault:
    wanted = "integer,string" if at.node.int_or_string else at.node.type
    actual = json_type(at.value)
    return type_invalid(at.path, actual, f'{at.words()} must be of type {wanted}: "{actual}"')


def json_type(value: Any) -> str:
    """Name the JSON type of a value; a number without fraction is an integer."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    return {float: "number", str: "string", list: "array", dict: "object"}[type(value)]


def _type(at: _At) -> Iterator[Fault]:
    """Check the JSON type."""
    actual, wanted = json_type(at.value), at.node.type
    if at.node.int_or_string:
        fits = actual in {"integer", "string"}
    else:
        fits = not wanted or actual == wanted or (wanted == "number" and actual == "integer")
    if not fits:
        yield _wrong_type(at)


def _text(at: _At) -> Iterator[Fault]:
    """Check length and pattern of a text; the first failure is the only one told."""
    if not isinstance(at.value, str):
        return
    raw = at.node.raw
    if "maxLength" in raw and len(at.value) > raw["maxLength"]:
        yield too_long(at.path, int(raw["maxLength"]))
    elif "minLength" in raw and len(at.value) < raw["minLength"]:
        yield invalid(at.path, at.value, f"{at.words()} should be at least {int(raw['minLength'])} chars long")
    elif "pattern" in raw and not regular.found(raw["pattern"], at.value):
        yield invalid(at.path, at.value, f"{at.words()} should match '{raw['pattern']}'")


def _format(at: _At) -> Iterator[Fault]:
    """Check a text's format; unknown formats are no rule."""
    if isinstance(at.value, str) and at.node.format and not strfmt.matches(at.node.format, at.value):
        yield type_invalid(at.path, at.value, f"{at.words()} must be of type {at.node.format}: {shown(at.value)}")


def _number(at: _At) -> Iterator[Fault]:
    """Check bounds of a number, and that an integer is one."""
    value = at.value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    yield from _integer(at)
    for keyword, why in _bounds(value, at.node.raw):
        yield invalid(at.path, value, f"{at.words()} should be {why} {shown(keyword)}")


def _integer(at: _At) -> Iterator[Fault]:
    """Check that a number fits an integer type; these faults carry no field, as in the real thing."""
    if at.node.type != "integer":
        return
    low, high = _INT_RANGES.get(at.node.format, _INT_RANGES["int64"])
    if at.value != int(at.value) or not low <= at.value <= high:
        of = f"with format {at.node.format}" if at.node.format in _INT_RANGES else "(default format)"
        yield invalid("<nil>", "", f"Checked value must be of type integer {of} in {at.path}")


def _bounds(value: float, raw: Obj) -> Iterator[tuple[Any, str]]:
    """Give each bound that the number breaks, with its words."""
    if "multipleOf" in raw and value % raw["multipleOf"]:
        yield raw["multipleOf"], "a multiple of"
    if "maximum" in raw:
        exclusive = raw.get("exclusiveMaximum")
        if value > raw["maximum"] or (exclusive and value == raw["maximum"]):
            yield raw["maximum"], "less than" if exclusive else "less than or equal to"
    if "minimum" in raw:
        exclusive = raw.get("exclusiveMinimum")
        if value < raw["minimum"] or (exclusive and value == raw["minimum"]):
            yield raw["minimum"], "greater than" if exclusive else "greater than or equal to"


def _size(at: _At) -> Iterator[Fault]:
    """Check the number of items or members."""
    if not isinstance(at.value, (list, dict)):
        return
    most, least, noun = (
        ("maxItems", "minItems", "items") if isinstance(at.value, list) else ("maxProperties", "minProperties", "properties")
    )
    raw, count = at.node.raw, len(at.value)
    if least in raw and count < raw[least]:
        yield invalid(at.path, count, f"{at.words()} should have at least {int(raw[least])} {noun}")
    if most in raw and count > raw[most]:
        yield too_many(at.path, count, int(raw[most]))


def _enum(at: _At) -> Iterator[Fault]:
    """Check the enumeration."""
    allowed = at.node.raw.get("enum")
    if allowed and not any(same(at.value, item) for item in allowed):
        yield not_supported(at.path, at.value, allowed)


def _members(at: _At) -> Iterator[Fault]:
    """Check that required members are there, and that an embedded object says what it is."""
    if not isinstance(at.value, dict):
        return
    for name in sorted(at.node.required - set(at.value)):
        yield required(child(at.path, name))
    if at.node.embedded:
        for name in ("apiVersion", "kind"):
            if not at.value.get(name):
                yield required(child(at.path, name), "must not be empty")


def _combined(at: _At) -> Iterator[Fault]:
    """Check allOf, anyOf, oneOf and not."""
    raw = at.node.raw
    quoted = f'"{at.path}"'
    for schema in raw.get("allOf") or ():
        yield from _value_faults(_nested(at, schema))
    if raw.get("anyOf") and not at.node.int_or_string:
        tries = [_value_faults(_nested(at, schema)) for schema in raw["anyOf"]]
        if all(tries):
            yield invalid("<nil>", "", f"{quoted} must validate at least one schema (anyOf)")
            yield from min(tries, key=len)
    if raw.get("oneOf"):
        yield from _one_of(at, [_value_faults(_nested(at, schema)) for schema in raw["oneOf"]])
    if raw.get("not") and not _value_faults(_nested(at, raw["not"])):
        yield invalid("<nil>", "", f"{quoted} must not validate the schema (not)")


def _one_of(at: _At, tries: Sequence[list[Fault]]) -> Iterator[Fault]:
    """Check that just one alternative holds."""
    valid = sum(not found for found in tries)
    if valid == 1:
        return
    told = "Found none valid" if not valid else f"Found {valid} valid alternatives"
    yield invalid("<nil>", "", f'"{at.path}" must validate one and only one schema (oneOf). {told}')
    if not valid:
        yield from min(tries, key=len)


def _nested(at: _At, schema: Obj) -> _At:
    """Look at the same value with another schema; what it was before does not count there."""
    return _At(at.value, Node(schema, builtin=False), at.path)


_CHECKS: tuple[Callable[[_At], Iterator[Fault]], ...] = (_type, _combined, _text, _format, _number, _size, _enum, _members)


def _list_faults(at: _At) -> list[Fault]:
    """Check that sets hold no value twice and maps no key twice."""
    if at.unchanged:
        return []
    found = [] if not isinstance(at.value, list) else list(_repeated(at))
    for below in at.below():
        found += _list_faults(below)
    return found


def _repeated(at: _At) -> Iterator[Fault]:
    """Give a fault for each item seen before."""
    if at.node.list_type == "atomic":
        return
    seen: set[str] = set()
    for index, item in enumerate(at.value):
        identity = _map_key(item, at.node) if at.node.list_type == "map" else item
        if shown(identity) in seen:
            yield duplicate(f"{at.path}[{index}]", identity)
        seen.add(shown(identity))


def _map_key(item: Any, node: Node) -> Any:
    """Give the keys of an item of a map list, as an object."""
    return {key: item[key] for key in node.list_keys if key in item} if isinstance(item, dict) else item
