"""PipelineRuns: resolve, check, start TaskRuns in order, report; one pass looks at everything anew, as Tekton's reconciler does."""

import asyncio
from datetime import datetime
from typing import Any, NoReturn

from kubernaut.localcluster.errors import ApiError, Obj
from kubernaut.localcluster.pipelines import plan
from kubernaut.localcluster.pipelines.admission import checked_spec, place_parameters, task_refs
from kubernaut.localcluster.pipelines.children import cancel_patch, task_run
from kubernaut.localcluster.pipelines.clocks import Clocks
from kubernaut.localcluster.pipelines.documents import pipeline_faults, unsupported
from kubernaut.localcluster.pipelines.faults import RunFailed, Unresolved
from kubernaut.localcluster.pipelines.names import task_run_name
from kubernaut.localcluster.pipelines.resolver import BUNDLES, Resolved, reference_name, resolve
from kubernaut.localcluster.pipelines.status import condition, ended, provenance, succeeded, with_condition
from kubernaut.localcluster.pipelines.times import moment, stamp, written
from kubernaut.localcluster.pipelines.world import API_VERSION, BAD_REQUEST, CONFLICT, INVALID, World


class PipelineRuns:
    """The reconciler of PipelineRuns."""

    def __init__(self, world: World) -> None:
        """Keep the surroundings."""
        self._world = world

    async def reconcile(self, namespace: str, name: str) -> datetime | None:
        """Bring one PipelineRun forward; return when a clock of it runs out next. Raises ApiError to be called again."""
        run = await self._world.find(self._world.pipeline_runs, name, namespace)
        if run is None or ended(run) or "deletionTimestamp" in run["metadata"]:
            return None
        return await _Pass(self._world, run).advance()


