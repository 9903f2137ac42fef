"""Audit events made from an object's journal: the same fact is always the same event."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.audit import CATEGORIES, AuditEvent, audit_event
from kubernaut.api.base import AuditOutcome, JournalEntry, ObjectMeta
from kubernaut.api.kinds import ALL
from kubernaut.api.notification import NotificationRequest, NotificationRequestSpec, NotificationType

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)


def notification(uid="u-1", name="n-1"):
    spec = NotificationRequestSpec(type=NotificationType.SIMPLE, subject="s", body="b", channels=[])
    return NotificationRequest(metadata=ObjectMeta(name=name, namespace="kubernaut-system", uid=uid), spec=spec)


def entry(ordinal=3, **changes):
    return JournalEntry(**{"ordinal": ordinal, "at": NOW, "reason": "MessageSent", "message": "told", **changes})


def test_an_event_says_who_what_where_and_when():
    event = audit_event(notification(), entry(outcome=AuditOutcome.FAILURE, data={"channels": ["console"]}), actor="kubernaut-notification")
    assert (event.event_type, event.event_category, event.event_action) == (
        "notification.notificationrequest.messagesent",
        "notification",
        "MessageSent",
    )
    assert (event.resource_type, event.resource_name, event.resource_id, event.namespace) == (
        "NotificationRequest",
        "n-1",
        "u-1",
        "kubernaut-system",
    )
    assert (event.event_timestamp, event.event_outcome, event.sequence, event.message) == (NOW, "failure", 3, "told")
    assert (event.actor_type, event.actor_id) == ("service", "kubernaut-notification")
    assert (event.correlation_id, event.event_data) == ("n-1", {"channels": ["console"]})


def test_what_a_person_did_is_recorded_under_their_name():
    event = audit_event(notification(), entry(data={"actor": "kim@example.com"}), actor="kubernaut-analysis")
    assert (event.actor_type, event.actor_id) == ("user", "kim@example.com")


@given(uid=st.uuids().map(str), ordinal=st.integers(0, 10_000), message=st.text(max_size=20), reason=st.sampled_from(["A", "B"]))
def test_an_event_keeps_its_id_whatever_else_is_said(uid, ordinal, message, reason):
    first = audit_event(notification(uid), entry(ordinal), actor="one")
    again = audit_event(notification(uid, name="other"), entry(ordinal, message=message, reason=reason), actor="two")
    assert first.event_id == again.event_id


@given(st.lists(st.tuples(st.uuids().map(str), st.integers(0, 10_000)), unique=True, max_size=20))
def test_different_facts_have_different_ids(facts):
    ids = {audit_event(notification(uid), entry(ordinal), actor="one").event_id for uid, ordinal in facts}
    assert len(ids) == len(facts)


def test_an_id_is_the_one_that_data_storage_has_already():
    """A changed rule would make every unacknowledged fact of a running cluster be stored twice."""
    assert str(audit_event(notification("u-1"), entry(3), actor="one").event_id) == "95be4d3e-ca9d-5adf-ac23-36038f8f318f"


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.card.kind)
def test_every_kind_has_a_category_of_its_own(model):
    assert [CATEGORIES[each.card.kind] for each in ALL].count(CATEGORIES[model.card.kind]) == 1


def test_the_wire_has_the_names_of_the_table():
    wire = audit_event(notification(), entry(), actor="one").wire()
    assert {"event_id", "event_type", "correlation_id", "resource_name"} <= set(wire)
    assert AuditEvent.model_validate(wire).wire() == wire
