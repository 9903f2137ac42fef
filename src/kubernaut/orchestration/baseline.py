"""What the target looked like before the fix, read off the enriched signal; verification compares with it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from kubernaut.api.base import ResourceIdentifier
from kubernaut.api.processing import EnrichedSignal
from kubernaut.api.verification import Baseline
from kubernaut.orchestration.reading import items, mapping

REASONS_LIMIT: Final = 10
UNSTEADY: Final = timedelta(minutes=15)
"""A pod that came back from a bad end so shortly before may be between two crashes, however ready it is."""


def baseline_of(signal: EnrichedSignal | None, target: ResourceIdentifier, seen_at: datetime | None = None) -> Baseline | None:
    """Return the state of the target's pods as enrichment saw it, at a time; None when it saw another object, or none."""
    context: dict[str, Any] = dict(signal.kubernetes_context) if signal else {}
    workload = mapping(context.get("workload"))
    if (workload.get("kind"), workload.get("name")) != (target.kind, target.name):
        return None
    pods = [list(_containers(pod)) for pod in items(context.get("pods"))]
    containers = [each for pod in pods for each in pod]
    reasons = {str(reason) for each in containers if (reason := mapping(mapping(each.get("state")).get("waiting")).get("reason"))}
    ready = _count(workload.get("readyReplicas"))
    return Baseline(
        ready=ready,
        desired=_count(workload.get("replicas")),
        restarts=sum(_count(each.get("restarts")) for each in containers),
        crash_reasons=sorted(reasons)[:REASONS_LIMIT],
        steady=max(0, ready - sum(_is_shaky(pod, seen_at) for pod in pods)) if seen_at else None,
    )


def _is_shaky(containers: list[dict[str, Any]], seen_at: datetime) -> bool:
    """Tell whether a pod is ready, but came back from a bad end only shortly before it was seen."""
    ready = bool(containers) and all(each.get("ready") for each in containers)
    return ready and any(_came_back(each, seen_at) for each in containers)


def _came_back(container: dict[str, Any], seen_at: datetime) -> bool:
    ended, running = mapping(mapping(container.get("lastState")).get("terminated")), mapping(mapping(container.get("state")).get("running"))
    if not ended or ended.get("reason") == "Completed":
        return False
    started = _moment(running.get("startedAt"))
    return started is None or seen_at - started < UNSTEADY


def _moment(text: object) -> datetime | None:
    """Read a Kubernetes time; None where there is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None


def _containers(pod: Any) -> Iterator[dict[str, Any]]:
    yield from (mapping(each) for each in items(mapping(pod).get("containers")))


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
