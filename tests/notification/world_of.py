"""What surrounds messages in tests: a remediation, and the question that people were asked about it."""

from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.remediation import RemediationRequest

NAME = "remediation-abcde12345"
QUESTION = f"approval-{NAME}-analysis"
SPEC = {
    "signalFingerprint": "a" * 64,
    "signalName": "PodOOMKilled",
    "severity": "critical",
    "targetResource": "production/deployment/shop",
    "target": {"kind": "Deployment", "name": "shop", "namespace": "production"},
    **dict.fromkeys(("firingTime", "receivedTime", "createdAt"), "2026-01-01T00:00:00Z"),
    "originalPayload": "{}",
}
ASKED = {
    "remediationRequestRef": {"name": NAME},
    "aiAnalysisRef": {"name": f"{NAME}-analysis"},
    **dict.fromkeys(("reason", "confidenceLevel", "investigationSummary", "whyApprovalRequired"), "it is so"),
    "confidence": 0.7,
    "requiredBy": "2026-01-01T04:00:00Z",
    "recommendation": {"action": "restart", "targetResource": "production/deployment/shop"},
}


def case(name=NAME, namespace="kubernaut-system", **status):
    meta = {"name": name, "namespace": namespace, "uid": name}
    return RemediationRequest.model_validate({"metadata": meta, "spec": SPEC, "status": status})


def question(namespace="kubernaut-system", **status):
    meta = {"name": QUESTION, "namespace": namespace, "uid": "q"}
    return AIApprovalRequest.model_validate({"metadata": meta, "spec": ASKED, "status": status})
