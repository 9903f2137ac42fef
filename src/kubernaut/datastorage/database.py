"""The database: opened, brought up to date, written by one at a time, read by many."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

import asyncpg
import orjson
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Table, event, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from kubernaut.api.base import Unusable

MIGRATIONS: Final = Path(__file__).parent / "migrations"
KNOWN: Final = ("sqlite+aiosqlite", "postgresql+asyncpg")
CONNECT_SECONDS: Final = 5
COMMAND_SECONDS: Final = 20
CLOSE_SECONDS: Final = 5
CONNECTIONS: Final = 20
MIGRATION_LOCK: Final = 0x6B756265
"""Of PostgreSQL's advisory locks: servers that start together migrate one after the other."""
FAULTS: Final = (SQLAlchemyError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What using a database may raise when it is away, stopped, or full."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class BadDatabase(Unusable):
    """A URL that names no database we can use, or one that does not let us in."""


class NewerSchema(Unusable):
    """The database was made by a later version of this program."""


class OlderSchema(Unusable):
    """The database was made by an earlier version, and may not be changed by us."""


class Database:
    """An open database. Close it when done."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.postgresql = engine.dialect.name == "postgresql"
        self._alone = asyncio.Lock()
        self._shared = isinstance(engine.pool, StaticPool)

    @classmethod
    async def open(cls, url: str, *, migrate: bool = True) -> Self:
        """Open a database and bring its schema up to date, or only see that it is.

        Raise BadDatabase where it is none or does not let us in, NewerSchema, OlderSchema.
        """
        database = cls(_engine(url))
        try:
            async with database.engine.begin() as connection:
                if database.postgresql:
                    await connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
                await connection.run_sync(_migrate if migrate else _check)
        except FAULTS as fault:
            await database.close()
            raise BadDatabase(f"the audit database {database.engine.url!r} cannot be opened: {said(fault)}") from fault
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Let go of all connections; one that does not answer is left behind."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.engine.dispose()
        except TimeoutError:
            log.warning("the database's connections did not close in time", seconds=CLOSE_SECONDS)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection to read with; in a database in memory there is one, for one at a time."""
        if self._shared:
            async with self._alone, self.engine.connect() as connection:
                yield connection
        else:
            async with self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction, which is committed at the end unless something was raised."""
        async with self._alone, self.engine.begin() as connection:
            yield connection

    async def ping(self) -> None:
        """Raise when the database does not answer."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    def insert(self, table: Table) -> Any:
        """Return an INSERT that knows ON CONFLICT."""
        return postgresql_insert(table) if self.postgresql else sqlite_insert(table)


def said(fault: Exception) -> str:
    """Return a fault's first line: the rest is the statement with all its values."""
    return (str(fault).splitlines() or [""])[0][:200] or type(fault).__name__


def _engine(url: str) -> AsyncEngine:
    try:
        parsed = make_url(url)
        if parsed.drivername not in KNOWN:
            raise BadDatabase(f"datastorage.database must begin with one of {', '.join(KNOWN)}")
        if parsed.get_backend_name() == "sqlite":
            engine = create_async_engine(parsed, json_serializer=_dumps, json_deserializer=orjson.loads)
            event.listen(engine.sync_engine, "connect", _sqlite_settings)
            return engine
    except (ArgumentError, NoSuchModuleError) as error:
        raise BadDatabase(f"datastorage.database names no database: {error}") from error
    return create_async_engine(
        parsed,
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        pool_pre_ping=True,
        pool_size=CONNECTIONS // 4,
        max_overflow=CONNECTIONS - CONNECTIONS // 4,
        pool_timeout=CONNECT_SECONDS,
        connect_args={"timeout": CONNECT_SECONDS, "command_timeout": COMMAND_SECONDS},
    )


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()


def _sqlite_settings(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _migrate(connection: Connection) -> None:
    """Run the migrations that are missing."""
    config = _config(connection)
    _refuse_newer(connection, ScriptDirectory.from_config(config))
    command.upgrade(config, "head")


def _check(connection: Connection) -> None:
    """Raise unless no migration is missing."""
    script = ScriptDirectory.from_config(_config(connection))
    if set(_refuse_newer(connection, script)) != set(script.get_heads()):
        raise OlderSchema("the database's schema is older than this program: run kubernaut migrate first")


def _refuse_newer(connection: Connection, script: ScriptDirectory) -> tuple[str, ...]:
    heads = MigrationContext.configure(connection).get_current_heads()
    known = {step.revision for step in script.walk_revisions()}
    if unknown := sorted(set(heads) - known):
        newest = ", ".join(script.get_heads())
        message = f"the database has schema {', '.join(unknown)}, and this version of kubernaut knows schemas up to {newest}"
        raise NewerSchema(f"{message}: use the version of kubernaut that made it, or a later one")
    return heads
