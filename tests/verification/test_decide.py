"""When a fix counts as having helped."""

from dataclasses import replace
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


def metrics(score, *, silent=False):
    return Reading(Component.METRICS, score, score == 1, f"metrics {score}", silent=silent)


def spec(score):
    return Reading(Component.SPEC, score, score == 1, "somebody changed its spec after the fix")


def seen(health_, alert_, **more):
    return Seen(health_, alert_, **{"fixed_at": T0, "window": timedelta(minutes=5), "ends_at": at(25), **more})


WELL, ILL, BLIND = health(1), health(0.5), health(None, good=False)
RESOLVED, FIRING, DEAF = alert(1), alert(0), alert(None)
GREEN, RED, MUTE = metrics(1), metrics(0), metrics(None, silent=True)
ASIDE, WORSE = spec(0), health(0, worse=True)


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
        pytest.param(
            seen(WELL, RESOLVED, fixed_at=at(3)),
            2,
            Wait(Phase.WAITING_FOR_PROPAGATION, at(3), "the fix is given time to arrive at the target; health 1"),
            id="what keeps the target has to follow first",
        ),
        pytest.param(
            seen(WELL, RESOLVED, alert_from=at(8)),
            6,
            Wait(Phase.ASSESSING, at(8), "health 1; alert 1"),
            id="an alert that forecasts is not believed at once",
        ),
        pytest.param(
            seen(WELL, RESOLVED, metrics=MUTE, metrics_patience=timedelta(minutes=2)),
            6,
            Wait(Phase.ASSESSING, at(7), "health 1; alert 1; metrics None"),
            id="metrics that do not come are waited for a little",
        ),
        pytest.param(
            seen(WELL, DEAF, metrics=RED),
            6,
            Wait(Phase.ASSESSING, at(25), "health 1; alert None; metrics 0"),
            id="where the alert says nothing, the metrics are waited for",
        ),
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
        pytest.param(seen(WORSE, FIRING, worse_since=T0), 5, (Verdict.WORSE, Reason.WORSE), id="worse, and it stays so"),
        pytest.param(seen(WORSE, FIRING, worse_since=T0), 4, None, id="worse during the roll-out may pass"),
        pytest.param(seen(WORSE, FIRING, worse_since=at(6)), 10, None, id="a dip long after the fix may pass"),
        pytest.param(seen(WORSE, FIRING, worse_since=at(6)), 11, (Verdict.WORSE, Reason.WORSE), id="a whole window of worse"),
        pytest.param(
            seen(replace(WORSE, gone=True), FIRING, worse_since=T0), 5, (Verdict.WORSE, Reason.UNRECOVERABLE), id="gone, and it stays so"
        ),
        pytest.param(seen(WELL, RESOLVED, drift=ASIDE), 1, (Verdict.UNKNOWN, Reason.SPEC_DRIFT), id="somebody changed it since"),
        pytest.param(
            seen(WORSE, FIRING, drift=ASIDE, worse_since=T0),
            9,
            (Verdict.UNKNOWN, Reason.SPEC_DRIFT),
            id="worse after somebody's change is not the fix's doing",
        ),
        pytest.param(seen(WELL, RESOLVED, drift=spec(1)), 5, (Verdict.EFFECTIVE, Reason.FULL), id="as the fix left it"),
        pytest.param(seen(WELL, RESOLVED, executed=False), 5, (Verdict.UNKNOWN, Reason.NO_EXECUTION), id="well, though nothing was done"),
        pytest.param(seen(ILL, FIRING, executed=False), 25, (Verdict.INEFFECTIVE, Reason.UNHEALTHY), id="nothing was done, nothing helped"),
        pytest.param(seen(WELL, RESOLVED, metrics=GREEN), 5, (Verdict.EFFECTIVE, Reason.FULL), id="the metrics agree"),
        pytest.param(
            seen(WELL, RESOLVED, metrics=RED), 5, (Verdict.EFFECTIVE, Reason.FULL), id="the alert's word counts more than metrics"
        ),
        pytest.param(seen(WELL, RESOLVED, metrics=MUTE), 5, (Verdict.EFFECTIVE, Reason.METRICS_TIMED_OUT), id="the metrics never came"),
        pytest.param(seen(WELL, DEAF, metrics=GREEN), 5, (Verdict.EFFECTIVE, Reason.PARTIAL), id="the metrics speak for the alert"),
        pytest.param(seen(WELL, DEAF, metrics=RED), 25, (Verdict.INEFFECTIVE, Reason.ALERT_DECAY), id="the metrics speak against the fix"),
        pytest.param(seen(WELL, RESOLVED, alert_from=at(8)), 8, (Verdict.EFFECTIVE, Reason.FULL), id="the forecast is believed by now"),
        pytest.param(
            seen(WELL, RESOLVED, alert_from=at(99)), 25, (Verdict.EFFECTIVE, Reason.FULL), id="the forecast cannot outlive the deadline"
        ),
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
seens = st.builds(
    Seen,
    healths,
    alerts,
    moments,
    st.integers(0, 10).map(lambda m: timedelta(minutes=m)),
    moments,
    metrics=st.sampled_from([None, GREEN, RED, MUTE]),
    drift=st.sampled_from([None, spec(1), ASIDE]),
    worse_since=st.none() | moments,
    alert_from=st.none() | moments,
    metrics_patience=st.integers(0, 10).map(lambda m: timedelta(minutes=m)),
    executed=st.booleans(),
    ended=st.booleans(),
)


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
        assert given_.drift is not ASIDE
        assert given_.executed


