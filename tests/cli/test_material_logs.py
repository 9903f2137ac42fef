"""Logs of a live cluster: `kubernaut investigate` reads what the API serves of containers that crash."""

from datetime import UTC, datetime
from pathlib import Path

import orjson

from kubernaut.analysis.investigators.rules.investigator import RuleInvestigator
from kubernaut.api.base import ResourceIdentifier
from kubernaut.cli.material import of_cluster
from kubernaut.cli.playing import Theatre, signal_about
from kubernaut.kube.client import Client
from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.settings import Settings
from tests.analysis.noise import plural_of
from tests.analysis.world import CRASHED, NS, T0, World, crash_loop
from tests.cli.saved import objects

WORDS = "starting\nFATAL: password authentication failed for user app (password=hunter2)\n"
CRASHING = World(statuses=[[crash_loop(CRASHED)]] * 3)


def stored(cluster: LocalCluster) -> None:
    """Put a Deployment that crashes into a cluster as it is, past its controllers."""
    for obj in objects(CRASHING):
        group, slash, _ = obj["apiVersion"].rpartition("/")
        kind = cluster.api.kind(group if slash else "", plural_of(obj["kind"]))
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        cluster.registry.store.put(kind.stored, key, orjson.loads(orjson.dumps(obj)))


async def test_the_log_of_the_instance_that_crashed_tells_why(tmp_path: Path):
    async with LocalCluster(ClusterSettings()) as cluster:
        stored(cluster)
        cluster.logs.publish(lambda _namespace, _pod, _container, *, previous=False: WORDS if previous else "starting\n")
        (tmp_path / "kubeconfig").write_bytes(orjson.dumps(cluster.kubeconfig()))
        client = Client.from_kubeconfig(str(tmp_path / "kubeconfig"))
        try:
            material = await of_cluster(client, (NS,), T0)
            target = ResourceIdentifier(kind="Deployment", name="checkout", namespace=NS)
            theatre = Theatre(material, Settings(), [RuleInvestigator()])
            found = (await theatre.play(signal_about(target, datetime.now(UTC), name="Test", severity="critical"))).finding
        finally:
            await client.close()
    assert (found.cause.name, found.cause.evidence[0].field) == ("CredentialsRejected", "log[app]")
    assert "hunter2" not in repr(found)
