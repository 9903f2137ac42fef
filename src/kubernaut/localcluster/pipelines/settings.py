"""What the pipeline runner is told at its start."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.podlogs import PodLogs


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Program:
    """What stands in for a container image: directories put first on PATH, more environment, and the image's entrypoint."""

    image: str
    """A pattern (`*`, `?`, `[]`) over the whole image reference of a step."""
    path: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    """Run by a step that has neither script nor command."""


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """Settings of the runner; none has anything to do with the Tekton objects themselves."""

    state: Path
    """Directory for the private directories of TaskRuns; kept over restarts, else steps under way are taken for lost."""
    kubeconfig: Callable[[str], Obj]
    """Gives the kubeconfig by which a holder of a token reaches the API from this machine; asked anew at each start."""
    token_for: Callable[[str, str], str]
    """Gives a bearer token of a ServiceAccount, by namespace and name."""
    bundles: Mapping[str, Path] = field(default_factory=dict)
    """OCI image layout directories by registry or repository prefix."""
    images: tuple[Program, ...] = ()
    """Programs by image; the first match counts, and an image without one cannot be pulled."""
    clock: Callable[[], datetime] = _now
    log_bytes: int = 64 << 10
    """How much of a step's output is kept, from its end."""
    grace: timedelta = timedelta(seconds=2)
    """Between SIGTERM and SIGKILL for a step that must end."""
    pull_back_off: timedelta = timedelta(seconds=1)
    """Between the first failed pull of an image and giving up (on a real node about 15 s)."""
    resolution_timeout: timedelta = timedelta(minutes=1)
    logs: PodLogs | None = None
    """Where the output of steps is published as the logs of the Pods that TaskRuns name."""

    def program(self, image: str) -> Program | None:
        """Return what stands in for an image."""
        return next((program for program in self.images if fnmatchcase(image, program.image)), None)
