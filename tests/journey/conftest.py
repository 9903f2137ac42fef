"""What journeys share: their marks, and that the long ones run only when asked for."""

import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "full: every point of a long series; run with -m full")


def pytest_collection_modifyitems(config, items):
    """Mark what is here as running a cluster; leave out what is asked for by name alone."""
    here = [item for item in items if "tests/journey" in item.path.as_posix()]
    for item in here:
        item.add_marker(pytest.mark.cluster)
    if "full" in config.option.markexpr:
        return
    left_out = [item for item in here if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
