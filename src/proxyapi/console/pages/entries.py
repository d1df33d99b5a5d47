"""Requests as the journal has them: lists by cursor, and one with its receipt. Only those of the reader's own account.

A list looks at 5,000 entries at most and goes on from there when it is asked for more: a filter that nothing passes
through does not read a journal of millions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from proxyapi.console.marks import N_
from proxyapi.console.page import Page
from proxyapi.console.pages.keys import label
from proxyapi.errors import NotFound
from proxyapi.ids import format_id
from proxyapi.ledger.ops import Attempt
from proxyapi.ledger.receipt import Receipt, State, find_receipt
from proxyapi.store.queries import load_queries
from proxyapi.usage import INPUT_TOKENS, Unit

SQL = load_queries("proxyapi.console.pages", "entries.sql")

PAGE_ROWS = 50
LOOKED_MAX = 5_000
"""Entries that one page looks at."""
FIRST = b""
LAST = b"\xff" * 16
WHOLE = ("completed", "background")
"""Endings of answers that were brought to their end."""

STATES: Mapping[str, tuple[str, str]] = {
    "charged": ("ok", N_("Charged")),
    "held": ("held", N_("Held")),
    "cut": ("warn", N_("Cut short")),
    "corrected": ("ok", N_("Charged later")),
    "refused": ("bad", N_("Refused")),
    "provider": ("bad", N_("Provider")),
    "lost": ("bad", N_("Interrupted")),
    "left": ("warn", N_("Client left")),
}
"""State -> its mark and its word."""


class Entry(Struct, frozen=True, kw_only=True):
    """One request that has ended, or is on its way (`state` held). Amounts in nanos, times in milliseconds."""

    id: bytes
    """Its place in the list."""
    ref: bytes | None = None
    """Of a late charge: the request that it belongs to."""
    state: str
    key_id: int
    key_name: str
    held: int
    charged: int
    actual: int = 0
    units: dict[Unit, int] = {}
    source: str = ""
    ending: str = ""
    status: int = 0
    operation: str
    provider: str
    model: str
    latency_ms: int = 0
    first_byte_ms: int = 0
    upstream_id: str = ""
    tried: tuple[Attempt, ...] = ()
    """Who was asked before the provider that answered, or was the last."""
    created_at: int

    @property
    def request_id(self) -> str:
        return format_id(self.ref or self.id)

    @property
    def look(self) -> str:
        """The class of its mark."""
        return STATES[self.state][0]

    @property
    def word(self) -> str:
        return STATES[self.state][1]

    @property
    def code(self) -> int:
        """The status that explains a refusal; 0: it needs none."""
        return self.status if self.state in ("refused", "provider") else 0

    @property
    def prompt(self) -> int:
        return sum(quantity for unit, quantity in self.units.items() if unit in INPUT_TOKENS)

    @property
    def cached(self) -> int:
        return sum(self.units.get(unit, 0) for unit in (Unit.CACHE_READ, Unit.CACHE_READ_AUDIO))

    @property
    def answered(self) -> int:
        return sum(self.units.get(unit, 0) for unit in (Unit.OUTPUT, Unit.REASONING, Unit.OUTPUT_AUDIO))


class Filter(Struct, frozen=True, kw_only=True):
    """What a list is narrowed to; empty values let everything through."""

    key_id: int = 0
    model: str = ""
    state: str = ""
    """`charged`, `cut` or `failed`."""
    after: bytes = FIRST
    """The least id, and so the earliest time."""
    before: bytes = LAST
    """Ids from here on are not shown: the cursor."""


class Found(NamedTuple):
    rows: list[Entry]
    next: bytes
    """The cursor of the page after this; empty: that was all."""


async def newest(page: Page, wanted: Filter, *, limit: int = PAGE_ROWS) -> Found:
    """The newest first."""
    database = page.desk.database
    state = wanted.state
    rows = await database.fetch(
        SQL["newest"],
        (
            page.account_id, wanted.before, wanted.after, LOOKED_MAX, wanted.key_id, wanted.key_id, wanted.model,
            wanted.model, state, state, state, state, limit + 1,
        ),
    )  # fmt: skip
    found = [entry_of(row) for row in rows[:limit]]
    if len(rows) > limit:
        return Found(found, found[-1].id)
    last = await database.fetch(SQL["last_looked_at"], (page.account_id, wanted.before, wanted.after, LOOKED_MAX - 1))
    return Found(found, bytes(last[0][0]) if last else b"")


async def in_flight(page: Page) -> list[Entry]:
    """Requests that are held for now."""
    return [_held(row) for row in await page.desk.database.fetch(SQL["in_flight"], (page.account_id,))]


async def receipt(page: Page, id: bytes) -> Receipt:
    """NotFound: there is none, or it is another account's."""
    found = await find_receipt(page.desk.database, id)
    if found is None or found.account_id != page.account_id:
        raise NotFound("There is no such request.")
    return found


def entry_on(receipt: Receipt, key_name: str) -> Entry:
    """What a receipt says, as a line of a list has it."""
    return Entry(
        id=receipt.id, state=_state(_KINDS[receipt.state], receipt.ending, receipt.status or 0), key_id=receipt.key_id,
        key_name=key_name, held=receipt.held, charged=receipt.charged, actual=receipt.actual, source=receipt.source,
        ending=receipt.ending, status=receipt.status or 0, operation=receipt.operation, provider=receipt.provider,
        model=receipt.model, latency_ms=receipt.latency_ms or 0, first_byte_ms=receipt.first_byte_ms or 0,
        upstream_id=receipt.upstream_id, tried=receipt.tried, created_at=receipt.ended_at or receipt.started_at,
    )  # fmt: skip


_KINDS: Mapping[State, str] = {
    "held": "held", "settled": "settle", "released": "release", "expired": "expire", "corrected": "correction",
}  # fmt: skip


def entry_of(row: Sequence[Any]) -> Entry:
    (id, kind, key_id, name, prefix, held, actual, charged, units, source, ending, status, operation, provider, model,
     latency_ms, first_byte_ms, upstream_id, created_at, ref) = row  # fmt: skip
    return Entry(
        id=bytes(id), ref=ref, state=_state(kind, ending or "", status or 0), key_id=key_id or 0,
        key_name=label(name, prefix) if prefix else "", held=held, charged=charged, actual=actual,
        units=_units(units), source=source or "", ending=ending or "", status=status or 0,
        operation=operation or "", provider=provider or "", model=model or "", latency_ms=latency_ms or 0,
        first_byte_ms=first_byte_ms or 0, upstream_id=upstream_id or "", created_at=created_at,
    )  # fmt: skip


def _held(row: Sequence[Any]) -> Entry:
    id, key_id, name, prefix, amount, operation, provider, model, created_at = row
    return Entry(
        id=bytes(id), state="held", key_id=key_id, key_name=label(name, prefix), held=amount, charged=0,
        operation=operation, provider=provider, model=model, created_at=created_at,
    )  # fmt: skip


def _units(text: str | None) -> dict[Unit, int]:
    return msgspec.json.decode(text, type=dict[Unit, int]) if text else {}


def _state(kind: str, ending: str, status: int) -> str:
    if kind == "settle":
        return "charged" if ending in WHOLE else "cut"
    if kind == "held":
        return "held"
    if kind == "correction":
        return "corrected"
    if kind == "expire":
        return "lost"
    if ending == "client_gone":
        return "left"
    return "provider" if status >= 500 or ending.startswith("upstream") else "refused"
