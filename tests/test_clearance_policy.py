"""Who may clear a target, and under which name: the API server holds these rules against people and against ourselves."""

from datetime import UTC, datetime

import pytest

from kubernaut.api import core
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli.clearing import clear
from kubernaut.kube.client import ApiError
from tests.workflow.executions import execution_of

KIM, LEE = "kim@example.com", "lee@example.com"
NAME = "rr-1-wfe"
CARD = WorkflowExecution.card
FAILED = {
    "phase": "Failed",
    "completionTime": "2026-01-01T00:00:00Z",
    "failureDetails": {"reason": "Failed", "wasExecutionFailure": True},
    "conditions": [{"type": "Complete", "status": "False"}],
}
SAID = {"clearedBy": KIM, "clearReason": "it looks well", "clearedAt": "2026-01-01T00:05:00Z"}


class Town:
    """A namespace with an execution in it, and people who may write its status."""

    def __init__(self, world):
        self.world = world

    async def open(self, **status):
        """Open the town: an operator's rights, and the execution as its controller left it."""
        client, namespace = self.world.client, self.world.system
        meta = {"name": "test-operator", "namespace": namespace}
        rules = [
            {"apiGroups": ["kubernaut.ai"], "resources": ["workflowexecutions"], "verbs": ["get", "list"]},
            {"apiGroups": ["kubernaut.ai"], "resources": ["workflowexecutions/status"], "verbs": ["get", "patch"]},
        ]
        await client.create(core.ROLE, {"metadata": meta, "rules": rules})
        group = "rbac.authorization.k8s.io"
        people = [{"kind": "User", "name": name, "apiGroup": group} for name in (KIM, LEE)]
        binding = {"metadata": meta, "roleRef": {"kind": "Role", "name": "test-operator", "apiGroup": group}, "subjects": people}
        await client.create(core.ROLE_BINDING, binding)
        await client.create(CARD, execution_of(NAME).wire() | {"metadata": {"name": NAME, "namespace": namespace}})
        await self.write(None, **(FAILED | status))
        return self

    async def write(self, person, **status):
        """Write to the status as a person, or as the administrator."""
        client = self.world.client.impersonating(person) if person else self.world.client
        return await client.patch(CARD, NAME, self.world.system, {"status": status}, subresource="status")

    async def refused(self, person, **status):
        """Write what must not be taken; return why it was not."""
        with pytest.raises(ApiError) as fault:
            await self.write(person, **status)
        assert fault.value.forbidden or fault.value.invalid
        return fault.value.message


@pytest.fixture
def town(world):
    return Town(world)


async def test_a_person_clears_once_for_themselves_with_a_reason_and_writes_nothing_else(town):
    await town.open()
    assert "nobody clears a target for somebody else" in await town.refused(LEE, blockClearance=SAID)
    assert "with a reason and a time" in await town.refused(KIM, blockClearance={"clearedBy": KIM})
    assert "only blockClearance is yours to write" in await town.refused(KIM, phase="Completed")
    assert "only blockClearance is yours to write" in await town.refused(KIM, blockClearance=SAID, message="all is well")
    await town.write(KIM, blockClearance=SAID)
    for person in (KIM, LEE, None):
        assert "that stays on record" in await town.refused(person, blockClearance=SAID | {"clearReason": "I said nothing"})
        assert "that stays on record" in await town.refused(person, blockClearance=None)
    await town.write(None, message="cleared")


async def test_what_has_not_failed_cannot_be_cleared(town):
    await town.open(phase="Running")
    assert "the execution has not failed" in await town.refused(KIM, blockClearance=SAID)


async def test_the_command_clears_under_the_callers_own_name(town):
    await town.open()
    client = town.world.client.impersonating(KIM)
    cleared = await clear(client, town.world.system, "production/deployment/payment-service", "it looks well", datetime.now(UTC))
    assert cleared.status.block_clearance is not None
    assert cleared.status.block_clearance.cleared_by == KIM
