"""What `cluster dump` writes, `cluster load` makes again: for every kind that can be created."""

import json
from pathlib import Path

import pytest
import yaml

from kubernaut.cli.dumping import dump_all
from kubernaut.cli.loading import load_all
from kubernaut.localcluster import ClusterSettings, LocalCluster

EVERY_KIND = Path(__file__).with_name("every_kind.yaml")
UNMADE = {"Binding", "Event"}
"""A binding is stored nowhere; of the two faces of events, core's is dumped."""


def config(cluster, path):
    path.write_text(json.dumps(cluster.kubeconfig()))
    return path


async def dumped(kubeconfig):
    told: list[str] = []
    await dump_all(kubeconfig, "", told.append)
    return "".join(told)


def objects(text):
    """Return the objects of a dump by kind and name, without what every cluster gives anew."""
    found = {}
    for obj in yaml.load_all(text, Loader=yaml.CSafeLoader):
        if obj:
            found[obj["kind"], obj["metadata"].get("namespace"), obj["metadata"].pop("name")] = _bare(obj)
    return found


def _bare(value):
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items() if key not in {"uid", "lastTransitionTime"}}
    return [_bare(item) for item in value] if isinstance(value, list) else value


@pytest.fixture
async def first(tmp_path):
    """The dump of a cluster with one object of every kind."""
    async with LocalCluster(ClusterSettings(tls=True)) as cluster:
        kubeconfig = config(cluster, tmp_path / "first")
        said: list[str] = []
        assert await load_all(kubeconfig, [EVERY_KIND], "default", said.append) == 0, said
        made = {obj["kind"] for obj in yaml.load_all(EVERY_KIND.read_text(), Loader=yaml.CSafeLoader)}
        served = {kind.kind for kind in cluster.registry.catalog if {"create", "list"} <= set(kind.verbs)}
        assert served - made - UNMADE <= {"Namespace", "CustomResourceDefinition"}
        yield await dumped(kubeconfig)


async def test_a_dump_loads_into_the_same_objects(first, tmp_path):
    (tmp_path / "dump.yaml").write_text(first)
    async with LocalCluster(ClusterSettings(tls=True)) as cluster:
        kubeconfig = config(cluster, tmp_path / "second")
        said: list[str] = []
        assert await load_all(kubeconfig, [tmp_path / "dump.yaml"], "default", said.append) == 0, said
        assert objects(await dumped(kubeconfig)) == objects(first)
