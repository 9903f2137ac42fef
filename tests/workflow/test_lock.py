"""The lock: names, takeover, who goes first, and that two executions never hold one target."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kubernaut.api.base import Condition
from kubernaut.api.workflow import Phase
from kubernaut.workflow.cooldown import rest
from kubernaut.workflow.decide import LockState
from kubernaut.workflow.lock import Holder, blocker, claim, holder_of, judge
from kubernaut.workflow.target import label_value, lock_name
from tests.workflow.executions import T0, execution_of

pytestmark = pytest.mark.unit


def with_phase(execution, phase, *, conditions=()):
    execution.status.phase = phase
    execution.status.conditions = list(conditions)
    return execution


OLD, NEW = execution_of("old", age=60), execution_of("new")
COOLING = [Condition(type="Cooldown", status="True")]


@pytest.mark.parametrize(
    ("other", "blocks"),
    [
        pytest.param(with_phase(execution_of("a", age=60), Phase.PENDING), True, id="an older one that waits"),
        pytest.param(with_phase(execution_of("a", age=-60), Phase.PENDING), False, id="a younger one that waits"),
        pytest.param(with_phase(execution_of("a", age=-60), Phase.RUNNING), True, id="any that runs"),
        pytest.param(
            with_phase(execution_of("a", age=60), Phase.PENDING, conditions=COOLING), False, id="one that cools down uses nothing"
        ),
        pytest.param(with_phase(execution_of("a", age=60), Phase.COMPLETED), False, id="one that has ended"),
        pytest.param(
            with_phase(execution_of("a", age=60, target="production/deployment/other"), Phase.RUNNING), False, id="another target"
        ),
        pytest.param(with_phase(execution_of("new", age=60), Phase.RUNNING), False, id="itself"),
    ],
)
def test_who_goes_first(other, blocks):
    assert (blocker(NEW, [other]) is not None) == blocks


@given(st.permutations(["a", "b", "c", "d"]))
def test_of_those_that_wait_since_the_same_second_exactly_one_goes_first(order):
    waiting = [with_phase(execution_of(name), Phase.PENDING) for name in order]
    assert [each.metadata.name for each in waiting if blocker(each, waiting) is None] == ["a"]


def test_a_lease_is_named_from_the_hash_of_the_target_and_says_the_target():
    lease = claim(None, OLD, T0)
    assert lease["metadata"]["name"] == lock_name("production/deployment/payment-service")
    assert len(lease["metadata"]["name"]) == len("target-") + 64
    assert lease["metadata"]["annotations"] == {"kubernaut.ai/target-resource": "production/deployment/payment-service"}
    assert holder_of(lease) == Holder.of(OLD)


@pytest.mark.parametrize(
    ("lease", "ended", "state"),
    [
        (None, False, LockState.FREE),
        (claim(None, NEW, T0), False, LockState.OURS),
        (claim(None, OLD, T0), False, LockState.HELD),
        (claim(None, OLD, T0), True, LockState.FREE),
        ({"metadata": {}, "spec": {}}, False, LockState.FREE),
        (claim(None, execution_of("new", uid="an earlier one of the name"), T0), False, LockState.HELD),
    ],
    ids=["nobody's", "ours", "held", "of one that has ended", "names nobody", "of our namesake"],
)
def test_how_a_lease_stands_to_us(lease, ended, state):
    assert judge(lease, Holder.of(NEW), holder_ended=ended) is state


def version_of(lease):
    return lease["metadata"]["resourceVersion"] if lease else ""


class OneHolder(RuleBasedStateMachine):
    """Executions against an API server that creates atomically and updates by resourceVersion; each acts on what it read, however old."""

    @initialize()
    def begin(self):
        self.version = 0
        self.lease: dict[str, Any] | None = None
        self.executions = [execution_of(f"e{number}") for number in range(3)]
        self.read: list[dict[str, Any] | None] = [None] * 3
        self.working: set[int] = set()
        self.ended: set[int] = set()

    @rule(who=st.integers(0, 2))
    def reads(self, who):
        self.read[who] = self.lease

    @rule(who=st.integers(0, 2))
    def takes(self, who):
        if who in self.ended | self.working:
            return
        seen, me = self.read[who], self.executions[who]
        holder = holder_of(seen)
        gone = holder is not None and any(Holder.of(self.executions[each]) == holder for each in self.ended)
        if judge(seen, Holder.of(me), holder_ended=gone) is LockState.FREE and self._write(seen, claim(seen, me, T0)):
            self.working.add(who)

    @rule(who=st.integers(0, 2))
    def ends(self, who):
        if who in self.working:
            self.working.discard(who)
            self.ended.add(who)

    @rule(who=st.integers(0, 2))
    def releases(self, who):
        mine = holder_of(self.lease) == Holder.of(self.executions[who])
        if who in self.ended and mine and self.read[who] == self.lease:
            self.lease = None

    def _write(self, seen, wanted):
        if version_of(seen) != version_of(self.lease):
            return False
        self.version += 1
        self.lease = wanted | {"metadata": wanted["metadata"] | {"resourceVersion": str(self.version), "uid": "u"}}
        return True

    @invariant()
    def one_at_a_time(self):
        assert len(self.working) <= 1
        for who in self.working:
            assert holder_of(self.lease) == Holder.of(self.executions[who])


TestOneHolder = OneHolder.TestCase
TestOneHolder.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def ended(name, *, minutes_ago, phase=Phase.COMPLETED):
    execution = with_phase(execution_of(name), phase)
    execution.status.completion_time = T0 - timedelta(minutes=minutes_ago)
    return execution


@pytest.mark.parametrize(
    ("others", "after"),
    [
        pytest.param([], "", id="nothing ran"),
        pytest.param([ended("a", minutes_ago=1)], "a", id="one completed"),
        pytest.param([ended("a", minutes_ago=3), ended("b", minutes_ago=1)], "b", id="the last one counts"),
        pytest.param([ended("a", minutes_ago=1, phase=Phase.FAILED)], "", id="a failed one does not count"),
        pytest.param([ended("new", minutes_ago=1)], "", id="itself does not count"),
    ],
)
def test_rest_after_the_same_workflow(others, after):
    found = rest(NEW, others, timedelta(minutes=5))
    assert found.after == after
    assert not after or found.until == next(other for other in others if other.metadata.name == after).status.completion_time + timedelta(
        minutes=5
    )


def test_a_failed_workflow_counts_where_settings_say_so():
    assert rest(NEW, [ended("a", minutes_ago=1, phase=Phase.FAILED)], timedelta(minutes=5), after_failure=True).after == "a"


@given(st.text(max_size=420))
def test_any_target_makes_a_legal_label(text):
    value = label_value(text)
    assert len(value) <= 63
    assert all(char.isascii() and (char.isalnum() or char in "._-") for char in value)
    assert not value or (value[0].isalnum() and value[-1].isalnum())


def test_long_targets_keep_apart():
    assert label_value("a/deployment/" + "b" * 80) != label_value("a/deployment/" + "b" * 81)
    assert label_value("production/deployment/payment-service") == "production.deployment.payment-service"
