"""What HolmesGPT has spent outlives the process that spent it. Over a real Kubernetes API."""

from datetime import UTC, datetime

import orjson
import pytest

from kubernaut.analysis.investigators.holmesgpt.book import NAME, SPENT, LeaseBook, Unwritable
from kubernaut.analysis.investigators.holmesgpt.ledger import ON_RECORD, Account, Ledger
from kubernaut.analysis.investigators.holmesgpt.settings import Budgets, Limits, Prices
from kubernaut.api.core import LEASE
from tests.analysis.conftest import SYSTEM

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
CASE, OTHER = Account("case-1", "shop"), Account("case-2", "bank")


@pytest.fixture(autouse=True)
async def _nothing_spent(bench):
    kept, _ = await bench.client.list(LEASE, SYSTEM)
    if any(each["metadata"]["name"] == NAME for each in kept):
        await bench.client.delete(LEASE, NAME, SYSTEM)


def ledger():
    return Ledger(Budgets(case=Limits(calls=2)), Prices(asked=2.0, answered=10.0))


def book(bench, sums=None, namespace=SYSTEM):
    return LeaseBook(sums or ledger(), bench.client, namespace)


async def test_a_new_process_goes_on_with_what_the_one_before_has_spent(bench):
    first, then = book(bench), ledger()
    assert await first.call(CASE, NOW) == ""
    await first.tokens(CASE, NOW, 900, 100)
    assert await first.call(CASE, NOW) == ""
    assert "2 of 2 calls" in await book(bench, then).call(CASE, NOW)
    spent = then.spent(CASE, NOW)
    assert (spent.calls, spent.tokens, round(spent.money, 6)) == (2, 1000, 0.0028)


async def test_a_call_is_on_record_before_it_is_made_and_one_that_is_refused_is_not(bench):
    one = book(bench)
    for _ in range(4):
        await one.call(CASE, NOW)
    kept = orjson.loads((await bench.client.get(LEASE, NAME, SYSTEM))["metadata"]["annotations"][SPENT])
    assert [row[3] for row in kept] == [2, 2, 2]


async def test_what_another_process_wrote_meanwhile_is_taken_over(bench):
    sums = ledger()
    one, other = book(bench, sums), book(bench)
    await one.call(CASE, NOW)
    await other.call(OTHER, NOW)
    await one.tokens(CASE, NOW, 10, 10)
    assert (sums.spent(CASE, NOW).calls, sums.spent(OTHER, NOW).calls) == (1, 1)


async def test_where_nothing_can_be_put_on_record_no_call_is_made(bench):
    with pytest.raises(Unwritable, match="cannot be put on record"):
        await book(bench, namespace="not-there").call(CASE, NOW)


async def test_the_record_is_bounded_and_has_the_latest(bench):
    sums = ledger()
    one = book(bench, sums)
    for number in range(2 * ON_RECORD):
        sums.call(Account(f"older-{number}", "shop"), NOW)
    await one.call(OTHER, NOW)
    then = ledger()
    assert await book(bench, then).call(OTHER, NOW) == ""
    assert len(sums.sums()) == ON_RECORD
    assert then.spent(OTHER, NOW).calls == 2
