"""The system as it is wired when settings want HolmesGPT asked: it is asked, and where it cannot be, the rules' answer stands and says so."""

import asyncio
from datetime import timedelta

from kubernaut import wiring
from kubernaut.analysis.investigators.holmesgpt.settings import HolmesGPTSettings, When
from kubernaut.api.analysis import Phase
from kubernaut.kube.manager import Manager
from kubernaut.settings import Settings
from tests.analysis.checkout import approving, ask, deploy, offer
from tests.analysis.conftest import QUICK, SYSTEM


def wanting(asked: When) -> Settings:
    holmesgpt = HolmesGPTSettings(asked=asked, python="/nowhere/python", endpoint="http://127.0.0.1:9/v1", model="none")
    analysis = QUICK.model_copy(update={"preview_timeout": timedelta(milliseconds=1), "holmesgpt": holmesgpt})
    return Settings(analysis=analysis)


async def asked_about(bench, settings):
    """Return the analysis of a known case, as the wired stage leaves it to a person."""
    await deploy(bench)
    await offer(bench)
    manager = Manager(bench.client, bench.clock, name="analysis", namespace=SYSTEM)
    wiring.add_controllers(manager, settings, {"analysis"}, records=None, escalations=None)
    task = asyncio.create_task(manager.run())
    await ask(bench)
    found = await bench.until(approving)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return found.status


async def test_holmesgpt_that_settings_want_is_asked_and_its_absence_is_told(bench):
    status = await asked_about(bench, wanting(When.ALWAYS))
    assert (status.phase, status.investigator, status.root_cause_analysis.cause) == (Phase.APPROVING, "rules", "OOMKilled")
    assert any("HolmesGPT cannot be started" in each and "what the rules found stands" in each for each in status.warnings)
    [condition] = status.conditions
    assert (condition.type, condition.status.value, condition.reason) == ("HolmesGPTAvailable", "False", "HolmesGPTUnavailable")


async def test_without_settings_nobody_asks_it(bench):
    status = await asked_about(bench, Settings(analysis=QUICK.model_copy(update={"preview_timeout": timedelta(milliseconds=1)})))
    assert (status.investigator, status.warnings, status.conditions) == ("rules", [], [])
