"""What a fix will change, for the one who is asked: the steps to be tried without effect, and what came of it in words. Pure."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from kubernaut.analysis.steps import UNDO_WORDS, told, undo_of
from kubernaut.api.analysis import AIAnalysis, AIAnalysisStatus
from kubernaut.api.approval import PlannedChange
from kubernaut.api.base import CORRELATION_LABEL, ObjectMeta, ResourceIdentifier
from kubernaut.api.binding import steps_of
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.durations import go_duration
from kubernaut.api.execution import (
    ExecutionConfig,
    KubernetesExecution,
    KubernetesExecutionSpec,
    OperationResult,
    Phase,
    UndoKind,
)
from kubernaut.api.plan import Operation

NO_PREVIEW: Final = "This workflow declares no preview: its effect cannot be shown before it runs."
NO_TRIAL: Final = "The trial on the cluster did not come back in time: the exact difference cannot be shown."
REFUSED: Final = "The trial on the cluster was refused; carried out as things stand, this fix would fail:"
REFUSED_HERE: Final = "The trial on the cluster was refused, so the exact difference cannot be shown:"
"""A workflow runs under an identity of its own, and may do what a trial may not."""
_VARIABLE: Final = re.compile(r"\$\(([A-Z][A-Z0-9_]*)\)")
_DIFF_LIMIT: Final = 16_000
_TEXT_LIMIT: Final = 16_384
_SHOWN: Final = 20
_REPLACING: Final = frozenset({"increase_resources", "rollback_deployment", "restart_pod", "rollout_restart", "restart_daemonset"})
"""Actions that replace pods, where no trial says what is touched."""
_WORST: Final = (UndoKind.NONE, UndoKind.COMPENSATING, UndoKind.EXACT)

PodsOf = Callable[[ResourceIdentifier], Sequence[str]]
"""Names the pods that an object has made, as `namespace/name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What the approval request says of the fix's effect."""

    says: str
    previewed: bool = False
    changes: tuple[PlannedChange, ...] = ()
    objects: tuple[ResourceIdentifier, ...] = ()
    pods: tuple[str, ...] = ()
    undo: UndoKind | None = None

    def fields(self) -> dict[str, Any]:
        """Return the spec's fields that tell it."""
        return {
            "what_will_change": self.says[:_TEXT_LIMIT],
            "previewed": self.previewed,
            "planned_changes": list(self.changes[:_SHOWN]),
            "objects_touched": list(self.objects[:_SHOWN]),
            "pods_touched": list(self.pods[:_SHOWN]),
            "pods_touched_count": len(self.pods),
            "undo": self.undo,
        }


def operations_of(workflow: RemediationWorkflow | None, status: AIAnalysisStatus) -> list[Operation]:
    """Return the steps with the fix's effect: the workflow's declared preview with its parameters filled in, else the typed steps."""
    if status.selected_workflow is None:
        return list(steps_of(status))
    if workflow is None:
        return []
    return [_with_present_values(_filled(step, status.selected_workflow.parameters), steps_of(status)) for step in workflow.spec.preview]


def is_preview(analysis: AIAnalysis, name: str) -> bool:
    """Tell whether an object that an analysis owns is a preview of its own making."""
    return name.startswith(_prefix(analysis))


def _prefix(analysis: AIAnalysis) -> str:
    return f"{analysis.metadata.name}-preview-"


def preview_of(analysis: AIAnalysis, operations: Sequence[Operation], now: datetime, limit: timedelta) -> KubernetesExecution:
    """Return the dry run of a plan; the same plan has the same name, another one another."""
    meta, bound = analysis.metadata, analysis.status.binding
    digest = bound.hash.removeprefix("sha256:")[:8] if bound else "unbound"
    return KubernetesExecution(
        metadata=ObjectMeta(
            name=f"{_prefix(analysis)}{digest}", namespace=meta.namespace, labels={CORRELATION_LABEL: analysis.correlation_id}
        ),
        spec=KubernetesExecutionSpec(
            remediation_request_ref=analysis.spec.remediation_request_ref,
            operations=list(operations),
            execution_config=ExecutionConfig(dry_run=True, safety_validation=True, timeout=go_duration(limit)),
            times_out_at=now + limit,
        ),
    )


def effect_of(workflow: RemediationWorkflow | None, status: AIAnalysisStatus, trial: KubernetesExecution | None, pods_of: PodsOf) -> Effect:
    """Say what a fix will change; `trial` is its dry run that has ended, or None where there is none."""
    operations = operations_of(workflow, status)
    if not operations:
        return _untold(workflow, status)
    results = {result.step_number: result for result in trial.status.operation_results} if trial else {}
    changes = _changes(operations, results)
    notes = _refusals(changes, REFUSED_HERE if workflow else REFUSED) if results else [NO_TRIAL]
    objects = tuple({each.path(): each for each in _objects(operations)}.values())
    return Effect(
        says="\n".join((*_sentences(changes), *notes)),
        previewed=bool(results) and all(map(_tried, results.values())),
        changes=changes,
        objects=objects,
        pods=_pods(operations, results, pods_of),
        undo=min((change.undo or UndoKind.NONE for change in changes), key=_WORST.index),
    )


def _untold(workflow: RemediationWorkflow | None, status: AIAnalysisStatus) -> Effect:
    """Say honestly that nobody can show it beforehand."""
    described = workflow.spec.description if workflow else status.recommended_action
    undo = UndoKind.COMPENSATING if workflow and workflow.spec.rollback_parameters else None
    back = UNDO_WORDS[undo] if undo else "Undo: unknown, the workflow declares no way back."
    objects = (status.remediation_target,) if status.remediation_target else ()
    return Effect(says=f"{described} {NO_PREVIEW} {back}", objects=objects, undo=undo)


def _changes(operations: Sequence[Operation], results: dict[int, OperationResult]) -> tuple[PlannedChange, ...]:
    left, made = _DIFF_LIMIT, []
    for operation in operations:
        result = results.get(operation.step_number)
        diff = result.diff[:left] if result else ""
        left -= len(diff)
        made.append(
            PlannedChange(
                step_number=operation.step_number,
                action=operation.action,
                says=told(operation)[:1024],
                diff=diff,
                undo=result.undo.kind if result and result.undo else undo_of(operation),
                refused=result.error_message if result and result.phase is Phase.FAILED else "",
            )
        )
    return tuple(made)


def _tried(result: OperationResult) -> bool:
    return any(check.name == "dry-run" and check.passed for check in result.checks)


def _sentences(changes: Iterable[PlannedChange]) -> list[str]:
    return [f"{change.says} {UNDO_WORDS[change.undo or UndoKind.NONE]}" for change in changes]


def _refusals(changes: Iterable[PlannedChange], refused: str) -> list[str]:
    return [f"{refused} {change.refused}" for change in changes if change.refused]


def _objects(operations: Iterable[Operation]) -> list[ResourceIdentifier]:
    return [operation.target for operation in operations if operation.target]


def _pods(operations: Sequence[Operation], results: dict[int, OperationResult], pods_of: PodsOf) -> tuple[str, ...]:
    """Return the pods that are replaced or deleted; scaling and the like leave those there are alone."""
    found: dict[str, None] = {}
    for operation in operations:
        if operation.target is None or not _replaces_pods(operation, results.get(operation.step_number)):
            continue
        target = operation.target
        names = [f"{target.namespace}/{target.name}"] if target.kind == "Pod" else pods_of(target)
        found |= dict.fromkeys(names)
    return tuple(found)


def _replaces_pods(operation: Operation, result: OperationResult | None) -> bool:
    if result is None or not result.resources_affected:
        return operation.action in _REPLACING
    affected = result.resources_affected[0]
    spec = affected.after.get("spec")
    return affected.kind == "Pod" or (isinstance(spec, dict) and "template" in spec)


def _with_present_values(step: Operation, known: Sequence[Operation]) -> Operation:
    """Borrow target and present values of the typed step of the same action, so that both sides of the change are shown."""
    twin = next((each for each in known if each.action == step.action and _same_object(each, step)), None)
    return step.model_copy(update={"target": twin.target, "rollback": twin.rollback}) if twin else step


def _same_object(one: Operation, other: Operation) -> bool:
    names = ("namespace", "resource_name")
    return all(str(one.parameters.get(name)) == str(other.parameters.get(name)) for name in names)


def _filled(step: Operation, values: dict[str, str]) -> Operation:
    filled = {name: _replaced(value, values) for name, value in step.parameters.items()}
    target = step.target
    if target is not None:
        names = {name: _replaced(getattr(target, name), values) for name in ("name", "namespace")}
        target = target.model_copy(update=names)
    return step.model_copy(update={"parameters": filled, "target": target})


def _replaced(value: Any, values: dict[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), value)
