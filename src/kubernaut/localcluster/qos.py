"""The quality of service class of a pod, from the requests and limits of its containers."""

from collections.abc import Mapping

from kubernaut.localcluster.errors import Obj

_COUNTED = ("cpu", "memory")


def qos_class(spec: Obj) -> str:
    """Return Guaranteed, Burstable or BestEffort."""
    rows = [row.get("resources") or {} for field in ("containers", "initContainers") for row in spec.get(field) or []]
    asked = [(_counted(row.get("requests")), _counted(row.get("limits"))) for row in rows]
    if not any(requests or limits for requests, limits in asked):
        return "BestEffort"
    same = all(len(limits) == len(_COUNTED) and (requests == limits or not requests) for requests, limits in asked)
    return "Guaranteed" if same else "Burstable"


def _counted(given: Mapping[str, object] | None) -> dict[str, object]:
    return {name: value for name, value in (given or {}).items() if name in _COUNTED and str(value) not in ("0", "")}
