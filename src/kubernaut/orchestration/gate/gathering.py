"""What the gate to the cluster looks at, read: the brake and the counts from the caches, the world from the API server itself."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.base import Obj
from kubernaut.api.binding import still_bound
from kubernaut.api.brake import BRAKE, RemediationBrake
from kubernaut.api.plan import Operation
from kubernaut.api.remediation import RemediationRequest
from kubernaut.halt import known_halt
from kubernaut.kube.cluster import Cluster
from kubernaut.orchestration.baseline import baseline_of
from kubernaut.orchestration.children import target_of
from kubernaut.orchestration.family import Family
from kubernaut.orchestration.gate import gitops
from kubernaut.orchestration.gate.checks import Gate, Planned
from kubernaut.orchestration.gate.lastlook import Known, Sight, Void, judge
from kubernaut.orchestration.gate.load import ALL, Doubts, load
from kubernaut.orchestration.gate.looking import look_at, void
from kubernaut.orchestration.gate.trial import kept_by, operations_of, trial
from kubernaut.orchestration.settings import OrchestrationSettings

_ENDS_WORK: Final = frozenset({"DeleteJob"})
"""Actions that end the very work of their target."""


async def gather(
    cluster: Cluster, request: RemediationRequest, family: Family, settings: OrchestrationSettings, doubts: Doubts, now: datetime
) -> Gate:
    """Look at everything that may stand in the way of a fix; the world itself is left alone while people or the brake hold it.

    The counts are taken last, without another await: whoever opens a stage under a lock sees all that was opened before.
    """
    namespace = target_of(request, family).namespace
    if halted := known_halt(cluster, request.metadata.namespace, namespace):
        return Gate(namespace, halted)
    gate = _counted(Gate(namespace), cluster, request, doubts, now)
    if family.workflow is None and gate.held(settings.brake, now):
        return gate  # a fix that has begun has had its turn
    return _counted(await look(gate, cluster, request, family, settings), cluster, request, doubts, now)


def _counted(gate: Gate, cluster: Cluster, request: RemediationRequest, doubts: Doubts, now: datetime) -> Gate:
    brake = cluster.find(RemediationBrake, request.metadata.namespace, BRAKE)
    return replace(
        gate,
        storm=brake.status.storm if brake else None,
        everywhere=load(cluster, request, ALL, now, doubts),
        here=load(cluster, request, gate.namespace, now, doubts) if gate.namespace else gate.here,
    )


async def look(gate: Gate, cluster: Cluster, request: RemediationRequest, family: Family, settings: OrchestrationSettings) -> Gate:
    """Look at the world, and at who keeps the target; an approval that counts for nothing any more is made void."""
    world, now = await look_at(cluster.client, target_of(request, family)), cluster.clock.now()
    gate = replace(gate, world=world, known=_known(request, family, world.target))
    if sight := judge(world, gate.known, settings.look, now):
        await _void(cluster, family, sight, now)
        return gate  # nothing else matters
    kept = await kept_by(cluster, world.target) if world.target else None
    if kept is None or world.target is None or family.analysis is None:
        return gate
    return replace(gate, kept=kept, fix=await _fix(cluster, request, family.analysis, world.target, kept, settings))


async def _void(cluster: Cluster, family: Family, sight: Sight, now: datetime) -> None:
    if isinstance(sight, Void):
        await void(cluster, family.approval, sight.message, now)


def _known(request: RemediationRequest, family: Family, target: Obj | None) -> Known:
    signal = family.processing.status.enriched_signal if family.processing else None
    status = family.analysis.status if family.analysis else None
    return Known(
        baseline=baseline_of(signal, target_of(request, family)),
        bound=status is None or still_bound(status, target),
        asked=bool(status and status.approval_request_name),
        cordoned=_cordoned(signal.kubernetes_context if signal else {}),
        ends_work=family.analysis is not None and _named(family.analysis) in _ENDS_WORK,
    )


def _cordoned(context: Obj) -> frozenset[str]:
    nodes = context.get("node")
    entries = [each for each in nodes if isinstance(each, dict)] if isinstance(nodes, list) else []
    return frozenset(str(each.get("name")) for each in entries if each.get("unschedulable"))


async def _fix(
    cluster: Cluster, request: RemediationRequest, analysis: AIAnalysis, target: Obj, kept: gitops.Kept, settings: OrchestrationSettings
) -> Planned:
    operations = await operations_of(cluster, analysis)
    actions = tuple(operation.action for operation in operations) or (_named(analysis),)
    words = tuple(_told(operation) for operation in operations) or (_in_words(analysis),)
    if not gitops.must_propose(kept, target, actions, settings.gitops):
        return Planned(actions, words)
    return Planned(actions, words, await trial(cluster, request, analysis, operations))


def _named(analysis: AIAnalysis) -> str:
    chosen = analysis.status.selected_workflow
    return (chosen.action_type if chosen else "") or analysis.status.recommended_action or "an unnamed action"


def _told(operation: Operation) -> str:
    parameters = ", ".join(f"{name}={value}" for name, value in sorted(operation.parameters.items()))
    return f"{operation.action}: {parameters}"[:500]


def _in_words(analysis: AIAnalysis) -> str:
    chosen = analysis.status.selected_workflow
    parameters = ", ".join(f"{name}={value}" for name, value in sorted(chosen.parameters.items())) if chosen else ""
    return f"{_named(analysis)}: {parameters}"[:500]
