"""Probes: a container that runs but whose probe fails: what kubelet saw, held against the container's ports and limits."""

import re
from dataclasses import dataclass
from decimal import Decimal

from kubernaut.analysis.bounds import ceilings
from kubernaut.analysis.containers import Container, condition, containers, live_pods, names_of, pod_ready
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence, told_by
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded, in_container, regression
from kubernaut.analysis.snapshot import Snapshot, moment
from kubernaut.api.base import Obj
from kubernaut.api.quantity import parse_quantity

SIGNALLED = frozenset({137, 143})
"""Exit codes of a process ended by SIGKILL or SIGTERM."""
KINDS = ("startup", "liveness", "readiness")
_TIMED_OUT = re.compile(r"deadline exceeded|timeout|timed out|Timeout exceeded", re.IGNORECASE)
_ABSENT = re.compile(r"statuscode: (404|405)")
_SCHEME = re.compile(
    r"server gave HTTP response to HTTPS client|malformed HTTP response|first record does not look like a TLS handshake|statuscode: 400"
)
_SMALL_CPU = Decimal("0.5")
_LENIENT = 3
"""Kubernetes' own failureThreshold: a probe that allows as many failures is not strict."""
_RAISED = 5
_SLOW = 4
"""How many times as many failures a slow starter is allowed."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A container with a probe that fails, as kubelet reported it last."""

    container: Container
    kind: str
    probe: Obj
    event: Obj | None
    """Kubelet's report; None where none is left, and the container's state alone tells that the probe fails."""

    @property
    def words(self) -> str:
        """What kubelet saw."""
        return str((self.event or {}).get("message") or "")

    def said(self) -> Evidence:
        """Return kubelet's report, else what its state says."""
        if self.event is not None:
            return evidence(self.event, "message", self.words, "what kubelet saw when it asked")
        return told_by(self.container, "ready", "false", f"it runs and is not ready, so its {self.kind} probe does not succeed")

    @property
    def field(self) -> str:
        """Where the probe stands in the pod."""
        return f"spec.containers[{self.container.name}].{self.kind}Probe"


def failing(snapshot: Snapshot, kind: str) -> list[Failing]:
    """Return the containers with a probe of this kind (readiness, liveness, startup) that kubelet reports as failing."""
    found = []
    for container in containers(snapshot):
        probe = container.spec.get(f"{kind}Probe")
        event = _report(snapshot, container, f"{kind.capitalize()} probe ")
        if probe and (event or _silent(snapshot, container, kind)) and _still(snapshot, container, kind):
            found.append(Failing(container, kind, probe, event))
    return found


def _silent(snapshot: Snapshot, container: Container, kind: str) -> bool:
    """Tell whether a readiness probe must be failing though nothing was reported: the container runs and is not ready."""
    started = container.status.get("started") is not False and not container.spec.get("startupProbe")
    return kind == "readiness" and started and not any(snapshot.events_about(container.pod, "Unhealthy"))


def _any_failing(snapshot: Snapshot) -> list[list[Failing]]:
    """Return the failing containers by kind of probe, those that kill first."""
    return [rows for kind in KINDS if (rows := failing(snapshot, kind))]


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
    return _plain(snapshot, "readiness", "ReadinessProbeFailing", "gets no traffic")


def liveness(snapshot: Snapshot) -> Candidate | None:
    """Kubelet kills a container again and again because its liveness probe fails: the crash loop is the probe's doing."""
    return _plain(snapshot, "liveness", "LivenessProbeFailing", "is killed by kubelet again and again")


def startup(snapshot: Snapshot) -> Candidate | None:
    """Kubelet kills a container before it is up because its startup probe fails: too little time, or the wrong place."""
    return _plain(snapshot, "startup", "StartupProbeFailing", "is killed by kubelet before it is up")


