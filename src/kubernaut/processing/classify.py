"""Which environment, how bad, which priority, whose business: decided by the rules of policies. Reads nothing, writes nothing.

The user's policy is asked first, then the shipped one; where neither decides, the alert's own words and the documented table do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kubernaut.api.base import Obj
from kubernaut.api.processing import Alert
from kubernaut.api.signal import Severity, fallback_priority
from kubernaut.policy.compiled import Fault, Match, Policy
from kubernaut.processing.enrich import Surroundings
from kubernaut.processing.policy import Classified

UNKNOWN: Final = "unknown"
BUSINESS: Final = ("businessUnit", "serviceOwner", "criticality", "slaRequirement")
FAULTS_TOLD: Final = 10
NAME_LIMIT: Final = 63
"""Characters that an environment's name has at most; so has the value of a label."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a field became, and who says so."""

    value: str
    source: str
    """`rule` and its name, or what stood in for one."""
    policy: str = ""
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Classification:
    """All that was decided."""

    environment: Decision
    severity: Decision
    priority: Decision
    business: Mapping[str, Decision]
    """By field, named as in documents; absent where nobody said."""
    faults: tuple[str, ...] = ()
    """Rules that could not be evaluated."""


def classify(values: Mapping[str, Any], policies: Sequence[Policy[Classified]]) -> Classification:
    """Decide the fields one after the other, each knowing those before it."""
    bench = _Bench(dict(values), policies)
    said = str(values.get("alert.environment") or "").casefold()[:NAME_LIMIT]
    environment = bench.decide("environment") or _of_alert(said)
    bench.values["environment"] = environment.value
    severity = bench.decide("severity") or Decision(str(values["severity"]), "alert")
    bench.values["severity"] = severity.value
    priority = bench.decide("priority") or Decision(fallback_priority(Severity(severity.value), environment.value), "fallback table")
    bench.values["priority"] = priority.value
    business = {name: found for name, found in bench.decided(*BUSINESS).items() if found.value}
    return Classification(environment, severity, priority, business, tuple(dict.fromkeys(bench.faults))[:FAULTS_TOLD])


def values_of(alert: Alert, target: Mapping[str, str], around: Surroundings, detected: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """Return the values of the policies' variables; `target` has kind, name and namespace of what the alert is about."""
    facts: dict[str, Any] = {
        "alert.name": alert.name,
        "alert.severity": alert.severity.value,
        "alert.environment": alert.environment,
        "alert.labels": alert.labels,
        "alert.annotations": alert.annotations,
        **{f"target.{key}": target.get(key, "") for key in ("kind", "name", "namespace")},
        **_marks("target", around.target),
        **_marks("workload", around.workload),
        "workload.kind": (around.workload or {}).get("kind", ""),
        "workload.name": (around.workload or {"metadata": {}})["metadata"].get("name", ""),
        "namespaceLabels": dict(around.namespace_labels),
        "namespaceAnnotations": dict(around.namespace_annotations),
        "detected": dict(detected),
        "pods": len(around.pods),
        "unreadyPods": sum(not _ready(pod) for pod in around.pods),
        "degraded": around.degraded,
        "hour": now.hour,
        "weekday": now.weekday(),
        "environment": "",
        "severity": alert.severity.value,
        "priority": "",
    }
    return {name: _sound(value) for name, value in facts.items()}


@dataclass
class _Bench:
    """A case before its policies."""

    values: dict[str, Any]
    policies: Sequence[Policy[Classified]]

    def __post_init__(self) -> None:
        self.faults: list[str] = []

    def decide(self, name: str) -> Decision | None:
        """Return what the first policy with a rule for it makes of a field."""
        return self.decided(name).get(name)

    def decided(self, *names: str) -> dict[str, Decision]:
        """Return what the first policy with a rule for it makes of each of some fields that do not depend on one another."""
        found: dict[str, Decision] = {}
        for policy in self.policies:
            left = [name for name in names if name not in found]
            if not left:
                break
            verdict = policy.judge(self.values, frozenset(left))
            matches = {name: match for name in left if (match := verdict.deciding(name))}
            self._note(verdict.faults, max(match.index for match in matches.values()) if len(matches) == len(left) else None)
            found |= {name: _decision(name, match, policy.file) for name, match in matches.items()}
        return found

    def _note(self, faults: Sequence[Fault], last: int | None) -> None:
        """Keep what is wrong with rules that might have decided: those before the last that did, or all."""
        self.faults.extend(str(fault) for fault in faults if last is None or fault.index < last)


def _decision(name: str, match: Match[Classified], file: str) -> Decision:
    value = str(match.says.model_dump(mode="json", by_alias=True)[name])
    value = (value.casefold()[:NAME_LIMIT] or UNKNOWN) if name == "environment" else value
    return Decision(value, f"rule {match.rule}", file, match.says.confidence)


def _of_alert(said: str) -> Decision:
    return Decision(said, "alert", confidence=0.8) if said not in ("", UNKNOWN) else Decision(UNKNOWN, "none", confidence=0.0)


def _marks(name: str, obj: Obj | None) -> dict[str, dict[str, str]]:
    meta = (obj or {}).get("metadata") or {}
    return {f"{name}.labels": dict(meta.get("labels") or {}), f"{name}.annotations": dict(meta.get("annotations") or {})}


def _ready(pod: Obj) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _sound(value: Any) -> Any:
    """Make texts of whatever came where texts belong: the policies' variables are typed."""
    if isinstance(value, dict):
        return {str(key): str(part) for key, part in value.items()}
    return value
