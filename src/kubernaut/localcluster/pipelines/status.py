"""The parts of statuses that PipelineRuns and TaskRuns share: the one condition Succeeded, and what is read from it."""

from datetime import datetime

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines.times import stamp

FEATURE_FLAGS: Obj = {
    "awaitSidecarReadiness": True,
    "coschedule": "workspaces",
    "enableAPIFields": "beta",
    "enableProvenanceInStatus": True,
    "enforceNonfalsifiability": "none",
    "maxResultSize": 4096,
    "resultExtractionMethod": "termination-message",
    "runningInEnvWithInjectedSidecars": True,
    "sendCloudEventsForRuns": True,
    "verificationNoMatchPolicy": "ignore",
}


def condition(now: datetime, status: str, reason: str, message: str) -> Obj:
    """Return the condition Succeeded."""
    return {"type": "Succeeded", "status": status, "reason": reason, "message": message, "lastTransitionTime": stamp(now)}


def succeeded(run: Obj) -> Obj:
    """Return a run's condition Succeeded, or an empty object."""
    conditions: list[Obj] = (run.get("status") or {}).get("conditions") or []
    return next((entry for entry in conditions if entry.get("type") == "Succeeded"), {})


def ended(run: Obj) -> bool:
    """Tell whether a run has reached its end."""
    return succeeded(run).get("status") in ("True", "False")


def with_condition(status: Obj, new: Obj) -> Obj:
    """Return the status with its condition, which keeps its transition time where nothing but the time would change."""
    old = succeeded({"status": status})
    same = all(old.get(key) == new.get(key) for key in ("status", "reason", "message"))
    return {**status, "conditions": [old if same else new]}


def provenance(source: Obj) -> Obj:
    """Return status.provenance."""
    return {"featureFlags": FEATURE_FLAGS, **({"refSource": source} if source else {})}
