"""Which workflow is chosen, with which parameters; and what can never be chosen."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.analysis.select import Case, fill, select
from kubernaut.api.analysis import AlertContext, PreviousExecution
from kubernaut.api.catalog import Parameter, ParameterType, RemediationWorkflow, version_key
from kubernaut.api.parameters import fault_of
from kubernaut.api.quantity import parse_quantity
from tests.analysis.world import OOM, World, container, crash_loop

FINDING = World(containers=[container(memory="128Mi")], statuses=[[crash_loop(OOM)]] * 3).judged()
ALERT = AlertContext.model_validate(
    {
        "fingerprint": "f",
        "severity": "critical",
        "environment": "production",
        "businessPriority": "P0",
        "namespace": "shop",
        "resourceKind": "Pod",
        "resourceName": "p",
    }
)
LIMIT = {"name": "MEMORY_LIMIT", "type": "quantity", "fromFact": "memory.limit.proposed"}


def workflow(id_: str = "grow", version: str = "1.0.0", *, status: str = "", **spec: Any) -> RemediationWorkflow:
    body = {
        "workflowId": id_,
        "version": version,
        "description": "Grows.",
        "actionType": "IncreaseMemoryLimits",
        "execution": {"bundle": "r.example/w@sha256:" + "b" * 64},
        "parameters": [LIMIT],
        **spec,
    }
    return RemediationWorkflow.model_validate(
        {"metadata": {"name": f"{id_}-{version}"}, "spec": body, "status": {"catalogStatus": status or None}}
    )


def chosen(*catalogue: RemediationWorkflow, tried: tuple[PreviousExecution, ...] = ()) -> str:
    found = select(catalogue, Case(FINDING, ALERT, tried)).chosen
    return f"{found.workflow_id} {found.version}" if found else ""


@pytest.mark.parametrize(
    ("catalogue", "best"),
    [
        pytest.param([], "", id="nothing on offer"),
        pytest.param([workflow()], "grow 1.0.0", id="one that fits"),
        pytest.param([workflow(actionType="RestartPod")], "", id="another action"),
        pytest.param([workflow(version="1.9.0"), workflow(version="1.10.0")], "grow 1.10.0", id="the highest version, by number"),
        pytest.param(
            [workflow(version="2.0.0-rc.1"), workflow(version="1.0.0")], "grow 2.0.0-rc.1", id="a pre-release of a higher version"
        ),
        pytest.param([workflow(version="2.0.0-rc.1"), workflow(version="2.0.0")], "grow 2.0.0", id="the release before its pre-release"),
        pytest.param([workflow(version="2.0.0", status="Disabled"), workflow()], "grow 1.0.0", id="one that is disabled"),
        pytest.param([workflow(status="Active")], "grow 1.0.0", id="one that is active"),
        pytest.param([workflow(labels={"environment": ["staging"]})], "", id="another environment"),
        pytest.param([workflow(labels={"environment": ["Production"]})], "grow 1.0.0", id="labels in any case"),
        pytest.param([workflow(labels={"component": ["statefulset"]})], "", id="another kind of target"),
        pytest.param([workflow(labels={"severity": ["info"]})], "", id="another severity"),
        pytest.param([workflow(labels={"priority": ["P3"]})], "", id="another priority"),
        pytest.param([workflow("a"), workflow("b", labels={"environment": ["production"]})], "b 1.0.0", id="the one made for the case"),
        pytest.param([workflow("a", riskLevel="high"), workflow("b", riskLevel="low")], "b 1.0.0", id="the less risky of equals"),
        pytest.param([workflow("b"), workflow("a")], "a 1.0.0", id="the name decides last"),
        pytest.param([workflow(parameters=[{"name": "X", "fromFact": "nobody.knows"}])], "", id="a parameter that nothing fills"),
        pytest.param(
            [workflow(parameters=[{"name": "X", "fromFact": "nobody.knows", "required": False}])],
            "grow 1.0.0",
            id="an optional parameter may stay empty",
        ),
        pytest.param([workflow(parameters=[{**LIMIT, "maximum": 1000}])], "", id="a value out of bounds"),
    ],
)
def test_it_chooses(catalogue, best):
    assert chosen(*catalogue) == best
    assert chosen(*reversed(catalogue)) == best


def test_the_choice_is_pinned_by_digest_and_says_why():
    found = select([workflow()], Case(FINDING, ALERT)).chosen
    assert found is not None
    assert found.container_image.endswith("@sha256:" + "b" * 64)
    assert found.parameters == {"MEMORY_LIMIT": "256Mi"}
    assert "OOMKilled" in found.rationale


def test_every_workflow_that_lost_says_why():
    rejected = select(
        [workflow(), workflow(version="0.9.0"), workflow("x", labels={"environment": ["dev"]})], Case(FINDING, ALERT)
    ).rejected
    assert [(row.name, row.why) for row in rejected] == [
        ("grow 0.9.0", "version 1.0.0 is newer"),
        ("x 1.0.0", "it is for environment dev, and this is production"),
    ]


def test_what_was_tried_in_this_case_and_did_not_help_is_not_tried_again():
    same = PreviousExecution(workflow_id="grow", parameters={"MEMORY_LIMIT": "256Mi"})
    assert chosen(workflow(), tried=(same,)) == ""
    assert chosen(workflow(), workflow("other"), tried=(same,)) == "other 1.0.0"
    assert chosen(workflow(), tried=(same.model_copy(update={"parameters": {"MEMORY_LIMIT": "200Mi"}}),)) == "grow 1.0.0"


@pytest.mark.parametrize(
    ("parameter", "value", "allowed"),
    [
        ({"type": "integer"}, "3", True),
        ({"type": "integer"}, "3.5", False),
        ({"type": "integer"}, "1_000", False),
        ({"type": "integer", "minimum": 0, "maximum": 5}, "6", False),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, "yes", False),
        ({"type": "float"}, "0.5", True),
        ({"type": "float"}, "nan", False),
        ({"type": "float"}, "inf", False),
        ({"type": "quantity"}, "128Mi", True),
        ({"type": "quantity"}, "much", False),
        ({"type": "quantity", "minimum": 2**20}, "1Ki", False),
        ({"enum": ["a", "b"]}, "c", False),
        ({"pattern": "^[a-z]+$"}, "abc", True),
        ({"pattern": "^[a-z]+$"}, "abc\n", False),
        ({"pattern": "[a-z]+"}, "abc; rm -rf /", False),
        ({}, "x" * 2000, False),
        ({}, "a\x00b", False),
    ],
)
def test_a_value_is_held_against_its_schema(parameter, value, allowed):
    assert (fault_of(Parameter.model_validate({"name": "P", **parameter}), value) == "") is allowed


schemas = st.builds(
    Parameter,
    name=st.just("P"),
    type=st.sampled_from(ParameterType),
    required=st.booleans(),
    enum=st.lists(st.sampled_from(["1", "true", "a", "128Mi"]), max_size=3),
    pattern=st.sampled_from(["", "^[a-z0-9]+$", "[0-9]+"]),
    minimum=st.none() | st.floats(-10, 10),
    maximum=st.none() | st.floats(-10, 10),
    default=st.none() | st.text(max_size=5),
    from_fact=st.sampled_from(["", "known", "unknown"]),
)


@given(schemas, st.text(max_size=10) | st.sampled_from(["1", "7", "a", "true", "128Mi", "1e309"]))
def test_whatever_gets_through_matches_its_schema(parameter, fact):
    values, faults = fill([parameter], {"known": fact})
    assert not (values and faults)
    for value in values.values():
        assert value in {fact, parameter.default}
        assert not parameter.enum or value in parameter.enum
        assert not parameter.pattern or re.fullmatch(parameter.pattern, value)
        assert parameter.type is not ParameterType.BOOLEAN or value in {"true", "false"}
        if parameter.type in {ParameterType.INTEGER, ParameterType.FLOAT, ParameterType.QUANTITY}:
            number = float(parse_quantity(value)) if parameter.type is ParameterType.QUANTITY else float(value)
            assert parameter.minimum is None or number >= parameter.minimum
            assert parameter.maximum is None or number <= parameter.maximum
    if parameter.required and not values:
        assert faults


@given(
    st.permutations(
        [workflow("a"), workflow("b", riskLevel="low"), workflow("b", "1.2.0"), workflow("c", labels={"environment": ["production"]})]
    )
)
def test_the_order_of_the_catalogue_does_not_matter(catalogue):
    assert chosen(*catalogue) == "c 1.0.0"


def test_versions_are_ordered_as_semver_says():
    order = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.10.0",
    ]
    shuffled = [*order[5:], *order[:5]]
    assert sorted(shuffled, key=version_key) == order
