"""A person clears a target: after a run that failed under way, nothing more runs on it until somebody has looked, under their own name."""

from collections.abc import Sequence
from datetime import datetime

from kubernaut.api.base import Unusable
from kubernaut.api.workflow import Phase, WorkflowExecution
from kubernaut.cli.approving import TRIES, whoami
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.workflow.past import in_turn, left_half_done


class CannotClear(Unusable):
    """There is nothing to be cleared; the message says why."""


async def waiting(client: Client, namespace: str) -> list[WorkflowExecution]:
    """Return the failed executions whose targets wait for a person, the longest-waiting first."""
    runs = _by_target(await _executions(client, namespace)).values()
    found = [half_done for each in runs if (half_done := left_half_done(each)) is not None]
    return sorted(found, key=lambda each: (each.status.completion_time, each.metadata.name))


async def clear(client: Client, namespace: str, name: str, reason: str, now: datetime) -> WorkflowExecution:
    """Clear a target, named by itself, by the execution that failed on it, or by its remediation; raise CannotClear."""
    if not reason.strip():
        raise CannotClear("say why, for the record: --reason '…'")
    failed = _meant(await _executions(client, namespace), namespace, name)
    who = await whoami(client)
    said = {"clearedBy": who, "clearReason": reason, "clearedAt": now.replace(microsecond=0).isoformat()}
    body = {"metadata": {"uid": failed.metadata.uid}, "status": {"blockClearance": said}}
    for _ in range(TRIES):
        try:
            written = await client.patch(WorkflowExecution.card, failed.metadata.name, namespace, body, subresource="status")
        except ApiError as fault:
            if not fault.conflict:
                raise
        else:
            return WorkflowExecution.model_validate(written)
    raise CannotClear(f"{failed.metadata.name} changes too fast to be cleared: look again")


async def _executions(client: Client, namespace: str) -> list[WorkflowExecution]:
    return [WorkflowExecution.model_validate(obj) for obj in (await client.list(WorkflowExecution.card, namespace)).items]


def _by_target(executions: Sequence[WorkflowExecution]) -> dict[str, list[WorkflowExecution]]:
    """Return what ran on each target, latest first."""
    found: dict[str, list[WorkflowExecution]] = {}
    for execution in in_turn(executions):
        found.setdefault(execution.spec.target_resource, []).append(execution)
    return found


def _meant(executions: Sequence[WorkflowExecution], namespace: str, name: str) -> WorkflowExecution:
    """Return the run that left the target half changed, else the last one, if it failed and nobody has cleared it."""
    targets = {each.spec.target_resource for each in executions if name in _names(each)}
    if not targets:
        raise CannotClear(f"no target, execution or remediation is called {name!r} in {namespace}; kubernaut clear lists what waits")
    if len(targets) > 1:
        raise CannotClear(f"{name} has run on {', '.join(sorted(targets))}: say which one")
    target = targets.pop()
    runs = _by_target(executions).get(target, [])
    last = left_half_done(runs) or next(iter(runs), None)
    if last is None or last.status.phase is not Phase.FAILED:
        raise CannotClear(f"{target} need not be cleared: the last run on it did not fail")
    if (done := last.status.block_clearance) is not None:
        raise CannotClear(f"{done.cleared_by} has cleared {target} already: {done.clear_reason}")
    return last


def _names(execution: WorkflowExecution) -> tuple[str, str, str]:
    return execution.metadata.name, execution.spec.target_resource, execution.spec.remediation_request_ref.name


def line(execution: WorkflowExecution) -> str:
    """Say of a failed execution what waits for a person because of it."""
    ended = execution.status.completion_time
    when = f" at {ended:%Y-%m-%d %H:%M} UTC" if ended else ""
    return f"{execution.spec.target_resource}: {execution.metadata.name} failed{when}. {execution.status.message}"
