"""The whole product over the embedded cluster, in simulated worlds where everything fails: no law is broken, and no bug on purpose stays unseen."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.chaos import Fault
from tests.simulation.play import play
from tests.simulation.telling import Sum, failure

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
SEED = os.environ.get("KUBERNAUT_SIMULATION_SEED", "")
BLOCKS = 4
"""So many parts of the whole, which run side by side: each has seeds of its own."""
CASES = 2000 // BLOCKS
ROOT = Path(__file__).parents[2]
HARD = 3.0
"""Faults are three times as frequent where a bug is looked for, so that few cases do."""


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_law_is_broken_whatever_fails(block, record_property):
    whole = Sum()
    for seed in [int(SEED)] if SEED else itertools.count(1 + block, BLOCKS):
        played = play(seed)
        assert not played.broken, failure(played)
        whole.add(played)
        if SEED or whole.cases >= CASES:
            break
    record_property("simulation", whole.wire())
    assert whole.cases
    assert SEED or not [fault.value for fault in Fault if fault.value not in whole.faults], "kinds of faults that never came about"


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_bug_on_purpose_is_found_by_its_law_within_the_stated_cases(bug, monkeypatch):
    bug.plant(monkeypatch)
    cases, others = 0, []
    for seed in itertools.count(bug.first):
        played = play(seed, targets=bug.targets, strength=HARD, layout=bug.layout, mode=bug.mode)
        cases += played.cases
        found = [law for _, _, law in (each.partition(" ") for each in played.broken)]
        if any(law.startswith(bug.law) for law in found):
            break
        others += found
        assert cases < bug.cases, others


@pytest.mark.parametrize("seed", [3, 4, 11])
def test_the_same_seed_is_the_same_world_again(seed):
    first, second = play(seed, targets=3), play(seed, targets=3)
    assert (first.trace, first.calls, first.cases) == (second.trace, second.calls, second.cases)


def test_a_seed_is_the_same_world_in_a_process_that_hashes_otherwise():
    code = "from tests.simulation.play import play; print(play(8, targets=10).trace)"
    environment = {**os.environ, "PYTHONHASHSEED": "1234"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == play(8, targets=10).trace
