"""Every exit goes through the one redactor, and where that fails nothing leaves in clear; what was hidden is counted."""

import json
import logging
from datetime import UTC, datetime
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from kubernaut.analysis.investigators.base import plain
from kubernaut.analysis.investigators.holmesgpt.plants import Sieve
from kubernaut.analysis.investigators.holmesgpt.screening import screen, screen_value
from kubernaut.api.audit import AuditEvent
from kubernaut.api.base import AuditOutcome, Condition
from kubernaut.api.notification import ChannelName, EscalationRequest, SimpleRequest
from kubernaut.api.redact import HIDDEN, redact, redact_value
from kubernaut.datastorage.intake import about, bounded
from kubernaut.execution.difference import difference
from kubernaut.gateway import payload
from kubernaut.kube.journal import record
from kubernaut.kube.reversal import as_left, sealed
from kubernaut.kube.status import cut, set_condition
from kubernaut.notification import render
from kubernaut.notification.channels.http import said
from kubernaut.notification.decide import Target
from kubernaut.processing.describe import told
from kubernaut.telemetry import Guarded, _guarded
from tests.notification.pieces import ESCALATION, START, request
from tests.workflow.executions import execution_of

pytestmark = pytest.mark.unit
SECRET = "q7RtZx9LmW2bVn4KcD"
TEXT = f"cannot log in with password={SECRET} today"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
COUNTER = "notification_sanitization_redactions_total"


def message():
    note = request(subject=TEXT, body=TEXT, metadata={"note": TEXT}, details={"note": TEXT, "grafanaURL": f"https://a:{SECRET}@b"})
    return render.message(note, Target(ChannelName.CONSOLE, "console"), render.Context(now=START, note=TEXT))


def escalation():
    return render.escalation(EscalationRequest.model_validate({**ESCALATION, "escalationDetails": {"why": TEXT}, "alertName": TEXT}))


def log_line():
    return json.dumps(_guarded(None, "info", {"event": TEXT, "fault": ValueError(TEXT), "token": SECRET}))


def foreign_log_line():
    return Guarded("%(message)s").format(logging.LogRecord("lib", logging.ERROR, __file__, 1, TEXT, (), None))


def condition():
    conditions: list[Condition] = []
    set_condition(conditions, "Ready", True, "Done", TEXT, now=NOW)
    return conditions


def journal():
    execution = execution_of()
    record(execution, "Done", TEXT, now=NOW, data={"note": TEXT, "password": SECRET})
    return execution.status.wire()


def audit():
    event = AuditEvent(
        event_id=UUID(int=1),
        event_timestamp=NOW,
        event_type="a.b.c",
        event_category="a",
        event_action="b",
        event_outcome=AuditOutcome.SUCCESS,
        correlation_id="x",
        message=TEXT,
        event_data={"note": TEXT, "password": SECRET},
    )
    return bounded(event).model_dump_json()


def diff():
    return difference({"metadata": {}, "data": {}}, {"metadata": {}, "data": {"a": TEXT, "password": SECRET}})


EXITS = {
    "a message": message,
    "an escalation": escalation,
    "a message over HTTP": lambda: render.simple(
        SimpleRequest.model_validate({"channels": ["console"], "subject": TEXT, "message": TEXT, "metadata": {"a": TEXT}}), "x"
    ),
    "what a receiver answered": lambda: said(TEXT),
    "a log line": log_line,
    "a library's log line": foreign_log_line,
    "a condition": condition,
    "an Event": lambda: cut(TEXT),
    "a journal": journal,
    "an audit record": audit,
    "a refused audit record": lambda: about({"message": TEXT}, TEXT, NOW).model_dump_json(),
    "an alert's payload": lambda: payload.stored({"annotations": {"a": TEXT, "password": SECRET}}),
    "an alert's labels": lambda: payload.bounded({"a": TEXT, "password": SECRET}, 1000),
    "a description": lambda: told(TEXT),
    "evidence": lambda: plain(TEXT),
    "a prompt": lambda: screen(TEXT, Sieve()).text,
    "a prompt's context": lambda: screen_value(redact_value({"a": TEXT, "password": SECRET}), Sieve(), []),
    "a difference": diff,
    "what was before a run": lambda: sealed({"data": {"a": TEXT, "password": SECRET}}, "uid"),
    "what an action left": lambda: as_left({"data": {"a": TEXT}}, {"data": {"a": ""}}, {}),
}
every_exit = pytest.mark.parametrize("leaves", EXITS.values(), ids=EXITS)


@every_exit
def test_no_secret_leaves_and_what_was_hidden_is_counted(leaves):
    before = REGISTRY.get_sample_value(COUNTER) or 0
    text = str(leaves())
    assert SECRET not in text
    assert HIDDEN in text
    assert (REGISTRY.get_sample_value(COUNTER) or 0) > before


@every_exit
@pytest.mark.parametrize("fault", [ValueError, RuntimeError, KeyError, MemoryError, RecursionError])
def test_where_redaction_fails_nothing_leaves_in_clear(leaves, fault, monkeypatch):
    def broken(_):
        raise fault("broken")

    monkeypatch.setattr("kubernaut.api.redact.without_secrets", broken)
    text = str(leaves())
    assert SECRET not in text
    assert "could not be searched for secrets" in text


@every_exit
def test_a_fault_that_nobody_thought_of_keeps_it_from_leaving(leaves, monkeypatch):
    class UnknownError(Exception):
        pass

    def broken(_):
        raise UnknownError

    monkeypatch.setattr("kubernaut.api.redact.without_secrets", broken)
    with pytest.raises(UnknownError):
        leaves()


def test_a_text_without_a_secret_is_not_counted():
    before = REGISTRY.get_sample_value(COUNTER)
    redact("all is well")
    redact(f"password={HIDDEN}")
    assert REGISTRY.get_sample_value(COUNTER) == before
