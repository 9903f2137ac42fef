"""Debian's own Alertmanager and Prometheus, run for a test in a directory of its own."""

import asyncio
import random
import shutil
import socket
from contextlib import asynccontextmanager

import aiohttp
import yaml

from tests.world import eventually

ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
PATIENCE = 60.0
SELDOM = 15_000, 32_000
"""Ports below those that Linux gives away by itself."""


@asynccontextmanager
async def alertmanager(directory, routes):
    """Run Alertmanager; give its URL."""
    (directory / "alertmanager.yml").write_text(yaml.safe_dump(routes))
    address = f"127.0.0.1:{free_port()}"
    arguments = (
        f"--config.file={directory}/alertmanager.yml",
        f"--storage.path={directory}/data",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    )
    async with _running(ALERTMANAGER, arguments, directory / "log", address) as url:
        yield url


@asynccontextmanager
async def prometheus(directory, samples):
    """Run Prometheus over samples in OpenMetrics' text; give its URL."""
    (directory / "prometheus.yml").write_text("scrape_configs: []\n")
    (directory / "samples").write_text(f"{samples}# EOF\n")
    filled = await asyncio.create_subprocess_exec(
        str(PROMTOOL), "tsdb", "create-blocks-from", "openmetrics", f"{directory}/samples", f"{directory}/tsdb", stdout=-3
    )
    assert await filled.wait() == 0
    address = f"127.0.0.1:{free_port()}"
    arguments = (
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/tsdb",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={address}",
    )
    async with _running(PROMETHEUS, arguments, directory / "log", address) as url:
        yield url


@asynccontextmanager
async def _running(program, arguments, log, address):
    """Run a daemon until the body ends; enter it once it says that it is ready."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(str(program), *arguments, stdout=output, stderr=output)
    try:
        await eventually(lambda: _ready(f"http://{address}"), seconds=PATIENCE)
        yield f"http://{address}"
    finally:
        process.terminate()
        await process.wait()


def free_port():
    """Return a port that a program may take in a moment: none of those that the kernel gives to whoever asks for any, or for a connection."""
    while True:
        with socket.socket() as probe:
            port = random.SystemRandom().randrange(*SELDOM)
            if probe.connect_ex(("127.0.0.1", port)):
                return port


async def _ready(url):
    try:
        async with aiohttp.ClientSession() as http, http.get(url + "/-/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
