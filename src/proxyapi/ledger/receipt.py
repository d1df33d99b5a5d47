"""What one request cost, and why: its entry, its correction if it has one, or its hold while it runs, with the version
of the price that it was held and charged with.

Rows become a receipt by `receipt_of`, which is pure. Entries of months that were sealed and moved out are not found.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, cast

import msgspec
from msgspec import Raw, Struct

from proxyapi.ids import format_id, made_at_ms
from proxyapi.ledger.ops import Attempt
from proxyapi.ledger.plan import correction_id
from proxyapi.money import NANOS_PER_UNIT, format_amount
from proxyapi.pricing import price as prices
from proxyapi.pricing.charge import lines
from proxyapi.pricing.price import RATE_UNITS
from proxyapi.store.database import Database
from proxyapi.store.queries import load_queries
from proxyapi.usage import Unit

SQL = load_queries("proxyapi.ledger", "receipt.sql")

State = Literal["held", "settled", "released", "expired", "corrected"]
_STATES: dict[str, State] = {"settle": "settled", "release": "released", "expire": "expired"}
_UNITS = msgspec.json.Decoder(dict[str, int])
_TRIED = msgspec.json.Decoder(tuple[Attempt, ...])

ENDINGS = {
    "abandoned": "not sent: the store did not answer in time",
    "background": "answered in the background",
    "background_deleted": "deleted before anybody could see what it used: what was held is charged",
    "background_failed": "failed in the background",
    "background_lost": "lost in the background",
    "capped": "ended at the cap that the request set itself",
    "client_gone": "the client left before the end",
    "completed": "answered",
    "error_body": "the provider answered with an error",
    "error_event": "the provider reported an error in its answer",
    "interrupted": "ended before it was answered",
    "unavailable": "the gateway was at its limit",
    "upstream_broken": "the provider broke off its answer",
    "upstream_error": "the provider refused the gateway's own access",
    "upstream_refused": "the provider refused it",
    "upstream_timeout": "the provider did not answer in time",
    "upstream_unreachable": "the provider could not be reached",
    "worker_lost": "the process that served it was lost",
}
"""Words of the journal in words for people; others stand for themselves."""


def words_of(ending: str) -> str:
    return ENDINGS.get(ending, ending.replace("_", " "))


def attempts(note: str | None) -> tuple[Attempt, ...]:
    """Who was asked before, of the note of a request's entry."""
    return _TRIED.decode(note) if note else ()


class Entry(NamedTuple):
    """A row of `receipt_entries`."""

    id: bytes
    kind: str
    account_id: int
    key_id: int | None
    held: int
    actual: int
    charged: int
    loss: int
    price_id: int | None
    variant: str | None
    units: str | None
    source: str | None
    ending: str | None
    status: int | None
    operation: str | None
    provider: str | None
    model: str | None
    latency_ms: int | None
    first_byte_ms: int | None
    attempts: int | None
    upstream_id: str | None
    upstream_cost: int | None
    created_at: int
    note: str | None = None
    """Who was asked before, as JSON."""


class Held(NamedTuple):
    """A row of `receipt_hold`."""

    id: bytes
    account_id: int
    key_id: int
    amount: int
    price_id: int
    operation: str
    provider: str
    model: str
    created_at: int


class ReceiptLine(NamedTuple):
    unit: str
    quantity: int
    rate: int
    """Nanos per million units."""

    @property
    def amount(self) -> str:
        """Quantity x rate as an exact decimal; the sum of all lines, rounded up to a nano, is the cost."""
        whole, rest = divmod(self.quantity * self.rate, NANOS_PER_UNIT * RATE_UNITS)
        return f"{whole}.{rest:015d}".rstrip("0").rstrip(".")

    @property
    def nanos(self) -> int:
        """The same in whole nanos, rounded down."""
        return self.quantity * self.rate // RATE_UNITS


class Receipt(Struct, frozen=True, kw_only=True):
    """Amounts are nanos, times milliseconds since 1970."""

    id: bytes
    state: State
    account_id: int
    key_id: int
    model: str
    provider: str
    operation: str
    price_id: int
    """The version of the price."""
    started_at: int
    ended_at: int | None = None
    """None: it runs."""
    held: int = 0
    lines: tuple[ReceiptLine, ...] = ()
    actual: int = 0
    """The price of the lines."""
    charged: int = 0
    loss: int = 0
    """What the operator carries."""
    upstream_cost: int | None = None
    """What the operator pays for it; None: not known."""
    variant: str = ""
    source: str = ""
    """How the usage is known: reported, counted, estimated."""
    ending: str = ""
    status: int | None = None
    latency_ms: int | None = None
    first_byte_ms: int | None = None
    attempts: int = 0
    tried: tuple[Attempt, ...] = ()
    """Who was asked before the provider that answered, or was the last."""
    upstream_id: str = ""
    corrected_at: int | None = None
    """When a late ending put right what had been taken for lost."""

    @property
    def returned(self) -> int:
        """What of the hold went back to the account."""
        return 0 if self.state == "held" else max(0, self.held - self.charged)

    @property
    def covered(self) -> int:
        """The part of the cost that the operator carries: what a customer is told of a loss."""
        return max(0, self.actual - self.charged)

    @property
    def words(self) -> str:
        """Its ending in words."""
        return "running" if self.state == "held" else words_of(self.ending)


