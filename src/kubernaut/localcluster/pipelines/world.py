"""What both reconcilers of the runner share: the API under Tekton's name, kinds, settings, status writing and events."""

from datetime import datetime

from kubernaut.localcluster.api import Api, ResourceKind
from kubernaut.localcluster.controllers.recorder import Recorder
from kubernaut.localcluster.errors import ApiError, Obj
from kubernaut.localcluster.pipelines.bundles import Bundles
from kubernaut.localcluster.pipelines.settings import PipelineSettings

GROUP = "tekton.dev"
API_VERSION = "tekton.dev/v1"
BAD_REQUEST, NOT_FOUND, CONFLICT, INVALID = 400, 404, 409, 422


class World:
    """The runner's surroundings."""

    def __init__(self, api: Api, settings: PipelineSettings) -> None:
        """Look the kinds up; raise ApiError 404 while Tekton's definitions are not installed."""
        self.api = api.acting_as("tekton-pipelines-controller")
        self.settings = settings
        self.bundles = Bundles(settings.bundles)
        self.pipeline_runs = api.kind(GROUP, "pipelineruns")
        self.task_runs = api.kind(GROUP, "taskruns")
        self.requests = api.kind("resolution.tekton.dev", "resolutionrequests")
        self._recorders = {kind: Recorder(self.api, kind.kind, settings.clock) for kind in (self.pipeline_runs, self.task_runs)}

    def now(self) -> datetime:
        """Return the time."""
        return self.settings.clock()

    async def find(self, kind: ResourceKind, name: str, namespace: str) -> Obj | None:
        """Return an object, or None where there is none."""
        try:
            return await self.api.get(kind, name, namespace)
        except ApiError as error:
            if error.code == NOT_FOUND:
                return None
            raise

    async def write_status(self, kind: ResourceKind, obj: Obj, status: Obj) -> None:
        """Replace an object's status whole; the object must still be the same one."""
        meta = obj["metadata"]
        body = {**obj, "metadata": {key: value for key, value in meta.items() if key != "resourceVersion"}, "status": status}
        await self.api.update(kind, body, "status")

    async def label(self, kind: ResourceKind, obj: Obj, labels: Obj, annotations: Obj) -> None:
        """Add labels and annotations that are not there yet."""
        meta = obj["metadata"]
        wanted = {"labels": labels, "annotations": annotations}
        patch = {key: value for key, value in wanted.items() if value and not value.items() <= meta.get(key, {}).items()}
        if patch:
            await self.api.patch(kind, meta["name"], meta["namespace"], {"metadata": patch})

    async def tell(self, obj: Obj, type_: str, reason: str, message: str = "") -> None:
        """Write an event in the name of the object's kind, as Tekton's recorder does; the same one again raises its count."""
        kind = self.pipeline_runs if obj["kind"] == self.pipeline_runs.kind else self.task_runs
        await self._recorders[kind].tell(kind, obj, type_, reason, message)
