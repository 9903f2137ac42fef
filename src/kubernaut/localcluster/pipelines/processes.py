"""A step as a local process that survives this one: started, waited for and stopped through its guardian (`supervise.py`).

What is known of it stands in its directory, so a runner that starts anew takes it up where it is: not begun, under way
(the guardian holds `alive` open), ended (`exit.json`) or lost (begun, but neither). A step is never begun twice.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubernaut.localcluster.pipelines import supervise

LOST = 255
_MAX_ERROR = 4096
_LAUNCHERS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="step-launcher")


@dataclass(frozen=True, slots=True)
class Command:
    """What the guardian is told."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    logBytes: int  # noqa: N815 - a field of the guardian's JSON
    grace: float
    deadline: float
    """Seconds since the epoch, zero for none."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a step ended; a lost one counts as ended with 255."""

    code: int
    started: datetime
    finished: datetime
    interrupted: bool
    pid: int


class NotStarted(Exception):  # noqa: N818 - an outcome
    """The guardian could not be started."""


class StepProcess:
    """The process of one step, by its directory."""

    def __init__(self, directory: Path) -> None:
        """Take the step's own directory, which need not exist yet."""
        self._directory = directory

    @property
    def begun(self) -> bool:
        """Whether the step was ever begun."""
        return (self._directory / "started.json").exists()

    @property
    def log(self) -> Path:
        """The file with the end of the step's output."""
        return self._directory / "log"

    @property
    def pid(self) -> int:
        """The guardian's process id."""
        return int(self._started()["pid"])

    async def start(self, command: Command) -> None:
        """Begin the step, unless it was begun before, and even where the caller is cancelled meanwhile; raise NotStarted."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._directory / "alive", 0o600)
        _private(self._directory / "spec.json", json.dumps(asdict(command)))
        launch = _LAUNCHERS.submit(self._launch)
        try:
            await asyncio.wrap_future(launch)
        except asyncio.CancelledError:
            # a guardian half way up cannot be called back: see it through, so that it can be stopped
            wait((launch,))
            raise

    def _launch(self) -> None:
        argv = [sys.executable, "-I", "-S", str(Path(supervise.__file__)), str(self._directory)]
        nothing = subprocess.DEVNULL
        done = subprocess.run(argv, stdin=nothing, stdout=nothing, stderr=subprocess.PIPE, check=False)  # noqa: S603 - our own program
        if done.returncode or not self.begun:
            raise NotStarted(done.stderr[-_MAX_ERROR:].decode(errors="replace"))

    async def ended(self) -> Exit:
        """Wait until the step has ended, and return how."""
        await _closed(self._directory / "alive")
        return self._exit()

    async def stop(self) -> None:
        """Ask the step to end and wait until it has; its guardian kills it after the grace."""
        if _held(self._directory / "alive"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            await _closed(self._directory / "alive")

    def note(self, line: str) -> None:
        """Add a line to the output of a step that has ended."""
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def _started(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self._directory / "started.json").read_text(encoding="utf-8"))
        return record

    def _exit(self) -> Exit:
        begun = self._started()
        path = self._directory / "exit.json"
        if not path.exists():
            moment = _moment(begun["startedAt"])
            return Exit(LOST, moment, moment, interrupted=True, pid=begun["pid"])
        record = json.loads(path.read_text(encoding="utf-8"))
        return Exit(record["exitCode"], _moment(record["startedAt"]), _moment(record["finishedAt"]), record["interrupted"], begun["pid"])


def _private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _open(fifo: Path) -> int:
    return os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)


def _silent(descriptor: int) -> bool:
    # nobody holds the other end: end of file; somebody does: nothing to read yet
    try:
        return os.read(descriptor, 1) == b""
    except BlockingIOError:
        return False


def _held(fifo: Path) -> bool:
    if not fifo.exists():
        return False
    descriptor = _open(fifo)
    try:
        return not _silent(descriptor)
    finally:
        os.close(descriptor)


async def _closed(fifo: Path) -> None:
    if not _held(fifo):
        return
    descriptor = _open(fifo)
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    try:
        if not _silent(descriptor):
            loop.add_reader(descriptor, gone.set)
            await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
