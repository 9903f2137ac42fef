"""Probes: a container that runs but whose probe fails, with the probe's port held against what the container says it opens."""

from dataclasses import dataclass

from kubernaut.analysis.containers import Container, containers, names_of
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.judging import Candidate, Rule, evidence, keys, place, sure, told_by
from kubernaut.analysis.investigators.rules.remedies import ROLLBACK, in_container, regression
from kubernaut.analysis.snapshot import Snapshot, moment
from kubernaut.api.base import Obj

SIGNALLED = frozenset({137, 143})
"""Exit codes of a process ended by SIGKILL or SIGTERM."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A container with a probe that fails, as kubelet reported it last."""

    container: Container
    probe: Obj
    event: Obj


def failing(snapshot: Snapshot, kind: str) -> list[Failing]:
    """Return the containers with a probe of this kind (readiness, liveness, startup) that kubelet reports as failing."""
    found = []
    for container in containers(snapshot):
        probe = container.spec.get(f"{kind}Probe")
        event = _report(snapshot, container, f"{kind.capitalize()} probe ")
        if probe and event and _still(snapshot, container, kind):
            found.append(Failing(container, probe, event))
    return found


def _report(snapshot: Snapshot, container: Container, begins: str) -> Obj | None:
    """Return the newest report on a container's probe, judged by the field path kubelet gives, or by the pod having one such probe only."""
    for event in snapshot.events_of("Unhealthy"):
        path = (event.get("involvedObject") or {}).get("fieldPath") or ""
        if (
            _of(event, container)
            and str(event.get("message", "")).startswith(begins)
            and path in {"", f"spec.containers{{{container.name}}}"}
        ):
            return event
    return None


def _still(snapshot: Snapshot, container: Container, kind: str) -> bool:
    """Tell whether it still fails: readiness shows in `ready`; liveness and startup in restarts that have not ended."""
    if kind == "readiness":
        return not container.ready and container.running_since is not None
    return container.restarts > 0 and not container.recovered(snapshot.at) and _killed(snapshot, container, kind)


def _killed(snapshot: Snapshot, container: Container, kind: str) -> bool:
    """Tell whether it was kubelet that ended the container: it says so in an event, or the process died of a signal (not of memory)."""
    last = next(iter(container.ends()), None)
    if last is not None and last.exit_code in SIGNALLED and last.reason != "OOMKilled":
        return True
    said = f"Container {container.name} failed {kind} probe"
    return any(_of(event, container) and str(event.get("message", "")).startswith(said) for event in snapshot.events_of("Killing"))


def _of(event: Obj, container: Container) -> bool:
    involved = event.get("involvedObject") or {}
    return bool(involved.get("kind") == "Pod" and involved.get("name") == container.pod["metadata"]["name"])


def readiness(snapshot: Snapshot) -> Candidate | None:
    """A container runs but never becomes ready, because its readiness probe fails: no traffic reaches it."""
    return _candidate(snapshot, "readiness", "ReadinessProbeFailing", "gets no traffic")


def liveness(snapshot: Snapshot) -> Candidate | None:
    """Kubelet kills a container again and again because its liveness probe fails: the crash loop is the probe's doing."""
    return _candidate(snapshot, "liveness", "LivenessProbeFailing", "is killed by kubelet again and again")


def startup(snapshot: Snapshot) -> Candidate | None:
    """Kubelet kills a container before it is up because its startup probe fails: too little time, or the wrong place."""
    return _candidate(snapshot, "startup", "StartupProbeFailing", "is killed by kubelet before it is up")


def _candidate(snapshot: Snapshot, kind: str, cause: str, consequence: str) -> Candidate | None:
    found = failing(snapshot, kind)
    if not found:
        return None
    rows = [row.container for row in found]
    first, wrong_port = found[0], _wrong_port(found[0])
    about = in_container(first.container, f"{kind}Probe", "ports", "image", "command", "args", "env")
    back = regression(snapshot, [row.pod for row in rows], about)
    summary = f"The {kind} probe of container {first.container.name} in {names_of(rows)} fails, so it {consequence}."
    why = f" It asks {wrong_port}." if wrong_port else ""
    advice = (
        f"Correct the probe: it asks {wrong_port}."
        if wrong_port
        else "Find out why the program does not answer; its log and what it depends on come first."
    )
    return Candidate(
        cause=cause,
        summary=f"{summary}{why} {back.sentence()}" if back else summary + why,
        confidence=sure(0.66, 0.15 if wrong_port else 0.0, back.weight if back else 0.0),
        target=snapshot.target,
        evidence=_evidence(first, kind, wrong_port) + (back.evidence() if back else ()),
        factors=(f"{len(rows)} of {len(snapshot.pods)} pods are affected",) if len(snapshot.pods) > 1 else (),
        action=ROLLBACK if back else "",
        advice="" if back else advice,
        facts=(back.facts(snapshot) if back else place(snapshot)) | {"container": first.container.name, "probe": kind},
        subjects=keys(rows),
        since=moment(first.event.get("firstTimestamp")),
    )


def _port(probe: Obj) -> object:
    handler = probe.get("httpGet") or probe.get("tcpSocket") or probe.get("grpc") or {}
    return handler.get("port")


def _wrong_port(row: Failing) -> str:
    """Say what is wrong with the probe's port: a name that no port has, or a number that the container does not list; empty when fine."""
    port, declared = _port(row.probe), row.container.spec.get("ports") or ()
    if port is None:
        return ""
    if isinstance(port, str) and not port.isdecimal():
        return "" if any(item.get("name") == port for item in declared) else f"port {port!r}, and the container has no port of that name"
    numbers = sorted({int(item["containerPort"]) for item in declared})
    if not numbers or int(str(port)) in numbers:
        return ""
    return f"port {port}, and the container opens {', '.join(map(str, numbers))}"


def _evidence(row: Failing, kind: str, wrong_port: str) -> tuple[Evidence, ...]:
    said = evidence(row.event, "message", row.event.get("message", ""), "what kubelet saw when it asked")
    state = told_by(row.container, "ready", str(row.container.ready).lower(), "whether it gets traffic")
    if not wrong_port:
        return (said, state)
    where = f"spec.containers[{row.container.name}].{kind}Probe"
    return (said, evidence(row.container.pod, where, _port(row.probe), f"it asks {wrong_port}"), state)


RULES = (
    Rule("LivenessProbeFailing", liveness, explains=frozenset({"ReadinessProbeFailing", "ApplicationCrash"})),
    Rule("StartupProbeFailing", startup, explains=frozenset({"ReadinessProbeFailing", "LivenessProbeFailing", "ApplicationCrash"})),
    Rule("ReadinessProbeFailing", readiness),
)
