"""Rows of services and what stands behind and before them."""

from datetime import datetime

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.printers.base import NONE, Cells, Printer, age, columns, label_selector, listed, name, selector

_SHOWN = 3


def _service(obj: Obj, now: datetime) -> Cells:
    spec = obj["spec"]
    ports = ",".join(_port(row) for row in spec.get("ports") or []) or NONE
    return [
        name(obj),
        spec.get("type", ""),
        spec.get("clusterIP") or NONE,
        _external(obj),
        ports,
        age(obj, now),
        selector(spec.get("selector")),
    ]


def _port(row: Obj) -> str:
    node = f":{row['nodePort']}" if row.get("nodePort") else ""
    return f"{row.get('port')}{node}/{row.get('protocol', 'TCP')}"


def _external(obj: Obj) -> str:
    spec = obj["spec"]
    outside = spec.get("externalIPs") or []
    if spec.get("type") == "LoadBalancer":
        balancers = [
            row.get("ip") or row.get("hostname") or "" for row in ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        ]
        return ",".join([*balancers, *outside]) or "<pending>"
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    return ",".join(outside) or NONE


def _endpoints(obj: Obj, now: datetime) -> Cells:
    found = [
        _address(row, port)
        for subset in obj.get("subsets") or []
        for row in subset.get("addresses") or []
        for port in subset.get("ports") or [{}]
    ]
    return [name(obj), listed(found, _SHOWN), age(obj, now)]


def _address(row: Obj, port: Obj) -> str:
    return f"{row.get('ip')}:{port['port']}" if port.get("port") else str(row.get("ip"))


def _slice(obj: Obj, now: datetime) -> Cells:
    ports = listed((row.get("port", "*") for row in obj.get("ports") or []), _SHOWN)
    addresses = [address for row in obj.get("endpoints") or [] for address in row.get("addresses") or []]
    return [
        name(obj),
        obj.get("addressType", ""),
        ports if obj.get("ports") else "<unset>",
        listed(addresses, _SHOWN) if addresses else "<unset>",
        age(obj, now),
    ]


def _ingress(obj: Obj, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    hosts = [rule["host"] for rule in spec.get("rules") or [] if rule.get("host")]
    balancers = [
        row.get("ip") or row.get("hostname") or "" for row in ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    ]
    shown = listed(hosts, _SHOWN) if hosts else "*"
    return [
        name(obj),
        spec.get("ingressClassName") or NONE,
        shown,
        ",".join(balancers),
        "80, 443" if spec.get("tls") else "80",
        age(obj, now),
    ]


def _ingressclass(obj: Obj, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    parameters = spec.get("parameters")
    shown = (
        f"{parameters['kind']}{'.' + parameters['apiGroup'] if parameters.get('apiGroup') else ''}/{parameters['name']}"
        if parameters
        else NONE
    )
    return [name(obj), spec.get("controller", ""), shown, age(obj, now)]


def _netpol(obj: Obj, now: datetime) -> Cells:
    return [name(obj), label_selector((obj.get("spec") or {}).get("podSelector")), age(obj, now)]


PRINTERS = {
    "services": Printer(columns("Type|Cluster-IP|External-IP|Port(s)|Age", "Selector"), _service),
    "endpoints": Printer(columns("Endpoints|Age"), _endpoints),
    "endpointslices.discovery.k8s.io": Printer(columns("AddressType|Ports|Endpoints|Age"), _slice),
    "ingresses.networking.k8s.io": Printer(columns("Class|Hosts|Address|Ports|Age"), _ingress),
    "ingressclasses.networking.k8s.io": Printer(columns("Controller|Parameters|Age"), _ingressclass),
    "networkpolicies.networking.k8s.io": Printer(columns("Pod-Selector|Age"), _netpol),
}
