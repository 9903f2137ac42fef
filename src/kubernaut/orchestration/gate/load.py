"""How much is being done now, counted from the objects in the caches: any replica, and any restart, counts the same."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from kubernaut.api.base import Obj
from kubernaut.api.brake import namespace_of
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.remediation import BY_REMEDIATION, Phase, RemediationRequest, remediation_of
from kubernaut.api.workflow import Phase as WorkflowPhase
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import IndexFn, Key, key_of
from kubernaut.kube.manager import Manager
from kubernaut.orchestration.gate.brake import HELD_BY_BRAKE, HOUR, LIMITED, Load

RUNNING: Final = "brake-running"
STARTED: Final = "brake-started"
CREATED: Final = "brake-created"
WAITING: Final = "brake-waiting"
ALL: Final = "*"
PLANNED: Final = "brake-planned"
DOUBT: Final = timedelta(minutes=1)
"""How long a fix counts whose creation was not answered; by then the caches have seen it, or it is not there."""
NEWS: Final = timedelta(minutes=1)
"""How long after its end a fix makes others look again."""
FIRST: Final = 8
"""How many of those that wait look again at once when a fix has ended."""


def watch(manager: Manager) -> None:
    """Ask for the caches and indexes that the counts need."""
    executing: dict[str, IndexFn] = {RUNNING: running_workflow, STARTED: started_workflow, PLANNED: planned_workflow}
    manager.informer(WorkflowExecution, indexes=executing)
    manager.informer(KubernetesExecution, indexes={RUNNING: running_execution})
    manager.informer(RemediationRequest, indexes={RUNNING: executing_request, CREATED: created_request, WAITING: waiting_request})


class Doubts:
    """The fixes whose creation was begun and not answered: the API server may have them, though no cache shows them yet."""

    def __init__(self) -> None:
        self._begun: dict[str, tuple[str, datetime]] = {}

    def begin(self, request: RemediationRequest, namespace: str, now: datetime) -> None:
        """Count a remediation from now on as one in execution in a namespace."""
        self._begun = {path: row for path, row in self._begun.items() if now - row[1] < DOUBT}
        self._begun["/".join(request.key)] = (namespace, now)

    def end(self, request: RemediationRequest) -> None:
        """It is known what came of it."""
        self._begun.pop("/".join(request.key), None)

    def within(self, namespace: str, now: datetime) -> set[str]:
        """Return the remediations in doubt, as `namespace/name`, that act on a namespace (`*`: on any)."""
        return {path for path, (where, at) in self._begun.items() if namespace in {ALL, where} and now - at < DOUBT}


def load(cluster: Cluster, request: RemediationRequest, namespace: str, now: datetime, doubts: Doubts) -> Load:
    """Count what is done in a namespace (`*`: everywhere) beside a remediation."""
    own = "/".join(request.key)
    hours = [f"{namespace}|{hour}" for hour in _hours(now - HOUR, now)]
    started = [_created(obj) for hour in hours for obj in cluster.select(WorkflowExecution.card, STARTED, hour)]
    working, doubtful = at_work(cluster, namespace), doubts.within(namespace, now)
    started += [now for _ in doubtful - working - {own}]
    ahead = 0 if namespace == ALL else _ahead(cluster, request, namespace)
    return Load(len((working | doubtful) - {own}), tuple(started), ahead)


def at_work(cluster: Cluster, namespace: str) -> set[str]:
    """Return the remediations, as `namespace/name`, that are in execution in a namespace (`*`: everywhere)."""
    fixes = [obj for model in (WorkflowExecution, KubernetesExecution) for obj in cluster.select(model.card, RUNNING, namespace)]
    requests = cluster.select(RemediationRequest.card, RUNNING, namespace)
    named = {path for obj in fixes for path in remediation_of(obj)} | {_path(obj) for obj in requests}
    return named | _about_to(cluster, namespace)


def _about_to(cluster: Cluster, namespace: str) -> set[str]:
    """Return the open remediations whose plan is made and not taken up: the remediation itself may not yet say that it executes."""
    now = cluster.clock.now()
    plans = [obj for hour in _hours(now - HOUR, now) for obj in cluster.select(WorkflowExecution.card, PLANNED, f"{namespace}|{hour}")]
    return {path for plan in plans for path in remediation_of(plan) if not _taken_up(cluster, plan, path)}


def _taken_up(cluster: Cluster, plan: Obj, path: str) -> bool:
    """Tell whether somebody carries out a plan, or nobody will."""
    request = cluster.read(RemediationRequest.card, *path.split("/", 1))
    if request is None or _ended(request) or (request.get("status") or {}).get("overallPhase") == Phase.VERIFYING:
        return True
    made = cluster.select(KubernetesExecution.card, BY_REMEDIATION, path)
    return any((each["spec"].get("workflowExecutionRef") or {}).get("name") == plan["metadata"]["name"] for each in made)


def _ahead(cluster: Cluster, request: RemediationRequest, namespace: str) -> int:
    """Count those that wait for a turn in the same namespace and come first."""
    own, mine = "/".join(request.key), _rank(request.wire())
    waiting = cluster.select(RemediationRequest.card, WAITING, f"{LIMITED}|{namespace}")
    return sum(_rank(obj) < mine for obj in waiting if _path(obj) != own)


def came_since(cluster: Cluster, since: datetime) -> list[tuple[datetime, Obj]]:
    """Return the cases that came from a moment on, with when they came; the index is by the hour."""
    hours = _hours(since, cluster.clock.now())
    found = [(_created(obj), obj) for hour in hours for obj in cluster.select(RemediationRequest.card, CREATED, hour)]
    return [(came, obj) for came, obj in found if came >= since]


class Turns:
    """Who is to look again when there may be room, or when the brake moved."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def after_fix(self, obj: Obj) -> Iterable[Key]:
        """The first of those that wait for their turn, once a fix has ended; the others look again by themselves."""
        return self._first() if self._has_just_ended(obj) else ()

    def after_request(self, obj: Obj) -> Iterable[Key]:
        """The same, once a remediation says that its fix is behind it."""
        phase = (obj.get("status") or {}).get("overallPhase")
        return self._first() if phase == Phase.VERIFYING or self._has_just_ended(obj) else ()

    def _has_just_ended(self, obj: Obj) -> bool:
        """Tell whether the room that an end made may be news: what is written or deleted later makes none."""
        ended = (obj.get("status") or {}).get("completionTime")
        return isinstance(ended, str) and self._cluster.clock.now() - datetime.fromisoformat(ended) < NEWS

    def _first(self) -> list[Key]:
        held = self._cluster.select(RemediationRequest.card, WAITING, f"{LIMITED}|{ALL}")
        return [key_of(each) for each in sorted(held, key=_rank)[:FIRST]]

    def after_brake(self, _brake: Obj) -> Iterable[Key]:
        """All that the brake holds."""
        reasons = sorted(HELD_BY_BRAKE)
        return [key_of(obj) for reason in reasons for obj in self._cluster.select(RemediationRequest.card, WAITING, f"{reason}|{ALL}")]


