"""Takes the changes of an ended KubernetesExecution back when its spec asks for that, by the word of a person or since things got worse.

All or nothing where somebody else changed the same fields since: then nothing is touched, and the conflict is shown three ways.
Killed between any two writes it goes on where it stopped: what is back already is seen to be back.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, assert_never

from kubernaut.api.base import Obj
from kubernaut.api.execution import (
    KubernetesExecution,
    OperationResult,
    UndoKind,
    UndoOutcome,
    UndoRequest,
    UndoResult,
)
from kubernaut.api.workflow import Phase as WorkflowPhase
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.execution.actions.base import read_or_none
from kubernaut.execution.safety import Refused, Resolved, Safety
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.execution.undo import Back, Clash, Impossible, Nothing, ObjectKey, Remove, Restore, key_of, ways_back
from kubernaut.halt import LOOK_AGAIN, halt
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.kube.outcome import Outcome, again
from kubernaut.kube.reversal import against
from kubernaut.kube.status import cut
from kubernaut.undo import begun, ended

OPEN_INDEX: Final = "open-execution"
"""KubernetesExecutions that have not ended, under `True`."""
BUSY_AGAIN: Final = timedelta(seconds=10)
BETTER: Final = {"never": frozenset[UndoKind](), "exact": frozenset({UndoKind.EXACT}), "always": frozenset(UndoKind)}
TOLD: Final = 5


class Undoing:
    """Answers requests for an undo."""

    def __init__(self, cluster: Cluster, settings: ExecutionSettings, safety: Safety) -> None:
        self._cluster = cluster
        self._settings = settings
        self._safety = safety

    async def answer(self, execution: KubernetesExecution, asked: UndoRequest, now: datetime) -> Outcome:
        """Take everything back, last first, or say why not."""
        status = begun(execution, asked, now)
        if why := _refusal(execution, asked, self._settings):
            return ended(execution, UndoOutcome.REFUSED, why, now)
        if waits := await self._waits(execution, asked):
            status.message = cut(waits)
            return again(now + (LOOK_AGAIN if asked.automatic else BUSY_AGAIN))
        try:
            resolved = {each.step_number: self._safety.resolve(each) for each in execution.spec.operations}
        except Refused as fault:
            return ended(execution, UndoOutcome.FAILED, str(fault), now)
        results = [each for each in execution.status.operation_results if each.step_number in resolved]
        objects = await _objects(results, resolved)
        ways = ways_back(results, objects, lambda step: mark_of_step(execution, step))
        if any(isinstance(back, Clash) for _, back in ways):
            status.results = [told(result, back) for result, back in ways]
            return ended(execution, UndoOutcome.CONFLICT, _clashes(status.results), now)
        try:
            status.results = await self._go(resolved, ways, objects)
        except ApiError as fault:
            if fault.conflict or fault.not_found:
                return again(now)  # changed this very moment: judged anew
            if fault.retryable:
                raise
            return ended(execution, UndoOutcome.FAILED, fault.message, now)
        return ended(execution, _outcome(status.results), _summary(status.results), now)

    async def take_back(self, execution: KubernetesExecution, index: int) -> UndoResult:
        """Take one operation back at once. Raise ApiError."""
        result = execution.status.operation_results[index]
        resolved = {result.step_number: self._safety.resolve(execution.spec.operations[index])}
        objects = await _objects([result], resolved)
        ways = ways_back([result], objects, lambda step: mark_of_step(execution, step))
        return (await self._go(resolved, ways, objects))[0]

    async def _go(
        self, resolved: Mapping[int, Resolved], ways: Sequence[tuple[OperationResult, Back]], objects: Mapping[ObjectKey, Obj | None]
    ) -> list[UndoResult]:
        """Go the ways back in order, each write against the very state it was judged by. Raise ApiError."""
        seen = {key: obj for key, obj in objects.items() if obj}
        for result, back in ways:
            target, client = resolved[result.step_number].target, resolved[result.step_number].client
            if isinstance(back, Restore) and not back.done and target is not None:
                key = key_of(result.resources_affected[0])
                patch, version = against(seen[key], back.patch), seen[key]["metadata"]["resourceVersion"]
                body = {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": version}}
                seen[key] = await client.patch(target.kind, target.name, target.namespace, body)
            elif isinstance(back, Remove) and target is not None:
                await client.delete(target.kind, target.name, target.namespace, uid=back.uid)
        return [told(result, back) for result, back in ways]

    async def _waits(self, execution: KubernetesExecution, asked: UndoRequest) -> str:
        """Return what an undo waits for: a fix at work on the same objects; unless a person asks for it, the end of a pause."""
        namespaces = dict.fromkeys(each.namespace for result in execution.status.operation_results for each in result.resources_affected)
        if asked.automatic:
            for namespace in namespaces or [""]:
                if why := await halt(self._cluster, execution.metadata.namespace, namespace):
                    return f"the undo waits until work is resumed: {why}"
        return await self._rival(execution)

    async def _rival(self, execution: KubernetesExecution) -> str:
        mine, namespace = _touched(execution), execution.metadata.namespace
        for other in self._cluster.where(KubernetesExecution, OPEN_INDEX, "True"):
            if other.metadata.uid != execution.metadata.uid and not other.spec.execution_config.dry_run and mine & _touched(other):
                return f"the undo waits for KubernetesExecution {other.metadata.name}, which is at work on the same object"
        for path in sorted(mine):
            found = await self._cluster.client.list(WorkflowExecution.card, namespace, field_selector=f"spec.targetResource={path}")
            for run in map(WorkflowExecution.model_validate, found.items):
                if run.status.phase is WorkflowPhase.RUNNING:
                    return f"the undo waits for WorkflowExecution {run.metadata.name}, which is at work on {path}"
        return ""


def mark_of_step(execution: KubernetesExecution, step: int) -> str:
    """Return the mark that an operation leaves on what it changes."""
    return f"{execution.metadata.uid}/{step}"


def told(result: OperationResult, back: Back) -> UndoResult:
    """Return what becomes of an operation by its way back, for people."""
    made = UndoResult(step_number=result.step_number, resource=_resource(result), outcome=UndoOutcome.UNDONE)
    match back:
        case Restore(done=done):
            beside = "; what came of it meanwhile stays" if result.undo and result.undo.kind is UndoKind.COMPENSATING else ""
            made.message = "it is as before already" if done else f"put back as it was before{beside}"
        case Remove():
            made.message = "what was made is deleted"
        case Nothing(why):
            made.outcome, made.message = UndoOutcome.NOTHING, why
        case Impossible(why):
            made.outcome, made.message = UndoOutcome.NOT_UNDOABLE, why
        case Clash(why, conflicts):
            made.outcome, made.message, made.conflicts = UndoOutcome.CONFLICT, why, list(conflicts)
        case unknown:
            assert_never(unknown)
    return made


def _resource(result: OperationResult) -> str:
    changed = result.resources_affected[0] if result.resources_affected else None
    return _path(changed.namespace, changed.kind, changed.name) if changed else ""


def _path(namespace: str, kind: str, name: str) -> str:
    """Write an object as `namespace/kind/name`, the kind's first letter small, as targets are written."""
    return "/".join(filter(None, (namespace, kind[:1].lower() + kind[1:], name)))


