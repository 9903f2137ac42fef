"""What a plan is bound to: the very object it was made for, and the fix with its parameters. Pure.

The analysis writes the binding down when it plans and holds an approval against it; whoever acts later does the same just before acting.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubernaut.api.base import Model, Obj, ResourceIdentifier
from kubernaut.api.plan import Operation, SelectedWorkflow

if TYPE_CHECKING:
    from kubernaut.api.analysis import AIAnalysisStatus


class Binding(Model):
    """The state of the target that a plan was made for."""

    hash: str
    """Over the target's uid and spec, the workflow's digest with its parameters, and the typed steps."""
    target: ResourceIdentifier | None = None
    replicas_left_out: bool = False
    """An autoscaler owned the replicas, so their number is no part of it."""


def bind(
    target: Obj | None,
    named: ResourceIdentifier | None,
    workflow: SelectedWorkflow | None,
    steps: Sequence[Operation],
    *,
    replicas_left_out: bool = False,
) -> Binding:
    """Return the binding of a plan to its target as it stands; None is a target that does not exist.

    The target's status, labels and annotations are no part of it: what changes by itself voids nothing.
    """
    bound = {
        "target": _of_target(target, replicas_left_out=replicas_left_out),
        "workflow": [workflow.workflow_id, workflow.version, workflow.container_image, workflow.parameters] if workflow else None,
        "steps": [step.wire() for step in steps],
    }
    text = json.dumps(bound, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    return Binding(hash=digest, target=named, replicas_left_out=replicas_left_out)


def still_bound(status: "AIAnalysisStatus", target: Obj | None) -> bool:
    """Tell whether a plan's target is, as it stands now, what the plan was made for; a plan that was bound to nothing holds."""
    held = status.binding
    if held is None:
        return True
    now = bind(target, held.target, status.selected_workflow, steps_of(status), replicas_left_out=held.replicas_left_out)
    return now.hash == held.hash


def steps_of(status: "AIAnalysisStatus") -> Sequence[Operation]:
    """Return the typed steps of the first recommendation."""
    return status.recommendations[0].workflow_steps if status.recommendations else ()


def _of_target(target: Obj | None, *, replicas_left_out: bool) -> Any:
    if target is None:
        return None
    spec = dict(target.get("spec") or {})
    if replicas_left_out:
        spec.pop("replicas", None)
    meta = target["metadata"]
    return [target["kind"], meta.get("namespace", ""), meta["name"], meta.get("uid", ""), spec]
