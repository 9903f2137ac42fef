"""What all tests share: a world to test in, and the mark of those that need one."""

import asyncio
import inspect

import pytest

from tests.world import world as make_world

CLUSTER_FIXTURES = {"world"}
PROCESSES = {"kubectl", "tmp_path_factory"}
"""Fixtures of tests that start programs."""


def pytest_configure():
    """Have no event loop outside of tests: asyncio would make one unasked, and nobody would close it."""
    asyncio.set_event_loop(None)


def pytest_collection_modifyitems(items):
    """Mark what runs over a Kubernetes API of the test's choice (`cluster`), and what is pure judgement (`unit`): `make check` runs the latter."""
    for item in items:
        if CLUSTER_FIXTURES & (set(getattr(item, "fixturenames", ())) - set(getattr(getattr(item, "callspec", None), "params", ()))):
            item.add_marker(pytest.mark.cluster)
        elif not inspect.iscoroutinefunction(getattr(item, "function", None)) and not PROCESSES & set(item.fixturenames):
            item.add_marker(pytest.mark.unit)


@pytest.fixture
async def world():
    """Give a Kubernetes API with our definitions, and nothing that rolls out or runs pods."""
    async with make_world() as found:
        yield found
