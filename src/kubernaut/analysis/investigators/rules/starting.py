"""Starting: containers whose program never ran, in the words of kubelet and the runtime, and init containers that never end."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from kubernaut.analysis.containers import Container, Ended, containers, names_of
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.crashes import NO_COMMAND, NOT_STARTED, crashes, last_words, meaning, not_started, spoken
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, told_by
from kubernaut.analysis.investigators.rules.remedies import Regression, Remedy, concluded, in_container, regression
from kubernaut.analysis.rollouts import Change
from kubernaut.analysis.snapshot import Snapshot

REFUSED = frozenset(
    {
        *("CreateContainerError", "CreateContainerConfigError", "RunContainerError"),
        *("PostStartHookError", "PreStartHookError", "PreCreateHookError"),
    }
)
"""Why a container waits that kubelet or the runtime cannot start."""
_NO_PROGRAM = re.compile(
    r"executable file .{0,300}not found|exec[: ].{0,300}(no such file|permission denied|not found|is a directory|format error)"
    r"|no command specified|cannot execute",
    re.IGNORECASE,
)
_OF_A_MOUNT = re.compile(r"\bmount", re.IGNORECASE)
_HANGS = timedelta(minutes=10)
"""An init container that runs for longer is believed to wait for something that does not come."""


@dataclass(frozen=True, slots=True)
class Start:
    """A container that could not be started, and who says why in which words."""

    container: Container
    words: str
    told: Evidence
    ended: Ended | None = None

    @property
    def lacks_program(self) -> bool:
        """Tell whether it is its command that cannot be run: by the words, or by the exit code where there are none."""
        if self.words and not (self.ended and self.ended.exit_code in NO_COMMAND):
            return bool(_NO_PROGRAM.search(self.words)) and not _OF_A_MOUNT.search(self.words)
        return self.ended is not None


def starts(snapshot: Snapshot) -> Iterator[Start]:
    """Yield the containers whose program could not be started: those that ended so, and those that wait for it."""
    for container, ended in crashes(snapshot):
        if not_started(ended):
            code = told_by(container, f"{ended.where}.terminated.exitCode", ended.exit_code, meaning(ended.exit_code))
            yield Start(container, spoken(ended.message), last_words(container, ended) if ended.message else code, ended)
    for container in containers(snapshot):
        words = str(container.waiting.get("message") or "")
        if container.waiting.get("reason") in REFUSED and not any(ended.reason in NOT_STARTED for ended in container.ends()):
            yield Start(container, spoken(words), told_by(container, "state.waiting.message", words, "why it is not started"))


def command_not_found(snapshot: Snapshot) -> Candidate | None:
    """The container's command does not exist in its image, or is no executable: exit code 126 or 127, or the runtime could not start it.

    When a recent roll-out changed image, command or arguments and the revision before worked, going back is the remedy.
    """
    found = [row for row in starts(snapshot) if row.lacks_program]
    if not found:
        return None
    about = in_container(found[0].container, "image", "command", "args", "workingDir", "volumeMounts")
    says = "its command cannot be run"
    return _concluded(snapshot, "CommandNotFound", says, 0.8, found, "Correct the container's command, or the image that lacks it.", about)


def container_not_started(snapshot: Snapshot) -> Candidate | None:
    """Kubelet or the runtime cannot start a container, for a reason that no other rule knows: their words say it.

    When it came with a recent roll-out and the revision before worked, going back is the remedy.
    """
    found = [row for row in starts(snapshot) if not row.lacks_program]
    if not found:
        return None
    about = in_container(found[0].container, "image", "command", "args", "env", "volume", "security", "lifecycle", "resources")
    advice = "Read the runtime's words: what they name is a mount, a device, a hook, or the runtime of the node itself."
    return _concluded(snapshot, "ContainerNotStarted", "the runtime cannot start it", 0.59, found, advice, about)


def _concluded(
    snapshot: Snapshot, cause: str, says: str, base: float, found: list[Start], advice: str, about: Callable[[Change], bool]
) -> Candidate:
    rows = [row.container for row in found if row.container.name == found[0].container.name]
    first, pods = found[0], [row.pod for row in rows]
    back = regression(snapshot, pods, about, unproven=True)
    count = told_by(first.container, "restartCount", first.container.restarts, "how often kubelet tried again")
    lasting = 0.05 if max(row.restarts for row in rows) > 1 or len(rows) > 1 or first.container.waiting else -0.1
    ended = {"exit.code": str(first.ended.exit_code)} if first.ended else {}
    return concluded(
        snapshot,
        cause,
        f"Container {rows[0].name} of {names_of(rows)} does not stay up: {says}.",
        base + lasting,
        (first.told, count),
        Remedy(advice=advice, facts={"container": rows[0].name} | ended),
        pods=pods,
        back=back,
        since=min((row.ended.finished for row in found if row.ended and row.ended.finished), default=None),
    )


def init_hangs(snapshot: Snapshot) -> Candidate | None:
    """An init container runs and runs, so that the pod's own containers are never started: it waits for something, or never ends.

    What it waits for explains it, where that is known. When it came with a recent roll-out and the revision before worked, going back is
    the remedy.
    """
    rows = [row for row in containers(snapshot) if _hangs(row, snapshot)]
    if not rows:
        return None
    first, back = rows[0], _brought(snapshot, rows)
    since = first.running_since
    said = (
        told_by(first, "state.running.startedAt", first.status["state"]["running"]["startedAt"], "it has run since, and is to end"),
        told_by(first, "restartCount", first.restarts, "how often kubelet started it again"),
    )
    remedy = Remedy(advice="Read the init container's log and command: what it waits for does not come.", facts={"container": first.name})
    summary = f"Init container {first.name} of {names_of(rows)} does not end, so the pod never starts."
    return concluded(snapshot, "InitContainerHangs", summary, 0.66, said, remedy, pods=[row.pod for row in rows], back=back, since=since)


def _hangs(row: Container, snapshot: Snapshot) -> bool:
    since = row.running_since
    return row.init and row.spec.get("restartPolicy") != "Always" and since is not None and snapshot.at - since >= _HANGS


def _brought(snapshot: Snapshot, rows: list[Container]) -> Regression | None:
    return regression(snapshot, [row.pod for row in rows], in_container(rows[0]))


RULES = (
    Rule("CommandNotFound", command_not_found, explains=SYMPTOMS),
    Rule("ContainerNotStarted", container_not_started, explains=frozenset({"ReadinessProbeFailing"})),
    Rule("InitContainerHangs", init_hangs, explains=frozenset({"ReadinessProbeFailing"})),
)