def running_workflow(obj: Obj) -> Iterable[str]:
    """File a WorkflowExecution that has not ended under its target's namespace and under all."""
    return () if _ended(obj) else _scopes(namespace_of(obj["spec"]["targetResource"]))


def planned_workflow(obj: Obj) -> Iterable[str]:
    """File a WorkflowExecution that has made its plan under the hour of that."""
    status = obj.get("status") or {}
    if status.get("phase") != WorkflowPhase.COMPLETED or not status.get("completionTime") or not obj["spec"].get("workflowDefinition"):
        return ()
    return [f"{scope}|{status['completionTime'][:13]}" for scope in _scopes(namespace_of(obj["spec"]["targetResource"]))]


def started_workflow(obj: Obj) -> Iterable[str]:
    """File a WorkflowExecution under the hour of its creation."""
    hour = obj["metadata"]["creationTimestamp"][:13]
    return [f"{scope}|{hour}" for scope in _scopes(namespace_of(obj["spec"]["targetResource"]))]


def running_execution(obj: Obj) -> Iterable[str]:
    """File a KubernetesExecution that has not ended and is no trial under the namespaces it acts on."""
    spec = obj["spec"]
    if _ended(obj) or (spec.get("executionConfig") or {}).get("dryRun"):
        return ()
    places = [place for each in spec["operations"] for place in (each.get("target"), each.get("parameters")) if place]
    return sorted({scope for place in ({}, *places) for scope in _scopes(str(place.get("namespace") or ""))})


def executing_request(obj: Obj) -> Iterable[str]:
    """File a remediation whose fix is being carried out; between two stage objects nothing else says so."""
    status = obj.get("status") or {}
    executing = Phase.EXECUTING in {status.get("overallPhase"), status.get("blockedFrom")}
    return _scopes(namespace_of(status.get("remediationTarget") or "")) if executing and not _ended(obj) else ()


def created_request(obj: Obj) -> Iterable[str]:
    """File a remediation under the hour of its creation."""
    return (obj["metadata"]["creationTimestamp"][:13],)


def waiting_request(obj: Obj) -> Iterable[str]:
    """File a remediation that the brake holds under the reason and its target's namespace."""
    status = obj.get("status") or {}
    reason = status.get("blockReason")
    if reason not in HELD_BY_BRAKE or status.get("completionTime"):
        return ()
    return [f"{reason}|{scope}" for scope in _scopes(namespace_of(status.get("remediationTarget") or ""))]


def _scopes(namespace: str) -> tuple[str, ...]:
    return (ALL, namespace) if namespace else (ALL,)


def _ended(obj: Obj) -> bool:
    return bool((obj.get("status") or {}).get("completionTime"))


def _created(obj: Obj) -> datetime:
    return datetime.fromisoformat(obj["metadata"]["creationTimestamp"])


def _path(obj: Obj) -> str:
    return f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"


def _rank(obj: Obj) -> tuple[str, str, str]:
    """Order those that wait: by classified priority, then who came first."""
    priority = (obj.get("status") or {}).get("priority") or obj["spec"].get("priority") or "P2"
    return str(priority), str(obj["metadata"].get("creationTimestamp") or ""), obj["metadata"]["name"]


def _hours(since: datetime, until: datetime) -> list[str]:
    """Return the hours, as `2026-01-01T12`, that a span touches."""
    hour = since.replace(minute=0, second=0, microsecond=0)
    found = []
    while hour <= until:
        found.append(f"{hour:%Y-%m-%dT%H}")
        hour += timedelta(hours=1)
    return found
