"""Keys: what each may do and has spent; made, edited, disabled and revoked. The key itself is shown once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, cast

import msgspec
from msgspec import Struct
from starlette.responses import Response

from proxyapi.console.forms import Problems, amount_of, count_of, lines_of
from proxyapi.console.marks import N_
from proxyapi.console.page import Page, get, post
from proxyapi.errors import InvalidRequest, NotFound
from proxyapi.identity.accounts import KeySettings
from proxyapi.identity.addresses import parse_network
from proxyapi.identity.keys import texts
from proxyapi.identity.permissions import ENDPOINTS
from proxyapi.ledger.ops import Period
from proxyapi.ledger.periods import period_start
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.console.pages", "keys.sql")

HOUR_MS = 3_600_000
KEYS_MAX = 300
"""Of one account, revoked ones apart: the list is one page."""

ENDPOINT_WORDS: Mapping[str, str] = {
    "chat": N_("Chat"),
    "responses": "Responses",
    "messages": "Messages",
    "generate": "Gemini",
    "completions": N_("Completions"),
    "embeddings": N_("Embeddings"),
    "image_generation": N_("Images"),
    "image_edit": N_("Image edits"),
    "image_variation": N_("Image variations"),
    "speech": N_("Speech"),
    "transcription": N_("Transcription"),
    "translation": N_("Audio translation"),
    "moderations": N_("Moderation"),
    "count_tokens": N_("Token counts"),
}
"""What pages call the parts of the API."""
WRONG: Mapping[str, str] = {
    "name": N_("A name has up to 100 characters"),
    "models": N_("Up to 200 patterns of up to 200 characters"),
    "endpoints": N_("There is no such part of the API"),
    "networks": N_("Up to 200 addresses or networks"),
    "budget": N_("A budget is a sum from zero"),
    "period": N_("Choose one of the periods"),
    "requests_per_minute": N_("A whole number from 1"),
    "tokens_per_minute": N_("A whole number from 1"),
}
"""Field -> what is said beside it if it is wrong."""


def label(name: str, prefix: str) -> str:
    """What a key is called: its first characters tell those without a name apart."""
    return name or f"{prefix}…"


async def choices(page: Page) -> list[tuple[int, str]]:
    """The account's keys, with what they are called, to choose one by."""
    rows = await page.desk.database.fetch(SQL["choices"], (page.account_id,))
    return [(key_id, label(name, prefix)) for key_id, name, prefix in rows]


class Shown(Struct, frozen=True, kw_only=True):
    """A key in the list. Amounts in nanos, times in milliseconds since 1970."""

    id: int
    prefix: str
    status: str
    created_at: int
    settings: KeySettings
    used: int
    """Of the budget, in the period that runs."""
    held: int
    paused_until: int
    last_hour: int
    """When it was used last, to the hour; 0: never."""
    this_month: int

    @property
    def name(self) -> str:
        return label(self.settings.name, self.prefix)

    @property
    def spent_up(self) -> bool:
        limit = self.settings.budget_limit
        return limit is not None and self.used + self.held >= limit

    def state(self, now: int) -> str:
        """`ok`, or why it does not work."""
        if self.status != "active":
            return self.status
        if self.settings.expires_at is not None and self.settings.expires_at <= now:
            return "expired"
        if self.paused_until > now:
            return "paused"
        return "spent" if self.spent_up else "ok"


async def index(page: Page) -> Response:
    keys = await shown_keys(page)
    now = page.desk.now_ms()
    states = [key.state(now) for key in keys]
    return await page.render(
        "keys.html",
        nav="keys",
        keys=[key for key in keys if key.status != "revoked"],
        revoked=[key for key in keys if key.status == "revoked"],
        now=now,
        working=states.count("ok"),
        attention=sum(state in ("paused", "spent", "expired") for state in states),
        **form_values(page, KeySettings(), {}),
    )


async def new(page: Page) -> Response:
    return await page.render("key-new.html", nav="keys", **form_values(page, KeySettings(), {}))


async def create(page: Page) -> Response:
    """The answer shows the key; no other ever will."""
    settings, problems = read_settings(page, KeySettings())
    if not problems and len([key for key in await shown_keys(page) if key.status != "revoked"]) >= KEYS_MAX:
        problems["name"] = page.speech.gettext(N_("There are too many keys: revoke some first"))
    if problems:
        values = form_values(page, settings, problems)
        return await page.render("key-new.html", status=400, nav="keys", **values)
    try:
        key_id, plain = await page.desk.write(page.desk.keys.create, page.account_id, settings)
    except InvalidRequest as error:
        values = form_values(page, settings, _problem(page, error))
        return await page.render("key-new.html", status=400, nav="keys", **values)
    key = await _own(page, key_id)
    return await page.render("key-created.html", nav="keys", key=key, secret=plain, **words(page))


async def show(page: Page) -> Response:
    key = await _own(page, page.number("id"))
    return await _form(page, key, key.settings, {})


async def edit(page: Page) -> Response:
    key = await _own(page, page.number("id"))
    settings, problems = read_settings(page, key.settings)
    if problems:
        return await _form(page, key, settings, problems)
    try:
        await page.desk.write(page.desk.keys.edit, key.id, lambda _: settings)
    except InvalidRequest as error:
        return await _form(page, key, settings, _problem(page, error))
    return page.go("/keys", done="key-saved")


