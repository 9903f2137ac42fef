"""`kubernaut up` as a user runs it: one process, its state in a directory of the test's own."""

import json
import os
import pty
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.logs import as_before

KUBECTL = Path(sys.executable).with_name("kubectl")
PATIENCE = 60


@pytest.fixture(autouse=True)
def _logging_is_left_alone():
    """Commands that run in this very process configure logging."""
    with as_before():
        yield


@dataclass
class Shell:
    """A shell of a user whose home is the test's directory."""

    home: Path

    @property
    def env(self):
        return {
            "PATH": f"{KUBECTL.parent}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "COLUMNS": "200",
            "LANG": "C.UTF-8",
        }

    def start(self, *arguments, **changes):
        """Start kubernaut; give the process."""
        return subprocess.Popen([sys.executable, "-m", "kubernaut.cli.main", *arguments], env=self.env, text=True, **changes)

    def kubernaut(self, *arguments, code=0):
        """Run kubernaut to its end; return what it printed."""
        done = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text, _ = done.communicate(timeout=PATIENCE)
        assert done.returncode == code, text
        return text

    def at_terminal(self, *arguments, typed, code=1):
        """Run kubernaut with a terminal as its input, and type something; return what it printed."""
        ours, its = pty.openpty()
        with os.fdopen(ours, "wb", buffering=0) as keyboard, os.fdopen(its, "rb") as terminal:
            started = self.start(*arguments, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            keyboard.write(typed.encode())
            text, _ = started.communicate(timeout=PATIENCE)
        assert started.returncode == code, text
        return text

    def kubectl(self, *arguments, code=0, stdin=None):
        """Run the real kubectl against the running cluster; return what it printed."""
        env = self.env | {"KUBECONFIG": str(self.place / "kubeconfig")}
        done = subprocess.run([KUBECTL, *arguments], env=env, text=True, input=stdin, capture_output=True, timeout=PATIENCE, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def watched(self, *arguments, until):
        """Run a kubectl that watches until it prints a line with a text; return the line."""
        env = self.env | {"KUBECONFIG": str(self.place / "kubeconfig")}
        watching = subprocess.Popen([KUBECTL, *arguments], env=env, stdout=subprocess.PIPE, text=True)
        assert watching.stdout is not None
        line = next(line for line in watching.stdout if until in line)
        watching.terminate()
        watching.communicate(timeout=PATIENCE)
        return line.strip()

    @property
    def place(self):
        """Where `kubernaut up` keeps its state."""
        return self.home / "state" / "kubernaut" / "up"

    def running(self):
        """Return what the running cluster announced."""
        return json.loads((self.place / "running.json").read_text())


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Give a user's shell with nothing running."""
    return Shell(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def up(shell):
    """Keep `kubernaut up` running for the tests of a module; stopped as Ctrl-C stops it."""
    process = shell.start("up", "--free-ports", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C stops it" in line:
            break
    assert process.poll() is None, "".join(lines)
    yield shell
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
