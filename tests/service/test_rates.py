"""Token buckets: a burst, then so many a second, each caller for himself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from kubernaut.service import Problem, Rates, RateSettings
from kubernaut.service.rates import CALLERS_LIMIT, Bucket


class Time:
    """Seconds that a test lets pass."""

    now = 0.0

    def __call__(self):
        return self.now


def request(address="10.0.0.1", user="", path="/api/v1/signals"):
    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b"", "server": ("x", 80), "scheme": "http"}
    made = Request(scope | {"client": (address, 1234)})
    if user:
        made.state.user = user
    return made


async def passes(rates, count, **who):
    """Return how many of so many requests in a row pass."""
    return [await refusal(rates, **who) for _ in range(count)].count(None)


async def refusal(rates, **who):
    """Return what a request is refused with, or None; it is never refused with anything but 429."""
    try:
        await rates(request(**who))
    except Problem as problem:
        return problem.status, problem.code, problem.retry_after
    return None


async def test_a_burst_passes_and_then_as_many_as_time_brings():
    time = Time()
    rates = Rates("test", RateSettings(per_source=10, burst=15), time=time)
    assert await passes(rates, 30) == 15
    assert await refusal(rates) == (429, "RATE_LIMIT_EXCEEDED", 60)
    time.now += 1
    assert await passes(rates, 30) == 10
    time.now += 3600
    assert await passes(rates, 30) == 15


async def test_callers_do_not_take_from_each_other_and_a_user_is_one_wherever_he_calls_from():
    rates = Rates("test", RateSettings(per_source=1, burst=3), time=Time())
    assert await passes(rates, 5, address="10.0.0.1") == 3
    assert await passes(rates, 5, address="10.0.0.2") == 3
    assert await passes(rates, 2, address="10.0.0.1", user="system:serviceaccount:monitoring:am") == 2
    assert await passes(rates, 5, address="10.0.0.9", user="system:serviceaccount:monitoring:am") == 1


async def test_all_together_are_held_to_the_replicas_rate():
    rates = Rates("test", RateSettings(per_source=0, burst=1, per_replica=20), time=Time())
    assert sum([await passes(rates, 1, address=f"10.0.0.{number}") for number in range(40)]) == 20


async def test_without_rates_and_on_probes_all_pass():
    assert await passes(Rates("test", RateSettings(per_source=0, per_replica=0, burst=1), time=Time()), 500) == 500
    assert await passes(Rates("test", RateSettings(per_source=1, per_replica=1, burst=1), time=Time()), 50, path="/readyz") == 50


async def test_no_more_callers_are_remembered_than_the_bound():
    rates = Rates("test", RateSettings(per_source=1, per_replica=0, burst=1), time=Time())
    for number in range(CALLERS_LIMIT + 10):
        await rates(request(address=str(number)))
    assert len(rates._callers) == CALLERS_LIMIT


@pytest.mark.unit
@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 500),
    steps=st.lists(st.floats(-5, 100), max_size=60),
)
def test_never_more_pass_than_the_burst_and_what_time_brought(rate, burst, steps):
    now = latest = 0.0
    bucket = Bucket(rate, burst, now)
    passed = 0
    for step in steps:
        now += step
        latest = max(latest, now)
        passed += bucket.take(now)
    assert passed <= burst + latest * rate + 1e-6
