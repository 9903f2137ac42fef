"""What processing saw, as one hash: equal for the same state of affairs, whatever the time and however often it was counted. Pure."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

import orjson

from kubernaut.api.processing import EnrichedSignal
from kubernaut.orchestration.reading import items, mapping

WORKLOAD: Final = ("kind", "name", "images", "replicas", "readyReplicas")
CONTAINER: Final = ("name", "image", "limits", "requests", "ready")


def evidence_hash(signal: EnrichedSignal | None) -> str:
    """Return the hash of what was seen of the workload, its containers and its events; empty where nothing was seen."""
    context = mapping(signal.kubernetes_context) if signal else {}
    seen = {
        "workload": _kept(mapping(context.get("workload")), WORKLOAD),
        "containers": _distinct(_containers(context)),
        "events": sorted({str(mapping(each).get("reason", "")) for each in items(context.get("events"))}),
        "nodes": sorted(str(mapping(each).get("name", "")) for each in items(context.get("node"))),
    }
    if not any(seen.values()):
        return ""
    return sha256(orjson.dumps(seen, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _containers(context: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for pod in items(context.get("pods")):
        for container in items(mapping(pod).get("containers")):
            found = mapping(container)
            states = {name: _state(mapping(found.get(name))) for name in ("state", "lastState")}
            yield _kept(found, CONTAINER) | states


def _state(state: Mapping[str, Any]) -> list[str]:
    """Return a container state without its times and words."""
    return sorted(f"{name}:{mapping(detail).get('reason', '')}:{mapping(detail).get('exitCode', '')}" for name, detail in state.items())


def _kept(found: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: found[name] for name in names if name in found}


def _distinct(found: Iterator[dict[str, Any]]) -> list[str]:
    return sorted({orjson.dumps(each, option=orjson.OPT_SORT_KEYS).decode() for each in found})
