"""A real registry (Debian's docker-registry) on a free port, with or without a password."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.daemons import free_port
from tests.world import eventually

PROGRAM = shutil.which("docker-registry")
needs_registry = pytest.mark.skipif(PROGRAM is None, reason="not run: no registry here; on Debian: apt-get install docker-registry")
USER, PASSWORD = "kim", "s3cret"
HASHED = "$2b$04$neVWf0GazSO0hkjmSzWNyusoQ6N.iCJZYBGMDFUCKgPAaT5OZRroG"
"""The password, by bcrypt: the registry takes no other form."""


@dataclass(frozen=True)
class Registry:
    """A running registry."""

    host: str
    root: Path


@asynccontextmanager
async def registry(path: Path, *, password: bool = False) -> AsyncIterator[Registry]:
    """Run one while the context lasts."""
    assert PROGRAM is not None
    host = f"127.0.0.1:{free_port()}"
    config = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(path / "data")}},
        "http": {"addr": host},
    }
    if password:
        (path / "htpasswd").write_text(f"{USER}:{HASHED}\n", encoding="utf-8")
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(path / "htpasswd")}}
    (path / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "serve", str(path / "config.yml"), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _listening(host, process)
        yield Registry(host, path / "data")
    finally:
        process.terminate()
        await process.wait()


async def _listening(host: str, process: asyncio.subprocess.Process) -> None:
    name, _, port = host.partition(":")

    async def answers() -> bool:
        assert process.returncode is None, "the registry has ended"
        with suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection(name, int(port))
            writer.close()
            await writer.wait_closed()
            return True
        return False

    await eventually(answers)
