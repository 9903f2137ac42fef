"""The safety checks of an operation, each put on record, in their documented order.

Parameters, access, target, policy, dry run, preconditions; the first that does not pass ends the checks.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, get_args

from pydantic import ValidationError

from kubernaut.api.base import Obj
from kubernaut.api.core import NODE, POD_DISRUPTION_BUDGET, RESOURCE_QUOTA, SELF_SUBJECT_ACCESS_REVIEW, SERVICE_ACCOUNT
from kubernaut.api.execution import Check, ConditionResult
from kubernaut.api.gitops import Keeper, keeper_of, keeps_field, suspended
from kubernaut.api.plan import Operation
from kubernaut.conditions.judging import Settled
from kubernaut.execution import impact
from kubernaut.execution.actions.base import SCALABLE, WORKLOADS, Access, ActionParameters, AnyAction, Effect, Plan, Target, read_or_none
from kubernaut.execution.actions.registry import Registry, UnknownAction
from kubernaut.execution.difference import difference, hidden_difference
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.execution.undo import marked
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.kube.patches import leaves
from kubernaut.kube.status import cut

PROTECTED: Final = "kubernaut.ai/protected"
"""Annotation by which people say that an object is not to be acted on."""
CONTROL_PLANE: Final = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
PRECONDITIONS: Final = "preconditions"
"""The last of the checks."""
FAULTS_TOLD: Final = 5
WARNINGS_TOLD: Final = 10
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"
_BY_KIND: Final = {kind.kind: name for name, kind in (SCALABLE | WORKLOADS).items()} | {"Pod": "pod"}


class Refused(Exception):  # noqa: N818  (says what became of the check)
    """A check did not pass; the text says why."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """An operation as an action with typed parameters."""

    action: AnyAction
    given: ActionParameters
    client: Client
    """Acts as the action's own identity."""
    identity: str = ""
    """Who that is; empty for ourselves."""

    @property
    def target(self) -> Target | None:
        """What it acts on."""
        return self.action.target(self.given)


@dataclass(slots=True)
class Verdict:
    """What the checks found."""

    checks: list[Check] = field(default_factory=list)
    resolved: Resolved | None = None
    plan: Plan | None = None
    trial: Obj | None = None
    """The object as it would be, after the server-side dry run."""
    diff: str = ""
    impact: str = ""
    warnings: list[str] = field(default_factory=list)
    pre_conditions: list[ConditionResult] = field(default_factory=list)
    """How those that users wrote were judged."""
    settled: Settled = field(default_factory=Settled)
    """What follows from that."""

    @property
    def failed(self) -> Check | None:
        """Return the check that did not pass."""
        return next((check for check in self.checks if not check.passed), None)

    def passed(self, name: str, message: str = "") -> None:
        """Put a check that passed on record."""
        self.checks.append(Check(name=name, passed=True, message=cut(message)))

    def refused(self, name: str, message: str) -> None:
        """Put the check that did not pass on record."""
        self.checks.append(Check(name=name, passed=False, message=cut(message)))

    def warn(self, *warnings: str) -> None:
        """Add what a person should know."""
        self.warnings = [*self.warnings, *map(cut, warnings)][:WARNINGS_TOLD]

    def settle(self, settled: Settled) -> None:
        """Take what follows from users' preconditions, which belong to the last of the checks."""
        self.settled = settled
        self.warn(*settled.warnings)
        if settled.failed:
            self.checks = self.checks[:-1]
            self.refused(PRECONDITIONS, settled.failed)


class Safety:
    """Checks operations before anything is done."""

    def __init__(self, client: Client, registry: Registry, settings: ExecutionSettings) -> None:
        self._client = client
        self._registry = registry
        self._settings = settings

    def resolve(self, operation: Operation) -> Resolved:
        """Return an operation's action and typed parameters; raise Refused."""
        said = _said_by_target(operation)
        try:
            action = self._registry.find(operation.action, said | operation.parameters)
            filled = {name: value for name, value in said.items() if _takes(action, name, value)}
            given = action.parameters.model_validate(filled | operation.parameters)
        except UnknownAction as fault:
            raise Refused(str(fault)) from fault
        except ValidationError as fault:
            raise Refused(_faults(fault)) from fault
        _agree(action.target(given), operation)
        identity = self._settings.identity(action.name)
        client = self._client.impersonating(identity) if identity else self._client
        return Resolved(action, given, client.metadata_only() if action.hidden else client, identity)

    async def check(self, operation: Operation, mark: str, *, everything: bool = True) -> Verdict:
        """Run the checks until one does not pass; `everything` False leaves out access, policy and preconditions.

        Raise ApiError for what may pass later.
        """
        verdict = Verdict()
        name = "parameters"
        try:
            resolved = verdict.resolved = self.resolve(operation)
            verdict.passed(name, _described(resolved))
            for name, check in _Checks(self._client, self._settings, resolved, mark, verdict).of(everything=everything):
                verdict.passed(name, await check())
        except Refused as fault:
            verdict.refused(name, str(fault))
        except ApiError as fault:
            if fault.retryable or fault.conflict:
                raise
            verdict.refused(name, fault.message)
        return verdict


