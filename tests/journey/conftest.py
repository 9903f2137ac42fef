"""The mark of long series, which run only when asked for."""


def pytest_configure(config):
    config.addinivalue_line("markers", "full: every point of a long series; run with -m full")


def pytest_collection_modifyitems(config, items):
    """Leave out what runs only when asked for by its mark."""
    if "full" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
