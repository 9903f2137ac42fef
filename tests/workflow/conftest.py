"""The workflow stage, ready to be put to work."""

from collections.abc import AsyncIterator

import pytest

from kubernaut.api.brake import RemediationBrake
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.workflow import WorkflowExecution
from tests.workflow.bench import bench_anywhere
from tests.workflow.stage import Records, World

KINDS = (WorkflowExecution, KubernetesExecution, RemediationWorkflow, RemediationBrake)


@pytest.fixture
async def world(anywhere: str) -> AsyncIterator[World]:
    async with bench_anywhere(World, *KINDS, also=("production",)) as bench:
        bench.records = Records()
        yield bench
