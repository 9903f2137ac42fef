"""What a cluster shows of a fault, collected for people: the states of pods, events, the ends of their logs. Changes nothing."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from kubernaut.api.base import Obj
from kubernaut.api.core import EVENT, POD
from kubernaut.api.execution import UndoKind
from kubernaut.api.redact import redact
from kubernaut.execution.actions.base import Access, ActionParameters, Effect, KubernetesName, KubernetesNamespace, Plan, Standard, Work, on
from kubernaut.kube.client import Client, path_of
from kubernaut.kube.errors import ApiError

OUTPUT_LIMIT: Final = 16_000
PODS: Final = 10
EVENTS: Final = 30
LINES: Final = 20
LINE_LIMIT: Final = 300
_HOUR = {"h": 1, "d": 24}


class DiagnosticsParameters(ActionParameters):
    """Of what, and how far back."""

    namespace: KubernetesNamespace
    resource_name: KubernetesName | None = None
    """A pod, or a workload whose pods are meant; all pods of the namespace where it is not given."""
    include_logs: bool = True
    include_events: bool = True
    include_metrics: bool = Field(default=True)
    """Restarts and limits as the pods' status tells them; no metrics server is asked."""
    time_range: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}(h|d)$")] = "1h"

    @property
    def reach(self) -> timedelta:
        """How far back events are told."""
        return timedelta(hours=int(self.time_range[:-1]) * _HOUR[self.time_range[-1]])


class CollectDiagnostics(Standard[DiagnosticsParameters]):
    """Collects what the cluster shows; secrets are taken out, and the whole is bounded."""

    name = "collect_diagnostics"
    parameters = DiagnosticsParameters
    undo = UndoKind.NONE
    rights = (*on(POD, EVENT, verbs=["list"]), *on(POD, verbs=["get"], subresource="log"))

    def target(self, given: DiagnosticsParameters) -> None:
        """Nothing is changed."""

    def access(self, given: DiagnosticsParameters) -> list[Access]:
        """List pods and events, read logs."""
        wanted = [Access("list", POD, given.namespace)]
        if given.include_events:
            wanted.append(Access("list", EVENT, given.namespace))
        return [*wanted, Access("get", POD, given.namespace, subresource="log")] if given.include_logs else wanted

    async def plan(self, client: Client, given: DiagnosticsParameters, mark: str) -> Plan:
        """Change nothing."""
        del client, given, mark
        return Plan(Effect.NOTHING)

    async def work(self, client: Client, given: DiagnosticsParameters, now: datetime) -> Work:
        """Collect."""
        pods = [pod for pod in (await client.list(POD, given.namespace)).items if _meant(pod, given.resource_name)]
        lines = [f"{len(pods)} pods", *(line for pod in pods[:PODS] for line in _told(pod, metrics=given.include_metrics))]
        if given.include_events:
            events = (await client.list(EVENT, given.namespace)).items
            lines += _events(events, {pod["metadata"]["name"] for pod in pods} | {given.resource_name}, now - given.reach, given)
        for pod in pods[:PODS] if given.include_logs else ():
            lines += await _logs(client, pod)
        return Work(output=redact("\n".join(lines))[:OUTPUT_LIMIT])


def _meant(pod: Obj, name: str | None) -> bool:
    """Tell whether a pod is the one named, or belongs to the workload named: by its own name and by those of its owners."""
    if name is None or pod["metadata"]["name"] == name:
        return True
    owners = [str(each["name"]) for each in pod["metadata"].get("ownerReferences") or ()]
    return any(owner == name or re.fullmatch(rf"{re.escape(name)}-[a-z0-9]{{5,10}}", owner) for owner in owners)


def _told(pod: Obj, *, metrics: bool) -> Iterator[str]:
    status = pod.get("status") or {}
    where = pod["spec"].get("nodeName", "no node")
    yield f"pod {pod['metadata']['name']} {status.get('phase', 'Unknown')} on {where} {status.get('reason', '')}".rstrip()
    for each in status.get("containerStatuses") or ():
        state = "; ".join(text for text in (_state(each.get("state")), _state(each.get("lastState"), "before: ")) if text)
        restarts = f", {each.get('restartCount', 0)} restarts" if metrics else ""
        yield f"  {each['name']}: {'ready' if each.get('ready') else 'not ready'}{restarts}{f', {state}' if state else ''}"


def _state(state: Obj | None, before: str = "") -> str:
    for name, each in (state or {}).items():
        said = " ".join(str(each[key]) for key in ("reason", "message") if each.get(key))
        code = f" exit code {each['exitCode']}" if "exitCode" in each else ""
        return redact(f"{before}{name} {said}{code}".rstrip())[:LINE_LIMIT]
    return ""


def _events(events: Iterable[Obj], names: set[str | None], since: datetime, given: DiagnosticsParameters) -> list[str]:
    timed = [(when, each) for each in events if (when := _when(each)) and datetime.fromisoformat(when).astimezone(UTC) >= since]
    found = sorted(timed, key=lambda pair: pair[0])
    about = [(when, each) for when, each in found if given.resource_name is None or each.get("involvedObject", {}).get("name") in names]
    return ["events", *(redact(f"  {when} {_said(each)}")[:LINE_LIMIT] for when, each in about[-EVENTS:])]


def _when(event: Obj) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def _said(event: Obj) -> str:
    about = event.get("involvedObject") or {}
    return f"{event.get('type')} {event.get('reason')} {about.get('kind')}/{about.get('name')}: {event.get('message', '')}"


async def _logs(client: Client, pod: Obj) -> list[str]:
    """Return the last lines of each container; what cannot be read is told, and no reason to fail."""
    meta, lines = pod["metadata"], list[str]()
    for container in pod["spec"]["containers"]:
        lines.append(f"log of {meta['name']}/{container['name']}")
        try:
            text = await client.text(
                path_of(POD, meta["namespace"], meta["name"], "log"), container=container["name"], tailLines=str(LINES)
            )
        except ApiError as fault:
            if fault.retryable:
                raise
            text = f"(cannot be read: {fault.message})"
        lines += [f"  {line}"[:LINE_LIMIT] for line in redact(text).splitlines()[-LINES:]]
    return lines
