"""The request log: a list with filters, each request as a conversation and raw, and for how long it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from proxyapi.console.marks import N_
from proxyapi.console.page import Page, get, post
from proxyapi.console.pages.keys import label
from proxyapi.dialects.fields import compact
from proxyapi.errors import NotFound
from proxyapi.identity.accounts import LOG_DAYS
from proxyapi.ids import format_id, parse_id
from proxyapi.logbook.book import DAY_MS, forget, size
from proxyapi.logbook.conversation import read_conversation
from proxyapi.logbook.reading import Body, Entry, Line, Search, id_range, read, search
from proxyapi.store.queries import load_queries

if TYPE_CHECKING:
    from proxyapi.console.speech import Speech

SQL = load_queries("proxyapi.console.pages", "log.sql")

LINES: Final = 50
SHOWN_BYTES_MAX: Final = 200_000
"""Of a raw body on a page; the file has all that is kept."""
OUTCOMES: Mapping[str, tuple[str, int, int]] = {
    "": (N_("Any outcome"), 0, 999),
    "answered": (N_("Answered"), 0, 399),
    "failed": (N_("Not answered"), 400, 999),
    "400": (N_("Refused: 400"), 400, 400),
    "402": (N_("Refused: 402"), 402, 402),
    "403": (N_("Refused: 403"), 403, 403),
    "429": (N_("Refused: 429"), 429, 429),
    "provider": (N_("Provider failed"), 500, 999),
}
"""Value of the field: title, and the statuses from and to."""
REASONS: Mapping[str, str] = {
    "insufficient_balance": N_("not enough money"),
    "permission_denied": N_("not allowed for this key"),
    "rate_limit_exceeded": N_("too many a minute"),
    "key_paused": N_("the key pauses"),
    "invalid_request_error": N_("not understood"),
    "model_not_found": N_("no such model"),
    "upstream_unreachable": N_("provider out of reach"),
    "upstream_timeout": N_("provider too slow"),
    "upstream_broken": N_("provider broke off"),
    "upstream_error": N_("provider failed"),
    "store_unavailable": N_("our store was away"),
}
"""Why the gateway refused, by its codes; others are shown as they are."""
WHO: Mapping[str, str] = {
    "system": N_("System"),
    "user": N_("User"),
    "assistant": N_("Model"),
    "tool": N_("Tool"),
}


# --- the list ---------------------------------------------------------------------------------------------------------


async def index(page: Page) -> Response:
    days = await _days(page)
    wanted = _wanted(page)
    found = await search(page.desk.database.fetch, page.account_id, wanted, limit=LINES)
    keys = await _keys(page)
    asked = {name: page.asked(name) for name in ("q", "from", "to", "key", "outcome")}
    filters = {name: value for name, value in asked.items() if value}
    older = urlencode(filters | {"before": format_id(found.older)}) if found.older is not None else ""
    return await page.render(
        "log.html",
        nav="log",
        days=days,
        lines=found.lines,
        charges=await _charges(page, found.lines),
        keys=keys,
        asked=asked,
        filtered=bool(filters),
        outcomes=OUTCOMES,
        older=older,
        newest=urlencode(filters) if page.asked("before") else None,
        why=_why,
        format_id=format_id,
    )


def _wanted(page: Page) -> Search:
    """What the fields of the form ask for; what is none of their values asks for nothing."""
    text = page.asked("q").strip()[:200]
    ids = id_range(text)
    _, least, most = OUTCOMES.get(page.asked("outcome"), OUTCOMES[""])
    since, until = _day(page.asked("from")), _day(page.asked("to"))
    usual = Search()
    return Search(
        since_ms=_start_ms(page.speech, since) if since else usual.since_ms,
        until_ms=_start_ms(page.speech, until + timedelta(days=1)) - 1 if until else usual.until_ms,
        key_id=_number(page.asked("key")),
        model="" if ids else text,
        status_min=least,
        status_max=most,
        ids=ids,
        before=_id(page.asked("before")),
    )


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1970 < day.year < 9000 else None


def _start_ms(speech: Speech, day: date) -> int:
    """When the day begins where the reader is."""
    return int(datetime.combine(day, time(), speech.zone).timestamp() * 1000)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else 0


def _id(text: str) -> bytes | None:
    try:
        return parse_id(text) if text else None
    except ValueError:
        return None


async def _days(page: Page) -> int:
    rows = await page.desk.database.fetch(SQL["days"], (page.account_id,))
    return int(rows[0][0]) if rows else 0


async def _keys(page: Page) -> dict[int, str]:
    rows = await page.desk.database.fetch(SQL["keys"], (page.account_id,))
    return {key_id: label(name, prefix) for key_id, name, prefix in rows}


async def _charges(page: Page, lines: Sequence[Line]) -> dict[bytes, int]:
    """Nanos by request; one without an entry was never held for."""
    rows = await page.desk.database.fetch(SQL["charges"], (page.account_id, [line.id for line in lines]))
    return dict(rows)


async def is_kept(page: Page, id: bytes) -> bool:
    """The reader's log has the request."""
    return bool(await page.desk.database.fetch(SQL["kept"], (page.account_id, id)))


