"""The string formats that schemas may name, as kube-openapi checks them; a format not listed here is no rule."""

import base64
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from urllib.parse import urlsplit

_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")
_GO_DURATION = re.compile(r"[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")
_LONG_DURATION = re.compile(r"((\d+)\s*([A-Za-zµ]+)\s*)+")
_UNITS = re.compile(r"ns|nano|us|µs|micro|ms|milli|s|sec|m|min|h|hr|hour|d|day|w|week|wk", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_HOSTNAME = re.compile(r"(?=.{1,255}$)[A-Za-z0-9_]([-A-Za-z0-9_]{0,62}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([-A-Za-z0-9_]{0,62}[A-Za-z0-9_])?)*\.?")
_UUID = r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?%s[0-9a-f]{3}-?%s[0-9a-f]{3}-?[0-9a-f]{12}"


def matches(name: str, text: str) -> bool:
    """Tell whether a text has a format."""
    check = _FORMATS.get(name)
    return check is None or check(text)


def _is(parse: Callable[[str], object]) -> Callable[[str], bool]:
    """Make a check of a parser that raises ValueError."""

    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _like(expression: str) -> Callable[[str], bool]:
    """Make a check of a pattern that must match the whole text."""
    compiled = re.compile(expression)
    return lambda text: compiled.fullmatch(text) is not None


def is_date_time(text: str) -> bool:
    """Tell whether a text is an RFC 3339 time."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return False
    return _is(datetime.fromisoformat)(re.sub(r"\.\d+", "", text.upper()).replace("Z", "+00:00"))


def _is_duration(text: str) -> bool:
    if _GO_DURATION.fullmatch(text):
        return True
    return _LONG_DURATION.fullmatch(text) is not None and all(_UNITS.match(unit) for _, _, unit in _LONG_DURATION.findall(text))


def _is_uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme or text.startswith("/"))


_FORMATS: Mapping[str, Callable[[str], bool]] = {
    "byte": _is(lambda text: base64.b64decode(text, validate=True)),
    "cidr": _is(lambda text: ipaddress.ip_interface(text) if "/" in text else int("")),
    "date": _is(date.fromisoformat),
    "date-time": is_date_time,
    "datetime": is_date_time,
    "duration": _is_duration,
    "email": _like(_EMAIL.pattern),
    "hexcolor": _like(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "hostname": _like(_HOSTNAME.pattern),
    "ipv4": _is(ipaddress.IPv4Address),
    "ipv6": _is(ipaddress.IPv6Address),
    "k8s-long-name": _like(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"),
    "k8s-short-name": _like(r"(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?"),
    "mac": _like(r"(?i)[0-9a-f]{2}([:-][0-9a-f]{2}){5,7}|([0-9a-f]{4}\.){2,3}[0-9a-f]{4}"),
    "uri": _is_uri,
    "uuid": _like(_UUID % ("[0-9a-f]", "[0-9a-f]")),
    "uuid3": _like(_UUID % ("3", "[0-9a-f]")),
    "uuid4": _like(_UUID % ("4", "[89ab]")),
    "uuid5": _like(_UUID % ("5", "[89ab]")),
}
