"""The steps of one attempt, run one after the other as local processes: exit codes, results and states as Tekton shows them."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines import workdir
from kubernaut.localcluster.pipelines.environment import make_workdir, with_values, write_kubeconfig
from kubernaut.localcluster.pipelines.faults import RunFailed
from kubernaut.localcluster.pipelines.interrupt import Interrupt, Interrupted
from kubernaut.localcluster.pipelines.params import declared_type
from kubernaut.localcluster.pipelines.processes import Command, Exit, NotStarted, StepProcess
from kubernaut.localcluster.pipelines.stepstates import COMPLETED, CONTINUED, ERROR, TIMED_OUT, StepStates
from kubernaut.localcluster.pipelines.taskspec import with_template
from kubernaut.localcluster.pipelines.times import duration, stamp
from kubernaut.localcluster.pipelines.workdir import WorkDir
from kubernaut.localcluster.pipelines.world import World

_LEEWAY = timedelta(seconds=5)
_TOO_LARGE = "Termination message is above max allowed size 4096, caused by large task result."


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a TaskRun failed: the message of its condition."""

    message: str


class Steps:
    """The steps of an attempt in its directory; states are kept in `states`."""

    def __init__(self, world: World, run: Obj, spec: Obj, work: WorkDir, states: StepStates) -> None:
        """Take the attempt's parts."""
        self._world = world
        self._run = run
        self._spec = spec
        self._work = work
        self._states = states
        self._steps: list[Obj] = spec["steps"]

    @property
    def count(self) -> int:
        """How many steps there are."""
        return len(self._steps)

    async def make_ready(self) -> None:
        """Make the directory and the kubeconfig; raise Unsupported."""
        if not self._work.made:
            await make_workdir(self._world, self._run, self._spec, self._work)
        await write_kubeconfig(self._world, self._run, self._work)

    def clean(self) -> None:
        """Take the token away; output and results stay for who asks."""
        self._work.kubeconfig.unlink(missing_ok=True)

    async def run(self, position: int, interrupt: Interrupt, due: datetime | None) -> Failure | None:
        """Run a step, or take it up where it is; return why the TaskRun fails with it. Raises Interrupted with the step stopped."""
        process = self._work.process(position)
        now = self._world.now()
        try:
            if not process.begun:
                interrupt.check(now, due)
                await self._start(process, position, due)
            end = await interrupt.race(process.ended(), (due - now).total_seconds() if due else None)
        except (Interrupted, asyncio.CancelledError) as cause:
            await process.stop()
            if isinstance(cause, asyncio.CancelledError) or not (interrupt.evicted and process.begun):
                raise
            end = await process.ended()
        return self._record(position, end, process)

    def skip_after(self, position: int) -> None:
        """Show the steps after a failed one as skipped."""
        for later in range(position + 1, self.count):
            self._states.skip(later, stamp(self._world.now()))

    def results(self) -> list[Obj]:
        """Return status.results: what was written of the declared results."""
        declared = {result["name"]: declared_type(result) for result in self._spec.get("results") or []}
        found = self._work.results(declared)
        return [{"name": name, "type": declared[name], "value": _typed(value, declared[name])} for name, value in found.items()]

    async def _start(self, process: StepProcess, position: int, due: datetime | None) -> None:
        step = await with_values(self._world, self._run, with_template(self._steps[position], self._spec))
        try:
            await process.start(self._command(step, position, due))
        except NotStarted as error:
            raise RunFailed("PodCreationFailed", f"failed to start step {step['name']}: {error}") from error

    def _command(self, step: Obj, position: int, due: datetime | None) -> Command:
        settings = self._world.settings
        program = settings.program(step["image"])
        path, extra, entrypoint = (program.path, program.env, program.entrypoint) if program else ((), {}, ())
        return Command(
            argv=self._work.argv(step, position, entrypoint),
            env=self._work.environment(step, path, extra),
            cwd=self._work.cwd(step),
            logBytes=settings.log_bytes,
            grace=settings.grace.total_seconds(),
            deadline=self._deadline(step, due),
        )

    def _deadline(self, step: Obj, due: datetime | None) -> float:
        moments = [due + _LEEWAY] if due else []
        if "timeout" in step:
            moments.append(self._world.now() + duration(step["timeout"]))
        return min(moments).timestamp() if moments else 0.0

    def _record(self, position: int, end: Exit, process: StepProcess) -> Failure | None:
        step = self._steps[position]
        results = self._work.results(result["name"] for result in self._spec.get("results") or [])
        code, message = end.code, workdir.termination_message(results)
        if workdir.too_large(results, end.started.isoformat(timespec="milliseconds")):
            process.note(_TOO_LARGE)
            code, message = 1, ""
        reason = self._reason(step, code, end)
        failed = reason in (ERROR, TIMED_OUT)
        terminated = {
            "exitCode": code,
            "reason": ERROR if failed else COMPLETED,
            "startedAt": stamp(end.started),
            "finishedAt": stamp(end.finished),
        }
        container = {"containerID": f"process://{end.pid}"} | ({"message": message} if message else {})
        self._states.end(position, terminated | container, reason)
        return _failure(step["name"], code, reason) if failed else None

    @staticmethod
    def _reason(step: Obj, code: int, end: Exit) -> str:
        if end.interrupted and "timeout" in step:
            return TIMED_OUT
        if code == 0:
            return COMPLETED
        return CONTINUED if step.get("onError") == "continue" else ERROR


def _failure(step: str, code: int, reason: str) -> Failure:
    if reason == TIMED_OUT:
        return Failure(f'"step-{step}" exited because the step exceeded the specified timeout limit')
    return Failure(f'"step-{step}" exited with code {code}: {ERROR}')


def _typed(value: str, kind: str) -> object:
    if kind == "string":
        return value
    try:
        found: object = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    return found
