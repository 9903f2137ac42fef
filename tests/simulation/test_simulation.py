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


QUIET = "import logging, structlog; structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL));"
SHORT = (5, 10, 12)
"""Seeds of short worlds with many kinds of faults."""


def test_the_same_seed_is_the_same_world_again_also_in_a_process_that_hashes_otherwise():
    code = f"{QUIET} from tests.simulation.play import play; print(*(play(seed, targets=2).trace for seed in {SHORT}))"
    environment = {**os.environ, "PYTHONHASHSEED": "1234"}
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as other:
        played = [play(seed, targets=2) for seed in SHORT]
        traces = [each.trace for each in played]
        assert other.communicate()[0].splitlines()[-1].split() == traces
    assert len(set(traces)) == len(SHORT)
    again = play(SHORT[-1], targets=2)
    assert (again.trace, again.calls, again.cases) == (played[-1].trace, played[-1].calls, played[-1].cases)
