"""The runner dies and comes back: no step is run twice, none is forgotten, and an orderly stop leaves nothing running."""

import asyncio
import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from kubernaut.localcluster.pipelines.processes import StepProcess
from tests.localcluster.pipelines import mortal
from tests.localcluster.pipelines.pieces import pipeline, step, task
from tests.localcluster.pipelines.stage import condition, gone, short

pytestmark = pytest.mark.cluster

LOST = ("False", "StepFailed", '"step-wait" exited with code 255: Error')


@pytest.fixture(scope="module")
def lives():
    """Return a context in which each new process is a fork of one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([mortal.__name__])
    return context


class Life:
    """One process that runs the pipeline of a directory."""

    def __init__(self, context, root, writes=0):
        self._root = root
        self.process = context.Process(target=mortal.main, args=(root, writes))
        self.process.start()

    async def end(self, number=0):
        """Wait for its end, after a signal if one is given; return the exit code."""
        if number:
            os.kill(self.process.pid, number)
        over = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.process.sentinel, over.set)
        await over.wait()
        asyncio.get_running_loop().remove_reader(self.process.sentinel)
        self.process.join()
        return self.process.exitcode

    async def outcome(self):
        """Wait for its end and return the PipelineRun, and TaskRuns by name."""
        assert await self.end() == 0
        seen = json.loads((self._root / "outcome.json").read_text())
        return seen["run"], {run["metadata"]["name"]: run for run in seen["tasks"]}


def write(root, *tasks):
    (root / "pipeline.json").write_text(json.dumps(pipeline("p", *tasks)["spec"]))


def effects(root):
    path = root / "effects"
    return path.read_text().split() if path.exists() else []


def effect(root, word):
    return f'echo "{word}" >> {root}/effects'


def waiting(root, name):
    """Return a task whose step tells its process id through one FIFO and waits for a word through another."""
    for kind in ("begun", "go"):
        os.mkfifo(root / f"{name}.{kind}")
    script = (
        f"{effect(root, f'{name}-begun')}\necho $$ > {root}/{name}.begun\nread word < {root}/{name}.go\n{effect(root, f'{name}-ended')}"
    )
    return task(name, step("wait", script))


async def begun(root, name):
    """Wait until the step has begun; return its process id."""
    return int(await asyncio.to_thread((root / f"{name}.begun").read_text))


async def go(root, name):
    """Let the step end."""
    await asyncio.to_thread((root / f"{name}.go").write_text, "go\n")


def guardian(root, pid):
    """Return the step process whose script has this process id."""
    status = Path(f"/proc/{pid}/status").read_text()
    parent = int(next(line for line in status.splitlines() if line.startswith("PPid:")).split()[1])
    found = [StepProcess(path.parent) for path in root.glob("state/taskruns/*/step-0/started.json")]
    return next(process for process in found if process.pid == parent)


async def test_killed_after_more_and_more_writes_a_run_still_does_everything_once(tmp_path, lives):
    first = task("a", step("one", effect(tmp_path, "one")), step("two", effect(tmp_path, "two")))
    write(tmp_path, first, task("b", step("three", effect(tmp_path, "three")), runAfter=["a"]))
    deaths = 0
    for writes in range(2, 60):
        life = Life(lives, tmp_path, writes)
        if await life.end() == 0:
            break
        assert life.process.exitcode == -signal.SIGKILL
        deaths += 1
    run, tasks = await life.outcome()
    assert deaths > 3
    assert condition(run) == ("True", "Succeeded", "Tasks Completed: 2 (Failed: 0, Cancelled 0), Skipped: 0")
    assert effects(tmp_path) == ["one", "two", "three"]
    assert list(tasks) == ["run-a", "run-b"]


async def test_killed_while_steps_run_it_takes_each_up_where_it_is(tmp_path, lives):
    write(tmp_path, *(waiting(tmp_path, name) for name in ("done", "late", "lost")))
    life = Life(lives, tmp_path)
    pids = {name: await begun(tmp_path, name) for name in ("done", "late", "lost")}
    done, lost = guardian(tmp_path, pids["done"]), guardian(tmp_path, pids["lost"])
    await life.end(signal.SIGKILL)

    await go(tmp_path, "done")
    assert (await done.ended()).code == 0
    os.kill(lost.pid, signal.SIGKILL)
    await gone(pids["lost"])

    life = Life(lives, tmp_path)
    await go(tmp_path, "late")
    run, tasks = await life.outcome()
    assert short(run) == "False/Failed"
    assert {name: condition(run)[:2] for name, run in tasks.items()} == {
        "run-done": ("True", "Succeeded"),
        "run-late": ("True", "Succeeded"),
        "run-lost": LOST[:2],
    }
    assert condition(tasks["run-lost"]) == LOST
    assert sorted(effects(tmp_path)) == ["done-begun", "done-ended", "late-begun", "late-ended", "lost-begun"]


async def test_an_orderly_stop_ends_the_step_and_the_next_start_says_so(tmp_path, lives):
    write(tmp_path, waiting(tmp_path, "stopped"))
    life = Life(lives, tmp_path)
    pid = await begun(tmp_path, "stopped")
    process = guardian(tmp_path, pid)
    await life.end(signal.SIGINT)
    await gone(pid)
    assert (await process.ended()).code == 255
    run, tasks = await Life(lives, tmp_path).outcome()
    assert short(run) == "False/Failed"
    assert condition(tasks["run-stopped"]) == LOST
    assert effects(tmp_path) == ["stopped-begun"]


async def test_steps_of_task_runs_that_went_while_the_runner_was_dead_are_ended(tmp_path, lives):
    write(tmp_path, waiting(tmp_path, "orphan"))
    life = Life(lives, tmp_path)
    pid = await begun(tmp_path, "orphan")
    await life.end(signal.SIGKILL)
    for path in tmp_path.glob("cluster.db*"):
        path.unlink()
    write(tmp_path, task("other", step("quick", "true")))
    run, _ = await Life(lives, tmp_path).outcome()
    assert short(run) == "True/Succeeded"
    await gone(pid)
    assert effects(tmp_path) == ["orphan-begun"]