def _why(line: Line, speech: Speech) -> str:
    """Of a request that was not answered, in a few words; empty where the provider's own words say it."""
    return speech.gettext(REASONS[line.error]) if line.error in REASONS else line.error


# --- one request ------------------------------------------------------------------------------------------------------


async def show(page: Page) -> Response:
    entry = await _entry(page)
    line = entry.line
    days = await _days(page)
    charges = await _charges(page, [line])
    conversation = await asyncio.to_thread(read_conversation, entry)
    return await page.render(
        "log-entry.html",
        nav="log",
        entry=entry,
        line=line,
        id=format_id(line.id),
        charged=charges.get(line.id),
        key=(await _keys(page)).get(line.key_id, str(line.key_id)),
        conversation=conversation,
        who=WHO,
        request=_shown(entry.request),
        response=_shown(entry.response),
        client=dict(entry.request_headers).get("user-agent", ""),
        kept_until=page.speech.local(line.at_ms + days * DAY_MS).date() if days else None,
        why=_why,
    )


async def download(page: Page) -> Response:
    """One body as it is kept, to be saved: never shown by the browser as anything."""
    entry = await _entry(page)
    part = page.path("part")
    if part not in ("request", "response"):
        raise NotFound("There is no such page.")
    body = entry.request if part == "request" else entry.response
    headers = {"content-disposition": f'attachment; filename="{format_id(entry.line.id)}-{part}.txt"'}
    return page.dress(Response(body.data, media_type="text/plain; charset=utf-8", headers=headers))


async def _entry(page: Page) -> Entry:
    id = _id(page.path("id"))
    entry = await read(page.desk.database.fetch, page.account_id, id) if id is not None else None
    if entry is None:
        raise NotFound("There is no such page.")
    return entry


def _shown(body: Body) -> str:
    """JSON with its members on lines of their own and letters in place of their escapes; anything else as it is."""
    data = body.data[:SHOWN_BYTES_MAX]
    text = data.decode("utf-8", "replace")
    if len(body.data) <= SHOWN_BYTES_MAX and data[:1] in (b"{", b"["):
        with suppress(msgspec.DecodeError, RecursionError):
            return msgspec.json.format(compact(data), indent=2)
    return text


# --- whether it is kept -----------------------------------------------------------------------------------------------


async def choose(page: Page) -> Response:
    count, total = await _size(page)
    return await page.render("log-settings.html", nav="log", days=await _days(page), choices=LOG_DAYS[1:], count=count,
                             total=total, sure=False)  # fmt: skip


async def save(page: Page) -> Response:
    chosen = page.field("days")
    if chosen not in map(str, LOG_DAYS):
        return page.go("/log/settings")
    days = int(chosen)
    count, total = await _size(page)
    if not days and count and page.field("sure") != "yes":
        return await page.render("log-settings.html", nav="log", days=await _days(page), choices=LOG_DAYS[1:],
                                 count=count, total=total, sure=True)  # fmt: skip
    await page.desk.write(page.desk.accounts.set_log_days, page.account_id, days)
    if not days:
        # In a thread of its own: a large log takes seconds, and other people's forms should not wait for it.
        await asyncio.to_thread(forget, page.desk.database, page.account_id)
    return page.go("/log" if days else "/log/settings", done="log-on" if days else "log-off")


async def _size(page: Page) -> tuple[int, int]:
    return await asyncio.to_thread(size, page.desk.database, page.account_id)


ROUTES = (
    get("/log", index),
    get("/log/settings", choose),
    post("/log/settings", save),
    get("/log/{id}", show),
    get("/log/{id}/{part}.txt", download),
)