def _plain(snapshot: Snapshot, kind: str, cause: str, consequence: str) -> Candidate | None:
    found = failing(snapshot, kind)
    if not found:
        return None
    rows = [row.container for row in found]
    summary = f"The {kind} probe of container {rows[0].name} in {names_of(rows)} fails, so it {consequence}."
    remedy = Remedy(advice="Find out why the program does not answer; its log and what it depends on come first.", facts=_facts(found[0]))
    return _concluded(snapshot, cause, summary, 0.66 if found[0].event else 0.61, found, remedy)


def _facts(row: Failing) -> dict[str, str]:
    return {"container": row.container.name, "probe": row.kind}


def _concluded(
    snapshot: Snapshot,
    cause: str,
    summary: str,
    base: float,
    found: list[Failing],
    remedy: Remedy,
    *more: Evidence,
    fields: tuple[str, ...] = (),
) -> Candidate:
    first, rows = found[0], [row.container for row in found]
    state = told_by(first.container, "ready", str(first.container.ready).lower(), "whether it gets traffic")
    about = in_container(first.container, f"{first.kind}Probe", "ports", *(fields or ("image", "command", "args", "env")))
    back = regression(snapshot, [row.pod for row in rows], about)
    if back is not None:
        remedy = Remedy(advice="", facts=_facts(first))
    return concluded(
        snapshot,
        cause,
        summary,
        base,
        (first.said(), *more, state),
        remedy,
        pods=[row.pod for row in rows],
        back=back,
        factors=(f"{len(rows)} of {len(snapshot.pods)} pods are affected",) if len(snapshot.pods) > 1 else (),
        since=moment((first.event or {}).get("firstTimestamp")),
    )


def port_wrong(snapshot: Snapshot) -> Candidate | None:
    """A probe asks a port that its container does not open, or a name that none of its ports has.

    Where the container opens one port only, the probe is led to that one.
    """
    for found in _any_failing(snapshot):
        first = found[0]
        if not (wrong := _wrong_port(first)):
            continue
        numbers = sorted({int(item["containerPort"]) for item in first.container.spec.get("ports") or ()})
        proposed = str(numbers[0]) if len(numbers) == 1 else ""
        remedy = Remedy(
            advice=f"Correct the probe: it asks {wrong}.",
            action="FixProbePort" if proposed and snapshot.target.kind == "Deployment" else "",
            facts=_facts(first) | ({"probe.port.proposed": proposed} if proposed else {}),
        )
        summary = f"The {first.kind} probe of container {first.container.name} fails: it asks {wrong}."
        told = evidence(first.container.pod, first.field, _port(first.probe), f"it asks {wrong}")
        return _concluded(snapshot, "ProbePortWrong", summary, 0.82 if first.event else 0.72, found, remedy, told)
    return None


def _port(probe: Obj) -> object:
    handler = probe.get("httpGet") or probe.get("tcpSocket") or probe.get("grpc") or {}
    return handler.get("port")


def _wrong_port(row: Failing) -> str:
    """Say what is wrong with the probe's port: a name that no port has, or a number that the container does not list; empty when fine."""
    port, declared = _port(row.probe), row.container.spec.get("ports") or ()
    if port is None or re.search(r"statuscode: \d", row.words):
        return ""
    if isinstance(port, str) and not port.isdecimal():
        return "" if any(item.get("name") == port for item in declared) else f"port {port!r}, and the container has no port of that name"
    numbers = sorted({int(item["containerPort"]) for item in declared})
    if not numbers or int(str(port)) in numbers:
        return ""
    return f"port {port}, and the container opens {', '.join(map(str, numbers))}"


def path_wrong(snapshot: Snapshot) -> Candidate | None:
    """A probe asks for a path that the program does not have: it answers 404 or 405, so it runs, and the probe is at fault."""
    for found in _any_failing(snapshot):
        path = (found[0].probe.get("httpGet") or {}).get("path")
        if path and _ABSENT.search(found[0].words):
            summary = f"The {found[0].kind} probe of container {found[0].container.name} asks for {path}, which the program does not have."
            told = evidence(found[0].container.pod, f"{found[0].field}.httpGet.path", path, "what it asks for")
            remedy = Remedy(advice="Correct the path of the probe.", facts=_facts(found[0]))
            return _concluded(snapshot, "ProbePathWrong", summary, 0.83, found, remedy, told)
    return None


