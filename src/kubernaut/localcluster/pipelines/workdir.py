"""The private directory of one attempt of a TaskRun, and how the paths of a container are mapped into it.

A step cannot be given a file system of its own without privileges, so `/tekton/…`, `/workspace/…` and mounted paths in its
script, command, arguments, environment and working directory are rewritten to places under this directory. The directory
of the runner's state must therefore have no blanks in its path.
"""

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines.processes import StepProcess

MAX_MESSAGE = 4096
_BASE = ("/tekton", "/workspace")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DEFAULT_SHEBANG = "#!/bin/sh\nset -e\n"
_RESULT, _INTERNAL = 1, 3


class WorkDir:
    """One attempt's directory: `root` stands for the containers' `/`."""

    def __init__(self, directory: Path, mounts: Mapping[str, Path]) -> None:
        """Take the directory and further mounted paths by the path a step knows them by."""
        self.directory = directory
        self._root = directory / "root"
        self._mounts = {**{path: self._root / path[1:] for path in _BASE}, **mounts}
        paths = "|".join(re.escape(path) for path in sorted(self._mounts, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<![\w.)/}}-])({paths})(?=/|[^\w.-]|$)")

    @property
    def made(self) -> bool:
        """Whether the directory was made ready, by this process or one before it."""
        return (self.directory / "made").exists()

    @property
    def kubeconfig(self) -> Path:
        """The steps' kubeconfig."""
        return self.directory / "kubeconfig"

    def make(self, steps: Iterable[Obj]) -> None:
        """Make all directories; steps name theirs under /tekton/steps."""
        for name in ("results", "home", "scripts", "creds", "artifacts", "tmp"):
            (self._root / "tekton" / name).mkdir(parents=True, exist_ok=True)
        for step in steps:
            (self._root / "tekton" / "steps" / f"step-{step['name']}" / "results").mkdir(parents=True, exist_ok=True)
        for path in self._mounts.values():
            path.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        (self.directory / "made").touch()

    def process(self, position: int) -> StepProcess:
        """Return the process of a step."""
        return StepProcess(self.directory / f"step-{position}")

    def mapped(self, value: Any) -> Any:
        """Return the structure with container paths turned into local ones."""
        if isinstance(value, str):
            return self._pattern.sub(lambda match: str(self._mounts[match[1]]), value)
        if isinstance(value, list):
            return [self.mapped(item) for item in value]
        return {key: self.mapped(item) for key, item in value.items()} if isinstance(value, dict) else value

    def argv(self, step: Obj, position: int, entrypoint: Iterable[str]) -> list[str]:
        """Return what to execute: the script as a file, the command, or the entrypoint; then the arguments."""
        args = [str(arg) for arg in self.mapped(step.get("args", []))]
        if script := step.get("script"):
            return [str(self._script(script, position)), *args]
        return [*self.mapped(list(step.get("command") or entrypoint)), *args]

    def _script(self, text: str, position: int) -> Path:
        path = self._root / "tekton" / "scripts" / f"script-{position}"
        body = text if text.startswith("#!") else _DEFAULT_SHEBANG + text
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o700)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self.mapped(body))
        return path

    def environment(self, step: Obj, path: Iterable[Path], extra: Mapping[str, str]) -> dict[str, str]:
        """Return a clean environment: nothing of this process's own."""
        given = {entry["name"]: str(entry.get("value", "")) for entry in step.get("env", [])}
        base = {
            "PATH": ":".join([*(str(directory) for directory in path), _SYSTEM_PATH]),
            "HOME": "/tekton/home",
            "TMPDIR": "/tekton/tmp",
            "LANG": "C.UTF-8",
            "KUBECONFIG": str(self.kubeconfig),
        }
        mapped: dict[str, str] = self.mapped({**base, **extra, **given})
        return mapped

    def cwd(self, step: Obj) -> str:
        """Return the working directory, which is made if need be; without one it is /workspace."""
        path = Path(self.mapped(step.get("workingDir") or "/workspace"))
        if path.is_relative_to(self.directory):
            path.mkdir(parents=True, exist_ok=True)
        return str(path)

    def results(self, names: Iterable[str]) -> dict[str, str]:
        """Return the results written so far by name; more than the limit of one is never read."""
        found = {}
        for name in names:
            path = self._root / "tekton" / "results" / name
            if path.is_file():
                with path.open(encoding="utf-8", errors="replace") as file:
                    found[name] = file.read(MAX_MESSAGE + 1)
        return found


async def discard(directory: Path) -> None:
    """End what still runs in an attempt's directory and delete it."""
    for step in _steps(directory):
        await StepProcess(step).stop()
    shutil.rmtree(directory, ignore_errors=True)


def _steps(directory: Path) -> list[Path]:
    return sorted(directory.glob("step-*"))


def termination_message(results: Mapping[str, str]) -> str:
    """Return a step's message: the JSON Tekton's entrypoint writes, or an empty string without results."""
    return _json([{"key": name, "value": value, "type": _RESULT} for name, value in results.items()]) if results else ""


def too_large(results: Mapping[str, str], started: str) -> bool:
    """Tell whether results and bookkeeping are more than a termination message can hold."""
    rows = [{"key": name, "value": value, "type": _RESULT} for name, value in results.items()]
    return len(_json([*rows, {"key": "StartedAt", "value": started, "type": _INTERNAL}]).encode()) > MAX_MESSAGE


def _json(rows: list[Obj]) -> str:
    text = orjson.dumps(rows).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
