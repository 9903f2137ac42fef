"""Asks for a fix to be taken back that made things worse, under our own name; who carried it out does it, where settings allow it."""

from datetime import datetime

from kubernaut.api.execution import UndoRequest
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.reviews import person
from kubernaut.undo import Undoable


class TakeBack:
    """Asks for automatic undos."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._name = ""
        """As the API server knows us: nobody may ask under another name."""

    async def ask(self, fix: Undoable, at: datetime, why: str) -> None:
        """Ask once: the same time is the same request, however often it is made."""
        self._name = self._name or (await person(self._cluster.client)).name
        asked = UndoRequest(requested_by=self._name, requested_at=at, reason=why[:1024], automatic=True)
        await self._cluster.patch(fix, {"metadata": {"uid": fix.metadata.uid}, "spec": {"undo": asked.wire()}})
