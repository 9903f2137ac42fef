"""Is the target still what the fix made of it? Where somebody changed it since, nobody can tell whose doing its state is."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from kubernaut.api.base import Kind, Obj, Resource
from kubernaut.api.core import DAEMON_SET, DEPLOYMENT, REPLICA_SET, STATEFUL_SET
from kubernaut.api.verification import EffectivenessAssessment, EffectivenessAssessmentStatus
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import IndexFn
from kubernaut.verification.decide import Component, Reading
from kubernaut.verification.probes.workload import kind_of

DRIFTING: Final = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET, REPLICA_SET)
"""Kinds whose spec only people, tools and fixes write."""
SCALE: Final = "scale"


class DriftProbe:
    """Compares the target's spec with the one that the fix left behind."""

    component = Component.SPEC

    def reads(self) -> Mapping[Kind | type[Resource], Mapping[str, IndexFn]]:
        """Return the kinds that are read."""
        return {kind: {} for kind in DRIFTING}

    async def look(self, cluster: Cluster, assessment: EffectivenessAssessment) -> Reading | None:
        """Say whether the target is as the fix left it; None while that was not written down, or where there is nothing to compare."""
        obj = target_of(cluster, assessment)
        return judge(obj, assessment.status) if obj is not None and assessment.status.spec_hash else None


def target_of(cluster: Cluster, assessment: EffectivenessAssessment) -> Obj | None:
    """Return the object that was acted on, from the cache, where its spec may drift."""
    target = assessment.spec.remediation_target
    kind = kind_of(target)
    return cluster.read(kind, target.namespace, target.name) if kind in DRIFTING and kind is not None else None


def judge(obj: Obj, left: EffectivenessAssessmentStatus) -> Reading:
    """Compare an object with what was written down of it; replicas that an autoscaler sets may change."""
    same = spec_hash(obj) == left.spec_hash
    scaled = replicas_of(obj) != left.spec_replicas and not is_scaled(obj)
    if same and not scaled:
        return Reading(Component.SPEC, 1.0, good=True, message="the target is as the fix left it")
    what = f"its replicas, from {left.spec_replicas} to {replicas_of(obj)}," if same else "its spec"
    message = f"{_writer(obj)} changed {what} after the fix"
    return Reading(Component.SPEC, 0.0, good=False, message=message)


def spec_hash(obj: Obj) -> str:
    """Return the SHA-256 of an object's spec, its replicas aside."""
    spec = {name: value for name, value in (obj.get("spec") or {}).items() if name != "replicas"}
    return hashlib.sha256(orjson.dumps(spec, option=orjson.OPT_SORT_KEYS)).hexdigest()


def replicas_of(obj: Obj) -> int | None:
    """Return how many replicas an object's spec asks for."""
    found = (obj.get("spec") or {}).get("replicas")
    return found if isinstance(found, int) else None


def is_scaled(obj: Obj) -> bool:
    """Tell whether the replicas were last set through the scale subresource, as autoscalers do."""
    return any(each.get("subresource") == SCALE for each in _writes(obj))


def _writer(obj: Obj) -> str:
    """Name who wrote the object's spec last, as its field managers tell."""
    writes = [each for each in _writes(obj) if each.get("subresource") != "status" and "f:spec" in (each.get("fieldsV1") or {})]
    latest = max(writes, key=lambda each: str(each.get("time") or ""), default={})
    return str(latest.get("manager") or "somebody")


def _writes(obj: Obj) -> list[dict[str, Any]]:
    return (obj.get("metadata") or {}).get("managedFields") or []
