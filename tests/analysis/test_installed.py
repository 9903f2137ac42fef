"""Investigators of other packages: found, bounded, and told when they go wrong."""

import asyncio
from datetime import timedelta
from importlib.metadata import EntryPoint

import pytest

from kubernaut.analysis.investigators.base import Finding, Question, Verdict
from kubernaut.analysis.investigators.installed import GROUP, MOST, Bounded, with_installed
from kubernaut.analysis.investigators.rules.investigator import RuleInvestigator, judge
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Unusable
from tests.analysis.test_plan import spec
from tests.analysis.world import World

SNAPSHOT = World().snapshot()
QUESTION = Question(request=spec().analysis_request)


class Oracle:
    """Answers as the rules do."""

    name = "oracle"

    async def investigate(self, question: Question, snapshot: Snapshot) -> Finding:
        del question
        return judge(snapshot)


class Sleeper(Oracle):
    """Never answers."""

    name = "sleeper"

    async def investigate(self, question: Question, snapshot: Snapshot) -> Finding:
        await asyncio.Event().wait()
        return await super().investigate(question, snapshot)


class Clumsy(Oracle):
    """Reads what is not there."""

    name = "clumsy"

    async def investigate(self, question: Question, snapshot: Snapshot) -> Finding:
        del question
        return Finding(**snapshot.chain[0]["nothing"])


def point(name: str, value: str = "") -> EntryPoint:
    return EntryPoint(name=name, value=value or f"tests.analysis.test_installed:{name.title()}", group=GROUP)


def test_installed_ones_are_asked_after_the_built_in_ones_by_name():
    found = with_installed([RuleInvestigator()], [point("sleeper"), point("oracle")])
    assert [each.name for each in found] == ["rules", "oracle", "sleeper"]
    assert with_installed([RuleInvestigator()], [])[0].name == "rules"


async def test_one_that_answers_is_heard():
    [asked] = with_installed([], [point("oracle")])
    assert (await asked.investigate(QUESTION, SNAPSHOT)).verdict is Verdict.NO_ACTION


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        pytest.param(Bounded(Sleeper(), timedelta(milliseconds=1)), "the investigator sleeper did not answer in 0.001 seconds", id="slow"),
        pytest.param(Bounded(Clumsy()), "the investigator clumsy failed: KeyError: 'nothing'", id="at fault"),
    ],
)
async def test_one_that_goes_wrong_stops_nobody_and_is_told(asked, says):
    found = await asked.investigate(QUESTION, SNAPSHOT)
    assert (found.verdict, found.warnings) == (Verdict.INCONCLUSIVE, (says,))


@pytest.mark.parametrize(
    ("points", "says"),
    [
        pytest.param([point("x", "tests.nowhere:X")], "the investigator 'x' .* cannot be loaded", id="not there"),
        pytest.param([point("x", "tests.analysis.test_installed:timedelta")], "lacks name, investigate: it is no investigator", id="none"),
        pytest.param([point("a", "tests.analysis.test_installed:Oracle"), point("oracle")], "two investigators are called 'oracle'", id="twice"),
        pytest.param([point(f"o{number}") for number in range(MOST + 1)], f"at most {MOST} are asked", id="too many"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_at_the_start(points, says):
    with pytest.raises(Unusable, match=says):
        with_installed([RuleInvestigator()], points)
