"""HolmesGPT's process: started when it is first needed, kept warm (loading it takes ten seconds), started anew when it has died.

It runs in a virtual environment of its own, with no variables but those it needs, a home that goes with it, and no key.
"""

import asyncio
import os
import signal
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson
import structlog

from kubernaut.analysis.investigators.base import plain
from kubernaut.analysis.investigators.holmesgpt import metrics, program
from kubernaut.analysis.investigators.holmesgpt.settings import HolmesGPTSettings

LINE_LIMIT: Final = 1024 * 1024
TOOL_MEMORY_MB: Final = "4096"
"""Of address space: kubectl reserves more than HolmesGPT grants it by itself, and dies."""
LOGGED: Final = 20
"""Lines of its last words that are kept."""

log = structlog.get_logger(__name__)


class Away(Exception):  # noqa: N818  (a plain statement)
    """HolmesGPT cannot be asked, or did not answer."""


@dataclass(slots=True)
class _Life:
    """One life of the process."""

    process: asyncio.subprocess.Process
    home: TemporaryDirectory[str]
    waiting: dict[str, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    last_words: deque[str] = field(default_factory=lambda: deque(maxlen=LOGGED))


class HolmesProcess:
    """Asks HolmesGPT over a pipe, one JSON line a question."""

    def __init__(self, settings: HolmesGPTSettings) -> None:
        self._settings = settings
        self._life: _Life | None = None
        self._starting = asyncio.Lock()
        self._count = 0

    @property
    def pid(self) -> int | None:
        """The process that is alive, if one is."""
        return self._life.process.pid if self._life else None

    async def ask(self, talk: str, system: str, say: str, *, url: str, key: str) -> str:
        """Return HolmesGPT's answer to what is said in a conversation; raise Away."""
        life = await self._alive()
        self._count += 1
        name = str(self._count)
        answer = life.waiting[name] = asyncio.get_running_loop().create_future()
        line = {"id": name, "talk": talk, "system": system, "say": say, "url": url, "key": key}
        try:
            await _write(life, line)
            found = await answer
        finally:
            life.waiting.pop(name, None)
        if not found["ok"]:
            raise Away(plain(found["fault"]))
        return str(found["text"])

    async def forget(self, talk: str) -> None:
        """Drop a conversation."""
        if self._life is not None:
            with suppress(Away):
                await _write(self._life, {"forget": talk})

    async def close(self) -> None:
        """End the process and whatever it started."""
        life, self._life = self._life, None
        if life is not None:
            await _end(life)

    async def _alive(self) -> _Life:
        async with self._starting:
            if self._life is None:
                self._life = await self._start()
            return self._life

    async def _start(self) -> _Life:
        home = TemporaryDirectory(prefix="kubernaut-holmesgpt-", ignore_cleanup_errors=True)
        try:
            process = await asyncio.create_subprocess_exec(
                self._settings.python,
                "-I",
                program.__file__,
                orjson.dumps(self._config()).decode(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment(home.name),
                cwd=home.name,
                start_new_session=True,
                limit=LINE_LIMIT,
            )
        except OSError as fault:
            home.cleanup()
            raise Away(f"HolmesGPT cannot be started: {fault.strerror} ({self._settings.python})") from fault
        except asyncio.CancelledError:
            home.cleanup()
            raise
        metrics.STARTS.inc()
        return await self._settled(_Life(process, home))

    async def _settled(self, life: _Life) -> _Life:
        """Wait until HolmesGPT is loaded."""
        life.tasks.append(asyncio.create_task(_hear(life)))
        try:
            async with asyncio.timeout(self._settings.start_timeout.total_seconds()):
                assert life.process.stdout is not None  # noqa: S101  (it was asked for)
                first = await life.process.stdout.readline()
        except TimeoutError as fault:
            await _end(life)
            raise Away("HolmesGPT took too long to load") from fault
        except asyncio.CancelledError:
            await _end(life)
            raise
        if not first:
            await _end(life)
            raise Away(f"HolmesGPT ended while it was loading: {_words(life)}")
        log.info("HolmesGPT is loaded", tools=orjson.loads(first)["ready"], pid=life.process.pid)
        life.tasks.append(asyncio.create_task(self._listen(life)))
        return life

    async def _listen(self, life: _Life) -> None:
        """Hand out answers until the process ends; then nobody waits in vain."""
        assert life.process.stdout is not None  # noqa: S101  (it was asked for)
        try:
            while line := await life.process.stdout.readline():
                found = orjson.loads(line)
                answer = life.waiting.get(found["id"])
                if answer is not None and not answer.done():
                    answer.set_result(found)
        except ValueError:
            log.warning("HolmesGPT said something that is no answer")
        if self._life is life:
            self._life = None
        await _end(life, but=asyncio.current_task())

    def _config(self) -> dict[str, Any]:
        found = self._settings
        tools = list(found.toolsets) if found.kubeconfig else []
        return {"model": found.model, "toolsets": tools, "max_steps": found.steps, "at_once": found.at_once}

    def _environment(self, home: str) -> dict[str, str]:
        found = self._settings
        wait = found.call_timeout + found.retries.total
        return {
            "HOME": home,
            "PATH": found.path,
            "TMPDIR": home,
            "KUBECONFIG": found.kubeconfig or str(Path(home) / "none"),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LLM_REQUEST_TIMEOUT": f"{wait.total_seconds() + 30:g}",
            "NO_PROXY": "*",
            "OVERRIDE_MAX_CONTENT_SIZE": str(found.context_tokens),
            "OVERRIDE_MAX_OUTPUT_TOKEN": str(found.answer_tokens),
            "TOOL_MEMORY_LIMIT_MB": TOOL_MEMORY_MB,
        }


async def _write(life: _Life, line: dict[str, Any]) -> None:
    assert life.process.stdin is not None  # noqa: S101  (it was asked for)
    try:
        life.process.stdin.write(orjson.dumps(line) + b"\n")
        await life.process.stdin.drain()
    except (ConnectionError, RuntimeError) as fault:
        raise Away("HolmesGPT's process has died") from fault


async def _hear(life: _Life) -> None:
    """Keep its last words, which tell why it died."""
    assert life.process.stderr is not None  # noqa: S101  (it was asked for)
    while part := await life.process.stderr.read(4096):
        life.last_words.extend(plain(line) for line in part.decode(errors="replace").splitlines() if line.strip())


def _words(life: _Life) -> str:
    return life.last_words[-1] if life.last_words else "it said nothing"


async def _end(life: _Life, *, but: asyncio.Task[Any] | None = None) -> None:
    """Kill a life's process group, let nobody wait for it, and clear its home away."""
    with suppress(ProcessLookupError):
        os.killpg(life.process.pid, signal.SIGKILL)
    await life.process.wait()
    for answer in life.waiting.values():
        if not answer.done():
            answer.set_exception(Away("HolmesGPT's process died half-way"))
    for task in life.tasks:
        if task is not but:
            task.cancel()
    await asyncio.gather(*(task for task in life.tasks if task is not but), return_exceptions=True)
    life.home.cleanup()
