"""Where an embedded cluster keeps its state, and how other commands find the one that runs."""

import fcntl
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import yaml

from kubernaut.api.base import Obj

LOCK = "lock"
RUNNING = "running.json"
KUBECONFIG = "kubeconfig"


def command(name: str) -> str:
    """Return what a person types for a program of ours: its name where the shell finds it, else its path."""
    if shutil.which(name):
        return name
    path = Path(sys.executable).with_name(name)
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file whole, readable by its owner alone: readers see the old one or the new one, whenever we are killed."""
    beside = path.with_name(f"{path.name}.new")
    beside.touch(mode=0o600)
    beside.write_bytes(content)
    beside.replace(path)


def state_home() -> Path:
    """Return the directory for state, as the XDG specification has it."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "kubernaut"


class PlaceTaken(Exception):  # noqa: N818  (says what is so)
    """Another process works on this state."""


@dataclass(frozen=True)
class Place:
    """The state directory of one embedded cluster."""

    path: Path

    @property
    def kubeconfig(self) -> Path:
        """The file that kubectl takes."""
        return self.path / KUBECONFIG

    @property
    def database(self) -> Path:
        """What the embedded API server keeps."""
        return self.path / "cluster.db"

    @property
    def audit(self) -> Path:
        """What data storage keeps."""
        return self.path / "audit.db"

    @property
    def answers_key(self) -> Path:
        """The key that seals links in messages."""
        return self.path / "answers.key"

    @property
    def bundles(self) -> Path:
        """The OCI image layout with the catalogue's bundles."""
        return self.path / "bundles"

    @property
    def runs(self) -> Path:
        """Private directories of pipeline steps."""
        return self.path / "runs"

    @property
    def scenario(self) -> Path:
        """What the simulated pods do."""
        return self.path / "scenario.yaml"

    def token(self) -> str:
        """Return a person's token: made once, so that a kubeconfig stays good over restarts. Only for who holds the place."""
        path = self.path / "token"
        if not path.exists():
            write_whole(path, secrets.token_hex(24).encode())
        return path.read_text(encoding="utf-8")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the directory and keep it for ourselves; raise PlaceTaken when another process has it."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.path / LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                other = self.announced()
                who = f" (process {other.pid})" if other else ""
                raise PlaceTaken(f"another kubernaut runs on {self.path}{who}: stop it, or give --state another directory") from None
            yield

    def wipe(self) -> None:
        """Forget everything; only for who holds the place."""
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != LOCK:
                entry.unlink()

    def write_kubeconfig(self, content: Obj) -> None:
        """Write the kubeconfig, readable by its owner alone."""
        write_whole(self.kubeconfig, yaml.safe_dump(content).encode())

    def announce(self, running: "Announcement") -> None:
        """Say where the services are, for other commands."""
        write_whole(self.path / RUNNING, orjson.dumps(asdict(running)))

    def announced(self) -> "Announcement | None":
        """Return where the services are, or None when nothing runs here."""
        found = self.last_announced()
        return found if found is not None and _alive(found.pid) else None

    def last_announced(self) -> "Announcement | None":
        """Return where the services are or, after a kill, where they were."""
        try:
            return Announcement(**orjson.loads((self.path / RUNNING).read_bytes()))
        except (OSError, orjson.JSONDecodeError, TypeError):
            return None

    def withdraw(self) -> None:
        """Say that nothing runs here any more."""
        (self.path / RUNNING).unlink(missing_ok=True)


@dataclass(frozen=True)
class Announcement:
    """A running embedded cluster."""

    pid: int
    api: str
    gateway: str = ""
    datastorage: str = ""
    notification: str = ""


def default_place() -> Place:
    """Return where `kubernaut up` keeps its state."""
    return Place(state_home() / "up")


def demo_place() -> Place:
    """Return where `kubernaut demo` keeps its state."""
    return Place(state_home() / "demo")


def cluster_place() -> Place:
    """Return where `kubernaut cluster start` keeps its state."""
    return Place(state_home() / "cluster")


def running_place() -> Place | None:
    """Return the embedded cluster that runs: the one whose kubeconfig is in use, else one in the usual places."""
    in_use = os.environ.get("KUBECONFIG", "")
    places = [Place(Path(in_use).parent)] if Path(in_use).name == KUBECONFIG else []
    return next((place for place in (*places, default_place(), demo_place()) if place.announced()), None)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
