"""The text of an escalation: what a person reads at three in the morning."""

from datetime import timedelta

import pytest

from kubernaut.api.notification import ChannelName, DeliveryEvent, EscalationRequest
from kubernaut.notification.channels.base import Link
from kubernaut.notification.channels.markup import sections
from kubernaut.notification.decide import Target
from kubernaut.notification.render import Context, escalation, message
from tests.notification.pieces import CASE, ESCALATION, START, request

PLACE = Target(ChannelName.WEBHOOK)


def made(**changes):
    return escalation(EscalationRequest.model_validate({**ESCALATION, **changes}))


def handed(now=START, console_url="", **changes):
    return message(request(**CASE, **changes), PLACE, Context(now, console_url=console_url))


def test_the_text_says_what_happened_where_and_what_was_found():
    found = {"rootCause": "out of memory", "confidence": 0.9, "topRecommendation": "raise the limit"}
    action = {"action": "look at the pod", "category": "investigate", "riskLevel": "low"}
    text = made(aiAnalysis=found, recommendedActions=[action], grafanaURL="https://grafana.example/d/1").spec.body
    assert "its remediation ran out of time in phase analyzing after 10m0s" in text
    assert "out of memory (confidence 90%). Recommended: raise the limit." in text
    assert "look at the pod (investigate, risk low)" in text
    assert "Grafana: https://grafana.example/d/1" in text


def test_secrets_in_the_details_are_not_stored():
    request = made(escalationDetails={"error": "dial postgres://shop:hunter2@db failed", "apiKey": "hunter2"})
    assert "hunter2" not in str(request.wire())


def test_details_of_any_length_leave_a_message_that_can_be_stored():
    request = made(escalationDetails={f"log-{number}": "x" * 1000 for number in range(100)})
    assert len(request.spec.body) <= 40_000
    assert request.spec.body.startswith("## What happened\nAlert **PodOOMKilled**")
    assert "## What you can do" in request.spec.body, "a long log does not cut off what helps"


def test_an_escalation_says_what_happened_why_what_comes_next_and_what_can_be_done():
    body = made().spec.body
    assert [section.title for section in sections(body)] == ["What happened", "Why", "What happens next", "What you can do"]


@pytest.mark.parametrize("kind", ["Escalation", "ManualReview", "Completion", "Approval"])
def test_every_message_about_a_case_says_what_comes_next(kind):
    told = handed(type=kind, body="It is so.")
    titles = [section.title for section in sections(told.body)]
    assert "What happens next" in titles
    assert kind == "Approval" or "remediation-abcde12345" in told.body or kind == "ManualReview"


def test_a_simple_message_is_left_as_it_is():
    assert handed().body == "Look at it."


@pytest.mark.parametrize(("minutes", "late"), [(0, False), (9, False), (10, True), (60 * 20, True)])
def test_a_message_that_comes_late_says_so_first(minutes, late):
    told = handed(now=START + timedelta(minutes=minutes))
    assert ("late**: it was written at 2026-01-01 03:00 UTC" in told.body.splitlines()[0]) is late


def test_where_the_whole_text_is_is_a_place_in_the_web_or_else_a_command():
    assert handed().whole == "kubectl get notificationrequest note -n kubernaut-system -o jsonpath='{.spec.body}'"
    assert handed(console_url="https://k.example/{namespace}/{name}").whole == "https://k.example/kubernaut-system/remediation-abcde12345"


def test_the_links_of_an_escalation_go_along():
    request_ = made(grafanaURL="https://grafana.example/d/1", alertmanagerURL="javascript:alert(1)")
    told = message(request_, PLACE, Context(START))
    assert [(link.text, link.url) for link in told.links] == [("Grafana", "https://grafana.example/d/1")]


def test_answers_are_offered_with_the_question_and_not_with_what_follows():
    answers = (Link("Approve", "https://kubernaut.example/a"),)
    assert message(request(), PLACE, Context(START, answers=answers)).answers == answers
    assert message(request(), PLACE, Context(START, DeliveryEvent.CLOSED, "over", answers=answers)).answers == ()


def test_no_secret_leaves_in_what_became_of_a_message():
    told = message(request(), PLACE, Context(START, DeliveryEvent.CLOSED, "rejected: token=hunter2", "receipt"))
    assert "hunter2" not in repr(told)
    assert told.receipt == "receipt"


def test_a_subject_of_blanks_is_a_subject():
    assert handed(subject="  ").subject == "(no subject)"
