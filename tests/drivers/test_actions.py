"""What every action keeps: refused before anything happens, and tried dry without a trace.

That each is done once, on record, and taken back exactly whenever its process dies, tests/execution/test_deaths.py shows. The scene holds one object of each kind that actions act on; a new action says there what it is told in it.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.plan import Operation
from kubernaut.execution.actions.base import Effect
from kubernaut.execution.actions.registry import Registry, built
from kubernaut.execution.safety import Refused, Safety
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.kube.client import Client
from tests.drivers.scene import Scene, at_scene, every_action, operation, parameters, stage, target

SAFETY = Safety(Client("http://127.0.0.1:1"), Registry(built()), ExecutionSettings())


def resolved(action, given):
    return SAFETY.resolve(Operation.model_validate({"stepNumber": 1, "action": action.name, "parameters": given}))


@pytest.fixture
async def shop():
    """The embedded cluster: the scene has nodes of its own, which are drained and tainted."""
    async with at_scene(Scene) as bench:
        yield bench


def test_names_are_each_ones_own_and_canonical():
    names = [action.name for action in built()]
    assert len(set(names)) == len(names)
    assert all(name == name.replace("-", "_").lower() for name in names)


@every_action
def test_what_is_told_in_the_scene_is_understood(action):
    found = resolved(action, parameters(action))
    assert (found.action.name, found.target) == (action.name, target(action))


@every_action
def test_an_unknown_parameter_is_refused(action):
    with pytest.raises(Refused, match="surprise"):
        resolved(action, parameters(action) | {"surprise": 1})


@every_action
def test_a_required_parameter_that_is_missing_is_refused_by_name(action):
    for name, field in action.parameters.model_fields.items():
        if field.is_required():
            with pytest.raises(Refused, match=name):
                resolved(action, {key: value for key, value in parameters(action).items() if key != name})


@every_action
@pytest.mark.parametrize(
    "wrong", [["a list"], {"an": "object"}, "\x00", "x" * 100_000, "../../etc; rm -rf /"], ids=["list", "object", "control", "long", "path"]
)
def test_a_name_that_is_none_is_refused(action, wrong):
    for name in {"namespace", "resource_name"} & set(action.parameters.model_fields):
        with pytest.raises(Refused, match=name):
            resolved(action, parameters(action) | {name: wrong})


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.none(), max_size=2),
)


@every_action
@given(data=st.data())
def test_no_parameters_make_anything_but_an_action_or_a_refusal(action, data):
    names = st.sampled_from(sorted(action.parameters.model_fields)) | st.text(max_size=10)
    told = parameters(action) | data.draw(st.dictionaries(names, ODD, max_size=4))
    try:
        found = resolved(action, told)
    except Refused as fault:
        assert str(fault)  # noqa: PT017
    else:
        assert type(found.given).model_validate(found.given.model_dump()) == found.given


@every_action
def test_rights_asked_for_are_on_the_target_and_among_those_of_its_account(action):
    where, needed = target(action), action.access(action.parameters.model_validate(parameters(action)))
    may = {(each.verb, each.kind, each.subresource) for each in action.rights}
    assert {(each.verb, each.kind, each.subresource) for each in needed} <= may
    assert not any(verb in {"*", "escalate", "bind", "impersonate"} or kind.group == "rbac.authorization.k8s.io" for verb, kind, _ in may)
    if where is not None:
        assert ("get", where.kind, where.name) in {(each.verb, each.kind, each.name) for each in needed}


async def test_planning_and_a_dry_run_change_nothing(shop):
    """One scene serves all actions: none of them leaves a trace."""
    before = await shop.state()
    async with shop.at_work(stage):
        for number, action in enumerate(built()):
            given = action.parameters.model_validate(parameters(action))
            first, second = [await action.plan(shop.client, given, "u-1/1") for _ in range(2)]
            assert (first.effect, first.patch, first.faults, first.notes) == (second.effect, second.patch, second.faults, second.notes)
            assert not first.faults, action.name
            assert (first.effect is Effect.NOTHING) == (target(action) is None), action.name
            await shop.execute(operation(action), name=f"rr-{number}-execution", dryRun=True)
            status = await shop.ended(f"rr-{number}-execution")
            assert [result["phase"] for result in status["operationResults"]] == ["Validated"], action.name
            assert await shop.state() == before, action.name
