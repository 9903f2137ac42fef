"""The pages: they say what would happen, show nothing as markup and no secret, and hold nothing that runs."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from kubernaut.api.approval import Decision
from kubernaut.api.base import Obj
from kubernaut.notification.answering import page
from kubernaut.notification.answering.judging import Reason, Refused
from kubernaut.notification.answering.settings import Person
from tests.questions import question

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
ADA = Person(user="ada@example.com")
DIFF = "--- before\n+++ after\n-  memory: 128Mi\n+  memory: 256Mi\n"
ASKED: Obj = {
    "requiredBy": (NOW + timedelta(minutes=14, seconds=30)).isoformat(),
    "whatWillChange": "container app gets memory 256Mi (now 128Mi)",
    "plannedChanges": [{"stepNumber": 1, "action": "increase_resources", "says": "more memory", "diff": DIFF}],
    "objectsTouched": [{"kind": "Deployment", "name": "shop", "namespace": "production"}],
    "podsTouched": [f"production/shop-{number}" for number in range(7)],
    "podsTouchedCount": 9,
    "undo": "exact",
    "policyEvaluation": {"minApprovers": 2, "approverGroups": ["payments-oncall"]},
}


class Reading(HTMLParser):
    """Collects the text of a page, and its tags."""

    def __init__(self, text):
        super().__init__()
        self.words, self.tags = "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += f" {data}"


def test_the_page_says_what_would_happen_to_what_until_when_and_as_whom():
    asked = question({"approvals": [{"approver": "kim", "decision": "Approved"}]}, **ASKED)
    read = Reading(page.confirm(asked, ADA, "FORM", NOW))
    words = " ".join(read.words.split())
    for said in (
        "Action IncreaseMemoryLimits Target production/ deployment/ shop",
        "Risk medium",
        "Confidence 95%",
        "Approvals 1 of 2: kim",
        "members of payments-oncall",
        "2026-01-01 03:14 UTC, in 14m",
        "out of memory",
        "Asked because changes in production are approved by a person",
        "container app gets memory 256Mi (now 128Mi)",
        "- memory: 128Mi + memory: 256Mi",
        "shop-4 and 4 more",
        "exact: what stood there before is put back",
        "You answer as ada@example.com . A decision is final.",
    ):
        assert said in words
    assert ("input", {"type": "hidden", "name": "form", "value": "FORM"}) in read.tags
    assert [attrs["value"] for tag, attrs in read.tags if tag == "button"] == ["Approved", "Rejected"]


def test_nothing_on_a_page_is_loaded_or_run():
    read = Reading(page.confirm(question(**ASKED), ADA, "FORM", NOW))
    assert {tag for tag, _ in read.tags}.isdisjoint({"script", "link", "img", "iframe", "a", "object"})
    assert not [attrs for _, attrs in read.tags if any(name.startswith("on") or name in {"src", "style"} for name in attrs)]
    assert "default-src 'none'" in page.HEADERS["Content-Security-Policy"]
    assert page.HEADERS["Cache-Control"] == "no-store"


PLANTED = "<script>alert(1)</script>"
SECRET = "password=planted-7f3a9c"


def test_markup_in_what_is_asked_is_shown_and_secrets_are_not():
    evil = f'{PLANTED} {SECRET} "onload=x'
    fields = ("investigationSummary", "whyApprovalRequired", "whatWillChange")
    asked = question(
        **ASKED
        | dict.fromkeys(fields, evil)
        | {"plannedChanges": [{"stepNumber": 1, "action": "x", "says": "x", "diff": f"+{evil}", "refused": evil}]}
        | {
            "recommendation": {"action": evil, "targetResource": evil},
            "podsTouched": [evil],
            "policyEvaluation": {"approverGroups": [evil]},
        }
    )
    pages = [
        page.confirm(asked, Person(user='"><b>'), '"><i>', NOW),
        page.done(asked, Decision.REJECTED, Person(user=PLANTED.replace(" ", ""))),
        page.refusal(Refused(Reason.VOID, evil, f"see `{evil}`")),
    ]
    for text in pages:
        assert {tag for tag, _ in Reading(text).tags}.isdisjoint({"script", "b", "i"})
        assert "planted-7f3a9c" not in text


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(hours=2, minutes=5), "in 2h5m"),
        (timedelta(seconds=40), "in less than a minute"),
        (-timedelta(hours=1), "less than a minute"),
    ],
)
def test_how_long_there_is_left_is_said_in_minutes(left, said):
    assert said in page.confirm(question(requiredBy=(NOW + left).isoformat()), ADA, "", NOW)


def test_a_long_difference_is_cut_and_says_where_the_rest_is():
    steps = [{"stepNumber": number, "action": "x", "says": "x", "diff": "+x\n" * 3000} for number in (1, 2)]
    text = page.confirm(question(plannedChanges=steps), ADA, "", NOW)
    assert len(text) < 100_000
    assert "kubectl describe aar approval-x" in text


@pytest.mark.parametrize(
    ("status", "decision", "said"),
    [
        ({"decision": "Approved", "decidedBy": "ada@example.com"}, Decision.APPROVED, "carried out now"),
        ({"decision": "Rejected", "decidedBy": "ada@example.com"}, Decision.REJECTED, "not carried out"),
        ({"approvals": [{"approver": "ada@example.com", "decision": "Approved"}]}, Decision.APPROVED, "1 more person must approve"),
    ],
    ids=["yes", "no", "not enough"],
)
def test_the_last_page_says_what_became_of_the_answer(status, decision, said):
    text = page.done(question(status, policyEvaluation={"minApprovers": 2}), decision, ADA)
    assert said in text
    assert "ada@example.com" in text
