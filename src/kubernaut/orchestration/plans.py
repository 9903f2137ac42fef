"""The fix that an analysis chose, in a name and a hash: what tells one plan from another. Pure."""

from hashlib import sha256

import orjson

from kubernaut.api.workflow import WorkflowExecution
from kubernaut.orchestration.family import Family


def fix_of(family: Family) -> str:
    """Return the fix's name: the workflow, else the first recommended action; empty when there is none."""
    if family.analysis is None:
        return ""
    status = family.analysis.status
    if status.selected_workflow is not None:
        return status.selected_workflow.workflow_id
    return status.recommendations[0].action if status.recommendations else ""


def plan_hash(family: Family) -> str:
    """Return the hash of the chosen fix with all its parameters; empty when there is none."""
    if family.analysis is None:
        return ""
    status = family.analysis.status
    if status.selected_workflow is not None:
        chosen = status.selected_workflow
        return _hash([chosen.workflow_id, chosen.container_image, chosen.parameters])
    if status.recommendations and status.recommendations[0].workflow_steps:
        return _hash([step.wire() for step in status.recommendations[0].workflow_steps])
    return ""


def fix_in(execution: WorkflowExecution) -> str:
    """Return the name of the fix that a workflow execution carries out."""
    spec = execution.spec
    return spec.workflow_ref.workflow_id if spec.workflow_ref else spec.workflow_definition.name if spec.workflow_definition else ""


def _hash(plan: list[object]) -> str:
    return sha256(orjson.dumps(plan, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
