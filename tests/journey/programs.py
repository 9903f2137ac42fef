"""Processes of ours that are killed and started again, as the kernel and a Deployment would."""

import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp


@dataclass
class Program:
    """One `kubernaut` command in a process of its own; its log goes on over all its lives."""

    arguments: tuple[str, ...]
    env: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0

    def start(self) -> None:
        """Begin a life; in a session of its own, so that it gets its share of the processors like any other program."""
        command = [sys.executable, "-m", "kubernaut.cli.main", *self.arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log, start_new_session=True)

    def alive(self) -> subprocess.Popen[bytes]:
        """Return the process; fail when it has ended by itself."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        return self.process

    async def has(self, path: Path) -> bool:
        """Tell whether it has written a file yet."""
        return self.alive() is not None and path.exists()

    async def answers(self, url: str) -> bool:
        """Tell whether it serves yet."""
        self.alive()
        with suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as http, http.get(url) as answer:
                return answer.status == 200
        return False

    def kill(self) -> None:
        """End it as the kernel does, at whatever instruction it is."""
        process = self.alive()
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.deaths += 1

    def stop(self) -> None:
        """End it for good, if it has not ended."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def lines(self) -> int:
        """Return how many lines it has logged."""
        return self.log.read_bytes().count(b"\n")
