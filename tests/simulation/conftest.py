"""Quiet logs: in a simulated world everything fails all the time, and each failure would be a line."""

import logging

import pytest
import structlog


@pytest.fixture(autouse=True)
def simulated():
    """Show nothing of what the product logs."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)
