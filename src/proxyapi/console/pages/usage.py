"""What was spent on what: by day or hour, by model, key or part of the API; as a chart, a table and a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from proxyapi.console import charts
from proxyapi.console.page import Page, get
from proxyapi.console.pages.keys import ENDPOINT_WORDS, choices
from proxyapi.console.pages.transactions import download, safe
from proxyapi.console.spending import (
    EPOCH,
    SQL,
    Measure,
    Range,
    Spending,
    Split,
    Sums,
    days_between,
    days_until,
    hours_until,
    spent,
    total,
)
from proxyapi.ids import least_id
from proxyapi.money import format_amount

DAYS = (1, 7, 30, 90)
DAYS_MAX = 366
"""Of a range that is asked for by dates."""
OPERATIONS_LOOKED_MAX = 10_000
"""Parts of the API are not in the rollups: the newest requests of the range are added up."""
MEASURES: tuple[Measure, ...] = ("charged", "tokens", "requests")


class Wanted(NamedTuple):
    """What the address asks for."""

    span: Range
    days: int
    """Of the buttons; 0: by dates."""
    by: str
    """`model`, `key` or `operation`."""
    measure: Measure
    key_id: int
    kept: dict[str, str]
    """The address, without what is at its default."""


async def index(page: Page) -> Response:
    wanted = _wanted(page)
    split: Split = "key" if wanted.by == "key" else "model"
    spending = await spent(page.desk.database, page.account_id, wanted.span, split=split, key_id=wanted.key_id)
    before = await total(page.desk.database, page.account_id, wanted.span.before()) if not wanted.key_id else Sums()
    keys = await choices(page)
    names = {str(key_id): name for key_id, name in keys} if split == "key" else {}
    operations, looked = await _operations(page, wanted) if wanted.by == "operation" else ([], 0)
    return await page.render(
        "usage.html",
        nav="usage",
        wanted=wanted,
        spending=spending,
        before=before,
        names=names,
        keys=keys,
        chart=_chart(page, spending, wanted, names),
        steps=[(_step(page, step, wanted.span), sums) for step, sums in spending.by_step()],
        operations=operations,
        looked=looked,
        first=wanted.span.first.date(),
        last=(wanted.span.after - timedelta(seconds=1)).date(),
        link=lambda **changed: _link(wanted.kept, **changed),
        periods=DAYS,
    )


async def table(page: Page) -> Response:
    """Every step and part of the range, with all decimals."""
    wanted = _wanted(page)
    split: Split = "key" if wanted.by == "key" else "model"
    spending = await spent(page.desk.database, page.account_id, wanted.span, split=split, key_id=wanted.key_id)
    names = {str(key_id): name for key_id, name in await choices(page)} if split == "key" else {}
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("hour" if wanted.span.hourly else "day", split, *Sums._fields, "currency"))
    for name in spending.names():
        for step, sums in spending.steps_of(name):
            at = _iso(step, wanted.span)
            charged, *others = sums
            row = (at, safe(names.get(name, name)), format_amount(charged), *others, page.desk.currency)
            writer.writerow(row)
    return download(page, text.getvalue(), "usage.csv")


def _wanted(page: Page) -> Wanted:
    asked = {name: page.asked(name) for name in ("days", "from", "to", "by", "show", "key")}
    days = int(asked["days"]) if asked["days"] in map(str, DAYS) else 30
    span, by_dates = _span(page, asked["from"], asked["to"])
    if span is None:
        zone, today = page.speech.zone, page.speech.today()
        now = datetime.fromtimestamp(page.speech.now, zone)
        span = hours_until(now, 24) if days == 1 else days_until(today, days, zone)
    key = asked["key"]
    return Wanted(
        span=span,
        days=0 if by_dates else days,
        by=asked["by"] if asked["by"] in ("key", "operation") else "model",
        measure=asked["show"] if asked["show"] in MEASURES else "charged",
        key_id=int(key) if key.isascii() and key.isdecimal() and len(key) < 18 else 0,
        kept={name: value for name, value in asked.items() if value},
    )


def _span(page: Page, first: str, last: str) -> tuple[Range | None, bool]:
    """A range by dates, if they can be read: the later one is the end, whichever was typed first."""
    try:
        dates = sorted((date.fromisoformat(first), date.fromisoformat(last)))
    except ValueError:
        return None, False
    last_day = min(dates[1], dates[0] + timedelta(DAYS_MAX - 1))
    if dates[0].year < 1971 or last_day.year > 2200:
        return None, False
    return days_between(dates[0], last_day, page.speech.zone), True


def _chart(page: Page, spending: Spending, wanted: Wanted, names: dict[str, str]) -> dict[str, Any]:
    speech = page.speech
    tell = speech.plain if wanted.measure == "charged" else speech.number
    axis = speech.axis if wanted.measure == "charged" else lambda value, _top: speech.short(value)
    series = spending.series(wanted.measure, speech.gettext("Other"))
    series = [charts.Series(names.get(line.name, line.name), line.values) for line in series]
    steps = [_step(page, step, wanted.span) for step in spending.span.steps]
    whole = tell(getattr(spending.total, wanted.measure))
    label = speech.gettext("%(total)s in total") % {"total": whole}
    return {
        "picture": charts.stacked(series, steps, label=label, tell=tell, axis=axis),
        "names": [line.name for line in series],
    }


def _step(page: Page, step: int, span: Range) -> str:
    if span.hourly:
        return page.speech.local(step * 3_600_000).strftime("%H:%M")
    return page.speech.day(EPOCH + timedelta(step))


def _iso(step: int, span: Range) -> str:
    if span.hourly:
        return datetime.fromtimestamp(step * 3600, span.first.tzinfo).isoformat(timespec="minutes")
    return (EPOCH + timedelta(step)).isoformat()


async def _operations(page: Page, wanted: Wanted) -> tuple[list[tuple[str, int, int, int]], int]:
    """Title, nanos, answered and failed requests of each part of the API; and how many requests were added up."""
    first, after = (least_id(ms) for ms in wanted.span.milliseconds)
    parameters = (page.account_id, first, after, OPERATIONS_LOOKED_MAX, wanted.key_id, wanted.key_id)
    rows: Sequence[Sequence[Any]] = await page.desk.database.fetch(SQL["by_operation"], parameters)
    found = [
        (page.speech.gettext(ENDPOINT_WORDS.get(name, name)), int(charged), int(answered), int(failed))
        for name, charged, answered, failed, _, _ in rows
    ]
    return sorted(found, key=lambda row: (-row[1], row[0])), sum(int(row[4]) for row in rows)


def _link(kept: dict[str, str], **changed: object) -> str:
    """The same page with some of it changed; `days` takes the place of dates."""
    if "days" in changed:
        kept = {name: value for name, value in kept.items() if name not in ("from", "to")}
    return "?" + urlencode({**kept, **changed})


ROUTES = (get("/usage", index), get("/usage.csv", table))
