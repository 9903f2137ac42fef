"""All kinds of ours, in the order a signal travels."""

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import Resource
from kubernaut.api.brake import RemediationBrake
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.notification import NotificationRequest
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.api.workflow import WorkflowExecution

CASE: tuple[type[Resource], ...] = (
    RemediationRequest,
    RemediationProcessing,
    AIAnalysis,
    AIApprovalRequest,
    WorkflowExecution,
    KubernetesExecution,
    EffectivenessAssessment,
    NotificationRequest,
)
"""Those that a case is made of: the request and all that follows from it."""
ALL: tuple[type[Resource], ...] = (*CASE, RemediationWorkflow, RemediationBrake)
