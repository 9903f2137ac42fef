"""Who may still answer what: tables over pure judgement, and settings that would make it ambiguous."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from kubernaut.notification.answering.judging import Reason, Refused, must_answer, must_be_first, person_for
from kubernaut.notification.answering.settings import AnswerSettings, Person
from kubernaut.notification.answering.ticket import Purpose, ticket_for
from tests.questions import CASE, question

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
ADA = Person(user="ada", email="Ada@Example.com", slack="U0ADA")
TED = Person(user="ted", console=True)
PEOPLE = (ADA, TED)
TICKET = ticket_for(question(), "note", Purpose.LINK, "email ada@example.com")
CASES = {
    "gone": (None, Reason.UNKNOWN, "not asked any more"),
    "asked anew": (question(boundTo="another"), Reason.UNKNOWN, "not asked any more"),
    "decided": (question({"decision": "Rejected", "decidedBy": "kim"}), Reason.REUSED, "This was rejected by kim: a decision is final."),
    "nobody answered": (question({"decision": "Expired", "decidedBy": "system"}), Reason.EXPIRED, "expired by system"),
    "void": (question({"voidedAt": "2026-01-01T02:00:00Z", "voidReason": "the target was deleted"}), Reason.VOID, "the target was deleted"),
}


@pytest.mark.parametrize(("found", "reason", "said"), CASES.values(), ids=CASES)
def test_a_question_that_cannot_be_answered_any_more_is_refused(found, reason, said):
    with pytest.raises(Refused, match=said) as refused:
        must_answer(TICKET, found, NOW)
    assert refused.value.reason is reason
    assert "`kubernaut " in refused.value.then


def test_the_time_to_answer_ends_with_the_question():
    asked = question(requiredBy="2026-01-01T03:00:00Z")
    ticket = ticket_for(asked, "note", Purpose.LINK, "")
    assert must_answer(ticket, asked, NOW.replace(hour=2)) is asked
    with pytest.raises(Refused, match="up at 2026-01-01 03:00:00 UTC") as refused:
        must_answer(ticket, asked, NOW)
    assert refused.value.reason is Reason.EXPIRED


def test_nobody_says_two_things():
    said = question({"approvals": [{"approver": "ada", "decision": "Approved"}]}, policyEvaluation={"minApprovers": 2})
    must_be_first(said, TED)
    with pytest.raises(Refused, match=r"You \(ada\) have said approved already; this needs 2 different people") as refused:
        must_be_first(said, ADA)
    assert refused.value.then == f"See the case: `kubernaut show {CASE}`"


@pytest.mark.parametrize(
    ("channel", "address", "found"),
    [
        ("email", "ADA@example.com", ADA),
        ("slack", "U0ADA", ADA),
        ("console", "ted", TED),
        ("console", "ada", None),
        ("slack", "ada@example.com", None),
        ("slack", "", None),
        ("email", "", None),
        ("", "", None),
    ],
)
def test_who_somebody_is_depends_on_the_channel(channel, address, found):
    if found:
        assert person_for(PEOPLE, channel, address) is found
        return
    with pytest.raises(Refused, match="does not know who"):
        person_for(PEOPLE, channel, address)


WRONG = {
    "mail twice": (
        {"people": [{"user": "a", "email": "x@example.com"}, {"user": "b", "email": "X@example.com"}]},
        "x@example.com is given twice",
    ),
    "slack twice": ({"people": [{"user": "a", "slack": "U1"}, {"user": "b", "slack": "U1"}]}, "U1 is given twice"),
    "two at the console": ({"people": [{"user": "a", "console": True}, {"user": "b", "console": True}]}, "one person"),
    "no person": ({"people": [{"user": "system:admin"}]}, "given by people"),
    "no person at all": ({"people": [{"user": ""}]}, "at least 1"),
    "two addresses": ({"people": [{"user": "a", "email": "x@example.com,y@example.com"}]}, "pattern"),
    "links that lead nowhere": ({"host": "0.0.0.0", "people": [{"user": "a", "email": "x@example.com"}]}, "give url"),
    "in the clear": ({"url": "http://kubernaut.example.com"}, "https"),
    "no place": ({"url": "https://"}, "https"),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG)
def test_settings_under_which_another_might_answer_are_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        AnswerSettings.model_validate({"key_file": "key"} | changes)


@pytest.mark.parametrize("url", ["", "https://kubernaut.example.com/", "http://127.0.0.1:8087", "http://localhost:8087", "http://[::1]:1"])
def test_where_nobody_listens_in_is_a_good_place(url):
    assert AnswerSettings.model_validate({"key_file": "key", "url": url}).url == url.rstrip("/")
