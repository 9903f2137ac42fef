"""A phone's browser: Debian's Chromium without a window, driven over its own debugging protocol."""

import asyncio
import itertools
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from tests.world import eventually

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="not run: no browser here; on Debian: apt-get install chromium")
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
SECONDS = 60.0


@dataclass
class Tab:
    """The one page that is open."""

    wire: aiohttp.ClientWebSocketResponse
    complaints: list[str] = field(default_factory=list)
    """What the browser itself complained of, such as a breach of the page's Content-Security-Policy."""
    _numbers: Any = field(default_factory=itertools.count)
    _loaded: int = 0

    async def ask(self, method: str, **params: Any) -> Any:
        """Send a command; return its result."""
        number = next(self._numbers)
        await self.wire.send_json({"id": number, "method": method, "params": params})
        while (heard := await self._hear()).get("id") != number:
            pass
        assert "error" not in heard, heard
        return heard["result"]

    async def go(self, url: str) -> None:
        """Open a page, and wait until it is there."""
        before = self._loaded
        await self.ask("Page.navigate", url=url)
        await self._until_loaded(before)

    async def press(self, selector: str) -> None:
        """Press a button that leads to another page, and wait until that is there."""
        before = self._loaded
        await self.run(f"document.querySelector('{selector}').click()")
        await self._until_loaded(before)

    async def run(self, script: str) -> Any:
        """Return what a script gives."""
        return (await self.ask("Runtime.evaluate", expression=script, returnByValue=True))["result"].get("value")

    async def still(self) -> bool:
        """Tell whether the page is there as a whole."""
        return bool(await self.run("document.readyState") == "complete")

    async def _until_loaded(self, before: int) -> None:
        while self._loaded == before:
            await self._hear()

    async def _hear(self) -> Any:
        heard = await self.wire.receive_json(timeout=SECONDS)
        if heard.get("method") == "Page.loadEventFired":
            self._loaded += 1
        if heard.get("method") == "Log.entryAdded":
            self.complaints.append(heard["params"]["entry"]["text"])
        return heard


@asynccontextmanager
async def phone(directory):
    """Run a browser with one page as wide as a phone's; its files go into the directory."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-port=0")
    nowhere = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        str(CHROMIUM), *options, f"--user-data-dir={directory}", "about:blank", stdout=nowhere, stderr=nowhere
    )

    async def port():
        file = directory / "DevToolsActivePort"
        return file.exists() and file.read_text().split("\n")[0]

    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{await eventually(port, seconds=SECONDS)}") as http:
            async with http.get("/json/list") as listed:
                [page] = [each for each in await listed.json() if each["type"] == "page"]
            async with http.ws_connect(page["webSocketDebuggerUrl"]) as wire:
                tab = Tab(wire)
                for domain in ("Page", "Log"):
                    await tab.ask(f"{domain}.enable")
                await tab.ask("Emulation.setDeviceMetricsOverride", **PHONE)
                await eventually(tab.still, seconds=SECONDS)  # else the empty page's own end of loading would be taken for another's
                yield tab
    finally:
        process.terminate()
        await process.wait()
