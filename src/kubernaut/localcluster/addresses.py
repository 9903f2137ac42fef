"""Addresses and ports of services: what kube-apiserver hands out when a Service is written."""

from ipaddress import IPv4Network

from kubernaut.localcluster import errors
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import FieldFault, Obj
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.registry import Registry

SERVICES = builtin("", "services")
_NETWORK = IPv4Network("10.96.0.0/16")
_RESERVED = 10
"""The first addresses, which clusters keep for their own services."""
_PORTS = range(30000, 32768)
_WITH_PORTS = {"NodePort", "LoadBalancer"}
_HEADLESS = "None"


def settle(registry: Registry, kind: ResourceKind, service: Obj) -> None:
    """Give a Service the addresses and ports its type calls for; raise ApiError 422 where one it asks for is taken."""
    spec = service["spec"]
    others = [record.obj["spec"] for record in registry.all_of(SERVICES) if record.key != _key(service)]
    if spec.get("type") != "ExternalName":
        _address(kind, service, {row.get("clusterIP", "") for row in others})
    if spec.get("type") in _WITH_PORTS:
        _ports(spec, {port.get("nodePort", 0) for row in others for port in row.get("ports") or []})


def _key(service: Obj) -> tuple[str, str]:
    return service["metadata"].get("namespace", ""), service["metadata"].get("name", "")


def _address(kind: ResourceKind, service: Obj, taken: set[str]) -> None:
    spec = service["spec"]
    asked = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or []), "")
    if asked and asked != _HEADLESS and asked in taken:
        text = f"Invalid value: {errors.encode_go([asked])}: failed to allocate IP {asked}: provided IP is already allocated"
        raise errors.invalid(kind, service["metadata"].get("name", ""), [FieldFault("spec.clusterIPs", "FieldValueInvalid", text)])
    spec["clusterIP"] = asked or _free(taken)
    spec["clusterIPs"] = [spec["clusterIP"]]
    if spec["clusterIP"] != _HEADLESS or spec.get("selector"):
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")


def _free(taken: set[str]) -> str:
    for index in range(_RESERVED + 1, _NETWORK.num_addresses - 1):
        address = str(_NETWORK[index])
        if address not in taken:
            return address
    raise errors.internal("failed to allocate a serviceIP: range is full")


def _ports(spec: Obj, taken: set[int]) -> None:
    for port in spec.get("ports") or []:
        if not port.get("nodePort"):
            port["nodePort"] = next(number for number in _PORTS if number not in taken)
        taken.add(port["nodePort"])
