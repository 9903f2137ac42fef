"""TaskRuns: one coroutine brings one TaskRun to its end, attempt by attempt, and can take it up again after a restart.

What happens to steps when this process ends:

- Killed (SIGKILL, power): each step goes on under its guardian. The next start finds the TaskRun under way, waits for the
  steps that still run, reads the exit codes of those that ended, and begins only what was never begun. A step that was
  begun and of which nothing is left (the machine was restarted) has failed with 255, as Tekton says of a lost node.
- Stopped in order (SIGTERM, Ctrl-C): nothing is left running. Steps get SIGTERM and after the grace SIGKILL; their guardian
  records the end; the TaskRun keeps its Running until the next start, which reports that end: StepFailed, exit code 255,
  or what the step made of the signal.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines.admission import checked_spec
from kubernaut.localcluster.pipelines.environment import check_surroundings, work_directory
from kubernaut.localcluster.pipelines.faults import RunFailed, Unresolved, Unsupported
from kubernaut.localcluster.pipelines.interrupt import Interrupt, Interrupted
from kubernaut.localcluster.pipelines.names import pod_name
from kubernaut.localcluster.pipelines.resolver import Resolved, reference_name, resolve
from kubernaut.localcluster.pipelines.status import condition, ended, provenance, succeeded, with_condition
from kubernaut.localcluster.pipelines.steps import Failure, Steps
from kubernaut.localcluster.pipelines.stepstates import StepStates
from kubernaut.localcluster.pipelines.taskspec import INVALID, check_supported, prepared
from kubernaut.localcluster.pipelines.times import duration, moment, stamp, written
from kubernaut.localcluster.pipelines.world import World

RELEASE = "3ee1745"
_UNDER_WAY = "Not all Steps in the Task have finished executing"
_ON_ERROR = "pipeline.tekton.dev/pipeline-task-on-error"
_DEFAULT_TIMEOUT = "1h0m0s"


async def run_task(world: World, run: Obj, interrupt: Interrupt) -> None:
    """Bring a TaskRun to its end, all attempts; return without a last status where it was deleted. Raises ApiError."""
    while not ended(run) and not interrupt.deleted:
        run = await _Attempt(world, run, interrupt).run()


@dataclass(frozen=True, slots=True)
class _End:
    status: str
    reason: str
    message: str


class _Attempt:
    """One attempt: one Pod in Tekton, one private directory here."""

    def __init__(self, world: World, run: Obj, interrupt: Interrupt) -> None:
        self._world = world
        self._run = run
        self._interrupt = interrupt
        self._meta: Obj = run["metadata"]
        self._spec: Obj = run["spec"]
        self._status: Obj = dict(run.get("status") or {})
        self._number = len(self._status.get("retriesStatus", []))
        self._states = StepStates(self._status.get("steps", []))

    async def run(self) -> Obj:
        """Return the TaskRun as it is after the attempt."""
        try:
            await self._begin()
            await self._execute()
        except Interrupted as cause:
            await self._interrupted(timed_out=cause.timed_out)
        except RunFailed as fault:
            await self._conclude(_End("False", fault.reason, fault.message))
            if fault.error:
                await self._world.tell(self._run, "Warning", "InternalError", fault.error)
        return self._run

    async def _begin(self) -> None:
        self._interrupt.check(self._world.now(), self._due)
        await self._label()
        if "startTime" in self._status:
            return
        await self._world.tell(self._run, "Normal", "Started")
        self._status["startTime"] = stamp(self._world.now())
        await self._prepare()
        self._status["podName"] = self._pod
        await self._report("Pending", "Pending")

    async def _label(self) -> None:
        ref = self._spec.get("taskRef")
        labels = {"tekton.dev/task": reference_name(ref)} if ref else {}
        await self._world.label(self._world.task_runs, self._run, labels, {"pipeline.tekton.dev/release": RELEASE})

    async def _prepare(self) -> None:
        found = await self._task()
        spec = prepared(self._run, found.object.get("spec") or {}, self._number)
        self._status |= {"taskSpec": spec, "provenance": provenance(found.source), "podName": ""}
        if not self._number:
            self._states = StepStates.of(spec["steps"])
        try:
            check_supported(spec)
            await check_surroundings(self._world, self._run, spec)
        except Unsupported as error:
            raise self._no_pod(error) from error

    def _no_pod(self, error: Unsupported) -> RunFailed:
        ref = self._spec.get("taskRef")
        hint = "Maybe invalid TaskSpec" if ref is None else f"Maybe missing or invalid Task {self._meta['namespace']}/{ref.get('name', '')}"
        text = f'failed to create task run pod "{self._name}": translating TaskSpec to Pod: {error}. {hint}'
        return RunFailed("PodCreationFailed", text, text)

    async def _task(self) -> Resolved:
        if "taskSpec" in self._spec:
            return Resolved({"spec": self._spec["taskSpec"]}, {})
        try:
            found = await resolve(self._world, self._run, self._spec["taskRef"], "Task")
        except (Unresolved, RunFailed) as error:
            raise RunFailed("TaskRunResolutionFailed", f"failed to get task: {error}", str(error)) from error
        if fault := checked_spec("Task", found.object):
            raise RunFailed(INVALID, f"invalid taskspec: {fault}", fault)
        return found

    async def _execute(self) -> None:
        spec = self._status["taskSpec"]
        work = work_directory(self._world.settings, self._run, spec, self._number)
        begun = succeeded(self._run).get("reason") == "Running"
        if begun and not work.made:
            await self._lose()
            return
        await self._pull(spec["steps"])
        steps = Steps(self._world, self._run, spec, work, self._states)
        try:
            await steps.make_ready()
            if not begun:
                self._states.run(stamp(self._world.now()), spec["steps"])
                await self._report("Running", _UNDER_WAY)
            failure = await self._walk(steps)
        except Unsupported as error:
            raise self._no_pod(error) from error
        await self._settle(failure, steps.results())
        steps.clean()

    async def _walk(self, steps: Steps) -> Failure | None:
        failure: Failure | None = None
        for position in range(steps.count):
            failure = await steps.run(position, self._interrupt, self._due)
            if failure:
                steps.skip_after(position)
                break
            if position + 1 < steps.count:
                await self._report("Running", _UNDER_WAY)
        return failure

    async def _pull(self, steps: list[Obj]) -> None:
        for step in steps:
            if self._world.settings.program(step["image"]) is None:
                await self._fail_pull(step["name"], step["image"])

    async def _fail_pull(self, step: str, image: str) -> None:
        missing = f'failed to resolve reference "{image}": {image}: not found'
        error = f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": {missing}'
        self._states.wait(step, "ErrImagePull", error)
        quoted = error.replace('"', '\\"')
        await self._report("PullImageFailed", f'build step "step-{step}" is pending with reason "{quoted}"')
        await self._interrupt.sleep(self._world.settings.pull_back_off)
        self._states.terminate_all("TaskRunImagePullFailed", self._pod, self._status["startTime"], stamp(self._world.now()))
        told = f'Back-off pulling image "{image}": ErrImagePull: {error}.'
        text = f'the step "{step}" in TaskRun "{self._name}" failed to pull the image "". The pod errored with the message: "{told}"'
        raise RunFailed("TaskRunImagePullFailed", text, text)

    # the end

    async def _settle(self, failure: Failure | None, results: list[Obj]) -> None:
        self._status["artifacts"] = {}
        if results:
            self._status["results"] = results
        if failure is None:
            await self._conclude(_End("True", "Succeeded", "All Steps have completed executing"))
            return
        reason = "FailureIgnored" if self._meta.get("annotations", {}).get(_ON_ERROR) == "continue" else "StepFailed"
        await self._fail(_End("False", reason, failure.message))

    async def _lose(self) -> None:
        name = self._states.lose(stamp(self._world.now()))
        await self._settle(Failure(f'"step-{name}" exited with code 255: Error'), [])

    async def _interrupted(self, *, timed_out: bool) -> None:
        if self._interrupt.evicted and self._states.entries():
            await self._lose()
        elif not self._interrupt.deleted:
            await self._terminate(timed_out=timed_out)

    async def _terminate(self, *, timed_out: bool) -> None:
        reason = "TaskRunTimeout" if timed_out else "TaskRunCancelled"
        now = stamp(self._world.now())
        self._states.terminate_all(reason, self._pod, self._status.setdefault("startTime", now), now)
        if timed_out:
            await self._fail(_End("False", reason, f'TaskRun "{self._name}" failed to finish within "{written(self._timeout)}"'))
        else:
            await self._conclude(_End("False", reason, f'TaskRun "{self._name}" was cancelled. {self._interrupt.message}'))

    async def _fail(self, end: _End) -> None:
        if self._number < self._spec.get("retries", 0) and not self._interrupt.raised:
            await self._retry(end)
        else:
            await self._conclude(end)

    async def _retry(self, end: _End) -> None:
        past = self._status.get("retriesStatus", [])
        self._status["steps"] = self._states.entries()
        self._set(end)
        attempt = {key: value for key, value in self._status.items() if key != "retriesStatus"}
        self._status |= {"retriesStatus": [*past, {**attempt, "completionTime": stamp(self._world.now())}], "podName": ""}
        for key in ("startTime", "results"):
            self._status.pop(key, None)
        await self._report("ToBeRetried", end.message)

    async def _conclude(self, end: _End) -> None:
        self._status["completionTime"] = stamp(self._world.now())
        await self._write(end)
        await self._tell()

    async def _report(self, reason: str, message: str) -> None:
        before = succeeded(self._run)
        await self._write(_End("Unknown", reason, message))
        if before != succeeded(self._run):
            await self._tell()

    async def _write(self, end: _End) -> None:
        self._set(end)
        self._status["steps"] = self._states.entries()
        await self._world.write_status(self._world.task_runs, self._run, self._status)
        self._run = {**self._run, "status": dict(self._status)}

    def _set(self, end: _End) -> None:
        self._status = with_condition(self._status, condition(self._world.now(), end.status, end.reason, end.message))

    async def _tell(self) -> None:
        state = succeeded(self._run)
        failed = state["status"] == "False"
        await self._world.tell(self._run, "Warning" if failed else "Normal", "Failed" if failed else state["reason"], state["message"])

    @property
    def _name(self) -> str:
        return str(self._meta["name"])

    @property
    def _pod(self) -> str:
        return pod_name(self._name, self._number)

    @property
    def _timeout(self) -> timedelta:
        return duration(self._spec.get("timeout", _DEFAULT_TIMEOUT))

    @property
    def _due(self) -> datetime | None:
        start = self._status.get("startTime")
        return moment(start) + self._timeout if start and self._timeout else None
