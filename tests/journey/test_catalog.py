"""Each workflow of the shipped catalogue cures what it is for, end to end: alert in, cause named, fix approved and run, remediated and verified.

All cases play at once in one system, each in a namespace of its own: a test waits for the end of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from kubernaut import catalog
from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.base import Obj
from kubernaut.api.remediation import Outcome, Phase, RemediationRequest
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli.approving import answer, is_open
from kubernaut.cli.story import Story
from kubernaut.orchestration.gate.brake import BrakeSettings
from tests.journey.cures import CURES, NODES, Cure
from tests.journey.faults import Place
from tests.journey.stage import Stage, playing, settings_for, standing
from tests.world import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("catalog")]
PATIENCE = 240.0
"""Seconds that one case may take; only a broken system takes so long, or a machine that does ten other things."""
AT_ONCE = 6
"""How many cases play at the same time: two cores carry no more."""
NEVER = "0001-01-01T00:00:00Z"
BY_NAME = {f"cure-{cure.workflow}": cure for cure in CURES}


@dataclass
class Ended:
    """A case at its end."""

    remediation: RemediationRequest
    execution: WorkflowExecution
    cured: bool


def namespace_of(cure: Cure) -> str:
    return f"cure-{cure.workflow}"


class Player:
    """Plays cases on one stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def play(self, cure: Cure) -> Ended:
        """Break something, send the alert, wait for the cure, let the alert resolve, and return the case as it ended."""
        place = Place(self._stage.client, namespace_of(cure))
        async with self._turn:
            await self._stage.client.create(core.NAMESPACE, {"metadata": {"name": place.namespace, "labels": {"environment": "staging"}}})
            await self._break(cure, place)
            labels = await self._labels(cure, place)
            since = datetime.now(UTC)
            await self._send(labels, "firing", since)
            looking = asyncio.create_task(_until(lambda: cure.cured(place)))
            ended = asyncio.create_task(self._end(cure))
            await asyncio.wait({looking, ended}, return_when=asyncio.FIRST_COMPLETED)
            cured = looking.done() and looking.exception() is None
            if cured:
                await self._send(labels, "resolved", since)
            else:
                looking.cancel()
            return Ended(*(await ended), cured)

    async def _break(self, cure: Cure, place: Place) -> None:
        await cure.make(place)
        if cure.then is not None:
            await _until(lambda: _all_well(place))
            await cure.then(place)
        await _until(lambda: cure.broken(place))

    async def _labels(self, cure: Cure, place: Place) -> Obj:
        where = {} if "node" in cure.alert else {"namespace": place.namespace}
        named = set(cure.alert) - {"alertname", "severity"}
        pod = {} if named else {"pod": (await place.pods())[0]["metadata"]["name"]}
        return {**cure.alert, **where, **pod}

    async def _send(self, labels: Obj, status: str, since: datetime) -> None:
        now = datetime.now(UTC)
        alert = {
            "status": status,
            "labels": labels,
            "annotations": {"summary": "something is wrong"},
            "startsAt": since.isoformat(),
            "endsAt": now.isoformat() if status == "resolved" else NEVER,
        }
        body = {
            "version": "4",
            "status": status,
            "receiver": "kubernaut",
            "alerts": [alert],
            "groupKey": "{}",
            "externalURL": "http://am:9093",
        }
        url = self._stage.system.endpoints.urls["gateway"] + "/api/v1/signals/prometheus"
        async with self._stage.http.post(url, json=body) as reply:
            assert reply.status < 300, await reply.text()

    async def _end(self, cure: Cure) -> tuple[RemediationRequest, WorkflowExecution]:
        def mine(each: RemediationRequest) -> bool:
            names = {each.spec.signal_labels.get("namespace"), each.spec.signal_labels.get("node")}
            return each.status.phase.terminal and bool(names & {namespace_of(cure), cure.alert.get("node", "-")})

        try:
            ended = await self._stage.view.until(RemediationRequest, mine, seconds=PATIENCE)
        except TimeoutError as fault:
            own = [each for each in self._stage.family() if namespace_of(cure) in each.model_dump_json()]
            raise AssertionError("it never ended; the case stands so:\n" + "\n".join(map(standing, own))) from fault
        runs = [each for each in self._stage.view.all(WorkflowExecution) if each.metadata.name.startswith(ended.metadata.name)]
        assert runs, f"no workflow was run: {ended.status.phase} {ended.status.outcome} {ended.status.message}"
        return ended, runs[0]

    async def say_yes(self) -> None:
        """Approve whatever is asked, as the person on call, until cancelled."""
        seen: set[str] = set()

        def asked(each: AIApprovalRequest) -> bool:
            return each.metadata.name not in seen and is_open(each)

        while True:
            request = await self._stage.view.until(AIApprovalRequest, asked, seconds=None)
            seen.add(request.metadata.name)
            await answer(self._stage.person, request, Decision.APPROVED, "", datetime.now(UTC))


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    await eventually(holds, seconds=PATIENCE, pause=0.15)


async def _all_well(place: Place) -> bool:
    pods = await place.pods()
    rows = [row for pod in pods for row in (pod.get("status") or {}).get("conditions") or () if row["type"] == "Ready"]
    return bool(pods) and len(rows) == len(pods) and all(row["status"] == "True" for row in rows)


@asynccontextmanager
async def system(path) -> AsyncIterator[Player]:
    """Run a whole system that plays what containers do in every case."""
    rules = [{**rule, "match": rule["match"] | {"namespace": name}} for name, cure in BY_NAME.items() for rule in cure.rules]
    story = Story("catalogue", [], {"nodes": list(NODES), "rules": rules}, "default", "none")

    def settings(place):
        unlimited = BrakeSettings(concurrent=None, hourly=None, storm_cases=None)
        return settings_for(place, orchestration={"brake": unlimited})

    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(playing(path, played=story, settings=settings))
        player = Player(stage)
        yes = asyncio.create_task(player.say_yes())
        yield player
        yes.cancel()
        await asyncio.gather(yes, return_exceptions=True)


@pytest.fixture(scope="module")
def wanted(request):
    """Return the cases that this run of the tests is about."""
    return [
        each.callspec.params["cure"] for each in request.session.items if "cure" in getattr(getattr(each, "callspec", None), "params", {})
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def games(wanted, tmp_path_factory):
    """Let all cases play; give each one's end, as a task."""
    async with system(tmp_path_factory.mktemp("catalogue")) as player:
        tasks = {cure.workflow: asyncio.create_task(player.play(cure)) for cure in wanted}
        yield tasks
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("cure", CURES, ids=[cure.workflow for cure in CURES])
async def test_a_workflow_cures_what_it_is_for(cure, games):
    ended = await games[cure.workflow]
    remediation, execution = ended.remediation, ended.execution
    assert execution.spec.workflow_ref is not None
    assert execution.spec.workflow_ref.workflow_id == cure.workflow
    assert execution.spec.execution_config.service_account_name == catalog.account(cure.workflow)
    told = execution.status.failure_details.natural_language_summary if execution.status.failure_details else ""
    assert (remediation.status.phase, remediation.status.outcome) == (Phase.COMPLETED, Outcome.REMEDIATED), (
        remediation.status.message,
        told,
    )
    assert ended.cured


async def test_no_workflow_of_the_catalogue_is_left_out():
    assert sorted(cure.workflow for cure in CURES) == catalog.workflow_ids()
