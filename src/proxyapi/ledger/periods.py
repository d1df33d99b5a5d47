"""Hours and days of sums, and the periods of budgets. All in milliseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from proxyapi.ledger.ops import Budget, Period

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000

BudgetPeriod = tuple[int, Period, int]
"""Key, kind of period, when the period began."""


def period_start(period: Period, now_ms: int) -> int:
    """When the period that runs at `now_ms` began (UTC)."""
    if period == "never":
        return 0
    if period == "day":
        return now_ms - now_ms % DAY_MS
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return int(datetime(now.year, now.month, 1, tzinfo=UTC).timestamp()) * 1000


def budget_period(budget: Budget, now_ms: int) -> BudgetPeriod:
    """The one that runs at `now_ms`."""
    return budget.key_id, budget.period, period_start(budget.period, now_ms)
