"""What verification's tests share."""

import asyncio

import pytest


@pytest.fixture(scope="session", autouse=True)
def _resting_loop():
    """Give pytest-asyncio a loop to go back to: it would make one and leave it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
