"""Writes into the status of an analysis how HolmesGPT could be reached: the documented counters, and the condition HolmesGPTAvailable."""

from datetime import datetime
from typing import Final

from kubernaut.analysis.investigators.base import Contact
from kubernaut.api.analysis import AIAnalysisStatus
from kubernaut.api.durations import go_duration
from kubernaut.kube.status import cut, set_condition

AVAILABLE: Final = "HolmesGPTAvailable"


def note_contact(status: AIAnalysisStatus, contact: Contact | None, now: datetime) -> None:
    """Take down how HolmesGPT could be reached; nothing where nobody tried."""
    if contact is None:
        return
    status.holmes_gpt_retry_attempts = contact.retries
    status.holmes_gpt_last_error = cut(contact.last_error)
    status.holmes_gpt_last_attempt_time, status.holmes_gpt_next_retry_time = contact.last_at, contact.next_at
    status.holmes_gpt_total_retry_duration = go_duration(contact.waited) if contact.waited else ""
    reason = {True: "Answered", False: "HolmesGPTUnavailable", None: "Asking"}[contact.available]
    set_condition(status.conditions, AVAILABLE, contact.available, reason, contact.message, now=now)
