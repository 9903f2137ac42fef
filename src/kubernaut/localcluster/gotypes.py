"""Kubernetes' Go types as a table, read once from `data/gotypes.json.gz`.

What protobuf decoding, `omitempty` and empty objects need to know.
"""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

Obj = dict[str, Any]

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
TIMES = frozenset({META + "Time", META + "MicroTime"})
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_ZEROES: Mapping[str, Any] = {
    "string": "", "bool": False, "int32": 0, "int64": 0, "float64": 0, QUANTITY: "0", INT_OR_STRING: 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GoField:
    """One field of a Go struct."""

    number: int
    """In protobuf."""
    name: str
    """In JSON; empty for an inlined struct."""
    type: str
    """A scalar, `bytes`, `[]T`, `items:T`, `map:T` or the name of a definition."""
    pointer: bool
    omit: int
    """0: never left out, 1: `omitempty`, 2: `omitzero`."""

    @property
    def is_struct(self) -> bool:
        """Whether the value is a struct that has fields of its own."""
        return self.type in table()

    @property
    def nil_when_absent(self) -> bool:
        """Whether absence is nil: a pointer, a slice, a map or a time."""
        return self.pointer or self.type.startswith(("[]", "items:", "map:", "bytes")) or self.type in TIMES

    @property
    def always_there(self) -> bool:
        """Whether JSON always shows the field: not left out when empty, or a struct, which `omitempty` does not leave out."""
        if self.omit == 0:
            return True
        return self.omit == 1 and not self.pointer and (self.type in TIMES or self.is_struct)

    def zero(self) -> Any:
        """Return what stands in JSON for the empty value."""
        if self.nil_when_absent:
            return None
        return _ZEROES[self.type] if self.type in _ZEROES else zero_object(self.type)

    def left_out(self, value: Any) -> bool:
        """Tell whether a value is not written at all."""
        if value is None:
            return not self.always_there
        if self.pointer or not self.omit:
            return False
        return self.type not in {QUANTITY, INT_OR_STRING} and not self.is_struct and not value


@cache
def table() -> Mapping[str, tuple[GoField, ...]]:
    """Return the fields of each definition, as they stand in Go."""
    packed = resources.files("kubernaut.localcluster").joinpath("data/gotypes.json.gz").read_bytes()
    rows: dict[str, list[list[Any]]] = json.loads(gzip.decompress(packed))
    return {name: tuple(GoField(*row) for row in fields) for name, fields in rows.items()}


@cache
def members(definition: str) -> Mapping[str, GoField]:
    """Return the fields of a definition by JSON name, inlined structs unfolded; empty for what is no struct."""
    return {field.name: field for field in _unfolded(definition)}


@cache
def always_shown(definition: str) -> Sequence[tuple[str, GoField]]:
    """Return the fields of a definition that JSON always shows, by name."""
    return tuple((name, field) for name, field in members(definition).items() if field.always_there)


def _unfolded(definition: str) -> Iterator[GoField]:
    for field in table().get(definition, ()):
        if field.name not in {"", "-"}:
            yield field
        elif not field.pointer:
            yield from _unfolded(field.type)


def zero_object(definition: str) -> Obj:
    """Return the empty value of a struct as JSON shows it: what is there before anybody sets anything."""
    return {name: field.zero() for name, field in always_shown(definition)}
