"""Facts on their way to the trail while things fail: none is lost, none stored twice, the order within a case is kept."""

import asyncio
import json
import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import DataError, OperationalError

from kubernaut.api.audit import audit_event
from kubernaut.api.base import Journal, JournalEntry, ObjectMeta
from kubernaut.api.notification import NotificationRequest, NotificationRequestSpec, NotificationType
from kubernaut.datastorage import writer as writing
from kubernaut.datastorage.writer import Unavailable, Writer
from kubernaut.kube import metrics, queue
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.journal import JournalShipper
from kubernaut.kube.manager import Manager
from kubernaut.outbound import EVENTS, JsonService, Undeliverable, post_each
from kubernaut.wiring import _deliver
from tests.datastorage.place import T0, Clock, answer, datastorage, event, everything, fact, opened, served
from tests.datastorage.postgres import postgres
from tests.world import eventually, running

CASES, FACTS = 4, 12


def told_by(case, ordinals):
    """Return the facts of a case as its object's journal holds them."""
    return [
        event(
            1000 * case + number, correlation_id=f"case-{case}", sequence=number, resource_id=f"uid-{case}", event_timestamp=T0.isoformat()
        )
        for number in ordinals
    ]


def whole(found):
    """Check that all facts of all cases are on record, once, in order."""
    for case in range(CASES):
        mine = [
            each["sequence"]
            for each in sorted(found, key=lambda each: (each["chain_day"], each["position"]))
            if each["correlation_id"] == f"case-{case}"
        ]
        assert mine == [*range(FACTS)], f"case {case}: {mine}"


class Producer:
    """Sends the facts of one case from its journal, as the kernel does: what was not acknowledged is sent again, with what came since."""

    def __init__(self, case):
        self.case = case
        self.acknowledged = 0
        self.recorded = 0

    async def deliver(self, http):
        """Record one more fact, and send what is pending."""
        self.recorded = min(FACTS, self.recorded + 1)
        pending = told_by(self.case, range(self.acknowledged, self.recorded))
        if not pending:
            return
        async with http.post(EVENTS, json=pending) as reply:
            if reply.status == 201:
                self.acknowledged = self.recorded
            else:
                assert reply.status == 503
                assert int(reply.headers["Retry-After"]) > 0

    def killed(self, rng):
        """Lose its memory of what was acknowledged: the journal's patch did not come through."""
        self.acknowledged = rng.randint(0, self.acknowledged)


async def test_postgresql_may_be_away_in_the_middle_of_cases_and_producers_be_killed():
    rng, clock = random.Random(6), Clock()
    producers = [Producer(case) for case in range(CASES)]
    with postgres() as server:
        async with datastorage(server.database(), clock) as http:
            for turn in range(FACTS * 2):
                if turn == FACTS // 2:
                    server.stop()
                    await answer(await http.get("/readyz"), 503)
                if turn == FACTS:
                    server.start()
                await asyncio.gather(*(producer.deliver(http) for producer in producers))
                rng.choice(producers).killed(rng)
                clock.now += timedelta(minutes=17)
            for producer in producers:
                await producer.deliver(http)
            whole(await everything(http))


