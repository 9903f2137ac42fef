"""One kind, one reconcile function: what makes a pass due, and what happens in a pass around the stage's own code."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar

from pydantic import ValidationError
from structlog.contextvars import bound_contextvars

from kubernaut.api.base import Obj, Resource
from kubernaut.kube.cluster import Watched
from kubernaut.kube.errors import ApiError
from kubernaut.kube.events import WARNING
from kubernaut.kube.informer import Handler, Key, controller_owner, key_of
from kubernaut.kube.journal import HEADROOM, JOURNAL_FINALIZER, PENDING_LIMIT, crowded, pending_of
from kubernaut.kube.outcome import DONE, Outcome, Stalled, again
from kubernaut.kube.reporting import Report, report_invalid
from kubernaut.kube.status import only_journal_differs, status_of

if TYPE_CHECKING:
    from kubernaut.kube.manager import Manager

R = TypeVar("R", bound=Resource)
Reconcile = Callable[[R], Awaitable[Outcome]]
Mapper = Callable[[Obj], Iterable[Key]]
DRAIN: Final = timedelta(seconds=30)
"""When to look again at an object whose journal is full; its draining makes a pass due at once."""


class Controller(Generic[R]):
    """Runs passes over the objects of one kind; made by `Manager.controller`."""

    def __init__(
        self,
        manager: "Manager",
        model: type[R],
        reconcile: Reconcile[R],
        *,
        finalizer: str,
        finalize: Reconcile[R] | None,
        workers: int,
        timeout: timedelta,
    ) -> None:
        self.name = model.card.kind.lower()
        self._manager = manager
        self._cluster = manager.cluster
        self._model = model
        self._reconcile = reconcile
        self._finalizer = finalizer
        self._finalize = finalize
        self._store = manager.informer(model).store
        self._workers = manager.workers(self.name, self._process, self._store.keys, count=workers, timeout=timeout, on_fault=self._faulted)
        manager.informer(model).on_change(_telling(self._workers.add, lambda obj: (key_of(obj),)))

    def owns(self, watched: Watched) -> Self:
        """Make a pass due when something changes whose controlling owner is of our kind."""
        self._manager.informer(watched).on_change(_telling(self._workers.add, self._owner))
        return self

    def watches(self, watched: Watched, mapper: Mapper, *, namespace: str = "", about: Callable[[Obj], object] | None = None) -> Self:
        """Make a pass due over the keys a function reads off any object of another kind that changes.

        `about` returns what of the object matters: a change that leaves it the same makes nothing due.
        """
        self._manager.informer(watched, namespace=namespace).on_change(_telling(self._workers.add, mapper, about))
        return self

    def _owner(self, obj: Obj) -> Iterable[Key]:
        owner, card = controller_owner(obj), self._model.card
        if owner.get("kind") == card.kind and owner.get("apiVersion", "").rpartition("/")[0] == card.group:
            yield Key(key_of(obj).namespace if card.namespaced else "", owner["name"])

    async def _process(self, key: Key) -> Outcome:
        obj = self._store.get(*key)
        if obj is None:
            return DONE
        try:
            resource = self._model.model_validate(obj)
        except ValidationError as fault:
            await report_invalid(self._cluster, self._manager.recorder, self._model, obj, fault)
            return DONE
        with bound_contextvars(controller=self.name, key=f"{key.namespace}/{key.name}", correlation_id=resource.correlation_id):
            return await self._pass(obj, resource)

    async def _pass(self, obj: Obj, resource: R) -> Outcome:
        if resource.metadata.deletion_timestamp is not None:
            return await self._leave(obj, resource)
        present = resource.metadata.finalizers
        if missing := [each for each in self._wanted() if each not in present]:
            obj = await self._set_finalizers(obj, [*present, *missing])
            resource = self._model.model_validate(obj)
        if crowded(status_of(resource).journal):
            return again(self._cluster.clock.now() + DRAIN)
        return await self._run(self._reconcile, obj, resource) or DONE

    def _wanted(self) -> Iterable[str]:
        """Return the finalizers without which no pass may act: the stage's, or else the journal's, where somebody ships it."""
        if self._finalizer:
            yield self._finalizer
        elif self._manager.is_shipped(self._model):
            yield JOURNAL_FINALIZER

    async def _leave(self, obj: Obj, resource: R) -> Outcome:
        """Finalize an object that is being deleted; our finalizers go when that is done and no fact is left to ship."""
        if not {self._finalizer, JOURNAL_FINALIZER} & set(resource.metadata.finalizers):
            return DONE
        due = self._finalize is not None and self._finalizer in resource.metadata.finalizers
        outcome = await self._run(self._finalize, obj, resource) if due and self._finalize else DONE
        if outcome is None or outcome.at is not None:
            return outcome or DONE
        latest = self._store.get(*key_of(obj))
        if latest is None or (pending_of(latest) and self._manager.is_shipped(self._model)):
            return DONE
        finalizers = latest["metadata"].get("finalizers") or ()
        await self._set_finalizers(latest, [each for each in finalizers if each not in {self._finalizer, JOURNAL_FINALIZER}])
        return DONE

    async def _run(self, act: Reconcile[R], obj: Obj, resource: R) -> Outcome | None:
        """Let the stage act and write the status it left; None when it stalled."""
        report = Report(self._cluster, self._manager.recorder, obj, resource)
        outcome: Outcome | None = None
        try:
            outcome = await act(resource)
            report.unstall()
        except Stalled as fault:
            report.stall(fault)
        await report.write()
        return outcome

    async def _set_finalizers(self, obj: Obj, finalizers: list[str]) -> Obj:
        key, body = key_of(obj), {"metadata": {"resourceVersion": obj["metadata"]["resourceVersion"], "finalizers": finalizers}}
        try:
            written = await self._cluster.client.patch(self._model.card, key.name, key.namespace, body)
        except ApiError as fault:
            if fault.not_found:
                return obj
            raise
        if not written["metadata"].get("deletionTimestamp") or finalizers:
            self._cluster.observe(self._model.card, written)
        return written

    def _faulted(self, key: Key, fault: Exception) -> None:
        obj = self._store.get(*key)
        if obj is not None:
            self._manager.recorder.event(obj, WARNING, "ReconcileFailed", f"{type(fault).__name__}: {fault}")


def _telling(add: Callable[[Key], None], mapper: Mapper, about: Callable[[Obj], object] | None = None) -> Handler:
    """Return a handler that makes passes due for a change, seen from both its sides."""

    def handler(old: Obj | None, new: Obj | None) -> None:
        if old is not None and new is not None and (about(old) == about(new) if about else not _worth_a_pass(old, new)):
            return
        for key in sorted({key for obj in (old, new) if obj is not None for key in mapper(obj)}):
            add(key)

    return handler


def _worth_a_pass(old: Obj, new: Obj) -> bool:
    """Tell whether a change may matter: one of the journal alone does only where something waits for it to drain."""
    waiting = new["metadata"].get("deletionTimestamp") or pending_of(old) > PENDING_LIMIT - HEADROOM
    return bool(waiting) or not only_journal_differs(old, new)
