"""What decoding JSON into Go types does to a built-in object: what it refuses, what it drops, how it respells quantities and times."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from kubernaut.localcluster import quantity
from kubernaut.localcluster.checking import json_type
from kubernaut.localcluster.faults import child
from kubernaut.localcluster.gotypes import always_shown, members
from kubernaut.localcluster.nodes import Node
from kubernaut.localcluster.strfmt import is_date_time

Obj = dict[str, Any]

_GO_SCALARS: Mapping[str, str] = {
    "string": "string",
    "boolean": "bool",
    "number": "float64",
    "int32": "int32",
    "int64": "int64",
    "integer": "int64",
}
_GO_JSON: Mapping[str, str] = {"boolean": "bool", "integer": "number"}
_MICRO = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}(Z|[+-]\d{2}:\d{2})")
_LAYOUTS: Mapping[str, str] = {"date-time": "2006-01-02T15:04:05Z07:00", "micro-time": "2006-01-02T15:04:05.000000Z07:00"}
_PRECISIONS: Mapping[str, str] = {"date-time": "seconds", "micro-time": "microseconds"}
_BASE64_GROUP = 4


class _Refused(Exception):  # noqa: N818 - carries a sentence out of a walk
    """Decoding stops at the first value that does not fit."""


def fault(obj: Obj, node: Node) -> str | None:
    """Return why decoding fails, or None. Of a custom object only metadata is decoded, and named from there on."""
    try:
        if node.builtin:
            _check(obj, node, _GoPath(node.go_type, ""))
        elif "metadata" in node.properties and isinstance(obj.get("metadata"), dict):
            meta = node.properties["metadata"]
            _check(obj["metadata"], meta, _GoPath(meta.go_type, ""))
    except _Refused as refused:
        return str(refused)
    return None


class _GoPath:
    """Where decoding stands: the innermost struct, and the members on the way (list positions and map keys are not told)."""

    def __init__(self, struct: str, members: str) -> None:
        self.struct = struct.rpartition(".")[2]
        self.members = members

    def down(self, node: Node, name: str) -> "_GoPath":
        return _GoPath(node.go_type or self.struct, child(self.members, name))

    def refuse(self, value: Any, wanted: str) -> _Refused:
        actual = json_type(value)
        where = f"Go struct field {self.struct}.{self.members}" if self.members else "Go value"
        return _Refused(f"json: cannot unmarshal {_GO_JSON.get(actual, actual)} into {where} of type {wanted}")


def _check(value: Any, node: Node, at: _GoPath) -> None:
    """Raise for the first value that its Go type cannot hold; null is the zero value of every type."""
    if value is None or (not node.type and not node.format):
        return
    if node.type == "object":
        _check_object(value, node, at)
    elif node.type == "array":
        if not isinstance(value, list):
            raise at.refuse(value, go_type(node))
        for item in value:
            _check(item, node.items, at)
    else:
        _check_scalar(value, node, at)


def _check_object(value: Any, node: Node, at: _GoPath) -> None:
    if not isinstance(value, dict):
        raise at.refuse(value, go_type(node))
    if node.keeps_unknown:
        return
    for name, item in value.items():
        below = node.properties.get(name)
        if isinstance(item, str) and below is not None and below.type == "string" and not below.format:
            continue  # most are, and where they stand need not be told
        if below is not None:
            _check(item, below, _GoPath(node.go_type or at.struct, child(at.members, name)))
        elif node.additional is not None:
            _check(item, node.additional, at)


def _check_scalar(value: Any, node: Node, at: _GoPath) -> None:
    if node.format in _PARSED:
        _PARSED[node.format](value, at)
        return
    actual = json_type(value)
    fits = actual == node.type or (node.type == "number" and actual == "integer")
    if not fits:
        raise at.refuse(value, go_type(node))


def go_type(node: Node) -> str:
    """Name the Go type of a schema as decoding errors do: `[]v1.Container`, `map[string]string`, `int32`."""
    if node.type == "array":
        return f"[]{go_type(node.items)}"
    if node.type == "object" and node.additional is not None:
        return f"map[string]{go_type(node.additional)}"
    if node.go_type:
        return node.go_type.partition(".")[2]
    return _GO_SCALARS.get(node.format) or _GO_SCALARS.get(node.type, "interface {}")


def _quantity(value: Any, _at: _GoPath) -> None:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise _Refused(quantity.QUANTITY_WORDS)
    try:
        quantity.parse(value)
    except quantity.QuantityError as wrong:
        raise _Refused(str(wrong)) from wrong


def _int_or_string(value: Any, at: _GoPath) -> None:
    if json_type(value) not in {"integer", "string"}:
        raise at.refuse(value, "int32")


def _bytes(value: Any, at: _GoPath) -> None:
    if not isinstance(value, str):
        raise at.refuse(value, "[]uint8")
    try:
        base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise _Refused(f"illegal base64 data at input byte {_first_bad(value)}") from wrong


def _first_bad(text: str) -> int:
    """Find where Go's decoder stops: at the first foreign character, else at the end of the last whole group."""
    for index, letter in enumerate(text):
        if not (letter.isascii() and (letter.isalnum() or letter in "+/=\r\n")):
            return index
    return len(text) - len(text) % _BASE64_GROUP


def _time(layout: str) -> Callable[[Any, _GoPath], None]:
    def check(value: Any, at: _GoPath) -> None:
        if not isinstance(value, str):
            raise at.refuse(value, "string")
        if value and not (is_date_time(value) and (layout != "micro-time" or _MICRO.fullmatch(value))):
            raise _Refused(_time_words(value, layout))

    return check


def _time_words(value: str, layout: str) -> str:
    """Say with Go's words where a time leaves its layout; the exact place is told for the two usual cases."""
    parsed = re.match(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}", value)
    rest, part = (value[parsed.end() :], ".000000" if layout == "micro-time" else "Z07:00") if parsed else (value, "2006")
    return f'parsing time "{value}" as "{_LAYOUTS[layout]}": cannot parse "{rest}" as "{part}"'


_PARSED: Mapping[str, Callable[[Any, _GoPath], None]] = {
    "byte": _bytes,
    "date-time": _time("date-time"),
    "int-or-string": _int_or_string,
    "micro-time": _time("micro-time"),
    "quantity": _quantity,
}


def tidy(value: Any, node: Node) -> None:
    """Do in place what decoding and encoding again does to a built-in object.

    Nulls and what `omitempty` leaves out go, what is never left out is added, quantities get their canonical spelling, times are turned
    to UTC.
    """
    if isinstance(value, list):
        for index, item in enumerate(value):
            value[index] = _tidied(item, node.items)
    if not isinstance(value, dict) or node.keeps_unknown:
        return
    fields = members(node.definition)
    for name in list(value):
        below = node.member(name)
        if below is None:
            continue
        value[name] = _tidied(value[name], below)
        if name in fields and fields[name].left_out(value[name]):
            del value[name]
    for name, field in always_shown(node.definition):
        if value.get(name) is None:
            value[name] = field.zero()


def _tidied(value: Any, node: Node) -> Any:
    """Return a value as Go would write it."""
    if node.format == "quantity" and value is not None:
        return quantity.canonical(value)
    if value is None and node.type == "string":
        return ""
    if node.format in _PRECISIONS and isinstance(value, str) and value:
        return _in_utc(value, _PRECISIONS[node.format])
    if isinstance(value, (dict, list)):
        tidy(value, node)
    return value


def _in_utc(value: str, precision: str) -> str:
    try:
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except OverflowError:
        # the edges of the calendar stay as they were written
        return value
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"
