"""Which alerts and series of many are about the problem at hand, told by their labels. Pure."""

import re
from collections.abc import Mapping
from typing import Final

from kubernaut.api.remediation import RemediationRequest

PASSING: Final = frozenset(
    {"pod", "uid", "id", "name", "container_id", "instance", "endpoint", "prometheus", "prometheus_replica", "severity"},
)
"""Labels that differ after a fix though the problem is the same: pods are replaced, and one alert has several severities."""
_ODD: Final = "[bcdfghjklmnpqrstvwxz2456789]"
"""What Kubernetes makes random names of: no vowels, so that no word comes out."""
PODS: Final = {
    "Deployment": f"-{_ODD}{{1,10}}-{_ODD}{{5}}",
    "StatefulSet": r"-\d+",
    "DaemonSet": f"-{_ODD}{{5}}",
    "ReplicaSet": f"-{_ODD}{{5}}",
    "Job": f"-{_ODD}{{5}}",
    "CronJob": rf"-\d+-{_ODD}{{5}}",
}
"""What follows a workload's name in the names of its pods."""


def concerns(labels: Mapping[str, str], request: RemediationRequest) -> bool:
    """Tell whether labels speak of what a remediation's signal spoke of: no label of both differs, but for those that pass."""
    said = request.spec.signal_labels
    if any(labels[name] != value for name, value in said.items() if name in labels and name not in PASSING):
        return False
    target = request.spec.target
    if target.namespace and labels.get("namespace", target.namespace) != target.namespace:
        return False
    pod = labels.get("pod", "")
    if "pod" not in said or not pod or pod == said["pod"] or target.kind not in {*PODS, "Pod"}:
        return True
    return re.fullmatch(re.escape(target.name) + PODS.get(target.kind, ""), pod) is not None
