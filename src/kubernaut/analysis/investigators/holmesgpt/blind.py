"""A second look without eyes for text: the model is shown states and Kubernetes' own words only, and says which workflows they call for.

HolmesGPT reads logs and annotations, which anybody can write. What it chose stands only where a look that no text had a part in would
choose it too: a planted text can take a fix away, and never bring one about. Pure.
"""

import re
from collections import Counter
from dataclasses import replace
from typing import Annotated, Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from kubernaut.analysis.containers import containers_of, pod_ready
from kubernaut.analysis.investigators.base import Finding
from kubernaut.analysis.investigators.holmesgpt.offer import Choice
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj

SYSTEM: Final = """\
For kubernaut: below is the state of a Kubernetes workload in trouble, and workflows that could be run for it. Answer with one JSON object
and nothing else: {"fits": [the id of each workflow that could sensibly be tried for trouble of this kind, none that could not]}."""
_WORD: Final = re.compile(r"^[A-Z][A-Za-z]{1,39}$")
"""A reason as Kubernetes writes it."""
ANSWER_TOKENS: Final = 500


class _Fits(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    fits: Annotated[list[Annotated[str, StringConstraints(max_length=63)]], Field(max_length=100)]


def question(snapshot: Snapshot, choices: tuple[Choice, ...]) -> str:
    """Return what is shown: kinds, states, reasons and counts; no name, message, label or annotation."""
    state = {
        "owners": [obj["kind"] for obj in snapshot.chain],
        "pods": _counted(_pod(pod) for pod in snapshot.pods),
        "warnings": _counted(_word(event.get("reason")) for event in snapshot.events if event.get("type") == "Warning"),
        "revisions": len(snapshot.replica_sets),
    }
    offered = [{"id": each.id, "does": each.workflow.spec.description, "to": each.target.kind} for each in choices]
    return orjson.dumps({"state": state, "workflows": offered}).decode()


def fits(text: str) -> frozenset[str]:
    """Return the workflows that an answer names; none where it is no answer."""
    begin, end = text.find("{"), text.rfind("}")
    try:
        return frozenset(_Fits.model_validate(orjson.loads(text[begin : end + 1])).fits)
    except (orjson.JSONDecodeError, ValidationError):
        return frozenset()


def without_action(finding: Finding, snapshot: Snapshot) -> Finding:
    """Return a finding whose action nothing but text calls for, as one that a person must act on."""
    warning = f"HolmesGPT chose {finding.workflow}, which the state of the cluster alone does not call for; so a person must choose"
    return replace(finding, target=snapshot.target, action="", workflow="", facts={}, warnings=(*finding.warnings, warning))


def _pod(pod: Obj) -> str:
    rows = (row for container in containers_of(pod) for row in _states(container.status))
    phase = str((pod.get("status") or {}).get("phase") or "Pending")
    return f"{_word(phase)}, {'ready' if pod_ready(pod) else 'not ready'}, {', '.join(rows)}"


def _states(status: Obj) -> list[str]:
    found = []
    for which in ("state", "lastState"):
        for name, row in (status.get(which) or {}).items():
            if name in {"waiting", "running", "terminated"}:
                code = f" with exit code {int(row['exitCode'])}" if "exitCode" in row else ""
                found.append(f"{which} {name} {_word(row.get('reason', ''))}{code}".strip())
    return [*found, f"{int(status.get('restartCount') or 0)} restarts"]


def _word(text: Any) -> str:
    return str(text) if _WORD.match(str(text)) else ""


def _counted(rows: Any) -> list[str]:
    return [f"{count} x {row}" for row, count in sorted(Counter(rows).items())]
