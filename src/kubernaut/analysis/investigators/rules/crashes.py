"""Crashes: a container whose process ends by itself again and again, read by its exit code and last words."""

from dataclasses import replace

from kubernaut.analysis.containers import Container, Ended, containers, names_of
from kubernaut.analysis.investigators.base import TEXT_LIMIT, Evidence
from kubernaut.analysis.investigators.rules.complaints import telling
from kubernaut.analysis.investigators.rules.judging import Candidate, Rule, evidence, keys, place, sure, told_by
from kubernaut.analysis.investigators.rules.remedies import Regression, Remedy, concluded, in_container, regression
from kubernaut.analysis.snapshot import Snapshot

_KILLED = frozenset({137, 143})
"""SIGKILL and SIGTERM: sent by someone else, so no crash of its own."""
_SIGNALS = {132: "an illegal instruction", 134: "an abort", 135: "a bus error", 136: "an arithmetic fault", 139: "a segmentation fault"}
NO_COMMAND = frozenset({126, 127})
NOT_STARTED = frozenset({"StartError", "ContainerCannotRun", "RunContainerError"})
_MEANING = {
    1: "a general error of the program",
    2: "a misuse of the command line, or an unhandled fault of the program",
    126: "the command is no executable",
    127: "the command was not found",
    128: "the command could not be started",
    255: "a general error of the program",
}

_LOG_TAIL = 4096
Crash = tuple[Container, Ended]


def crashes(snapshot: Snapshot) -> list[Crash]:
    """Return the containers that ended badly of their own accord within the window, and have not recovered."""
    found = []
    for container in containers(snapshot):
        ended = next(iter(container.ends()), None)
        if ended and _own_fault(container, ended) and not container.recovered(snapshot.at):
            found.append((container, _with_log(snapshot, container, ended)))
    return [(container, ended) for container, ended in found if ended.finished is None or ended.finished >= snapshot.since]


def _with_log(snapshot: Snapshot, container: Container, ended: Ended) -> Ended:
    """Return the end with the log's last lines, where there is no termination message."""
    log = snapshot.logs.get(container.key, "")
    return replace(ended, message=telling(log)[-_LOG_TAIL:], logged=True) if log and not ended.message else ended


def last_words(container: Container, ended: Ended) -> Evidence:
    """Return what the program said at its end, and where that stands."""
    if ended.logged:
        return evidence(container.pod, f"log[{container.name}]", ended.message[-TEXT_LIMIT:], "the last lines of the program's log")
    return told_by(container, f"{ended.where}.terminated.message", ended.message, "the program's last words")


def _own_fault(container: Container, ended: Ended) -> bool:
    if ended.reason == "OOMKilled" or ended.exit_code in _KILLED or ended.exit_code == 0:
        return False
    return container.restarts > 0 or not container.ready


def not_started(ended: Ended) -> bool:
    """Tell whether the program never ran: the runtime could not start it, or its shell did not find it."""
    return ended.reason in NOT_STARTED or ended.exit_code in NO_COMMAND


def spoken(text: str) -> str:
    """Return words as they were meant: programs that log JSON escape quotes and line ends; cut to a bound."""
    return text[:_LOG_TAIL].replace('\\\\"', '"').replace('\\"', '"').replace("\\n", "\n")


def application_crash(snapshot: Snapshot) -> Candidate | None:
    """The program itself ends with an error, again and again.

    The exit code and the termination message say how. When it began with a recent roll-out and the revision before worked, going back is
    the remedy. Otherwise a person must read its log: starting it again is what kubelet does already, so no restart is recommended.
    """
    found = [(container, ended) for container, ended in crashes(snapshot) if not not_started(ended) and not container.init]
    if not found:
        return None
    said = f"its program ends with exit code {found[0][1].exit_code} ({meaning(found[0][1].exit_code)})"
    return _candidate(
        snapshot,
        found,
        "ApplicationCrash",
        0.68,
        said,
        "Read the container's log of before the crash; a restart would not help, kubelet does that already.",
    )


def init_failing(snapshot: Snapshot) -> Candidate | None:
    """An init container fails again and again, so that the pod's own containers are never started: its last words say why.

    When it came with a recent roll-out and the revision before worked, going back is the remedy.
    """
    found = [(container, ended) for container, ended in crashes(snapshot) if not not_started(ended) and container.init]
    if not found:
        return None
    code = found[0][1].exit_code
    said = f"it is an init container and ends with exit code {code} ({meaning(code)}), so the pod never starts"
    return _candidate(
        snapshot, found, "InitContainerFailing", 0.74, said, "Read the init container's log: what it prepares or waits for fails."
    )


