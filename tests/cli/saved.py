"""Saved objects for the commands that diagnose: the worlds of the analysis' tests, as files."""

from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner, Result

from kubernaut.api.base import Obj
from kubernaut.cli.main import app
from tests.analysis.world import NS, OOM, World, container, crash_loop

SICK = World(containers=[container(memory="128Mi")], statuses=[[crash_loop(OOM)]] * 3)
WELL = World()


def objects(world: World, environment: str = "production") -> list[Obj]:
    """Return all objects of a world, in a namespace with an environment, and what every cluster has besides."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS, "labels": {"environment": environment}}}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": NS}}
    return [namespace, lease, world.deployment(), *world.replica_sets(), *world.pods(), *world.nodes, *world.events]


def save(directory: Path, *found: Obj, name: str = "all.yaml") -> Path:
    """Write objects into a file of a directory; return the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(yaml.safe_dump_all([plain(obj) for obj in found]))
    return directory


def plain(value: Any) -> Any:
    """Return a value that YAML can write without references."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def kubernaut(*arguments: object, code: int = 0) -> Result:
    """Run a command to its end."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result
