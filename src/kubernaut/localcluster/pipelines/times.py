"""Times and durations as Kubernetes and Go write them."""

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)")
_MILLISECOND, _SECOND = 1_000, 1_000_000  # in microseconds


def stamp(moment: datetime) -> str:
    """Write a moment with whole seconds, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """Read a Kubernetes time; raise ValueError."""
    return datetime.fromisoformat(text)


def duration(text: str) -> timedelta:
    """Read a Go duration such as `1h30m` or `300ms`; raise ValueError."""
    parts = _PART.findall(text)
    if not text or (text != "0" and "".join(number + unit for number, unit in parts) != text.removeprefix("+")):
        raise ValueError(f'time: invalid duration "{text}"')
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))


def written(span: timedelta) -> str:
    """Write a duration as Go's Duration.String does."""
    micros = span // timedelta(microseconds=1)
    if micros < _SECOND:
        return _small(micros)
    minutes, rest = divmod(micros, 60 * _SECOND)
    seconds = f"{_trim(rest / _SECOND)}s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _small(micros: int) -> str:
    if micros == 0:
        return "0s"
    return f"{_trim(micros / _MILLISECOND)}ms" if micros >= _MILLISECOND else f"{micros}µs"


def _trim(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".")
