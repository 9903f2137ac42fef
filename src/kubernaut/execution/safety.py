"""The safety checks of an operation, each put on record, in their documented order.

Parameters, access, target, policy, dry run, preconditions; the first that does not pass ends the checks.
"""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import ValidationError

from kubernaut.api.base import Obj
from kubernaut.api.core import SELF_SUBJECT_ACCESS_REVIEW
from kubernaut.api.execution import Check, UndoKind
from kubernaut.api.plan import Operation
from kubernaut.execution.actions.base import WORKLOADS, Access, ActionParameters, AnyAction, Effect, Plan, Target
from kubernaut.execution.actions.registry import Registry, UnknownAction
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.execution.undo import OPERATION_ANNOTATION, marked
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError

DIFF_LIMIT = 16_384
TEXT_LIMIT = 1024
GITOPS_LABELS = ("argocd.argoproj.io/instance", "kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name")
GITOPS_ANNOTATIONS = ("argocd.argoproj.io/tracking-id",)
_SECRET = re.compile(r"(?i)(password|passwd|secret|token|api_?key|credential|private_?key)$")
_TYPED_BY_TARGET = frozenset({"restart_pod", "rollout_restart", "increase_resources"})
"""Actions whose `resource_type` follows from the operation's target where it is not given."""


class Refused(Exception):  # noqa: N818  (says what became of the check)
    """A check did not pass; the text says why."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """An operation as an action with typed parameters."""

    action: AnyAction
    given: ActionParameters
    client: Client
    """Acts as the action's own identity."""

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
    diff: str = ""

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


class Safety:
    """Checks operations before anything is done."""

    def __init__(self, client: Client, registry: Registry, settings: ExecutionSettings) -> None:
        self._client = client
        self._registry = registry
        self._settings = settings

    def resolve(self, operation: Operation) -> Resolved:
        """Return an operation's action and typed parameters; raise Refused."""
        raw = _filled(operation)
        try:
            action = self._registry.find(operation.action, raw)
            given = action.parameters.model_validate(raw)
        except UnknownAction as fault:
            raise Refused(str(fault)) from fault
        except ValidationError as fault:
            raise Refused(_faults(fault)) from fault
        _agree(action.target(given), operation)
        identity = self._settings.identities.get(action.name)
        return Resolved(action, given, self._client.impersonating(identity) if identity else self._client)

    async def check(self, operation: Operation, mark: str, *, everything: bool = True) -> Verdict:
        """Run the checks until one does not pass; `everything` False leaves out access, policy and preconditions.

        Raise ApiError for what may pass later.
        """
        verdict = Verdict()
        name = "parameters"
        try:
            resolved = verdict.resolved = self.resolve(operation)
            verdict.passed(name, _described(resolved))
            for name, check in self._checks(resolved, mark, verdict, everything=everything):
                verdict.passed(name, await check())
        except Refused as fault:
            verdict.refused(name, str(fault))
        except ApiError as fault:
            if fault.retryable or fault.conflict:
                raise
            verdict.refused(name, fault.message)
        return verdict

    def _checks(self, resolved: Resolved, mark: str, verdict: Verdict, *, everything: bool) -> list[tuple[str, Any]]:
        found: dict[str, Obj] = {}

        async def target() -> str:
            current = await self._target(resolved)
            if current is not None:
                found["current"] = current
            return str(resolved.target or "none")

        async def dry_run() -> str:
            verdict.plan = await resolved.action.plan(resolved.client, resolved.given, mark)
            verdict.diff = await _dry_run(resolved, verdict.plan, mark)
            return f"{verdict.diff.count(chr(10))} lines of difference" if verdict.diff else "no difference"

        async def preconditions() -> str:
            if verdict.plan and verdict.plan.faults:
                raise Refused("; ".join(verdict.plan.faults))
            return ""

        async def access() -> str:
            return await _access(resolved)

        async def policy() -> str:
            return self._policy(resolved, found.get("current"))

        needed: list[tuple[str, Callable[[], Any]]] = [("target", target), ("dry-run", dry_run)]
        if everything:
            needed = [("access", access), ("target", target), ("policy", policy), ("dry-run", dry_run), ("preconditions", preconditions)]
        return needed

    async def _target(self, resolved: Resolved) -> Obj | None:
        target = resolved.target
        if target is None:
            return None
        if target.namespace in self._settings.protected_namespaces:
            raise Refused(f"{target} is protected: nothing in namespace {target.namespace} is acted on")
        try:
            current = await resolved.client.get(target.kind, target.name, target.namespace)
        except ApiError as fault:
            if fault.not_found:
                raise Refused(f"{target} does not exist") from fault
            raise
        if "deletionTimestamp" in current["metadata"]:
            raise Refused(f"{target} is being deleted")
        return current

    def _policy(self, resolved: Resolved, current: Obj | None) -> str:
        name, allowed = resolved.action.name, self._settings.allowed_actions
        if allowed is not None and name not in allowed:
            raise Refused(f"action {name} is not allowed by the settings")
        if resolved.action.undo is UndoKind.EXACT and (manager := managed_by(current or {})):
            raise Refused(f"{resolved.target} is managed from a repository ({manager}): a live change would be taken back; change it there")
        return "allowed"


