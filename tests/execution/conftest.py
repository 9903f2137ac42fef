"""A cluster with workloads that roll out: the embedded one with its stand-ins, or a foreign one that has controllers and nodes."""

from collections.abc import AsyncIterator

import pytest

from kubernaut.api.brake import RemediationBrake
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.workflow import WorkflowExecution
from tests.execution.world import SHOP, World
from tests.workflow.bench import bench_anywhere


@pytest.fixture
async def world(anywhere: str, rollouts: None) -> AsyncIterator[World]:
    async with bench_anywhere(World, KubernetesExecution, WorkflowExecution, RemediationBrake, also=(SHOP,)) as bench:
        if not anywhere:
            bench.start_stand_ins()
        yield bench
