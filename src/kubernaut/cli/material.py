"""What a diagnosis on a terminal works on: objects of a live cluster, listed once and only read, or objects that were saved into files."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from kubernaut.analysis import collect, history, reconciler
from kubernaut.analysis.logs import ApiLogs, LogSource
from kubernaut.api import core
from kubernaut.api.base import Kind, Obj, Unusable
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.remediation import RemediationRequest
from kubernaut.cli.documents import SUFFIXES, read_all
from kubernaut.cli.logfiles import FileLogs
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import IndexFn
from kubernaut.kube.still import StillCluster
from kubernaut.processing import enrich

FILES_LIMIT: Final = 20_000
OBJECTS_LIMIT: Final = 500_000
LISTS_AT_ONCE: Final = 6
VALUE_LIMIT: Final = 65_536
"""Characters of a ConfigMap's value that are kept: a policy has no more."""
_HAD_BY_ALL: Final = frozenset(
    {"Namespace", "Node", "Pod", "ConfigMap", "ServiceAccount", "StorageClass", "ClusterRole", "ClusterRoleBinding"}
)
"""Kinds of which about every cluster has objects: where none was saved, that says nothing. Of other kinds there may be none."""
_EVERYTHING: Final = frozenset({"CustomResourceDefinition", "ClusterRole", "Lease"})
"""Kinds that only a dump of everything has: what such a dump lacks, the cluster lacks."""
_TIMES: Final = frozenset(
    {
        *("creationTimestamp", "lastTransitionTime", "lastUpdateTime", "lastHeartbeatTime", "startTime", "completionTime", "time"),
        *("startedAt", "finishedAt", "lastTimestamp", "eventTime", "lastObservedTime", "renewTime", "lastScheduleTime"),
    }
)
"""Fields that say when something happened."""
_UNTIMED: Final = frozenset(
    {"data", "binaryData", "stringData", "annotations", "labels", "template", "containers", "fieldsV1", "rules", "ownerReferences"}
)
"""Fields below which no such moment is looked for."""


@dataclass(frozen=True, slots=True)
class Material:
    """The cluster as it was read."""

    cluster: StillCluster
    at: datetime
    """The moment it shows."""
    origin: str
    """Where it comes from, in words."""
    logs: LogSource | None = None
    """Where the logs of its containers are."""


def indexes() -> dict[Kind, Mapping[str, IndexFn]]:
    """Return all kinds that a diagnosis reads, with the indexes that the stages read them by."""
    ours = {model.card: functions for model, functions in history.history_indexes().items()}
    parts: tuple[Mapping[Kind, Mapping[str, IndexFn]], ...] = (
        collect.indexes(),
        enrich.indexes(),
        ours,
        {RemediationWorkflow.card: reconciler.catalogue_indexes(), RemediationRequest.card: {}},
    )
    found: dict[Kind, Mapping[str, IndexFn]] = {}
    for part in parts:
        for kind, functions in part.items():
            found[kind] = {**found.get(kind, {}), **functions}
    return found


def of_files(paths: Sequence[Path], now: datetime, at: datetime | None = None, *, whole: bool = False) -> Material:
    """Read saved objects: files, directories with all below them, or `-`; raise Unusable telling file and line of what is none.

    The moment is that of the newest thing they tell of, unless it is given: ages count from when the objects were saved, not from today.
    Of a dump that is not `whole`, kinds that every cluster has and it lacks count as unread.
    """
    objects = [_whole(document.obj) for path in paths for document in read_all(_below(path))]
    if len(objects) > OBJECTS_LIMIT:
        raise Unusable(f"{len(objects)} objects are more than {OBJECTS_LIMIT}: give a part of them")
    asked = indexes()
    known = {obj["kind"] for obj in objects}
    needed = frozenset() if whole or known & _EVERYTHING else _HAD_BY_ALL - known
    absent = {kind: "none was saved" for kind in asked if kind.kind in needed}
    moment = at or _newest(objects, now)
    return Material(StillCluster(moment, objects, asked, absent), moment, f"{len(objects)} saved objects", FileLogs.below(paths))


