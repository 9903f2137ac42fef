"""Plays a signal through the stages over saved or listed objects: the objects that each stage would make, by the stages' own judgement.

Nothing is written: `StillCluster` refuses. Where a person would be asked, they are taken to say yes, so that all that follows is seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from kubernaut.analysis.approval import context_of, patience, request_for
from kubernaut.analysis.approval_preview import effect_of
from kubernaut.analysis.approval_words import APPROVAL
from kubernaut.analysis.approval_words import shipped as shipped_approval
from kubernaut.analysis.collect import Collector
from kubernaut.analysis.diagnosis import Diagnosis
from kubernaut.analysis.history import without_help
from kubernaut.analysis.investigators.base import Finding, Investigator, Question
from kubernaut.analysis.plan import Means, Next, Plan, plan_for
from kubernaut.analysis.policy import ApprovalPolicy
from kubernaut.analysis.report import write_plan
from kubernaut.analysis.settings import PlanMode
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import ResourceIdentifier
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.signal import Severity, SignalState
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli.bundling import shipped_workflows
from kubernaut.cli.material import Material
from kubernaut.gateway.fingerprint import identify
from kubernaut.gateway.owners import top_owner
from kubernaut.gateway.requests import environment_of, remediation_request
from kubernaut.gateway.sources.base import Signal
from kubernaut.orchestration import children
from kubernaut.orchestration.family import Family
from kubernaut.policy.compiled import Policy
from kubernaut.policy.document import BrokenPolicy
from kubernaut.policy.language import Language, R
from kubernaut.policy.live import CurrentPolicy
from kubernaut.policy.settings import PolicySource
from kubernaut.processing.policy import CLASSIFICATION
from kubernaut.processing.policy import shipped as shipped_classification
from kubernaut.processing.reconciler import Processor
from kubernaut.settings import Settings

SOURCE: Final = "prometheus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What would come of a signal, stage by stage."""

    signal: Signal
    request: RemediationRequest
    processing: RemediationProcessing
    analysis: AIAnalysis
    finding: Finding
    snapshot: Snapshot
    plan: Plan
    question: AIApprovalRequest | None = None
    workflow: WorkflowExecution | None = None
    assessment: EffectivenessAssessment | None = None


