"""The text of an escalation: what a person reads at three in the morning."""

from kubernaut.api.notification import EscalationRequest
from kubernaut.notification.render import escalation
from tests.notification.pieces import ESCALATION


def made(**changes):
    return escalation(EscalationRequest.model_validate({**ESCALATION, **changes}))


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
    assert request.spec.body.startswith("Alert **PodOOMKilled**")
