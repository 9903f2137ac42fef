"""What else stands in a cluster changes no answer, and neither does the order in which Python keeps its sets."""

import hashlib
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import orjson
import pytest

from kubernaut.analysis.investigators.base import Verdict
from kubernaut.analysis.investigators.rules.investigator import judge
from kubernaut.api.base import Obj
from tests.analysis.cases import Case, cases
from tests.analysis.noise import Crowd, namespaces_of

CASES = cases()
SOME = CASES[::4]
BESIDE = 150
TELL = "from tests.analysis.test_noise import digests; print(digests())"


def crowded(case: Case, objects: list[Obj], *, sick: bool) -> list[Obj]:
    crowd = Crowd(datetime.fromisoformat(case.header["at"]))
    return [*crowd.beside(namespaces_of(objects), BESIDE, sick=sick), *objects]


@pytest.mark.parametrize("case", SOME, ids=[case.name for case in SOME])
def test_workloads_of_others_some_of_them_broken_change_no_answer(case):
    found, alone = judge(case.snapshot(crowded(case, case.objects, sick=True))), case.judged()
    told = [(each.cause.name, each.target.path(), each.action, each.facts) for each in (found, alone)]
    assert told[0] == told[1]


@pytest.mark.parametrize("case", [case for case in SOME if case.header["healthy"]], ids=lambda case: case.name)
def test_a_healthy_twin_in_a_crowd_is_healthy(case):
    assert judge(case.snapshot(crowded(case, case.twin(), sick=False), logs="healthyLogs")).verdict is Verdict.NO_ACTION


PLACED = ("cart-waits-in-its-init-container", "host-port-of-ads-taken-everywhere", "social-users-to-a-node-that-is-not")


@pytest.mark.parametrize("case", [case for case in CASES if case.name in PLACED], ids=lambda case: case.name)
def test_nodes_that_the_scheduler_did_not_speak_of_change_no_cause(case):
    others = [obj for obj in Crowd(datetime.fromisoformat(case.header["at"])).elsewhere(BESIDE) if obj["kind"] == "Node"]
    assert any(node["spec"].get("taints") for node in others)
    found = judge(case.snapshot([*case.objects, *others]))
    assert (found.cause.name, found.target.path()) == (case.expected["cause"], case.expected["target"])


def digests() -> str:
    """Return a line for each case: its name, and what its answer comes to."""
    rows = ((case.name, orjson.dumps(case.judged(), default=lambda each: each.wire())) for case in CASES)
    return "\n".join(f"{name} {hashlib.sha256(answer).hexdigest()}" for name, answer in rows)


@pytest.mark.program
def test_processes_that_order_their_sets_differently_give_the_same_answers_byte_for_byte():
    env = {**os.environ, "PYTHONHASHSEED": "4242"}
    root = Path(__file__).parent.parent.parent
    other = subprocess.run([sys.executable, "-c", TELL], env=env, cwd=root, capture_output=True, text=True, timeout=100, check=True)
    assert other.stdout.splitlines() == digests().splitlines()
