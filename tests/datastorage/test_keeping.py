"""What is on record stays as it is: refused changes, months, retention, legal holds, migrations, one chain for many writers."""

import asyncio
import io
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, String, Table, insert, text
from sqlalchemy.exc import DBAPIError

from kubernaut.datastorage import retention
from kubernaut.datastorage.database import BadDatabase, Database, OlderSchema, _config, _engine
from kubernaut.datastorage.export import Selection, export
from kubernaut.datastorage.keys import BadKey, public_key, read_or_make
from kubernaut.datastorage.protection import SEALED, partition_name
from kubernaut.datastorage.tables import metadata
from kubernaut.datastorage.trail import known_ids
from kubernaut.datastorage.verify import verify
from tests.datastorage.place import T0, Clock, answer, datastorage, everything, fact, opened, served

LATER = T0 + timedelta(days=400)


@pytest.mark.parametrize("table", SEALED)
async def test_the_database_itself_refuses_to_change_or_remove_what_is_on_record(database, key, clock, table):
    async with opened(database, clock, signing_key=key, checkpoint_every=1) as store:
        await store.add_events([fact(1)])
        clock.now += timedelta(days=1)
        await store.add_events([fact(2)])
        column = {"audit_events": "actor_id", "audit_purges": "at"}.get(table, "hash")
        statements = [f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"]  # noqa: S608  (tables of ours)
        statements += [f"TRUNCATE {table}"] if store.database.postgresql else []
        if store.database.postgresql and table == "audit_events":
            month = partition_name(T0.date())
            statements += [f"DELETE FROM {month}", f"TRUNCATE {month}", f"UPDATE {month} SET actor_id = ''"]  # noqa: S608  (tables of ours)
        for statement in statements:
            with pytest.raises(DBAPIError, match="the audit trail is never changed"):
                async with store.database.writing() as connection:
                    await connection.execute(text(statement))


async def test_every_month_has_a_partition_of_its_own_on_postgresql(server, clock):
    async with opened(server.database(), clock) as store:
        for number in range(3):
            await store.add_events([fact(number)])
            clock.now += timedelta(days=31)
        async with store.database.reading() as connection:
            found = (await connection.execute(text(retention.PARTITIONS))).scalars()
            assert sorted(found) == ["audit_events_2026_01", "audit_events_2026_02", "audit_events_2026_03"]


async def exported(store):
    return io.BytesIO(b"".join([piece async for piece in export(store, Selection())])).readlines()


async def test_retention_takes_out_whole_months_but_none_with_a_held_case_and_the_rest_still_verifies(database, key):
    clock = Clock()
    async with opened(database, clock, signing_key=key, retention_days=31) as store, served(store) as http:
        for month in range(5):
            events = [fact(2 * month + number, correlation_id=f"case-{month}") for number in range(2)]
            await store.add_events(events)
            clock.now += timedelta(days=31)
        held = {"correlation_id": "case-1", "reason": "a law suit"}
        await answer(await http.post("/api/v1/audit/legal-hold", json=held), 201)
        gone = await retention.purge(store.database, clock.now, store.settings.retention_days)
        assert gone == [date(2026, 1, 1), date(2026, 3, 1), date(2026, 4, 1)]
        assert await retention.purge(store.database, clock.now, store.settings.retention_days) == []
        assert {each["correlation_id"] for each in await everything(http)} == {"case-1", "case-4"}
        assert verify(await exported(store)).count == 5
        assert [each["correlation_id"] for each in (await answer(await http.get("/api/v1/audit/legal-hold")))["holds"]] == ["case-1"]
        await answer(await http.delete("/api/v1/audit/legal-hold/case-1"))
        await answer(await http.delete("/api/v1/audit/legal-hold/case-1"), 404)
        assert await retention.purge(store.database, clock.now, store.settings.retention_days) == [date(2026, 2, 1)]
        told = await everything(http, event_category="security")
        assert [(each["event_action"], each["message"]) for each in told] == [("LegalHoldPlaced", "a law suit"), ("LegalHoldLifted", "")]


@pytest.mark.parametrize(
    ("now", "days", "first"),
    [
        pytest.param(datetime(2033, 1, 1, tzinfo=UTC), 2555, date(2026, 1, 1), id="seven years"),
        pytest.param(datetime(2026, 3, 31, tzinfo=UTC), 31, date(2026, 2, 1), id="a month"),
    ],
)
def test_retention_ends_at_the_first_of_a_month(now, days, first):
    assert retention.ends(now, days) == first


async def test_two_servers_on_one_database_write_one_chain(server, key):
    url = server.database()
    async with opened(url, Clock(), signing_key=key) as one, opened(url, Clock(), signing_key=key) as other:
        await asyncio.gather(*(store.add_events([fact(number)]) for number in range(60) for store in (one, other)))
        assert verify(await exported(one)).count == 60


async def test_events_of_the_first_schema_are_put_into_the_chain(database, key):
    old = _engine(database)
    async with old.begin() as connection:
        await connection.run_sync(_first_schema)
    await old.dispose()
    for _ in range(2):
        async with datastorage(database, Clock(LATER), signing_key=key) as http:
            found = await everything(http)
    assert [(each["event_id"], each["position"], each["message"]) for each in found] == [
        (str(UUID(int=number)), number, f"fact {number}") for number in (1, 2)
    ]


def _first_schema(connection: Connection) -> None:
    command.upgrade(_config(connection), "0001")
    old = Table("audit_events", MetaData(), autoload_with=connection)
    texts = {column.name: "success" for column in old.columns if isinstance(column.type, String)}
    for number in (1, 2):
        told = {"event_id": UUID(int=number), "event_timestamp": T0, "stored_at": T0, "sequence": 0, "event_data": {}}
        if connection.dialect.name == "sqlite":
            told["event_id"] = UUID(int=number).hex
        connection.execute(insert(old).values({**texts, **told, "message": f"fact {number}"}))


async def test_what_the_migrations_make_is_what_the_tables_say(database):
    async with opened(database) as store, store.database.reading() as connection:
        assert await connection.run_sync(_differences) == []


def _differences(connection: Connection) -> list[object]:
    def ours(_object, name, kind, *_rest):
        return kind != "table" or not name.startswith(("alembic_version", "audit_events_2"))

    context = MigrationContext.configure(connection, opts={"include_object": ours})
    return [change for change in compare_metadata(context, metadata) if change[0] != "modify_type"]


async def test_a_server_that_may_not_migrate_says_who_must(database):
    with pytest.raises(OlderSchema, match="run kubernaut migrate"):
        async with opened(database, migrate=False):
            pass
    await (await Database.open(database)).close()
    async with opened(database, migrate=False) as store:
        assert await store.add_events([fact(1)]) == [True]


@pytest.mark.parametrize("url", ["nonsense", "mysql+aiomysql://x", "sqlite:///x", "postgresql+psycopg://x/y"])
async def test_a_url_of_no_known_database_is_refused_by_the_names_that_are(url):
    with pytest.raises(BadDatabase, match=r"datastorage\.database"):
        await Database.open(url)


async def test_a_database_that_is_not_there_is_told_at_the_start(tmp_path):
    with pytest.raises(BadDatabase, match="cannot be opened"):
        await Database.open(f"postgresql+asyncpg://postgres@/x?host={tmp_path}&port=5432")


def test_a_key_is_made_once_and_read_by_nobody_else(tmp_path):
    path = tmp_path / "key.pem"
    first, again = read_or_make(path), read_or_make(path)
    assert first.public == again.public == public_key(str(path)) == public_key(first.public)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("no key")
    with pytest.raises(BadKey, match="is no key in PEM form"):
        read_or_make(path)
    with pytest.raises(BadKey, match="cannot be made"):
        read_or_make(tmp_path / "nowhere" / "key.pem")


async def test_a_clock_that_goes_back_begins_no_chain_anew(database, clock):
    async with opened(database, clock) as store:
        await store.add_events([fact(1)])
        clock.now -= timedelta(days=2)
        await store.add_events([fact(2)])
        async with store.database.reading() as connection:
            rows = (await connection.execute(text("SELECT position FROM audit_events ORDER BY position"))).scalars().all()
        assert rows == [1, 2]


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(hours=20), timedelta(days=40)])
async def test_an_event_told_again_later_is_known_whatever_its_producers_clock_says(database, clock, ahead):
    async with opened(database, clock) as store:
        event = fact(1, event_timestamp=(clock.now + ahead).isoformat())
        told = []
        for _ in range(3):
            told += await store.add_events([event])
            clock.now += timedelta(days=20)
        assert told == [True, False, False]


async def test_what_postgresql_holds_already_is_looked_up_in_the_index_though_nobody_analysed_the_month(server, clock):
    async with opened(server.database(), clock) as store:
        await store.add_events([fact(number) for number in range(3000)])
        asked = known_ids([UUID(int=number) for number in range(500)], T0.date())
        async with store.database.engine.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw is not None
            await raw.execute("ALTER TABLE audit_events_2026_01 SET (autovacuum_enabled = false)")
            sql = str(asked.compile(connection.sync_connection))
            plan = "\n".join(row[0] for row in await raw.fetch(f"EXPLAIN {sql}", [UUID(int=1)] * 500, T0.date()))
    assert "Index Only Scan using audit_events_2026_01_event_id_chain_day_key" in plan, plan
