"""One case as the stages leave it behind: a payment service whose pods are OOM-killed."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.remediation import RemediationRequest
from kubernaut.orchestration.children import analysis, execution, processing, workflow
from kubernaut.orchestration.family import Family
from kubernaut.orchestration.settings import OrchestrationSettings

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
NAME = "remediation-abcde12345"
POD = {"kind": "Pod", "name": "payment-service-5d8f-x2", "namespace": "production"}
DEPLOYMENT = {"kind": "Deployment", "name": "payment-service", "namespace": "production", "apiVersion": "apps/v1"}
PROVIDER = {
    "namespace": "production",
    "resource": POD,
    "alertmanagerURL": "http://alertmanager.example:9093",
    "grafanaURL": "http://grafana.example/d/1",
}
SIGNAL = {
    "fingerprint": "a" * 64,
    "severity": "critical",
    "environment": "production",
    "businessPriority": "P0",
    "namespace": "production",
    "resourceKind": "Pod",
    "resourceName": POD["name"],
    "kubernetesContext": {"pod": {"restarts": 4}},
}
WORKFLOW = {
    "workflowId": "increase-memory-conservative",
    "containerImage": "ghcr.io/kubernaut/workflows/increase-memory@sha256:" + "b" * 64,
    "version": "1.0.0",
    "parameters": {"NAMESPACE": "production", "DEPLOYMENT_NAME": "payment-service", "MEMORY_LIMIT": "256Mi"},
}
STEPS = [{"stepNumber": 1, "action": "increase_resources", "parameters": {"memory": "256Mi"}, "target": DEPLOYMENT}]
CONTEXT = {
    "reason": "production asks for a person",
    "confidenceScore": 0.92,
    "confidenceLevel": "high",
    "investigationSummary": "The container is OOM-killed at its limit of 128Mi.",
    "evidenceCollected": ["pod payment-service-5d8f-x2 was OOMKilled"],
    "recommendedActions": [{"action": "increase the memory limit to 256Mi", "rationale": "it needs more than 128Mi"}],
    "alternativesConsidered": [{"approach": "restart", "prosCons": "quick, but it would be killed again"}],
    "whyApprovalRequired": "the target is in production",
}


def unlabelled(settings):
    """Return settings under which targets without a label are worked on, where they say nothing else: most tests are not about labels."""
    return settings if "managed_only" in settings.model_fields_set else settings.model_copy(update={"managed_only": False})


def resource(model, name, spec, status=None, created=T0):
    meta = {"name": name, "namespace": "kubernaut-system", "uid": f"uid-{name}", "creationTimestamp": created, "generation": 1}
    return model.model_validate({"metadata": meta, "spec": spec, "status": status or {}})


@dataclass
class Case:
    """The remediation and whatever stage objects were asked for, as their stages report them."""

    settings: OrchestrationSettings = field(default_factory=OrchestrationSettings)
    family: Family = field(default_factory=Family)
    spec: dict[str, Any] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    name: str = NAME
    now: datetime = T0

    @property
    def request(self):
        spec = {
            "signalFingerprint": "a" * 64,
            "signalName": "PodOOMKilled",
            "severity": "critical",
            "environment": "production",
            "priority": "P0",
            "targetResource": "production/pod/payment-service-5d8f-x2",
            "target": POD,
            "firingTime": T0 - timedelta(minutes=2),
            "receivedTime": T0 - timedelta(seconds=1),
            "createdAt": T0,
            "providerData": orjson.dumps(PROVIDER).decode(),
            "originalPayload": '{"alerts": []}',
        }
        return resource(RemediationRequest, self.name, {**spec, **self.spec}, self.status)

    def later(self, **delta):
        self.now += timedelta(**delta)
        return self

    def _has(self, field_, made, status):
        child, _ = made
        meta = child.metadata.model_copy(update={"uid": f"uid-{child.metadata.name}", "creation_timestamp": self.now})
        stood = type(child).model_validate({**child.wire(), "metadata": meta.wire(), "status": status})
        self.family = replace(self.family, **{field_: stood})
        return self

    def processed(self, phase="Completed", **status):
        found = {"phase": phase, "enrichedSignal": SIGNAL, **status}
        return self._has("processing", processing(self.request, self.family, self.settings, self.now), found)

    def analysed(self, phase="Completed", **status):
        found = {
            "phase": phase,
            "rootCause": "memory limit of 128Mi is too low",
            "confidence": 0.92,
            "remediationTarget": DEPLOYMENT,
            "selectedWorkflow": WORKFLOW,
            **status,
        }
        return self._has("analysis", analysis(self.request, self.family, self.settings, self.now), found)

    def stepped(self, **status):
        recommended = [{"id": "1", "action": "increase_resources", "workflowSteps": STEPS}]
        return self.analysed(selectedWorkflow=None, recommendations=recommended, **status)

    def asking(self):
        question = {"approvalRequestName": f"approval-{NAME}-analysis", "approvalRequestedAt": self.now, "approvalContext": CONTEXT}
        return self.analysed("Approving", **question)

    def questioned(self, **more):
        spec = {
            "aiAnalysisRef": {"name": f"{NAME}-analysis"},
            "remediationRequestRef": {"name": NAME, "namespace": "kubernaut-system"},
            "recommendation": {"action": "increase_memory", "targetResource": "production/deployment/payment-service"},
            "reason": CONTEXT["reason"],
            "confidence": 0.92,
            "confidenceLevel": "high",
            "investigationSummary": CONTEXT["investigationSummary"],
            "whyApprovalRequired": CONTEXT["whyApprovalRequired"],
            "whatWillChange": "-        memory: 128Mi\n+        memory: 256Mi",
            "requiredBy": self.now + timedelta(minutes=15),
            **more,
        }
        self.family = replace(self.family, approval=resource(AIApprovalRequest, f"approval-{NAME}-analysis", spec, created=self.now))
        return self

    def run(self, phase="Completed", **status):
        return self._has("workflow", workflow(self.request, self.family, self.settings, self.now), {"phase": phase, **status})

    def executed(self, phase="Completed", **status):
        return self._has("execution", execution(self.request, self.family, self.settings, self.now), {"phase": phase, **status})
