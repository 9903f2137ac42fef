"""What all tests share: a world to test in, and the mark of those that need one."""

import asyncio
import inspect
import signal

import pytest

from tests.world import world as make_world

PROCESSES = {"kubectl", "tmp_path_factory"}
"""Fixtures of tests that start programs."""


def pytest_configure():
    """Have no event loop outside of tests (asyncio would make one unasked, and nobody would close it), and hear Ctrl-C."""
    asyncio.set_event_loop(None)
    # a shell that starts us in the background has Ctrl-C ignored, and so would every program that a test starts
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Mark what runs over a Kubernetes API of the test's choice (`anywhere`), and what is pure judgement (`unit`): `make check` runs the latter."""
    for item in items:
        if _in_our_world(item):
            item.add_marker(pytest.mark.anywhere)
        elif not inspect.iscoroutinefunction(getattr(item, "function", None)) and not PROCESSES & set(item.fixturenames):
            item.add_marker(pytest.mark.unit)


def _in_our_world(item):
    """Whether a test takes its cluster from the fixture below, and so runs against any Kubernetes API."""
    found = item._fixtureinfo.name2fixturedefs.get("world", ())
    return any(inspect.unwrap(each.func).__code__.co_filename == __file__ for each in found[-1:])


@pytest.fixture
async def world():
    """Give a Kubernetes API with our definitions, and nothing that rolls out or runs pods."""
    async with make_world() as found:
        yield found
