"""Kubernetes' protobuf encoding to plain objects: what kubectl and other Go clients send for built-in kinds.

Only decoding; answers are JSON, which every client accepts. Field numbers come from `gotypes`.
"""

import base64
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from kubernaut.localcluster.builtin import definition_name
from kubernaut.localcluster.gotypes import INT_OR_STRING, META, QUANTITY, GoField, members, table

Obj = dict[str, Any]
Wire = int | bytes

MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED: Mapping[int, int] = {_FIXED64: 8, _FIXED32: 4}
_VARINT_MAX_BITS = 63
_DELETE_OPTIONS = META + "DeleteOptions"
_MAX_DEPTH = 100


class ProtobufError(ValueError):
    """The body is no Kubernetes protobuf, or of a kind that is not served."""


def decode(body: bytes) -> Obj:
    r"""Decode the envelope `k8s\\0` + runtime.Unknown; raises ProtobufError naming an unknown kind or what is broken."""
    if not body.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    envelope = dict(wire_fields(body[len(MAGIC) :]))
    type_meta = dict(wire_fields(_as_bytes(envelope.get(1, b""))))
    api_version, kind = _text(type_meta.get(1, b"")), _text(type_meta.get(2, b""))
    definition = _definition(api_version, kind)
    return {"apiVersion": api_version, "kind": kind, **_message(_as_bytes(envelope.get(2, b"")), definition, 0)}


def _definition(api_version: str, kind: str) -> str:
    """Find the definition of a kind."""
    if kind == "DeleteOptions":
        return _DELETE_OPTIONS
    group, _, version = api_version.rpartition("/")
    try:
        return definition_name(group, version, kind)
    except KeyError as fault:
        raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}" in protobuf') from fault


def wire_fields(data: bytes) -> Iterator[tuple[int, Wire]]:
    """Split a message into field numbers and raw values."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        length, position = _length(data, position, wire)
        if position + length > len(data):
            raise ProtobufError("proto: unexpected EOF")
        yield number, data[position : position + length]
        position += length


def _length(data: bytes, position: int, wire: int) -> tuple[int, int]:
    if wire == _BYTES:
        return _varint(data, position)
    if wire not in _FIXED:
        raise ProtobufError(f"proto: illegal wireType {wire}")
    return _FIXED[wire], position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Read a variable-length integer."""
    value = 0
    for shift in range(0, _VARINT_MAX_BITS + 1, 7):
        if position >= len(data):
            raise ProtobufError("proto: unexpected EOF")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, position
    raise ProtobufError("proto: integer overflow")


def _message(data: bytes, definition: str, depth: int) -> Obj:
    """Decode a struct; fields that are not known are skipped, empty ones left out as JSON would."""
    if depth > _MAX_DEPTH:
        raise ProtobufError("proto: message nested too deeply")
    by_number = {field.number: field for field in table()[definition]}
    result: Obj = {}
    for number, wire in wire_fields(data):
        field = by_number.get(number)
        if field is None:
            continue
        if not field.name:
            result.update(_message(_as_bytes(wire), field.type, depth + 1))
        else:
            _add(result, field, wire, depth)
    shown = members(definition)
    return {name: value for name, value in result.items() if not shown[name].left_out(value)}


def _add(result: Obj, field: GoField, wire: Wire, depth: int) -> None:
    """Add one occurrence of a field: lists and maps grow."""
    if field.type.startswith("[]"):
        result.setdefault(field.name, []).append(_value(field.type[2:], wire, depth))
    elif field.type.startswith("map:"):
        entry = dict(wire_fields(_as_bytes(wire)))
        result.setdefault(field.name, {})[_text(entry.get(1, b""))] = _value(field.type[4:], entry.get(2, b""), depth)
    else:
        result[field.name] = _value(field.type, wire, depth)


def _value(kind: str, wire: Wire, depth: int) -> Any:
    """Decode one value."""
    if kind in _VALUES:
        return _VALUES[kind](wire)
    if kind.startswith("items:"):
        return [_value(kind[6:], item, depth + 1) for number, item in wire_fields(_as_bytes(wire)) if number == 1]
    if kind not in table():
        raise ProtobufError(f"proto: {kind} is not supported")
    return _message(_as_bytes(wire), kind, depth + 1)


def _as_bytes(wire: Wire) -> bytes:
    if isinstance(wire, int):
        raise ProtobufError("proto: wrong wireType")
    return wire


def _text(wire: Wire) -> str:
    try:
        return _as_bytes(wire).decode()
    except UnicodeDecodeError as fault:
        raise ProtobufError("proto: string field contains invalid UTF-8") from fault


def _integer(wire: Wire) -> int:
    """Read a signed integer: negatives are written as 64-bit two's complement."""
    if not isinstance(wire, int):
        return 0
    return wire - (1 << 64) if wire >> 63 else wire


def _double(wire: Wire) -> float:
    return float(struct.unpack("<d", _as_bytes(wire) or bytes(8))[0])


def _time(layout: str) -> Callable[[Wire], str | None]:
    def read(wire: Wire) -> str | None:
        parts = dict(wire_fields(_as_bytes(wire)))
        if not parts:
            return None
        seconds, nanos = _integer(parts.get(1, 0)), _integer(parts.get(2, 0))
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanos // 1000).strftime(layout)

    return read


def _int_or_string(wire: Wire) -> int | str:
    parts = dict(wire_fields(_as_bytes(wire)))
    return _text(parts.get(3, b"")) if parts.get(1) else _integer(parts.get(2, 0))


def _raw_json(wire: Wire) -> Any:
    """Read JSON that travels as bytes."""
    raw = dict(wire_fields(_as_bytes(wire))).get(1, b"")
    try:
        return orjson.loads(_as_bytes(raw)) if raw else None
    except orjson.JSONDecodeError as fault:
        raise ProtobufError(f"proto: embedded JSON: {fault}") from fault


_VALUES: Mapping[str, Callable[[Wire], Any]] = {
    "string": _text,
    "bool": bool,
    "int32": _integer,
    "int64": _integer,
    "float64": _double,
    "bytes": lambda wire: base64.b64encode(_as_bytes(wire)).decode(),
    QUANTITY: lambda wire: _text(dict(wire_fields(_as_bytes(wire))).get(1, b"")) or "0",
    INT_OR_STRING: _int_or_string,
    META + "Time": _time("%Y-%m-%dT%H:%M:%SZ"),
    META + "MicroTime": _time("%Y-%m-%dT%H:%M:%S.%fZ"),
    META + "FieldsV1": _raw_json,
    "io.k8s.apimachinery.pkg.runtime.RawExtension": _raw_json,
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": _raw_json,
}