class _Checks:
    """The checks of one operation; what one finds, the next may use."""

    def __init__(self, client: Client, settings: ExecutionSettings, resolved: Resolved, mark: str, verdict: Verdict) -> None:
        self._client = client
        self._settings = settings
        self._resolved = resolved
        self._mark = mark
        self._verdict = verdict
        self._current: Obj | None = None

    def of(self, *, everything: bool) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        """Return the checks after the parameters, in order."""
        if not everything:
            return [("target", self._target), ("dry-run", self._dry_run)]
        first = [("access", self._access), ("target", self._target), ("policy", self._policy)]
        return [*first, ("dry-run", self._dry_run), (PRECONDITIONS, self._preconditions)]

    async def _access(self) -> str:
        resolved = self._resolved
        needed = resolved.action.access(resolved.given)
        for access in needed:
            review = await resolved.client.create(SELF_SUBJECT_ACCESS_REVIEW, _review(access))
            status = review.get("status") or {}
            if not status.get("allowed"):
                raise Refused(await self._denied(access, str(status.get("reason") or "")))
        return f"{', '.join(dict.fromkeys(map(str, needed)))}{f' as {resolved.identity}' if resolved.identity else ''}"

    async def _denied(self, access: Access, reason: str) -> str:
        where = f"in namespace {access.namespace}" if access.namespace else "in the whole cluster"
        told = f"not allowed to {access} {where}{f': {reason}' if reason else ''}"
        identity = self._resolved.identity
        if not identity.startswith(_SERVICE_ACCOUNT):
            return f"{told}{f' (as {identity})' if identity else ''}"
        namespace, _, name = identity.removeprefix(_SERVICE_ACCOUNT).partition(":")
        if await read_or_none(self._client, Target(SERVICE_ACCOUNT, namespace, name)) is None:
            return f"{told}; there is no service account {namespace}/{name}: apply deploy/action-accounts.yaml, or set its identity"
        return f"{told} (as {identity})"

    async def _target(self) -> str:
        target = self._resolved.target
        if target is None:
            return "none"
        if target.namespace in self._settings.protected_namespaces:
            raise Refused(f"{target} is protected: nothing in namespace {target.namespace} is acted on")
        self._current = await read_or_none(self._resolved.client, target)
        if self._current is None:
            if self._resolved.action.creates:
                return f"{target}, which is made"
            raise Refused(f"{target} does not exist")
        self._refuse_protected(target, self._current["metadata"])
        return str(target)

    def _refuse_protected(self, target: Target, meta: Obj) -> None:
        if "deletionTimestamp" in meta:
            raise Refused(f"{target} is being deleted")
        if str((meta.get("annotations") or {}).get(PROTECTED, "")).lower() == "true":
            raise Refused(f"{target} is protected: its annotation {PROTECTED} says so")
        if target.kind is NODE and self._settings.protect_control_plane and set(CONTROL_PLANE) & set(meta.get("labels") or {}):
            raise Refused(f"{target} is protected: it is of the control plane")

    async def _policy(self) -> str:
        name, allowed = self._resolved.action.name, self._settings.allowed_actions
        if allowed is not None and name not in allowed:
            raise Refused(f"action {name} is not allowed by the settings")
        if getattr(self._resolved.given, "automatic", False) and self._settings.automatic_undo == "never":
            raise Refused("the settings (automatic_undo: never) leave an undo to a person")
        keeper = keeper_of(self._current) if self._current and self._resolved.action.lasting else None
        if keeper is None:
            return "allowed"
        if keeper.reverts and not await self._left_alone(keeper) and await self._keeps(self._current or {}):
            raise Refused(f"{self._resolved.target} is managed from a repository by {keeper}: a live change is taken back; change it there")
        self._verdict.warn(f"{keeper} keeps {self._resolved.target}: its next upgrade may take this back")
        return f"allowed, though {keeper} keeps it"

    async def _left_alone(self, keeper: Keeper) -> bool:
        """Tell whether the tool's own object says that it is suspended; one that cannot be read says nothing."""
        if keeper.kind is None or not keeper.name or not keeper.namespace:
            return False
        try:
            kept_by = await self._client.get(keeper.kind, keeper.name, keeper.namespace)
        except ApiError as fault:
            if fault.retryable:
                raise
            return False
        return suspended(keeper, kept_by)

    async def _keeps(self, current: Obj) -> bool:
        """Tell whether the tool manages any field that is to be changed."""
        plan = await self._planned()
        return not plan.patch or any(keeps_field(current, *path) for path in leaves(plan.patch))

    async def _planned(self) -> Plan:
        if self._verdict.plan is None:
            self._verdict.plan = await self._resolved.action.plan(self._resolved.client, self._resolved.given, self._mark)
        return self._verdict.plan

    async def _dry_run(self) -> str:
        """Send the change for trial, and say what it means."""
        plan, verdict = await self._planned(), self._verdict
        verdict.trial = await _tried(self._resolved, plan, self._mark)
        verdict.diff = _shown(self._resolved, plan, verdict.trial)
        found = await self._meaning(plan, verdict.trial)
        verdict.plan = replace(plan, faults=(*plan.faults, *found.faults))
        verdict.impact = cut("; ".join(filter(None, (found.says, *plan.notes))))
        verdict.warn(*found.warnings)
        return f"{verdict.diff.count(chr(10))} lines of difference" if verdict.diff else "no difference"

    async def _meaning(self, plan: Plan, trial: Obj | None) -> impact.Impact:
        if plan.current is None or plan.current.get("kind") not in {*impact.WORKLOADS, "Pod"}:
            return impact.Impact()
        around = await self._around(plan.current["metadata"]["namespace"])
        if plan.effect is Effect.DELETE:
            return impact.of_deletion(plan.current, around)
        return impact.of_change(plan.current, trial, around) if trial else impact.Impact()

    async def _around(self, namespace: str) -> impact.Around:
        """Read what stands around the object; what we may not read is told, and no reason to refuse."""
        try:
            budgets = await self._client.list(POD_DISRUPTION_BUDGET, namespace)
            return impact.Around(budgets.items, (await self._client.list(RESOURCE_QUOTA, namespace)).items)
        except ApiError as fault:
            if not fault.forbidden:
                raise
            self._verdict.warn(f"what it means to disruption budgets and quotas is not known: {fault.message}")
            return impact.Around()

    async def _preconditions(self) -> str:
        if self._verdict.plan and self._verdict.plan.faults:
            raise Refused("; ".join(self._verdict.plan.faults[:FAULTS_TOLD]))
        return ""


