"""What HolmesGPT has spent, on record: a Lease in our namespace keeps the latest sums, so that a restart forgets no budget.

A call is on record before it is made. Where it cannot be put there no call is made; what the rules found stands then.
"""

import asyncio
from datetime import datetime
from typing import Final, Protocol

import orjson
import structlog

from kubernaut.analysis.investigators.holmesgpt.ledger import Account, Ledger
from kubernaut.api.base import GROUP, Obj
from kubernaut.api.core import LEASE
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError

NAME: Final = "kubernaut-holmesgpt-spending"
SPENT: Final = f"{GROUP}/spent"
"""The annotation with the sums."""
TRIES: Final = 3
log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Unwritable(Exception):  # noqa: N818  (a plain statement)
    """What is to be spent cannot be put on record."""


class Book(Protocol):
    """Keeps the ledger's sums over the death of the process."""

    async def call(self, account: Account, now: datetime) -> str:
        """Put a call on record; return why it may not be made, empty where it may. Raise Unwritable."""
        ...

    async def tokens(self, account: Account, now: datetime, asked: int, answered: int) -> None:
        """Book what a call used up."""
        ...


class Forgetful:
    """Keeps nothing beyond the process: for questions that no cluster remembers."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def call(self, account: Account, now: datetime) -> str:
        """Book a call, unless the budget is spent."""
        why = self._ledger.refusal(account, now)
        if not why:
            self._ledger.call(account, now)
        return why

    async def tokens(self, account: Account, now: datetime, asked: int, answered: int) -> None:
        """Book what a call used up."""
        self._ledger.tokens(account, now, asked, answered)


class LeaseBook(Forgetful):
    """Keeps the latest sums in a Lease, which is read again where another process has written it."""

    def __init__(self, ledger: Ledger, client: Client, namespace: str) -> None:
        super().__init__(ledger)
        self._client = client
        self._namespace = namespace
        self._lease: Obj | None = None
        self._turn = asyncio.Lock()

    async def call(self, account: Account, now: datetime) -> str:
        """Put a call on record, unless the budget is spent; raise Unwritable."""
        async with self._turn:
            try:
                if self._lease is None:
                    await self._read()
                why = await super().call(account, now)
                if not why:
                    await self._write()
            except ApiError as fault:
                raise Unwritable(f"what it spends cannot be put on record: {fault}") from fault
        return why

    async def tokens(self, account: Account, now: datetime, asked: int, answered: int) -> None:
        """Book what a call used up; where that cannot be written now, the next call's record has it."""
        async with self._turn:
            await super().tokens(account, now, asked, answered)
            try:
                await self._write()
            except ApiError as fault:
                log.warning("what HolmesGPT has spent is not on record yet", fault=str(fault)[:300])

    async def _read(self) -> None:
        """Read what is on record, and take over whatever is more there than here."""
        try:
            self._lease = await self._client.get(LEASE, NAME, self._namespace)
        except ApiError as fault:
            if not fault.not_found:
                raise
            self._lease = None
            return
        self._ledger.restore(orjson.loads((self._lease["metadata"].get("annotations") or {}).get(SPENT) or "[]"))

    async def _write(self) -> None:
        """Write the sums; where another process has written meanwhile, with what it has spent."""
        for _ in range(TRIES):
            try:
                self._lease = await self._put()
            except ApiError as fault:
                if not (fault.conflict or fault.already_exists or fault.not_found):
                    raise
                await self._read()
            else:
                return
        raise ApiError(0, "Conflict", f"Lease {NAME} changes faster than it can be written")

    async def _put(self) -> Obj:
        metadata = {"annotations": {SPENT: orjson.dumps(self._ledger.sums()).decode()}}
        if self._lease is None:
            return await self._client.create(LEASE, {"metadata": {"name": NAME, "namespace": self._namespace, **metadata}, "spec": {}})
        version = {"resourceVersion": self._lease["metadata"]["resourceVersion"]}
        return await self._client.patch(LEASE, NAME, self._namespace, {"metadata": metadata | version})
