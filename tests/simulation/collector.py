"""The garbage collector, by script: what is owned goes after its owners, a while later, also when it was made after they had gone."""

import asyncio
import random
from dataclasses import dataclass, field

from kubernaut.api.base import Kind
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.store import Record
from tests.simulation.loop import spawn

Place = tuple[Kind, str, str, str]
"""Kind, namespace, name, uid."""


@dataclass
class Collector:
    """Deletes dependants in the background, as kube-controller-manager does."""

    client: Client
    rng: random.Random
    _dependants: dict[str, dict[Place, None]] = field(default_factory=dict)
    """By the uid of an owner."""
    _alive: set[str] = field(default_factory=set)
    _work: dict[asyncio.Task[None], None] = field(default_factory=dict)

    def written(self, kind: ResourceKind, record: Record) -> None:
        """Hear of a write to the store."""
        if record.type == "MODIFIED":
            return
        meta = record.obj["metadata"]
        if record.type == "DELETED":
            self._alive.discard(meta["uid"])
            for place in self._dependants.pop(meta["uid"], {}):
                self._later(place)
            return
        self._alive.add(meta["uid"])
        owners = [each["uid"] for each in meta.get("ownerReferences") or ()]
        if owners:
            card = Kind(kind=kind.kind, plural=kind.plural, group=kind.group, version=kind.version, namespaced=kind.namespaced)
            self._own((card, *record.key, meta["uid"]), owners)

    def _own(self, place: Place, owners: list[str]) -> None:
        for owner in owners:
            self._dependants.setdefault(owner, {})[place] = None
        if not self._alive & set(owners):
            self._later(place)

    def _later(self, place: Place) -> None:
        task = spawn(self._delete(place, self.rng.uniform(0.02, 3)))
        self._work[task] = None
        task.add_done_callback(lambda done: self._work.pop(done, None))

    async def _delete(self, place: Place, seconds: float) -> None:
        kind, namespace, name, uid = place
        await asyncio.sleep(seconds)
        if uid not in self._alive:
            return  # somebody else was faster
        try:
            await self.client.delete(kind, name, namespace, uid=uid, propagation="Background")
        except ApiError as fault:
            if not (fault.not_found or fault.conflict):
                raise
