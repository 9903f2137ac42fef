"""A person's live view of the cluster: informers that tell of changes and can be waited on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from kubernaut.api.base import Kind, Obj, Resource
from kubernaut.kube.client import Client
from kubernaut.kube.informer import Informer

R = TypeVar("R", bound=Resource)
Told = Callable[[Kind, Obj | None, Obj | None], None]


class View:
    """What the cluster has of some kinds, kept current."""

    def __init__(self, informers: dict[type[Resource], Informer]) -> None:
        self._informers = informers
        self._changed = asyncio.Event()
        for informer in informers.values():
            informer.on_change(lambda _old, _new: self._changed.set())

    def all(self, model: type[R]) -> list[R]:
        """Return all resources of a kind."""
        return [model.model_validate(obj) for obj in self._informers[model].store.all()]

    async def until(self, model: type[R], holds: Callable[[R], bool], *, seconds: float | None) -> R:
        """Wait for a resource for which something holds; raise TimeoutError when it takes too long (None: never)."""
        async with asyncio.timeout(seconds):
            while True:
                self._changed.clear()
                found = next((each for each in self.all(model) if holds(each)), None)
                if found is not None:
                    return found
                await self._changed.wait()


@asynccontextmanager
async def viewing(client: Client, models: tuple[type[Resource], ...], namespace: str, told: Told) -> AsyncIterator[View]:
    """Keep a view while the context lasts; `told` hears of each change."""
    informers: dict[type[Resource], Informer] = {model: Informer(client, model.card, namespace) for model in models}
    for model, informer in informers.items():
        informer.on_change(_telling(model.card, told))
    view = View(informers)
    tasks = [asyncio.create_task(informer.run()) for informer in informers.values()]
    try:
        await asyncio.gather(*(informer.synced.wait() for informer in informers.values()))
        yield view
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _telling(kind: Kind, told: Told) -> Callable[[Obj | None, Obj | None], None]:
    return lambda old, new: told(kind, old, new)
