"""The functions that Kubernetes adds to CEL, as a table: lists, regex, quantities, URLs, IP addresses and CIDRs, sets.

Not here (a compile error, by design): two-variable comprehensions, `authorizer`, `format`, `semver`. Quantities, URLs, addresses and
networks have no CEL types of their own: they are maps with one marking member in canonical form, so that `==` compares them rightly.
"""

import ipaddress
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from cel_expr_python import cel

from kubernaut.localcluster import quantity

_BOOL, _DOUBLE, _DYN, _INT, _LIST, _MAP, _STRING = (
    cel.Type.BOOL, cel.Type.DOUBLE, cel.Type.DYN, cel.Type.INT, cel.Type.LIST, cel.Type.MAP, cel.Type.STRING,
)  # fmt: skip
_QUANTITY, _URL, _IP, _CIDR = "k8s:quantity", "k8s:url", "k8s:ip", "k8s:cidr"

Row = tuple[str, bool, Sequence[cel.Type], cel.Type, Callable[..., Any]]
"""Name, whether it is a member function (the receiver comes first), parameters, result, implementation."""


def _marked(mark: str, value: dict[str, Any]) -> str:
    """Take the canonical text out of a marked value."""
    if not isinstance(value, dict) or mark not in value:
        raise ValueError("no such overload")
    return str(value[mark])


