"""The catalogue in a cluster: each workflow says whether it may be chosen, and says it anew when another version comes or goes."""

import pytest

from kubernaut.api.catalog import SHELVED_ANNOTATION, RemediationWorkflow
from kubernaut.catalog.judging import content_id
from kubernaut.catalog.reconciler import setup
from kubernaut.kube.errors import ApiError
from tests.catalog.test_judging import NAME, step, workflow
from tests.world import eventually, running

CARD = RemediationWorkflow.card


@pytest.fixture
async def curated(world):
    manager = world.manager()
    setup(manager)
    async with running(manager):
        yield world


async def offer(world, made):
    made.metadata.namespace, made.metadata.name = world.system, made.metadata.name.replace(".", "-")
    await world.client.create(CARD, made.wire())
    return made.metadata.name


async def says(world, name, wanted):
    """Wait until a workflow says so; return its status."""

    async def status():
        found = (await world.client.get(CARD, name, world.system)).get("status") or {}
        return found if found.get("catalogStatus") == wanted else None

    return await eventually(status)


async def test_a_workflow_is_active_or_says_why_not(curated):
    good, bad = workflow(NAME, workflowId="good"), workflow(workflowId="bad", preview=[step()], version="1.0.1")
    active, invalid = await offer(curated, good), await offer(curated, bad)
    assert (await says(curated, active, "Active"))["contentId"] == content_id(good)
    status = await says(curated, invalid, "Invalid")
    assert status["faults"] == ["preview step 1: $(NAME) is no parameter"]
    assert status["message"] == "preview step 1: $(NAME) is no parameter"
    [offered] = [each for each in status["conditions"] if each["type"] == "Offered"]
    assert (offered["status"], offered["reason"]) == ("False", "Invalid")


async def test_a_newer_version_takes_over_and_gives_back(curated):
    old, new = await offer(curated, workflow()), await offer(curated, workflow(version="1.1.0"))
    await says(curated, old, "Superseded")
    await says(curated, new, "Active")
    await curated.client.patch(CARD, new, curated.system, {"metadata": {"annotations": {SHELVED_ANNOTATION: "Disabled"}}})
    await says(curated, new, "Disabled")
    await says(curated, old, "Active")
    await curated.client.patch(CARD, new, curated.system, {"metadata": {"annotations": {SHELVED_ANNOTATION: None}}})
    await says(curated, old, "Superseded")
    await curated.client.delete(CARD, new, curated.system)
    await says(curated, old, "Active")


async def test_the_content_of_a_workflow_never_changes(curated):
    name = await offer(curated, workflow())
    with pytest.raises(ApiError, match="spec cannot be changed: create another RemediationWorkflow"):
        await curated.client.patch(CARD, name, curated.system, {"spec": {"description": "another"}})


@pytest.mark.parametrize(
    "bundle", ["registry.example.com/demo:1.0.0", "registry.example.com/demo@sha256:0", f"registry.example.com/demo:1@sha256:{'0' * 63}"]
)
async def test_a_bundle_that_is_not_pinned_is_refused_by_the_api_server(curated, bundle):
    wire = workflow().wire()
    wire["spec"]["execution"]["bundle"] = bundle
    wire["metadata"] = {"name": "unpinned", "namespace": curated.system}
    with pytest.raises(ApiError, match=r"spec\.execution\.bundle"):
        await curated.client.create(CARD, wire)
