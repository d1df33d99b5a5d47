"""Days of charts: those of the reader's zone, also when its clocks change."""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from zoneinfo import ZoneInfo

from proxyapi.console.spending import Sums, days_between, days_until, hours_until, spent
from proxyapi.store.database import Database

BERLIN, MOSCOW = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/Moscow")


def put(database: Database, at: datetime, charged: int, model: str = "m", key_id: int = 1) -> None:
    hour = int(at.timestamp()) // 3600
    with database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO rollup (hour, account_id, key_id, model, requests, failed, input, cached, cache_write, output,"
            " reasoning, other, actual, charged, loss) VALUES (?, 1, ?, ?, 1, 0, 10, 0, 0, 5, 0, 0, ?, ?, 0)",
            (hour, key_id, model, charged, charged),
        )


def by_day(database: Database, first: date, last: date, zone: ZoneInfo) -> list[int]:
    found = asyncio.run(spent(database, 1, days_between(first, last, zone)))
    return [sums.charged for _, sums in sorted(found.by_step())]


def test_a_day_begins_at_the_readers_midnight(database: Database) -> None:
    put(database, datetime(2026, 11, 22, 23, tzinfo=MOSCOW), 1)
    put(database, datetime(2026, 11, 23, 0, tzinfo=MOSCOW), 10)
    put(database, datetime(2026, 11, 23, 23, tzinfo=MOSCOW), 100)
    assert by_day(database, date(2026, 11, 22), date(2026, 11, 23), MOSCOW) == [1, 110]
    assert by_day(database, date(2026, 11, 23), date(2026, 11, 23), MOSCOW) == [110]


def test_days_keep_their_hours_when_clocks_change(database: Database) -> None:
    # 25 October 2026 has 25 hours in Berlin, 29 March 23.
    for day in (24, 25, 26):
        for hour in (0, 23):
            put(database, datetime(2026, 10, day, hour, tzinfo=BERLIN), 1 if hour else 10)
    assert by_day(database, date(2026, 10, 24), date(2026, 10, 26), BERLIN) == [11, 11, 11]
    for day in (28, 29, 30):
        for hour in (0, 23):
            put(database, datetime(2026, 3, day, hour, tzinfo=BERLIN), 1 if hour else 10)
    assert by_day(database, date(2026, 3, 28), date(2026, 3, 30), BERLIN) == [11, 11, 11]


def test_the_smaller_parts_become_one(database: Database) -> None:
    moment = datetime(2026, 11, 23, 12, tzinfo=MOSCOW)
    for number in range(8):
        put(database, moment, 10**number, model=f"m{number}")
    found = asyncio.run(spent(database, 1, days_until(date(2026, 11, 23), 2, MOSCOW)))
    series = found.series("charged", "Other")
    assert [line.name for line in series] == ["m7", "m6", "m5", "m4", "m3", "Other"]
    assert list(series[-1].values) == [0, 111] and found.total.charged == 11_111_111


def test_a_range_of_hours_ends_with_the_one_that_runs(database: Database) -> None:
    now = datetime(2026, 11, 23, 10, 59, tzinfo=MOSCOW)
    put(database, now, 7)
    found = asyncio.run(spent(database, 1, hours_until(now, 24)))
    assert found.by_step()[0][1] == Sums(7, 1, 0, 10, 0, 0, 5, 0, 0) and len(found.span.steps) == 24


def test_one_key_can_be_looked_at_alone(database: Database) -> None:
    moment = datetime(2026, 11, 23, 12, tzinfo=MOSCOW)
    put(database, moment, 1, key_id=1)
    put(database, moment, 10, key_id=2)
    span = days_until(date(2026, 11, 23), 1, MOSCOW)
    assert asyncio.run(spent(database, 1, span, key_id=2)).total.charged == 10
    assert asyncio.run(spent(database, 1, span, split="key")).names() == ["2", "1"]
