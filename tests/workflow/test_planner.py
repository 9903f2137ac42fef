"""Steps into operations, in an order that respects every dependency."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.plan import Operation
from kubernaut.workflow.planner import MAX_STEPS, PlanFault, plan

pytestmark = pytest.mark.unit


def step(number, *after):
    return Operation(step_number=number, action="notify_only", depends_on=list(after))


def numbers(steps):
    return [each.step_number for each in steps]


@pytest.mark.parametrize(
    ("steps", "order"),
    [
        pytest.param([step(1)], [1], id="one"),
        pytest.param([step(2), step(1)], [1, 2], id="by number where nothing else is said"),
        pytest.param([step(1, 3), step(2), step(3)], [2, 3, 1], id="after what it depends on"),
        pytest.param([step(4, 2, 3), step(3, 1), step(2, 1), step(1)], [1, 2, 3, 4], id="a diamond"),
        pytest.param([step(1), step(2, 1, 1)], [1, 2], id="a dependency said twice"),
    ],
)
def test_order(steps, order):
    assert numbers(plan(steps)) == order


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        pytest.param([], "1 to 50 steps", id="none"),
        pytest.param([step(number) for number in range(1, MAX_STEPS + 2)], "1 to 50 steps", id="too many"),
        pytest.param([step(1), step(1)], "used twice: 1", id="a number twice"),
        pytest.param([step(1, 1)], "step 1 depends on itself", id="itself"),
        pytest.param([step(1, 7, 9)], "step 1 depends on unknown steps 7, 9", id="unknown"),
        pytest.param([step(1, 2), step(2, 3), step(3, 1), step(4)], "steps 1, 2, 3 wait for one another", id="a circle"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_the_reason(steps, why):
    with pytest.raises(PlanFault, match=why):
        plan(steps)


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 12))
    order = draw(st.permutations(range(1, count + 1)))
    steps = [step(number, *draw(st.sets(st.sampled_from(order[:place])))) if place else step(number) for place, number in enumerate(order)]
    return draw(st.permutations(steps))


@given(graphs())
def test_every_step_comes_once_and_after_all_it_depends_on(steps):
    order = numbers(plan(steps))
    assert sorted(order) == sorted(numbers(steps))
    place = {number: position for position, number in enumerate(order)}
    assert all(place[before] < place[each.step_number] for each in steps for before in each.depends_on)


@given(graphs(), st.randoms())
def test_the_same_steps_always_make_the_same_plan(steps, random):
    shuffled = list(steps)
    random.shuffle(shuffled)
    assert numbers(plan(shuffled)) == numbers(plan(steps))


@given(graphs())
def test_one_dependency_back_makes_a_circle_that_is_refused(steps):
    order = plan(steps)
    linked = next(((each, each.depends_on[0]) for each in order if each.depends_on), None)
    if linked:
        last, first = linked
        twisted = [
            each.model_copy(update={"depends_on": [*each.depends_on, last.step_number]}) if each.step_number == first else each
            for each in steps
        ]
        with pytest.raises(PlanFault, match="wait for one another"):
            plan(twisted)
