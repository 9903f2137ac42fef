"""What holds a remediation up before a stage is opened: each check in a table, and what must hold of all of them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.remediation import Outcome, Phase
from kubernaut.api.signal import Severity
from kubernaut.orchestration.evidence import evidence_hash
from kubernaut.orchestration.facts import Stage
from kubernaut.orchestration.routing import (
    Fix,
    Past,
    Situation,
    admitted,
    busy,
    chained,
    duplicate,
    failing,
    failures_in_a_row,
    known_harmless,
    rested,
    tried_before,
    unmanaged,
)
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.orchestration.steps import Block, End, Hold, Notice, Open
from tests.orchestration.cases import T0, Case

pytestmark = pytest.mark.unit

TARGET = "production/deployment/payment-service"


def here(stage=Stage.PROCESSING, *, case=None, settings=None, **facts):
    case = case or Case()
    settings = settings or OrchestrationSettings()
    return Situation(stage=stage, request=case.request, family=case.family, settings=settings, now=case.now, **{"target": TARGET, **facts})


def block(found):
    """Return a block, which it must be."""
    assert isinstance(found, Block)
    return found


def ending(found):
    """Return an end, which it must be."""
    assert isinstance(found, End)
    return found


def past(name="before", phase=Phase.FAILED, minutes=0, **more):
    return Past(name, phase, "PodOOMKilled", Severity.CRITICAL, ended_at=T0 - timedelta(minutes=minutes), **more)


@pytest.mark.parametrize(
    ("managed", "only", "held"),
    [
        pytest.param(None, False, False, id="no label, and none is asked for"),
        pytest.param(None, True, True, id="no label, and one is asked for"),
        pytest.param(True, True, False, id="opted in"),
        pytest.param(False, False, True, id="opted out"),
    ],
)
def test_only_managed_namespaces_are_worked_on(managed, only, held):
    found = unmanaged(here(managed=managed, settings=OrchestrationSettings(managed_only=only)))
    assert (found is not None) == held
    assert found is None or (found.reason, found.until) == ("UnmanagedResource", T0 + timedelta(seconds=5))


@pytest.mark.parametrize(("minutes", "wait"), [(0, 5), (1, 60), (4, 240), (60, 300)], ids=["first", "a minute", "four", "an hour"])
def test_an_unmanaged_namespace_is_looked_at_less_and_less_often(minutes, wait):
    case = Case(status={"blockedSince": T0})
    found = block(unmanaged(here(managed=False, case=case.later(minutes=minutes))))
    assert found.until == case.now + timedelta(seconds=wait)


@pytest.mark.parametrize(
    ("history", "block"),
    [
        pytest.param((), None, id="nothing failed"),
        pytest.param((past(),), ("ExponentialBackoff", 1), id="one failure: a minute"),
        pytest.param((past(), past(minutes=5)), ("ExponentialBackoff", 2), id="two: two minutes"),
        pytest.param((past(), past(), past()), ("ConsecutiveFailures", 60), id="three: an hour"),
        pytest.param((past(minutes=1),), None, id="it has rested"),
        pytest.param((past(phase=Phase.COMPLETED), past()), None, id="a success ends the row"),
        pytest.param((past(phase=Phase.CANCELLED), past()), ("ExponentialBackoff", 1), id="a cancelled one neither counts nor ends it"),
        pytest.param((past(failure_phase="Blocked"), past(minutes=2)), None, id="one that was only held does not count"),
        pytest.param((past(phase=Phase.TIMED_OUT),), ("ExponentialBackoff", 1), id="out of time is a failure"),
    ],
)
def test_a_problem_rests_after_failures(history, block):
    found = failing(here(history=history))
    assert (found and (found.reason, (found.until - T0) / timedelta(minutes=1))) == block


@given(st.integers(1, 30))
def test_rest_between_failures_is_bounded_and_never_shrinks_below_the_threshold(count):
    settings = OrchestrationSettings(failure_threshold=100)
    waits = [block(failing(here(history=(past(),) * n, settings=settings))).until - T0 for n in (count, count + 1)]
    assert waits[0] <= waits[1] <= settings.failure_backoff_limit


OPEN = Past("first", Phase.EXECUTING)


def test_a_duplicate_waits_for_the_one_ahead():
    found = block(duplicate(here(ahead=OPEN)))
    assert (found.reason, found.duplicate_of, found.recheck) == ("DuplicateInProgress", "first", True)
    assert "first works on" in found.message


@pytest.mark.parametrize(
    ("phase", "outcome"),
    [(Phase.COMPLETED, Outcome.REMEDIATED), (Phase.FAILED, None), (Phase.CANCELLED, None), (Phase.COMPLETED, Outcome.INCONCLUSIVE)],
)
def test_a_duplicate_ends_as_the_one_ahead(phase, outcome):
    found = ending(duplicate(here(ahead=Past("first", phase, outcome=outcome))))
    assert (found.phase, found.outcome, found.notice, found.duplicate_of) == (Phase.SKIPPED, outcome, Notice.BULK, "first")


def harmless(severity="critical", seen=Severity.CRITICAL, minutes=60, **more):
    case = Case(spec={"severity": severity}).processed()
    evidence = evidence_hash(case.family.processing.status.enriched_signal)
    known = {"outcome": Outcome.NO_ACTION_REQUIRED, "evidence": evidence, **more}
    return here(Stage.ANALYSIS, case=case, history=(replace(past(phase=Phase.COMPLETED, minutes=minutes, **known), severity=seen),))


CONTEXT = {"pods": [{"name": "a-1", "containers": [{"name": "app", "ready": False, "restarts": 3}]}]}


@pytest.fixture
def _seen(monkeypatch):
    monkeypatch.setitem(__import__("tests.orchestration.cases", fromlist=["SIGNAL"]).SIGNAL, "kubernetesContext", CONTEXT)


@pytest.mark.usefixtures("_seen")
@pytest.mark.parametrize(
    ("there", "spared"),
    [
        pytest.param({}, True, id="the same alert, the same evidence"),
        pytest.param({"severity": "critical", "seen": Severity.WARNING}, False, id="a higher severity is never held back"),
        pytest.param({"severity": "warning", "seen": Severity.CRITICAL}, True, id="a lower one is"),
        pytest.param({"evidence": "other"}, False, id="other evidence"),
        pytest.param({"outcome": Outcome.REMEDIATED}, False, id="something was done"),
        pytest.param({"minutes": 24 * 60}, False, id="a day ago"),
    ],
)
def test_what_needed_no_action_is_not_analysed_again(there, spared):
    found = known_harmless(harmless(**there))
    assert (found is not None) == spared
    assert found is None or (found.phase, found.outcome) == (Phase.COMPLETED, Outcome.NO_ACTION_REQUIRED)


@pytest.mark.usefixtures("_seen")
def test_evidence_is_the_same_whatever_the_time_and_the_counts():
    case = Case().processed()
    before = evidence_hash(case.family.processing.status.enriched_signal)
    signal = case.family.processing.status.enriched_signal
    noisy = {"pods": [{"name": "b-9", "containers": [{"name": "app", "ready": False, "restarts": 9, "state": {}}]}]}
    other = {"pods": [{"name": "a-1", "containers": [{"name": "app", "ready": True, "restarts": 3}]}]}
    assert evidence_hash(signal.model_copy(update={"kubernetes_context": noisy})) == before
    assert evidence_hash(signal.model_copy(update={"kubernetes_context": other})) != before
    assert evidence_hash(signal.model_copy(update={"kubernetes_context": {}})) == ""


def test_a_target_that_is_worked_on_is_busy():
    assert busy(here(Stage.WORKFLOW, fixes=(Fix("other-wfe", "restart", at_work=False),))) is None
    found = block(busy(here(Stage.WORKFLOW, fixes=(Fix("other-wfe", "restart", at_work=True),))))
    assert (found.reason, found.message) == ("ResourceBusy", f"other-wfe is at work on {TARGET}")


@pytest.mark.parametrize(
    ("fix", "minutes", "rest"),
    [
        pytest.param("restart", 2, 3, id="the same fix: what is left of five minutes"),
        pytest.param("scale", 2, None, id="another fix"),
        pytest.param("restart", 5, None, id="five minutes ago"),
    ],
)
def test_the_same_fix_is_not_repeated_at_once(fix, minutes, rest):
    done = Fix("other-wfe", "restart", at_work=False, succeeded_at=T0 - timedelta(minutes=minutes))
    found = rested(here(Stage.WORKFLOW, fix=fix, fixes=(done,)))
    assert (found and (found.until - T0) / timedelta(minutes=1)) == rest


def useless(count, minutes=10, outcome=Outcome.INCONCLUSIVE):
    return (past(phase=Phase.COMPLETED, minutes=minutes, outcome=outcome),) * count


@pytest.mark.parametrize(
    ("chain", "ends"),
    [
        pytest.param(useless(2), False, id="two that did not help"),
        pytest.param(useless(3), True, id="three that did not help"),
        pytest.param(useless(3, minutes=241), False, id="long ago"),
        pytest.param(useless(4, outcome=Outcome.REMEDIATED), False, id="four that helped"),
        pytest.param(useless(5, outcome=Outcome.REMEDIATED), True, id="five that helped, but not for long"),
    ],
)
def test_a_target_whose_fixes_do_not_last_is_given_to_a_person(chain, ends):
    found = chained(here(Stage.WORKFLOW, chain=chain))
    assert (found is not None) == ends
    assert found is None or (found.outcome, found.notice) == (Outcome.MANUAL_REVIEW_REQUIRED, Notice.REVIEW)


@pytest.mark.parametrize(
    ("attempt", "plan", "ends"),
    [
        pytest.param(1, "same", True, id="chosen again"),
        pytest.param(1, "other", False, id="another"),
        pytest.param(0, "same", False, id="its own attempt"),
        pytest.param(1, "", False, id="no plan"),
    ],
)
def test_what_has_failed_in_a_case_is_not_carried_out_again_in_it(attempt, plan, ends):
    refs = [{"name": "wfe", "attemptNumber": 0, "outcome": "failed", "planHash": "same"}]
    case = Case(status={"workflowExecutionRefs": refs})
    case.family = replace(case.family, attempt=attempt)
    assert (tried_before(here(Stage.WORKFLOW, case=case, plan_hash=plan)) is not None) == ends


def always(reason="Why", **more):
    return lambda here: Block(reason, "so it is", here.now + timedelta(minutes=1), **more)


def test_the_first_objection_counts():
    checks = {Stage.PROCESSING: (lambda _: None, always("First"), always("Second"))}
    held = admitted(Open(Stage.PROCESSING), here(), checks)
    assert isinstance(held, Hold)
    assert held.block.reason == "First"
    assert admitted(Open(Stage.VERIFICATION), here(Stage.VERIFICATION), checks) == Open(Stage.VERIFICATION)


@given(st.integers(0, 300), st.integers(-10, 1000))
def test_nothing_is_held_without_a_look_to_come_or_for_ever(held, until):
    case = Case(status={"blockedSince": T0}).later(minutes=held)
    check = {Stage.PROCESSING: (lambda h: Block("Why", "so", h.now + timedelta(minutes=until)),)}
    found = admitted(Open(Stage.PROCESSING), here(case=case), check)
    if held >= 120:
        assert isinstance(found, End)
        assert (found.phase, found.failure_phase, found.notice) == (Phase.FAILED, "Blocked", Notice.ESCALATION)
    else:
        assert isinstance(found, Hold)
        assert case.now < found.until <= max(found.deadline, case.now + timedelta(seconds=1))


pasts = st.builds(
    Past,
    st.just("x"),
    st.sampled_from([Phase.COMPLETED, Phase.FAILED, Phase.TIMED_OUT, Phase.CANCELLED, Phase.SKIPPED]),
    failure_phase=st.sampled_from(["", "Blocked", "Executing"]),
    ended_at=st.just(T0),
)


@given(st.lists(pasts, max_size=8))
def test_a_row_of_failures_holds_nothing_but_failures(history):
    row = failures_in_a_row(history)
    assert all(each.phase in {Phase.FAILED, Phase.TIMED_OUT} and each.failure_phase != "Blocked" for each in row)
    assert len(row) <= len(history)