def scheme_wrong(snapshot: Snapshot) -> Candidate | None:
    """A probe speaks HTTP where the program speaks HTTPS, or the other way round."""
    for found in _any_failing(snapshot):
        handler = found[0].probe.get("httpGet")
        if handler and _SCHEME.search(found[0].words):
            scheme = handler.get("scheme", "HTTP")
            summary = f"The {found[0].kind} probe of container {found[0].container.name} speaks {scheme}, and the program does not."
            told = evidence(found[0].container.pod, f"{found[0].field}.httpGet.scheme", scheme, "how it asks")
            remedy = Remedy(advice="Set the probe's scheme to what the program speaks.", facts=_facts(found[0]))
            return _concluded(snapshot, "ProbeSchemeWrong", summary, 0.8, found, remedy, told)
    return None


def too_strict(snapshot: Snapshot) -> Candidate | None:
    """A probe gives the program less time than it needs: it allows few late answers, or kills a slow starter before it is up.

    More failures are allowed then. A program is taken for a slow starter whose port is shut at each probe, that lives no longer than the
    liveness probe lets it from its start, and that has no startup probe.
    """
    for found in _any_failing(snapshot):
        first, allowed = found[0], int(found[0].probe.get("failureThreshold", _LENIENT))
        late = allowed < _LENIENT and _TIMED_OUT.search(first.words)
        if not late and not _cut_short(first):
            continue
        remedy = Remedy(
            advice="Let the probe fail more often before it counts, or give it a longer timeoutSeconds.",
            action="RelaxProbe" if snapshot.target.kind == "Deployment" else "",
            facts=_facts(first)
            | {
                "probe.failureThreshold.current": str(allowed),
                "probe.failureThreshold.proposed": str(_RAISED if late else _SLOW * allowed),
            },
        )
        told = evidence(first.container.pod, f"{first.field}.failureThreshold", allowed, "so many failures are allowed")
        why = (
            f"counts {allowed} late answers as failure"
            if late
            else f"kills it {_allowance(first.probe):.0f} s after each start, before it is up"
        )
        summary = f"The {first.kind} probe of container {first.container.name} {why}: too strict."
        return _concluded(snapshot, "ProbeTooStrict", summary, 0.72 if late else 0.68, found, remedy, told)
    return None


def _allowance(probe: Obj) -> float:
    """Return for how many seconds from its start a program may fail a probe."""
    return float(probe.get("initialDelaySeconds", 0)) + float(probe.get("periodSeconds", 10)) * float(
        probe.get("failureThreshold", _LENIENT)
    )


def _cut_short(row: Failing) -> bool:
    """Tell whether a liveness probe kills a program that was never up: each life ends when the probe's patience from the start does."""
    container, ended = row.container, next(iter(row.container.ends()), None)
    grace = float(container.pod["spec"].get("terminationGracePeriodSeconds") or 30)
    patience, period = _allowance(row.probe), float(row.probe.get("periodSeconds", 10))
    shut = row.kind == "liveness" and "connection refused" in row.words and not container.spec.get("startupProbe") and not _wrong_port(row)
    if not shut or ended is None or ended.exit_code not in SIGNALLED:
        return False
    return patience - 2 * period <= ended.ran.total_seconds() <= patience + period + grace


