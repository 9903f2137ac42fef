"""What became of each signal, as the sender is told."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog
from starlette.responses import Response

from kubernaut.api.base import Obj
from kubernaut.api.remediation import RemediationRequest
from kubernaut.service import OVERLOAD_RETRY_SECONDS, Json

MESSAGE_LIMIT = 500

log = structlog.get_logger(__name__)


class Became(StrEnum):
    """What became of a signal."""

    CREATED = "created"
    DUPLICATE = "duplicate"
    RESOLVED = "resolved"
    REJECTED = "rejected"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one signal, for the answer."""

    status: Became
    message: str
    fingerprint: str = ""
    request: RemediationRequest | None = None
    reason: str = ""

    def body(self) -> Obj:
        """Return the answer's entry, with the keys of both ages."""
        meta = self.request.metadata if self.request else None
        entry: Obj = {"status": self.status.value, "message": self.message, "duplicate": self.status is Became.DUPLICATE}
        if self.fingerprint:
            entry["fingerprint"] = f"sha256:{self.fingerprint}"
        if meta is not None and self.request is not None:
            tally = self.request.status.deduplication
            entry["remediationRequestName"], entry["remediationRequestNamespace"] = meta.name, meta.namespace
            entry["remediationRequestRef"] = {"name": meta.name, "namespace": meta.namespace}
            entry["count"] = tally.occurrence_count if tally else 1
            entry["environment"], entry["priority"] = self.request.spec.environment, self.request.spec.priority.value
        if self.reason:
            entry["rejection"] = {"reason": self.reason}
        return entry


def tell(results: Sequence[Result], source: str) -> None:
    """Write to the log what was not taken, one line for each reason: a body may hold ten thousand of a kind."""
    untaken: dict[tuple[Became, str], list[Result]] = {}
    for result in results:
        if result.status in {Became.REJECTED, Became.FAILED}:
            untaken.setdefault((result.status, result.reason), []).append(result)
    for (status, reason), alike in untaken.items():
        first = alike[0].message[:MESSAGE_LIMIT]
        log.warning("signals not taken", source=source, status=status.value, reason=reason, count=len(alike), first=first)


def answer(results: Sequence[Result]) -> Response:
    """Return 201 when something was created, 202 when only counted, 200 when nothing was to be done, 503 when something was not stored.

    After a 503 the sender repeats the whole body; what was stored the first time is then counted as a repeat.
    """
    became = Counter(result.status for result in results)
    body = {
        "results": [{"index": index, **result.body()} for index, result in enumerate(results)],
        "summary": {
            "total": len(results),
            "created": became[Became.CREATED],
            "deduplicated": became[Became.DUPLICATE],
            "resolved": became[Became.RESOLVED],
            "rejected": became[Became.REJECTED],
            "failed": became[Became.FAILED],
        },
    }
    if len(results) == 1:
        body |= results[0].body()
    if became[Became.FAILED]:
        return Json(body, 503, {"Retry-After": str(OVERLOAD_RETRY_SECONDS)})
    if became[Became.CREATED]:
        return Json(body, 201)
    return Json(body, 202 if became[Became.DUPLICATE] else 200)
