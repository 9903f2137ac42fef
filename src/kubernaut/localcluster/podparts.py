"""The subresources of a pod that do something to it: eviction and binding."""

from dataclasses import replace

from kubernaut.localcluster import deletion, errors
from kubernaut.localcluster.calls import Call, DeleteOptions
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.selectors import label_selector_of
from kubernaut.localcluster.store import Record

PODS = builtin("", "pods")
_BUDGETS = builtin("policy", "poddisruptionbudgets")
_BINDINGS = replace(PODS, plural="pods/binding")
_SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def evict(registry: Registry, namespace: str, name: str, body: Obj, call: Call) -> Obj:
    """Delete a pod unless a budget forbids it; raise ApiError 400, 404 or 429."""
    asked = body["metadata"].get("name")
    if asked and asked != name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    pod = registry.get(PODS, namespace, name)
    # whoever may refuse is asked before the budget is spent
    registry.refuse_delete(PODS, pod.obj, call)
    if _counts(pod.obj):
        _spend(registry, pod, call)
    given = body.get("deleteOptions") or {}
    conditions = given.get("preconditions") or {}
    options = DeleteOptions(conditions.get("uid", ""), conditions.get("resourceVersion", ""), "", given.get("gracePeriodSeconds"))
    deletion.delete(registry, PODS, namespace, name, options, call)
    return dict(_SUCCESS)


def _counts(pod: Obj) -> bool:
    ended = (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed", "Pending"}
    return not ended and not pod["metadata"].get("deletionTimestamp")


def _spend(registry: Registry, pod: Record, call: Call) -> None:
    """Take one disruption from the budget that covers a pod."""
    labels = pod.obj["metadata"].get("labels") or {}
    budgets = [row for row in registry.all_of(_BUDGETS, pod.key[0]) if label_selector_of(row.obj["spec"].get("selector"))(labels)]
    if len(budgets) > 1:
        raise errors.internal("This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")
    for budget in budgets:
        _check_budget(budget.obj)
        if not call.dry_run:
            registry.update(_BUDGETS, *budget.key, _spent, call, "status")


def _check_budget(budget: Obj) -> None:
    status = budget.get("status") or {}
    if status.get("disruptionsAllowed", 0) > 0:
        return
    name = budget["metadata"]["name"]
    needed, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    text = f"The disruption budget {name} needs {needed} healthy pods and has {healthy} currently"
    causes = [{"reason": "DisruptionBudget", "message": text}]
    raise errors.too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", {"causes": causes})


def _spent(budget: Obj) -> Obj:
    return {**budget, "status": {**budget["status"], "disruptionsAllowed": budget["status"]["disruptionsAllowed"] - 1}}


def bind(registry: Registry, namespace: str, name: str, body: Obj, call: Call) -> Obj:
    """Give a pod its node; raise ApiError 404, or 409 where it has one."""

    def placed(pod: Obj) -> Obj:
        if why := _unbindable(pod, body):
            raise errors.conflict(_BINDINGS, name, why)
        seen = {"observedGeneration": pod["metadata"]["generation"]} if "generation" in pod["metadata"] else {}
        done = {"type": "PodScheduled", **seen, "status": "True", "lastProbeTime": None, "lastTransitionTime": registry.sources.now()}
        status = pod.get("status") or {}
        others = [row for row in status.get("conditions") or [] if row["type"] != "PodScheduled"]
        spec = {**pod["spec"], "nodeName": body["target"]["name"]}
        return {**pod, "spec": spec, "status": {**status, "conditions": [*others, done]}}

    asked, target = body["metadata"].get("name"), body.get("target") or {}
    if asked != name:
        raise errors.bad_request("name in URL does not match name in Binding object")
    if target.get("kind") not in (None, "", "Node"):
        raise errors.internal(f'target.kind: Unsupported value: {errors.encode_go(target["kind"])}: supported values: "Node", "<empty>"')
    if not target.get("name"):
        raise errors.internal("target.name: Required value")
    registry.update(PODS, namespace, name, placed, call, "binding")
    return dict(_SUCCESS)


def _unbindable(pod: Obj, body: Obj) -> str:
    """Say why a pod takes no node; empty where it does."""
    meta, spec = pod["metadata"], pod["spec"]
    asked = body["metadata"].get("uid")
    if asked and asked != meta["uid"]:
        return f"Precondition failed: UID in precondition: {asked}, UID in object meta: {meta['uid']}"
    if meta.get("deletionTimestamp"):
        return f"pod {meta['name']} is being deleted, cannot be assigned to a host"
    if spec.get("nodeName"):
        return f"pod {meta['name']} is already assigned to node {errors.encode_go(spec['nodeName'])}"
    return f"pod {meta['name']} has non-empty .spec.schedulingGates" if spec.get("schedulingGates") else ""
