"""Reads what the routing checks judge: other remediations and fixes, by index, so that no look costs more in a large store."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from kubernaut.api import core
from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.api.remediation import Phase, RemediationRequest, opted
from kubernaut.api.workflow import Phase as RunPhase
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import IndexFn, Key, key_of
from kubernaut.orchestration.children import target_of
from kubernaut.orchestration.facts import Stage
from kubernaut.orchestration.family import Family, remediation_keys
from kubernaut.orchestration.gate.checks import Gate
from kubernaut.orchestration.gate.gathering import gather, look
from kubernaut.orchestration.gate.load import Doubts
from kubernaut.orchestration.plans import fix_in, fix_of, plan_hash
from kubernaut.orchestration.routing import CHECKS, Fix, Past, Situation, unmanaged
from kubernaut.orchestration.settings import OrchestrationSettings

PROBLEM: Final = "orchestration-problem"
"""Ended remediations, by fingerprint."""
OPEN_ON: Final = "orchestration-open-on"
"""Open remediations, by everything that they may act on."""
ACTED_ON: Final = "orchestration-acted-on"
"""Ended remediations that carried something out, by what they acted on."""
DUPLICATES: Final = "orchestration-duplicates"
"""Remediations, by the one that they are duplicates of."""
HELD: Final = "orchestration-held"
"""Remediations in Blocked, all under one value."""
FIXES_OF: Final = "orchestration-fixes-of"
"""WorkflowExecutions, by target."""
ENDED_IN: Final = "orchestration-ended-in"
"""Ended WorkflowExecutions, by the hour in which they ended."""
ALL_HELD: Final = "held"


class Lookout:
    """Looks around before a stage is opened."""

    def __init__(self, cluster: Cluster, settings: OrchestrationSettings) -> None:
        self._cluster = cluster
        self._settings = settings
        self.doubts = Doubts()

    async def look(self, request: RemediationRequest, family: Family, stage: Stage, now: datetime) -> Situation:
        """Return all that the checks before a stage may look at; called only when it is about to be opened."""
        acting = stage not in {Stage.PROCESSING, Stage.ANALYSIS}
        target = target_of(request, family) if acting else request.spec.target
        gate = await self._gate(request, family, stage, now)
        ahead = None if acting else self._ahead(request)
        waits = bool(gate.held(self._settings.brake, now)) or (ahead is not None and request.status.overall_phase is Phase.BLOCKED)
        return Situation(
            stage=stage,
            request=request,
            family=family,
            settings=self._settings,
            now=now,
            target=target.path(),
            fix=fix_of(family),
            plan_hash=plan_hash(family),
            managed=await self._managed(target, gate, waits=waits) if unmanaged in CHECKS.get(stage, ()) else None,
            history=() if acting else self._history(request),
            ahead=ahead,
            fixes=self._fixes(request, target.path()) if acting else (),
            chain=self._chain(request, target.path()) if acting else (),
            gate=gate,
        )

    async def _gate(self, request: RemediationRequest, family: Family, stage: Stage, now: datetime) -> Gate:
        """Look at the world just before acting; and, where a tool may keep the target, before people are asked in vain."""
        if stage in {Stage.WORKFLOW, Stage.EXECUTION}:
            return await gather(self._cluster, request, family, self._settings, self.doubts, now)
        kept = family.processing is not None and family.processing.status.detected_labels.get("gitOpsManaged") == "true"
        if stage is Stage.APPROVAL and kept:
            return await look(Gate(), self._cluster, request, family, self._settings)
        return Gate()

    def tally(self, now: datetime) -> tuple[int, int]:
        """Return how many fixes failed, and how many ended, within the last hour."""
        hours = dict.fromkeys((_hour(now), _hour(now - timedelta(hours=1))))
        ended = [each for hour in hours for each in self._cluster.select(WorkflowExecution.card, ENDED_IN, hour)]
        recent = [each for each in ended if _moment(each) > now - timedelta(hours=1)]
        return sum(each["status"].get("phase") == RunPhase.FAILED.value for each in recent), len(recent)

    def duplicates(self, parent: str) -> list[RemediationRequest]:
        """Return the duplicates of a remediation, given as `namespace/name`."""
        return self._cluster.where(RemediationRequest, DUPLICATES, parent)

    async def _managed(self, target: ResourceIdentifier, gate: Gate, *, waits: bool) -> bool | None:
        """Return what the object's own label says, else its namespace's; the object is read only where that may matter."""
        found = self._cluster.read(core.NAMESPACE, "", target.namespace) if target.namespace else None
        said = opted(found)
        if gate.world is not None:
            own = opted(gate.world.target)
        else:
            own = opted(await self._object(target)) if self._may_differ(said, waits=waits) else None
        return said if own is None else own

    def _may_differ(self, said: bool | None, *, waits: bool) -> bool:
        """Tell whether the object's own label may matter: not to what its namespace lets us touch and the brake, or its double, holds."""
        if said and waits:
            return False
        return self._settings.managed_only or said is not None

    async def _object(self, target: ResourceIdentifier) -> Obj | None:
        kind = core.kind_named(target.kind)
        try:
            return await self._cluster.client.get(kind, target.name, target.namespace) if kind else None
        except ApiError as fault:
            if fault.not_found or fault.status == HTTPStatus.FORBIDDEN:
                return None
            raise

    def _history(self, request: RemediationRequest) -> tuple[Past, ...]:
        value = f"{request.metadata.namespace}/{request.spec.signal_fingerprint}"
        return self._pasts(self._cluster.select(RemediationRequest.card, PROBLEM, value), request)

    def _chain(self, request: RemediationRequest, target: str) -> tuple[Past, ...]:
        value = f"{request.metadata.namespace}/{target}"
        return self._pasts(self._cluster.select(RemediationRequest.card, ACTED_ON, value), request)

    def _ahead(self, request: RemediationRequest) -> Past | None:
        """Return the remediation that goes first: the one noted before, while it is there; else the first that has begun, or is older."""
        namespace, noted = request.metadata.namespace, request.status.duplicate_of
        known = self._cluster.read(RemediationRequest.card, namespace, noted) if noted else None
        if known is not None and "deletionTimestamp" not in known["metadata"]:
            return self._past(known)
        found = self._cluster.select(RemediationRequest.card, OPEN_ON, f"{namespace}/{request.spec.target.path()}")
        mine = _turn(request.wire())
        rivals = [each for each in found if _turn(each) < mine and "deletionTimestamp" not in each["metadata"]]
        return self._past(min(rivals, key=_turn)) if rivals else None

    def _fixes(self, request: RemediationRequest, target: str) -> tuple[Fix, ...]:
        found = self._cluster.where(WorkflowExecution, FIXES_OF, f"{request.metadata.namespace}/{target}")
        others = [each for each in found if each.spec.remediation_request_ref.name != request.metadata.name]
        return (*(_fix(each) for each in others), *self._remembered(request, target, {each.metadata.name for each in found}))

    def _remembered(self, request: RemediationRequest, target: str, known: Collection[str]) -> Iterator[Fix]:
        """Yield the fixes that only their remediations remember, since somebody has deleted them."""
        value = f"{request.metadata.namespace}/{target}"
        others = [each for index in (OPEN_ON, ACTED_ON) for each in self._cluster.where(RemediationRequest, index, value)]
        for other in others:
            for each in other.status.workflow_execution_refs:
                if other.metadata.uid != request.metadata.uid and each.name not in known and each.outcome == "completed":
                    yield Fix(each.name, each.fix, at_work=False, succeeded_at=each.completion_time)

    def _pasts(self, found: Sequence[Obj], request: RemediationRequest) -> tuple[Past, ...]:
        others = (self._past(each) for each in found if each["metadata"]["name"] != request.metadata.name)
        return tuple(sorted(others, key=lambda past: (past.ended_at or request.spec.created_at, past.name), reverse=True))

    def _past(self, obj: Obj) -> Past:
        return _past(self._cluster.shared(RemediationRequest, obj))


