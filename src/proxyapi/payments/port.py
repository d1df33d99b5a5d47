"""What a payment provider has to be able to do. Calls block, with timeouts of their own; amounts are nanos.

Each may raise `PaymentRefused` (the provider says no: nothing was made) or `PaymentUnknown` (it could not be asked, or
its answer was lost: it may have been made; asking again with the same idempotence key does not make it twice).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from msgspec import Struct

State = Literal["pending", "waiting", "succeeded", "canceled"]
"""`waiting`: the customer's money is reserved until it is captured."""
RefundState = Literal["pending", "succeeded", "canceled"]


class Order(Struct, frozen=True, kw_only=True):
    """A payment to be made."""

    id: str
    """Ours, 36 characters: the idempotence key, and kept by the provider beside the payment."""
    account_id: int
    amount: int
    currency: str
    description: str
    """Shown to the customer."""
    return_url: str
    """Where the customer comes back to."""


class Remote(Struct, frozen=True, kw_only=True):
    """A payment as the provider has it."""

    id: str
    order_id: str
    """Of the order, as the provider kept it."""
    state: State
    amount: int
    """What is asked; once it has succeeded, what came."""
    currency: str
    link: str = ""
    """Where the customer pays, while it is pending."""
    reason: str = ""
    """Why it was canceled."""


class RemoteRefund(Struct, frozen=True, kw_only=True):
    """A refund as the provider has it."""

    id: str
    payment_id: str
    """The provider's id of the payment."""
    order_id: str
    """Our id of the refund, as the provider kept it; empty: made in the provider's own office."""
    state: RefundState
    amount: int
    currency: str
    reason: str = ""


class Notice(Struct, frozen=True, kw_only=True):
    """What a provider's notice is about: nothing of it is believed."""

    kind: Literal["payment", "refund"]
    id: str
    """The provider's id of it."""
    payment_id: str
    """The provider's id of the payment: of the refund's where it is one."""
    order_id: str
    """Our id of the payment, or empty."""


class Provider(Protocol):
    """A payment provider."""

    @property
    def currencies(self) -> frozenset[str]:
        """What it takes."""

    @property
    def step(self) -> int:
        """Nanos of its smallest coin: amounts are multiples of it."""

    def create(self, order: Order) -> Remote:
        """Begin a payment. Idempotent by the order's id for `REPEAT_MS`."""

    def ask(self, id: str) -> Remote | None:
        """A payment as it is now; None: there is none."""

    def capture(self, remote: Remote) -> Remote:
        """Take the money that a `waiting` payment has reserved. Idempotent."""

    def refund(self, id: str, order_id: str, amount: int, currency: str) -> RemoteRefund:
        """Send money of payment `id` back. Idempotent by `order_id` for `REPEAT_MS`."""

    def ask_refund(self, id: str) -> RemoteRefund | None:
        """A refund as it is now; None: there is none."""

    def refunds(self, payment_id: str) -> list[RemoteRefund]:
        """All refunds of a payment."""

    def notice(self, body: bytes, address: str) -> Notice | None:
        """What a notice is about; None: it is none, or comes from somebody else."""


Providers = Mapping[str, Provider]

REPEAT_MS = 23 * 3_600_000
"""So long a call may be repeated with its idempotence key; providers keep them for 24 hours."""
