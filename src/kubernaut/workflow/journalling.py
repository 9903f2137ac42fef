"""What a run from the catalogue changes of its target: the target is kept before the run, and after it the difference with its way back.

The run itself says nothing of what it changed. Its target is the one object that the approval named; what else a workflow touches is
taken back only by what the workflow itself declares.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from pydantic import JsonValue

from kubernaut.api.base import Kind, Obj
from kubernaut.api.core import kind_named
from kubernaut.api.execution import RESTORABLE, ChangedResource, Undo, UndoKind
from kubernaut.api.keyed import keyed
from kubernaut.api.workflow import TargetState, WorkflowExecution
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.kube.journal import record
from kubernaut.kube.reversal import Reversal, reversal, sealed
from kubernaut.kube.status import cut

SIZE_LIMIT: Final = 65_536
"""Characters of JSON that are kept of a target."""
KEPT: Final = ("spec", "data", "binaryData")
AUTOSCALER: Final = "kube-controller-manager"
"""Who sets the replicas of a workload for a HorizontalPodAutoscaler."""


def is_journalled(execution: WorkflowExecution) -> bool:
    """Tell whether the target was kept before the run, or why it was not; a plan changes nothing itself."""
    status = execution.status
    return execution.spec.workflow_ref is None or status.target_before is not None or bool(status.reversal_note)


async def keep(client: Client, execution: WorkflowExecution) -> None:
    """Keep the target as it is just before the run, or say why it is not kept. Raise ApiError for what may pass."""
    status = execution.status
    found, status.reversal_note = await _read(client, execution)
    if found is None:
        return
    content, uid = content_of(found), found["metadata"]["uid"]
    status.reversal_note = unkept(content)
    if not status.reversal_note:
        clean, seal = sealed(content, uid)
        status.target_before = TargetState(uid=uid, content=clean, seal=seal)


async def compare(client: Client, execution: WorkflowExecution, now: datetime) -> None:
    """Put on record what the run changed, and how it is taken back; what was kept for that goes. Raise ApiError for what may pass."""
    status, before = execution.status, execution.status.target_before
    if before is None:
        return
    found, note = await _read(client, execution)
    status.target_before, status.reversal_note = None, note
    if found is not None:
        journal(execution, before, found, now)


def journal(execution: WorkflowExecution, before: TargetState, after: Obj, now: datetime) -> None:
    """Write down the difference between a target as it was and as it is; pure but for the status."""
    status = execution.status
    content = content_of(after)
    if after["metadata"]["uid"] != before.uid:
        status.reversal_note = "the target was replaced by another object of its name while the run went on"
        return
    if note := unkept(content):
        status.reversal_note = note
        return
    clean, seal = sealed(content, before.uid)
    if seal != before.seal:
        status.reversal_note = "the run changed what looks like a secret, which is not kept: it cannot be taken back"
        return
    found = difference(before.content, clean, autoscaled=_is_autoscaled(after))
    status.changed = _changed(execution, after, found) if found.before or found.after else None
    status.reversal_note = cut(found.withheld)
    if found.withheld:
        return
    status.reversal = Undo(kind=UndoKind.EXACT, patch=found.patch)
    data: dict[str, JsonValue] = {"undo": UndoKind.EXACT.value, "undoPatchSha256": _digest(found.patch), "undoPatch": found.patch}
    what = ", ".join(sorted(".".join((part, *list(found.patch[part])[:1])) for part in found.patch)) or "nothing"
    record(execution, "TargetChanged", f"the run changed {what} of {execution.spec.target_resource}", now=now, data=data)


def difference(before: Obj, after: Obj, *, autoscaled: bool) -> Reversal:
    """Compare a target's content as it was with the target's as it is; an autoscaler's doing is not the run's."""
    old, new = dict(before), dict(after)
    if autoscaled:
        for each in (old, new):
            each["spec"] = {name: value for name, value in (each.get("spec") or {}).items() if name != "replicas"}
    return reversal(old, new)


def content_of(obj: Obj) -> Obj:
    """Return what is compared of an object: its spec, or its data, with lists of named things as maps."""
    return {name: keyed(obj[name]) for name in KEPT if name in obj}


def unkept(content: Obj) -> str:
    """Say why an object's content is not kept; empty when it may be."""
    if len(orjson.dumps(content)) > SIZE_LIMIT:
        return f"the target is larger than the {SIZE_LIMIT} characters that are kept: what the run changes of it cannot be taken back"
    return ""


def _target(execution: WorkflowExecution) -> tuple[Kind, str, str] | None:
    """Return the card, namespace and name of a target that can be put back, else None."""
    *space, kind, name = execution.spec.target_resource.split("/")
    found = kind_named(kind)
    return None if found is None or found not in RESTORABLE else (found, space[0] if space and found.namespaced else "", name)


async def _read(client: Client, execution: WorkflowExecution) -> tuple[Obj | None, str]:
    """Return the target, or why it cannot be had. Raise ApiError for what may pass."""
    target = _target(execution)
    if target is None:
        return None, cut(f"what a run changes of {execution.spec.target_resource} is not kept: it cannot be taken back")
    kind, namespace, name = target
    try:
        return await client.get(kind, name, namespace), ""
    except ApiError as fault:
        if fault.retryable:
            raise
        return None, cut(f"the target could not be read: what the run changes of it cannot be taken back: {fault.message}")


def _is_autoscaled(obj: Obj) -> bool:
    written: list[Mapping[str, Any]] = obj["metadata"].get("managedFields") or []
    return any(each.get("subresource") == "scale" and each.get("manager") == AUTOSCALER for each in written)


def _changed(execution: WorkflowExecution, obj: Obj, found: Reversal) -> ChangedResource:
    target, meta = _target(execution), obj["metadata"]
    return ChangedResource(
        api_version=target[0].api_version if target else "",
        kind=target[0].kind if target else "",
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        uid=meta["uid"],
        action=execution.spec.workflow_ref.workflow_id if execution.spec.workflow_ref else "",
        before=found.before,
        after=found.after,
    )


def _digest(patch: Obj) -> str:
    return hashlib.sha256(orjson.dumps(patch, option=orjson.OPT_SORT_KEYS)).hexdigest()
