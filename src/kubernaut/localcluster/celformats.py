"""CEL's `format`: named formats that say what is wrong with a text.

`format.named` and `validate` give optionals, which functions written in Python cannot return: a marked map takes their place, with the
members `hasValue` and `value` (the library keeps `orValue` to itself: an evaluation error here).
"""

import base64
import binascii
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from kubernaut.localcluster import formats
from kubernaut.localcluster.celmarks import BOOL, DYN, MAP, STRING, Row, marked

_FORMAT, _OPTIONAL = "k8s:format", "k8s:optional"
Check = Callable[[str], list[str]]


def _parsed(parse: Callable[[str], Any], words: str) -> Check:
    def check(text: str) -> list[str]:
        try:
            parse(text)
        except (ValueError, binascii.Error):
            return [words]
        return []

    return check


def _prefix_of(check: Check) -> Check:
    """Judge the beginning of a generated name, which may end in a dash."""
    return lambda text: check(text[:-1] + "a" if len(text) > 1 and text.endswith("-") else text)


def _uri(text: str) -> None:
    if not text.startswith("/") and not urlsplit(text).scheme:
        raise ValueError(text)


def _moment(text: str) -> None:
    if datetime.fromisoformat(text.upper()).tzinfo is None:
        raise ValueError(text)


_CHECKS: Mapping[str, Check] = {
    "dns1123Label": formats.label,
    "dns1123Subdomain": formats.subdomain,
    "dns1035Label": formats.label_1035,
    "qualifiedName": formats.qualified_name,
    "dns1123LabelPrefix": _prefix_of(formats.label),
    "dns1123SubdomainPrefix": _prefix_of(formats.subdomain),
    "dns1035LabelPrefix": _prefix_of(formats.label_1035),
    "labelValue": formats.label_value,
    "uri": _parsed(_uri, "invalid URI"),
    "uuid": _parsed(uuid.UUID, "does not match the UUID format"),
    "byte": _parsed(lambda text: base64.b64decode(text, validate=True), "invalid base64"),
    "date": _parsed(date.fromisoformat, "invalid date"),
    "datetime": _parsed(_moment, "invalid datetime"),
}


def _named(name: str) -> dict[str, Any]:
    return {_OPTIONAL: [{_FORMAT: name}] if name in _CHECKS else []}


def _validate(shape: dict[str, Any], text: str) -> dict[str, Any]:
    faults = _CHECKS[marked(_FORMAT, shape)](text)
    return {_OPTIONAL: [faults] if faults else []}


def _held(optional: dict[str, Any]) -> list[Any]:
    if not isinstance(optional, dict) or _OPTIONAL not in optional:
        raise ValueError("no such overload")
    return list(optional[_OPTIONAL])


def _value(optional: dict[str, Any]) -> Any:
    if held := _held(optional):
        return held[0]
    raise ValueError("optional.none() dereference")


def _constant(name: str) -> Callable[[], dict[str, str]]:
    return lambda: {_FORMAT: name}


FUNCTIONS: Sequence[Row] = (
    *((f"format.{name}", False, (), MAP, _constant(name)) for name in _CHECKS),
    ("format.named", False, (STRING,), MAP, _named),
    ("validate", True, (MAP, STRING), MAP, _validate),
    ("hasValue", True, (MAP,), BOOL, lambda optional: bool(_held(optional))),
    ("value", True, (MAP,), DYN, _value),
)
