"""The first page: what there is, what was spent, and how long it lasts."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import NamedTuple

from starlette.responses import Response

from proxyapi.console import charts
from proxyapi.console.page import Balance, Page, get
from proxyapi.console.pages.entries import Filter, newest
from proxyapi.console.speech import Speech
from proxyapi.console.spending import EPOCH, SQL, Spending, Sums, days_until, spent, total, whole

CHART_DAYS = 30
AVERAGE_DAYS = 7
RECENT = 8
FORECAST_DAYS_MAX = 366
"""What lasts longer is said to last for more than a year."""


class Forecast(NamedTuple):
    """How long the balance lasts if one goes on as in the last days."""

    days: int
    until: date


async def index(page: Page) -> Response:
    database, speech = page.desk.database, page.speech
    today = speech.today()
    spending, balance, held, recent, keys = await asyncio.gather(
        spent(database, page.account_id, days_until(today, CHART_DAYS, speech.zone)),
        page.balance(),
        database.fetch(SQL["held"], (page.account_id,)),
        newest(page, Filter(), limit=RECENT),
        database.fetch(HAS_KEYS, (page.account_id,)),
    )
    days = spending.by_step()
    if today.day <= CHART_DAYS:  # nearly always the chart has all of the month
        this_month = whole(sums for _, sums in days[: today.day])
    else:
        this_month = await total(database, page.account_id, days_until(today, today.day, speech.zone))
    return await page.render(
        "overview.html",
        nav="overview",
        chart=chart_of(spending, speech),
        spending=spending,
        days=[(speech.day(EPOCH + timedelta(step)), sums) for step, sums in days],
        today=days[0][1],
        yesterday=days[1][1],
        month_name=speech.month(today),
        this_month=this_month,
        in_flight=int(held[0][0]),
        forecast=forecast_of(balance, [sums for _, sums in days[1 : AVERAGE_DAYS + 1]], today),
        recent=recent.rows,
        fresh=not keys,
    )


def chart_of(spending: Spending, speech: Speech) -> dict[str, object]:
    """The chart of days with its legend."""
    series = spending.series("charged", speech.gettext("Other"))
    steps = [speech.day(EPOCH + timedelta(step)) for step in spending.span.steps]
    label = speech.gettext("Spend by day, %(total)s in total") % {"total": speech.plain(spending.total.charged)}
    picture = charts.stacked(series, steps, label=label, tell=speech.plain, axis=speech.axis)
    return {"picture": picture, "names": [line.name for line in series]}


def forecast_of(balance: Balance, days: list[Sums], today: date) -> Forecast | None:
    """By the average of whole days; None: nothing was spent."""
    each = sum(sums.charged for sums in days) // len(days)
    if each <= 0:
        return None
    left = min(max(0, balance.free) // each, FORECAST_DAYS_MAX)
    return Forecast(left, today + timedelta(left))


HAS_KEYS = "SELECT 1 FROM key WHERE account_id = ? LIMIT 1"

ROUTES = (get("/", index),)
