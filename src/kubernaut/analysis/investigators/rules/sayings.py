"""What kubelet, scheduler, controllers and programs say, by table: where it is said, in which words, and what it means.

A row suffices where the words alone tell the cause; where they must be held against other objects, a rule has a module of its own.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from kubernaut.analysis.containers import condition, containers, containers_of, judged_pods, pod_ready
from kubernaut.analysis.investigators.base import Evidence, plain
from kubernaut.analysis.investigators.rules.complaints import GRUDGES, complaining, line_of, logged, murmuring, protesting
from kubernaut.analysis.investigators.rules.crashes import crashes, last_words, spoken
from kubernaut.analysis.investigators.rules.jobs import newest_jobs
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence, sure, told_by
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded, regression
from kubernaut.analysis.investigators.rules.scheduling import unschedulable
from kubernaut.analysis.investigators.rules.starting import starts
from kubernaut.analysis.rollouts import Change, last_rollout
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj
from kubernaut.kube.informer import controller_owner

SERVING = 0.6
"""How sure words in the log of a program that serves are: just enough to be told."""
RUNNING_WEIGHT = -0.06
"""For words in the log of a program that runs and does not serve: it may only be waiting."""

PERSON = 0.78
"""How sure words of a program that serves are at most, even where a roll-out bears them out: a person decides."""
SERVING_WEIGHT = -0.1
"""For words in the log of a program that serves: what it complains of may be a part of its work only."""


class Said(Enum):
    """Who says it, and where."""

    KUBELET_WAITING = "why a container waits"
    KUBELET_EVENT = "an event about a pod that is not up"
    SCHEDULER = "why no node is found"
    CONTROLLER = "why no pod can be made"
    RUNTIME = "why kubelet or the runtime cannot start a container"
    PROGRAM = "the last words of a program that crashed"


@dataclass(frozen=True, slots=True)
class Heard:
    """Words that match, with the pod they are about (None where no pod could be made)."""

    pod: Obj | None
    match: re.Match[str]
    told: Evidence
    weight: float = 0.0
    """How much less sure the words are for where they stand."""
    serving: bool = False
    """Whether it is of a program that serves: words alone, which nothing in the cluster bears out, and which change nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """Words that mean a cause. `means` and `advice` may name groups of the pattern, and `{target}`."""

    cause: str
    doc: str
    said: Said
    words: str
    means: str
    advice: str
    base: float = 0.82
    reasons: frozenset[str] = frozenset()
    explains: frozenset[str] = frozenset()
    """Vaguer causes, beside the symptoms, that the same words may be taken for."""
    serving: str = ""
    """What means it in the log of a program that serves: narrower words, as servers write of their callers' faults too."""
    changed: tuple[str, ...] = ("spec.",)
    """Fields of the pod template whose change can have brought it; none where no roll-out can."""

    def rule(self) -> Rule:
        """Return the rule of this row."""
        pattern = re.compile(self.words, re.IGNORECASE)
        serving = re.compile(self.serving, re.IGNORECASE) if self.serving else None

        def judge(snapshot: Snapshot) -> Candidate | None:
            heard = list(_HEARD[self.said](snapshot, self.reasons, pattern))
            if serving and all(row.serving for row in heard) and (plainer := list(_served(snapshot, serving))):
                found = self._candidate(snapshot, plainer)
                return replace(found, confidence=min(max(found.confidence, SERVING), PERSON))
            return self._candidate(snapshot, heard) if heard else None

        return Rule(self.cause, judge, explains=(SYMPTOMS - {self.cause}) | self.explains, doc=self.doc)

    def _candidate(self, snapshot: Snapshot, heard: list[Heard]) -> Candidate:
        words = {name: plain(text or "", 120) for name, text in heard[0].match.groupdict().items()} | {"target": snapshot.target.path()}
        pods, serving = [row.pod for row in heard if row.pod is not None], heard[0].serving
        back = regression(snapshot, pods, self._about) if self.changed and not serving else None
        return concluded(
            snapshot,
            self.cause,
            self.means.format_map(words),
            SERVING if serving else sure(self.base, heard[0].weight),
            (heard[0].told,),
            Remedy(advice=self.advice.format_map(words)),
            pods=pods,
            back=back,
            factors=(*_spread(snapshot, pods), *(_since_rollout(snapshot) if serving else ())),
        )

    def _about(self, change: Change) -> bool:
        return any(part in change.path for part in self.changed)


def _spread(snapshot: Snapshot, pods: list[Obj]) -> tuple[str, ...]:
    return (f"{len(pods)} of {len(snapshot.pods)} pods are affected",) if len(snapshot.pods) > 1 and pods else ()


def _since_rollout(snapshot: Snapshot) -> tuple[str, ...]:
    """Return what is against a cause that only a log tells, and the last roll-out, which a person may want to take back."""
    rollout = last_rollout(snapshot)
    changes = "; ".join(change.told() for change in rollout.changes[:3]) if rollout and rollout.recent else ""
    against = "speaks against it: its pods are ready, and nothing but its log tells of it"
    return (against, f"the last roll-out is recent: {changes}") if changes else (against,)


_Listen = Callable[[Snapshot, frozenset[str], re.Pattern[str]], Iterator[Heard]]


def _waiting(snapshot: Snapshot, reasons: frozenset[str], pattern: re.Pattern[str]) -> Iterator[Heard]:
    for container in containers(snapshot):
        message = str(container.waiting.get("message") or "")
        if (not reasons or container.waiting.get("reason") in reasons) and (found := pattern.search(message)):
            yield Heard(container.pod, found, told_by(container, "state.waiting.message", message, "why kubelet does not start it"))


