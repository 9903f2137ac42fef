"""The order of API versions: general availability first, then beta, then alpha, newest first; odd names last."""

import re

_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STAGES = {None: 0, "beta": 1, "alpha": 2}
Rank = tuple[int, int, int, str]


def by_priority(version: str) -> Rank:
    """Return the sort key of a version; the best comes first."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (9, 0, 0, version)
    major, stage, minor = match.groups()
    return (_STAGES[stage], -int(major), -int(minor or 0), version)
