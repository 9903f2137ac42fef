"""What approvers are shown: each preview's steps are actions that the execution stage can try, with parameters that it takes."""

import re

import pytest

from kubernaut import catalog
from kubernaut.execution.actions.registry import Registry, built
from tests.catalog.test_scripts import GOOD, REFS

STEPS = [(each.spec.workflow_id, step) for each in catalog.load(REFS) for step in each.spec.preview]
ACTIONS = Registry(built())


def filled(value):
    return re.sub(r"\$\((\w+)\)", lambda found: GOOD[found[1]], value) if isinstance(value, str) else value


@pytest.mark.parametrize(("workflow_id", "step"), STEPS, ids=[workflow_id for workflow_id, _ in STEPS])
def test_a_step_of_a_preview_can_be_tried(workflow_id, step):
    parameters = {name: filled(value) for name, value in step.parameters.items()}
    action = ACTIONS.find(step.action, parameters)
    given = action.parameters.model_validate(parameters)
    target = action.target(given)
    assert target is not None
    assert (target.kind.kind, target.name) == (step.target.kind, filled(step.target.name))
    assert target.namespace == filled(step.target.namespace or "")