def _touched(execution: KubernetesExecution) -> set[str]:
    """Return the objects of an execution: those it changed or is about to, as far as its results or its plan name them."""
    changed = {
        _path(each.namespace, each.kind, each.name) for result in execution.status.operation_results for each in result.resources_affected
    }
    return changed | {each.target.path() for each in execution.spec.operations if each.target}


async def _objects(results: Sequence[OperationResult], resolved: Mapping[int, Resolved]) -> dict[ObjectKey, Obj | None]:
    """Read the objects that operations changed, each once and as the action's own identity. Raise ApiError."""
    found: dict[ObjectKey, Obj | None] = {}
    for result in results:
        one = resolved[result.step_number]
        if result.resources_affected and one.target is not None and (key := key_of(result.resources_affected[0])) not in found:
            found[key] = await read_or_none(one.client, one.target)
    return found


def _refusal(execution: KubernetesExecution, asked: UndoRequest, settings: ExecutionSettings) -> str:
    """Return why an undo is refused at once, if so."""
    if execution.spec.execution_config.dry_run:
        return "it was a dry run: nothing was changed"
    kinds = {result.undo.kind for result in execution.status.operation_results if result.started_at and result.undo}
    if asked.automatic and not kinds <= BETTER[settings.automatic_undo]:
        worst = ", ".join(sorted(kind.value for kind in kinds - BETTER[settings.automatic_undo]))
        return f"the settings (automatic_undo: {settings.automatic_undo}) leave an undo that is {worst} to a person"
    return ""


def _outcome(results: Sequence[UndoResult]) -> UndoOutcome:
    """Return the outcome of the whole."""
    found = {each.outcome for each in results}
    if UndoOutcome.UNDONE in found:
        return UndoOutcome.PARTIAL if UndoOutcome.NOT_UNDOABLE in found else UndoOutcome.UNDONE
    return UndoOutcome.NOT_UNDOABLE if UndoOutcome.NOT_UNDOABLE in found else UndoOutcome.NOTHING


def _summary(results: Sequence[UndoResult]) -> str:
    lines = [f"step {each.step_number} {each.resource}: {each.message}" for each in results if each.outcome is not UndoOutcome.NOTHING]
    more = f"; and {len(lines) - TOLD} more" if len(lines) > TOLD else ""
    return "; ".join(lines[:TOLD]) + more or "there was nothing to take back"


def _clashes(results: Sequence[UndoResult]) -> str:
    """Say what stands in the way, and that nothing was touched."""
    bad = [each for each in results if each.outcome is UndoOutcome.CONFLICT]
    lines = [f"{each.resource}: {each.message} ({', '.join(one.path for one in each.conflicts[:TOLD])})" for each in bad[:TOLD]]
    return f"nothing was taken back: {'; '.join(lines)}".replace(" ()", "")
