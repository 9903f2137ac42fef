"""Reads what users' conditions ask for, and judges them for an operation: before it is carried out, and when it has had its effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kubernaut.api.base import Obj
from kubernaut.api.core import NAMESPACE, POD, WORKLOADS
from kubernaut.api.execution import ConditionResult, KubernetesExecution
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.execution.actions.base import Target, read_or_none, selector_text
from kubernaut.execution.actions.registry import canonical_name
from kubernaut.execution.conditions import Condition, Conditions, Guard, Settled, asked, judge, settle
from kubernaut.execution.impact import selects
from kubernaut.execution.safety import Resolved, Verdict
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.policy.live import Current

MAX_PODS: Final = 200
"""How many an expression may see; of more, nobody is told that they are well."""


class TooMany(ValueError):  # noqa: N818  (says what is so)
    """There is more than an expression may see."""


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
        if not (case := await self._case(execution, index, resolved)).guard.pre:
            return
        known = {"planned": verdict.trial or {}}
        verdict.pre_conditions = await self._judged(case, case.guard.pre, plan.current, known, result.pre_condition_results, now)
        since = None if execution.spec.execution_config.dry_run else result.checking_since or now
        verdict.settle(settle(case.guard.pre, verdict.pre_conditions, since, now, wait_for_optional=False))

    async def after(self, execution: KubernetesExecution, index: int, resolved: Resolved, now: datetime) -> Settled:
        """Judge the postconditions of an operation whose own effect is there, and put them on record. Raise ApiError for what may pass."""
        result = execution.status.operation_results[index]
        if not (case := await self._case(execution, index, resolved)).guard.post:
            result.post_condition_results = []
            return Settled()
        current = await read_or_none(resolved.client, resolved.target) if resolved.target else None
        known = {"before": result.resources_affected[0].before if result.resources_affected else {}}
        results = await self._judged(case, case.guard.post, current, known, result.post_condition_results, now)
        result.post_condition_results = results
        return settle(case.guard.post, results, result.effective_since or now, now, wait_for_optional=True)

    async def _case(self, execution: KubernetesExecution, index: int, resolved: Resolved) -> "_Case":
        """Return what holds for an operation, by the name it was given and by that of what is carried out."""
        conditions = self._conditions.policy
        workflow = await self._workflow(execution) if conditions.workflows else ""
        names = (canonical_name(execution.spec.operations[index].action), resolved.action.name)
        return _Case(resolved, workflow, conditions.of(names, workflow))

    async def _workflow(self, execution: KubernetesExecution) -> str:
        """Return the id of the workflow that an execution belongs to, or the name of its plan; empty where it belongs to none."""
        reference = execution.spec.workflow_execution_ref
        if reference is None:
            return ""
        run = await read_or_none(self._client, Target(WorkflowExecution.card, execution.metadata.namespace, reference.name))
        spec = (run or {}).get("spec") or {}
        return str((spec.get("workflowRef") or {}).get("workflowId") or (spec.get("workflowDefinition") or {}).get("name") or "")

    async def _judged(
        self,
        case: "_Case",
        conditions: Sequence[Condition],
        current: Obj | None,
        known: Mapping[str, Obj],
        before: Sequence[ConditionResult],
        now: datetime,
    ) -> list[ConditionResult]:
        """Judge with the target as it is, and around it what is asked for; what cannot be read is no reason to believe the best."""
        values = {
            "target": current or {},
            "parameters": case.resolved.given.model_dump(mode="json"),
            "action": case.resolved.action.name,
            "workflow": case.workflow,
            **known,
        }
        try:
            read = await self._around(case.resolved.target, current, conditions)
        except ApiError as fault:
            if fault.retryable:
                raise
            return judge(conditions, values, before, now, unread=fault.message)
        except TooMany as fault:
            return judge(conditions, values, before, now, unread=str(fault))
        return judge(conditions, values | read, before, now)

    async def _around(self, target: Target | None, current: Obj | None, conditions: Sequence[Condition]) -> dict[str, Any]:
        """Read what conditions ask for beside the target. Raise ApiError, TooMany."""
        read: dict[str, Any] = {}
        if target and target.namespace and asked(conditions, "namespaceObject"):
            read["namespaceObject"] = await self._client.get(NAMESPACE, target.namespace)
        if target and current and asked(conditions, "pods"):
            read["pods"] = await self._pods(target, current)
        return read

    async def _pods(self, target: Target, current: Obj) -> list[Obj]:
        """Return the pods of a workload, or the one that is acted on."""
        if target.kind == POD:
            return [current]
        selector = (current.get("spec") or {}).get("selector")
        if target.kind not in WORKLOADS or not isinstance(selector, dict):
            return []
        labels = selector_text(selector.get("matchLabels") or {})
        found = (await self._client.list(POD, target.namespace, label_selector=labels)).items
        pods = [each for each in found if selects(selector, each["metadata"].get("labels") or {})]
        if len(pods) > MAX_PODS:
            raise TooMany(f"{target} has {len(pods)} pods, and at most {MAX_PODS} are looked at")
        return pods


@dataclass(frozen=True, slots=True)
class _Case:
    """An operation, and what is demanded of it."""

    resolved: Resolved
    workflow: str
    guard: Guard
