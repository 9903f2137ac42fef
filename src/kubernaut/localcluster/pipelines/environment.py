"""What a TaskRun's steps find around them: the ServiceAccount's kubeconfig, workspaces and values from other objects."""

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines.faults import Unsupported
from kubernaut.localcluster.pipelines.settings import PipelineSettings
from kubernaut.localcluster.pipelines.taskspec import mount_path
from kubernaut.localcluster.pipelines.workdir import WorkDir
from kubernaut.localcluster.pipelines.world import World

_FILES = {"configMap": ("configmaps", "name"), "secret": ("secrets", "secretName")}


def work_directory(settings: PipelineSettings, run: Obj, spec: Obj, attempt: int) -> WorkDir:
    """Return the directory of an attempt, by the TaskRun's uid."""
    directory = settings.state / "taskruns" / f"{run['metadata']['uid']}-{attempt}"
    return WorkDir(directory, dict(_mounts(settings, run, spec, directory)))


def attempt_directories(settings: PipelineSettings, uid: str) -> list[Path]:
    """Return the directories of all attempts of a TaskRun, by uid or `*` for all."""
    return list((settings.state / "taskruns").glob(f"{uid}-*"))


def _mounts(settings: PipelineSettings, run: Obj, spec: Obj, directory: Path) -> Mapping[str, Path]:
    volumes = {volume["name"]: directory / "volumes" / volume["name"] for volume in spec.get("volumes") or []}
    template = (spec.get("stepTemplate") or {}).get("volumeMounts", [])
    mounts = [mount for step in spec["steps"] for mount in [*template, *step.get("volumeMounts", [])]]
    found = {mount["mountPath"]: volumes[mount["name"]] for mount in mounts if mount["name"] in volumes}
    return found | dict(_workspaces(settings, run, spec, directory))


def _workspaces(settings: PipelineSettings, run: Obj, spec: Obj, directory: Path) -> Mapping[str, Path]:
    bound = {entry["name"]: entry for entry in run["spec"].get("workspaces") or []}
    declared = [entry for entry in spec.get("workspaces") or [] if entry["name"] in bound]
    return {mount_path(entry): _place(settings, run, bound[entry["name"]], directory) for entry in declared}


def _place(settings: PipelineSettings, run: Obj, binding: Obj, directory: Path) -> Path:
    claim = binding.get("persistentVolumeClaim")
    if not claim:
        return directory / "workspaces" / str(binding["name"])
    place = settings.state / "claims" / str(run["metadata"]["namespace"]) / str(claim["claimName"])
    return _inside(place, binding.get("subPath", ""))


def _inside(place: Path, sub: str) -> Path:
    if ".." in Path(sub).parts or Path(sub).is_absolute():
        raise Unsupported(f'workspace subPath "{sub}" leads out of its volume')
    return place / sub


async def check_surroundings(world: World, run: Obj, spec: Obj) -> None:
    """Raise Unsupported where the ServiceAccount, a claim or a kind of workspace is not there."""
    await _need(world, run, "serviceaccounts", service_account(run))
    for binding in run["spec"].get("workspaces") or []:
        if "volumeClaimTemplate" in binding or "projected" in binding or "csi" in binding:
            raise Unsupported(
                f'workspace "{binding["name"]}": the embedded runner has emptyDir, persistentVolumeClaim, configMap and secret only'
            )
        if claim := binding.get("persistentVolumeClaim"):
            await _need(world, run, "persistentvolumeclaims", claim["claimName"])
    for entry in _env_sources(spec):
        if entry["valueFrom"].keys() - {"configMapKeyRef", "secretKeyRef"}:
            raise Unsupported(
                f'environment variable "{entry["name"]}": only configMapKeyRef and secretKeyRef are supported by the embedded runner'
            )


async def _need(world: World, run: Obj, plural: str, name: str) -> Obj:
    kind = world.api.kind("", plural)
    found = await world.find(kind, name, run["metadata"]["namespace"])
    if found is None:
        raise Unsupported(f'{plural} "{name}" not found')
    return found


def service_account(run: Obj) -> str:
    """Return the name of a TaskRun's ServiceAccount."""
    return str(run["spec"].get("serviceAccountName") or "default")


async def make_workdir(world: World, run: Obj, spec: Obj, work: WorkDir) -> None:
    """Make the directory ready, with the files of workspaces that come from a ConfigMap or Secret."""
    for binding in run["spec"].get("workspaces") or []:
        for source, (plural, key) in _FILES.items():
            if source in binding:
                found = await _need(world, run, plural, binding[source][key])
                _write_files(work.directory / "workspaces" / binding["name"], _content(found))
    work.make(spec["steps"])


def _content(obj: Obj) -> dict[str, bytes]:
    if obj["kind"] == "Secret":
        return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
    return {key: value.encode() for key, value in (obj.get("data") or {}).items()}


def _write_files(directory: Path, content: Mapping[str, bytes]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in content.items():
        _private(directory / name, data)


def _env_sources(spec: Obj) -> list[Obj]:
    holders = [spec.get("stepTemplate") or {}, *spec["steps"]]
    return [entry for holder in holders for entry in holder.get("env", []) if "valueFrom" in entry]


async def with_values(world: World, run: Obj, step: Obj) -> Obj:
    """Return the step with environment values from ConfigMaps and Secrets read; raise Unsupported where one is missing."""
    env = [await _value(world, run, entry) if "valueFrom" in entry else entry for entry in step.get("env", [])]
    return {**step, "env": env}


async def _value(world: World, run: Obj, entry: Obj) -> Obj:
    source = entry["valueFrom"]
    ref, plural = (source["secretKeyRef"], "secrets") if "secretKeyRef" in source else (source["configMapKeyRef"], "configmaps")
    content = _content(await _need(world, run, plural, ref["name"]))
    if ref["key"] not in content:
        raise Unsupported(f'couldn\'t find key {ref["key"]} in {plural} "{ref["name"]}"')
    return {"name": entry["name"], "value": content[ref["key"]].decode(errors="replace")}


async def write_kubeconfig(world: World, run: Obj, work: WorkDir) -> None:
    """Write the kubeconfig of the TaskRun's ServiceAccount; written anew at a restart, for the API may have moved."""
    namespace = run["metadata"]["namespace"]
    token = world.settings.token_for(namespace, service_account(run))
    config = world.settings.kubeconfig(token)
    contexts = [{**row, "context": {**row["context"], "namespace": namespace}} for row in config["contexts"]]
    _private(work.kubeconfig, json.dumps({**config, "contexts": contexts}).encode())


def _private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
