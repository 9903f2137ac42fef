"""The last look before a run begins, at the API server itself: is the target's kind served, is all there that the workflow needs?

Secrets are looked for by their metadata alone.
"""

import re
from collections.abc import AsyncIterator

import orjson

from kubernaut.api.base import Kind, Obj
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.core import CONFIG_MAP, SECRET, kind_named
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError

_GROUP_VERSION = re.compile(r"^([a-z0-9][-a-z0-9.]{0,252}/)?v[0-9][a-z0-9]{0,20}$")


async def lacking(client: Client, execution: WorkflowExecution, workflow: RemediationWorkflow | None, namespace: str) -> list[str]:
    """Return what keeps a workflow from running, each a sentence; `namespace` is where it runs."""
    found = [*await _unknown_kind(client, execution)]
    if workflow is not None:
        needed = [(SECRET, name) for name in workflow.spec.dependencies.secrets]
        needed += [(CONFIG_MAP, name) for name in workflow.spec.dependencies.config_maps]
        found += [fault for kind, name in needed if (fault := await _missing(client, kind, name, namespace))]
    return found


async def _missing(client: Client, kind: Kind, name: str, namespace: str) -> str:
    try:
        await client.metadata_only().get(kind, name, namespace)
    except ApiError as fault:
        if fault.not_found:
            return f"the workflow needs {kind.kind} {name}, which is not in namespace {namespace}"
        raise
    return ""


async def _unknown_kind(client: Client, execution: WorkflowExecution) -> list[str]:
    """Look whether the cluster serves the target's kind, where we do not know it ourselves."""
    *_, kind, _name = execution.spec.target_resource.split("/")
    if kind_named(kind) is not None:
        return []
    target = execution.spec.target
    said = target.api_version if target is not None else ""
    groups = _one(said) if _GROUP_VERSION.match(said) else _all(client)
    async for group in groups:
        if kind.casefold() in await _kinds(client, group):
            return []
    return [f"the cluster knows no kind {kind!r}: targetResource {execution.spec.target_resource!r} cannot be worked on"]


async def _one(group_version: str) -> AsyncIterator[str]:
    yield group_version


async def _all(client: Client) -> AsyncIterator[str]:
    yield "v1"
    groups: list[Obj] = orjson.loads(await client.text("/apis")).get("groups") or []
    for group in groups:
        yield str(group["preferredVersion"]["groupVersion"])


async def _kinds(client: Client, group_version: str) -> set[str]:
    path = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
    try:
        served: list[Obj] = orjson.loads(await client.text(path)).get("resources") or []
    except ApiError as fault:
        if fault.not_found:
            return set()
        raise
    return {str(each.get("kind", "")).casefold() for each in served}