def throttled(snapshot: Snapshot) -> Candidate | None:
    """A container with a small CPU limit answers its probes too late: it is throttled at its limit.

    No metrics are read, so this is a likely cause and no certain one. The limit is doubled, as far as quota and nodes allow.
    """
    for found in _any_failing(snapshot):
        first, limit = found[0], found[0].container.limit("cpu")
        if limit is None or parse_quantity(limit) > _SMALL_CPU or not _TIMED_OUT.search(first.words):
            continue
        current = parse_quantity(limit)
        most = min((row.amount for row in ceilings(snapshot, first.container.spec, "cpu", current)), default=2 * current)
        amount = min(2 * current, most)
        proposed = f"{int(amount * 1000)}m" if amount > current else ""
        remedy = Remedy(
            advice="Raise the container's CPU limit, or take it off.",
            action="IncreaseCPULimits" if proposed and snapshot.target.kind == "Deployment" else "",
            facts=_facts(first) | {"cpu.limit.current": limit} | ({"cpu.limit.proposed": proposed} if proposed else {}),
        )
        told = evidence(
            first.container.pod, f"spec.containers[{first.container.name}].resources.limits.cpu", limit, "how little it may use"
        )
        summary = f"Container {first.container.name} answers too late, and may use {limit} CPU at most: it is throttled."
        return _concluded(snapshot, "CPUThrottled", summary, 0.74, found, remedy, told, fields=("resources",))
    return None


def hangs(snapshot: Snapshot) -> Candidate | None:
    """A program that served does not answer in time any more, and nothing about it was changed: it hangs.

    One pod of several is made anew; where all hang, all are replaced. What they have in common is to be looked at all the same.
    """
    found = [row for row in failing(snapshot, "readiness") if _TIMED_OUT.search(row.words) and _served(row.container)]
    if not found:
        return None
    pods, first = {row.container.pod["metadata"]["name"]: row.container.pod for row in found}, found[0].container.pod
    single = len(pods) == 1 and (snapshot.subject.kind == "Pod" or any(pod_ready(pod) for pod in live_pods(snapshot)))
    whole = snapshot.target.kind == "Deployment"
    action = "RestartPod" if single and first["metadata"].get("ownerReferences") else "RestartDeployment" if whole and not single else ""
    remedy = Remedy(
        advice="Look at its threads and what it waits for; starting it anew helps for a while.",
        action=action,
        target=first if action == "RestartPod" else None,
        facts=_facts(found[0]) | {"pod.uid": str(first["metadata"].get("uid") or "")},
    )
    since = condition(first, "Ready").get("lastTransitionTime")
    told = evidence(first, "status.conditions[Ready].lastTransitionTime", since, "it was ready before that, long after its start")
    names = ", ".join(sorted(pods)[:3])
    return _concluded(
        snapshot, "ApplicationHangs", f"The program in {names} served and does not answer any more.", 0.7, found, remedy, told
    )


def _served(container: Container) -> bool:
    """Tell whether the present process was ready before: a pod that never was keeps the time of its creation in its Ready condition."""
    lost, started = moment(condition(container.pod, "Ready").get("lastTransitionTime")), container.running_since
    return lost is not None and started is not None and lost > started


RULES = (
    Rule("ProbePortWrong", port_wrong, explains=SYMPTOMS),
    Rule("ProbePathWrong", path_wrong, explains=SYMPTOMS),
    Rule("ProbeSchemeWrong", scheme_wrong, explains=SYMPTOMS),
    Rule(
        "CPUThrottled",
        throttled,
        explains=frozenset({"LivenessProbeFailing", "ReadinessProbeFailing", "StartupProbeFailing", "ProbeTooStrict", "ApplicationHangs"}),
    ),
    Rule(
        "ProbeTooStrict",
        too_strict,
        explains=frozenset({"LivenessProbeFailing", "ReadinessProbeFailing", "StartupProbeFailing", "ApplicationHangs"}),
    ),
    Rule("ApplicationHangs", hangs, explains=frozenset({"ReadinessProbeFailing"})),
    Rule("LivenessProbeFailing", liveness, explains=frozenset({"ReadinessProbeFailing", "ApplicationCrash"})),
    Rule("StartupProbeFailing", startup, explains=frozenset({"ReadinessProbeFailing", "LivenessProbeFailing", "ApplicationCrash"})),
    Rule("ReadinessProbeFailing", readiness),
)
