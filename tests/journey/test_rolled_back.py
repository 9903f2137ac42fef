"""A fix after which things are worse is taken back by itself; one that helped never is."""

from copy import deepcopy
from dataclasses import replace
from functools import partial

from kubernaut.analysis.settings import PlanMode
from kubernaut.api import core
from kubernaut.api.approval import Decision
from kubernaut.api.execution import KubernetesExecution, UndoOutcome
from kubernaut.api.remediation import Outcome, Phase, RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment, Verdict
from tests.journey.stage import NAMESPACE, playing, settings_for, told
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
    await one_falls_sick(stage)
    await stage.alert()
    await stage.decide(Decision.APPROVED)
    return await stage.until(RemediationRequest, lambda each: each.status.phase is Phase.VERIFYING)


async def test_a_fix_after_which_things_are_worse_is_taken_back_and_people_are_called(tmp_path):
    async with playing(tmp_path, played=fragile(), settings=partial(settings_for, mode=PlanMode.STEPS)) as stage:
        before = (await stage.deployment())["spec"]
        async with stage.alerting():
            await begun_to_verify(stage)
            assert (await stage.deployment())["spec"] != before
            await stage.client.delete(core.CONFIG_MAP, FLAGS, NAMESPACE)
            request = await stage.ended()
        assert (request.status.phase, request.status.outcome) == (Phase.COMPLETED, Outcome.ROLLED_BACK)
        assert stage.only(EffectivenessAssessment).status.verdict is Verdict.WORSE
        assert "were ready before" in request.status.message
        undo = stage.only(KubernetesExecution).status.undo
        assert undo is not None
        assert (undo.outcome, undo.automatic) == (UndoOutcome.UNDONE, True)
        assert (await stage.deployment())["spec"] == before
        message = await stage.message(f"{request.metadata.name}-escalation-verification")
        assert "taken back" in message.spec.body
        await stage.unlocked()


async def test_a_fix_that_helped_is_never_taken_back(tmp_path):
    async with playing(tmp_path, played=fragile(), settings=partial(settings_for, mode=PlanMode.STEPS)) as stage:
        async with stage.alerting():
            await begun_to_verify(stage)
            request = await stage.ended()
        assert request.status.outcome is Outcome.REMEDIATED
        assert stage.only(KubernetesExecution).spec.undo is None
        assert (await stage.deployment())["metadata"]["generation"] == 2
