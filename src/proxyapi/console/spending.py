"""What an account spent, by day or hour: read from the rollups, put into the reader's days.

A day is that of the reader's time zone. The rollups have whole hours of UTC: where a zone is off by half an hour, its
days begin half an hour early here.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

from proxyapi.console.charts import SERIES_MAX, Series
from proxyapi.store.database import Database
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.console", "spending.sql")

HOUR_MS = 3_600_000
DAY_HOURS = 24
EPOCH = date(1970, 1, 1)

Split = Literal["model", "key"]
Measure = Literal["charged", "tokens", "requests"]


class Sums(NamedTuple):
    """Of some requests. `charged` in nanos, the others in tokens, or in whatever is metered besides."""

    charged: int = 0
    requests: int = 0
    failed: int = 0
    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    other: int = 0

    @property
    def tokens(self) -> int:
        return self.input + self.cached + self.cache_write + self.output + self.reasoning

    @property
    def prompt(self) -> int:
        """Everything that was sent, cached or not."""
        return self.input + self.cached + self.cache_write

    @property
    def answered(self) -> int:
        """Everything that was generated."""
        return self.output + self.reasoning

    def plus(self, other: Sums) -> Sums:
        return Sums(*map(operator.add, self, other))


class Range(NamedTuple):
    """From the beginning of one step to the end of another, in a time zone. Steps are days or hours."""

    first: datetime
    after: datetime
    hourly: bool

    @property
    def hours(self) -> tuple[int, int]:
        """Of UTC since 1970, the second one not included."""
        return int(self.first.timestamp()) // 3600, -(-int(self.after.timestamp()) // 3600)

    @property
    def milliseconds(self) -> tuple[int, int]:
        return int(self.first.timestamp() * 1000), int(self.after.timestamp() * 1000)

    @property
    def steps(self) -> list[int]:
        """As `Spending` numbers them: days, or hours of UTC, since 1970."""
        if self.hourly:
            return list(range(*self.hours))
        return list(range((self.first.date() - EPOCH).days, (self.after.date() - EPOCH).days))

    def before(self) -> Range:
        """As much time just before it."""
        days = self.after.date() - self.first.date()
        return Range(self.first - (days if not self.hourly else self.after - self.first), self.first, self.hourly)


def days_until(today: date, count: int, zone: tzinfo) -> Range:
    """So many days, of which today is the last."""
    return days_between(today - timedelta(count - 1), today, zone)


def days_between(first: date, last: date, zone: tzinfo) -> Range:
    """Both included."""
    after = last + timedelta(1)
    return Range(
        datetime(first.year, first.month, first.day, tzinfo=zone),
        datetime(after.year, after.month, after.day, tzinfo=zone),
        hourly=False,
    )


def hours_until(now: datetime, count: int) -> Range:
    """So many hours, of which the one that runs is the last."""
    after = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return Range(after - timedelta(hours=count), after, hourly=True)


class Spending:
    """Sums of one account over a range, split by model or key, by step."""

    def __init__(self, span: Range, parts: dict[str, dict[int, Sums]]) -> None:
        self.span = span
        self._parts = parts
        self.totals = {name: whole(steps.values()) for name, steps in parts.items()}
        self.total = whole(self.totals.values())

    def names(self) -> list[str]:
        """The dearest first."""
        return sorted(self.totals, key=lambda name: (-self.totals[name].charged, -self.totals[name].requests, name))

    def values(self, name: str, measure: Measure) -> list[int]:
        """Of one part, one value per step."""
        steps = self._parts[name]
        return [getattr(steps[step], measure) if step in steps else 0 for step in self.span.steps]

    def steps_of(self, name: str) -> list[tuple[int, Sums]]:
        """Of one part, those in which there was something, in order."""
        return sorted(self._parts[name].items())

    def by_step(self) -> list[tuple[int, Sums]]:
        """All parts together, the last step first."""
        sums = {step: Sums() for step in self.span.steps}
        for steps in self._parts.values():
            for step, part in steps.items():
                if step in sums:
                    sums[step] = sums[step].plus(part)
        return sorted(sums.items(), reverse=True)

    def series(self, measure: Measure, other: str) -> list[Series]:
        """For a chart: the five largest, and all others as one."""
        names = sorted(self.names(), key=lambda name: -getattr(self.totals[name], measure))
        shown = names if len(names) <= SERIES_MAX else names[: SERIES_MAX - 1]
        found = [Series(name, self.values(name, measure)) for name in shown]
        if rest := names[len(shown) :]:
            columns = zip(*(self.values(name, measure) for name in rest), strict=True)
            found.append(Series(other, [sum(column) for column in columns]))
        return found


async def spent(
    database: Database, account_id: int, span: Range, *, split: Split = "model", key_id: int = 0
) -> Spending:
    """`key_id` 0: of all keys."""
    parts: dict[str, dict[int, Sums]] = {}
    for start, end, offset in _stretches(span):
        size = 1 if span.hourly else DAY_HOURS
        shift = 0 if span.hourly else offset
        rows = await database.fetch(SQL[f"by_{split}"], (shift, size, account_id, start, end, key_id, key_id))
        for step, name, *sums in rows:
            steps = parts.setdefault(str(name), {})
            before = steps.get(step)
            steps[step] = Sums(*sums) if before is None else before.plus(Sums(*sums))
    return Spending(span, parts)


async def total(database: Database, account_id: int, span: Range) -> Sums:
    """Of all models and keys."""
    ((charged, requests, failed),) = await database.fetch(SQL["total"], (account_id, *span.hours))
    return Sums(int(charged), int(requests), int(failed))


def _stretches(span: Range) -> Iterator[tuple[int, int, int]]:
    """Hours within which the zone keeps one distance to UTC, and that distance in hours: clocks change twice a year."""
    start, end = span.hours
    zone = span.first.tzinfo
    began, offset = start, _offset(start, zone)
    for hour in range(start + 1, end):
        if (here := _offset(hour, zone)) != offset:
            yield began, hour, offset
            began, offset = hour, here
    yield began, end, offset


def _offset(hour: int, zone: tzinfo | None) -> int:
    distance = datetime.fromtimestamp(hour * 3600, zone).utcoffset() or timedelta()
    return int(distance.total_seconds()) // 3600


def whole(sums: Iterable[Sums]) -> Sums:
    """All of them together."""
    found = Sums()
    for part in sums:
        found = found.plus(part)
    return found
