"""What HolmesGPT may cost, when it is left alone, how often it is tried again, and what settings are refused."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kubernaut.analysis.investigators.holmesgpt.breaker import Breaker
from kubernaut.analysis.investigators.holmesgpt.ledger import KEPT, Account, Ledger
from kubernaut.analysis.investigators.holmesgpt.settings import BreakerSettings, Budgets, HolmesGPTSettings, Ladder, Limits, Prices, When

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
CASE = Account("case-1", "shop")
FREE = Limits()


def ledger(**budgets):
    return Ledger(Budgets(**{"case": FREE, "hour": FREE, "namespace": FREE, **budgets}), Prices(asked=2.0, answered=10.0))


def spend(book, account=CASE, at=NOW, *, tokens=(900, 100)):
    book.call(account, at)
    book.tokens(account, at, *tokens)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        pytest.param(Limits(calls=2), "2 of 2 calls", id="calls"),
        pytest.param(Limits(tokens=1500), "2000 of 1500 tokens", id="tokens"),
        pytest.param(Limits(money=0.005), "0.0056 of 0.005 money", id="money"),
    ],
)
@pytest.mark.parametrize("whose", ["case", "namespace", "hour"])
def test_a_budget_holds(whose, limits, words):
    book = ledger(**{whose: limits})
    spend(book)
    assert book.refusal(CASE, NOW) == ""
    spend(book)
    assert words in book.refusal(CASE, NOW)


@pytest.mark.parametrize(
    ("whose", "account", "at", "free"),
    [
        pytest.param("case", Account("case-2", "shop"), NOW, True, id="another case"),
        pytest.param("case", CASE, NOW + HOUR, False, id="the same case an hour later"),
        pytest.param("namespace", Account("case-2", "shop"), NOW, False, id="another case of the namespace"),
        pytest.param("namespace", Account("case-2", "bank"), NOW, True, id="another namespace"),
        pytest.param("namespace", CASE, NOW + HOUR, True, id="the namespace an hour later"),
        pytest.param("hour", Account("case-2", "bank"), NOW, False, id="anybody in the same hour"),
        pytest.param("hour", Account("case-2", "bank"), NOW + HOUR, True, id="anybody an hour later"),
    ],
)
def test_a_budget_is_for_its_own_alone(whose, account, at, free):
    book = ledger(**{whose: Limits(calls=1)})
    spend(book)
    assert (book.refusal(account, at) == "") is free


def test_what_is_counted_has_a_bound():
    book = ledger(hour=Limits(calls=10 * KEPT))
    for number in range(2 * KEPT):
        spend(book, Account(f"case-{number}", f"ns-{number}"))
    assert len(book._sums) == KEPT
    assert book.spent(Account("case-0", "ns-0"), NOW).calls == 0
    assert book._sums[("hour", "", int(NOW.timestamp() // 3600))].calls == 2 * KEPT


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y"]), st.integers(0, 5000)), max_size=40))
def test_no_order_of_calls_spends_more_than_one_call_beyond_a_budget(calls):
    book = ledger(case=Limits(tokens=6000), namespace=Limits(tokens=9000), hour=Limits(tokens=12_000))
    for case, namespace, tokens in calls:
        account = Account(f"{case}{namespace}", namespace)
        if not book.refusal(account, NOW):
            spend(book, account, tokens=(tokens, 0))
    assert all(spent.tokens < limit + 5000 for (kind, _, _), spent in book._sums.items() for limit in [_limit(kind)])


def _limit(kind):
    return {"case": 6000, "namespace": 9000, "hour": 12_000}[kind]


def broken(times, chosen=None, at=NOW):
    breaker = Breaker(chosen or BreakerSettings())
    for _ in range(times):
        breaker.began()
        breaker.ended(at, well=False)
    return breaker


def test_failures_in_a_row_open_the_breaker_for_its_rest():
    assert broken(4).refusal(NOW) == ""
    breaker = broken(5)
    assert "5 times in a row" in breaker.refusal(NOW)
    assert breaker.refusal(NOW + timedelta(seconds=299))
    assert breaker.refusal(NOW + timedelta(seconds=300)) == ""


def test_a_success_between_failures_keeps_it_closed():
    breaker = broken(4)
    breaker.ended(NOW, well=True)
    for _ in range(4):
        breaker.ended(NOW, well=False)
    assert breaker.refusal(NOW) == ""


def test_after_its_rest_a_few_are_let_through_and_their_success_closes_it():
    breaker, later = broken(5), NOW + timedelta(seconds=300)
    for _ in range(3):
        assert breaker.refusal(later) == ""
        breaker.began()
    assert "being tried" in breaker.refusal(later)
    for _ in range(3):
        breaker.ended(later, well=True)
    for _ in range(4):
        breaker.began()
        breaker.ended(later, well=False)
        assert breaker.refusal(later) == ""


def test_one_failure_after_its_rest_opens_it_again():
    breaker, later = broken(5), NOW + timedelta(seconds=300)
    breaker.began()
    breaker.ended(later, well=False)
    assert breaker.refusal(later)
    assert breaker.refusal(later + timedelta(seconds=300)) == ""


def test_many_failures_in_a_row_open_it_for_longer():
    breaker = broken(10, BreakerSettings(failures=10))
    assert breaker.refusal(NOW + timedelta(minutes=14, seconds=59))
    assert breaker.refusal(NOW + timedelta(minutes=15)) == ""


def test_too_large_a_share_of_failures_opens_it():
    breaker = Breaker(BreakerSettings())
    for number in range(13):
        breaker.ended(NOW, well=number % 4 != 0)
    assert breaker.refusal(NOW)


def test_old_failures_do_not_count():
    breaker = Breaker(BreakerSettings())
    for number in range(9):
        breaker.ended(NOW, well=number % 4 != 0)
    for _ in range(9):
        breaker.ended(NOW + timedelta(minutes=6), well=True)
    breaker.ended(NOW + timedelta(minutes=6), well=False)
    assert breaker.refusal(NOW + timedelta(minutes=6)) == ""


def test_the_ladder_is_the_documented_one():
    pauses = [pause.total_seconds() for pause in Ladder().pauses()]
    assert pauses[:5] == [5, 10, 20, 30, 30]
    assert sum(pauses) <= 300 < sum(pauses) + 30
    assert 1 + len(pauses) == 12


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 600))
def test_a_ladder_ends_within_its_total(first, longest, total):
    ladder = Ladder(first=timedelta(seconds=first), longest=timedelta(seconds=longest), total=timedelta(seconds=total))
    assert sum(ladder.pauses(), timedelta()) <= ladder.total


def test_asking_without_what_is_needed_is_refused_with_all_that_is_missing():
    with pytest.raises(ValidationError, match="python, endpoint, model is not set"):
        HolmesGPTSettings(asked=When.UNKNOWN)
    assert HolmesGPTSettings().asked is When.NEVER


@pytest.mark.parametrize(
    "wrong",
    [{"endpoint": "ftp://models"}, {"corrections": 4}, {"timeout": timedelta(minutes=10)}, {"confidence_limit": 1.5}, {"unknown": 1}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValidationError):
        HolmesGPTSettings(**wrong)
