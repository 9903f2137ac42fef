"""What users demand to be so before an action or a workflow is carried out, and after: conditions in CEL, and how they are judged. Pure.

After the DD-002 of the founding documents, with CEL in place of Rego.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from kubernaut.api.execution import ConditionResult
from kubernaut.api.redact import redact
from kubernaut.kube.status import cut
from kubernaut.policy.compiled import Expression, NoValue, activate
from kubernaut.policy.language import Language, Result, Type, Variable
from kubernaut.policy.settings import PolicySource

NAME: Final = "workflow-conditions"
NAME_OF_RUNS: Final = "workflow-conditions-of-runs"
"""The same text, as the stage that runs workflows reads it."""
SOURCE: Final = PolicySource(config_map="kubernaut-workflow-conditions", key="conditions.yaml")
"""Where they are, unless settings say otherwise."""
MESSAGE_LIMIT: Final = 400
"""Of one result: there may be many in one status."""


class Met(Result):
    """What a condition says of a case."""

    met: bool | None = None
    """Whether it is met."""


LANGUAGE: Final = Language(
    NAME,
    {
        "target": Variable(Type.OBJECT, "the object acted on, as it is now; empty where there is none"),
        "parameters": Variable(Type.OBJECT, "the operation's parameters, defaults filled in"),
        "namespaceObject": Variable(Type.OBJECT, "the target's Namespace; empty for nodes"),
        "pods": Variable(Type.OBJECTS, "the target's pods; of a pod, itself; empty for nodes and other kinds"),
        "planned": Variable(Type.OBJECT, "in `pre`: the target as the server's dry run says it will be"),
        "before": Variable(Type.OBJECT, "in `post`: the fields that were changed, as they were before"),
        "action": Variable(Type.TEXT, "the action's canonical name"),
        "workflow": Variable(Type.TEXT, "the catalogue workflow's id, or the plan's name; may be empty"),
    },
    Met,
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must be so, or should be."""

    type: str
    """Its name."""
    description: str
    """What people read when it is not met."""
    when: Expression
    required: bool
    """Whether the operation fails where it is not met; else people are warned."""
    timeout: timedelta
    """How long it is waited for."""


@dataclass(frozen=True, slots=True)
class Guard:
    """The conditions of an action or a workflow."""

    pre: tuple[Condition, ...] = ()
    post: tuple[Condition, ...] = ()


NONE: Final = Guard()


@dataclass(frozen=True, slots=True)
class Conditions:
    """All conditions that users wrote."""

    file: str
    """The text's name in messages."""
    hash: str
    """SHA-256 of the text, in hex."""
    actions: Mapping[str, Guard] = field(default_factory=dict)
    """By canonical name."""
    workflows: Mapping[str, Guard] = field(default_factory=dict)
    """By id."""

    @property
    def rules(self) -> Sequence[Condition]:
        """All of them."""
        return [each for guard in (*self.actions.values(), *self.workflows.values()) for each in (*guard.pre, *guard.post)]

    def of(self, actions: Iterable[str], workflow: str = "") -> Guard:
        """Return what holds for an action by any of its names, in a workflow, whose condition replaces the action's of its type."""
        found = [*(self.actions.get(name, NONE) for name in dict.fromkeys(actions)), self.workflows.get(workflow, NONE)]
        pre = {each.type: each for guard in found for each in guard.pre}
        post = {each.type: each for guard in found for each in guard.post}
        return Guard(tuple(pre.values()), tuple(post.values()))


def asked(conditions: Iterable[Condition], variable: str) -> bool:
    """Tell whether any condition asks for a variable: what nobody asks for need not be read."""
    return any(re.search(rf"\b{variable}\b", each.when.text.value) for each in conditions)


def judge(
    conditions: Sequence[Condition], values: Mapping[str, Any], known: Iterable[ConditionResult], now: datetime, unread: str = ""
) -> list[ConditionResult]:
    """Judge a case, in order; `unread` says why it could not be read: then none is met. What is judged as in `known` keeps its time."""
    before = {each.condition_type: each for each in known}
    found = _unknown(conditions, unread) if unread else _judged(conditions, values)
    return [_since(each, before.get(each.condition_type), now) for each in found]


def _judged(conditions: Sequence[Condition], values: Mapping[str, Any]) -> list[ConditionResult]:
    try:
        case = activate(LANGUAGE, values)
    except NoValue as fault:
        return _unknown(conditions, str(fault))
    return [_result(each, case) for each in conditions]


def _result(condition: Condition, case: Any) -> ConditionResult:
    try:
        met = condition.when.value(case)
    except NoValue as fault:
        return _unknown([condition], str(fault))[0]
    if not isinstance(met, bool):
        return _unknown([condition], "it is neither true nor false. Change the expression")[0]
    why = "" if met else condition.description
    return ConditionResult(condition_type=condition.type, evaluated=True, passed=met, error_message=why)


def _unknown(conditions: Iterable[Condition], why: str) -> list[ConditionResult]:
    """Return results of conditions that cannot be told: not met, to be safe."""
    told = {each.type: cut(redact(f"{each.description} (not known: {why})"), MESSAGE_LIMIT) for each in conditions}
    return [ConditionResult(condition_type=type_, error_message=message) for type_, message in told.items()]


def _since(found: ConditionResult, before: ConditionResult | None, now: datetime) -> ConditionResult:
    """Date a result; one that says what it said before has not changed, and is no reason to write."""
    time = before.evaluation_time if before else None
    dated = found.model_copy(update={"evaluation_time": time})
    return dated if time is not None and dated == before else found.model_copy(update={"evaluation_time": now})


@dataclass(frozen=True, slots=True)
class Settled:
    """What follows from how conditions were judged: at most one of `failed` and `waits`; neither where the operation may go on."""

    failed: str = ""
    """Which required conditions are not met in time."""
    waits: str = ""
    """Which are waited for."""
    until: datetime | None = None
    """When the first of those is out of time."""
    warnings: tuple[str, ...] = ()
    """Which are not met, and need not be."""


def settle(
    conditions: Sequence[Condition], results: Sequence[ConditionResult], since: datetime | None, now: datetime, *, wait_for_optional: bool
) -> Settled:
    """Say what follows; conditions are given time from `since` (None: no time), those that need not be met only where told so."""
    unmet = [(condition, result) for condition, result in zip(conditions, results, strict=True) if not result.passed]
    ends = [since + each.timeout if since and (each.required or wait_for_optional) else now for each, _ in unmet]
    lost = [result for (condition, result), end in zip(unmet, ends, strict=True) if condition.required and now >= end]
    if lost:
        return Settled(failed=_told(lost))
    hoped = [(end, result) for (_, result), end in zip(unmet, ends, strict=True) if now < end]
    if hoped:
        return Settled(waits=_told(result for _, result in hoped), until=min(end for end, _ in hoped))
    return Settled(warnings=tuple(_told([result]) for _, result in unmet))


def _told(results: Iterable[ConditionResult]) -> str:
    return cut("; ".join(f"{each.condition_type}: {each.error_message}" for each in results))
