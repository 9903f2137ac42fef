"""What changed in an object, and its conditions; pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from kubernaut.api.base import Condition, ConditionStatus, Obj, Resource, Status
from kubernaut.api.redact import redact

MESSAGE_LIMIT: Final = 1024
SEARCHED: Final = 4
"""Times its bound that a message is searched for secrets: what was cut within a secret must not be shown."""
ABSENT: Final = object()


def changes(old: Obj, new: Obj) -> Obj | None:
    """Return the JSON merge patch (RFC 7386) that makes `old` into `new`, or None when there is nothing to do.

    A null in `new` means absent, as it does to the API server. Lists are replaced whole.
    """
    patch: Obj = {}
    for name in [*old, *(name for name in new if name not in old)]:
        change = _change(old.get(name), new.get(name))
        if change is not ABSENT:
            patch[name] = change
    return patch or None


def _change(before: Any, after: Any) -> Any:
    if isinstance(before, dict) and isinstance(after, dict):
        return changes(before, after) or ABSENT
    return ABSENT if _same(before, after) else after


def _same(before: Any, after: Any) -> bool:
    """Compare by value and type: to JSON, true is not 1."""
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_same, before, after))
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(_same(value, after[name]) for name, value in before.items())
    return type(before) is type(after) and bool(before == after)


def set_condition(
    conditions: list[Condition], type_: str, status: bool | None, reason: str, message: str, *, now: datetime, generation: int = 0
) -> None:
    """Set a condition in place (None is Unknown); its time moves only when its status does. After the API conventions."""
    state = {True: ConditionStatus.TRUE, False: ConditionStatus.FALSE, None: ConditionStatus.UNKNOWN}[status]
    known = next((condition for condition in conditions if condition.type == type_), None)
    if known is None:
        known = Condition(type=type_, status=state)
        conditions.append(known)
    if known.status != state or known.last_transition_time is None:
        known.last_transition_time = now.replace(microsecond=0)
    known.status, known.reason, known.message = state, reason, cut(message)
    known.observed_generation = generation


def cut(message: str, limit: int = MESSAGE_LIMIT) -> str:
    """Return a message fit to be shown: without secrets, and within its bound; a longer one ends in an ellipsis."""
    # what lies far behind the bound is not searched: only its length is of interest
    clean = redact(message[: SEARCHED * limit])
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def status_of(resource: Resource) -> Status:
    """Return a resource's status; raise TypeError for a kind that has none of ours."""
    status = getattr(resource, "status", None)
    if not isinstance(status, Status):
        raise TypeError(f"{type(resource).__name__} has no status of ours")
    return status


def only_journal_differs(old: Obj, new: Obj, but: frozenset[str] = frozenset()) -> bool:
    """Tell whether two states of an object differ in nothing but the journal, the status fields `but`, and what every write changes."""
    return _essence(old, but) == _essence(new, but)


def _essence(obj: Obj, but: frozenset[str]) -> Obj:
    return {
        **obj,
        "metadata": _without(obj.get("metadata"), "resourceVersion", "managedFields"),
        "status": _without(obj.get("status"), "journal", *but),
    }


def _without(mapping: Mapping[str, Any] | None, *names: str) -> Obj:
    return {name: value for name, value in (mapping or {}).items() if name not in names}
