"""A fix after which things are worse is taken back by itself; one that helped never is."""

from functools import partial

from kubernaut.analysis.settings import PlanMode
from kubernaut.api.execution import KubernetesExecution, UndoOutcome
from kubernaut.api.remediation import Outcome, Phase
from kubernaut.api.verification import EffectivenessAssessment, Verdict
from tests.journey.fragile import begun_to_verify, fragile, made_worse
from tests.journey.stage import playing, settings_for


async def test_a_fix_after_which_things_are_worse_is_taken_back_and_people_are_called(tmp_path):
    async with playing(tmp_path, played=fragile(), settings=partial(settings_for, mode=PlanMode.STEPS)) as stage:
        before = (await stage.deployment())["spec"]
        async with stage.alerting():
            request = await made_worse(stage)
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
