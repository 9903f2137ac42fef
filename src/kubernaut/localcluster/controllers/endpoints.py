"""Endpoints and EndpointSlices: which pods a Service's selector finds, and which of them are ready."""

from collections.abc import Iterable, Sequence
from typing import Final

from kubernaut.localcluster.api import Api, Obj
from kubernaut.localcluster.controllers.hashing import template_hash
from kubernaut.localcluster.controllers.loop import Key, Loop, key_of
from kubernaut.localcluster.controllers.meta import by_namespace, dying, labels_of, own_key, owner_reference
from kubernaut.localcluster.controllers.podstate import ended, ready
from kubernaut.localcluster.controllers.settings import StandInSettings

__all__ = ["EndpointControllers", "endpoint_slice", "subsets"]

_SERVICE: Final = "kubernetes.io/service-name"
_MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
_HEADLESS: Final = "service.kubernetes.io/headless"


def _address(pod: Obj) -> str:
    return str((pod.get("status") or {}).get("podIP") or "")


def _target(pod: Obj) -> Obj:
    meta = pod["metadata"]
    return {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}


def _container_port(pod: Obj, port: Obj) -> int | None:
    wanted: int | str = port.get("targetPort") or port["port"]
    if not isinstance(wanted, str):
        return int(wanted)
    named = (row for container in pod["spec"]["containers"] for row in container.get("ports") or () if row.get("name") == wanted)
    return next((int(row["containerPort"]) for row in named), None)


def _ports(service: Obj, pod: Obj) -> list[Obj]:
    rows = [(port, _container_port(pod, port)) for port in service["spec"].get("ports") or ()]
    found = [
        {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
        for port, number in rows
        if number is not None
    ]
    return sorted(found, key=lambda row: (row["name"], row["port"]))


def subsets(service: Obj, pods: Sequence[Obj]) -> list[Obj]:
    """Return the subsets of the Service's Endpoints: pods with the same ports together, ready and other addresses apart."""
    groups: dict[str, Obj] = {}
    for pod in sorted(pods, key=_address):
        ports = [{name: value for name, value in port.items() if value != ""} for port in _ports(service, pod)]
        if dying(pod):
            continue
        group = groups.setdefault(repr(ports), {"ports": ports})
        address = {"ip": _address(pod), "nodeName": pod["spec"].get("nodeName"), "targetRef": _target(pod)}
        group.setdefault("addresses" if _counts_as_ready(service, pod) else "notReadyAddresses", []).append(address)
    return [_ordered(group) for group in groups.values()]


def _ordered(group: Obj) -> Obj:
    fields = ("addresses", "notReadyAddresses", "ports")
    return {field: group[field] for field in fields if group.get(field)}


def _counts_as_ready(service: Obj, pod: Obj) -> bool:
    return ready(pod) or bool(service["spec"].get("publishNotReadyAddresses"))


def endpoint_slice(service: Obj, pods: Sequence[Obj], owner: Obj) -> Obj:
    """Return the Service's EndpointSlice; ports are those of its first pod."""
    meta = service["metadata"]
    labels = {**labels_of(service), _SERVICE: meta["name"], _MANAGED_BY: "endpointslice-controller.k8s.io"}
    if service["spec"].get("clusterIP") == "None":
        labels[_HEADLESS] = ""
    ordered = sorted(pods, key=_address)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{meta['name'][:57]}-{template_hash({'uid': meta['uid']})[:5]}",
            "namespace": meta["namespace"],
            "labels": labels,
            "ownerReferences": [owner],
        },
        "addressType": "IPv4",
        "endpoints": [_endpoint(service, pod) for pod in ordered],
        "ports": _ports(service, ordered[0]) if ordered else [],
    }


def _endpoint(service: Obj, pod: Obj) -> Obj:
    serving = ready(pod)
    conditions = {"ready": _counts_as_ready(service, pod) and not dying(pod), "serving": serving, "terminating": dying(pod)}
    return {"addresses": [_address(pod)], "conditions": conditions, "nodeName": pod["spec"].get("nodeName"), "targetRef": _target(pod)}


class EndpointControllers:
    """The stand-in for kube-controller-manager's endpoints and endpointslice controllers."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches; `run` starts the work."""
        api = api.acting_as("kube-controller-manager")
        self._loop = Loop(api, "endpoints", self._reconcile, settings.rng)
        self._services = self._loop.store(api.kind("", "services"), own_key, namespace=by_namespace)
        self._pods = self._loop.store(api.kind("", "pods"), self._services_of, namespace=by_namespace)
        self._endpoints = self._loop.store(api.kind("", "endpoints"), own_key)
        self._slices = self._loop.store(api.kind("discovery.k8s.io", "endpointslices"), _service_of)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    def _services_of(self, pod: Obj) -> Iterable[Key]:
        near = self._services.by("namespace", pod["metadata"]["namespace"])
        return [key_of(service) for service in near if _selects(service, pod)]

    async def _reconcile(self, key: Key) -> float | None:
        service = self._services.get(key)
        if service is None:
            await self._forget(key)
        elif service["spec"].get("selector") and not dying(service):
            near = self._pods.by("namespace", key.namespace)
            pods = [pod for pod in near if _selects(service, pod) and _address(pod) and not ended(pod)]
            await self._write_endpoints(service, pods)
            await self._write_slice(service, pods)
        return None

    async def _forget(self, key: Key) -> None:
        # Endpoints have no owner: they go by name; slices are left to the garbage collector
        held = self._endpoints.get(key)
        if held is not None and not dying(held):
            await self._endpoints.delete(held)

    async def _write_endpoints(self, service: Obj, pods: Sequence[Obj]) -> None:
        wanted, meta = subsets(service, pods), service["metadata"]
        held = self._endpoints.get(key_of(service))
        if held is None:
            named = {"name": meta["name"], "namespace": meta["namespace"], "labels": dict(labels_of(service))}
            await self._endpoints.create({"apiVersion": "v1", "kind": "Endpoints", "metadata": named, "subsets": wanted})
        elif (held.get("subsets") or []) != wanted:
            await self._endpoints.update({**held, "subsets": wanted})

    async def _write_slice(self, service: Obj, pods: Sequence[Obj]) -> None:
        wanted = endpoint_slice(service, pods, owner_reference(service, self._services.kind))
        held = self._slices.get(key_of(wanted))
        if held is None:
            await self._slices.create(wanted)
            return
        fresh = {**held, "endpoints": wanted["endpoints"], "ports": wanted["ports"]}
        fresh["metadata"] = {**held["metadata"], "labels": wanted["metadata"]["labels"]}
        if fresh != {"endpoints": [], "ports": [], **held} and not dying(held):
            await self._slices.update(fresh)


def _selects(service: Obj, pod: Obj) -> bool:
    selector = service["spec"].get("selector") or {}
    return bool(selector) and selector.items() <= dict(labels_of(pod)).items()


def _service_of(row: Obj) -> Iterable[Key]:
    name = labels_of(row).get(_SERVICE)
    return (Key(row["metadata"]["namespace"], name),) if name else ()
