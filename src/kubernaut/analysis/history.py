"""What was tried on a target before and did not help, in whatever case: assessed as without effect, or worse. Reads caches only."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from kubernaut.api.analysis import PreviousExecution
from kubernaut.api.base import Obj, Resource, ResourceIdentifier
from kubernaut.api.verification import EffectivenessAssessment, Verdict
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import IndexFn

BY_TREATED: Final = "analysis.treated"
BY_CASE: Final = "analysis.case"
LIMIT: Final = 50
"""Assessments of one target that are looked at, the newest first."""
_NO_HELP: Final = frozenset({Verdict.INEFFECTIVE, Verdict.WORSE})


def history_indexes() -> dict[type[Resource], Mapping[str, IndexFn]]:
    """Return the kinds of ours that remember, with the indexes they are read by."""
    return {EffectivenessAssessment: {BY_TREATED: _treated}, WorkflowExecution: {BY_CASE: _case}}


def without_help(cluster: Cluster, target: ResourceIdentifier, since: datetime) -> list[PreviousExecution]:
    """Return the fixes of a target that were assessed since a moment and had not helped, the newest first."""
    found = cluster.where(EffectivenessAssessment, BY_TREATED, _path(target.kind, target.namespace, target.name))
    judged = [each for each in found if each.status.verdict in _NO_HELP and each.spec.fix_completed_at >= since]
    judged.sort(key=lambda each: (each.spec.fix_completed_at, each.metadata.name), reverse=True)
    return [row for each in judged[:LIMIT] for row in _tried(cluster, each)]


def _tried(cluster: Cluster, assessment: EffectivenessAssessment) -> Iterator[PreviousExecution]:
    """Yield the fixes of an assessment's case that ran before it was made."""
    spec = assessment.spec
    said = f"assessed as {(assessment.status.verdict or Verdict.UNKNOWN).value} at {spec.fix_completed_at:%Y-%m-%d %H:%M} UTC"
    executions = cluster.where(WorkflowExecution, BY_CASE, spec.remediation_request_ref.name)
    for execution in sorted(executions, key=lambda each: each.metadata.name):
        if execution.spec.workflow_ref:
            yield PreviousExecution(
                workflow_id=execution.spec.workflow_ref.workflow_id, parameters=execution.spec.parameters, reason="NoHelp", message=said
            )
        steps = execution.spec.workflow_definition.steps if execution.spec.workflow_definition else ()
        for step in steps:
            yield PreviousExecution(failed_step=step.action, parameters=step.effect(), reason="NoHelp", message=said)


def _treated(obj: Obj) -> Iterable[str]:
    target = obj["spec"]["remediationTarget"]
    return (_path(target.get("kind", ""), target.get("namespace", ""), target.get("name", "")),)


def _case(obj: Obj) -> Iterable[str]:
    return (obj["spec"]["remediationRequestRef"]["name"],)


def _path(kind: str, namespace: str, name: str) -> str:
    return f"{kind.casefold()}/{namespace}/{name}"
