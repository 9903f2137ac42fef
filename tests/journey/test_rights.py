"""A whole story with roles enforced: each part runs alone, under its own service account, with the rights that the manifests give it."""

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from structlog.testing import capture_logs

from kubernaut.analysis.settings import PlanMode
from kubernaut.api.approval import Decision
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.kinds import ALL
from kubernaut.api.remediation import Outcome, Phase
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli.alerts import AlertSource
from kubernaut.cli.embedded import Ports, embedded
from kubernaut.cli.places import Place
from kubernaut.cli.watching import viewing
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.manifests import SYSTEM_NAMESPACE
from kubernaut.rights import OWN, account_of
from kubernaut.settings import ServiceUrls
from kubernaut.wiring import PARTS, system
from tests.journey.fragile import fragile, made_worse
from tests.journey.stage import DEPLOYMENT, NAMESPACE, Stage, as_part, settings_for, told


async def parts_alone(stack, whole, settings):
    """Run every part by itself as its own account; return the URLs of those that serve. Data storage needs nothing of a cluster."""
    urls: dict[str, str] = {}
    for part in ("datastorage", "notification", *(part for part in PARTS if part not in {"datastorage", "notification"})):
        urls |= await _run(stack, whole, settings, part, urls)
    return urls


async def _run(stack, whole, settings, part, urls):
    client = await as_part(stack, whole, part) if part in OWN else whole.client
    known = ServiceUrls(datastorage=urls.get("datastorage", ""), notification=urls.get("notification", ""))
    chosen = settings.model_copy(update={"services": known, "leader_election": part in OWN})
    running = await stack.enter_async_context(system(chosen, client, parts=(part,)))
    return {name: url for name, url in running.endpoints.urls.items() if url}


@asynccontextmanager
async def enforced(path, mode, played):
    """Play a story with every part alone under its own account; at the end nothing of it was forbidden."""
    place = Place(path / "state")
    settings = settings_for(place, mode=mode)
    async with AsyncExitStack() as stack:
        logs = stack.enter_context(capture_logs())
        stack.enter_context(place.held())
        whole = await stack.enter_async_context(embedded(place, Ports(), story=played, settings=settings, parts=()))
        urls = await parts_alone(stack, whole, settings)
        whole = replace(whole, endpoints=replace(whole.endpoints, urls=urls))
        person = Client.from_kubeconfig(str(place.kubeconfig))
        stack.push_async_callback(person.close)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)))
        view = await stack.enter_async_context(viewing(whole.client, ALL, SYSTEM_NAMESPACE, lambda *_: None))
        alarm = AlertSource(whole.client, SystemClock(), urls["gateway"], NAMESPACE, DEPLOYMENT, None)
        yield Stage(whole, http, view, alarm, person)
    refused = [entry for entry in logs if "forbidden" in str(entry).lower()]
    assert refused == []


@pytest.mark.parametrize("mode", PlanMode, ids=lambda mode: mode.value)
async def test_every_part_does_its_work_with_its_own_rights_alone(tmp_path, mode):
    async with enforced(tmp_path, mode, told()) as stage:
        async with stage.alerting():
            await stage.decide(Decision.APPROVED)
            request = await stage.ended()
        assert (request.status.phase, request.status.outcome) == (Phase.COMPLETED, Outcome.REMEDIATED)
        assert await stage.facts(request.metadata.name)


@pytest.mark.parametrize("mode", PlanMode, ids=lambda mode: mode.value)
async def test_a_fix_is_taken_back_under_our_own_name_and_with_our_own_rights_alone(tmp_path, mode):
    async with enforced(tmp_path, mode, fragile()) as stage:
        async with stage.alerting():
            request = await made_worse(stage)
        assert (request.status.phase, request.status.outcome) == (Phase.COMPLETED, Outcome.ROLLED_BACK)
        undo = stage.only(WorkflowExecution if mode is PlanMode.CATALOGUE else KubernetesExecution).spec.undo
        assert undo is not None
        assert undo.requested_by == f"system:serviceaccount:{SYSTEM_NAMESPACE}:{account_of('orchestration')}"
