"""When a fix counts as having helped."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.verification import Phase, Verdict
from kubernaut.verification.decide import Component, Conclude, Reading, Reason, Rest, Seen, Wait, decide, score

pytestmark = pytest.mark.unit

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def at(minutes):
    return T0 + timedelta(minutes=minutes)


def health(score, *, good=None, since=0, worse=False):
    good = (score == 1) if good is None else good
    return Reading(Component.HEALTH, score, good, f"health {score}", at(since) if good else None, worse)


def alert(score):
    return Reading(Component.ALERT, score, score == 1, f"alert {score}")


def seen(health_, alert_, **more):
    return Seen(health_, alert_, **{"fixed_at": T0, "window": timedelta(minutes=5), "ends_at": at(25), **more})


WELL, ILL, BLIND = health(1), health(0.5), health(None, good=False)
RESOLVED, FIRING, DEAF = alert(1), alert(0), alert(None)


def verdict(step):
    return (step.verdict, step.reason) if isinstance(step, Conclude) else None


@pytest.mark.parametrize(
    ("given_", "minutes", "expected"),
    [
        pytest.param(seen(WELL, RESOLVED), 4, Wait(Phase.STABILIZING, at(5), "health 1"), id="healthy, but the window is not over"),
        pytest.param(
            seen(health(1, since=3), RESOLVED),
            6,
            Wait(Phase.STABILIZING, at(8), "health 1"),
            id="the window begins when the target is well",
        ),
        pytest.param(seen(ILL, RESOLVED), 20, Wait(Phase.STABILIZING, at(25), "health 0.5"), id="not well yet"),
        pytest.param(seen(WELL, FIRING), 6, Wait(Phase.ASSESSING, at(25), "health 1; alert 0"), id="well, the alert needs time"),
    ],
)
def test_too_early_to_tell(given_, minutes, expected):
    assert decide(given_, at(minutes)) == expected


@pytest.mark.parametrize(
    ("given_", "minutes", "expected"),
    [
        pytest.param(seen(WELL, RESOLVED), 5, (Verdict.EFFECTIVE, Reason.FULL), id="well through the window and resolved"),
        pytest.param(
            seen(health(0.75, good=True, since=2), RESOLVED),
            7,
            (Verdict.EFFECTIVE, Reason.FULL),
            id="one restart, then stable through the window",
        ),
        pytest.param(seen(WELL, DEAF), 5, (Verdict.EFFECTIVE, Reason.PARTIAL), id="well, and the alert cannot be asked"),
        pytest.param(seen(BLIND, RESOLVED), 5, (Verdict.EFFECTIVE, Reason.PARTIAL), id="resolved, and the target has no health"),
        pytest.param(seen(WELL, FIRING), 25, (Verdict.INEFFECTIVE, Reason.ALERT_DECAY), id="well, but the alert never resolved"),
        pytest.param(
            seen(BLIND, FIRING), 25, (Verdict.INEFFECTIVE, Reason.ALERT_DECAY), id="the alert never resolved, and the target has no health"
        ),
        pytest.param(seen(ILL, RESOLVED), 25, (Verdict.INEFFECTIVE, Reason.UNHEALTHY), id="the alert resolved, but the target is not well"),
        pytest.param(seen(ILL, FIRING), 25, (Verdict.INEFFECTIVE, Reason.UNHEALTHY), id="nothing has changed"),
        pytest.param(seen(health(0, worse=True), FIRING), 5, (Verdict.WORSE, Reason.WORSE), id="worse, and it stays so"),
        pytest.param(seen(health(0, worse=True), FIRING), 4, None, id="worse during the roll-out may pass"),
        pytest.param(seen(health(1, since=24), RESOLVED), 25, (Verdict.UNKNOWN, Reason.EXPIRED), id="well too late to be sure"),
        pytest.param(seen(ILL, FIRING, ends_at=at(1)), 1, (Verdict.UNKNOWN, Reason.EXPIRED), id="never given the time of one window"),
        pytest.param(seen(BLIND, DEAF), 24, None, id="nothing known: waits"),
        pytest.param(seen(BLIND, DEAF), 25, (Verdict.UNKNOWN, Reason.UNASSESSABLE), id="nothing known: says so"),
    ],
)
def test_verdicts(given_, minutes, expected):
    assert verdict(decide(given_, at(minutes))) == expected


scores = st.none() | st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
moments = st.integers(0, 60).map(at)
healths = st.builds(Reading, st.just(Component.HEALTH), scores, st.booleans(), st.just("h"), st.none() | moments, st.booleans())
alerts = st.sampled_from([RESOLVED, FIRING, DEAF])
seens = st.builds(Seen, healths, alerts, moments, st.integers(0, 10).map(lambda m: timedelta(minutes=m)), moments, st.booleans())


@given(seens, moments)
def test_there_is_always_an_end(given_, now):
    step = decide(given_, now)
    assert isinstance(step, Rest) == given_.ended
    if isinstance(step, Wait):
        assert now < step.until <= given_.ends_at


@given(seens, moments)
def test_effective_needs_a_window_of_health_and_no_alert_that_fires(given_, now):
    step = decide(given_, now)
    if isinstance(step, Conclude) and step.verdict is Verdict.EFFECTIVE:
        assert given_.alert is not FIRING
        assert now >= given_.fixed_at + given_.window
        assert given_.health.score is None or given_.health.good


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        pytest.param([WELL, RESOLVED], 1.0, id="all good"),
        pytest.param([WELL, FIRING], 0.5333, id="weights over what was assessed"),
        pytest.param([WELL, DEAF], 1.0, id="what cannot be told does not count"),
        pytest.param([ILL, RESOLVED, Reading(Component.METRICS, 0.2, good=False, message="")], 0.6, id="all three"),
        pytest.param([BLIND, DEAF], None, id="nothing assessed"),
    ],
)
def test_the_score_is_the_weighted_mean_of_what_was_assessed(readings, expected):
    assert score(readings) == expected
