"""ControllerRevisions: the history of templates that StatefulSets and DaemonSets keep."""

from collections.abc import Sequence
from dataclasses import dataclass

from kubernaut.localcluster.api import Obj, ResourceKind
from kubernaut.localcluster.controllers.hashing import REVISION_LABEL, template_hash, without_hash
from kubernaut.localcluster.controllers.loop import Store
from kubernaut.localcluster.controllers.meta import dying, labels_of, owner_reference, uid_of

__all__ = ["History", "revision_hash", "synced", "truncated"]


def revision_hash(revision: Obj) -> str:
    """Return the hash that pods of this revision carry: the revision's name without its owner's, or its label."""
    return labels_of(revision).get(REVISION_LABEL) or str(revision["metadata"]["name"])


@dataclass(frozen=True, slots=True)
class History:
    """The revisions of a workload by number, the last one being that of the present template."""

    revisions: Sequence[Obj]

    @property
    def update(self) -> Obj:
        """Return the revision of the present template."""
        return self.revisions[-1]

    def named(self, name: str) -> Obj | None:
        """Return a revision by name."""
        return next((row for row in self.revisions if row["metadata"]["name"] == name), None)


def _data(owner: Obj) -> Obj:
    return {"spec": {"template": {**without_hash(owner["spec"]["template"]), "$patch": "replace"}}}


async def synced(store: Store, owner: Obj, kind: ResourceKind) -> History:
    """Make sure that the present template has the highest revision, and return the history; the store needs the index `controller`."""
    held = sorted(store.by("controller", uid_of(owner)), key=lambda row: (row["revision"], row["metadata"]["name"]))
    held, data = [row for row in held if not dying(row)], _data(owner)
    equal = next((row for row in reversed(held) if row["data"] == data), None)
    number = held[-1]["revision"] + 1 if held else 1
    if equal is None:
        return History([*held, await store.create(_revision(owner, kind, data, number))])
    if equal is held[-1]:
        return History(held)
    renewed = await store.update({**equal, "revision": number})
    return History([*(row for row in held if row is not equal), renewed])


def _revision(owner: Obj, kind: ResourceKind, data: Obj, number: int) -> Obj:
    meta, digest = owner["metadata"], template_hash(data, (owner.get("status") or {}).get("collisionCount", 0))
    labels = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "namespace": meta["namespace"],
            "labels": {**labels, REVISION_LABEL: digest},
            "ownerReferences": [owner_reference(owner, kind)],
        },
        "data": data,
        "revision": number,
    }


async def truncated(store: Store, history: History, used: set[str], limit: int) -> None:
    """Delete the oldest revisions that no pod uses, beyond the limit."""
    idle = [row for row in history.revisions[:-1] if row["metadata"]["name"] not in used and revision_hash(row) not in used]
    for row in idle[: max(0, len(idle) - limit)]:
        await store.delete(row)
