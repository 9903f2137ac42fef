"""CEL functions on what can be compared: quantities, and versions as semver.org has them."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from kubernaut.localcluster import quantity
from kubernaut.localcluster.celmarks import BOOL, DOUBLE, DYN, INT, MAP, STRING, Row, marked, succeeds

_QUANTITY, _VERSION = "k8s:quantity", "k8s:semver"
_NUMBER = r"(0|[1-9]\d*)"
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_SEMVER = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIERS}))?(?:\+({_IDENTIFIERS}))?")
_LOOSE = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?([-+].*)?")

Precedence = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


def _make_quantity(text: str) -> dict[str, str]:
    return {_QUANTITY: quantity.canonical(text)}


def _number(value: dict[str, Any]) -> Decimal:
    return quantity.parse(marked(_QUANTITY, value))


def _operand(value: Any) -> Decimal:
    return Decimal(value) if isinstance(value, int) else _number(value)


def _add(left: dict[str, Any], right: Any) -> dict[str, str]:
    return _make_quantity(f"{_number(left) + _operand(right):f}")


def _subtract(left: dict[str, Any], right: Any) -> dict[str, str]:
    return _make_quantity(f"{_number(left) - _operand(right):f}")


def _as_integer(value: dict[str, Any]) -> int:
    number = _number(value)
    if number != number.to_integral_value():
        raise ValueError("cannot convert value to integer")
    return int(number)


def _is_integer(value: dict[str, Any]) -> bool:
    number = _number(value)
    return number == number.to_integral_value()


def _sign(value: dict[str, Any]) -> int:
    number = _number(value)
    return (number > 0) - (number < 0)


def _make_version(text: str, normalise: bool = False) -> dict[str, str]:
    found = _normal(text) if normalise else text
    match = _SEMVER.fullmatch(found)
    if match is None or any(part.isdigit() and part != "0" and part[0] == "0" for part in (match[4] or "").split(".")):
        raise ValueError(f'No Major.Minor.Patch elements found in "{text}"')
    return {_VERSION: found}


def _normal(text: str) -> str:
    """Fill in what a loosely written version leaves out: `v1.2` is `1.2.0`."""
    match = _LOOSE.fullmatch(text)
    return text if match is None else ".".join(str(int(part or 0)) for part in match.group(1, 2, 3)) + (match[4] or "")


def _precedence(value: dict[str, Any]) -> Precedence:
    """Return what versions are ordered by: numbers, then releases after their previews, these part by part; build data does not count."""
    match = _SEMVER.fullmatch(marked(_VERSION, value))
    if match is None:
        raise ValueError("no such overload")
    parts = match[4].split(".") if match[4] else []
    preview = tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts)
    return int(match[1]), int(match[2]), int(match[3]), not parts, preview


def _component(place: int) -> Callable[[dict[str, Any]], int]:
    return lambda value: int(marked(_VERSION, value).split("-")[0].split("+")[0].split(".")[place])


def _compare(left: dict[str, Any], right: dict[str, Any]) -> int:
    if isinstance(left, dict) and _VERSION in left:
        mine, other = _precedence(left), _precedence(right)
        return (mine > other) - (mine < other)
    number, against = _number(left), _number(right)
    return (number > against) - (number < against)


FUNCTIONS: Sequence[Row] = (
    ("quantity", False, (STRING,), MAP, _make_quantity),
    ("isQuantity", False, (STRING,), BOOL, succeeds(_make_quantity)),
    ("semver", False, (STRING,), MAP, _make_version),
    ("semver", False, (STRING, BOOL), MAP, _make_version),
    ("isSemver", False, (STRING,), BOOL, succeeds(_make_version)),
    ("isSemver", False, (STRING, BOOL), BOOL, succeeds(_make_version)),
    ("major", True, (MAP,), INT, _component(0)),
    ("minor", True, (MAP,), INT, _component(1)),
    ("patch", True, (MAP,), INT, _component(2)),
    ("isGreaterThan", True, (MAP, MAP), BOOL, lambda left, right: _compare(left, right) > 0),
    ("isLessThan", True, (MAP, MAP), BOOL, lambda left, right: _compare(left, right) < 0),
    ("compareTo", True, (MAP, MAP), INT, _compare),
    ("asInteger", True, (MAP,), INT, _as_integer),
    ("isInteger", True, (MAP,), BOOL, _is_integer),
    ("asApproximateFloat", True, (MAP,), DOUBLE, lambda value: float(_number(value))),
    ("sign", True, (MAP,), INT, _sign),
    ("add", True, (MAP, DYN), MAP, _add),
    ("sub", True, (MAP, DYN), MAP, _subtract),
)
