"""What was earned, what it cost, what was lost: from the rollups, whatever the size of the journal.

Revenue and losses are exact, and so is the cost of requests that were recorded with one: what published prices said
when they were made. Of the others (older releases recorded none, and some of the operator's own models have no
published price) it is estimated: of a model with published prices, the price without the markup that is in force; of
a model with own prices, its tokens at published prices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from proxyapi.admin.acts import SQL
from proxyapi.admin.office import Office
from proxyapi.admin.views import Money
from proxyapi.errors import InvalidRequest
from proxyapi.ledger.periods import DAY_MS
from proxyapi.pricing.price import RATE_UNITS
from proxyapi.providers.provider import SANDBOX
from proxyapi.usage import Unit

By = Literal["day", "model", "provider"]
DAYS_MAX = 400
"""Of one report."""
_NUMBERS, _COST, _ESTIMATED = 6, 3, 4
"""Summed in a line: requests, failed, charged, cost, its estimated part, loss."""

_COLUMNS: tuple[Unit | None, ...] = (
    Unit.INPUT,
    Unit.CACHE_READ,
    Unit.CACHE_WRITE_5M,
    Unit.OUTPUT,
    Unit.REASONING,
    None,
)
"""What a column of the rollups is priced as; the last one holds pictures, characters, seconds and calls together."""


class Sums(NamedTuple):
    """One model at one provider, of some days. Amounts in nanos."""

    provider: str
    model: str
    requests: int
    failed: int
    units: tuple[int, ...]
    actual: int
    charged: int
    loss: int
    upstream_cost: int
    costed: int
    """The part of `actual` of which `upstream_cost` is the cost."""


class Cost(NamedTuple):
    """What providers get, in nanos."""

    recorded: int
    estimated: int

    @property
    def total(self) -> int:
        return self.recorded + self.estimated


class Line(Struct, frozen=True, kw_only=True):
    name: str
    """A day as `2026-01-31` (UTC), a model or a provider."""
    requests: int
    failed: int
    revenue: Money
    cost: Money
    """What providers get for it."""
    cost_estimated: Money
    """The part of the cost that is an estimate; the rest was recorded with the requests."""
    loss: Money
    """What requests cost that no balance covered, and what lost workers held."""
    margin: Money
    """Revenue less cost."""


class Report(Struct, frozen=True, kw_only=True):
    since: str
    until: str
    """The first and the last day."""
    by: By
    total: Line
    lines: list[Line]
    currency: str
    balances: Money
    """On all accounts, now."""
    held: Money
    accounts: int


def report(office: Office, *, by: By = "day", since: str = "", until: str = "") -> Report:
    """Days as `2026-01-31`, UTC; since the first of this month if nothing is said. InvalidRequest."""
    today = office.clock_ms() // DAY_MS
    last = _day(until, "until", today)
    first = _day(since, "since", _first_of_month(last))
    if not first <= last < first + DAYS_MAX:
        raise InvalidRequest(f"a report covers 1 to {DAYS_MAX} days", param="since")
    cells = _cells(office, by, first, last + 1)
    total = [sum(numbers) for numbers in zip(*cells.values(), strict=True)] or [0] * _NUMBERS
    order = sorted(cells) if by == "day" else sorted(cells, key=lambda name: (-cells[name][2], name))
    ((accounts, balances, held),) = office.database.fetch_now(SQL["accounts_total"])
    return Report(
        since=day_name(first), until=day_name(last), by=by, total=_line("total", total),
        lines=[_line(name, cells[name]) for name in order], currency=office.currency, balances=Money(int(balances)),
        held=Money(int(held)), accounts=accounts,
    )  # fmt: skip


def _cells(office: Office, by: By, first: int, last: int) -> dict[str, list[int]]:
    """Sums by name, of the days from `first` to before `last`. The database adds up all but what needs a price."""
    factor = factor_of(office.prices().book.markup)
    cells: dict[str, list[int]] = {}
    for key, requests, failed, charged, recorded, rest, loss in office.database.fetch_now(
        SQL[f"lines_by_{by}"], (first, last)
    ):
        estimated = int(rest / factor)
        cells[day_name(key) if by == "day" else key] = [
            requests, failed, charged, recorded + estimated, estimated, loss
        ]  # fmt: skip
    for day, *row in office.database.fetch_now(SQL["own_uncosted"], (first, last)):
        sums = _sums(row)
        estimated = _published(office, sums) * (sums.actual - sums.costed) // sums.actual
        cell = cells[{"day": day_name(day), "model": sums.model, "provider": sums.provider}[by]]
        cell[_COST] += estimated
        cell[_ESTIMATED] += estimated
    return cells


def sums_by_model(office: Office, first: int, last: int) -> list[Sums]:
    """Of the days from `first` to before `last`."""
    return [_sums(row) for row in office.database.fetch_now(SQL["totals_by_model"], (first, last))]


def cost_of(office: Office, sums: Sums, own: Mapping[str, str]) -> Cost:
    """What the provider gets for it. `own`: models with own prices, in lower case."""
    rest = sums.actual - sums.costed
    if rest <= 0 or sums.provider == SANDBOX:
        return Cost(sums.upstream_cost, 0)
    if sums.model.lower() not in own:
        return Cost(sums.upstream_cost, int(rest / factor_of(office.prices().book.markup)))
    return Cost(sums.upstream_cost, _published(office, sums) * rest // sums.actual)


def _published(office: Office, sums: Sums) -> int:
    """Its tokens at published prices; 0: nobody publishes one."""
    book = office.prices().book
    vendor, _, native = sums.model.partition("/")
    name = native if vendor == sums.provider else sums.model
    price = book.at(exchange_rate=book.exchange_rate, markup="0").price(
        sums.provider, name.lower(), office.clock_ms() / 1000
    )
    if price is None:
        return 0
    quantities = zip(_COLUMNS, sums.units, strict=True)
    return sum(quantity * price.rates[unit] for unit, quantity in quantities if unit is not None) // RATE_UNITS


def factor_of(markup: str) -> Fraction:
    return 1 + Fraction(Decimal(markup))


def month_before(now_ms: int) -> tuple[int, int, str]:
    """The last full month: its first day, the day after it, its name."""
    this = _first_of_month(now_ms // DAY_MS)
    first = _first_of_month(this - 1)
    return first, this, day_name(first)[:7]


def day_name(day: int) -> str:
    """Days since 1970 as `2026-01-31`."""
    return datetime.fromtimestamp(day * DAY_MS // 1000, UTC).strftime("%Y-%m-%d")


def _first_of_month(day: int) -> int:
    at = datetime.fromtimestamp(day * DAY_MS // 1000, UTC)
    return day - at.day + 1


def _day(text: str, name: str, default: int) -> int:
    if not text:
        return default
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * 1000 // DAY_MS
    except ValueError:
        raise InvalidRequest(f"{name} is a day such as 2026-01-31", param=name) from None


def _sums(row: Sequence[Any]) -> Sums:
    provider, model = str(row[0]), str(row[1])
    requests, failed, *units, actual, charged, loss, cost, costed = row[2:]
    return Sums(provider, model, requests, failed, tuple(units), actual, charged, loss, cost, costed)


def _line(name: str, numbers: list[int]) -> Line:
    requests, failed, charged, cost, estimated, loss = numbers
    return Line(
        name=name, requests=requests, failed=failed, revenue=Money(charged), cost=Money(cost),
        cost_estimated=Money(estimated), loss=Money(loss), margin=Money(charged - cost),
    )  # fmt: skip
