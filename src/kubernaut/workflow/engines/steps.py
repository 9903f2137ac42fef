"""The engine of step mode: a run is the plan itself; KubernetesExecution carries it out afterwards."""

from kubernaut.api.plan import Operation
from kubernaut.api.workflow import FailureCategory, FailureDetails, WorkflowExecution
from kubernaut.kube.clock import Clock
from kubernaut.workflow.decide import RunState
from kubernaut.workflow.engines.base import ABSENT, Run
from kubernaut.workflow.failure import Subject, explained
from kubernaut.workflow.planner import PlanFault, plan


class StepsEngine:
    """Plans the steps of a definition into operations."""

    watches = ()

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def at_work(self, name: str, uid: str) -> bool:
        """A plan changes nothing; what carries it out holds the target by itself."""
        del name, uid
        return False

    async def observe(self, execution: WorkflowExecution) -> Run:
        """A plan exists only once it is in the status, which ends the execution: until then there is no run."""
        del execution
        return ABSENT

    async def start(self, execution: WorkflowExecution) -> Run:
        """Plan; the same steps always give the same plan."""
        now = self._clock.now()
        try:
            operations = tuple(plan(_steps(execution)))
        except PlanFault as fault:
            return Run(RunState.FAILED, started_at=now, ended_at=now, failure=_failure(execution, fault))
        return Run(RunState.SUCCEEDED, started_at=now, ended_at=now, operations=operations)

    async def cancel(self, execution: WorkflowExecution) -> None:
        """A plan does nothing that could be stopped."""

    async def cleanup(self, execution: WorkflowExecution) -> bool:
        """A plan leaves nothing behind."""
        del execution
        return True


def _steps(execution: WorkflowExecution) -> list[Operation]:
    definition = execution.spec.workflow_definition
    return definition.steps if definition else []


def _failure(execution: WorkflowExecution, fault: PlanFault) -> FailureDetails:
    definition = execution.spec.workflow_definition
    subject = Subject((definition.name if definition else "") or "steps", execution.spec.target_resource, steps_ran=False)
    failure = FailureDetails(reason="PlanningFailed", category=FailureCategory.CONFIGURATION_ERROR, message=str(fault)[:1024])
    return explained(failure, subject)
