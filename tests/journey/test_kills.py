"""Killed by SIGKILL at any recorded write and started again, a case goes on to its end: one run, one change, one remediation."""

import asyncio
import json
import multiprocessing
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kubernaut.analysis.settings import PlanMode
from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.remediation import Outcome, Phase, RemediationRequest
from kubernaut.cli.approving import answer
from kubernaut.cli.embedded import Ports
from kubernaut.cli.places import Place
from kubernaut.cli.watching import viewing
from kubernaut.kube.client import Client
from kubernaut.manifests import SYSTEM_NAMESPACE
from tests.daemons import free_port
from tests.journey import mortal
from tests.journey.stage import DEPLOYMENT, NAMESPACE
from tests.world import eventually

MODES = pytest.mark.parametrize("mode", PlanMode, ids=lambda mode: mode.value)
STRIDE = 9
"""Writes of one life in the chain: about ten lives to a case."""
MOST = 140
"""More writes than a case has."""


@pytest.fixture(scope="module")
def lives():
    """Give a context in which each new process is a fork of one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([mortal.__name__])
    return context


def birth(root, mode):
    """Choose where and how; the ports stay the same over all lives, as those of `kubernaut up` do."""
    return mortal.Fate(root, Ports(api=free_port()), mode)


async def lived(context, fate, writes=0):
    """Live one life to its end; return the exit code."""
    process = context.Process(target=mortal.main, args=(replace(fate, writes=writes),))
    process.start()
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(process.sentinel, over.set)
    await over.wait()
    asyncio.get_running_loop().remove_reader(process.sentinel)
    process.join()
    return process.exitcode


def all_went_well(fate, deaths):
    seen = json.loads((fate.root / "outcome.json").read_text())
    steps = fate.mode is PlanMode.STEPS
    assert (seen["phase"], seen["outcome"], len(seen["requests"])) == ("Completed", "Remediated", 1)
    assert (len(seen["pipeline_runs"]), len(seen["task_runs"])) == ((0, 0) if steps else (1, 1))
    assert (seen["generation"], seen["limit"], seen["replica_sets"]) == (2, "256Mi", 2)
    kinds = Counter(seen["kinds"])
    assert kinds == Counter(
        ["RemediationRequest", "RemediationProcessing", "AIAnalysis", "AIApprovalRequest", "WorkflowExecution", "EffectivenessAssessment"]
        + ["NotificationRequest"] * 2
        + ["KubernetesExecution"] * steps
    )
    all_is_on_record(seen)
    shown = Counter(id_ for id_, _ in map(json.loads, (fate.root / "shown").read_text().splitlines()))
    assert len(shown) == 2
    assert shown.total() <= 2 + deaths


def all_is_on_record(seen):
    """Check the audit trail: the whole life of every object, nothing twice; what has gone by then was the preview of a fix."""
    lives: dict[tuple[str, str], list[int]] = {}
    for kind, uid, ordinal in seen["facts"]:
        lives.setdefault((uid, kind), []).append(ordinal)
    assert all(sorted(ordinals) == list(range(len(ordinals))) for ordinals in lives.values())
    assert {uid: len(ordinals) for (uid, _), ordinals in lives.items() if uid in seen["journals"]} == seen["journals"]
    assert {kind for uid, kind in lives if uid not in seen["journals"]} <= {"KubernetesExecution"}


@MODES
async def test_killed_again_and_again_a_case_still_does_everything_once(tmp_path, lives, mode):
    fate, deaths = birth(tmp_path, mode), 0
    while await lived(lives, fate, STRIDE) == -signal.SIGKILL:
        deaths += 1
        assert deaths * STRIDE < MOST, (tmp_path / "log").read_text()[-3000:]
    assert deaths >= 8
    all_went_well(fate, deaths)


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("writes", range(1, MOST))
@MODES
async def test_killed_once_after_any_write_a_case_still_does_everything_once(tmp_path, lives, mode, writes):
    fate = birth(tmp_path, mode)
    first = await lived(lives, fate, writes)
    if first == -signal.SIGKILL:
        assert await lived(lives, fate) == 0, (tmp_path / "log").read_text()[-3000:]
    else:
        assert first == 0, (tmp_path / "log").read_text()[-3000:]
    all_went_well(fate, int(first != 0))


@asynccontextmanager
async def up(root):
    """Run `kubernaut up` as a user does, on a state directory: its process and a client like the user's kubectl. It is killed at the end."""
    command = ("-m", "kubernaut.cli.main", "up", "--state", str(root / "state"), "--free-ports")
    with (root / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=log, stderr=log)

    async def announced():
        assert process.returncode is None, (root / "log").read_text()[-3000:]
        running = Place(root / "state").announced()
        return running is not None and running.pid == process.pid

    try:
        await eventually(announced, seconds=60)
        client = Client.from_kubeconfig(str(root / "state" / "kubeconfig"))
        try:
            yield process, client
        finally:
            await client.close()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def reached(client, *phases):
    """Wait for the one case to be in a phase, answering its question where that is what it needs; return it."""
    async with viewing(client, (RemediationRequest, AIApprovalRequest), SYSTEM_NAMESPACE, lambda *_: None) as view:
        if Phase.EXECUTING in phases:
            await view.until(RemediationRequest, lambda each: each.status.approval_notification_sent, seconds=60)
            [question] = view.all(AIApprovalRequest)
            await answer(client, question, Decision.APPROVED, "", datetime.now(UTC))
        found = await view.until(RemediationRequest, lambda each: each.status.phase in phases or each.status.phase.terminal, seconds=60)
    assert found.status.phase in phases, found.status.message
    return found


async def test_kubernaut_up_itself_is_killed_while_it_waits_and_while_it_works(tmp_path):
    for phase in (Phase.AWAITING_APPROVAL, Phase.EXECUTING):
        async with up(tmp_path) as (_, client):
            await reached(client, phase)
    async with up(tmp_path) as (process, client):
        request = await reached(client, Phase.COMPLETED, Phase.FAILED)
        [run] = (await client.list(core.PIPELINE_RUN)).items
        deployment = await client.get(core.DEPLOYMENT, DEPLOYMENT, NAMESPACE)
        process.terminate()
        assert await process.wait() == 0
    assert run["metadata"]["name"] == f"{request.metadata.name}-wfe"
    # the API server dies with the rest: a step that speaks to it at that moment fails, and then a person is told
    away = request.status.phase is Phase.FAILED and "connection refused" in request.status.message
    assert (request.status.outcome, deployment["metadata"]["generation"]) == (
        (Outcome.MANUAL_REVIEW_REQUIRED, 1) if away else (Outcome.REMEDIATED, 2)
    )