def _said_by_target(operation: Operation) -> dict[str, Any]:
    """Return the parameters that an operation's target gives where they are not given."""
    target = operation.target
    if target is None:
        return {}
    said = {"namespace": target.namespace, "resource_name": target.name, "resource_type": _BY_KIND.get(target.kind, "")}
    node = {"node_name": target.name} if target.kind == NODE.kind else {}
    return {key: value for key, value in said.items() if value} | node


def _takes(action: AnyAction, name: str, value: str) -> bool:
    """Tell whether an action has a parameter for what the target says; a type must be one of those that it knows."""
    field = action.parameters.model_fields.get(name)
    return field is not None and (name != "resource_type" or value in _choices(field.annotation))


def _choices(annotation: Any) -> set[str]:
    return {text for each in get_args(annotation) for text in ([each] if isinstance(each, str) else _choices(each))}


def _agree(target: Target | None, operation: Operation) -> None:
    """Refuse an operation whose parameters name another object than its target: one of the two is not what was approved."""
    if target is None or operation.target is None:
        return
    said = operation.target
    if (said.kind.lower(), said.namespace, said.name) != (target.kind.kind.lower(), target.namespace, target.name):
        raise Refused(f"the parameters name {target}, the operation's target is {said.path()}")


def _faults(fault: ValidationError) -> str:
    found = fault.errors(include_url=False, include_input=False)
    told = [f"{'.'.join(map(str, each['loc']))[:100] or 'parameters'}: {each['msg'].removeprefix('Value error, ')}" for each in found]
    return "; ".join(told[:FAULTS_TOLD]) + (f"; and {len(told) - FAULTS_TOLD} more" if len(told) > FAULTS_TOLD else "")


def _described(resolved: Resolved) -> str:
    return f"{resolved.action.name} on {resolved.target}" if resolved.target else resolved.action.name


def _review(access: Access) -> Obj:
    attributes = {
        "verb": access.verb,
        "group": access.kind.group,
        "resource": access.kind.plural,
        "subresource": access.subresource,
        "namespace": access.namespace,
        "name": access.name,
    }
    return {"metadata": {}, "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}}}


async def _tried(resolved: Resolved, plan: Plan, mark: str) -> Obj | None:
    """Send the change for trial; return the object as it would be."""
    target = resolved.target
    if target is None or plan.effect is Effect.NOTHING:
        return None
    body = marked(plan.patch or {}, mark)
    if plan.effect is Effect.CREATE:
        return await resolved.client.create(target.kind, body, dry_run=True)
    if plan.current is None:
        return None
    if plan.effect is Effect.DELETE:
        await resolved.client.delete(target.kind, target.name, target.namespace, uid=plan.current["metadata"]["uid"], dry_run=True)
        return None
    return await resolved.client.patch(target.kind, target.name, target.namespace, body, dry_run=True)


def _shown(resolved: Resolved, plan: Plan, trial: Obj | None) -> str:
    """Return what the change would change, as text."""
    if plan.effect is Effect.DELETE and plan.current is not None:
        return f"-{resolved.target} (uid {plan.current['metadata']['uid']})\n"
    if resolved.action.hidden:
        return hidden_difference(plan.patch or {})
    return difference(plan.current, trial) if trial is not None else ""