class Theatre:
    """The stages, over one material."""

    def __init__(self, material: Material, settings: Settings, investigators: Sequence[Investigator]) -> None:
        self.cluster = material.cluster
        self.settings = settings
        self._at = material.at
        self._catalogue: Sequence[RemediationWorkflow] | None = None
        self._collector = Collector(self.cluster, window_limit=settings.analysis.time_window_limit)
        self._diagnosis = Diagnosis(self._collector, investigators, material.logs)
        self._approval = self._policy(APPROVAL, shipped_approval(), settings.analysis.policy)
        self._processor = Processor(
            self.cluster, self._policy(CLASSIFICATION, shipped_classification(), settings.processing.policy), settings.processing
        )

    async def play(self, signal: Signal) -> Played:
        """Return what would come of a signal."""
        request = self._opened(signal)
        processing, _ = children.processing(request, Family(), self.settings.orchestration, self._at)
        await self._processor.reconcile(processing)
        family = Family(processing=processing)
        analysis, _ = children.analysis(request, family, self.settings.orchestration, self._at)
        spec = analysis.spec
        finding, snapshot = await self._diagnosis.find(Question(request=spec.analysis_request), self._at)
        plan = plan_for(spec, finding, snapshot, self._means(finding, snapshot))
        write_plan(analysis, plan, self.settings.analysis.mode)
        played = Played(
            signal=signal, request=request, processing=processing, analysis=analysis, finding=finding, snapshot=snapshot, plan=plan
        )
        return self._carried_out(played, replace(family, analysis=analysis)) if plan.next in {Next.RUN, Next.ASK} else played

    def _opened(self, signal: Signal) -> RemediationRequest:
        """Return the remediation that the gateway would open."""
        identity = identify(signal.name, signal.resource, top_owner(signal.resource, self.cluster.read), self.settings.gateway.fingerprint)
        labels = ((self.cluster.read(core.NAMESPACE, "", identity.target.namespace) or {}).get("metadata") or {}).get("labels") or {}
        return remediation_request(
            f"remediation-{identity.fingerprint[:10]}",
            self.settings.namespace,
            signal,
            identity,
            environment=environment_of(signal, labels),
            source=SOURCE,
            body_digest="",
            now=self._at,
        )

    def _means(self, finding: Finding, snapshot: Snapshot) -> Means:
        mode = self.settings.analysis.mode
        return Means(
            catalogue=self.catalogue() if mode is PlanMode.CATALOGUE else (),
            policy=ApprovalPolicy.of(self._approval),
            mode=mode,
            without_help=without_help(self.cluster, finding.target, snapshot.since),
        )

    def catalogue(self) -> Sequence[RemediationWorkflow]:
        """Return the workflows that the cluster offers; the shipped ones where it has none."""
        if self._catalogue is None:
            found = [RemediationWorkflow.model_validate(obj) for obj in self.cluster.objects(RemediationWorkflow.card)]
            self._catalogue = found or shipped_workflows()
        return self._catalogue

    def _carried_out(self, played: Played, family: Family) -> Played:
        """Return the play with what follows a plan: the question, where one is asked, the run, and the look whether it helped."""
        orchestration = self.settings.orchestration
        question = self._question(played) if played.plan.next is Next.ASK else None
        workflow, _ = children.workflow(played.request, family, orchestration, self._at)
        assessment = None
        if orchestration.verification:
            assessment, _ = children.assessment(played.request, replace(family, workflow=workflow), orchestration, self._at)
        return replace(played, question=question, workflow=workflow, assessment=assessment)

    def _question(self, played: Played) -> AIApprovalRequest:
        status, ruling, settings = played.analysis.status, played.plan.ruling, self.settings.analysis
        context = context_of(status, ruling.why, ruling.evaluation)
        effect = effect_of(played.plan.selection.workflow, status, None, self._pods_of)
        until = self._at + patience(played.analysis.spec.approval_timeout, ruling.evaluation, settings.approval_timeout)
        return request_for(played.analysis, context, effect, round_=1, required_by=until)

    def _pods_of(self, target: ResourceIdentifier) -> list[str]:
        pods = self._collector.pods_of(target)
        return [f"{pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}" for pod in pods]

    def _policy(self, language: Language[R], shipped: str, source: PolicySource) -> CurrentPolicy[R]:
        """Return the policy that would hold: that of a file, or of a ConfigMap among the objects, before the shipped one."""
        current = CurrentPolicy(language, shipped)
        namespace = source.namespace or self.settings.namespace
        found = self.cluster.read(core.CONFIG_MAP, namespace, source.config_map) if source.config_map else None
        text = ((found or {}).get("data") or {}).get(source.key)
        if source.file is not None:
            _put(current, language, source.file.read_text(encoding="utf-8"), str(source.file))
        elif isinstance(text, str):
            _put(current, language, text, f"configmap/{source.config_map}/{source.key}")
        return current


def _put(current: CurrentPolicy[R], language: Language[R], text: str, file: str) -> None:
    """Take a text for the policy, as a start of the stage would: a broken one is told, and the shipped one holds."""
    try:
        current.policy = Policy(language, text, file)
    except BrokenPolicy as fault:
        current.trouble = f"the {language.name} policy cannot be used: {fault}"


def signal_about(resource: ResourceIdentifier, at: datetime, *, name: str, severity: str) -> Signal:
    """Return a signal about an object that nobody reported."""
    labels = {"alertname": name, "namespace": resource.namespace, resource.kind.casefold(): resource.name, "severity": severity}
    return Signal(
        name=name,
        severity=Severity(severity),
        state=SignalState.FIRING,
        resource=resource,
        fired_at=at,
        labels=labels,
        annotations={},
        envelope={"alerts": [{"labels": labels}]},
    )
