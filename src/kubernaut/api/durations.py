"""Go duration text (`1h2m3.5s`, `10m0s`, `850ms`), which receivers of our messages parse and people write into settings."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_LONGEST = (2**63 - 1) / 1e9
"""Seconds that Go's Duration can hold."""
_SECOND = 1_000_000
_MILLISECOND = 1000
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> timedelta:
    """Read Go duration text; raise ValueError when it is none."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration; write it like 90s, 10m or 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > _LONGEST:
        raise ValueError(f"{text!r} is longer than a duration can be")
    return timedelta(seconds=seconds)


def _read(value: Any) -> Any:
    """Read Go duration text, and leave everything else to pydantic."""
    return parse_duration(value) if isinstance(value, str) and _PART.match(value) else value


Length = Annotated[timedelta, BeforeValidator(_read)]
"""A duration in settings: `90s`, `10m`, `1h30m`, or what pydantic reads (ISO 8601, `HH:MM:SS`, a number of seconds)."""


def go_duration(length: timedelta) -> str:
    """Write a duration as Go's `Duration.String` does; negative lengths count as none."""
    micros = max(0, round(length.total_seconds() * 1_000_000))
    if micros < _SECOND:
        return _below_a_second(micros)
    minutes, rest = divmod(micros, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    seconds = _trimmed(rest / 1_000_000)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _below_a_second(micros: int) -> str:
    if micros == 0:
        return "0s"
    return f"{_trimmed(micros / 1000)}ms" if micros >= _MILLISECOND else f"{micros}µs"


def _trimmed(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".")
