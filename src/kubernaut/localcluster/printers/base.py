"""What all printers share: columns, ages and the small ways in which kubectl writes things."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kubernaut.localcluster.errors import Obj

NONE, UNKNOWN, UNSET = "<none>", "<unknown>", "<unset>"
Cells = list[Any]
Row = Callable[[Obj, datetime], Cells]
Column = tuple[str, str, int]
"""Name, type, priority; priority 1 is shown by `-o wide` alone."""


@dataclass(frozen=True, slots=True)
class Printer:
    """The columns of a kind after its name, and the cells that stand in them (name included)."""

    columns: tuple[Column, ...]
    row: Row
    told: Mapping[str, str] = field(default_factory=dict)
    """What a column's description is: a text, or `@` and the path of the field whose documentation it is."""


def columns(text: str, wide: str = "") -> tuple[Column, ...]:
    """Read column names parted by bars; `Name:integer` gives another type than string."""
    return tuple((*_typed(name), priority) for names, priority in ((text, 0), (wide, 1)) for name in names.split("|") if name)


def _typed(name: str) -> tuple[str, str]:
    head, _, type_ = name.partition(":")
    return head, type_ or "string"


def name(obj: Obj) -> str:
    """Return an object's name."""
    return str(obj["metadata"].get("name", ""))


def parse_time(text: str | None) -> datetime | None:
    """Return an RFC 3339 time, None where there is none."""
    return datetime.fromisoformat(text) if text else None


def age(obj: Obj, now: datetime) -> str:
    """Return how long ago an object was made."""
    return since(obj["metadata"].get("creationTimestamp"), now)


def since(text: str | None, now: datetime) -> str:
    """Return how long ago a time was."""
    moment = parse_time(text)
    return UNKNOWN if moment is None else human((now - moment.astimezone(UTC)).total_seconds())


_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400


def human(seconds: float) -> str:
    """Return a length of time as kubectl shortens it (`duration.HumanDuration`)."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    for limit, unit, letter, small, small_letter, both_until in _SCALES:
        if whole < limit:
            return _pair(whole, (unit, letter), (small, small_letter), both_until)
    return _pair(whole, (_YEAR, "y"), (_DAY, "d"), 8 * _YEAR)


# up to limit: count in unit, add the rest in the smaller unit while under both_until
_SCALES = (
    (2 * _MINUTE, 1, "s", 0, "", 0),
    (10 * _MINUTE, _MINUTE, "m", 1, "s", 10 * _MINUTE),
    (3 * _HOUR, _MINUTE, "m", 0, "", 0),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m", 8 * _HOUR),
    (2 * _DAY, _HOUR, "h", 0, "", 0),
    (8 * _DAY, _DAY, "d", _HOUR, "h", 8 * _DAY),
    (2 * _YEAR, _DAY, "d", 0, "", 0),
)


def _pair(whole: int, unit: tuple[int, str], small: tuple[int, str], both_until: int) -> str:
    text = f"{whole // unit[0]}{unit[1]}"
    rest = whole % unit[0] // small[0] if small[0] and whole < both_until else 0
    return text + (f"{rest}{small[1]}" if rest else "")


def selector(pairs: Mapping[str, str] | None) -> str:
    """Return a plain selector as text."""
    return ",".join(f"{key}={value}" for key, value in sorted((pairs or {}).items())) or NONE


_OPERATORS = {"In": "{key} in ({values})", "NotIn": "{key} notin ({values})", "Exists": "{key}", "DoesNotExist": "!{key}"}


def label_selector(obj: Obj | None) -> str:
    """Return a label selector as text."""
    given = obj or {}
    parts = [f"{key}={value}" for key, value in sorted((given.get("matchLabels") or {}).items())]
    for rule in given.get("matchExpressions") or []:
        parts += [_OPERATORS[rule["operator"]].format(key=rule["key"], values=",".join(sorted(rule.get("values") or [])))]
    return ",".join(parts) or NONE


def containers(spec: Obj) -> tuple[str, str]:
    """Return the names and images of a pod spec's containers."""
    found: Iterable[Obj] = spec.get("containers") or []
    return ",".join(row.get("name", "") for row in found), ",".join(row.get("image", "") for row in found)


def listed(values: Iterable[object], limit: int = 0) -> str:
    """Return values parted by commas, the first few where a limit is given."""
    known = [str(value) for value in values]
    if limit and len(known) > limit:
        return f"{','.join(known[:limit])} + {len(known) - limit} more..."
    return ",".join(known) or NONE
