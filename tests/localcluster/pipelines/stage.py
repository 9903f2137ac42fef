"""A stage for pipelines: the real API in process, the real runner, local layouts, and watchers that wait without sleeping."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kubernaut.localcluster.api import Api, ResourceKind
from kubernaut.localcluster.pipelines import PipelineSettings, Program, TektonWebhook, pipeline_runner, tekton_crds
from kubernaut.localcluster.podlogs import PodLogs
from kubernaut.localcluster.server import ClusterSettings, LocalCluster

Obj = dict[str, Any]
NAMESPACE = "case"
REGISTRY = "127.0.0.1:22500"
SHELL = "local/busybox:1"


def settings_of(root: Path, **changes: Any) -> PipelineSettings:
    """Return settings with the layouts under `root`."""
    plain = PipelineSettings(
        state=root / "state",
        kubeconfig=lambda token: {"contexts": [], "users": [{"name": "nobody", "user": {"token": token}}]},
        token_for=lambda namespace, account: f"{namespace}:{account}",
        bundles={f"{REGISTRY}/tekton": root / "layouts"},
        images=(Program("local/*"),),
    )
    return replace(plain, **changes)


def condition(run: Obj) -> tuple[str, str, str]:
    """Return status, reason and message of a run's condition."""
    found = ((run.get("status") or {}).get("conditions") or [{}])[0]
    return found.get("status", ""), found.get("reason", ""), found.get("message", "")


def short(run: Obj) -> str:
    """Return the condition as the tables write it."""
    status, reason, _ = condition(run)
    return f"{status}/{reason}" if status else "no condition"


@dataclass
class Stage:
    """One namespace, its runs, and everything that was seen of them."""

    api: Api
    settings: PipelineSettings
    logs: PodLogs
    history: dict[tuple[str, str], list[Obj]] = field(default_factory=dict)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def kind(self, plural: str) -> ResourceKind:
        """Return a kind of Tekton's."""
        return self.api.kind("tekton.dev", plural)

    async def follow(self, plural: str) -> None:
        """Write down every version of every object of a kind."""
        async for event in self.api.watch(self.kind(plural)):
            if event.type != "BOOKMARK":
                self.history.setdefault((plural, event.object["metadata"]["name"]), []).append(event.object)
                async with self._changed:
                    self._changed.notify_all()

    async def until(self, plural: str, name: str, test: Callable[[Obj], bool]) -> Obj:
        """Return the first version of an object that passes the test."""

        def found() -> Obj | None:
            return next((obj for obj in self.history.get((plural, name), []) if test(obj)), None)

        async with self._changed:
            await self._changed.wait_for(found)
        result = found()
        assert result is not None
        return result

    async def ended(self, name: str = "run", plural: str = "pipelineruns") -> Obj:
        """Wait for the end of a run."""
        return await self.until(plural, name, lambda obj: condition(obj)[0] in ("True", "False"))

    async def run(self, spec: Obj, name: str = "run", **meta: Any) -> Obj:
        """Create a PipelineRun."""
        return await self.api.create(self.kind("pipelineruns"), {"metadata": {"name": name, "namespace": NAMESPACE, **meta}, "spec": spec})

    async def task(self, name: str) -> Obj:
        """Return a TaskRun as it is."""
        return await self.api.get(self.kind("taskruns"), name, NAMESPACE)

    async def log(self, name: str, step: int = 0) -> str:
        """Return the output of a step of a TaskRun, as the API gives it for its Pod."""
        status = (await self.task(name))["status"]
        return self.logs.text(NAMESPACE, status["podName"], status["steps"][step]["container"]) or ""

    async def patch(self, spec: Obj, name: str = "run") -> None:
        """Change a PipelineRun's spec."""
        await self.api.patch(self.kind("pipelineruns"), name, NAMESPACE, {"spec": spec})

    def way(self, plural: str, name: str) -> list[str]:
        """Return the conditions an object went through, each once in a row."""
        seen = [short(obj) for obj in self.history[plural, name]]
        return [new for old, new in zip([None, *seen], seen, strict=False) if new != old]

    def messages(self, name: str = "run") -> list[str]:
        """Return the messages of a PipelineRun's conditions, each once in a row."""
        seen = [condition(obj)[2] for obj in self.history["pipelineruns", name] if condition(obj)[0]]
        return [new for old, new in zip([None, *seen], seen, strict=False) if new != old]

    async def told(self, name: str, wanted: list[tuple[str, str]]) -> None:
        """Wait until the last events about an object are these, for they are written after the status."""
        async for event in self.api.watch(self.api.kind("", "events")):
            if event.type != "BOOKMARK" and (await self.events(name))[-len(wanted) :] == wanted:
                return

    async def events(self, name: str) -> list[tuple[str, str]]:
        """Return type and reason of the events about an object, in order."""
        found = await self.api.list(self.api.kind("", "events"), NAMESPACE)
        about = [event for event in found if event["involvedObject"]["name"] == name]
        return [(event["type"], event["reason"]) for event in sorted(about, key=lambda event: int(event["metadata"]["resourceVersion"]))]


@asynccontextmanager
async def tekton(settings: PipelineSettings, *, http: bool = False) -> AsyncIterator[Stage]:
    """Run a cluster in memory with Tekton's kinds and the runner; over HTTP too for steps that talk to it."""
    cluster = LocalCluster(ClusterSettings(tls=http))
    settings = replace(settings, logs=cluster.logs)
    cluster.registry.gates.append(TektonWebhook())
    if http:
        await cluster.start()
        settings = replace(settings, kubeconfig=lambda token: cluster.kubeconfig(token=token), token_for=cluster.service_account_token)
    await furnish(cluster.api)
    stage = Stage(cluster.api, settings, cluster.logs)
    tasks = [
        asyncio.ensure_future(work)
        for work in (pipeline_runner(cluster.api, settings)(), stage.follow("pipelineruns"), stage.follow("taskruns"))
    ]
    try:
        yield stage
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await cluster.stop()
        for result in results:
            if isinstance(result, Exception):
                raise result


async def furnish(api: Api) -> None:
    """Install Tekton's kinds and make the namespace, which comes with its default ServiceAccount."""
    for crd in tekton_crds():
        await api.create(api.kind("apiextensions.k8s.io", "customresourcedefinitions"), crd)
    await api.create(api.kind("", "namespaces"), {"metadata": {"name": NAMESPACE}})


def bundle_ref(name: str, bundle: str = f"{REGISTRY}/tekton/pipelines:1", kind: str = "pipeline") -> Obj:
    """Return a reference by the bundles resolver."""
    values = {"bundle": bundle, "name": name, "kind": kind}
    return {"resolver": "bundles", "params": [{"name": key, "value": value} for key, value in values.items() if value]}


async def gone(process: int) -> None:
    """Wait until a process has ended."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, ended.set)
        await ended.wait()
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
