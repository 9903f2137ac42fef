"""Does the alert still fire? Alertmanager says so, where it may be asked; else the gateway heard it and wrote it into the remediation."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import orjson

from kubernaut.api.base import Kind, Resource
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.signal import SignalState
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import IndexFn
from kubernaut.verification.decide import Component, Reading
from kubernaut.verification.probes.concern import concerns
from kubernaut.verification.probes.pods import moment
from kubernaut.verification.probes.remote import Remote, Silent

FROM_ALERTMANAGER: Final = "prometheus"
"""The signal type of what Alertmanager sends."""
NEVER_RESOLVED: Final = frozenset({"kubernetes-event"})
"""Signal types whose sources tell of a problem but never of its end."""


class AlertProbe:
    """Asks Alertmanager, and reads the signal's state from the remediation."""

    component = Component.ALERT

    def __init__(self, alertmanager: Remote | None = None) -> None:
        self._alertmanager = alertmanager

    def reads(self) -> Mapping[Kind | type[Resource], Mapping[str, IndexFn]]:
        """Return the kinds that are read."""
        return {RemediationRequest: {}}

    async def look(self, cluster: Cluster, assessment: EffectivenessAssessment) -> Reading:
        """Say whether the alert still fires."""
        reference = assessment.spec.remediation_request_ref
        request = cluster.find(RemediationRequest, reference.namespace or assessment.metadata.namespace, reference.name)
        heard = judge(request)
        if self._alertmanager is None or request is None or request.spec.signal_type != FROM_ALERTMANAGER:
            return heard
        try:
            firing = await _firing(self._alertmanager, request, cluster.clock.now())
            if firing or request.status.signal_state is SignalState.RESOLVED:
                return told(firing, heard)
            begun = await _begun(self._alertmanager, cluster.clock.now())
        except Silent as fault:
            return replace(heard, message=f"{heard.message}, as far as the gateway heard: {fault}")
        if begun is None or begun > assessment.spec.fix_started_at:
            return replace(heard, message=f"{heard.message}, as far as the gateway heard: Alertmanager was started since the fix began")
        return told(firing, heard)


def judge(request: RemediationRequest | None) -> Reading:
    """Tell what a remediation knows of its alert; one whose source never says that it is over cannot be judged."""
    if request is None:
        return Reading(Component.ALERT, None, good=False, message="the remediation is gone, and with it what is known of the alert")
    if request.status.signal_state is SignalState.RESOLVED:
        return Reading(Component.ALERT, 1.0, good=True, message="the alert is resolved", since=request.status.signal_resolved_at)
    if request.spec.signal_type in NEVER_RESOLVED:
        return Reading(Component.ALERT, None, good=False, message="its source never says when it is over")
    return Reading(Component.ALERT, 0.0, good=False, message="the alert still fires")


def told(firing: int, heard: Reading) -> Reading:
    """Return the reading of what Alertmanager lists; that it is over may have reached us before."""
    if firing:
        several = f" ({firing} of them)" if firing > 1 else ""
        return Reading(Component.ALERT, 0.0, good=False, message=f"the alert still fires in Alertmanager{several}")
    return Reading(Component.ALERT, 1.0, good=True, message="the alert is resolved", since=heard.since)


async def _firing(alertmanager: Remote, request: RemediationRequest, now: datetime) -> int:
    """Return how many alerts about the problem Alertmanager holds, silenced and inhibited ones too. Raise Silent."""
    filters = [("filter", f"alertname={_quoted(request.spec.signal_name)}")]
    found = await alertmanager.ask("/api/v2/alerts", filters, now)
    if not isinstance(found, list):
        raise Silent("Alertmanager's answer is no list of alerts")
    return sum(concerns(_labels(each), request) for each in found)


async def _begun(alertmanager: Remote, now: datetime) -> datetime | None:
    """Return when Alertmanager was started: one that is younger than the alert may never have heard of it. Raise Silent."""
    found = await alertmanager.ask("/api/v2/status", (), now)
    try:
        return moment(found.get("uptime") if isinstance(found, dict) else None)
    except ValueError:
        return None


def _labels(alert: Any) -> Mapping[str, str]:
    labels = alert.get("labels") if isinstance(alert, dict) else None
    return labels if isinstance(labels, dict) else {}


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