def managed_by(obj: Obj) -> str:
    """Return the label or annotation by which Argo CD or Flux says that it manages an object; empty when none does."""
    metadata = obj.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    found = [key for key in GITOPS_LABELS if key in labels] + [key for key in GITOPS_ANNOTATIONS if key in annotations]
    return found[0] if found else ""


def _filled(operation: Operation) -> dict[str, Any]:
    """Return the parameters with what the operation's target says of them."""
    raw, target = dict(operation.parameters), operation.target
    canonical = operation.action.replace("-", "_").lower()
    if target is None or canonical == "notify_only":
        return raw
    filled: dict[str, Any] = {"namespace": target.namespace, "resource_name": target.name}
    if canonical in _TYPED_BY_TARGET and target.kind.lower() in WORKLOADS:
        filled["resource_type"] = target.kind.lower()
    return {key: value for key, value in filled.items() if value} | raw


def _agree(target: Target | None, operation: Operation) -> None:
    """Refuse an operation whose parameters name another object than its target: one of the two is not what was approved."""
    if target is None or operation.target is None:
        return
    said = operation.target
    if (said.kind.lower(), said.namespace, said.name) != (target.kind.kind.lower(), target.namespace, target.name):
        raise Refused(f"the parameters name {target}, the operation's target is {said.path()}")


def _faults(fault: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'parameters'}: {each['msg']}" for each in fault.errors(include_url=False, include_input=False)
    )


def _described(resolved: Resolved) -> str:
    return f"{resolved.action.name} on {resolved.target}" if resolved.target else resolved.action.name


async def _access(resolved: Resolved) -> str:
    needed = resolved.action.access(resolved.given)
    for access in needed:
        review = await resolved.client.create(SELF_SUBJECT_ACCESS_REVIEW, _review(access))
        status = review.get("status") or {}
        if not status.get("allowed"):
            reason = f": {status['reason']}" if status.get("reason") else ""
            raise Refused(f"not allowed to {access.verb} {access.kind.plural} in namespace {access.namespace}{reason}")
    return ", ".join(f"{access.verb} {access.kind.plural}" for access in needed)


def _review(access: Access) -> Obj:
    attributes = {
        "verb": access.verb,
        "group": access.kind.group,
        "resource": access.kind.plural,
        "namespace": access.namespace,
        "name": access.name,
    }
    return {"metadata": {}, "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}}}


async def _dry_run(resolved: Resolved, plan: Plan, mark: str) -> str:
    """Send the change for trial; return what it would change, as text."""
    target = resolved.target
    if target is None or plan.current is None:
        return ""
    meta = plan.current["metadata"]
    if plan.effect is Effect.DELETE:
        await resolved.client.delete(target.kind, target.name, target.namespace, uid=meta["uid"], dry_run=True)
        return f"-{target} (uid {meta['uid']})\n"
    body = marked(plan.patch or {}, mark)
    trial = await resolved.client.patch(target.kind, target.name, target.namespace, body, dry_run=True)
    return difference(plan.current, trial)


def difference(before: Obj, after: Obj) -> str:
    """Return a unified diff of what people write of two states of an object: labels, annotations, spec; cut at 16 KB."""
    one, other = (_text(obj).splitlines(keepends=True) for obj in (before, after))
    return "".join(list(difflib.unified_diff(one, other, "before", "after"))[:2000])[:DIFF_LIMIT]


def _text(obj: Obj) -> str:
    metadata = obj["metadata"]
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != OPERATION_ANNOTATION}
    shown = {"metadata": {"labels": metadata.get("labels") or {}, "annotations": annotations}, "spec": obj.get("spec")}
    return yaml.safe_dump(_masked(shown), sort_keys=True)


def _masked(value: Any) -> Any:
    """Hide values under secret names, as `env` entries hold them: a difference is shown to people."""
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("value"), str) and _SECRET.search(str(value.get("name", ""))):
        return {**value, "value": "***REDACTED***"}
    return {key: "***REDACTED***" if isinstance(item, str) and _SECRET.search(key) else _masked(item) for key, item in value.items()}


def cut(text: str) -> str:
    """Return text that fits a status field."""
    return text if len(text) <= TEXT_LIMIT else f"{text[: TEXT_LIMIT - 1]}…"
