"""What all tests share: a world to test in, and the mark of those that need one."""

import asyncio
import gc
import inspect
import signal

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests import rollouts
from tests.leftovers import inventory, left_over
from tests.world import EXTERNAL
from tests.world import world as make_world

LEFT_OUT: pytest.StashKey[int] = pytest.StashKey()
MISSED: pytest.StashKey[list[str]] = pytest.StashKey()
ROWS_NEED_CASES, ROWS_NEED_STAGES = 2000, 40
"""With so many simulated cases, and so many tests that play the orchestrator's stages, it was a run of everything."""
PROCESSES = {"kubectl", "tmp_path_factory", "simulated", "large"}
"""Fixtures of tests that start programs, or take long."""


def pytest_configure(config):
    """Have no event loop outside of tests (asyncio would make one unasked, and nobody would close it), and hear Ctrl-C."""
    gc.disable()  # while modules and tests are made, nothing is garbage
    asyncio.set_event_loop(None)
    # how fast examples come says how busy the machine is; and a commit is good or bad whoever looks: new examples are for the long series
    patient = settings(settings.default, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("patient", patient)
    settings.register_profile("quick", patient, max_examples=30)
    settings.register_profile("search", patient, derandomize=False, max_examples=500)
    settings.load_profile(config.getoption("--hypothesis-profile") or "patient")
    # a shell that starts us in the background has Ctrl-C ignored, and so would every program that a test starts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # painting a traceback takes seconds, in which an event loop stands still
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso"), plain])


def pytest_collection_finish():
    """Look for garbage from now on, but not among modules and tests: they stay, and searching them took a fifth of all time."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config, items):
    """Mark what runs over a Kubernetes API of the test's choice (`anywhere`), and what is pure judgement (`unit`): `make check` runs the latter."""
    for item in items:
        asked = set(item.fixturenames)
        if "anywhere" in asked and "embedded" not in asked:
            item.add_marker(pytest.mark.anywhere)
        elif (
            not inspect.iscoroutinefunction(getattr(item, "function", None))
            and not PROCESSES & asked
            and not item.get_closest_marker("cluster")
            and not item.get_closest_marker("program")
        ):
            item.add_marker(pytest.mark.unit)
    _leave_out_series(config, items)
    needy = [item for item in items if rollouts.NEEDED in item.fixturenames]
    if EXTERNAL and needy and not rollouts.happen(EXTERNAL):
        config.stash[LEFT_OUT] = len(needy)
        config.hook.pytest_deselected(items=needy)
        items[:] = [item for item in items if item not in needy]
    items.sort(key=_patience, reverse=True)


def _patience(item):
    """Say how long a test may take: the longest begin first, so that no worker is alone with one when the others have nothing left."""
    marker = item.get_closest_marker("timeout")
    return marker.args[0] if marker else 0


def _leave_out_series(config, items):
    """Leave out what runs only when asked for by its mark."""
    series = [item for item in items if item.get_closest_marker("full")]
    if series and "full" not in config.option.markexpr:
        config.hook.pytest_deselected(items=series)
        items[:] = [item for item in items if item not in series]


def pytest_report_collectionfinish(config):
    """Say why tests were left out."""
    count = config.stash.get(LEFT_OUT, 0)
    return f"{count} tests left out: {rollouts.WITHOUT}" if count else []


@pytest.fixture(scope="session", name=rollouts.NEEDED)
def _rollouts():
    """Say that a test needs somebody who rolls workloads out, over whichever API."""


@pytest.fixture(scope="session")
def embedded():
    """Say that a test needs the embedded cluster itself: it holds what only that one has."""


@pytest.fixture(scope="session")
def anywhere():
    """Say that a test runs over any Kubernetes API; give the kubeconfig of the foreign one, if there is one, and see that it is left as it was."""
    if not EXTERNAL:
        yield EXTERNAL
        return
    before = inventory(EXTERNAL)
    yield EXTERNAL
    assert sorted(left_over(EXTERNAL, before)) == []


@pytest.fixture
async def world(anywhere):
    """Give a Kubernetes API with our definitions, and nothing that rolls out or runs pods."""
    async with make_world() as found:
        yield found


def _noted(session, name):
    """Return what tests noted under a name, whichever worker played them."""
    stats = session.config.pluginmanager.get_plugin("terminalreporter").stats
    return [value for reports in stats.values() for report in reports for key, value in _properties(report) if key == name]


def _properties(report):
    last = getattr(report, "when", "") == "teardown"  # a test's notes are in the reports of all its stages
    return report.user_properties if last else ()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    """Fail a run of everything in which a row of the phase table was never walked: no test failed, and yet one says nothing any more."""
    if hasattr(session.config, "workerinput"):
        return
    worlds, staged = _noted(session, "simulation"), _noted(session, "rows")
    if sum(each["cases"] for each in worlds) < ROWS_NEED_CASES or len(staged) < ROWS_NEED_STAGES:
        return
    from tests.rows import missed  # noqa: PLC0415  (only where it was played)

    session.config.stash[MISSED] = missed({row for each in worlds for row in each["rows"]} | {row for rows in staged for row in rows})
    if session.config.stash[MISSED] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    """Tell what the simulated worlds came to, whichever worker played them, and which rows of the phase table nobody walked."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports if getattr(report, "when", "") == "call"]
    if found := [value for report in reports for name, value in report.user_properties if name == "simulation"]:
        from tests.simulation.telling import Sum, total  # noqa: PLC0415  (only where it was played)

        terminalreporter.section("simulation")
        for line in total(map(Sum.read, found)).lines():
            terminalreporter.line(line)
    if rows := config.stash.get(MISSED, []):
        terminalreporter.section("rows of the phase table that no test walked (tests/rows.py names those that may be missed)", red=True)
        terminalreporter.line(", ".join(rows))
