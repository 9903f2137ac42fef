"""Emptying a node: cordoned first, then its pods evicted one by one as far as disruption budgets allow."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kubernaut.api.base import Obj
from kubernaut.api.core import NODE, POD
from kubernaut.api.execution import ChangedResource, UndoKind
from kubernaut.execution.actions.base import Access, Effect, Plan, Work, on, read
from kubernaut.execution.actions.nodes import DrainParameters, OnNode
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError

TOO_MANY_REQUESTS: Final = 429
MIRROR: Final = "kubernetes.io/config.mirror"
ENDED: Final = frozenset({"Succeeded", "Failed"})
AT_ONCE: Final = 20
"""How many pods are evicted in one go; the rest follow at the next look."""
NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Load:
    """The pods of a node, sorted by what a drain does with them."""

    leaving: tuple[Obj, ...]
    stuck: tuple[str, ...]
    """Why a drain must not begin, each a sentence."""


class Drain(OnNode[DrainParameters]):
    """Cordons a node and evicts its pods; what was evicted does not come back by an undo."""

    name = "drain_node"
    parameters = DrainParameters
    undo = UndoKind.COMPENSATING
    rights = (*on(NODE), *on(POD, verbs=["list"]), *on(POD, verbs=["create"], subresource="eviction"))

    def access(self, given: DrainParameters) -> list[Access]:
        """Read and patch the node; list and evict pods anywhere."""
        own = [Access(verb, NODE, "", given.node_name) for verb in ("get", "patch")]
        return [*own, Access("list", POD, ""), Access("create", POD, "", subresource="eviction")]

    async def plan(self, client: Client, given: DrainParameters, mark: str) -> Plan:
        """Cordon it, provided that every pod may go; the API server is asked about each by a dry run of its eviction."""
        del mark
        current = await read(client, self.target(given))
        load = load_of(await _pods(client, given.node_name), given)
        refusals = [await _evict(client, pod, given, dry_run=True) for pod in load.leaving]
        faults = (*load.stuck, *dict.fromkeys(each for each in refusals if each))
        names = _listed([_name(pod) for pod in load.leaving])
        notes = (f"evicts {len(load.leaving)} pods: {names}",) if load.leaving else ("no pod is to be evicted",)
        beside = tuple(_changed(pod, "evict") for pod in load.leaving)
        return Plan(Effect.PATCH, current, {"spec": {"unschedulable": True}}, faults=faults, notes=notes, beside=beside)

    async def work(self, client: Client, given: DrainParameters, now: datetime) -> Work:
        """Evict what is still there; a budget that refuses is asked again later."""
        del now
        load = load_of(await _pods(client, given.node_name), given)
        staying = [pod for pod in load.leaving if "deletionTimestamp" not in pod["metadata"]]
        answers = [(pod, await _evict(client, pod, given)) for pod in staying[:AT_ONCE]]
        gone = [pod for pod in load.leaving if "deletionTimestamp" in pod["metadata"]]
        evicted = tuple(_changed(pod, "evicted") for pod in (*gone, *(pod for pod, refused in answers if not refused)))
        if not load.leaving:
            return Work("; ".join(load.stuck))
        refused = next((text for _, text in answers if text), "")
        why = f": {refused}" if refused else ""
        return Work(f"{len(load.leaving)} pods are still there, {_listed([_name(pod) for pod in load.leaving])}{why}", evicted)


def load_of(pods: list[Obj], given: DrainParameters) -> Load:
    """Sort the pods of a node, after kubectl drain: mirror pods and (if told so) those of DaemonSets stay; ended ones go anyway."""
    movable = [pod for pod in pods if MIRROR not in (pod["metadata"].get("annotations") or {}) and not _ignored(pod, given)]
    stuck = tuple(why for pod in movable if (why := _stuck(pod, given)))
    return Load(tuple(movable), stuck)


def _ignored(pod: Obj, given: DrainParameters) -> bool:
    return given.ignore_daemonsets and _owner(pod) == "DaemonSet"


def _owner(pod: Obj) -> str:
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((str(each["kind"]) for each in owners if each.get("controller")), "")


def _stuck(pod: Obj, given: DrainParameters) -> str:
    """Return why a pod must not be evicted, if so."""
    if (pod.get("status") or {}).get("phase") in ENDED or "deletionTimestamp" in pod["metadata"]:
        return ""
    if _owner(pod) == "DaemonSet":
        return f"pod {_name(pod)} belongs to a DaemonSet and would come back: set ignore_daemonsets"
    if not _owner(pod) and not given.force:
        return f"pod {_name(pod)} has no controller, nobody would replace it: force evicts it all the same"
    local = any("emptyDir" in volume for volume in pod["spec"].get("volumes") or ())
    if local and not given.delete_local_data:
        return f"pod {_name(pod)} keeps data on the node (emptyDir), which would be lost: delete_local_data allows it"
    return ""


async def _pods(client: Client, name: str) -> list[Obj]:
    return (await client.list(POD, field_selector=f"spec.nodeName={name}")).items


async def _evict(client: Client, pod: Obj, given: DrainParameters, *, dry_run: bool = False) -> str:
    """Ask for the eviction of this very pod; return why a budget refuses it. One that is gone is evicted already."""
    meta = pod["metadata"]
    options = {"gracePeriodSeconds": given.grace_period_seconds, "preconditions": {"uid": meta["uid"]}}
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        "deleteOptions": options,
    }
    try:
        await client.create(POD, body, subresource_of=meta["name"], subresource="eviction", dry_run=dry_run)
    except ApiError as fault:
        if fault.status == TOO_MANY_REQUESTS:
            return f"pod {_name(pod)} may not be evicted now: {_cause(fault)}"
        if fault.not_found or fault.conflict:
            return ""
        raise
    return ""


def _cause(fault: ApiError) -> str:
    causes = fault.details.get("causes") or ()
    return next((str(each["message"]) for each in causes if each.get("message")), fault.message)


def _changed(pod: Obj, action: str) -> ChangedResource:
    meta = pod["metadata"]
    return ChangedResource(api_version="v1", kind="Pod", namespace=meta["namespace"], name=meta["name"], uid=meta["uid"], action=action)


def _name(pod: Obj) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
