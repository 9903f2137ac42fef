"""The subresources of a pod that do something: eviction, binding and logs."""

from collections.abc import Callable
from typing import Protocol

from kubernaut.localcluster import deletion, errors
from kubernaut.localcluster.calls import Call, DeleteOptions
from kubernaut.localcluster.errors import FieldFault, Obj
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.parameters import Parameters
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.selectors import label_selector_of
from kubernaut.localcluster.store import Record

PODS, _NODES = builtin("", "pods"), builtin("", "nodes")
_BUDGETS = builtin("policy", "poddisruptionbudgets")
_LOG_MAX = 1024 * 1024
_SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


class LogSource(Protocol):
    """Where a pod's log text comes from: whoever plays its kubelet."""

    def __call__(self, namespace: str, pod: str, container: str, *, previous: bool = False) -> str | None:
        """Return what a container wrote, or the one before it did; None where nothing is known of it."""


class PodLogs:
    """The texts that pods wrote, published by whoever runs them; asked in the order added."""

    def __init__(self) -> None:
        """Start without any."""
        self._sources: list[LogSource] = []

    def publish(self, source: LogSource) -> Callable[[], None]:
        """Add a source; return what takes it away."""
        self._sources.append(source)
        return lambda: self._sources.remove(source)

    def text(self, namespace: str, pod: str, container: str, *, previous: bool = False) -> str | None:
        """Return a container's log, or that of the one before it."""
        found = (source(namespace, pod, container, previous=previous) for source in self._sources)
        return next((text for text in found if text is not None), None)


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
        if held := pod["spec"].get("nodeName"):
            raise errors.conflict(PODS, name, f"pod {name} is already assigned to node {errors.encode_go(held)}")
        done = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": registry.sources.now()}
        status = pod.get("status") or {}
        others = [row for row in status.get("conditions") or [] if row["type"] != "PodScheduled"]
        spec = {**pod["spec"], "nodeName": body["target"]["name"]}
        return {**pod, "spec": spec, "status": {**status, "conditions": [*others, done]}}

    if not (body.get("target") or {}).get("name"):
        raise errors.invalid_named("Binding", "", name, [FieldFault("target.name", "FieldValueRequired", "Required value")])
    registry.update(PODS, namespace, name, placed, call, "binding")
    return dict(_SUCCESS)


def log_text(registry: Registry, logs: PodLogs, namespace: str, name: str, parameters: Parameters) -> str | None:
    """Return the text of a container's log, None where the pod has no node yet; raise ApiError 400, 404 or 422."""
    pod = registry.get(PODS, namespace, name).obj
    tail = _line_count(name, parameters)
    container = parameters.text("container") or _only_container(pod, name)
    named = [row["name"] for field in ("containers", "initContainers", "ephemeralContainers") for row in pod["spec"].get(field) or []]
    if container not in named:
        raise errors.bad_request(f"container {container} is not valid for pod {name}")
    previous = parameters.flag("previous")
    text = logs.text(namespace, name, container, previous=previous)
    if text is None and previous and pod["spec"].get("nodeName"):
        raise errors.bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
    if text is None:
        return _silence(registry, pod["spec"].get("nodeName", ""))
    return _cut(text, tail, parameters.number("limitBytes"))


def _silence(registry: Registry, node: str) -> str | None:
    if node and registry.find(_NODES, "", node) is None:
        # kube-apiserver names the node as if it were a pod
        raise errors.not_found(PODS, node)
    return "" if node else None


def _line_count(name: str, parameters: Parameters) -> int | None:
    tail = parameters.number("tailLines")
    if tail is not None and tail < 0:
        text = f"Invalid value: {tail}: must be greater than or equal to 0"
        raise errors.invalid_named("PodLogOptions", "", name, [FieldFault("tailLines", "FieldValueInvalid", text)])
    return tail


def _only_container(pod: Obj, name: str) -> str:
    named = [str(row["name"]) for row in pod["spec"]["containers"]]
    if len(named) > 1:
        told = " ".join(named)
        raise errors.bad_request(f"a container name must be specified for pod {name}, choose one of: [{told}]")
    return named[0]


def _cut(text: str, tail: int | None, limit: int | None) -> str:
    if tail is not None:
        lines = text.splitlines(keepends=True)
        text = "".join(lines[-tail:]) if tail else ""
    return text[: limit or _LOG_MAX]
