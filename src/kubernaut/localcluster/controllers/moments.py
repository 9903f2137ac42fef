"""Times as Kubernetes writes them, and durations as Go prints them."""

from datetime import UTC, datetime

__all__ = ["go_duration", "micro_stamp", "moment", "stamp"]


def stamp(when: datetime) -> str:
    """Write a metav1.Time: UTC, whole seconds."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_stamp(when: datetime) -> str:
    """Write a metav1.MicroTime: UTC, six decimals."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """Read a metav1.Time or MicroTime."""
    return datetime.fromisoformat(text)


def go_duration(seconds: float) -> str:
    """Print a duration as Go does (`500ms`, `1m20s`), to the millisecond."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms" if seconds else "0s"
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{shown}"
    return f"{minutes}m{shown}" if minutes else shown
