"""A story in which a fix can be made to look harmful: after it, no pod is ready any more, for a reason that the cluster does not show."""

from copy import deepcopy
from dataclasses import replace

from kubernaut.api import core
from kubernaut.api.approval import Decision
from kubernaut.api.remediation import Phase, RemediationRequest
from tests.journey.stage import NAMESPACE, told
from tests.world import eventually

FLAGS = "flags"
"""A ConfigMap without which no pod is ready: nothing in the cluster says so."""


def fragile():
    """Return the story with pods of which one can be made sick, and which are ready only while the flags are there."""
    played = told()
    scenario, objects = deepcopy(played.scenario), deepcopy(played.objects)
    [rule] = scenario["rules"]
    match = rule["match"]
    rule["match"] = {**match, "labels": {"sick": "yes"}}
    until = {"config": {"configMap": FLAGS, "key": "warm"}}
    scenario["rules"].append({"match": match, "probeFails": {"probe": "readiness", "until": until}})
    deployment = next(each for each in objects if each["kind"] == "Deployment")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    container["readinessProbe"] = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": FLAGS, "namespace": NAMESPACE}, "data": {"warm": "1"}})
    return replace(played, scenario=scenario, objects=objects)


async def one_falls_sick(stage):
    """Wait until all pods are well, then let one of them need more memory than it may have."""

    async def well():
        status = (await stage.deployment()).get("status", {})
        return status.get("readyReplicas") == 3

    await eventually(well, seconds=30)
    pods = await stage.objects(core.POD, NAMESPACE)
    body = {"metadata": {"labels": {"sick": "yes"}}}
    await stage.client.patch(core.POD, pods[0]["metadata"]["name"], NAMESPACE, body)


async def begun_to_verify(stage):
    """Let the case come to where the fix is in."""
    await one_falls_sick(stage)
    await stage.alert()
    await stage.decide(Decision.APPROVED)
    return await stage.until(RemediationRequest, lambda each: each.status.phase is Phase.VERIFYING)


async def made_worse(stage):
    """Let the case come to where the fix is in, and everything go wrong then; return how it ended."""
    await begun_to_verify(stage)
    await stage.client.delete(core.CONFIG_MAP, FLAGS, NAMESPACE)
    return await stage.ended()
