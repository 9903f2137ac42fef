"""The kill switch: pause and resume under one's own name, and what holds fixes now."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from kubernaut.api.base import Unusable
from kubernaut.api.brake import BRAKE, EVERYWHERE, Pause, RemediationBrake, RemediationBrakeSpec, told
from kubernaut.api.remediation import Phase, RemediationRequest
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli.approving import TRIES, whoami
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError

HOUR = timedelta(hours=1)
LISTED = 30
Change = Callable[[RemediationBrakeSpec], RemediationBrakeSpec]


class CannotResume(Unusable):
    """There is nothing to be resumed; the message says what is paused."""


async def pause(client: Client, system: str, scope: str, reason: str, now: datetime, *, cancel: bool) -> Pause:
    """Pause a namespace (`*`: everything) under our own name; one that is paused already stays with who paused it. Return the pause."""
    who = await whoami(client)
    wanted = Pause(namespace=scope, reason=reason, by=who, at=now.replace(microsecond=0), cancel=cancel)

    def change(spec: RemediationBrakeSpec) -> RemediationBrakeSpec:
        known = _of(spec, scope)
        if known is not None and (known.cancel or not cancel):
            return spec
        others = [each for each in spec.pauses if each.namespace != scope]
        return RemediationBrakeSpec(pauses=[*others, wanted], changed_by=who, change_reason=reason)

    spec = await _change(client, system, change)
    return _of(spec, scope) or wanted


async def resume(client: Client, system: str, scope: str, reason: str) -> list[Pause]:
    """Lift the pause of a namespace (`*`: the one of everything) under our own name; return those that still hold. Raise CannotResume."""
    who = await whoami(client)

    def change(spec: RemediationBrakeSpec) -> RemediationBrakeSpec:
        if _of(spec, scope) is None:
            raise CannotResume(_nothing(spec, scope))
        left = [each for each in spec.pauses if each.namespace != scope]
        return RemediationBrakeSpec(pauses=left, changed_by=who, change_reason=reason)

    return (await _change(client, system, change)).pauses


async def brake_of(client: Client, system: str) -> RemediationBrake | None:
    """Return the brake, or None where nobody made it yet."""
    try:
        return RemediationBrake.model_validate(await client.get(RemediationBrake.card, BRAKE, system))
    except ApiError as fault:
        if fault.not_found:
            return None
        raise


async def status_lines(client: Client, system: str, now: datetime) -> list[str]:
    """Say what holds fixes now, what is running, and what waits for what."""
    brake = await brake_of(client, system)
    found = (await client.list(RemediationRequest.card, system)).items
    requests = [RemediationRequest.model_validate(obj) for obj in found]
    runs = [WorkflowExecution.model_validate(obj) for obj in (await client.list(WorkflowExecution.card, system)).items]
    started = sum((run.metadata.creation_timestamp or now) > now - HOUR for run in runs)
    return [*_brake_lines(brake), *_counts(requests, started, brake), *_held(requests)]


def _of(spec: RemediationBrakeSpec, scope: str) -> Pause | None:
    return next((each for each in spec.pauses if each.namespace == scope), None)


def _nothing(spec: RemediationBrakeSpec, scope: str) -> str:
    where = "everywhere" if scope == EVERYWHERE else f"in namespace {scope}"
    if not spec.pauses:
        return "nothing is paused"
    known = "; ".join(told(each) for each in spec.pauses)
    return f"there is no pause {where}; {known}. Name its scope: kubernaut resume [--namespace NS]"


async def _change(client: Client, system: str, change: Change) -> RemediationBrakeSpec:
    """Write a change of the brake's spec against the very state it was made from; return the spec as it is then."""
    for _ in range(TRIES):
        brake = await brake_of(client, system)
        before = brake.spec if brake else RemediationBrakeSpec()
        after = change(before)
        if after is before:
            return before
        try:
            await _write(client, system, brake, after)
        except ApiError as fault:
            if not (fault.conflict or fault.already_exists):
                raise
        else:
            return after
    raise CannotResume("the brake changes too fast to be moved: look at `kubernaut status` and try again")


async def _write(client: Client, system: str, brake: RemediationBrake | None, spec: RemediationBrakeSpec) -> None:
    body = {"pauses": [each.wire() for each in spec.pauses], "changedBy": spec.changed_by, "changeReason": spec.change_reason or None}
    if brake is None:
        kept = {name: value for name, value in body.items() if value is not None}
        await client.create(RemediationBrake.card, {"metadata": {"name": BRAKE, "namespace": system}, "spec": kept})
        return
    metadata = {"resourceVersion": brake.metadata.resource_version}
    await client.patch(RemediationBrake.card, BRAKE, system, {"metadata": metadata, "spec": body})


def _brake_lines(brake: RemediationBrake | None) -> Iterator[str]:
    if brake is None:
        yield "Not paused. No brake is there yet: the orchestration has not run here."
        return
    for pause_ in brake.spec.pauses:
        yield f"{told(pause_)[0].upper()}{told(pause_)[1:]}{' (running work is cancelled)' if pause_.cancel else ''}"
    if not brake.spec.pauses:
        yield "Not paused."
    if storm := brake.status.storm:
        until = f"nothing new is started before {storm.until:%H:%M:%S} UTC"
        yield f"Storm mode since {storm.since:%H:%M:%S} UTC: {storm.cases} new cases; {until}."


def _counts(requests: Sequence[RemediationRequest], started: int, brake: RemediationBrake | None) -> Iterator[str]:
    limits = brake.status.limits if brake else None
    running = [each for each in requests if each.status.overall_phase is Phase.EXECUTING]
    of = f" of {limits.concurrent}" if limits and limits.concurrent else ""
    an_hour = f" of {limits.hourly}" if limits and limits.hourly else ""
    opened = sum(not each.status.overall_phase.terminal for each in requests)
    yield f"{opened} open, {len(running)}{of} in execution, {started}{an_hour} started in the last hour."
    for each in running[:LISTED]:
        yield f"  {each.metadata.name}  {each.status.selected_workflow} on {each.status.remediation_target or each.spec.target_resource}"
    if asked := sum(each.status.overall_phase is Phase.AWAITING_APPROVAL for each in requests):
        yield f"{asked} {'waits' if asked == 1 else 'wait'} for a person: kubernaut approvals"


def _held(requests: Sequence[RemediationRequest]) -> Iterator[str]:
    held = [each for each in requests if each.status.overall_phase is Phase.BLOCKED]
    if not held:
        return
    yield f"{len(held)} held:"
    for each in held[:LISTED]:
        status = each.status
        until = f"; next look at {status.blocked_until:%H:%M} UTC" if status.blocked_until else ""
        yield f"  {each.metadata.name}  {status.block_reason}: {status.block_message}{until}"
    if len(held) > LISTED:
        yield f"  and {len(held) - LISTED} more: kubernaut get"
