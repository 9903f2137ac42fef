"""Judges users' conditions for an operation: before it is carried out, and when it has had its effect."""

from collections.abc import Mapping
from datetime import datetime

from kubernaut.api.base import Obj
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.plan import canonical_name
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.conditions.judging import Conditions, Guard, Settled, settle
from kubernaut.conditions.scene import Case, judged
from kubernaut.execution.actions.base import Target, read_or_none
from kubernaut.execution.safety import Resolved, Verdict
from kubernaut.kube.client import Client
from kubernaut.policy.live import Current


class Guards:
    """Judges users' conditions as they are written now."""

    def __init__(self, client: Client, conditions: Current[Conditions]) -> None:
        self._client = client
        self._conditions = conditions

    async def before(self, execution: KubernetesExecution, index: int, verdict: Verdict, now: datetime) -> None:
        """Judge the preconditions of an operation that passed all other checks, as the last of them. Raise ApiError for what may pass."""
        resolved, plan = verdict.resolved, verdict.plan
        if verdict.failed or resolved is None or plan is None:
            return
        if self._conditions.trouble:
            verdict.warn(self._conditions.trouble)
        result = execution.status.operation_results[index]
        workflow = await self._workflow(execution)
        if not (guard := self._guard(execution, index, resolved, workflow)).pre:
            return
        case = _case(resolved, workflow, plan.current, {"planned": verdict.trial or {}})
        verdict.pre_conditions = await judged(self._client, case, guard.pre, result.pre_condition_results, now)
        since = None if execution.spec.execution_config.dry_run else result.checking_since or now
        verdict.settle(settle(guard.pre, verdict.pre_conditions, since, now, wait_for_optional=False))

    async def after(self, execution: KubernetesExecution, index: int, resolved: Resolved, now: datetime) -> Settled:
        """Judge the postconditions of an operation whose own effect is there, and put them on record. Raise ApiError for what may pass."""
        result = execution.status.operation_results[index]
        workflow = await self._workflow(execution)
        if not (guard := self._guard(execution, index, resolved, workflow)).post:
            result.post_condition_results = []
            return Settled()
        current = await read_or_none(resolved.client, resolved.target) if resolved.target else None
        known = {"before": result.resources_affected[0].before if result.resources_affected else {}}
        results = await judged(self._client, _case(resolved, workflow, current, known), guard.post, result.post_condition_results, now)
        result.post_condition_results = results
        return settle(guard.post, results, result.effective_since or now, now, wait_for_optional=True)

    def _guard(self, execution: KubernetesExecution, index: int, resolved: Resolved, workflow: str) -> Guard:
        """Return what holds for an operation, by the name it was given and by that of what is carried out."""
        return self._conditions.policy.of((canonical_name(execution.spec.operations[index].action), resolved.action.name), workflow)

    async def _workflow(self, execution: KubernetesExecution) -> str:
        """Return the name of the plan that an execution carries out; empty where there is none, or nobody asks.

        A catalogue workflow's conditions are its run's: what takes the run back is not held against them.
        """
        reference = execution.spec.workflow_execution_ref
        if reference is None or not self._conditions.policy.workflows:
            return ""
        run = await read_or_none(self._client, Target(WorkflowExecution.card, execution.metadata.namespace, reference.name))
        return str((((run or {}).get("spec") or {}).get("workflowDefinition") or {}).get("name") or "")


def _case(resolved: Resolved, workflow: str, current: Obj | None, known: Mapping[str, Obj]) -> Case:
    kind, namespace = (resolved.target.kind, resolved.target.namespace) if resolved.target else (None, "")
    return Case(kind, namespace, current, resolved.given.model_dump(mode="json"), resolved.action.name, workflow, known)
