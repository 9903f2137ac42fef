"""Resolution of references to Pipelines and Tasks: by the bundles resolver, or by name in the namespace.

A ResolutionRequest is written as Tekton writes it (its name stands in the messages), owned by the run that asks.
"""

import asyncio
import base64
from dataclasses import dataclass

from kubernaut.localcluster.errors import ApiError, Obj
from kubernaut.localcluster.pipelines.bundles import BadReference, BundleError, Entry, parse
from kubernaut.localcluster.pipelines.documents import Undecodable, decode
from kubernaut.localcluster.pipelines.faults import RunFailed, Unresolved
from kubernaut.localcluster.pipelines.names import request_name
from kubernaut.localcluster.pipelines.status import condition
from kubernaut.localcluster.pipelines.times import stamp
from kubernaut.localcluster.pipelines.world import API_VERSION, CONFLICT, GROUP, World

BUNDLES = "bundles"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A Pipeline or Task and, if it is remote, where it came from (`status.provenance.refSource`)."""

    object: Obj
    source: Obj


class _Refused(Exception):  # noqa: N818 - an outcome
    """The resolver refuses the request."""


def reference_name(ref: Obj) -> str:
    """Return the name of what is referred to."""
    return str(ref.get("name") or _param(ref, "name"))


def _param(ref: Obj, name: str) -> str:
    return next((str(param.get("value", "")) for param in ref.get("params", []) if param["name"] == name), "")


async def resolve(world: World, owner: Obj, ref: Obj, kind: str) -> Resolved:
    """Return the Pipeline or Task of a reference; raise Unresolved with what Tekton says after `resolver failed to get …`, or RunFailed."""
    if "resolver" not in ref:
        return await _by_name(world, owner, ref, kind)
    try:
        entry = await _by_request(world, owner, ref)
    except _Refused as error:
        raise Unresolved(f"error requesting remote resource: {error}") from error
    found = decode(entry.data)
    if found["kind"] != kind:
        raise RunFailed("", f"failed to read runtime object as {kind}: resource is not a {kind.lower()}")
    return Resolved(found, _source(entry))


def _source(entry: Entry) -> Obj:
    return {"uri": entry.repository, "digest": {"sha256": entry.digest}, "entryPoint": entry.annotations["dev.tekton.image.name"]}


async def _by_name(world: World, owner: Obj, ref: Obj, kind: str) -> Resolved:
    try:
        found = await world.api.get(world.api.kind(GROUP, f"{kind.lower()}s"), ref.get("name", ""), owner["metadata"]["namespace"])
    except ApiError as error:
        raise Unresolved(error.message) from error
    return Resolved(found, {})


async def _by_request(world: World, owner: Obj, ref: Obj) -> Entry:
    meta = owner["metadata"]
    name = request_name(ref["resolver"], f"{meta['namespace']}/{meta['name']}", ref.get("params", []))
    await _create_request(world, owner, ref, name)
    try:
        entry = await asyncio.to_thread(_fetch, world, ref, f"{meta['namespace']}/{name}")
    except _Refused as error:
        await _finish_request(
            world, meta["namespace"], name, {"conditions": [condition(world.now(), "False", "ResolutionFailed", str(error))]}
        )
        raise
    await _finish_request(world, meta["namespace"], name, _answer(world, entry))
    return entry


def _fetch(world: World, ref: Obj, request: str) -> Entry:
    bundle, name = _param(ref, "bundle"), _param(ref, "name")
    try:
        _check(bundle, name)
    except BadReference as error:
        raise _Refused(f'invalid resource request "{request}": {error}') from error
    try:
        entry = world.bundles.entry(bundle, _param(ref, "kind") or "task", name)
        decode(entry.data)
    except BundleError as error:
        raise _Refused(f'error getting "bundleresolver" "{request}": {error}') from error
    except Undecodable as error:
        raise _Refused(f'error getting "bundleresolver" "{request}": resolved resource validation error: {error}') from error
    return entry


def _check(bundle: str, name: str) -> None:
    if not bundle:
        raise BadReference('parameter "bundle" required')
    try:
        parse(bundle)
    except BadReference as error:
        raise BadReference(f"invalid bundle reference: {error}") from error
    if not name:
        raise BadReference('parameter "name" required')


async def _create_request(world: World, owner: Obj, ref: Obj, name: str) -> None:
    meta = owner["metadata"]
    body = {
        "apiVersion": world.requests.api_version,
        "kind": world.requests.kind,
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": {"resolution.tekton.dev/type": ref["resolver"]},
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {"params": ref.get("params", [])},
    }
    try:
        await world.api.create(world.requests, body)
    except ApiError as error:
        if error.code != CONFLICT:
            raise


async def _finish_request(world: World, namespace: str, name: str, status: Obj) -> None:
    request = await world.find(world.requests, name, namespace)
    if request is not None:
        await world.write_status(
            world.requests, request, {"data": "", "observedGeneration": 1, "refSource": None, "source": None, **status}
        )


def _answer(world: World, entry: Entry) -> Obj:
    return {
        "annotations": {
            f"resolution.tekton.dev/{key}": value for key, value in entry.annotations.items() if key.startswith("dev.tekton.image.")
        },
        "conditions": [{"type": "Succeeded", "status": "True", "lastTransitionTime": stamp(world.now())}],
        "data": base64.b64encode(entry.data).decode(),
        "refSource": _source(entry),
        "source": _source(entry),
    }


def owner_reference(owner: Obj) -> Obj:
    """Return the controller reference to a run."""
    meta = owner["metadata"]
    return {
        "apiVersion": API_VERSION,
        "kind": owner["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
