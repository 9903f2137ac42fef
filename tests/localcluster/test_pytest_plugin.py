import contextlib
import http.client
import os
import ssl
import subprocess
import sys
import sysconfig
from urllib.parse import urlsplit

import pytest

pytest_plugins = ["kubernaut.localcluster.pytest_plugin"]
pytestmark = pytest.mark.cluster

SUITE = """
pytest_plugins = ["kubernaut.localcluster.pytest_plugin"]

def test_first(localcluster, kubectl):
    assert "created" in kubectl(localcluster, "create", "namespace", "mine")

def test_second_sees_nothing_of_the_first(localcluster, kubectl):
    assert "mine" not in kubectl(localcluster, "get", "namespaces")
"""
CONFTEST = """
import subprocess, pytest

@pytest.fixture
def kubectl():
    def run(cluster, *words):
        done = subprocess.run(["kubectl", "--kubeconfig", str(cluster.kubeconfig_path), *words], capture_output=True, text=True)
        return done.stdout + done.stderr
    return run
"""


def test_a_test_gets_a_cluster_of_its_own(localcluster, tmp_path_factory):
    where = urlsplit(localcluster.url)
    trusted = ssl.create_default_context(cadata=localcluster.certificate)
    with contextlib.closing(http.client.HTTPSConnection(where.hostname or "", where.port, context=trusted)) as connection:
        connection.request("GET", "/api/v1/nodes", headers={"Authorization": f"Bearer {localcluster.token}"})
        assert connection.getresponse().status == 200
    assert localcluster.token not in repr(localcluster)
    assert localcluster.kubeconfig_path.stat().st_mode & 0o077 == 0


def test_the_plugin_serves_a_suite_of_somebody_else(tmp_path, tmp_path_factory):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_mine.py").write_text(SUITE)
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:looptime",
        "-p",
        "no:asyncio",
        "-W",
        "error",
        str(tmp_path),
    ]
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"}
    done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
