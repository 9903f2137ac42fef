"""All kinds of ours, in the order a signal travels."""

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import Resource
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.notification import NotificationRequest
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.api.workflow import WorkflowExecution

ALL: tuple[type[Resource], ...] = (
    RemediationRequest,
    RemediationProcessing,
    AIAnalysis,
    AIApprovalRequest,
    WorkflowExecution,
    KubernetesExecution,
    EffectivenessAssessment,
    NotificationRequest,
    RemediationWorkflow,
)
