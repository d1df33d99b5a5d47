"""Every request with what it cost, and its receipt."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from proxyapi.console.numbers import exact_places
from proxyapi.console.page import PREFIX, Page, get
from proxyapi.console.pages.entries import FIRST, LAST, Entry, Filter, entry_on, in_flight, newest
from proxyapi.console.pages.entries import receipt as receipt_of
from proxyapi.console.pages.keys import choices
from proxyapi.console.pages.log import is_kept
from proxyapi.errors import NotFound
from proxyapi.ids import format_id, least_id, parse_id
from proxyapi.money import format_amount
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.console.pages", "transactions.sql")

CSV_ROWS_MAX = 20_000
"""Of one file: some megabytes. A longer time is asked for in parts."""
FIELDS = ("key", "model", "state", "day")


async def index(page: Page) -> Response:
    """A list by cursor; the number of a request leads to its receipt."""
    if asked := page.asked("id").strip():
        return _to_receipt(page, asked)
    wanted = _filter(page)
    found = await newest(page, wanted)
    first = wanted.before == LAST
    flying = await in_flight(page) if first and not any(page.asked(name) for name in FIELDS) else []
    models = await page.desk.database.fetch(SQL["models"], (page.account_id, page.desk.now_ms() // 3_600_000 - 24 * 31))
    kept = {name: value for name in FIELDS if (value := page.asked(name))}
    return await page.render(
        "transactions.html",
        nav="transactions",
        rows=[*flying, *found.rows],
        keys=await choices(page),
        models=[name for (name,) in models],
        kept=kept,
        unknown=page.asked("unknown") == "1",
        first=first,
        newest="?" + urlencode(kept) if kept else "",
        older="?" + urlencode({**kept, "before": found.next.hex()}) if found.next else "",
        csv="?" + urlencode(kept) if kept else "",
    )


async def receipt(page: Page) -> Response:
    """One request: what was held, what was charged for, and what came back."""
    found = await receipt_of(page, _id(page.path("id")))
    names = dict(await choices(page))
    return await page.render(
        "receipt.html",
        nav="transactions",
        entry=entry_on(found, names.get(found.key_id, str(found.key_id))),
        price_id=found.price_id if found.lines else 0,
        lines=found.lines,
        corrected_at=found.corrected_at,
        is_kept=await is_kept(page, found.id),
        places=max((exact_places(line.nanos, 6) for line in found.lines), default=6),
    )


async def table(page: Page) -> Response:
    """The same list as a file for a spreadsheet: sums with all their decimals."""
    wanted, rows = _filter(page), list[Entry]()
    while len(rows) < CSV_ROWS_MAX:
        found = await newest(page, wanted, limit=2000)
        rows += found.rows
        if not found.next:
            break
        wanted = Filter(
            key_id=wanted.key_id, model=wanted.model, state=wanted.state, after=wanted.after, before=found.next
        )
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        ("time", "request_id", "model", "key", "operation", "state", "status", "input_tokens", "cached_tokens",
         "output_tokens", "seconds", "held", "charged", "currency")
    )  # fmt: skip
    for entry in rows[:CSV_ROWS_MAX]:
        writer.writerow(
            (page.speech.iso(entry.created_at), entry.request_id, entry.model, safe(entry.key_name), entry.operation,
             entry.state, entry.status, entry.prompt, entry.cached, entry.answered,
             f"{entry.latency_ms // 1000}.{entry.latency_ms % 1000:03d}", format_amount(entry.held),
             format_amount(entry.charged), page.desk.currency)
        )  # fmt: skip
    return download(page, text.getvalue(), "transactions.csv")


def download(page: Page, text: str, name: str) -> Response:
    """A file; with the mark by which spreadsheets know UTF-8."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return page.dress(Response("\ufeff" + text, headers=headers, media_type="text/csv; charset=utf-8"))


def safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _filter(page: Page) -> Filter:
    key = page.asked("key")
    after, until = _day(page)
    cursor = page.asked("before")
    try:
        before = min(bytes.fromhex(cursor) if len(cursor) == 32 else LAST, until)
    except ValueError:
        before = until
    state = page.asked("state")
    return Filter(
        key_id=int(key) if key.isascii() and key.isdecimal() and len(key) < 18 else 0,
        model=page.asked("model")[:200],
        state=state if state in ("charged", "cut", "failed") else "",
        after=after,
        before=before,
    )


def _day(page: Page) -> tuple[bytes, bytes]:
    """The ids of one day of the reader's; of all days if none is asked for."""
    try:
        day = date.fromisoformat(page.asked("day"))
        start = datetime(day.year, day.month, day.day, tzinfo=page.speech.zone)
        following = day + timedelta(1)
        end = datetime(following.year, following.month, following.day, tzinfo=page.speech.zone)
        return least_id(int(start.timestamp() * 1000)), least_id(int(end.timestamp() * 1000))
    except (ValueError, OverflowError):
        return FIRST, LAST


def _to_receipt(page: Page, text: str) -> Response:
    try:
        id = parse_id(text)
    except ValueError:
        return page.go("/transactions?unknown=1")
    return page.dress(RedirectResponse(f"{PREFIX}/transactions/{format_id(id)}", 303))


def _id(text: str) -> bytes:
    try:
        return parse_id(text)
    except ValueError:
        raise NotFound("There is no such request.") from None


ROUTES = (
    get("/transactions", index),
    get("/transactions.csv", table),
    get("/transactions/{id}", receipt),
)
