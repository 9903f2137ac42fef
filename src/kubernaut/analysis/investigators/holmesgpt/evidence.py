"""When two questions are the same: what is seen of the target, without what differs from one look to the next. Pure."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Final

import orjson

from kubernaut.analysis.containers import containers_of, pod_ready
from kubernaut.analysis.investigators.base import Question, plain
from kubernaut.analysis.investigators.holmesgpt.offer import Choice
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj

_PASSING: Final = re.compile(r"\b(?=[a-z0-9]*\d)[a-z0-9]{4,}\b|\d+")
"""Numbers, and the random parts of names."""


def case_of(question: Question, snapshot: Snapshot) -> str:
    """Return the key of the case: the signal, its subject, and what was tried."""
    alert = question.request.alert_context
    return _hash([alert.fingerprint, snapshot.subject.path(), [row.model_dump(mode="json") for row in question.tried]])


def evidence_of(question: Question, snapshot: Snapshot, choices: tuple[Choice, ...]) -> str:
    """Return the key of what can be seen: equal for equal trouble of one target, whichever pod an alert names."""
    alert = question.request.alert_context
    return _hash(
        [
            snapshot.target.path(),
            alert.environment,
            alert.severity.value,
            alert.business_priority.value,
            snapshot.template.get("spec"),
            _distinct(_pod(pod) for pod in snapshot.pods),
            _distinct([event.get("reason"), _lasting(event.get("message"))] for event in snapshot.events if event.get("type") == "Warning"),
            {name: sorted(keys) for name, keys in (snapshot.config_maps or {}).items()},
            [[each.id, each.workflow.spec.version, dict(each.facts)] for each in choices],
            [row.model_dump(mode="json") for row in question.tried],
            list(snapshot.unread),
            question.known.cause.name if question.known else "",
        ]
    )


def _pod(pod: Obj) -> list[Any]:
    rows = [[row.name, row.ready, _distinct(_state(row.status))] for row in containers_of(pod)]
    return [(pod.get("status") or {}).get("phase"), pod_ready(pod), rows]


def _state(status: Obj) -> Iterable[Any]:
    for which in ("state", "lastState"):
        for name, row in (status.get(which) or {}).items():
            yield [which, name, row.get("reason"), row.get("exitCode"), _lasting(row.get("message"))]


def _lasting(text: Any) -> str:
    return _PASSING.sub("#", plain(text or "").casefold())


def _distinct(rows: Iterable[Any]) -> list[str]:
    return sorted({orjson.dumps(row).decode() for row in rows})


def _hash(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
