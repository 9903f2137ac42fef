"""Judges users' conditions for a run from the catalogue: before it begins, and when it has succeeded."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from kubernaut.api.base import Kind, Obj
from kubernaut.api.core import kind_named
from kubernaut.api.execution import RESTORABLE, ConditionResult
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.conditions.judging import NONE, Condition, Conditions, Guard, Settled, settle
from kubernaut.conditions.scene import Case, judged
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.kube.status import cut
from kubernaut.policy.live import Current

WARNINGS_TOLD: Final = 10


class Guards:
    """Judges users' conditions as they are written now."""

    def __init__(self, client: Client, conditions: Current[Conditions]) -> None:
        self._client = client
        self._conditions = conditions

    async def before(self, execution: WorkflowExecution, now: datetime) -> Settled:
        """Judge the preconditions of a run that could begin, and put them on record. Raise ApiError for what may pass."""
        status, wanted = execution.status, self._guard(execution).pre
        results = await self._judged(execution, wanted, status.pre_condition_results, {}, now)
        since = status.checking_since or now
        settled = settle(wanted, results, since, now, wait_for_optional=False)
        status.pre_condition_results, status.checking_since = results, since if settled.until else None
        self._warn(execution, settled)
        return settled

    async def after(self, execution: WorkflowExecution, ended_at: datetime | None, now: datetime) -> Settled:
        """Judge the postconditions of a run that has succeeded (None: no more time is given). Raise ApiError for what may pass."""
        status, wanted = execution.status, self._guard(execution).post
        known = {"before": status.changed.before if status.changed else {}}
        status.post_condition_results = await self._judged(execution, wanted, status.post_condition_results, known, now)
        settled = settle(wanted, status.post_condition_results, ended_at, now, wait_for_optional=True)
        self._warn(execution, settled)
        return settled

    def _guard(self, execution: WorkflowExecution) -> Guard:
        ref = execution.spec.workflow_ref
        return self._conditions.policy.workflows.get(ref.workflow_id, NONE) if ref else NONE

    def _warn(self, execution: WorkflowExecution, settled: Settled) -> None:
        """Tell what is not met and need not be, and that a broken text does not hold; each once. Of a plan its operations tell that."""
        if execution.spec.workflow_ref is None:
            return
        told = (*execution.status.warnings, self._conditions.trouble, *settled.warnings)
        execution.status.warnings = list(dict.fromkeys(cut(each) for each in told if each))[:WARNINGS_TOLD]

    async def _judged(
        self, execution: WorkflowExecution, wanted: Sequence[Condition], before: Sequence[ConditionResult], known: Obj, now: datetime
    ) -> list[ConditionResult]:
        if not wanted:
            return []
        kind, namespace, name = _target(execution)
        current = await self._read(kind, namespace, name) if kind else None
        ref = execution.spec.workflow_ref
        case = Case(kind, namespace, current, execution.spec.parameters, workflow=ref.workflow_id if ref else "", more=known)
        return await judged(self._client, case, wanted, before, now)

    async def _read(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        """Return the target, or None where there is none, or it may not be read: no condition on it is met then."""
        try:
            return await self._client.get(kind, name, namespace)
        except ApiError as fault:
            if fault.retryable:
                raise
            return None


def _target(execution: WorkflowExecution) -> tuple[Kind | None, str, str]:
    """Return the card of a target that this stage may read, with its namespace and name."""
    *space, kind, name = execution.spec.target_resource.split("/")
    found = kind_named(kind)
    return found if found in RESTORABLE else None, space[0] if space else "", name
