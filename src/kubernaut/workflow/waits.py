"""Who is to look again when something changes elsewhere: indexes of WorkflowExecutions, and the ways from other objects to them."""

from collections.abc import Iterable, Mapping

from kubernaut.api.base import Obj
from kubernaut.api.remediation import BY_REMEDIATION, remediation_of
from kubernaut.api.workflow import SOURCE_NAMESPACE_LABEL, TARGET_RESOURCE_ANNOTATION, WORKFLOW_EXECUTION_LABEL, WorkflowExecution
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import IndexFn, Key, controller_owner
from kubernaut.workflow.cooldown import COOLDOWN_INDEX
from kubernaut.workflow.holders import ACTIVE_INDEX

UNBEGUN_INDEX = "unbegun"
"""WorkflowExecutions whose run was not created yet, under `True`."""
ENDED_INDEX = "ended-target"
"""Executions of workflows that have ended, by `namespace|target`."""


def indexes() -> Mapping[str, IndexFn]:
    """Return the indexes of WorkflowExecutions that this stage reads."""
    return {
        ACTIVE_INDEX: _active_target,
        COOLDOWN_INDEX: _ended_workflow,
        ENDED_INDEX: _ended_target,
        BY_REMEDIATION: remediation_of,
        UNBEGUN_INDEX: _unbegun,
    }


class Waits:
    """Who is to look again when something of a target changes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def behind_lease(self, lease: Obj) -> Iterable[Key]:
        """All that wait for a target whose Lease changed or went."""
        target = (lease["metadata"].get("annotations") or {}).get(TARGET_RESOURCE_ANNOTATION)
        return self._waiting(f"{lease['metadata']['namespace']}|{target}") if target else ()

    def behind_execution(self, obj: Obj) -> Iterable[Key]:
        """All that wait behind an execution that ended or is being deleted."""
        return self._waiting(next(iter(_target(obj)))) if _is_ended(obj) or "deletionTimestamp" in obj["metadata"] else ()

    def undone_by(self, obj: Obj) -> Iterable[Key]:
        """The execution that an execution takes back, which owns it."""
        meta, owner = obj["metadata"], controller_owner(obj)
        return [Key(meta["namespace"], owner["name"])] if owner.get("kind") == WorkflowExecution.card.kind else []

    def planner_of(self, obj: Obj) -> Iterable[Key]:
        """The WorkflowExecution whose plan a KubernetesExecution carries out."""
        return [
            _key(found) for value in remediation_of(obj) for found in self._cluster.select(WorkflowExecution.card, BY_REMEDIATION, value)
        ]

    def planners_of_ended(self, obj: Obj) -> Iterable[Key]:
        """The WorkflowExecutions of a remediation that has ended, or goes: what they planned is not carried out any more."""
        meta = obj["metadata"]
        if not _is_ended(obj) and "deletionTimestamp" not in meta:
            return []
        value = f"{meta['namespace']}/{meta['name']}"
        return [_key(found) for found in self._cluster.select(WorkflowExecution.card, BY_REMEDIATION, value)]

    def unbegun(self, _brake: Obj) -> Iterable[Key]:
        """All that have not begun: people have paused, or resumed."""
        return [_key(found) for found in self._cluster.select(WorkflowExecution.card, UNBEGUN_INDEX, "True")]

    def _waiting(self, value: str) -> list[Key]:
        return [_key(found) for found in self._cluster.select(WorkflowExecution.card, ACTIVE_INDEX, value)]


def _key(obj: Obj) -> Key:
    return Key(obj["metadata"]["namespace"], obj["metadata"]["name"])


def execution_of_run(obj: Obj) -> Iterable[Key]:
    """The execution whose run an object is, or belongs to: the labels of a run are copied down to its parts."""
    labels = obj["metadata"].get("labels") or {}
    if WORKFLOW_EXECUTION_LABEL in labels and SOURCE_NAMESPACE_LABEL in labels:
        yield Key(labels[SOURCE_NAMESPACE_LABEL], labels[WORKFLOW_EXECUTION_LABEL])


def _is_ended(obj: Obj) -> bool:
    return bool((obj.get("status") or {}).get("completionTime"))


def _target(obj: Obj) -> Iterable[str]:
    yield f"{obj['metadata']['namespace']}|{obj['spec']['targetResource']}"


def _active_target(obj: Obj) -> Iterable[str]:
    return () if _is_ended(obj) else _target(obj)


def _unbegun(obj: Obj) -> Iterable[str]:
    return () if _is_ended(obj) or (obj.get("status") or {}).get("pipelineRunRef") else ("True",)


def _ended_workflow(obj: Obj) -> Iterable[str]:
    workflow = (obj["spec"].get("workflowRef") or {}).get("workflowId")
    return [f"{value}|{workflow}" for value in _target(obj)] if workflow and _is_ended(obj) else ()


def _ended_target(obj: Obj) -> Iterable[str]:
    return _target(obj) if obj["spec"].get("workflowRef") and _is_ended(obj) else ()
