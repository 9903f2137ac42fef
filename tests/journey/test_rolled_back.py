"""A fix after which things are worse is taken back by itself; one that helped never is."""

from functools import partial

import pytest

from kubernaut.analysis.settings import PlanMode
from kubernaut.api.execution import KubernetesExecution, UndoOutcome
from kubernaut.api.remediation import Outcome, Phase
from kubernaut.api.verification import EffectivenessAssessment, Verdict
from kubernaut.api.workflow import WorkflowExecution
from tests.journey.fragile import begun_to_verify, fragile, made_worse
from tests.journey.stage import playing, settings_for

MODES = pytest.mark.parametrize("mode", PlanMode, ids=lambda mode: mode.value)


def fix_of(stage, mode):
    """Return the object that is asked to take the fix back: of a run from the catalogue it is the run's own."""
    return stage.only(WorkflowExecution if mode is PlanMode.CATALOGUE else KubernetesExecution)


@MODES
async def test_a_fix_after_which_things_are_worse_is_taken_back_and_people_are_called(tmp_path, mode):
    async with playing(tmp_path, played=fragile(), settings=partial(settings_for, mode=mode)) as stage:
        before = (await stage.deployment())["spec"]
        async with stage.alerting():
            request = await made_worse(stage)
        assert (request.status.phase, request.status.outcome) == (Phase.COMPLETED, Outcome.ROLLED_BACK)
        assert stage.only(EffectivenessAssessment).status.verdict is Verdict.WORSE
        assert "were ready before" in request.status.message
        undo = fix_of(stage, mode).status.undo
        assert undo is not None
        assert (undo.outcome, undo.automatic) == (UndoOutcome.UNDONE, True)
        after = await stage.deployment()
        assert (after["spec"], after["metadata"]["generation"]) == (before, 3)
        message = await stage.message(f"{request.metadata.name}-escalation-verification")
        assert "taken back" in message.spec.body
        await stage.unlocked()


@MODES
async def test_a_fix_that_helped_is_never_taken_back(tmp_path, mode):
    async with playing(tmp_path, played=fragile(), settings=partial(settings_for, mode=mode)) as stage:
        async with stage.alerting():
            await begun_to_verify(stage)
            request = await stage.ended()
        assert request.status.outcome is Outcome.REMEDIATED
        assert fix_of(stage, mode).spec.undo is None
        assert (await stage.deployment())["metadata"]["generation"] == 2
