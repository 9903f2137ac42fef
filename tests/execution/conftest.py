"""A cluster with workloads that roll out."""

from collections.abc import AsyncIterator

import pytest

from kubernaut.api.core import NAMESPACE
from kubernaut.api.execution import KubernetesExecution
from tests.execution.world import SHOP, World
from tests.workflow.bench import bench_of


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with bench_of(World, KubernetesExecution) as bench:
        await bench.client.create(NAMESPACE, {"metadata": {"name": SHOP}})
        bench.start_stand_ins()
        yield bench
