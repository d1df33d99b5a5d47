"""Months of the journal, UTC, as numbers such as 202511. An entry belongs to the month of its `created_at`."""

from __future__ import annotations

from datetime import UTC, datetime


def start_of(month: int) -> int:
    """Its first millisecond."""
    return int(datetime(month // 100, month % 100, 1, tzinfo=UTC).timestamp()) * 1000


def end_of(month: int) -> int:
    """The first millisecond of the next one."""
    return start_of(after(month))


def after(month: int) -> int:
    """The next month."""
    return month + 89 if month % 100 == 12 else month + 1


def month_of(milliseconds: int) -> int:
    """The month that a time is in."""
    at = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return at.year * 100 + at.month


def parse_month(text: str) -> int:
    """`2025-11` as 202511; ValueError if it is no month."""
    year, _, month = text.partition("-")
    if not (len(year) == 4 and len(month) == 2 and (year + month).isdecimal() and 1 <= int(month) <= 12):
        raise ValueError(f"{text!r} is not a month such as 2025-11")
    return int(year) * 100 + int(month)


def format_month(month: int) -> str:
    """202511 as `2025-11`."""
    return f"{month // 100:04d}-{month % 100:02d}"


def label(milliseconds: int) -> str:
    """A time for people: UTC, to the minute."""
    return f"{datetime.fromtimestamp(milliseconds // 1000, UTC):%Y-%m-%d %H:%M}"