def _pod_events(snapshot: Snapshot, reasons: frozenset[str], pattern: re.Pattern[str]) -> Iterator[Heard]:
    """Yield events about pods that are not ready, and none of whose containers has run."""
    for pod in judged_pods(snapshot):
        if pod_ready(pod) or any("running" in (row.status.get("state") or {}) for row in containers_of(pod)):
            continue
        for event in snapshot.events_about(pod, *reasons):
            message = str(event.get("message") or "")
            if found := pattern.search(message):
                yield Heard(pod, found, evidence(event, "message", message, "why the pod does not get up"))


def _scheduler(snapshot: Snapshot, _: frozenset[str], pattern: re.Pattern[str]) -> Iterator[Heard]:
    for pod, message in unschedulable(snapshot):
        if found := pattern.search(message.partition("preemption:")[0]):
            yield Heard(pod, found, evidence(pod, "status.conditions[PodScheduled].message", message, "why the scheduler finds no node"))


def refusals(snapshot: Snapshot) -> Iterator[tuple[str, Evidence]]:
    """Yield why no pods can be made for a workload that lacks some: from its conditions, then from events."""
    if not lacks_pods(snapshot):
        return
    for obj in (*snapshot.chain[::-1], *snapshot.replica_sets[:2]):
        row = condition(obj, "ReplicaFailure")
        if row.get("status") == "True":
            message = str(row.get("message") or "")
            yield message, evidence(obj, "status.conditions[ReplicaFailure].message", message, "why no pod can be made")
    started = (event for job in newest_jobs(snapshot) for event in snapshot.events_about(job, "FailedCreate"))
    for event in (*snapshot.events_of("FailedCreate"), *(started if snapshot.target.kind == "CronJob" else ())):
        if (event.get("involvedObject") or {}).get("kind") != "Pod":
            message = str(event.get("message") or "")
            yield message, evidence(event, "message", message, "why no pod can be made")


def lacks_pods(snapshot: Snapshot) -> bool:
    """Tell whether a workload has fewer pods than it should have, by its own report."""
    top = snapshot.top
    if top is None or top["kind"] in {"Pod", "Node"}:
        return False
    status, spec = top.get("status") or {}, top.get("spec") or {}
    if top["kind"] == "DaemonSet":
        return int(status.get("currentNumberScheduled") or 0) < int(status.get("desiredNumberScheduled") or 0)
    if top["kind"] in {"Job", "CronJob"}:
        makers = {job["metadata"].get("uid") for job in newest_jobs(snapshot)}
        return not any(controller_owner(pod).get("uid") in makers for pod in snapshot.pods)
    wanted = int(spec.get("replicas", 1))
    updated = status.get("updatedReplicas", status.get("replicas"))
    return min(int(status.get("replicas") or 0), int(updated or 0)) < wanted


def _controller(snapshot: Snapshot, _: frozenset[str], pattern: re.Pattern[str]) -> Iterator[Heard]:
    for message, told in refusals(snapshot):
        if found := pattern.search(message):
            yield Heard(None, found, told)


def _runtime(snapshot: Snapshot, _: frozenset[str], pattern: re.Pattern[str]) -> Iterator[Heard]:
    return (Heard(row.container.pod, found, row.told) for row in starts(snapshot) if (found := pattern.search(row.words)))


def _program(snapshot: Snapshot, _: frozenset[str], pattern: re.Pattern[str]) -> Iterator[Heard]:
    """Yield last words, and what stands in the logs of those that run and do not serve, which is less sure."""
    for container, ended in crashes(snapshot):
        words = spoken(ended.message)
        if found := pattern.search(words):
            yield Heard(container.pod, found, logged(container, line_of(words, found)) if ended.logged else last_words(container, ended))
    for container, text in complaining(snapshot):
        words = spoken(text)
        if found := pattern.search(words):
            yield Heard(container.pod, found, logged(container, line_of(words, found)), RUNNING_WEIGHT)
    yield from _murmured(snapshot, pattern)


def _murmured(snapshot: Snapshot, pattern: re.Pattern[str]) -> Iterator[Heard]:
    """Yield what a program says that serves, where several of its errors say the same: the surest sign that is left, and a weak one."""
    for container, lines in murmuring(snapshot):
        found = [match for line in lines if (match := pattern.search(spoken(line)))]
        if len(found) >= GRUDGES and 2 * len(found) >= len(lines):
            yield Heard(container.pod, found[-1], logged(container, found[-1].string), serving=True)


def _served(snapshot: Snapshot, pattern: re.Pattern[str]) -> Iterator[Heard]:
    """Yield what programs that serve write again and again at the end of their logs."""
    for container, lines in protesting(snapshot):
        rows = [(line, found) for line in spoken("\n".join(lines)).splitlines() if (found := pattern.search(line))]
        if len(rows) >= GRUDGES:
            line, found = rows[-1]
            yield Heard(container.pod, found, logged(container, line), SERVING_WEIGHT)


_HEARD: dict[Said, _Listen] = {
    Said.KUBELET_WAITING: _waiting,
    Said.KUBELET_EVENT: _pod_events,
    Said.SCHEDULER: _scheduler,
    Said.CONTROLLER: _controller,
    Said.RUNTIME: _runtime,
    Said.PROGRAM: _program,
}
