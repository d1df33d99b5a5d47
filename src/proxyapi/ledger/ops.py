"""What can be asked of the ledger, and its answers: plain values. Amounts are nanos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct

from proxyapi.usage import Unit

AMOUNT_MAX = 10**17
"""100 million units of the currency for one request or deposit. Sums of some dozens still fit int64."""
TEXT_MAX = 256
"""Characters kept of a text that came from outside, such as an upstream's request id."""

Period = Literal["never", "day", "month"]
Source = Literal["reported", "counted", "estimated"]
Outcome = Literal["settled", "released", "expired", "corrected", "duplicate", "unknown"]


class Price(Protocol):
    """What the ledger needs of a price version (`pricing.price.Price`): it stores the row once."""

    @property
    def id(self) -> int: ...
    def to_json(self) -> bytes: ...


class Budget(NamedTuple):
    """A key's own limit per period. Periods begin at midnight UTC."""

    key_id: int
    period: Period
    limit: int


class Write(Struct, gc=False):
    """A statement of another part that rides in the same commit. It must be safe to repeat."""

    sql: str
    parameters: tuple[object, ...] = ()


class Claim(Struct, gc=False):
    """What a request wants to have for itself alone, decided in the very transactions that move its money.

    The row belongs to another part, and so do the statements: each returns a row if the request has it."""

    order: tuple[int, bytes]
    """Rows of claims are locked in this order."""
    take: Write
    """Runs before the hold. No row: another request has it, and the hold is refused."""
    drop: Write
    """Gives it back where the hold is refused for another reason."""
    confirm: Write
    """Runs with the settlement. No row: a settlement that comes after the hold expired charges nothing, as the one
    who has it now pays."""


class Hold(Struct, gc=False):
    """Reserve `amount` before a request goes out, on the account and on the key's budget together."""

    id: bytes
    """16 bytes; the ending names it, and so does the journal entry."""
    account_id: int
    key_id: int
    amount: int
    price: Price
    provider: str
    model: str
    operation: str
    budget: Budget | None = None
    claim: Claim | None = None


class Attempt(Struct, frozen=True):
    """A provider that was asked and did not answer, before another one was."""

    provider: str
    model: str
    """Unified."""
    status: int
    """Its own; 0: it gave none."""
    ending: str
    """A word of the journal."""


class Ending(Struct, gc=False):
    """The end of a request that was held: what was used and what it costs."""

    id: bytes
    account_id: int
    price: Price
    provider: str
    model: str
    operation: str
    usage: Mapping[Unit, int] = {}
    actual: int = 0
    """`charge(usage, price, variant=variant)`."""
    variant: str = ""
    source: Source = "reported"
    ending: str = "complete"
    """A word for the journal: complete, cancelled, upstream_error ..."""
    status: int = 200
    latency_ms: int = 0
    first_byte_ms: int = 0
    attempts: int = 1
    tried: tuple[Attempt, ...] = ()
    """Who was asked before the provider that this is about."""
    upstream_id: str = ""
    upstream_cost: int | None = 0
    """Nanos that the operator pays for it; None: not known."""
    limit: int | None = None
    """The most that may be charged, whatever it costs; None: what the account affords."""
    released: bool = False
    """Nothing was generated, so nothing is charged."""
    claim: Claim | None = None


class Expire(Struct, gc=False):
    """End a hold whose worker is dead, or has not been seen for `grace_ms`."""

    id: bytes
    grace_ms: int


class Funding(Struct, gc=False):
    """Add to (or, for an adjustment, take from) what an account was funded with."""

    id: bytes
    kind: Literal["deposit", "adjust"]
    account_id: int
    amount: int
    reference: str | None = None
    """Makes it idempotent: the payment provider and its payment id."""
    note: str | None = None


class SetLimit(Struct, gc=False):
    """A key's limit was edited: adjust the budget of the period that runs, if it exists yet."""

    id: bytes
    budget: Budget


Op = Hold | Ending | Expire | Funding | SetLimit | Write


class Accepted(NamedTuple):
    """The hold stands."""


class Refused(NamedTuple):
    """Not enough money; `source` is the account or the key's budget that is short, the account first."""

    source: Literal["account", "key"]
    required: int
    available: int
    held: int


class Rejected(NamedTuple):
    """Not a question of money."""

    reason: Literal["blocked", "duplicate", "claimed", "too_large", "conflict", "unknown_account"]


class Settled(Struct, frozen=True, gc=False):
    """The answer to an ending. A duplicate answers what the first one was answered."""

    charged: int
    loss: int
    """What the operator carries: the part of `actual` that no money was left for."""
    available_after: int
    """Nanos that the account can still spend."""
    outcome: Outcome


class Funded(NamedTuple):
    """The answer to a deposit, an adjustment or an edited limit."""

    new: bool
    """False: this reference (or id) had been booked before."""
    amount: int


class Rows(NamedTuple):
    """The answer to a `Write`."""

    rows: list[tuple[object, ...]]


class Failed(NamedTuple):
    """A `Write` that the schema or SQL refused; the rest of the batch was committed."""

    error: Exception


Result = Accepted | Refused | Rejected | Settled | Funded | Rows | Failed


class Balance(NamedTuple):
    """State of an account or a budget."""

    funded: int
    spent: int
    held: int
    credit: int = 0
    blocked: bool = False

    @property
    def balance(self) -> int:
        """What was paid in and not spent."""
        return self.funded - self.spent

    @property
    def available(self) -> int:
        """What a new hold can take."""
        return self.funded + self.credit - self.spent - self.held
