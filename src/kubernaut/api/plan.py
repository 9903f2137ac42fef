"""A fix in words that machines can follow: workflow references, steps, and the operations made of them."""

import json
from typing import Annotated

from pydantic import Field, JsonValue, StringConstraints

from kubernaut.api.base import Confidence, Duration, FreeForm, Model, ResourceIdentifier, Short

Parameters = Annotated[dict[str, str], Field(max_length=64)]


def canonical_name(action: str) -> str:
    """Return an action's name in its one spelling."""
    return action.replace("-", "_").lower()


class WorkflowReference(Model):
    """A catalogue workflow, pinned."""

    workflow_id: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    container_image: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    """The OCI bundle, pinned by digest."""
    version: Annotated[str, StringConstraints(max_length=50)] = ""


class SelectedWorkflow(WorkflowReference):
    """The workflow chosen for a fix, with everything needed to run it."""

    parameters: Parameters = {}
    """Upper snake names to values."""
    confidence: Confidence = 0.0
    rationale: Short = ""
    action_type: str = ""
    service_account_name: str = ""
    engine: str = ""
    """Who runs it; empty: tekton."""
    risk_level: str = ""


class Rollback(Model):
    """How a step is taken back."""

    action: str
    parameters: FreeForm = {}


class Operation(Model):
    """One typed action on one object."""

    step_number: int = Field(ge=1)
    name: str = ""
    action: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    """One of the canonical actions, such as `increase_resources`."""
    parameters: FreeForm = {}
    target: ResourceIdentifier | None = None
    timeout: Duration = "5m"
    max_retries: int = Field(default=2, ge=0, le=10)
    depends_on: Annotated[list[int], Field(max_length=50)] = []
    """Step numbers that must have succeeded before."""
    critical_step: bool = True
    """Whether its failure stops the rest."""
    rollback: Rollback | None = None

    def effect(self) -> dict[str, str]:
        """Return the parameters in plain text, without the reason that is only noted: what tells one try of an action from another."""
        return {name: _text(value) for name, value in self.parameters.items() if name != "reason"}


class WorkflowDefinition(Model):
    """A list of steps to be planned."""

    name: str = ""
    version: str = ""
    steps: Annotated[list[Operation], Field(min_length=1, max_length=50)]


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