def request_indexes() -> dict[str, IndexFn]:
    """Return the indexes of remediations."""
    return {PROBLEM: _problem, OPEN_ON: _open_on, ACTED_ON: _acted_on, DUPLICATES: _parent, HELD: _held}


def workflow_indexes() -> dict[str, IndexFn]:
    """Return the indexes of WorkflowExecutions."""
    return {FIXES_OF: _target, ENDED_IN: _ended_in}


class Wakes:
    """Who is to look again when something that held it up has changed."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def behind_request(self, obj: Obj) -> Iterable[Key]:
        """The duplicates of a remediation that has ended or goes."""
        if not _ended(obj) and "deletionTimestamp" not in obj["metadata"]:
            return ()
        return self._keys(DUPLICATES, "/".join(key_of(obj)))

    def behind_workflow(self, obj: Obj) -> Iterable[Key]:
        """The remediation that a workflow belongs to, and those that wait for its target once it has ended."""
        others = [key for value in _target(obj) for key in self._keys(OPEN_ON, value)] if _ended(obj) else []
        return {*remediation_keys(obj), *others}

    def _keys(self, index: str, value: str) -> list[Key]:
        return [key_of(found) for found in self._cluster.select(RemediationRequest.card, index, value)]


def _past(request: RemediationRequest) -> Past:
    spec, status = request.spec, request.status
    return Past(
        name=request.metadata.name,
        phase=status.overall_phase,
        alert=spec.signal_name,
        severity=spec.severity,
        outcome=status.outcome,
        failure_phase=status.failure_phase,
        evidence=status.evidence_hash,
        ended_at=status.completion_time,
    )


def _fix(execution: WorkflowExecution) -> Fix:
    status = execution.status
    succeeded = status.completion_time if status.phase is RunPhase.COMPLETED else None
    return Fix(execution.metadata.name, fix_in(execution), status.phase is RunPhase.RUNNING, succeeded)


def _turn(obj: Obj) -> tuple[bool, str, str]:
    """Return what remediations of one target are ordered by: who has begun goes first, then who is older."""
    meta = obj["metadata"]
    return not _status(obj).get("remediationProcessingRef"), meta.get("creationTimestamp") or "~", meta["uid"]


def _status(obj: Obj) -> Obj:
    found = obj.get("status")
    return found if isinstance(found, dict) else {}


def _ended(obj: Obj) -> bool:
    return bool(_status(obj).get("completionTime"))


def _problem(obj: Obj) -> Iterable[str]:
    return (f"{obj['metadata']['namespace']}/{obj['spec']['signalFingerprint']}",) if _ended(obj) else ()


def _open_on(obj: Obj) -> Iterable[str]:
    if _ended(obj):
        return ()
    targets = dict.fromkeys(filter(None, (obj["spec"].get("targetResource"), _status(obj).get("remediationTarget"))))
    return tuple(f"{obj['metadata']['namespace']}/{target}" for target in targets)


def _acted_on(obj: Obj) -> Iterable[str]:
    target = _status(obj).get("remediationTarget")
    acted = target and _ended(obj) and _status(obj).get("workflowExecutionRef")
    return (f"{obj['metadata']['namespace']}/{target}",) if acted else ()


def _parent(obj: Obj) -> Iterable[str]:
    parent = _status(obj).get("duplicateOf")
    return (f"{obj['metadata']['namespace']}/{parent}",) if parent else ()


def _held(obj: Obj) -> Iterable[str]:
    return (ALL_HELD,) if _status(obj).get("overallPhase") == Phase.BLOCKED.value else ()


def _target(obj: Obj) -> Iterable[str]:
    return (f"{obj['metadata']['namespace']}/{obj['spec']['targetResource']}",)


def _ended_in(obj: Obj) -> Iterable[str]:
    return (_status(obj)["completionTime"][:13],) if _ended(obj) else ()


def _hour(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H")


def _moment(obj: Obj) -> datetime:
    return datetime.fromisoformat(_status(obj)["completionTime"])