async def test_data_storage_may_be_killed_in_the_middle_of_cases(database, key):
    rng, clock = random.Random(7), Clock()
    producers = [Producer(case) for case in range(CASES)]
    for _ in range(FACTS // 3):
        async with datastorage(database, clock, signing_key=key) as http:
            for _ in range(3):
                sending = [asyncio.ensure_future(producer.deliver(http)) for producer in producers]
                for _ in range(rng.randint(1, 8)):
                    await asyncio.sleep(0)
                rng.choice(sending).cancel()  # the producer is killed, or its answer never comes
                await asyncio.gather(*sending, return_exceptions=True)
                rng.choice(producers).killed(rng)
        clock.now += timedelta(hours=7)
    async with datastorage(database, clock, signing_key=key) as http:
        for producer in producers:
            producer.recorded = FACTS
            await producer.deliver(http)
        whole(await everything(http))


def notification(name, pending):
    journal = Journal(count=len(pending), pending=pending)
    spec = NotificationRequestSpec(type=NotificationType.SIMPLE, subject="s", body="b", channels=["console"])
    resource = NotificationRequest(metadata=ObjectMeta(name=name), spec=spec)
    resource.status.journal = journal
    return resource


@asynccontextmanager
async def shipping(world, deliver):
    """Run a journal shipper as the parts do."""
    manager = Manager(world.client, SystemClock(), name="test", namespace=world.system)
    JournalShipper(manager, [NotificationRequest], deliver)
    async with running(manager):
        yield


async def test_a_journal_keeps_its_facts_until_data_storage_is_back(world, database, key):
    entries = [JournalEntry(ordinal=number, at=datetime(2026, 1, 1, tzinfo=UTC), reason=f"Fact{number}") for number in range(5)]
    resource = notification("held", entries)
    created = await world.create(NotificationRequest.card, {**resource.wire(), "metadata": {"name": "held", "namespace": world.system}})
    tried = asyncio.Event()
    where = {"url": "http://127.0.0.1:9"}

    async def deliver(resource, pending):
        service = JsonService(where["url"])
        try:
            await service.post_all(EVENTS, [audit_event(resource, entry, actor="test") for entry in pending])
        except Undeliverable:
            tried.set()
            raise
        finally:
            await service.close()

    status = {"status": resource.wire()["status"]}
    await world.client.patch(NotificationRequest.card, "held", world.system, status, subresource="status")
    async with shipping(world, deliver):
        await tried.wait()
        assert metrics.JOURNAL_PENDING.labels("NotificationRequest")._value.get() == 5, "the backlog is visible"
    async with opened(database, signing_key=key) as store, served(store) as http:
        where["url"] = str(http._base_url)
        async with shipping(world, deliver):
            await eventually(lambda: _drained(world))
        found = await everything(http)
    assert [(each["event_action"], each["sequence"], each["resource_id"]) for each in found] == [
        (f"Fact{number}", number, created["metadata"]["uid"]) for number in range(5)
    ]


async def test_facts_and_records_that_can_never_be_stored_hold_nobody_up_and_are_kept_as_refused(http):
    deep = json.loads("[" * 12 + "]" * 12)
    resource = notification("deep", [JournalEntry(ordinal=0, at=T0, reason="Deep", data={"a": deep})])
    service = JsonService(str(http._base_url))
    await _deliver(service, "test")(resource, resource.status.journal.pending)
    await post_each(
        service, EVENTS.removesuffix("/batch"), [audit_event(resource, each, actor="") for each in resource.status.journal.pending]
    )
    await service.close()
    (kept,) = await everything(http)
    assert (kept["event_action"], "nested 10 deep" in kept["message"]) == ("EventRefused", True)


async def test_when_data_storage_is_back_nobody_waits_for_a_next_try_of_its_own(world, monkeypatch):
    for bound in ("BASE_SECONDS", "CAP_SECONDS"):
        monkeypatch.setattr(queue, bound, 1e6)
    tried, back = set(), asyncio.Event()

    async def deliver(resource, pending):
        tried.add(resource.metadata.name)
        if not back.is_set():
            raise Undeliverable("away")

    for name in ("one", "other"):
        resource = notification(name, [JournalEntry(ordinal=0, at=T0, reason="Fact")]).wire()
        made = {**resource, "metadata": {"name": name, "namespace": world.system}}
        await world.create(NotificationRequest.card, made, resource["status"])
    async with shipping(world, deliver):
        await eventually(lambda: _all(tried, "one", "other"))
        back.set()
        poke = {"metadata": {"annotations": {"test/poked": "yes"}}}
        await world.client.patch(NotificationRequest.card, "one", world.system, poke)
        await eventually(lambda: _drained(world, "one"))
        await eventually(lambda: _drained(world, "other"))


async def _all(names, *wanted):
    return names >= {*wanted}


async def _drained(world, name="held"):
    live = await world.client.get(NotificationRequest.card, name, world.system)
    return not (live["status"]["journal"].get("pending") or [])


class Recording:
    """A database that takes groups, one at a time, when it is let."""

    def __init__(self):
        self.open = asyncio.Event()
        self.groups = []
        self.bad = None
        self.away = False

    async def commit(self, works):
        await self.open.wait()
        self.groups.append([*works])
        if self.away:
            raise OperationalError("INSERT", {}, OSError("gone"))
        if self.bad in works:
            raise DataError("INSERT", {}, ValueError("bad value"))
        return [work * 10 for work in works]


async def test_what_comes_while_a_transaction_runs_is_written_together_in_order():
    kept = Recording()
    writer = Writer(kept.commit)
    writes = [asyncio.create_task(writer.write(number)) for number in range(50)]
    await asyncio.sleep(0)
    kept.open.set()
    assert await asyncio.gather(*writes) == [number * 10 for number in range(50)]
    assert [each for group in kept.groups for each in group] == [*range(50)]
    assert len(kept.groups) <= 2


async def test_a_work_that_cannot_be_stored_sinks_no_other():
    kept = Recording()
    kept.bad = 3
    writer = Writer(kept.commit)
    kept.open.set()
    results = await asyncio.gather(*(writer.write(number) for number in range(6)), return_exceptions=True)
    assert [result for result in results if isinstance(result, int)] == [0, 10, 20, 40, 50]
    assert "bad value" in str(results[3])


async def test_a_database_that_is_away_is_told_to_all_who_wait_and_the_next_write_tries_anew():
    kept = Recording()
    kept.open.set()
    kept.away = True
    writer = Writer(kept.commit)
    results = await asyncio.gather(writer.write(1), writer.write(2), return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    kept.away = False
    assert await writer.write(3) == 30


async def test_a_database_that_hangs_delays_nobody_for_ever_and_what_nobody_waits_for_is_not_begun():
    kept = Recording()
    writer = Writer(kept.commit, wait=0.01)
    for number in range(3):
        with pytest.raises(Unavailable, match="did not answer"):
            await writer.write(number)
    kept.open.set()
    assert await writer.write(9) == 90
    assert kept.groups == [[0], [9]]


async def test_when_too_much_waits_the_next_is_told_to_come_again(monkeypatch):
    kept = Recording()
    writer = Writer(kept.commit, wait=0.01)
    monkeypatch.setattr(writing, "WAITING", 5)
    first = [asyncio.create_task(writer.write(number)) for number in range(7)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="too many"):
        await writer.write(9)
    kept.open.set()
    await asyncio.gather(*first, return_exceptions=True)


async def test_closing_a_store_with_writes_under_way_ends_soon_and_loses_nothing_acknowledged(database, clock):
    async with opened(database, clock) as store:
        writes = [asyncio.create_task(store.add_events([fact(number)])) for number in range(40)]
        await asyncio.sleep(0)
    results = await asyncio.gather(*writes, return_exceptions=True)
    async with datastorage(database, clock) as http:
        found = {each["event_id"] for each in await everything(http)}
    assert {str(fact(number).event_id) for number, result in enumerate(results) if result == [True]} <= found


async def test_many_at_once_are_stored_once_each(http):
    batches = [[event(number) for number in range(start, start + 20)] for start in range(0, 100, 10)]
    bodies = await asyncio.gather(*(http.post("/api/v1/audit/events/batch", json=batch) for batch in batches))
    results = [await answer(reply, 201) for reply in bodies]
    assert sum(each["stored"] for each in results) == 110
    assert len(await everything(http)) == 110
