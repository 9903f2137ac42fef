"""One world for all tests of a module, where each test has a system namespace of its own: to be imported by a conftest."""

from dataclasses import replace

import pytest_asyncio

from tests.world import world as make_world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(anywhere):
    """Give a Kubernetes API with our definitions to all tests of a module, which must run in its loop."""
    async with make_world() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def world(shared):
    """Give the shared world, with a system namespace of the test's own."""
    return replace(shared, system=await shared.namespace("system"))
