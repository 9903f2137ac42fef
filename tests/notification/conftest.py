"""One cluster for a module of tests, a namespace for each test."""

from dataclasses import replace

import pytest_asyncio

from tests.world import world as make_world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(anywhere):
    async with make_world() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def world(cluster):
    """Give the cluster with a system namespace that no other test uses."""
    return replace(cluster, system=await cluster.namespace("notification"))
