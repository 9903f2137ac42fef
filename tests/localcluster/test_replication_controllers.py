"""Kinds that are stored and have no effect, node heartbeats, and what kubectl's prune asks for."""

import asyncio
import json

import pytest

from kubernaut.localcluster import ClusterSettings
from kubernaut.localcluster.threaded import threaded
from tests.localcluster.http import EXAMPLE, configmap
from tests.localcluster.test_kubectl import KUBECTL
from tests.world import eventually

PATH = f"/api/v1/namespaces/{EXAMPLE}/replicationcontrollers"
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}}


async def test_a_replication_controller_is_kept_scaled_and_shown(cluster, http):
    assert cluster.url
    made = await http.post(PATH, {"metadata": {"name": "rc"}, "spec": {"template": TEMPLATE}})
    assert (made.status, made.body["spec"]["selector"], made.body["spec"]["replicas"]) == (201, {"app": "a"}, 1)
    scaled = await http.patch(f"{PATH}/rc/scale", {"spec": {"replicas": 3}})
    assert (scaled.body["spec"]["replicas"], scaled.body["status"]["selector"]) == (3, "app=a")
    table = (await http.get(PATH, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})).body
    assert [column["name"] for column in table["columnDefinitions"]][:4] == ["Name", "Desired", "Current", "Ready"]


@pytest.fixture
def running():
    with threaded(ClusterSettings(tls=True)) as cluster:
        yield cluster


async def test_prune_removes_what_is_no_longer_applied(running, tmp_path):
    config = tmp_path / "config"
    config.write_text(json.dumps(running.kubeconfig()))

    async def kubectl(*words, give=""):
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            str(KUBECTL), "--kubeconfig", str(config), "--cache-dir", str(tmp_path / "c"), *words, stdin=pipe, stdout=pipe, stderr=pipe
        )
        out, err = await process.communicate(give.encode())
        assert process.returncode == 0, err
        return out.decode()

    both = [configmap(name) | {"metadata": {"name": name, "labels": {"set": "one"}}} for name in ("kept", "gone")]
    await kubectl("apply", "-f", "-", give="\n---\n".join(map(json.dumps, both)))
    assert "configmap/gone pruned" in await kubectl("apply", "--prune", "-l", "set=one", "-f", "-", give=json.dumps(both[0]))

    async def beats():
        return "node-1" in await kubectl("get", "leases", "-n", "kube-node-lease")

    await eventually(beats)
