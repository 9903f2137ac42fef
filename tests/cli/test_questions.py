"""What a person sees before they decide, and who may still answer."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from kubernaut.cli import tables
from kubernaut.cli.approving import CannotDecide, must_be_open
from kubernaut.cli.questions import APPROVALS, approvals_rows, left, outcome, show, who_decides
from tests.questions import question as asked_so

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
CHANGE = {"stepNumber": 1, "action": "increase_resources", "says": "more memory", "diff": "--- before\n-  128Mi\n+  256Mi\n"}


TOLD = {
    "recommendation": {"action": "IncreaseMemoryLimits", "targetResource": "shop/deployment/checkout"},
    "investigationSummary": "killed at its limit",
    "evidenceCollected": ["pod/shop/a reason = OOMKilled"],
    "alternativesConsidered": [{"approach": "rollback", "prosCons": "nothing was rolled out"}],
    "whyApprovalRequired": "production",
    "whatWillChange": "container app gets memory 256Mi",
    "policyEvaluation": {"policyName": "default", "matchedRules": ["production"], "minApprovers": 2, "approverGroups": ["oncall"]},
    "requiredBy": (NOW + timedelta(minutes=12, seconds=40)).isoformat(),
}


def question(status=None, **spec):
    return asked_so(status, **TOLD | spec)


def printed(request, *, colour=False):
    out = StringIO()
    show(Console(file=out, width=200, highlight=False, force_terminal=colour, color_system="standard" if colour else None), request, NOW)
    return out.getvalue()


@pytest.mark.parametrize(
    "part",
    [
        pytest.param("IncreaseMemoryLimits on shop/deployment/checkout", id="what, on what"),
        pytest.param("killed at its limit (confidence 95%, high)", id="cause"),
        pytest.param("pod/shop/a reason = OOMKilled", id="evidence"),
        pytest.param("rollback: nothing was rolled out", id="alternatives and why they lost"),
        pytest.param("production (policy default, production)", id="the rule that asked"),
        pytest.param("container app gets memory 256Mi", id="what will change"),
        pytest.param("+  256Mi", id="the difference"),
        pytest.param("shop/deployment/checkout; pods replaced: a-1, a-2", id="what it touches"),
        pytest.param("exact: what stood there before is put back", id="undo"),
        pytest.param("2 different people, of oncall; kim said approved", id="who else must approve"),
        pytest.param("12m40s (until 12:12:40 UTC); nobody answering is a no", id="time left"),
    ],
)
def test_a_question_shows(part):
    target = {"kind": "Deployment", "name": "checkout", "namespace": "shop"}
    asked = question(
        {"approvals": [{"approver": "kim", "decision": "Approved"}]},
        plannedChanges=[CHANGE],
        objectsTouched=[target],
        podsTouched=["shop/a-1", "shop/a-2"],
        podsTouchedCount=2,
        undo="exact",
    )
    assert part in printed(asked)


def test_the_difference_is_coloured():
    text = printed(question(plannedChanges=[CHANGE]), colour=True)
    assert "\x1b[32m    +  256Mi" in text
    assert "\x1b[31m    -  128Mi" in text


def test_the_list_says_how_many_said_yes_and_how_long_is_left():
    out = StringIO()
    rows = approvals_rows([question({"approvals": [{"approver": "kim", "decision": "Approved"}]})], NOW)
    tables.show(Console(file=out, width=200), APPROVALS, rows)
    assert out.getvalue().splitlines()[1].split() == [
        "approval-x", "IncreaseMemoryLimits", "shop/deployment/checkout", "1/2", "12m40s", "production",
    ]  # fmt: skip


def test_no_time_is_left_after_the_end():
    assert left(question(), NOW + timedelta(hours=1)) == "none"


def test_anybody_may_decide_where_no_group_is_named():
    assert who_decides(question(policyEvaluation={})) == "one person; nobody has answered yet"


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({"approvals": [{"approver": "kim", "decision": "Approved"}]}, "1 of 2 approvals (kim); 1 more must approve"),
        ({"decision": "Rejected", "decidedBy": "lee"}, "rejected by lee"),
    ],
    ids=["one of two", "decided"],
)
def test_what_came_of_an_answer(status, says):
    assert says in outcome(question(status))


@pytest.mark.parametrize(
    ("status", "later", "says"),
    [
        ({"decision": "Approved", "decidedBy": "kim"}, 0, "a decision is final"),
        ({"voidedAt": NOW.isoformat(), "voidReason": "The target changed."}, 0, "void: The target changed. Look what is asked now"),
        ({}, 13, "the time to answer approval-x was up at 2026-01-01 12:12:40 UTC"),
    ],
    ids=["decided", "void", "too late"],
)
def test_what_nobody_can_answer_any_more_says_why(status, later, says):
    with pytest.raises(CannotDecide, match=says):
        must_be_open(question(status), NOW + timedelta(minutes=later))
