"""Values for a workflow's parameters, held against its schema: who fills them and who runs the workflow judge alike. Pure."""

import json
import math
import re
from collections.abc import Mapping, Sequence

from kubernaut.api.catalog import Parameter, ParameterType
from kubernaut.api.quantity import parse_quantity

VALUE_LIMIT = 1024


def faults_of(schema: Sequence[Parameter], values: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the values of a workflow's parameters, each a sentence; none where all are as its schema wants them."""
    known = {parameter.name for parameter in schema}
    listed = ", ".join(sorted(known)) or "it has none"
    found = [f"parameter {name[:80]} is none of the workflow's ({listed})" for name in sorted(values) if name not in known]
    for parameter in schema:
        found += [f"parameter {parameter.name}: {fault}" for fault in _faults(parameter, values)]
    return found


def _faults(parameter: Parameter, values: Mapping[str, str]) -> list[str]:
    if parameter.name not in values:
        return ["it is required and not given"] if parameter.required and parameter.default is None else []
    fault = fault_of(parameter, values[parameter.name])
    missing = [name for name in parameter.depends_on if name not in values]
    return [*([fault] if fault else []), *(f"it is given, and {name}, which it needs, is not" for name in missing)]


def fault_of(parameter: Parameter, value: str) -> str:
    """Return what is wrong with a value by the parameter's type, enum, pattern and bounds; empty when it is allowed."""
    if len(value) > VALUE_LIMIT or not value.isprintable():
        return "the value is too long or not printable"
    number = _number(parameter.type, value)
    if isinstance(number, str):
        return number
    if parameter.enum and value not in parameter.enum:
        return f"{value!r} is none of {', '.join(parameter.enum)}"
    if parameter.pattern and re.fullmatch(parameter.pattern, value) is None:
        return f"{value!r} does not match {parameter.pattern}"
    return _out_of_bounds(parameter, value, number)


def _number(type_: ParameterType, value: str) -> float | str | None:
    """Return the value as a number where its type is one, None for texts, or what is wrong with it."""
    if type_ is ParameterType.STRING:
        return None
    if type_ is ParameterType.BOOLEAN:
        return None if value in {"true", "false"} else f"{value!r} is no boolean"
    if type_ is ParameterType.ARRAY:
        return None if _is_list(value) else f"{value!r} is no JSON list of texts"
    if type_ is ParameterType.INTEGER and re.fullmatch(r"[+-]?[0-9]{1,18}", value) is None:
        return f"{value!r} is no integer"
    try:
        number = float(parse_quantity(value)) if type_ is ParameterType.QUANTITY else float(value)
    except (ValueError, OverflowError):
        return f"{value!r} is no {type_.value}"
    return number if math.isfinite(number) else f"{value!r} is no {type_.value}"


def _is_list(value: str) -> bool:
    try:
        read = json.loads(value)
    except ValueError:
        return False
    return isinstance(read, list) and all(isinstance(each, str) for each in read)


def _out_of_bounds(parameter: Parameter, value: str, number: float | None) -> str:
    if number is None:
        return ""
    if parameter.minimum is not None and number < parameter.minimum:
        return f"{value} is less than {parameter.minimum:g}"
    if parameter.maximum is not None and number > parameter.maximum:
        return f"{value} is more than {parameter.maximum:g}"
    return ""
