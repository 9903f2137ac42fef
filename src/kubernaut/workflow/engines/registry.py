"""The engines there are: the built-in ones, and those that other packages bring by the entry point group `kubernaut.engines`.

An entry point is named as `executionConfig.engine` says it, and gives a class or function called with the cluster and the settings.
"""

from collections.abc import Iterable
from importlib.metadata import EntryPoint

from kubernaut.api.base import Unusable
from kubernaut.api.catalog import Engine as EngineName
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.cluster import Cluster
from kubernaut.plugins import installed
from kubernaut.workflow.decide import RunState
from kubernaut.workflow.engines.base import ABSENT, Engine, Run
from kubernaut.workflow.engines.job import JobEngine
from kubernaut.workflow.engines.steps import StepsEngine
from kubernaut.workflow.engines.tekton import TektonEngine
from kubernaut.workflow.settings import WorkflowSettings

GROUP = "kubernaut.engines"
_PARTS = ("watches", "at_work", "observe", "start", "cancel", "cleanup")


class NoEngine:
    """In the place of an engine that is not here: nothing runs, and what is left of earlier runs is not ours to judge."""

    watches = ()

    def at_work(self, name: str, uid: str) -> bool:
        """Nothing of it is known."""
        del name, uid
        return False

    async def observe(self, execution: WorkflowExecution) -> Run:
        """Nothing of it is known: what was on record as running cannot be followed."""
        known = execution.status.pipeline_run_ref is not None
        return Run(RunState.RUNNING, started_at=execution.status.start_time) if known else ABSENT

    async def start(self, execution: WorkflowExecution) -> Run:
        """Start nothing."""
        del execution
        return ABSENT

    async def cancel(self, execution: WorkflowExecution) -> None:
        """There is nothing that could be stopped."""

    async def cleanup(self, execution: WorkflowExecution) -> bool:
        """There is nothing that could be removed."""
        del execution
        return True


NO_ENGINE = NoEngine()


def built(cluster: Cluster, settings: WorkflowSettings) -> dict[str, Engine]:
    """Return the built-in engines by name."""
    return {
        EngineName.TEKTON.value: TektonEngine(cluster, settings),
        EngineName.JOB.value: JobEngine(cluster, settings),
        EngineName.STEPS.value: StepsEngine(cluster.clock),
    }


def with_installed(cluster: Cluster, settings: WorkflowSettings, found: Iterable[EntryPoint] | None = None) -> dict[str, Engine]:
    """Return the built-in engines and the installed ones; raise Unusable for one that cannot be loaded, is none, or takes a known name."""
    engines = built(cluster, settings)
    for point in installed(GROUP) if found is None else found:
        if point.name in engines:
            raise Unusable(f"two workflow engines are called {point.name!r}: uninstall {point.value}")
        engines[point.name] = _loaded(point, cluster, settings)
    return engines


def _loaded(point: EntryPoint, cluster: Cluster, settings: WorkflowSettings) -> Engine:
    try:
        engine: Engine = point.load()(cluster, settings)
    except (ImportError, AttributeError, TypeError) as fault:
        raise Unusable(f"the workflow engine {point.name!r} ({point.value}) cannot be loaded: {fault}") from fault
    missing = [name for name in _PARTS if not hasattr(engine, name)]
    if missing:
        raise Unusable(f"the workflow engine {point.name!r} ({point.value}) lacks {', '.join(missing)}: it is no engine")
    return engine
