"""ResourceQuotas: the gate that refuses what would exceed one. It counts what is there at the time of the write."""

from collections.abc import Iterator
from decimal import Decimal

from kubernaut.localcluster import errors
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.quantity import parse
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.usage import Usage, covers, spelt, usage_of, used

_QUOTAS = builtin("", "resourcequotas")
_MUST_SPECIFY = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


class Quotas:
    """The gate of ResourceQuotas, with the words of kube-apiserver's."""

    def __init__(self, registry: Registry) -> None:
        """Count in a registry."""
        self._registry = registry

    def mutate(self, kind: ResourceKind, obj: Obj, call: Call) -> None:
        """Change nothing."""

    def check(self, kind: ResourceKind, operation: str, new: Obj | None, old: Obj | None, call: Call, subresource: str) -> None:  # noqa: ARG002
        """Refuse with ApiError 403 what would take more than a quota of its namespace leaves, or does not say how much it takes."""
        if new is None or subresource or not kind.namespaced or operation == "DELETE":
            return
        quotas = [row.obj for row in self._registry.all_of(_QUOTAS, new["metadata"]["namespace"]) if covers(row.obj, kind, new)]
        asked = _asked(kind, new, old) if quotas else {}
        for quota in quotas:
            if operation == "CREATE" and kind.resource == "pods":
                _must_specify(kind, new, quota)
            if concerned := {name: value for name, value in asked.items() if name in (quota["spec"].get("hard") or {})}:
                self._check_room(kind, new, quota, concerned)

    def _check_room(self, kind: ResourceKind, new: Obj, quota: Obj, asked: Usage) -> None:
        hard = quota["spec"]["hard"]
        taken = used(quota, self._present(kind, quota["metadata"]["namespace"]))
        over = sorted(name for name, value in asked.items() if taken[name] + value > parse(hard[name]))
        if not over:
            return
        rows = (("requested", asked), ("used", taken), ("limited", {name: parse(hard[name]) for name in over}))
        told = ", ".join(f"{word}: {','.join(f'{name}={spelt(amounts[name], hard[name])}' for name in over)}" for word, amounts in rows)
        raise errors.forbidden(kind, new["metadata"]["name"], f"exceeded quota: {quota['metadata']['name']}, {told}")

    def _present(self, kind: ResourceKind, namespace: str) -> Iterator[tuple[ResourceKind, Obj]]:
        return ((kind, record.obj) for record in self._registry.all_of(kind, namespace))


def _asked(kind: ResourceKind, new: Obj, old: Obj | None) -> Usage:
    """Return what a write takes more than was taken before."""
    before = usage_of(kind, old) if old else {}
    grown = {name: value - before.get(name, Decimal(0)) for name, value in usage_of(kind, new).items()}
    return {name: value for name, value in grown.items() if value > 0}


def _must_specify(kind: ResourceKind, pod: Obj, quota: Obj) -> None:
    lacking = [f"{name} for: {','.join(rows)}" for name in _wanted(quota) if (rows := _silent(pod, name))]
    if lacking:
        told = f"failed quota: {quota['metadata']['name']}: must specify {'; '.join(lacking)}"
        raise errors.forbidden(kind, pod["metadata"]["name"], told)


def _wanted(quota: Obj) -> list[str]:
    return sorted(name for name in quota["spec"].get("hard") or {} if name in _MUST_SPECIFY)


def _silent(pod: Obj, name: str) -> list[str]:
    """Return the containers that say nothing of a resource that a quota bounds."""
    field, _, resource = name.rpartition(".")
    rows = [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]
    return sorted(row["name"] for row in rows if resource not in ((row.get("resources") or {}).get(field or "requests") or {}))
