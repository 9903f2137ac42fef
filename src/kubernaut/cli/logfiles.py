"""Logs among saved objects: the files that `kubectl cluster-info dump`, must-gather and nodes lay beside them, and a plain layout.

Known are, below any directory given, for a container C of pod P in namespace N:

- `N/P/C.log` and `N/P/C.previous.log`;
- `N/P/logs.txt`, all containers in one file, as `kubectl cluster-info dump` writes it;
- `N/pods/P/C/C/logs/current.log` and `previous.log`, as must-gather and `oc adm inspect` write them;
- `pods/N_P_UID/C/0.log`, as they lie on a node.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from kubernaut.analysis.logs import FETCHED, Logs, Wanted, last_lines
from kubernaut.api.base import Unusable

FILES_LIMIT: Final = 50_000
TOGETHER_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of a file with the logs of several containers that are looked through, from its end."""
_ON_NODE: Final = re.compile(r"^(?P<namespace>[^_]+)_(?P<pod>[^_]+)_[^_]+$")
_SECTION: Final = re.compile(r"^==== START logs for container (?P<container>\S+) of pod (?P<pod>\S+) ====$", re.MULTILINE)
_SECTION_END: Final = "==== END logs for container "
_RUNTIME: Final = re.compile(r"^\d{4}-\d\d-\d\dT\S+ (?:stdout|stderr) [FP] ", re.MULTILINE)
"""What a container runtime writes before each line."""
_SUFFIXES: Final = {".log", ".txt"}
_TOGETHER: Final = "logs.txt"
Place = tuple[str, str, str, bool]
"""Namespace, pod, container (empty: all of them), and whether it is that of the instance before."""


class FileLogs:
    """Logs that were saved."""

    def __init__(self, files: Mapping[Place, Path]) -> None:
        self._files = files

    @classmethod
    def below(cls, paths: Sequence[Path]) -> "FileLogs":
        """Find the logs below directories; raise Unusable for too many files."""
        found: dict[Place, Path] = {}
        for path in (each for each in paths if each.is_dir()):
            for file in _log_files(path):
                if place := _place(file):
                    found.setdefault(place, file)
        return cls(found)

    async def read(self, wanted: Sequence[Wanted]) -> Logs:
        """Return the last lines of those that were saved; a log that was not saved is no log that could not be read."""
        return Logs({row.key: text for row in wanted if (text := self._text(row))})

    def _text(self, row: Wanted) -> str:
        """Return the log that is wanted, else the other instance's: where one was saved, it is better than none."""
        for previous in (row.previous, not row.previous):
            file = self._files.get((row.namespace, row.pod, row.container, previous))
            if file is not None:
                return last_lines(_RUNTIME.sub("", _tail(file)))
        together = self._files.get((row.namespace, row.pod, "", False))
        return last_lines(_section(_tail(together), row)) if together else ""


def _log_files(path: Path) -> Iterator[Path]:
    found = sorted(each for each in path.rglob("*") if each.suffix in _SUFFIXES and each.is_file())
    if len(found) > FILES_LIMIT:
        raise Unusable(f"{path}: {len(found)} log files are more than {FILES_LIMIT}")
    return iter(found)


def _place(file: Path) -> Place | None:
    """Return whose log a file is by its path, None where that says nothing."""
    match (("", "", "", "", "", "", *file.parts))[-7:]:
        case [*_, namespace, "pods", pod, container, again, "logs", name] if container == again:
            return namespace, pod, container, name == "previous.log"
        case [*_, "pods", folder, container, _] if found := _ON_NODE.match(folder):
            return found["namespace"], found["pod"], container, False
        case [*_, namespace, pod, name] if namespace and name == _TOGETHER:
            return namespace, pod, "", False
        case [*_, namespace, pod, name] if namespace and name.endswith(".log"):
            stem = name.removesuffix(".log")
            return namespace, pod, stem.removesuffix(".previous"), stem.endswith(".previous")
    return None


def _tail(file: Path) -> str:
    """Return the end of a file; of one that holds the logs of several containers, more of it."""
    limit = TOGETHER_LIMIT if file.name == _TOGETHER else FETCHED
    with file.open("rb") as opened:
        opened.seek(0, 2)
        opened.seek(max(0, opened.tell() - limit))
        return opened.read(limit).decode(errors="replace")


def _section(text: str, row: Wanted) -> str:
    """Return one container's part of a file that holds those of all."""
    for match in _SECTION.finditer(text):
        if match["container"] == row.container:
            return text[match.end() :].partition(_SECTION_END)[0].strip("\n")
    return ""