def _succeeds(make: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            make(text)
        except ValueError:
            return False
        return True

    return check


def _make_quantity(text: str) -> dict[str, str]:
    return {_QUANTITY: quantity.canonical(text)}


def _number(value: dict[str, Any]) -> Decimal:
    return quantity.parse(_marked(_QUANTITY, value))


def _operand(value: Any) -> Decimal:
    return Decimal(value) if isinstance(value, int) else _number(value)


def _add(left: dict[str, Any], right: Any) -> dict[str, str]:
    return _make_quantity(f"{_number(left) + _operand(right):f}")


def _subtract(left: dict[str, Any], right: Any) -> dict[str, str]:
    return _make_quantity(f"{_number(left) - _operand(right):f}")


def _compare(left: dict[str, Any], right: dict[str, Any]) -> int:
    return (_number(left) > _number(right)) - (_number(left) < _number(right))


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


def _make_url(text: str) -> dict[str, str]:
    parts = urlsplit(text)
    if not (parts.scheme and parts.netloc) and not text.startswith("/"):
        raise ValueError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return {_URL: text}


def _url_part(take: Callable[[SplitResult], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda value: take(urlsplit(_marked(_URL, value)))


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _port(parts: SplitResult) -> str:
    return "" if parts.port is None else str(parts.port)


def _make_ip(text: str) -> dict[str, str]:
    address = ipaddress.ip_address(text)
    if "%" in text or getattr(address, "ipv4_mapped", None):
        raise ValueError(f'IP Address "{text}" parse error during conversion from string')
    return {_IP: str(address)}


def _ip_is(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda value: bool(getattr(ipaddress.ip_address(_marked(_IP, value)), name))


def _make_cidr(text: str) -> dict[str, str]:
    if "/" not in text:
        raise ValueError(f"network address parse error during conversion from string: invalid CIDR address: {text}")
    return {_CIDR: str(ipaddress.ip_interface(text))}


def _network(value: dict[str, Any]) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_interface(_marked(_CIDR, value)).network


def _address_text(value: Any) -> str:
    return value if isinstance(value, str) else _marked(_IP, value)


def _contains_ip(holder: dict[str, Any], value: Any) -> bool:
    return ipaddress.ip_address(_address_text(value)) in _network(holder)


def _contains_cidr(holder: dict[str, Any], value: Any) -> bool:
    inner, outer = _network(_make_cidr(value) if isinstance(value, str) else value), _network(holder)
    if isinstance(inner, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)


def _find(text: str, pattern: str) -> str:
    match = re.search(pattern, text)
    return match[0] if match else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match[0] for match in re.finditer(pattern, text)]
    return found if limit < 0 else found[:limit]


def _is_sorted(items: list[Any]) -> bool:
    return all(not right < left for left, right in pairwise(items))


def _extreme(pick: Callable[[list[Any]], Any], name: str) -> Callable[[list[Any]], Any]:
    def function(items: list[Any]) -> Any:
        if not items:
            raise ValueError(f"{name} called on empty list")
        return pick(items)

    return function


def _index_of(items: list[Any], wanted: Any) -> int:
    return items.index(wanted) if wanted in items else -1


def _last_index_of(items: list[Any], wanted: Any) -> int:
    return len(items) - 1 - items[::-1].index(wanted) if wanted in items else -1


def _contains_all(left: list[Any], right: list[Any]) -> bool:
    return all(item in left for item in right)


FUNCTIONS: Sequence[Row] = (
    ("isSorted", True, (_LIST,), _BOOL, _is_sorted),
    ("sum", True, (_LIST,), _DYN, sum),
    ("min", True, (_LIST,), _DYN, _extreme(min, "min")),
    ("max", True, (_LIST,), _DYN, _extreme(max, "max")),
    ("indexOf", True, (_LIST, _DYN), _INT, _index_of),
    ("lastIndexOf", True, (_LIST, _DYN), _INT, _last_index_of),
    ("find", True, (_STRING, _STRING), _STRING, _find),
    ("findAll", True, (_STRING, _STRING), _LIST, _find_all),
    ("findAll", True, (_STRING, _STRING, _INT), _LIST, _find_all),
    ("sets.contains", False, (_LIST, _LIST), _BOOL, _contains_all),
    ("sets.equivalent", False, (_LIST, _LIST), _BOOL, lambda left, right: _contains_all(left, right) and _contains_all(right, left)),
    ("sets.intersects", False, (_LIST, _LIST), _BOOL, lambda left, right: any(item in left for item in right)),
    ("quantity", False, (_STRING,), _MAP, _make_quantity),
    ("isQuantity", False, (_STRING,), _BOOL, _succeeds(_make_quantity)),
    ("isGreaterThan", True, (_MAP, _MAP), _BOOL, lambda left, right: _number(left) > _number(right)),
    ("isLessThan", True, (_MAP, _MAP), _BOOL, lambda left, right: _number(left) < _number(right)),
    ("compareTo", True, (_MAP, _MAP), _INT, _compare),
    ("asInteger", True, (_MAP,), _INT, _as_integer),
    ("isInteger", True, (_MAP,), _BOOL, _is_integer),
    ("asApproximateFloat", True, (_MAP,), _DOUBLE, lambda value: float(_number(value))),
    ("sign", True, (_MAP,), _INT, _sign),
    ("add", True, (_MAP, _DYN), _MAP, _add),
    ("sub", True, (_MAP, _DYN), _MAP, _subtract),
    ("url", False, (_STRING,), _MAP, _make_url),
    ("isURL", False, (_STRING,), _BOOL, _succeeds(_make_url)),
    ("getScheme", True, (_MAP,), _STRING, _url_part(lambda parts: parts.scheme)),
    ("getHost", True, (_MAP,), _STRING, _url_part(_host)),
    ("getHostname", True, (_MAP,), _STRING, _url_part(lambda parts: parts.hostname or "")),
    ("getPort", True, (_MAP,), _STRING, _url_part(_port)),
    ("getEscapedPath", True, (_MAP,), _STRING, _url_part(lambda parts: parts.path)),
    ("getQuery", True, (_MAP,), _MAP, _url_part(lambda parts: parse_qs(parts.query, keep_blank_values=True))),
    ("ip", False, (_STRING,), _MAP, _make_ip),
    ("isIP", False, (_STRING,), _BOOL, _succeeds(_make_ip)),
    ("family", True, (_MAP,), _INT, lambda value: ipaddress.ip_address(_marked(_IP, value)).version),
    ("isLoopback", True, (_MAP,), _BOOL, _ip_is("is_loopback")),
    ("isUnspecified", True, (_MAP,), _BOOL, _ip_is("is_unspecified")),
    ("isLinkLocalUnicast", True, (_MAP,), _BOOL, _ip_is("is_link_local")),
    ("cidr", False, (_STRING,), _MAP, _make_cidr),
    ("isCIDR", False, (_STRING,), _BOOL, _succeeds(_make_cidr)),
    ("containsIP", True, (_MAP, _DYN), _BOOL, _contains_ip),
    ("containsCIDR", True, (_MAP, _DYN), _BOOL, _contains_cidr),
    ("prefixLength", True, (_MAP,), _INT, lambda value: _network(value).prefixlen),
)


@cache
def kubernetes_functions() -> cel.CelExtension:
    """Return the table as an extension of the CEL library."""
    by_name: dict[str, list[cel.Overload]] = {}
    for number, (name, member, parameters, result, function) in enumerate(FUNCTIONS):
        overload = cel.Overload(f"k8s_{number}", result, list(parameters), member, function)
        by_name.setdefault(name, []).append(overload)
    return cel.CelExtension("kubernetes", [cel.FunctionDecl(name, overloads) for name, overloads in by_name.items()])
