"""Faults of an object, in the words of apimachinery's `field` package; schema, rules and admission all speak them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

NOT_CHECKED = (
    "Invalid value: null: some validation rules were not checked because the object was invalid;"
    " correct the existing errors to complete validation"
)
_BLOCKING = frozenset({"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with one field; `message` is the sentence without the field, `type` the cause's reason (FieldValueX)."""

    field: str
    type: str
    message: str


def required(field: str, why: str = "") -> Fault:
    """Give the fault of an absent value."""
    return Fault(field, "FieldValueRequired", f"Required value: {why}" if why else "Required value")


def invalid(field: str, value: Any, why: str) -> Fault:
    """Give the fault of a value outside its rules."""
    return Fault(field, "FieldValueInvalid", f"Invalid value: {shown(value)}: {why}")


def type_invalid(field: str, value: Any, why: str) -> Fault:
    """Give the fault of a value of another type or format."""
    return Fault(field, "FieldValueTypeInvalid", f"Invalid value: {shown(value)}: {why}")


def not_supported(field: str, value: Any, supported: Iterable[Any]) -> Fault:
    """Give the fault of a value outside an enumeration, in the order given."""
    texts = ", ".join(json.dumps(item if isinstance(item, str) else shown(item), ensure_ascii=False) for item in supported)
    return Fault(field, "FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {texts}")


def too_long(field: str, limit: int) -> Fault:
    """Give the fault of a text over its limit."""
    return Fault(field, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")


def too_many(field: str, actual: int, limit: int) -> Fault:
    """Give the fault of a list or map over its limit."""
    return Fault(field, "FieldValueTooMany", f"Too many: {actual}: must have at most {limit} item{'' if limit == 1 else 's'}")


def duplicate(field: str, value: Any) -> Fault:
    """Give the fault of a repeated item."""
    return Fault(field, "FieldValueDuplicate", f"Duplicate value: {shown(value)}")


def forbidden(field: str, why: str) -> Fault:
    """Give the fault of a value that must not be there, or must not change."""
    return Fault(field, "FieldValueForbidden", f"Forbidden: {why}")


def blocks_rules(faults: Sequence[Fault]) -> bool:
    """Tell whether faults keep CEL rules from being evaluated (a value may be missing or of another type)."""
    return any(fault.type in _BLOCKING for fault in faults)


def shown(value: Any) -> str:
    """Write a value as Go prints it in a fault: texts quoted, numbers bare, the rest as compact JSON with sorted keys."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)  # noqa: PLR2004 - where Go turns to exponents
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def child(path: str, name: str) -> str:
    """Extend a field path by a member."""
    return f"{path}.{name}" if path else name