class _Pass:
    """One look at one PipelineRun: its status as it will be."""

    def __init__(self, world: World, run: Obj) -> None:
        self._world = world
        self._run = run
        self._spec: Obj = run.get("spec") or {}
        self._status: Obj = dict(run.get("status") or {})
        self._meta: Obj = run["metadata"]

    async def advance(self) -> datetime | None:
        try:
            return await self._advance()
        except RunFailed as fault:
            self._end("False", fault.reason, fault.message)
            await self._report()
            if fault.error:
                await self._world.tell(self._run, "Warning", "InternalError", fault.error)
            return None

    async def _advance(self) -> datetime | None:
        if "startTime" not in self._status and await self._held():
            return None
        if self._spec.get("status") == plan.CANCELLED:
            await self._cancel()
        if "pipelineSpec" not in self._status and (again := await self._resolve()):
            return again
        return await self._run_tasks()

    async def _held(self) -> bool:
        await self._label()
        if not self._status:
            await self._world.tell(self._run, "Normal", "Started")
        if self._spec.get("status") != plan.PENDING:
            self._status["startTime"] = stamp(self._world.now())
            return False
        self._set("Unknown", "PipelineRunPending", f'PipelineRun "{self._name}" is pending')
        await self._report(quiet=True)
        return True

    async def _label(self) -> None:
        ref = self._spec.get("pipelineRef")
        name = reference_name(ref) if ref else self._name
        await self._world.label(self._world.pipeline_runs, self._run, {"tekton.dev/pipeline": name} if name else {}, {})

    # resolution

    async def _resolve(self) -> datetime | None:
        ref = self._spec.get("pipelineRef")
        if ref is None:
            self._accept(Resolved({"metadata": {"name": self._name}, "spec": self._spec.get("pipelineSpec") or {}}, {}))
            return None
        if "resolver" in ref:
            self._set("Unknown", "ResolvingPipelineRef", self._awaiting)
            await self._report()
        if again := self._unanswered(ref):
            return again
        self._accept(await self._pipeline(ref))
        return None

    def _unanswered(self, ref: Obj) -> datetime | None:
        if ref.get("resolver", BUNDLES) == BUNDLES:
            return None
        limit = self._world.settings.resolution_timeout
        due = moment(self._status["startTime"]) + limit
        if self._world.now() < due:
            return due
        raise self._no_pipeline(f"error requesting remote resource: resolution took longer than global timeout of {written(limit)}")

    async def _pipeline(self, ref: Obj) -> Resolved:
        try:
            found = await resolve(self._world, self._run, ref, "Pipeline")
        except Unresolved as error:
            raise self._no_pipeline(str(error)) from error
        except RunFailed as error:
            raise RunFailed("CouldntGetPipeline", f"{self._retrieving}: {error.message}", error.message) from error
        self._check_pipeline(found.object)
        return found

    def _check_pipeline(self, pipeline: Obj) -> None:
        spec = pipeline.get("spec")
        fault = checked_spec("Pipeline", pipeline) or pipeline_faults(spec if isinstance(spec, dict) else {})
        if fault:
            name = pipeline.get("metadata", {}).get("name", "")
            denied = 'admission webhook "validation.webhook.pipeline.tekton.dev" denied the request: validation failed: '
            error = f"failed to read runtime object as Pipeline: validation failed for referenced object {name}: {denied}{fault}"
            raise RunFailed(
                "PipelineValidationFailed", f"[User error] Failed dryRunValidation for PipelineRun {self._name}: {error}", error
            )

    def _accept(self, found: Resolved) -> None:
        self._status |= {"pipelineSpec": found.object["spec"], "provenance": provenance(found.source)}
        if fault := pipeline_faults(found.object["spec"]) or unsupported(found.object["spec"]):
            raise RunFailed(
                "PipelineValidationFailed", f"Pipeline {self._namespace}/{self._name} can't be Run; it has an invalid spec: {fault}", fault
            )
        pipeline = found.object.get("metadata", {}).get("name", self._name)
        self._status["pipelineSpec"] = place_parameters(self._run, str(pipeline), found.object["spec"])

    def _no_pipeline(self, cause: str) -> RunFailed:
        error = f"resolver failed to get Pipeline : {cause}"
        return RunFailed("CouldntGetPipeline", f"{self._retrieving}: {error}", error)

    async def _resolve_tasks(self, facts: plan.Facts) -> None:
        refs = task_refs(facts.spec)
        if facts.runs or not refs:
            return
        if any("resolver" in ref for ref in refs):
            self._set("Unknown", "ResolvingTaskRef", self._awaiting)
            await self._report()
        for ref in refs:
            await self._resolve_task(ref)

    async def _resolve_task(self, ref: Obj) -> None:
        try:
            await resolve(self._world, self._run, ref, "Task")
        except (Unresolved, RunFailed) as error:
            shown = f"resolver type {ref['resolver']}\nname = {reference_name(ref)}\n" if "resolver" in ref else reference_name(ref)
            quoted = shown.replace("\n", "\\n")
            cause = f'Couldn\'t retrieve Task "{quoted}": {error}'
            name = self._status.get("provenance", {}).get("refSource", {}).get("entryPoint", self._name)
            raise RunFailed(
                "CouldntGetTask", f"Pipeline /{name} can't be Run; it contains Tasks that don't exist: {cause}", cause
            ) from error

    # running

    async def _run_tasks(self) -> datetime | None:
        clocks = Clocks(self._spec, self._status)
        now = self._world.now()
        if clocks.pipeline_over(now):
            await self._cancel_runs(await self._facts(clocks), plan.BY_TIMEOUT, "all")
            raise RunFailed("PipelineRunTimeout", f'PipelineRun "{self._name}" failed to finish within "{written(clocks.pipeline)}"')
        facts = await self._facts(clocks)
        await self._resolve_tasks(facts)
        await self._stop_tasks(facts)
        if started := await self._start(facts):
            facts = plan.Facts(facts.spec, {**facts.runs, **started}, facts.stop, facts.tasks_timed_out, facts.finally_timed_out)
        await self._conclude(facts, clocks)
        return None if ended({"status": self._status}) else clocks.next(self._world.now(), facts.tasks_done())

    async def _facts(self, clocks: Clocks) -> plan.Facts:
        spec = self._status["pipelineSpec"]
        names = [task["name"] for task in [*spec.get("tasks", []), *spec.get("finally", [])]]
        found = await asyncio.gather(*(self._child(name) for name in names))
        runs = {name: run for name, run in zip(names, found, strict=True) if run is not None}
        now = self._world.now()
        return plan.Facts(spec, runs, self._spec.get("status", ""), clocks.tasks_over(now), clocks.finally_over(now))

    async def _child(self, task: str) -> Obj | None:
        found = await self._world.find(self._world.task_runs, task_run_name(self._name, task), self._namespace)
        return found if found and self._owns(found) else None

    def _owns(self, child: Obj) -> bool:
        return any(owner["uid"] == self._meta["uid"] for owner in child["metadata"].get("ownerReferences", []))

    async def _stop_tasks(self, facts: plan.Facts) -> None:
        if facts.stop == plan.CANCELLED_RUN_FINALLY:
            await self._cancel_runs(facts, plan.BY_CANCEL, "tasks")
        if facts.tasks_timed_out:
            await self._cancel_runs(facts, plan.BY_TIMEOUT, "tasks")
        if facts.finally_timed_out:
            await self._cancel_runs(facts, plan.BY_TIMEOUT, "finally")

    async def _cancel_runs(self, facts: plan.Facts, message: str, which: str) -> None:
        chosen = {"tasks": facts.tasks, "finally": facts.finals, "all": [*facts.tasks, *facts.finals]}[which]
        for task in chosen:
            run = facts.runs.get(task["name"])
            if run and not ended(run) and "status" not in run["spec"]:
                await self._world.api.patch(self._world.task_runs, run["metadata"]["name"], self._namespace, cancel_patch(message))

    async def _cancel(self) -> NoReturn:
        if "pipelineSpec" in self._status:
            facts = await self._facts(Clocks(self._spec, self._status))
            await self._cancel_runs(facts, plan.BY_CANCEL, "all")
        raise RunFailed("Cancelled", f'PipelineRun "{self._name}" was cancelled')

    async def _start(self, facts: plan.Facts) -> dict[str, Obj]:
        if facts.tasks_done() and facts.finals and "finallyStartTime" not in self._status:
            self._status["finallyStartTime"] = stamp(self._world.now())
        return {task["name"]: await self._create(task_run(self._run, facts, task)) for task in facts.ready()}

    async def _create(self, body: Obj) -> Obj:
        try:
            return await self._world.api.create(self._world.task_runs, body)
        except ApiError as error:
            if error.code != CONFLICT:
                raise self._refused(body, error) from error
            existing = await self._world.find(self._world.task_runs, body["metadata"]["name"], self._namespace)
            if existing is None or not self._owns(existing):
                raise
            return existing

    def _refused(self, body: Obj, error: ApiError) -> Exception:
        # a body that is no good stays no good; anything else may pass later
        if error.code not in (BAD_REQUEST, INVALID):
            return error
        meta = body["metadata"]
        task = meta["labels"]["tekton.dev/pipelineTask"]
        text = f"error creating TaskRuns called [{meta['name']}] for PipelineTask {task} from PipelineRun {self._name}: {error.message}"
        return RunFailed("CreateRunFailed", text, text)

    async def _conclude(self, facts: plan.Facts, clocks: Clocks) -> None:
        final = plan.verdict(facts, self._name, clocks.timed_out(self._name, facts))
        self._status["childReferences"] = _child_references(self._name, facts)
        if skipped := plan.skipped_tasks(facts):
            self._status["skippedTasks"] = skipped
        if final.status == "Unknown":
            self._set("Unknown", final.reason, final.message)
        else:
            await self._finish(facts, final)
        await self._report()

    async def _finish(self, facts: plan.Facts, final: plan.Verdict) -> None:
        for task in facts.tasks:
            if facts.invalid(task["name"]):
                await self._world.tell(self._run, "Warning", "ResultValidationFailed", _lacking(facts, task))
        results, invalid = plan.pipeline_results(facts)
        if invalid:
            error = f"invalid pipelineresults [{' '.join(invalid)}], the referenced results don't exist"
            raise RunFailed(
                "CouldntGetPipelineResult",
                f"Failed to get PipelineResult from TaskRun Results for PipelineRun {self._name}: {error}",
                error,
            )
        if results:
            self._status["results"] = results
        self._end(final.status, final.reason, final.message)

    # status

    def _set(self, status: str, reason: str, message: str) -> None:
        self._status = with_condition(self._status, condition(self._world.now(), status, reason, message))

    def _end(self, status: str, reason: str, message: str) -> None:
        self._set(status, reason, message)
        self._status["completionTime"] = stamp(self._world.now())

    async def _report(self, *, quiet: bool = False) -> None:
        before = self._run.get("status") or {}
        if self._status == before:
            return
        await self._world.write_status(self._world.pipeline_runs, self._run, self._status)
        self._run = {**self._run, "status": dict(self._status)}
        new = succeeded(self._run)
        if not quiet and new != succeeded({"status": before}):
            await self._world.tell(self._run, *_event(new))

    @property
    def _name(self) -> str:
        return str(self._meta["name"])

    @property
    def _namespace(self) -> str:
        return str(self._meta["namespace"])

    @property
    def _awaiting(self) -> str:
        return f"PipelineRun {self._namespace}/{self._name} awaiting remote resource"

    @property
    def _retrieving(self) -> str:
        return f"Error retrieving pipeline for pipelinerun {self._namespace}/{self._name}"


def _event(state: Obj) -> tuple[str, str, str]:
    if state["status"] == "False":
        return "Warning", "Failed", state["message"]
    return "Normal", "Succeeded" if state["status"] == "True" else state["reason"], state["message"]


def _child_references(run: str, facts: plan.Facts) -> list[Obj]:
    def reference(task: Obj) -> dict[str, Any]:
        name = task["name"]
        return {"apiVersion": API_VERSION, "kind": "TaskRun", "name": task_run_name(run, name), "pipelineTaskName": name}

    return [reference(task) for task in [*facts.tasks, *facts.finals] if task["name"] in facts.runs]


def _lacking(facts: plan.Facts, task: Obj) -> str:
    parent, result = facts.missing_results(task)[0]
    name = task["name"]
    why = f'task "{parent}" completed successfully but did not emit the result "{result}", which is referenced by task "{name}"'
    return f'Task "{name}" failed result validation: {why}'
