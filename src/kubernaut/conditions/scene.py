"""Reads what conditions ask for around a target, and judges them with it: for an operation, and for a run from the catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from kubernaut.api.base import Kind, Obj
from kubernaut.api.core import NAMESPACE, POD, WORKLOADS
from kubernaut.api.execution import ConditionResult
from kubernaut.conditions.judging import Condition, asked, judge
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError

MAX_PODS: Final = 200
"""How many an expression may see; of more, nobody is told that they are well."""
_OPERATORS: Final = {"In": "in", "NotIn": "notin"}


class TooMany(ValueError):  # noqa: N818  (says what is so)
    """There is more than an expression may see."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of what conditions are judged for."""

    kind: Kind | None
    """Of the target; None: there is none that could be read."""
    namespace: str
    """Of the target."""
    current: Obj | None
    """The target as it is now."""
    parameters: Mapping[str, Any]
    action: str = ""
    workflow: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What is known only before, or only after."""


async def judged(
    client: Client, case: Case, conditions: Sequence[Condition], before: Sequence[ConditionResult], now: datetime
) -> list[ConditionResult]:
    """Judge with what is asked for read beside the target; what cannot be read is no reason to believe the best. Raise ApiError."""
    values = {
        "target": case.current or {},
        "parameters": case.parameters,
        "action": case.action,
        "workflow": case.workflow,
        **case.more,
    }
    try:
        read = await _around(client, case, conditions)
    except ApiError as fault:
        if fault.retryable:
            raise
        return judge(conditions, values, before, now, unread=fault.message)
    except TooMany as fault:
        return judge(conditions, values, before, now, unread=str(fault))
    return judge(conditions, values | read, before, now)


async def _around(client: Client, case: Case, conditions: Sequence[Condition]) -> dict[str, Any]:
    """Read what conditions ask for beside the target. Raise ApiError, TooMany."""
    read: dict[str, Any] = {}
    if case.namespace and asked(conditions, "namespaceObject"):
        read["namespaceObject"] = await client.get(NAMESPACE, case.namespace)
    if case.current and asked(conditions, "pods"):
        read["pods"] = await _pods(client, case, case.current)
    return read


async def _pods(client: Client, case: Case, current: Obj) -> list[Obj]:
    """Return the pods of a workload, or the one that is acted on."""
    if case.kind == POD:
        return [current]
    selector = (current.get("spec") or {}).get("selector")
    if case.kind not in WORKLOADS or not isinstance(selector, dict):
        return []
    pods = (await client.list(POD, case.namespace, label_selector=selector_text(selector))).items
    if len(pods) > MAX_PODS:
        name = current["metadata"]["name"]
        raise TooMany(f"{case.namespace}/{name} has {len(pods)} pods, and at most {MAX_PODS} are looked at")
    return pods


def selector_text(selector: Obj) -> str:
    """Return a label selector as a query has it."""
    exact = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    return ",".join([*exact, *map(_wanted, selector.get("matchExpressions") or ())])


def _wanted(expression: Obj) -> str:
    key, operator = expression["key"], expression["operator"]
    if operator in _OPERATORS:
        return f"{key} {_OPERATORS[operator]} ({','.join(expression.get('values') or ())})"
    return str(key) if operator == "Exists" else f"!{key}"
