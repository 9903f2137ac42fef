"""Whether a workflow may be on offer, judged by its content, by what a person says, and by its other versions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut import catalog
from kubernaut.api.catalog import SHELVED_ANNOTATION, CatalogStatus, RemediationWorkflow, version_key
from kubernaut.catalog.judging import FAULT_LIMIT, content_id, faults, status_of

BUNDLE = f"registry.example.com/workflows/demo@sha256:{'0' * 64}"


def workflow(*parameters, version="1.0.0", shelved="", **spec):
    meta = {"name": f"demo-{version}"} | ({"annotations": {SHELVED_ANNOTATION: shelved}} if shelved else {})
    content = {
        "workflowId": "demo",
        "version": version,
        "description": "demo",
        "actionType": "Demo",
        "execution": {"bundle": BUNDLE},
        "parameters": list(parameters),
        **spec,
    }
    return RemediationWorkflow.model_validate({"metadata": meta, "spec": content})


def step(number=1, **more):
    return {"stepNumber": number, "action": "notify_only", "parameters": {"message": "$(NAME)"}, **more}


NAME = {"name": "NAME"}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(workflow(NAME), [], id="nothing is wrong"),
        pytest.param(workflow({**NAME, "pattern": "("}), ["parameter NAME: its pattern is no regular expression"], id="pattern"),
        pytest.param(workflow({**NAME, "minimum": 1}), ["parameter NAME: a string has no minimum and maximum"], id="bounds of a text"),
        pytest.param(
            workflow({**NAME, "type": "integer", "minimum": 3, "maximum": 1}),
            ["parameter NAME: its minimum 3 is more than its maximum 1"],
            id="bounds crossed",
        ),
        pytest.param(
            workflow({**NAME, "type": "integer", "default": "x"}), ["parameter NAME: its default: 'x' is no integer"], id="default"
        ),
        pytest.param(workflow({**NAME, "enum": ["a"], "default": "b"}), ["parameter NAME: its default: 'b' is none of a"], id="unlisted"),
        pytest.param(
            workflow({**NAME, "pattern": "a+", "enum": ["a", "b"]}), ["parameter NAME: its enum: 'b' does not match a+"], id="enum"
        ),
        pytest.param(workflow({**NAME, "type": "array", "default": '["a"]'}), [], id="a list"),
        pytest.param(
            workflow({**NAME, "type": "array", "default": "[1]"}), ["parameter NAME: its default: '[1]' is no JSON list"], id="no list"
        ),
        pytest.param(workflow(NAME, NAME), ["parameter NAME: there are two of that name"], id="twice"),
        pytest.param(
            workflow({**NAME, "dependsOn": ["OTHER"]}), ["parameter NAME: it depends on OTHER, which is no"], id="depends on nothing"
        ),
        pytest.param(
            workflow({"name": "A", "dependsOn": ["B"]}, {"name": "B", "dependsOn": ["A"]}),
            ["parameters depend on each other in a circle: A -> B -> A"],
            id="circle",
        ),
        pytest.param(workflow(NAME, preview=[step()]), [], id="preview"),
        pytest.param(workflow(preview=[step()]), ["preview step 1: $(NAME) is no parameter"], id="preview of nothing"),
        pytest.param(
            workflow(NAME, preview=[step(dependsOn=[7])]), ["preview step 1: it waits for step 7, which is not there"], id="waits"
        ),
        pytest.param(workflow(NAME, preview=[step(), step()]), ["preview: two steps have one number"], id="numbers"),
        pytest.param(workflow(rollbackParameters={"X": "fact"}), ["rollbackParameters: X is no parameter"], id="way back"),
        pytest.param(workflow(rollbackWorkflow="demo"), ["rollbackWorkflow: a workflow does not take itself back"], id="its own way back"),
        pytest.param(workflow(shelved="perhaps"), [f"the annotation {SHELVED_ANNOTATION} says 'perhaps'"], id="annotation"),
    ],
)
def test_what_is_wrong_is_said(seen, expected):
    found = faults(seen)
    assert len(found) == len(expected)
    assert all(fault.startswith(start) for fault, start in zip(found, expected, strict=True)), found


def test_the_shipped_workflows_are_without_fault_and_of_different_content():
    shipped = catalog.load(dict.fromkeys(catalog.workflow_ids(), BUNDLE))
    assert {each.spec.workflow_id: faults(each) for each in shipped if faults(each)} == {}
    assert len({content_id(each) for each in shipped}) == len(shipped)


def test_the_list_of_faults_is_bounded():
    assert len(faults(workflow(*({"name": f"P{number}", "pattern": "("} for number in range(60))))) == FAULT_LIMIT


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        pytest.param(workflow(), [], CatalogStatus.ACTIVE, id="alone"),
        pytest.param(workflow(preview=[step()]), [], CatalogStatus.INVALID, id="at fault"),
        pytest.param(workflow(preview=[step()], shelved="Disabled"), [], CatalogStatus.INVALID, id="a fault comes first"),
        pytest.param(workflow(shelved="disabled"), [], CatalogStatus.DISABLED, id="disabled"),
        pytest.param(workflow(shelved="Deprecated"), [], CatalogStatus.DEPRECATED, id="deprecated"),
        pytest.param(workflow(), [workflow(version="1.0.1")], CatalogStatus.SUPERSEDED, id="a newer version"),
        pytest.param(workflow(), [workflow(version="1.0.0-rc.1")], CatalogStatus.ACTIVE, id="an older version"),
        pytest.param(workflow(), [workflow(version="2.0.0", shelved="Disabled")], CatalogStatus.ACTIVE, id="a newer one that is disabled"),
        pytest.param(workflow(), [workflow(version="2.0.0", preview=[step()])], CatalogStatus.ACTIVE, id="a newer one at fault"),
    ],
)
def test_the_status_follows_from_content_person_and_versions(own, others, expected):
    assert status_of(own, faults(own), [own, *others]) is expected


versions = st.from_regex(r"\A[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,2}(-(rc|beta)\.[0-9])?\Z")


@given(st.lists(versions, min_size=1, max_size=5, unique=True))
def test_of_several_versions_exactly_the_newest_is_on_offer(found):
    rows = [workflow(version=each) for each in found]
    active = [each.spec.version for each in rows if status_of(each, [], rows) is CatalogStatus.ACTIVE]
    newest = max(found, key=version_key)
    assert active == [each for each in found if version_key(each) == version_key(newest)]


@given(st.permutations(["a", "b", "c"]))
def test_the_same_content_has_the_same_id(order):
    parameters = {"A": {"message": {each: each for each in order}}}
    one = workflow(preview=[step(parameters=parameters)])
    again = RemediationWorkflow.model_validate(json.loads(json.dumps(one.wire(), sort_keys=True)))
    assert content_id(one) == content_id(again)
    assert content_id(one) != content_id(workflow(version="1.0.1"))
