"""A PostgreSQL of our own: in a directory of its own, behind a Unix socket, as a user that it accepts when we are root."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

PORT = 5432
OPTIONS = "-c listen_addresses='' -c fsync=off -c full_page_writes=off -c max_connections=60 -c shared_buffers=64MB"
DURABLE = "-c listen_addresses='' -c max_connections=60 -c shared_buffers=256MB -c max_wal_size=4GB"
USER = "postgres"


class Postgres:
    """A server that can be stopped and started."""

    def __init__(self, home: Path, options: str) -> None:
        self._home = home
        self._options = options
        self._names = count()

    def make(self) -> None:
        """Make its files."""
        self._run("initdb", "-D", self._data, "-U", USER, "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-k {self._home} -p {PORT} {self._options}"
        self._run("pg_ctl", "-D", self._data, "-w", "-t", "60", "-l", str(self._home / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Stop it as a crash would."""
        self._run("pg_ctl", "-D", self._data, "-w", "-t", "60", "-m", "immediate", "stop")

    def database(self) -> str:
        """Make an empty database; return its URL."""
        name = f"audit_{next(self._names)}"
        self.sql(f"CREATE DATABASE {name}")
        return f"postgresql+asyncpg://{USER}@/{name}?host={self._home}&port={PORT}"

    def sql(self, statement: str, name: str = "postgres") -> None:
        """Run a statement."""
        self._run("psql", "-h", str(self._home), "-p", str(PORT), "-U", USER, "-q", "-v", "ON_ERROR_STOP=1", "-c", statement, name)

    @property
    def _data(self) -> str:
        return str(self._home / "data")

    def _run(self, program: str, *arguments: str) -> None:
        who = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"] if os.geteuid() == 0 else []
        done = subprocess.run([*who, _found(program), *arguments], cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 0, f"{program}: {done.stderr.decode(errors='replace')}"


def _found(program: str) -> str:
    """Return a program of PostgreSQL's, which Debian keeps off the path."""
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    found = str(beside[-1]) if beside else shutil.which(program)
    assert found, f"{program} is not there: tools/system_packages.sh installs PostgreSQL (apt-get install postgresql)"
    return found


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """Run a server while the context lasts."""
    home = Path(tempfile.mkdtemp(prefix="kubernaut-postgres-", dir="/tmp"))
    if os.geteuid() == 0:
        user = pwd.getpwnam(USER)
        os.chown(home, user.pw_uid, user.pw_gid)
    server = Postgres(home, DURABLE if durable else OPTIONS)
    try:
        server.make()
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)
