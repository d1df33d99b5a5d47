"""Reports of what was used, read from the rollups only, which are exact."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, NamedTuple

from proxyapi.ledger.periods import DAY_MS, HOUR_MS
from proxyapi.store.database import Database
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.ledger", "usage.sql")


class UsageLine(NamedTuple):
    """Sums of one day, model or key."""

    name: str
    """A day as `2025-11-23` (UTC), a model, or the id of a key."""
    requests: int
    """Answered ones; `failed` were not and cost nothing."""
    failed: int
    input: int
    cached: int
    cache_write: int
    output: int
    reasoning: int
    other: int
    """Images, characters, seconds, calls of tools."""
    actual: int
    """Nanos: what it cost; `charged` of it was paid, `loss` is the operator's."""
    charged: int
    loss: int


def usage_now(
    database: Database, by: Literal["day", "model", "key"], *, account_id: int | None = None, since_ms: int = 0
) -> list[UsageLine]:
    """Blocking. `since_ms` counts from the beginning of its hour."""
    rows = database.fetch_now(SQL[f"by_{by}"], (account_id, account_id, since_ms // HOUR_MS))
    return [UsageLine(_day(row[0]) if by == "day" else str(row[0]), *row[1:]) for row in rows]


def _day(number: int) -> str:
    """Of days since 1970, as `2025-11-23`."""
    return datetime.fromtimestamp(number * DAY_MS // 1000, UTC).strftime("%Y-%m-%d")
