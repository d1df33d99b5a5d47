"""What the functions answer. Pages show the values, the API encodes them: money as exact decimal numbers of the
installation's currency, times as RFC 3339 in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

from proxyapi.admin.acts import Act
from proxyapi.identity.accounts import WhenShort
from proxyapi.ids import format_id
from proxyapi.money import format_amount
from proxyapi.payments.records import Payment, PaymentState, Refund, RefundRowState
from proxyapi.payments.vouchers import Batch

Item = TypeVar("Item")


class Money:
    """An amount on its way out: a decimal number in JSON, nanos for pages."""

    __slots__ = ("nanos",)

    def __init__(self, nanos: int) -> None:
        self.nanos = nanos

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.nanos == self.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __repr__(self) -> str:
        return f"Money({format_amount(self.nanos)})"


def moment(milliseconds: int) -> datetime:
    """Milliseconds since 1970, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def maybe_moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else moment(milliseconds)


def _encoded(value: object) -> Any:
    if isinstance(value, Money):
        return msgspec.Raw(format_amount(value.nanos).encode())
    raise TypeError(f"{type(value).__name__} has no place in an answer")


encode = msgspec.json.Encoder(enc_hook=_encoded, decimal_format="number").encode


class Page(Struct, Generic[Item], frozen=True, kw_only=True):
    """A part of a list, and where the next one begins."""

    items: list[Item]
    next: str | None = None
    """To be given as `after`; null: this is the end."""


def page(items: Sequence[Item], limit: int, last: str) -> Page[Item]:
    """`items`: up to `limit` + 1 of them; `last`: the cursor of the one at place `limit`."""
    return Page(items=list(items[:limit]), next=last if len(items) > limit else None)


class AccountView(Struct, frozen=True, kw_only=True):
    id: int
    name: str
    balance: Money
    """What was paid in and not spent."""
    held: Money
    """Of it, by requests that run."""
    available: Money
    spent_this_month: Money
    """Since the first of the month, UTC."""
    spent: Money
    funded: Money
    blocked: bool
    when_short: WhenShort
    """What happens to a request that may cost more than there is."""
    keys: int
    """That are not revoked."""
    users: list[str]
    """E-mail addresses of the people who use it."""
    created_at: datetime


class EntryView(Struct, frozen=True, kw_only=True):
    """One row of the journal."""

    id: str
    request: str | None
    """The request that it is of, which a late charge has an id beside; null: none."""
    kind: str
    at: datetime
    amount: Money
    """What it added to what the account was funded with."""
    charged: Money
    loss: Money
    provider: str | None
    model: str | None
    operation: str | None
    ending: str | None
    status: int | None
    reference: str | None
    note: str | None


class ReceiptLineView(Struct, frozen=True, kw_only=True):
    unit: str
    quantity: int
    price_per_million: Money
    amount: Decimal
    """Exact: the sum of all lines, rounded up once, is the cost."""


class TriedView(Struct, frozen=True, kw_only=True):
    """A provider that was asked and did not answer, before another one was."""

    provider: str
    model: str
    status: int
    """Its own; 0: it gave none."""
    ending: str
    ending_text: str


