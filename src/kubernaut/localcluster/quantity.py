"""Resource quantities (`100m`, `1.5Gi`, `2e3`): reading, comparing and the one canonical spelling the API server stores."""

import re
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation

QUANTITY_WORDS = r"quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"

_PATTERN = re.compile(r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?P<suffix>Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d+)?")
_BINARY: Mapping[str, int] = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL: Mapping[str, int] = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_LARGEST_EXPONENT = 18
_NANO = Decimal("1e-9")
_KIBI = 1024
_LONGEST = 100


class QuantityError(ValueError):
    """The text is no quantity."""


def parse(text: str | float) -> Decimal:
    """Read a quantity as a number of its base unit; finer than a nano is rounded up, as the API server does."""
    match = _PATTERN.fullmatch(str(text)) if len(str(text)) <= _LONGEST else None
    if match is None:
        raise QuantityError(QUANTITY_WORDS)
    try:
        value = Decimal(match["number"]) * _scale(match["suffix"] or "")
        return value if value == value.quantize(Decimal(1)) or value % _NANO == 0 else value.quantize(_NANO, ROUND_CEILING)
    except InvalidOperation as fault:
        raise QuantityError(QUANTITY_WORDS) from fault


def canonical(text: str | float) -> str:
    """Write a quantity as the API server stores it: `1000m` is `1`, `0.5` is `500m`, `1024Mi` is `1Gi`, `1500000` stays."""
    value, suffix = parse(text), (_PATTERN.fullmatch(str(text)) or {"suffix": ""})["suffix"] or ""
    if suffix in _BINARY and value == value.to_integral_value() and abs(value) >= _KIBI:
        return _binary(int(value))
    if suffix[:1] in {"e", "E"} and suffix != "E":
        return _engineering(value, lambda exponent: f"e{exponent}" if exponent else "")
    return _engineering(value, _suffix_of)


def _scale(suffix: str) -> Decimal:
    if suffix in _BINARY:
        return Decimal(_KIBI ** _BINARY[suffix])
    if suffix in _DECIMAL:
        return Decimal(10) ** _DECIMAL[suffix]
    exponent = int(suffix[1:])
    if abs(exponent) > _LARGEST_EXPONENT:
        raise QuantityError(QUANTITY_WORDS)
    return Decimal(10) ** exponent


def _binary(value: int) -> str:
    power = 0
    while value % _KIBI == 0 and value and power < len(_BINARY):
        value, power = value // _KIBI, power + 1
    return f"{value}{next((suffix for suffix, known in _BINARY.items() if known == power), '')}"


def _engineering(value: Decimal, spell: Callable[[int], str]) -> str:
    """Write with the largest thousand-step exponent that leaves an integer."""
    if not value:
        return "0"
    exponent = -9
    number = int(value * 10**9)
    while number % 1000 == 0 and exponent < _LARGEST_EXPONENT:
        number, exponent = number // 1000, exponent + 3
    return f"{number}{spell(exponent)}"


def _suffix_of(exponent: int) -> str:
    return next(suffix for suffix, known in _DECIMAL.items() if known == exponent)
