"""Who may cancel a case, and under which name: the API server holds these rules against people."""

import pytest

from kubernaut.api import core
from kubernaut.api.base import CANCEL_ANNOTATION
from kubernaut.api.remediation import RemediationRequest
from kubernaut.cli.cancelling import CannotCancel, cancel
from kubernaut.kube.client import ApiError
from tests.orchestration.cases import Case

KIM, LEE = "kim@example.com", "lee@example.com"
NAME = "remediation-one"
CARD = RemediationRequest.card


class Town:
    """A namespace with an open case in it, and people who may change its metadata."""

    def __init__(self, world):
        self.world = world

    async def open(self):
        """Open the town: an operator's rights, and the case."""
        client, namespace = self.world.client, self.world.system
        meta = {"name": "test-operator", "namespace": namespace}
        rules = [{"apiGroups": ["kubernaut.ai"], "resources": ["remediationrequests"], "verbs": ["get", "patch"]}]
        await client.create(core.ROLE, {"metadata": meta, "rules": rules})
        group = "rbac.authorization.k8s.io"
        people = [{"kind": "User", "name": name, "apiGroup": group} for name in (KIM, LEE)]
        binding = {"metadata": meta, "roleRef": {"kind": "Role", "name": "test-operator", "apiGroup": group}, "subjects": people}
        await client.create(core.ROLE_BINDING, binding)
        await client.create(CARD, Case(name=NAME).request.wire() | {"metadata": {"name": NAME, "namespace": namespace}, "status": None})
        return self

    async def write(self, person, said):
        """Annotate the case as a person, or as the administrator."""
        client = self.world.client.impersonating(person) if person else self.world.client
        return await client.patch(CARD, NAME, self.world.system, {"metadata": {"annotations": {CANCEL_ANNOTATION: said}}})

    async def refused(self, person, said):
        """Write what must not be taken; return why it was not."""
        with pytest.raises(ApiError) as fault:
            await self.write(person, said)
        assert fault.value.forbidden or fault.value.invalid
        return fault.value.message

    async def cancel(self, person, reason="we do it by hand"):
        return await cancel(self.world.client.impersonating(person), self.world.system, NAME, reason)


@pytest.fixture
async def town(world):
    return await Town(world).open()


@pytest.mark.parametrize("said", [f"{LEE}: by hand", "by hand", KIM, f"{KIM}:"], ids=["another", "nobody", "no reason", "a bare colon"])
async def test_nobody_cancels_for_somebody_else_nor_without_a_name(town, said):
    assert "nobody cancels for somebody else" in await town.refused(KIM, said)


async def test_a_case_is_cancelled_once_under_the_callers_own_name(town):
    assert await town.cancel(KIM) == f"{KIM}: we do it by hand"
    assert "stays on record" in await town.refused(LEE, f"{LEE}: no, go on")
    assert "nobody cancels for somebody else" in await town.refused(KIM, None)
    with pytest.raises(CannotCancel, match=f"being cancelled already: {KIM}: we do it by hand"):
        await town.cancel(LEE)


async def test_kubernaut_itself_is_believed(town):
    await town.write(None, f"paused everywhere by {KIM}: a release")


async def test_what_has_ended_or_is_not_there_is_not_cancelled_and_a_reason_is_asked_for(town):
    world = town.world
    with pytest.raises(CannotCancel, match="say why"):
        await town.cancel(KIM, " ")
    with pytest.raises(CannotCancel, match="there is no case 'another'"):
        await cancel(world.client, world.system, "another", "by hand")
    ended = {"overallPhase": "Completed", "message": "the fix helped", "completionTime": "2026-01-01T00:00:00Z"}
    await world.client.patch(CARD, NAME, world.system, {"status": ended}, subresource="status")
    with pytest.raises(CannotCancel, match=r"has ended: Completed\. the fix helped"):
        await town.cancel(KIM)
