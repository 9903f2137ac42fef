"""A question to people, as the analysis asks it, and who may answer: material of the tests."""

from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import Obj
from kubernaut.kube.client import Client

CASE = "remediation-abcde12345"
NAME = f"approval-{CASE}-analysis"
QUESTION: Obj = {
    "aiAnalysisRef": {"name": f"{CASE}-analysis"},
    "remediationRequestRef": {"name": CASE},
    "recommendation": {"action": "IncreaseMemoryLimits", "targetResource": "production/deployment/shop"},
    "reason": "production",
    "confidence": 0.95,
    "confidenceLevel": "high",
    "investigationSummary": "out of memory",
    "whyApprovalRequired": "changes in production are approved by a person",
    "requiredBy": "2126-01-01T00:00:00Z",
}
RBAC = "rbac.authorization.k8s.io"


def question(status: Obj | None = None, **spec) -> AIApprovalRequest:
    """Return a question with fields of its spec changed."""
    return AIApprovalRequest.model_validate({"metadata": {"name": "approval-x"}, "spec": QUESTION | spec, "status": status or {}})


async def ask(client: Client, namespace: str, name: str = NAME, **spec) -> None:
    """Write a question down."""
    meta = {"name": name, "namespace": namespace}
    await client.create(AIApprovalRequest.card, {"metadata": meta, "spec": QUESTION | spec})


async def allow(client: Client, namespace: str, role: str, verbs, people) -> None:
    """Allow people to use verbs on questions and their answers, in one namespace."""
    meta = {"name": role, "namespace": namespace}
    rule = {"apiGroups": ["kubernaut.ai"], "resources": ["aiapprovalrequests", "aiapprovalrequests/status"], "verbs": list(verbs)}
    await client.create(core.ROLE, {"metadata": meta, "rules": [rule]})
    subjects = [{"kind": "User", "name": name, "apiGroup": RBAC} for name in people]
    await client.create(
        core.ROLE_BINDING, {"metadata": meta, "roleRef": {"kind": "Role", "name": role, "apiGroup": RBAC}, "subjects": subjects}
    )