async def disable(page: Page) -> Response:
    key = await _own(page, page.number("id"))
    await page.desk.write(page.desk.keys.set_status, key.id, "disabled")
    return page.go("/keys", done="key-disabled")


async def enable(page: Page) -> Response:
    key = await _own(page, page.number("id"))
    await page.desk.write(page.desk.keys.set_status, key.id, "active")
    return page.go("/keys", done="key-enabled")


async def revoke(page: Page) -> Response:
    key = await _own(page, page.number("id"))
    await page.desk.write(page.desk.keys.set_status, key.id, "revoked")
    return page.go("/keys", done="key-revoked")


# --- reading ---------------------------------------------------------------------------------------------------------


async def shown_keys(page: Page, key_id: int = 0) -> list[Shown]:
    """Those of the account, or one of them."""
    now = page.desk.now_ms()
    month = period_start("month", now)
    parameters = (month // HOUR_MS, period_start("day", now), month, page.account_id, key_id, key_id)
    return [_shown(row) for row in await page.desk.database.fetch(SQL["keys"], parameters)]


async def _own(page: Page, key_id: int) -> Shown:
    """NotFound: there is none, or it is another account's."""
    keys = await shown_keys(page, key_id) if key_id else []
    if not keys:
        raise NotFound("There is no such key.")
    return keys[0]


def _shown(row: Sequence[Any]) -> Shown:
    (key_id, prefix, status, created_at, name, models, endpoints, networks, limit, period, rpm, tpm, may_query,
     expires_at, used, held, until, last_hour, this_month) = row  # fmt: skip
    settings = KeySettings(
        name=name, models=texts(models), endpoints=texts(endpoints), networks=texts(networks), budget_limit=limit,
        budget_period=period, requests_per_minute=rpm, tokens_per_minute=tpm, may_query_balance=bool(may_query),
        expires_at=expires_at,
    )  # fmt: skip
    return Shown(
        id=key_id, prefix=prefix, status=status, created_at=created_at, settings=settings, used=used, held=held,
        paused_until=until or 0, last_hour=(last_hour or 0) * HOUR_MS, this_month=this_month,
    )  # fmt: skip


# --- the form --------------------------------------------------------------------------------------------------------


def read_settings(page: Page, before: KeySettings) -> tuple[KeySettings, Problems]:
    """What was typed; where it can't be read, the setting stays as before and the problem is named."""
    problems: Problems = {}
    period = page.field("period")
    settings = msgspec.structs.replace(
        before,
        name=page.field("name"),
        models=lines_of(page.field("models")),
        endpoints=tuple(name for name in page.fields("endpoints") if name in ENDPOINTS),
        networks=_networks(page, problems),
        budget_limit=amount_of(page, "budget", problems),
        budget_period=cast(Period, period) if period in ("never", "day", "month") else "never",
        requests_per_minute=count_of(page, "requests_per_minute", problems),
        tokens_per_minute=count_of(page, "tokens_per_minute", problems),
        may_query_balance=bool(page.field("may_query_balance")),
        expires_at=_expiry(page, problems),
    )
    return settings, problems


def form_values(page: Page, settings: KeySettings, problems: Problems) -> dict[str, Any]:
    """For the form: what was typed comes back as it was typed."""
    return {"settings": settings, "errors": problems, "typed": page.field, "again": bool(problems), **words(page)}


def words(page: Page) -> dict[str, Any]:
    return {"endpoints": {name: page.speech.gettext(ENDPOINT_WORDS.get(name, name)) for name in ENDPOINTS}}


async def _form(page: Page, key: Shown, settings: KeySettings, problems: Problems) -> Response:
    values = form_values(page, settings, problems)
    state = key.state(page.desk.now_ms())
    return await page.render("key.html", status=400 if problems else 200, nav="keys", key=key, state=state, **values)


def _networks(page: Page, problems: Problems) -> tuple[str, ...]:
    found = lines_of(page.field("networks"))
    for text in found:
        try:
            parse_network(text)
        except ValueError:
            words = page.speech.gettext(N_("%(value)s is not an address or a network such as 192.0.2.0/24"))
            problems["networks"] = words % {"value": text[:60]}
    return found


def _expiry(page: Page, problems: Problems) -> int | None:
    """The end of a day of the reader's."""
    text = page.field("expires")
    if not text:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(1)
        return int(datetime(day.year, day.month, day.day, tzinfo=page.speech.zone).timestamp()) * 1000
    except (ValueError, OverflowError):
        problems["expires"] = page.speech.gettext(N_("This is not a date"))
        return None


def _problem(page: Page, error: InvalidRequest) -> Problems:
    return {error.param or "name": page.speech.gettext(WRONG.get(error.param or "", error.detail))}


ROUTES = (
    get("/keys", index),
    get("/keys/new", new),
    post("/keys", create),
    get("/keys/{id}", show),
    post("/keys/{id}", edit),
    post("/keys/{id}/disable", disable),
    post("/keys/{id}/enable", enable),
    post("/keys/{id}/revoke", revoke),
)
