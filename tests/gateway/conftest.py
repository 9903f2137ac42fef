"""What the gateway's tests need in a cluster."""

import pytest

from kubernaut.api import core
from kubernaut.api.base import Obj

TEMPLATE: Obj = {
    "metadata": {"labels": {"app": "shop"}},
    "spec": {"containers": [{"name": "shop", "image": "registry.example/shop:1"}]},
}


@pytest.fixture
async def shop(world):
    """Give a namespace with three pods of one Deployment, which its controllers, where they run, adopt and leave alone."""
    namespace = await world.namespace("production", environment="production")
    selector = {"matchLabels": {"app": "shop"}}
    deployment = await world.create(
        core.DEPLOYMENT,
        {
            "metadata": {"name": "shop", "namespace": namespace},
            "spec": {"replicas": 3, "paused": True, "selector": selector, "template": TEMPLATE},
        },
    )
    for number in range(3):
        meta = {"name": f"shop-1-{number}", "namespace": namespace, "labels": TEMPLATE["metadata"]["labels"]}
        await world.create(core.POD, {"metadata": meta, "spec": TEMPLATE["spec"]})
    replica_set = await world.create(
        core.REPLICA_SET,
        {
            "metadata": {
                "name": "shop-1",
                "namespace": namespace,
                "labels": {"app": "shop"},
                "ownerReferences": [owner(deployment, "Deployment")],
            },
            "spec": {"replicas": 3, "selector": selector, "template": TEMPLATE},
        },
    )
    for number in range(3):
        adopted = {"metadata": {"ownerReferences": [owner(replica_set, "ReplicaSet")]}}
        await world.client.patch(core.POD, f"shop-1-{number}", namespace, adopted)
    return namespace


def owner(obj, kind):
    return {"apiVersion": "apps/v1", "kind": kind, "name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"], "controller": True}
