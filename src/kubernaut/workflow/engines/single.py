"""What engines have in common that run an execution as one object of the cluster: made once, read, and removed with all its parts.

The object is made with a finalizer of ours, which goes when the execution's status names the object: so what was made and is not on
record is there to be found, whoever deletes it and whenever we are killed, and what is on record and not there was deleted.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from kubernaut.api.base import Kind, Obj
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.workflow.decide import RunState
from kubernaut.workflow.engines.base import ABSENT, Run
from kubernaut.workflow.engines.marks import RUN_FINALIZER, is_missed, is_on_record, is_ours, made_for, reference, refused
from kubernaut.workflow.settings import WorkflowSettings

_REFUSALS = {400, 404, 422}


class SingleObjectEngine(ABC):
    """Keeps the one object of an execution; a subclass says what it is, and reads it."""

    kind: Kind
    watches: Sequence[Kind]

    def __init__(self, cluster: Cluster, settings: WorkflowSettings) -> None:
        self._cluster = cluster
        self._settings = settings

    @abstractmethod
    def _wanted(self, execution: WorkflowExecution) -> Obj:
        """Return the object that runs an execution."""

    @abstractmethod
    async def _told(self, execution: WorkflowExecution, found: Obj) -> Run:
        """Tell how far our own object is."""

    @abstractmethod
    def _goes_on(self, found: Obj) -> bool:
        """Tell whether an object has not ended."""

    @abstractmethod
    async def cancel(self, execution: WorkflowExecution) -> None:
        """Ask it to stop; the end is seen by `observe`."""

    async def observe(self, execution: WorkflowExecution) -> Run:
        """Read the object from the cache; one that is missed is looked for at the API server before it is called gone."""
        found = self._cluster.read(self.kind, self._settings.execution_namespace, execution.metadata.name)
        if found is None and is_missed(execution):
            found = await self._live(self.kind, execution.metadata.name)
        if found is not None and is_on_record(found, execution):
            await self._let_go(found)
        return ABSENT if found is None else await self._read(execution, found)

    async def start(self, execution: WorkflowExecution) -> Run:
        """Create the object; what the API server or a webhook refuses has failed, for it would be refused again."""
        try:
            made = await self._cluster.client.create(self.kind, self._wanted(execution))
        except ApiError as fault:
            if fault.already_exists:
                return await self._existing(execution)
            if fault.not_found:
                fault = self._nowhere(fault)
            if fault.status in _REFUSALS:
                return refused(execution, fault, self._cluster.clock.now())
            raise
        self._cluster.observe(self.kind, made)
        return await self._read(execution, made)

    def _nowhere(self, fault: ApiError) -> ApiError:
        """Say what is missing that a run could be made of: its namespace, else its kind."""
        if fault.details.get("kind") == "namespaces":
            return ApiError(fault.status, "NamespaceMissing", f"runs are made in namespace {self._settings.execution_namespace}: make it")
        kind = f"{self.kind.kind} ({self.kind.api_version})"
        return ApiError(fault.status, "KindNotServed", f"the cluster does not know {kind}, so no run was made: install what brings it")

    async def cleanup(self, execution: WorkflowExecution) -> bool:
        """Delete the object with all that belongs to it; return whether it is gone. A foreign one is left alone."""
        found = await self._live(self.kind, execution.metadata.name)
        if found is None or not is_ours(found, execution):
            return True
        if "deletionTimestamp" not in found["metadata"]:
            await self._delete(found)
        left = await self._live(self.kind, execution.metadata.name)
        return left is None or await self._let_go(left)

    def at_work(self, name: str, uid: str) -> bool:
        """Tell from the cache whether the run of an execution goes on, even if the execution is gone."""
        found = self._cluster.read(self.kind, self._settings.execution_namespace, name)
        return found is not None and made_for(found, uid) and self._goes_on(found)

    async def _read(self, execution: WorkflowExecution, found: Obj) -> Run:
        if not is_ours(found, execution):
            return Run(RunState.FOREIGN, reference(self.kind, found))
        return await self._told(execution, found)

    async def _existing(self, execution: WorkflowExecution) -> Run:
        found = await self._live(self.kind, execution.metadata.name)
        if found is None:
            return ABSENT
        self._cluster.observe(self.kind, found)
        return await self._read(execution, found)

    async def _live(self, kind: Kind, name: str) -> Obj | None:
        """Return an object of the execution namespace from the API server itself, or None."""
        try:
            return await self._cluster.client.get(kind, name, self._settings.execution_namespace)
        except ApiError as fault:
            if fault.not_found:
                return None
            raise

    async def _let_go(self, found: Obj) -> bool:
        """Take our finalizer off a run; return whether it is gone with that. A conflict brings an event, and with it another look."""
        meta = found["metadata"]
        finalizers = meta.get("finalizers") or []
        if RUN_FINALIZER not in finalizers:
            return False
        left = [each for each in finalizers if each != RUN_FINALIZER]
        body = {"metadata": {"resourceVersion": meta["resourceVersion"], "finalizers": left}}
        try:
            written = await self._cluster.client.patch(self.kind, meta["name"], meta["namespace"], body)
        except ApiError as fault:
            if not fault.not_found and not fault.conflict:
                raise
            return fault.not_found
        if "deletionTimestamp" in written["metadata"] and not left:
            return True
        self._cluster.observe(self.kind, written)
        return False

    async def _delete(self, found: Obj) -> None:
        meta = found["metadata"]
        try:
            await self._cluster.client.delete(self.kind, meta["name"], meta["namespace"], uid=meta["uid"], propagation="Background")
        except ApiError as fault:
            if not fault.not_found and not fault.conflict:
                raise
