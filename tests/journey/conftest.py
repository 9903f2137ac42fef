"""The mark of long series, which run only when asked for."""

import structlog


def pytest_configure(config):
    """Name the mark; and keep tracebacks in logs plain: painting one takes seconds, in which the event loop would stand still."""
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso"), plain])
    config.addinivalue_line("markers", "full: every point of a long series; run with -m full")


def pytest_collection_modifyitems(config, items):
    """Leave out what runs only when asked for by its mark."""
    if "full" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
