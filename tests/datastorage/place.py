"""Data storage over real HTTP and a real database, and what is posted to it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import aiohttp

from kubernaut.api.audit import AuditEvent
from kubernaut.datastorage.app import datastorage_app
from kubernaut.datastorage.settings import DataStorageSettings
from kubernaut.datastorage.store import Store
from kubernaut.service import Guard, Rates, RateSettings, serving

T0 = datetime(2026, 1, 1, tzinfo=UTC)
FREE = RateSettings(per_source=0, per_replica=0)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now=T0 + timedelta(hours=12)):
        self.now = now

    def __call__(self):
        return self.now


def settings_for(database, **changes):
    """Return settings for a test."""
    return DataStorageSettings(**{"port": 0, "database": database, "rate": FREE, **changes})


@asynccontextmanager
async def opened(database, clock=None, **changes) -> AsyncGenerator[Store]:
    """Open the store; it is closed at the end."""
    store = await Store.open(settings_for(database, **changes), clock or Clock())
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def datastorage(database, clock=None, guarding: tuple[Guard, ...] = (), **changes) -> AsyncGenerator[aiohttp.ClientSession]:
    """Run data storage; give a session to it."""
    async with opened(database, clock, **changes) as store, served(store, guarding) as http:
        yield http


@asynccontextmanager
async def served(store, guarding: tuple[Guard, ...] = ()) -> AsyncGenerator[aiohttp.ClientSession]:
    """Serve an open store; give a session to it."""
    guarding = guarding or (Rates("datastorage", store.settings.rate),)
    async with serving(datastorage_app(store, guarding), host="127.0.0.1", port=0) as url, aiohttp.ClientSession(url) as http:
        yield http


def event(number, **changes):
    """Return an event as it is posted."""
    body = {
        "event_id": str(UUID(int=number)),
        "event_timestamp": (T0 + timedelta(seconds=number)).isoformat(),
        "event_type": "orchestration.remediationrequest.phasetransition",
        "event_category": "orchestration",
        "event_action": "PhaseTransition",
        "event_outcome": "success",
        "correlation_id": "remediation-a",
        "event_data": {"from": "Pending", "to": "Processing"},
    }
    return body | changes


def fact(number, **changes):
    """Return an event as the store takes it."""
    return AuditEvent.model_validate(event(number, **changes))


async def everything(http, **params):
    """Return all events that a question finds, page by page."""
    found, cursor = [], ""
    while True:
        page = await answer(await http.get("/api/v1/audit/events", params={**params, "limit": "1000", "cursor": cursor}))
        found += page["data"]
        cursor = page["pagination"]["next_cursor"]
        if not cursor:
            return found


async def answer(reply, status=200):
    """Return the body of an answer that has the status it should."""
    async with reply:
        body = await reply.json(content_type=None)
        assert reply.status == status, body
        return body
