"""Two executions never work on one target, whoever else is at work: two processes without an election share one API server."""

import asyncio

import pytest

from kubernaut.api.core import LEASE, PIPELINE_RUN
from kubernaut.kube.client import Client
from kubernaut.workflow import failure
from kubernaut.workflow.target import lock_name
from tests.workflow.bench import PATIENCE, RUNS, SYSTEM
from tests.workflow.stage import TARGET

NUMBER = 5


def at_work(store):
    """Return the runs that have not ended, by name."""
    return [run["metadata"]["name"] for run in store.all() if failure.succeeded(run).get("status") not in {"True", "False"}]


async def next_run(world, ended):
    """Return the run that is at work as soon as there is one; there must never be two."""
    informer = world._store(PIPELINE_RUN)
    async with asyncio.timeout(PATIENCE):
        while True:
            found = at_work(informer.store)
            assert len(found) <= 1
            if found and found[0] not in ended:
                return found[0]
            world._change.clear()
            await world._change.wait()


@pytest.mark.parametrize("ends", ["True", "False"])
async def test_of_many_executions_on_one_target_one_runs_at_a_time_and_all_come_to_their_turn(world, ends):
    second = world.connect(Client)
    settings = {"cooldown": 0, "failure_rest": 0, "failures_tolerated": NUMBER}
    async with world.at_work(world.stage(**settings)), world.at_work(world.stage(**settings), second):
        await asyncio.gather(*(world.execute(f"e{number}", remediationRequestRef={"name": f"rr-{number}"}) for number in range(NUMBER)))
        ended: list[str] = []
        while len(ended) < NUMBER:
            name = await next_run(world, ended)
            lease = await world.client.get(LEASE, lock_name(TARGET), SYSTEM)
            assert lease["spec"]["holderIdentity"].startswith(f"{name}/")
            await world.tekton(ends, "Succeeded" if ends == "True" else "PipelineRunTimeout", name=name)
            await world.phase("Completed" if ends == "True" else "Failed", name)
            ended.append(name)
        await world.gone(LEASE, SYSTEM, lock_name(TARGET))
    await second.close()
    assert len(set(ended)) == len((await world.client.list(PIPELINE_RUN, RUNS)).items) == NUMBER
