"""Does the alert still fire? The gateway hears it and writes it into the remediation's status."""

from collections.abc import Mapping

from kubernaut.api.base import Kind, Resource
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.signal import SignalState
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import IndexFn
from kubernaut.verification.decide import Component, Reading

NEVER_RESOLVED = frozenset({"kubernetes-event"})
"""Signal types whose sources tell of a problem but never of its end."""


class AlertProbe:
    """Reads the signal's state from the remediation."""

    component = Component.ALERT

    def reads(self) -> Mapping[Kind | type[Resource], Mapping[str, IndexFn]]:
        """Return the kinds that are read."""
        return {RemediationRequest: {}}

    def look(self, cluster: Cluster, assessment: EffectivenessAssessment) -> Reading:
        """Say whether the alert still fires."""
        reference = assessment.spec.remediation_request_ref
        return judge(cluster.find(RemediationRequest, reference.namespace or assessment.metadata.namespace, reference.name))


def judge(request: RemediationRequest | None) -> Reading:
    """Tell what a remediation knows of its alert; one whose source never says that it is over cannot be judged."""
    if request is None:
        return Reading(Component.ALERT, None, good=False, message="the remediation is gone, and with it what is known of the alert")
    if request.status.signal_state is SignalState.RESOLVED:
        return Reading(Component.ALERT, 1.0, good=True, message="the alert is resolved", since=request.status.signal_resolved_at)
    if request.spec.signal_type in NEVER_RESOLVED:
        return Reading(Component.ALERT, None, good=False, message="its source never says when it is over")
    return Reading(Component.ALERT, 0.0, good=False, message="the alert still fires")
