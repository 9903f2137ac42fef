"""Whether a foreign cluster rolls workloads out: what tests of actions need, and an API server alone does not do."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor

from kubernaut.api import core
from kubernaut.kube.client import Client
from tests.world import eventually

NEEDED = "rollouts"
"""The fixture that says so."""
WITHOUT = "no Deployment of image app:1 gets ready there within 20 seconds, and tests of actions need that"
_LABELS = {"app": "probe"}
_DEPLOYMENT = {
    "metadata": {"name": "probe"},
    "spec": {
        "selector": {"matchLabels": _LABELS},
        "template": {"metadata": {"labels": _LABELS}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}},
    },
}


def happen(kubeconfig: str) -> bool:
    """Roll out a Deployment in a namespace of its own; say whether it got ready."""
    with ThreadPoolExecutor(1) as pool:  # a loop that is none of the tests'
        return pool.submit(asyncio.run, _try(kubeconfig)).result()


async def _try(kubeconfig: str) -> bool:
    client = Client.from_kubeconfig(kubeconfig)
    namespace = f"kubernaut-probe-{secrets.token_hex(3)}"
    try:
        await client.create(core.NAMESPACE, {"metadata": {"name": namespace}})
        try:
            return await _gets_ready(client, namespace)
        finally:
            await client.delete(core.NAMESPACE, namespace)
    finally:
        await client.close()


async def _gets_ready(client: Client, namespace: str) -> bool:
    await client.create(core.DEPLOYMENT, {**_DEPLOYMENT, "metadata": {"name": "probe", "namespace": namespace}})

    async def ready() -> bool:
        found = await client.get(core.DEPLOYMENT, "probe", namespace)
        return bool((found.get("status") or {}).get("availableReplicas"))

    try:
        return bool(await eventually(ready))
    except TimeoutError:
        return False
