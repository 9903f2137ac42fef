"""Executions as tests need them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from kubernaut.api.workflow import WorkflowExecution

T0 = datetime(2026, 1, 1, tzinfo=UTC)
IMAGE = "ghcr.io/kubernaut/workflows/increase-memory@sha256:" + "a" * 64


def execution_of(
    name: str = "rr-1-wfe", *, uid: str = "", target: str = "production/deployment/payment-service", age: int = 0, **spec: Any
):
    body: dict[str, Any] = {
        "remediationRequestRef": {"name": "rr-1"},
        "targetResource": target,
        "workflowRef": {"workflowId": "increase-memory-conservative", "containerImage": IMAGE, "version": "1.0.0"},
        "parameters": {"NAMESPACE": "production", "DEPLOYMENT_NAME": "payment-service"},
    }
    if "workflowDefinition" in spec:
        del body["workflowRef"], body["parameters"]
    metadata = {
        "name": name,
        "namespace": "kubernaut-system",
        "uid": uid or f"uid-{name}",
        "creationTimestamp": T0 - timedelta(seconds=age),
    }
    return WorkflowExecution.model_validate({"metadata": metadata, "spec": body | spec})
