"""CEL functions on IP addresses and networks."""

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

from kubernaut.localcluster.celmarks import BOOL, DYN, INT, MAP, STRING, Row, marked, succeeds

_IP, _CIDR = "k8s:ip", "k8s:cidr"
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_LOCAL_GROUPS = {4: ipaddress.ip_network("224.0.0.0/24"), 6: ipaddress.ip_network("ff02::/16")}
_EVERYBODY = ipaddress.ip_address("255.255.255.255")


def _make_ip(text: str) -> dict[str, str]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise ValueError(f'IP Address "{text}" parse error during conversion from string: {error}') from error
    if "%" in text or getattr(address, "ipv4_mapped", None):
        raise ValueError(f'IP Address "{text}" parse error during conversion from string')
    return {_IP: str(address)}


def _address(value: dict[str, Any]) -> _Address:
    return ipaddress.ip_address(marked(_IP, value))


def _is_canonical(text: str) -> bool:
    return _make_ip(text)[_IP] == text


def _ip_is(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda value: bool(getattr(_address(value), name))


def _is_local_group(value: dict[str, Any]) -> bool:
    address = _address(value)
    return address in _LOCAL_GROUPS[address.version]


def _is_global(value: dict[str, Any]) -> bool:
    """As Go has it: all that is not for one machine, one link or many receivers, private networks included."""
    address = _address(value)
    narrow = (address.is_loopback, address.is_unspecified, address.is_multicast, address.is_link_local, address == _EVERYBODY)
    return not any(narrow)


def _make_cidr(text: str) -> dict[str, str]:
    words = f"network address parse error during conversion from string: invalid CIDR address: {text}"
    if not text.rpartition("/")[2].isdigit() or "/" not in text:
        raise ValueError(words)
    try:
        return {_CIDR: str(ipaddress.ip_interface(text))}
    except ValueError as error:
        raise ValueError(words) from error


def _network(value: dict[str, Any]) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_interface(marked(_CIDR, value)).network


def _contains_ip(holder: dict[str, Any], value: Any) -> bool:
    return _address(_make_ip(value) if isinstance(value, str) else value) in _network(holder)


def _contains_cidr(holder: dict[str, Any], value: Any) -> bool:
    inner, outer = _network(_make_cidr(value) if isinstance(value, str) else value), _network(holder)
    if isinstance(inner, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)


def _text(value: dict[str, Any]) -> str:
    return marked(_CIDR if isinstance(value, dict) and _CIDR in value else _IP, value)


FUNCTIONS: Sequence[Row] = (
    ("ip", False, (STRING,), MAP, _make_ip),
    ("isIP", False, (STRING,), BOOL, succeeds(_make_ip)),
    ("ip.isCanonical", False, (STRING,), BOOL, _is_canonical),
    ("family", True, (MAP,), INT, lambda value: _address(value).version),
    ("isLoopback", True, (MAP,), BOOL, _ip_is("is_loopback")),
    ("isUnspecified", True, (MAP,), BOOL, _ip_is("is_unspecified")),
    ("isLinkLocalUnicast", True, (MAP,), BOOL, _ip_is("is_link_local")),
    ("isLinkLocalMulticast", True, (MAP,), BOOL, _is_local_group),
    ("isGlobalUnicast", True, (MAP,), BOOL, _is_global),
    ("cidr", False, (STRING,), MAP, _make_cidr),
    ("isCIDR", False, (STRING,), BOOL, succeeds(_make_cidr)),
    ("ip", True, (MAP,), MAP, lambda value: _make_ip(marked(_CIDR, value).partition("/")[0])),
    ("masked", True, (MAP,), MAP, lambda value: {_CIDR: str(_network(value))}),
    ("containsIP", True, (MAP, DYN), BOOL, _contains_ip),
    ("containsCIDR", True, (MAP, DYN), BOOL, _contains_cidr),
    ("prefixLength", True, (MAP,), INT, lambda value: _network(value).prefixlen),
    ("string", False, (MAP,), STRING, _text),
)