def killed(snapshot: Snapshot) -> Candidate | None:
    """A container is ended by a signal again and again, and neither memory nor a probe accounts for it: somebody sends it.

    A parent process, a node that shuts down, or a child process that the kernel killed for memory.
    """
    rows = [row for row in containers(snapshot) if row.restarts > 1 and not row.recovered(snapshot.at)]
    found = [(row, ended) for row in rows for ended in row.ends()[:1] if ended.exit_code in _KILLED and ended.reason != "OOMKilled"]
    if not found:
        return None
    says = f"it is ended by a signal (exit code {found[0][1].exit_code}) again and again"
    advice = "Look for what sends the signal: a probe, a child process killed for memory, or a node that shuts down."
    return _candidate(snapshot, found, "ContainerKilled", 0.58, says, advice)


def loop_unexplained(snapshot: Snapshot) -> Candidate | None:
    """A container is in a crash loop, and nothing is left that tells how it ended."""
    rows = [row for row in containers(snapshot) if row.waiting.get("reason") == "CrashLoopBackOff" and not row.ends()]
    if not rows:
        return None
    back = regression(snapshot, [row.pod for row in rows], unproven=True)
    first = rows[0]
    message = first.waiting.get("message") or "CrashLoopBackOff"
    said = (told_by(first, "state.waiting.message", message, "kubelet starts it again and again"),)
    remedy = Remedy(advice="Read the container's log of before the crash: kubectl logs --previous.", facts={"container": first.name})
    summary = f"Container {first.name} of {names_of(rows)} does not stay up; how it ended is not on record."
    return concluded(snapshot, "CrashLoopUnexplained", summary, 0.62, said, remedy, pods=[row.pod for row in rows], back=back)


def ends_cleanly(snapshot: Snapshot) -> Candidate | None:
    """A container that should stay up ends with exit code 0: its program is no server, or was told to do one thing and stop."""
    rows = [container for container in containers(snapshot) if _ends_cleanly(container, snapshot)]
    if not rows:
        return None
    found = [(container, container.ends()[0]) for container in rows]
    return _candidate(
        snapshot,
        found,
        "ContainerExitsCleanly",
        0.72,
        "its program ends by itself without an error, so it is started for ever",
        "Give it a command that stays, or make it a Job.",
    )


def _ends_cleanly(container: Container, snapshot: Snapshot) -> bool:
    stays = container.pod["spec"].get("restartPolicy", "Always") == "Always"
    ended = next(iter(container.ends()), None)
    clean = ended is not None and ended.exit_code == 0 and ended.reason in {"Completed", ""}
    return stays and clean and not container.init and container.restarts > 1 and not container.recovered(snapshot.at)


def meaning(code: int) -> str:
    """Say what an exit code means, by the shell's and the kernel's conventions."""
    return _SIGNALS.get(code) or _MEANING.get(code, "an error of the program's own numbering")


def _candidate(
    snapshot: Snapshot, found: list[Crash], cause: str, base: float, says: str, advice: str, fields: tuple[str, ...] = ()
) -> Candidate:
    rows = [container for container, _ in found if container.name == found[0][0].name]
    back = _regression(snapshot, rows, fields)
    summary = f"Container {rows[0].name} of {names_of(rows)} does not stay up: {says}."
    repeated = 0.05 if max(row.restarts for row in rows) > 1 or len(rows) > 1 else -0.1
    down = 0.0 if any(not row.ready for row in rows) else -0.15
    facts = {"container": rows[0].name, "exit.code": str(found[0][1].exit_code)}
    return Candidate(
        cause=cause,
        summary=f"{summary} {back.sentence()}" if back else summary,
        confidence=sure(base, repeated, down, back.weight if back else 0.0),
        target=snapshot.target,
        evidence=_evidence(rows[0], found[0][1]) + (back.evidence() if back else ()),
        action=back.action if back else "",
        advice="" if back else advice,
        facts=(back.facts(snapshot) if back else place(snapshot)) | facts,
        subjects=keys(rows),
        since=min((ended.finished for _, ended in found if ended.finished), default=None),
    )


def _regression(snapshot: Snapshot, rows: list[Container], fields: tuple[str, ...]) -> Regression | None:
    pods = [row.pod for row in rows]
    if not fields:
        return regression(snapshot, pods, unproven=True)
    return regression(snapshot, pods, in_container(rows[0], *fields), unproven=True)


def _evidence(container: Container, ended: Ended) -> tuple[Evidence, ...]:
    code = told_by(container, f"{ended.where}.terminated.exitCode", ended.exit_code, meaning(ended.exit_code))
    count = told_by(container, "restartCount", container.restarts, "how often kubelet started it again")
    words = last_words(container, ended) if ended.message else None
    return (code, count, words) if words else (code, count)


_PROBES = frozenset({"ReadinessProbeFailing"})
RULES = (
    Rule("InitContainerFailing", init_failing, explains=frozenset({"ReadinessProbeFailing", "ApplicationCrash"})),
    Rule("ApplicationCrash", application_crash, explains=_PROBES),
    Rule("ContainerExitsCleanly", ends_cleanly, explains=_PROBES),
    Rule("ContainerKilled", killed, explains=_PROBES),
    Rule("CrashLoopUnexplained", loop_unexplained, explains=_PROBES),
)
