"""What the target looked like before the fix, read off the enriched signal; verification compares with it."""

from collections.abc import Iterator
from typing import Any, Final

from kubernaut.api.base import ResourceIdentifier
from kubernaut.api.processing import EnrichedSignal
from kubernaut.api.verification import Baseline
from kubernaut.orchestration.reading import items, mapping

REASONS_LIMIT: Final = 10


def baseline_of(signal: EnrichedSignal | None, target: ResourceIdentifier) -> Baseline | None:
    """Return the state of the target's pods as enrichment saw it; None when it saw another object, or none."""
    context: dict[str, Any] = dict(signal.kubernetes_context) if signal else {}
    workload = mapping(context.get("workload"))
    if (workload.get("kind"), workload.get("name")) != (target.kind, target.name):
        return None
    containers = list(_containers(context))
    reasons = {str(reason) for each in containers if (reason := mapping(mapping(each.get("state")).get("waiting")).get("reason"))}
    return Baseline(
        ready=_count(workload.get("readyReplicas")),
        desired=_count(workload.get("replicas")),
        restarts=sum(_count(each.get("restarts")) for each in containers),
        crash_reasons=sorted(reasons)[:REASONS_LIMIT],
    )


def _containers(context: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for pod in items(context.get("pods")):
        yield from (mapping(each) for each in items(mapping(pod).get("containers")))


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
