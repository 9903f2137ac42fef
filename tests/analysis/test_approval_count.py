"""What people said, counted."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.analysis.approval_count import LATE, count, in_favour, verdict
from kubernaut.api.approval import Approval, Decision
from tests.analysis.world import T0
from tests.questions import question

YES, NO = Decision.APPROVED, Decision.REJECTED


def request(*said, needed=1, decision=None, by="", at=None):
    made = question(policyEvaluation={"minApprovers": needed}, requiredBy=T0.isoformat())
    made.status.approvals = [Approval(approver=name, decision=answer) for name, answer in said]
    made.status.decision, made.status.decided_by, made.status.decided_at = decision, by, at
    return made


@pytest.mark.parametrize(
    ("said", "needed", "decision", "by", "missing"),
    [
        pytest.param([], 1, None, "", 1, id="nobody yet"),
        pytest.param([("kim", YES)], 1, YES, "kim", 0, id="one is enough"),
        pytest.param([("kim", YES)], 2, None, "", 1, id="one of two"),
        pytest.param([("kim", YES), ("kim", YES)], 2, None, "", 1, id="one person twice is one person"),
        pytest.param([("kim", YES), ("lee", YES)], 2, YES, "kim, lee", 0, id="two different people"),
        pytest.param([("kim", YES), ("lee", NO)], 2, NO, "lee", 0, id="one no is a no"),
        pytest.param([("kim", YES), ("lee", YES), ("ada", NO)], 2, NO, "ada", 0, id="a no counts before the decision is written"),
    ],
)
def test_count(said, needed, decision, by, missing):
    found = count(request(*said, needed=needed))
    assert (found.decision, found.by, found.missing) == (decision, by, missing)


@pytest.mark.parametrize(
    ("asked", "decision", "says"),
    [
        pytest.param(request(), None, "", id="open"),
        pytest.param(request(decision=YES, by="kim", at=T0), YES, "", id="a yes in time"),
        pytest.param(request(decision=YES, by="kim", at=T0 + LATE), YES, "", id="a yes by a clock that is a little ahead"),
        pytest.param(request(decision=YES, by="kim", at=T0 + timedelta(minutes=1)), Decision.EXPIRED, "after the time", id="too late"),
        pytest.param(request(decision=YES, by="kim", needed=2), NO, "approved by 0 of the 2", id="one who passed for two"),
        pytest.param(request(("kim", YES), decision=YES, by="kim", needed=2), NO, "1 of the 2", id="one who was counted as two"),
        pytest.param(request(("kim", YES), ("lee", YES), decision=YES, by="lee", needed=2), YES, "", id="two"),
        pytest.param(request(decision=NO, by="kim", needed=2), NO, "", id="one no, written directly"),
        pytest.param(request(decision=Decision.EXPIRED, by="system"), Decision.EXPIRED, "", id="nobody answered"),
    ],
)
def test_the_answer_that_counts(asked, decision, says):
    found = verdict(asked)
    assert found.decision is decision
    assert says in found.message


people = st.lists(st.tuples(st.sampled_from(["kim", "lee", "ada", "bob"]), st.sampled_from([YES, NO])), max_size=8)


@given(people, st.integers(1, 4))
def test_nothing_is_approved_against_a_no_or_by_too_few(said, needed):
    asked = request(*said, needed=needed)
    approved = count(asked).decision is YES
    assert approved == (len({name for name, _ in said}) >= needed and all(answer is YES for _, answer in said))
    assert len(in_favour(asked)) <= len({name for name, _ in said})
