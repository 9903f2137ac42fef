"""What HolmesGPT has spent: calls, tokens and money, by case, by hour, and by namespace and hour; and whether another call may be made.

What a case spent is forgotten when there are more cases than are kept; the hour still counts it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kubernaut.analysis.investigators.holmesgpt.settings import Budgets, Limits, Prices

KEPT: Final = 2000
ON_RECORD: Final = 200
"""Sums that outlive the process, the latest ones."""
MILLION: Final = 1_000_000


@dataclass(slots=True)
class Spent:
    """A sum."""

    calls: int = 0
    tokens: int = 0
    money: float = 0.0

    def beyond(self, limits: Limits) -> str:
        """Return the limit that is reached, in words; empty while there is something left."""
        for name in ("calls", "tokens", "money"):
            limit, spent = getattr(limits, name), getattr(self, name)
            if limit is not None and spent >= limit:
                return f"{spent:g} of {limit:g} {name}"
        return ""


@dataclass(frozen=True, slots=True)
class Account:
    """Who a call is for."""

    case: str
    namespace: str


class Ledger:
    """Counts what is spent."""

    def __init__(self, budgets: Budgets, prices: Prices) -> None:
        self._budgets = budgets
        self._prices = prices
        self._sums: OrderedDict[tuple[str, str, int], Spent] = OrderedDict()

    def refusal(self, account: Account, now: datetime) -> str:
        """Return why no further call may be made for an account; empty when one may."""
        for words, key, limits in self._lines(account, now):
            if beyond := self._sums.get(key, Spent()).beyond(limits):
                return f"the budget {words} is spent ({beyond})"
        return ""

    def call(self, account: Account, now: datetime) -> None:
        """Book a call, before it is made."""
        for spent in self._of(account, now):
            spent.calls += 1

    def tokens(self, account: Account, now: datetime, asked: int, answered: int) -> None:
        """Book what a call used up."""
        money = (asked * self._prices.asked + answered * self._prices.answered) / MILLION
        for spent in self._of(account, now):
            spent.tokens += asked + answered
            spent.money += money

    def spent(self, account: Account, now: datetime) -> Spent:
        """Return what a case has spent."""
        return self._sums.get(self._lines(account, now)[0][1], Spent())

    def sums(self) -> list[list[str | int | float]]:
        """Return the latest sums, oldest first: of what (`case`, `namespace`, `hour`), its name, the hour, calls, tokens, money."""
        return [[*key, spent.calls, spent.tokens, spent.money] for key, spent in list(self._sums.items())[-ON_RECORD:]]

    def restore(self, sums: Iterable[Sequence[Any]]) -> None:
        """Take over sums that `sums` gave, wherever they are more than is known here."""
        for whose, name, hour, calls, tokens, money in sums:
            spent = self._sums.setdefault((str(whose), str(name), int(hour)), Spent())
            spent.calls, spent.tokens, spent.money = max(spent.calls, calls), max(spent.tokens, tokens), max(spent.money, money)

    def _of(self, account: Account, now: datetime) -> Iterator[Spent]:
        for _, key, _ in self._lines(account, now):
            spent = self._sums.setdefault(key, Spent())
            self._sums.move_to_end(key)
            yield spent
        while len(self._sums) > KEPT:
            self._sums.popitem(last=False)

    def _lines(self, account: Account, now: datetime) -> list[tuple[str, tuple[str, str, int], Limits]]:
        hour = int(now.timestamp() // 3600)
        return [
            ("of this case", ("case", account.case, 0), self._budgets.case),
            (f"of namespace {account.namespace or 'none'} for this hour", ("namespace", account.namespace, hour), self._budgets.namespace),
            ("for this hour", ("hour", "", hour), self._budgets.hour),
        ]
