"""The stage objects of a remediation, found by reference, never by name; only those that this very remediation owns count."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import Obj, Resource
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.execution import Phase as ExecutionPhase
from kubernaut.api.notification import NotificationRequest
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import BY_REMEDIATION, AttemptReference, ExecutionAttempt, RemediationRequest, remediation_of
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
_ATTEMPT: Final = re.compile(r"-(?:recovery|analysis|wfe|workflow|execution)-(\d{1,3})$")

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Family:
    """The stage objects of one attempt that exist, and those of the attempts before."""

    processing: RemediationProcessing | None = None
    analysis: AIAnalysis | None = None
    approval: AIApprovalRequest | None = None
    workflow: WorkflowExecution | None = None
    execution: KubernetesExecution | None = None
    assessment: EffectivenessAssessment | None = None
    attempt: int = 0
    """0 is the first."""
    past: tuple["Family", ...] = ()
    """The attempts before, oldest first."""
    questions: tuple[AIApprovalRequest, ...] = ()
    """All approval requests of this attempt's analysis, void ones included."""

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

    def after_failure(self) -> "Family":
        """Return the beginning of the next attempt."""
        return Family(attempt=self.attempt + 1, past=(*self.past, replace(self, past=())))


def is_idle_plan(family: Family) -> bool:
    """Tell whether the workflow is a plan of steps that nobody has begun to carry out."""
    plan = family.workflow is not None and family.workflow.spec.workflow_definition is not None
    return plan and (family.execution is None or family.execution.status.phase is ExecutionPhase.PENDING)


def remediation_keys(obj: Obj) -> Iterable[Key]:
    """Map an object to the remediation it names: the document's watch mapping."""
    return (Key(*path.split("/", 1)) for path in remediation_of(obj))


def attempt_of(child: Resource) -> int:
    """Return the attempt that a stage object belongs to, as its name says."""
    found = _ATTEMPT.search(child.metadata.name)
    return int(found.group(1)) if found else 0


def family_of(cluster: Cluster, request: RemediationRequest) -> Family:
    """Gather the stage objects of a remediation from the cache: of the attempt that it has come to, and of those before."""
    children = {model: _owned(cluster, model, request) for model in WATCHED}
    latest = max((attempt_of(each) for each in children[RemediationProcessing]), default=0)
    questions = cluster.where(AIApprovalRequest, BY_REMEDIATION, "/".join(request.key))
    attempts = [_attempt(children, questions, number) for number in range(max(latest, request.status.recovery_attempts) + 1)]
    return replace(attempts[-1], past=tuple(attempts[:-1]))


async def complete(cluster: Cluster, request: RemediationRequest, family: Family) -> Family:
    """Read stage objects from the API server itself that the remediation remembers and the cache does not show."""
    status, namespace = request.status, request.metadata.namespace
    remembered: tuple[tuple[type[Resource], AttemptReference | None, Resource | None], ...] = (
        (RemediationProcessing, recorded(status.remediation_processing_refs, family.attempt), family.processing),
        (AIAnalysis, recorded(status.ai_analysis_refs, family.attempt), family.analysis),
        (WorkflowExecution, recorded(status.workflow_execution_refs, family.attempt), family.workflow),
        (KubernetesExecution, recorded(status.kubernetes_execution_refs, family.attempt), family.execution),
    )
    for model, reference, there in remembered:
        if reference is None or there is not None:
            continue
        child = await cluster.fetch(model, namespace, reference.name)
        if child is not None and owned(child, request):
            family = family.with_child(child)
    return family


A = TypeVar("A", AttemptReference, ExecutionAttempt)


def recorded(references: Sequence[A], attempt: int) -> A | None:
    """Return what a remediation remembers of a stage object of an attempt."""
    return next((each for each in references if each.attempt_number == attempt), None)


def all_of(cluster: Cluster, request: RemediationRequest) -> list[Resource]:
    """Return every object that names a remediation and goes with it, messages included."""
    return [found for model in READ for found in cluster.where(model, BY_REMEDIATION, "/".join(request.key))]


def owned(child: Resource, owner: Resource) -> bool:
    """Tell whether an object's controlling owner is that one, by uid."""
    return any(reference.controller and reference.uid == owner.metadata.uid for reference in child.metadata.owner_references)


def _owned(cluster: Cluster, model: type[Resource], request: RemediationRequest) -> list[Resource]:
    return [child for child in cluster.where(model, BY_REMEDIATION, "/".join(request.key)) if owned(child, request)]


def _attempt(children: dict[type[Resource], list[Resource]], questions: Iterable[AIApprovalRequest], number: int) -> Family:
    family = Family(attempt=number)
    for found in children.values():
        mine = [child for child in found if isinstance(child, EffectivenessAssessment) or attempt_of(child) == number]
        if mine:
            family = family.with_child(max(mine, key=_age))
    analysis = family.analysis
    if analysis is None:
        return family
    asked = tuple(each for each in questions if owned(each, analysis))
    current = next((each for each in questions if each.metadata.name == analysis.status.approval_request_name), None)
    return replace(family, questions=asked, approval=current)


def _age(child: Resource) -> tuple[bool, str]:
    created = child.metadata.creation_timestamp
    return created is not None, created.isoformat() if created else ""