@given(seens, moments)
def test_worse_is_said_only_of_what_stayed_worse_through_a_window_and_was_not_touched_by_others(given_, now):
    step = decide(given_, now)
    if isinstance(step, Conclude) and step.verdict is Verdict.WORSE:
        assert given_.health.worse
        assert given_.worse_since + given_.window <= now
        assert given_.drift is not ASIDE


@given(seens, moments, moments)
def test_a_verdict_once_due_does_not_become_too_early_again(given_, now, later):
    if isinstance(decide(given_, now), Conclude):
        assert isinstance(decide(given_, max(now, later)), Conclude)


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        pytest.param([WELL, RESOLVED], 1.0, id="all good"),
        pytest.param([WELL, FIRING], 0.5333, id="weights over what was assessed"),
        pytest.param([WELL, DEAF], 1.0, id="what cannot be told does not count"),
        pytest.param([ILL, RESOLVED, Reading(Component.METRICS, 0.2, good=False, message="")], 0.6, id="all three"),
        pytest.param([BLIND, DEAF], None, id="nothing assessed"),
        pytest.param([WELL, RESOLVED, spec(1)], 1.0, id="that nothing drifted adds nothing"),
        pytest.param([WELL, RESOLVED, GREEN, ASIDE], 0.0, id="drift leaves nothing to count"),
    ],
)
def test_the_score_is_the_weighted_mean_of_what_was_assessed(readings, expected):
    assert score(readings) == expected


PARTS = [Component.HEALTH, Component.ALERT, Component.METRICS]
some_scores = st.none() | st.floats(0, 1)
readings = st.tuples(some_scores, some_scores, some_scores).map(
    lambda found: [Reading(part, value, good=False, message="") for part, value in zip(PARTS, found, strict=True)]
)
weights = st.fixed_dictionaries({part: st.floats(0, 1) for part in PARTS})


@given(readings, weights)
def test_the_score_is_bounded_by_what_was_assessed_and_there_when_anything_counts(readings, weights):
    found = score(readings, weights)
    known = [each.score for each in readings if each.score is not None and weights[each.component] > 0]
    assert (found is None) == (not known)
    if found is not None:
        assert min(known) - 1e-4 <= found <= max(known) + 1e-4
        assert 0 <= found <= 1


@given(readings, weights, st.sampled_from(PARTS), st.floats(0, 1))
def test_the_score_never_falls_when_something_gets_better(readings, weights, part, more):
    better = [
        replace(each, score=max(each.score, more)) if each.component is part and each.score is not None else each for each in readings
    ]
    before, after = score(readings, weights), score(better, weights)
    assert (before is None) == (after is None)
    assert before is None or after is None or after >= before
