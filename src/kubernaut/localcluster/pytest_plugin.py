"""A pytest plugin: the fixture `localcluster`, a Kubernetes API of a test's own.

It comes with the package; where plugins are not loaded by themselves: `pytest_plugins = ["kubernaut.localcluster.pytest_plugin"]`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass(frozen=True)
class ServedCluster:
    """A running cluster, to be reached by any client."""

    url: str
    """Where it is served, by HTTPS."""
    kubeconfig_path: Path
    """A kubeconfig of its administrator."""
    token: str = field(repr=False)
    """The administrator's bearer token."""
    certificate: str = field(repr=False)
    """What to trust, as PEM."""


@pytest.fixture
def localcluster(tmp_path: Path) -> Iterator[ServedCluster]:
    """Serve an empty cluster in memory, with a node and all stand-ins, while the test lasts."""
    # pytest imports plugins at every start: what a test does not use costs it nothing
    from kubernaut.localcluster.server import ClusterSettings  # noqa: PLC0415
    from kubernaut.localcluster.threaded import threaded  # noqa: PLC0415

    with threaded(ClusterSettings(tls=True, anonymous=False)) as cluster:
        path = tmp_path / "kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(cluster.kubeconfig()), encoding="utf-8")
        yield ServedCluster(cluster.url, path, cluster.admin_token, cluster.certificate)
