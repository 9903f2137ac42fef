"""Events age: each goes an hour after it was last written, whatever times it tells, as an API server's storage lets it expire."""

from datetime import datetime, timedelta
from typing import Final

from kubernaut.localcluster.api import Api, Obj
from kubernaut.localcluster.controllers.loop import Key, Loop
from kubernaut.localcluster.controllers.meta import own_key
from kubernaut.localcluster.controllers.moments import moment
from kubernaut.localcluster.controllers.settings import StandInSettings

__all__ = ["EventExpiry"]

_LIFE: Final = timedelta(hours=1)


def _last_written(event: Obj) -> datetime:
    meta = event["metadata"]
    return max(moment(time) for time in (meta["creationTimestamp"], *(row.get("time") for row in meta.get("managedFields") or ())) if time)


class EventExpiry:
    """The stand-in for the lease under which kube-apiserver stores events."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up the watch; `run` starts the work."""
        self._clock = settings.clock
        self._loop = Loop(api.acting_as("kube-apiserver"), "events", self._reconcile, settings.rng, workers=1)
        self._events = self._loop.store(api.kind("", "events"), own_key)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    async def _reconcile(self, key: Key) -> float | None:
        event = self._events.get(key)
        if event is None:
            return None
        rest = (_last_written(event) + _LIFE - self._clock()).total_seconds()
        if rest > 0:
            return rest
        await self._events.delete(event)
        return None
