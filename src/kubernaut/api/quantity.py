"""Kubernetes resource quantities such as `128Mi`, `500m` or `1.5Gi`."""

import re
from decimal import Decimal

_FORM = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?[0-9]{1,2})?")
_BINARY = ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki")
_SCALE = {
    "": Decimal(1),
    **{unit: Decimal(10) ** power for unit, power in zip("numkMGTPE", (-9, -6, -3, 3, 6, 9, 12, 15, 18), strict=True)},
    **{unit: Decimal(2) ** power for unit, power in zip(_BINARY, (60, 50, 40, 30, 20, 10), strict=True)},
}


def parse_quantity(text: str) -> Decimal:
    """Read a quantity as a number of its base unit (bytes, cores, pieces); raise ValueError when it is none."""
    found = _FORM.fullmatch(str(text))
    if found is None:
        raise ValueError(f"{text!r} is no quantity; write it like 128Mi, 500m or 2")
    number, unit = found.groups(default="")
    scale = _SCALE[unit] if unit in _SCALE else Decimal(10) ** int(unit[1:])
    return Decimal(number) * scale


def binary_quantity(amount: Decimal) -> str:
    """Write an amount of bytes with the largest binary unit that divides it, rounded up to a whole byte."""
    whole = int(amount.to_integral_value(rounding="ROUND_CEILING"))
    unit = next((unit for unit in _BINARY if whole and whole % int(_SCALE[unit]) == 0), "")
    return f"{whole // int(_SCALE[unit])}{unit}"
