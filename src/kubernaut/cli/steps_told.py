"""A play in steps, one a stage, in words for a person: what would be made, by whom it is decided, and what follows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubernaut.analysis.investigators.holmesgpt.settings import When
from kubernaut.analysis.plan import Next
from kubernaut.analysis.steps import UNDO_WORDS, told, undo_of
from kubernaut.api import core
from kubernaut.api.base import Obj, Resource
from kubernaut.api.plan import Operation
from kubernaut.api.remediation import MANAGED_LABEL, RemediationRequest, opted
from kubernaut.cli.findings import ruled
from kubernaut.cli.playing import Played
from kubernaut.cli.questions import UNDO
from kubernaut.kube.cluster import NotWatched
from kubernaut.kube.still import StillCluster
from kubernaut.settings import Settings
from kubernaut.workflow.engines.tekton import pipeline_run


@dataclass(frozen=True, slots=True)
class Step:
    """What one stage would do."""

    stage: str
    says: str
    details: tuple[str, ...] = ()
    obj: Obj | None = None
    """The object that would be made."""

    def document(self) -> dict[str, Any]:
        """Return the step as plain data for JSON."""
        return {"stage": self.stage, "says": self.says, "details": list(self.details), "object": self.obj}


def steps_of(played: Played, cluster: StillCluster, settings: Settings) -> Iterator[Step]:
    """Yield the steps in their order."""
    yield _gateway(played, cluster, settings)
    yield _processing(played)
    yield _analysis(played, settings)
    if played.plan.next is Next.NOTHING:
        yield Step("orchestration", "the case is Completed: NoActionRequired; nobody is called")
        return
    if played.plan.next is Next.PERSON:
        yield Step("orchestration", f"the case is Failed, and people are called: {played.plan.review}", _taken_over(played))
        return
    yield from _fix(played, settings)


def open_case(cluster: StillCluster, request: RemediationRequest) -> RemediationRequest | None:
    """Return the open remediation of the same problem, where the cluster has one."""
    known = (RemediationRequest.model_validate(obj) for obj in cluster.objects(RemediationRequest.card))
    same = (each for each in known if each.spec.signal_fingerprint == request.spec.signal_fingerprint)
    return next((each for each in same if not each.status.phase.terminal), None)


def _gateway(played: Played, cluster: StillCluster, settings: Settings) -> Step:
    request, signal = played.request, played.signal
    about = [f"{signal.name}, {signal.severity.value}, about {signal.resource.path()}"]
    if request.spec.target.path() != signal.resource.path():
        about.append(f"its owner is what counts: {request.spec.target.path()}")
    if known := open_case(cluster, request):
        about.append(f"it would be counted on {known.metadata.name}, which is open ({known.status.overall_phase}); else this follows")
    if not _managed(cluster, request, settings):
        where = request.spec.target.path()
        about.append(
            f"where gateway.managed_only holds it is rejected: label {where} or its namespace {MANAGED_LABEL}=true; else this follows"
        )
    return Step("gateway", f"opens {request.metadata.name}", tuple(about), _wire(request))


def _managed(cluster: StillCluster, request: RemediationRequest, settings: Settings) -> bool:
    target = request.spec.target
    card = core.kind_named(target.kind)
    try:
        said = opted(cluster.read(card, target.namespace, target.name)) if card else None
    except NotWatched:
        said = None
    if said is None and target.namespace:
        said = opted(cluster.read(core.NAMESPACE, "", target.namespace))
    return not settings.gateway.managed_only if said is None else said


def _processing(played: Played) -> Step:
    status = played.processing.status
    where, urgent = status.environment_classification, status.priority_assignment
    details = []
    if where:
        details.append(f"environment {where.environment}: {where.source}{f' of {where.policy_name}' if where.policy_name else ''}")
    if urgent:
        details.append(f"priority {urgent.priority.value}: {urgent.source}{f' of {urgent.policy_name}' if urgent.policy_name else ''}")
    if status.detected_labels:
        details.append(", ".join(f"{name} {value}" for name, value in sorted(status.detected_labels.items())))
    return Step("processing", status.message, (*details, *status.warnings), _wire(played.processing))


def _analysis(played: Played, settings: Settings) -> Step:
    finding, when = played.finding, settings.analysis.holmesgpt.asked
    sure = f" ({finding.cause.confidence:.0%})" if finding.cause.confidence else ""
    evidence = [f"{row.source} {row.field} = {row.value}: {row.says}" for row in finding.cause.evidence]
    left_out = [f"by the rules alone: HolmesGPT is not asked in a rehearsal; by the settings it would be ({when.value})"]
    details = (*evidence, *(left_out if when is not When.NEVER else ()))
    return Step("analysis", f"{finding.cause.name}{sure}: {finding.cause.summary}", details, _wire(played.analysis))


def _taken_over(played: Played) -> tuple[str, ...]:
    plan = played.plan
    rejected = (f"{row.name}: {row.why}" for row in plan.selection.rejected)
    return tuple(text for text in (plan.finding.advice, plan.obstacle, *rejected, *_ruling(played)) if text)


def _ruling(played: Played) -> Iterator[str]:
    ruling = played.plan.ruling
    if ruling.evaluation.policy_name:
        yield f"{ruling.why} ({ruled(played.plan)})"
    yield from ruling.faults


def _fix(played: Played, settings: Settings) -> Iterator[Step]:
    yield _selection(played)
    yield _approval(played, settings.orchestration.approval_channel)
    yield _run(played, settings)
    if played.assessment is not None:
        config = played.assessment.spec.config
        says = f"looks whether it helped: healthy for {config.stabilization_window}, and the alert over, within {config.validity}"
        yield Step("verification", says, (), _wire(played.assessment))


def _selection(played: Played) -> Step:
    plan = played.plan
    lost = tuple(f"not {row.name}: {row.why}" for row in plan.selection.rejected)
    chosen = plan.selection.chosen
    if chosen is None:
        return Step("selection", f"{plan.finding.action} as {_counted(len(plan.steps))}", tuple(told(step) for step in plan.steps))
    values = tuple(f"{name} = {value}" for name, value in sorted(chosen.parameters.items()))
    return Step("selection", f"{plan.finding.action} by {chosen.workflow_id} {chosen.version}, risk {chosen.risk_level}", (*values, *lost))


def _approval(played: Played, channel: str) -> Step:
    asked = played.question
    if asked is None:
        return Step("approval", "nobody is asked: it runs by itself", tuple(_ruling(played)))
    policy = asked.spec.policy_evaluation
    people = "one person" if policy.min_approvers == 1 else f"{policy.min_approvers} different people"
    groups = f" of {' or '.join(policy.approver_groups)}" if policy.approver_groups else ""
    effect = [line for line in asked.spec.what_will_change.splitlines() if line and not line.startswith("The trial")]
    details = (*_ruling(played), f"told in {channel}", *effect, f"undo: {UNDO[asked.spec.undo]}")
    return Step("approval", f"{people}{groups} must say yes until {asked.spec.required_by:%H:%M:%S} UTC", details, _wire(asked))


def _run(played: Played, settings: Settings) -> Step:
    execution = played.workflow
    if execution is None:
        raise ValueError("a fix that may run has a WorkflowExecution")
    if execution.spec.workflow_definition:
        steps = execution.spec.workflow_definition.steps
        says = f"{_counted(len(steps))}, each checked before and recorded after"
        return Step("execution", says, tuple(map(_operation, steps)), _wire(execution))
    engine = execution.spec.execution_config.engine
    if engine != "tekton":
        return Step("workflow", f"the engine {engine} runs {execution.metadata.name}", (), _wire(execution))
    run = pipeline_run(execution, settings.workflow)
    bundle = next((row["value"] for row in run["spec"]["pipelineRef"]["params"] if row["name"] == "bundle"), "")
    details = (
        f"lock on {execution.spec.target_resource}",
        f"bundle {bundle}",
        f"as {run['spec']['taskRunTemplate']['serviceAccountName']}",
    )
    return Step("workflow", f"PipelineRun {run['metadata']['namespace']}/{run['metadata']['name']}", details, run)


def _counted(steps: int) -> str:
    return f"{steps} typed step{'' if steps == 1 else 's'}"


def _operation(step: Operation) -> str:
    return f"{told(step)} {UNDO_WORDS[undo_of(step)]}"


def _wire(resource: Resource) -> Obj:
    return {"apiVersion": resource.card.api_version, "kind": resource.card.kind, **resource.wire()}