def _below(path: Path) -> list[Path]:
    """Return the files of a directory and of all directories below it, by name; the path itself where it is none."""
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES and each.is_file())
    if not found:
        raise Unusable(f"{path}: there is no {', '.join(sorted(SUFFIXES))} file in it")
    if len(found) > FILES_LIMIT:
        raise Unusable(f"{path}: {len(found)} files are more than {FILES_LIMIT}")
    return found


def _whole(obj: Obj) -> Obj:
    """Return an object without secret data, and with the uids that links between objects need, where a file lacks them."""
    meta = {**obj["metadata"]}
    meta["uid"] = meta.get("uid") or _made_up(obj["kind"], meta.get("namespace") or "", meta["name"])
    if owners := meta.get("ownerReferences"):
        meta["ownerReferences"] = [_linked(owner, meta.get("namespace") or "") for owner in owners]
    return _without_values({**obj, "metadata": meta})


def _linked(owner: Obj, namespace: str) -> Obj:
    """Return an owner reference with all that links go by."""
    kind, name = str(owner.get("kind", "")), str(owner.get("name", ""))
    card = core.kind_named(kind)
    return {"apiVersion": card.api_version if card else "", "kind": kind, "name": name, "uid": _made_up(kind, namespace, name), **owner}


def _without_values(obj: Obj) -> Obj:
    """Return a Secret with its keys alone, a ConfigMap without what is too large to matter; anything else as it is."""
    if obj["kind"] == core.CONFIG_MAP.kind and obj.get("data"):
        return obj | {"data": {key: value if len(str(value)) <= VALUE_LIMIT else "" for key, value in obj["data"].items()}}
    if obj["kind"] != core.SECRET.kind:
        return obj
    meta = {key: value for key, value in obj["metadata"].items() if key != "annotations"}
    keys = {**(obj.get("data") or {}), **(obj.get("stringData") or {})}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": meta, "data": dict.fromkeys(keys, "")}


def _made_up(kind: str, namespace: str, name: str) -> str:
    return f"{kind}/{namespace}/{name}".casefold()


def _newest(objects: Sequence[Obj], now: datetime) -> datetime:
    """Return the newest moment that objects tell of and that has passed."""
    told = {text for obj in objects for text in _moments(obj)}
    return max((each for text in told if (each := _moment(text)) and each <= now), default=now)


def _moments(value: Any, key: str = "") -> Iterator[str]:
    """Yield the moments that an object tells of, as they are written."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in _UNTIMED:
                yield from _moments(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _moments(item, key)
    elif key in _TIMES and isinstance(value, str):
        yield value


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


async def of_cluster(client: Client, namespaces: Sequence[str], now: datetime) -> Material:
    """List what a diagnosis reads, cluster-wide where that is allowed, else in some namespaces; no definitions of ours are needed."""
    asked = indexes()
    slots = asyncio.Semaphore(LISTS_AT_ONCE)

    async def listed(kind: Kind) -> tuple[Kind, list[Obj], str]:
        async with slots:
            return kind, *await _listed(client, kind, namespaces)

    rows = await asyncio.gather(*map(listed, asked))
    objects = (_without_values(obj) for _, found, _ in rows for obj in found)
    unread = {kind: why for kind, _, why in rows if why}
    still = StillCluster(now, objects, asked, unread)
    return Material(still, now, f"{still.count()} objects read", ApiLogs(client))


async def _listed(client: Client, kind: Kind, namespaces: Sequence[str]) -> tuple[list[Obj], str]:
    """Return the objects of a kind, and why they could not be read; a kind that is not served has none."""
    found, why = await _part(client, kind, "")
    if not why or not kind.namespaced:
        return found, why
    parts = [await _part(client, kind, namespace) for namespace in dict.fromkeys(namespaces)]
    return [obj for part, _ in parts for obj in part], parts[0][1]


async def _part(client: Client, kind: Kind, namespace: str) -> tuple[list[Obj], str]:
    try:
        return list((await client.list(kind, namespace)).items), ""
    except ApiError as fault:
        if fault.not_found:
            return [], ""
        if not fault.forbidden:
            raise
        return [], fault.message
