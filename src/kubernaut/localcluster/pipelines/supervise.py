"""One step's guardian: a process of its own, run by path with nothing but the standard library, that outlives the runner.

`python supervise.py <directory>` reads `spec.json` there, detaches, claims the step by creating `started.json` (only one
process ever can), runs the command in a process group of its own, keeps the end of its output in `log`, and writes
`exit.json`. As long as it lives it holds the FIFO `alive` open, so that any process can tell and wait for its end.

SIGTERM asks the step to end (SIGTERM, after the grace SIGKILL); so does the deadline. If the guardian itself is killed,
the kernel kills the step (Linux): nothing goes on writing unseen.
"""

import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_LOST = 255
_NOT_STARTED = 1
_PR_SET_PDEATHSIG = 1
_CHUNK = 1 << 16
_DRAIN_SECONDS = 1.0


class Tail:
    """A file that keeps the last bytes written to it: at most twice the limit on disk."""

    def __init__(self, path: Path, limit: int) -> None:
        self._limit = limit
        self._file = path.open("w+b", buffering=0)

    def write(self, data: bytes) -> None:
        """Add to the end, dropping from the front."""
        self._file.seek(0, os.SEEK_END)
        self._file.write(data)
        if self._file.tell() > 2 * self._limit:
            self._file.seek(-self._limit, os.SEEK_END)
            kept = self._file.read()
            self._file.seek(0)
            self._file.truncate()
            self._file.write(kept)


class Guardian:
    """Runs one command to its end."""

    def __init__(self, directory: Path, spec: dict[str, Any]) -> None:
        self._directory = directory
        self._spec = spec
        self._tail = Tail(directory / "log", spec["logBytes"])
        self._interrupted = False
        self._kill_at = float("inf")
        self._deadline = spec["deadline"] or float("inf")

    def run(self) -> None:
        """Run it, and record how it ended."""
        started = time.time()
        code = self._execute()
        record = {"exitCode": code, "startedAt": started, "finishedAt": time.time(), "interrupted": self._interrupted}
        _write(self._directory / "exit.json", record)

    def _execute(self) -> int:
        wakeup = _wakeup()
        try:
            child = subprocess.Popen(  # noqa: S603 - running the step is what this is for
                self._spec["argv"],
                env=self._spec["env"],
                cwd=self._spec["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has one thread
            )
        except (OSError, IndexError) as error:
            self._tail.write(f"error executing command: {error}\n".encode())
            return _NOT_STARTED
        self._watch(child, wakeup)
        return child.returncode if child.returncode >= 0 else _LOST

    def _watch(self, child: subprocess.Popen[bytes], wakeup: int) -> None:
        assert child.stdout is not None  # noqa: S101 - asked for above
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            selector.register(wakeup, selectors.EVENT_READ)
            while child.poll() is None:
                self._look(selector, child, wakeup, min(self._kill_at, self._deadline) - time.time())
                self._press(child)
            _signal_group(child, signal.SIGKILL)
            until = time.time() + _DRAIN_SECONDS
            while child.stdout.fileno() in selector.get_map() and time.time() < until:
                self._look(selector, child, wakeup, until - time.time())

    def _look(self, selector: selectors.BaseSelector, child: subprocess.Popen[bytes], wakeup: int, wait: float) -> None:
        for key, _ in selector.select(None if wait == float("inf") else max(wait, 0)):
            data = os.read(key.fd, _CHUNK)
            if key.fd == wakeup:
                self._interrupted |= signal.SIGTERM in data
            elif data:
                self._tail.write(data)
            elif child.stdout is not None:
                selector.unregister(child.stdout)

    def _press(self, child: subprocess.Popen[bytes]) -> None:
        now = time.time()
        self._interrupted |= now >= self._deadline
        if self._interrupted and self._kill_at == float("inf"):
            self._kill_at = now + self._spec["grace"]
            self._deadline = float("inf")
            _signal_group(child, signal.SIGTERM)
        if now >= self._kill_at:
            _signal_group(child, signal.SIGKILL)


def _wakeup() -> int:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return reader


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def _write(path: Path, record: dict[str, Any]) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _claim(directory: Path) -> bool:
    try:
        with (directory / "started.json").open("x", encoding="utf-8") as file:
            json.dump({"pid": os.getpid(), "startedAt": time.time()}, file)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True


def _detach() -> None:
    os.setsid()
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)


def main(directory: Path) -> None:
    """Claim and run the step of a directory; the caller's process ends once the claim is made."""
    spec = json.loads((directory / "spec.json").read_text(encoding="utf-8"))
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        os.read(reader, 1)
        return
    _detach()
    alive = os.open(directory / "alive", os.O_RDWR)
    claimed = _claim(directory)
    os.close(writer)
    if claimed:
        Guardian(directory, spec).run()
    os.close(alive)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