def receipt_of(entry: Entry | Held, correction: Entry | None, price: bytes | str | None) -> Receipt:
    """`correction`: of an entry that expired. `price`: the body of its price version; None: there is no use of it."""
    about: dict[str, Any] = {
        "id": entry.id,
        "account_id": entry.account_id,
        "key_id": entry.key_id or 0,
        "model": entry.model or "",
        "provider": entry.provider or "",
        "operation": entry.operation or "",
        "price_id": entry.price_id or 0,
        "started_at": made_at_ms(entry.id),
    }
    if isinstance(entry, Held):
        return Receipt(state="held", held=entry.amount, **about)
    last = correction or entry
    return Receipt(
        **about | {"price_id": last.price_id or 0},
        state="corrected" if correction is not None else _STATES[entry.kind],
        ended_at=entry.created_at,
        held=entry.held,
        lines=_lines(last, price),
        actual=last.actual,
        charged=entry.charged + last.charged if correction is not None else entry.charged,
        loss=entry.loss + last.loss if correction is not None else entry.loss,
        upstream_cost=last.upstream_cost,
        variant=last.variant or "",
        source=last.source or "",
        ending=last.ending or "",
        status=last.status,
        latency_ms=last.latency_ms,
        first_byte_ms=last.first_byte_ms,
        attempts=last.attempts or 0,
        tried=attempts(last.note),
        upstream_id=last.upstream_id or "",
        corrected_at=None if correction is None else correction.created_at,
    )


def _lines(entry: Entry, price: bytes | str | None) -> tuple[ReceiptLine, ...]:
    usage = {Unit(name): quantity for name, quantity in _UNITS.decode(entry.units or "{}").items()}
    if price is None or not usage:
        return ()
    found = lines(usage, prices.from_json(price), variant=entry.variant or "")
    return tuple(ReceiptLine(line.unit.value, line.quantity, line.rate) for line in found)


# --- from the store ---------------------------------------------------------------------------------------------------


_Rows = Sequence[Sequence[Any]]
_Looking = Generator[tuple[str, tuple[object, ...]], _Rows, Receipt | None]
"""Asks for the rows of a statement with its parameters, as often as it needs, and returns the receipt."""


async def find_receipt(database: Database, id: bytes) -> Receipt | None:
    """None: the journal knows no such request."""
    looking = _look(id)
    try:
        asked = next(looking)
        while True:
            asked = looking.send(await database.fetch(*asked))
    except StopIteration as found:
        return cast("Receipt | None", found.value)


def receipt_now(database: Database, id: bytes) -> Receipt | None:
    """The same, blocking."""
    looking = _look(id)
    try:
        asked = next(looking)
        while True:
            asked = looking.send(database.fetch_now(*asked))
    except StopIteration as found:
        return cast("Receipt | None", found.value)


def _look(id: bytes) -> _Looking:
    entries = yield SQL["receipt_entries"], ([id, correction_id(id)],)
    held: _Rows = ()
    if not entries:
        held = yield SQL["receipt_hold"], (id,)
    if not entries and not held:
        # It may have ended between the two looks.
        entries = yield SQL["receipt_entries"], ([id, correction_id(id)],)
    entry, correction = _chosen(id, entries, held)
    if entry is None:
        return None
    body = yield SQL["receipt_price"], ((correction or entry).price_id or 0,)
    return receipt_of(entry, correction, body[0][0] if body else None)


def _chosen(id: bytes, entries: _Rows, held: _Rows) -> tuple[Entry | Held | None, Entry | None]:
    """The request's own row, and its correction. The id of a correction alone is no request's."""
    found = {row.id: row for row in (Entry(*entry) for entry in entries)}
    entry = found.get(id)
    if entry is not None and entry.kind != "correction":
        return entry, found.get(correction_id(id))
    return (Held(*held[0]), None) if held else (None, None)


# --- as JSON ----------------------------------------------------------------------------------------------------------


def _number(nanos: int) -> Raw:
    return Raw(format_amount(nanos).encode())


def _moment(milliseconds: int | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    if milliseconds is None:
        return None
    at = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def customer_json(receipt: Receipt, currency: str) -> dict[str, object]:
    """What the customer whose request it was may know of it."""
    held: dict[str, object] = {
        "id": format_id(receipt.id),
        "state": receipt.state,
        "model": receipt.model,
        "operation": receipt.operation,
        "started_at": _moment(receipt.started_at),
        "currency": currency,
        "held": _number(receipt.held),
        "price_version": str(receipt.price_id),
    }
    if receipt.state == "held":
        return held
    return held | {
        "ended_at": _moment(receipt.ended_at),
        "latency_ms": receipt.latency_ms,
        "first_byte_ms": receipt.first_byte_ms,
        "lines": [
            {
                "unit": line.unit,
                "quantity": line.quantity,
                "price_per_million": _number(line.rate),
                "amount": Raw(line.amount.encode()),
            }
            for line in receipt.lines
        ],
        "variant": receipt.variant,
        "usage_source": receipt.source,
        "cost": _number(receipt.actual),
        "charged": _number(receipt.charged),
        "returned": _number(receipt.returned),
        "covered_by_operator": _number(receipt.covered),
        "provider": receipt.provider,
        "attempts": receipt.attempts,
        "tried": [msgspec.structs.asdict(tried) | {"ending_text": words_of(tried.ending)} for tried in receipt.tried],
        "status": receipt.status,
        "ending": receipt.ending,
        "ending_text": receipt.words,
        "corrected_at": _moment(receipt.corrected_at),
    }


def operator_json(receipt: Receipt, currency: str) -> dict[str, object]:
    """All of it."""
    cost = receipt.upstream_cost
    return customer_json(receipt, currency) | {
        "account_id": receipt.account_id,
        "key_id": receipt.key_id,
        "loss": _number(receipt.loss),
        "upstream_cost": None if cost is None else _number(cost),
        "upstream_id": receipt.upstream_id,
    }
