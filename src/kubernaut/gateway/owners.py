"""Who manages an object: owner references followed up through the informer caches."""

from collections.abc import Callable

from kubernaut.api import core
from kubernaut.api.base import Kind, Obj, ResourceIdentifier

MAX_STEPS = 8
FOLLOWED = (core.POD, core.REPLICA_SET, core.DEPLOYMENT, core.STATEFUL_SET, core.DAEMON_SET, core.JOB, core.CRON_JOB)
"""Kinds whose owners are looked up; the caches the gateway keeps."""
SELF_OWNED = ("Node", "Namespace", "Service", "PersistentVolumeClaim", "HorizontalPodAutoscaler", "PodDisruptionBudget")

Read = Callable[[Kind, str, str], Obj | None]
"""Returns an object by kind, namespace and name, or None."""


def top_owner(resource: ResourceIdentifier, read: Read) -> ResourceIdentifier | None:
    """Return the top-level controller of an object, the object itself when nothing controls it, None when it is not known."""
    current = resource
    if current.kind in SELF_OWNED:
        return current
    for _ in range(MAX_STEPS):
        kind = core.kind_named(current.kind)
        found = read(kind, current.namespace, current.name) if kind in FOLLOWED and kind is not None else None
        if found is None:
            return None if current is resource else current
        controller = next((ref for ref in found["metadata"].get("ownerReferences", ()) if ref.get("controller")), None)
        if controller is None or controller["kind"] == core.NODE.kind:  # a node mirrors its static pods, and manages none
            return _identified(current, found)
        current = ResourceIdentifier(
            kind=controller["kind"], name=controller["name"], namespace=current.namespace, api_version=controller["apiVersion"]
        )
    return current


def _identified(resource: ResourceIdentifier, found: Obj) -> ResourceIdentifier:
    version = found.get("apiVersion") or resource.api_version
    return resource.model_copy(update={"api_version": version})
