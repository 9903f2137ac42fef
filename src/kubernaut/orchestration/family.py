"""The stage objects of one remediation, found by reference, never by name; only those that this very remediation owns count."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import Obj, Resource
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.notification import NotificationRequest
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import BY_REMEDIATION, RemediationRequest, remediation_of
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import Key

WATCHED: Final[tuple[type[Resource], ...]] = (
    RemediationProcessing,
    AIAnalysis,
    WorkflowExecution,
    KubernetesExecution,
    EffectivenessAssessment,
)
"""Whose changes make a remediation due."""
READ: Final[tuple[type[Resource], ...]] = (*WATCHED, AIApprovalRequest, NotificationRequest)

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Family:
    """The stage objects that exist."""

    processing: RemediationProcessing | None = None
    analysis: AIAnalysis | None = None
    approval: AIApprovalRequest | None = None
    workflow: WorkflowExecution | None = None
    execution: KubernetesExecution | None = None
    assessment: EffectivenessAssessment | None = None

    def with_child(self, child: Resource) -> "Family":
        """Return the stage objects with a new one."""
        match child:
            case RemediationProcessing():
                return replace(self, processing=child)
            case AIAnalysis():
                return replace(self, analysis=child)
            case WorkflowExecution():
                return replace(self, workflow=child)
            case KubernetesExecution():
                return replace(self, execution=child)
            case EffectivenessAssessment():
                return replace(self, assessment=child)
            case _:
                raise TypeError(f"{child.card.kind} is no stage object")


def remediation_keys(obj: Obj) -> Iterable[Key]:
    """Map an object to the remediation it names: the document's watch mapping."""
    return (Key(*path.split("/", 1)) for path in remediation_of(obj))


def family_of(cluster: Cluster, request: RemediationRequest) -> Family:
    """Gather the stage objects of a remediation from the cache."""
    analysis = _only(cluster, AIAnalysis, request)
    return Family(
        processing=_only(cluster, RemediationProcessing, request),
        analysis=analysis,
        approval=_question(cluster, analysis),
        workflow=_only(cluster, WorkflowExecution, request),
        execution=_only(cluster, KubernetesExecution, request),
        assessment=_only(cluster, EffectivenessAssessment, request),
    )


def all_of(cluster: Cluster, request: RemediationRequest) -> list[Resource]:
    """Return every object that names a remediation and goes with it, messages included."""
    return [found for model in READ for found in cluster.where(model, BY_REMEDIATION, "/".join(request.key))]


def owned(child: Resource, owner: Resource) -> bool:
    """Tell whether an object's controlling owner is that one, by uid."""
    return any(reference.controller and reference.uid == owner.metadata.uid for reference in child.metadata.owner_references)


def _only(cluster: Cluster, model: type[R], request: RemediationRequest) -> R | None:
    found = [child for child in cluster.where(model, BY_REMEDIATION, "/".join(request.key)) if owned(child, request)]
    return max(found, key=lambda child: (child.metadata.creation_timestamp is not None, child.metadata.creation_timestamp), default=None)


def _question(cluster: Cluster, analysis: AIAnalysis | None) -> AIApprovalRequest | None:
    """Return the approval request that an analysis waits for."""
    if analysis is None or not analysis.status.approval_request_name:
        return None
    return cluster.find(AIApprovalRequest, analysis.metadata.namespace, analysis.status.approval_request_name)