class ReceiptView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one request cost, and why. While it is held, what follows `provider` is missing or empty."""

    id: str
    state: Literal["held", "settled", "released", "expired", "corrected"]
    model: str
    operation: str
    started_at: str
    currency: str
    held: Money
    price_version: str
    account_id: int
    key_id: int
    provider: str
    loss: Money
    """What the operator carries."""
    upstream_cost: Money | None
    """What the provider asks for it; null: not known."""
    upstream_id: str
    ended_at: str | None = None
    latency_ms: int | None = None
    first_byte_ms: int | None = None
    lines: list[ReceiptLineView] = []
    variant: str = ""
    usage_source: str = ""
    cost: Money | None = None
    charged: Money | None = None
    returned: Money | None = None
    covered_by_operator: Money | None = None
    attempts: int = 0
    tried: list[TriedView] = []
    """Who was asked before the provider that answered, or was the last."""
    status: int | None = None
    ending: str = ""
    ending_text: str = ""
    corrected_at: str | None = None
    """When a late ending put right what had been taken for lost."""


class FundingView(Struct, frozen=True, kw_only=True):
    """The answer to a deposit or an adjustment."""

    account: AccountView
    new: bool
    """False: this reference had been booked before, and nothing was changed."""


class UserView(Struct, frozen=True, kw_only=True):
    """Somebody who signs in to the console. Never a password or a secret."""

    id: int
    email: str
    role: Literal["customer", "operator"]
    account_id: int | None
    """Null until the address is confirmed."""
    confirmed: bool
    blocked: bool
    second_factor: bool
    sessions: int
    """Browsers that are signed in."""
    created_at: datetime


class KeyView(Struct, frozen=True, kw_only=True):
    """Never the key itself."""

    id: int
    account_id: int
    prefix: str
    status: Literal["active", "disabled", "revoked"]
    name: str
    models: list[str]
    endpoints: list[str]
    networks: list[str]
    budget: Money | None
    period: Literal["never", "day", "month"]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    may_query_balance: bool
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


class NewKeyView(Struct, frozen=True, kw_only=True):
    key: str
    """In plain text, now and never again."""
    settings: KeyView


class BatchView(Struct, frozen=True, kw_only=True):
    """A batch of vouchers."""

    id: int
    name: str
    amount: Money
    number: int
    redeemed: int
    expires_at: datetime
    revoked_at: datetime | None
    created_at: datetime


class NewBatchView(Struct, frozen=True, kw_only=True):
    batch: BatchView
    codes: list[str]
    """In plain text, now and never again."""


class RefundView(Struct, frozen=True, kw_only=True):
    id: str
    state: RefundRowState
    amount: Money
    taken: Money
    """From the account; less than `amount` if the rest had been spent when it was made at the provider's."""
    reason: str
    created_at: datetime
    updated_at: datetime


class PaymentView(Struct, frozen=True, kw_only=True):
    id: str
    account_id: int
    provider: str
    provider_id: str | None
    state: PaymentState
    amount: Money
    paid: Money
    refunded: Money
    refundable: Money
    """What came and was not sent back; how much of it is still on the account is another matter."""
    reason: str
    created_at: datetime
    updated_at: datetime
    refunds: list[RefundView]


class ActView(Struct, frozen=True, kw_only=True):
    id: int
    at: datetime
    operator: str
    address: str
    action: str
    subject: str
    was: dict[str, Any] | None
    became: dict[str, Any] | None


def batch_view(batch: Batch) -> BatchView:
    return BatchView(
        id=batch.id, name=batch.name, amount=Money(batch.amount), number=batch.number, redeemed=batch.redeemed,
        expires_at=moment(batch.expires_at), revoked_at=maybe_moment(batch.revoked_at),
        created_at=moment(batch.created_at),
    )  # fmt: skip


def refund_view(refund: Refund) -> RefundView:
    return RefundView(
        id=format_id(refund.id), state=refund.state, amount=Money(refund.amount), taken=Money(refund.taken),
        reason=refund.reason, created_at=moment(refund.created_at), updated_at=moment(refund.updated_at),
    )  # fmt: skip


def payment_view(payment: Payment, refunds: Sequence[Refund] = ()) -> PaymentView:
    return PaymentView(
        id=format_id(payment.id), account_id=payment.account_id, provider=payment.provider,
        provider_id=payment.provider_id, state=payment.state, amount=Money(payment.amount), paid=Money(payment.paid),
        refunded=Money(payment.refunded), refundable=Money(payment.refundable), reason=payment.reason,
        created_at=moment(payment.created_at), updated_at=moment(payment.updated_at),
        refunds=[refund_view(refund) for refund in refunds],
    )  # fmt: skip


def act_view(act: Act) -> ActView:
    return ActView(
        id=act.id, at=moment(act.at), operator=act.operator, address=act.address, action=act.action,
        subject=act.subject, was=act.was, became=act.became,
    )  # fmt: skip
