"""The rows of `payment` and `refund`, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from msgspec import Struct

from proxyapi.errors import NotFound
from proxyapi.ids import format_id
from proxyapi.store.database import Database, Transaction
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.payments", "payments.sql")

PaymentState = Literal["new", "pending", "waiting", "succeeded", "canceled", "failed"]
"""`new`: the provider has not answered yet; `failed`: it was paid in a way that cannot be booked: see `reason`."""
OPEN_STATES = frozenset({"new", "pending", "waiting"})
RefundRowState = Literal["new", "pending", "succeeded", "canceled"]

VOUCHER = "voucher"
"""What stands for the provider of redeemed vouchers."""

Funded = Callable[[Transaction, int], None]
"""What else a deposit to an account brings, in its transaction: pauses of keys end."""


class Payment(Struct, frozen=True, kw_only=True):
    """Amounts in nanos, times in milliseconds since 1970."""

    id: bytes
    account_id: int
    provider: str
    provider_id: str | None
    state: PaymentState
    currency: str
    amount: int
    paid: int
    refunded: int
    link: str
    reason: str
    created_at: int
    updated_at: int
    next_at: int

    @property
    def open(self) -> bool:
        """The provider may still change it."""
        return self.state in OPEN_STATES

    @property
    def refundable(self) -> int:
        """What came and was not sent back; how much of it is still on the account is another matter."""
        return self.paid - self.refunded if self.state == "succeeded" else 0


class Refund(Struct, frozen=True, kw_only=True):
    id: bytes
    payment_id: bytes
    provider_id: str | None
    state: RefundRowState
    amount: int
    taken: int
    """From the account. Less than `amount`: the rest had been spent when somebody refunded at the provider's own
    office, and is the operator's loss."""
    reason: str
    created_at: int
    updated_at: int
    next_at: int


_PAYMENT, _REFUND = Payment.__struct_fields__, Refund.__struct_fields__


def payment_of(row: Sequence[Any]) -> Payment:
    return Payment(**dict(zip(_PAYMENT, row, strict=True)))


def refund_of(row: Sequence[Any]) -> Refund:
    return Refund(**dict(zip(_REFUND, row, strict=True)))


class Records:
    """Reads of payments and refunds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def payment(self, id: bytes) -> Payment:
        """NotFound."""
        rows = self._database.fetch_now(SQL["payment_columns"] + " WHERE id = ?", (id,))
        if not rows:
            raise NotFound(f"There is no payment {format_id(id)}.")
        return payment_of(rows[0])

    def payment_at(self, provider: str, provider_id: str) -> Payment | None:
        """By the provider's id."""
        where = " WHERE provider = ? AND provider_id = ?"
        rows = self._database.fetch_now(SQL["payment_columns"] + where, (provider, provider_id))
        return payment_of(rows[0]) if rows else None

    def payments(self, *, account_id: int | None = None, before: bytes | None = None, limit: int) -> list[Payment]:
        """Newest first; `before` is the id of the last one of the page before."""
        where, parameters = "WHERE id < ?", [before if before is not None else b"\xff" * 16]
        values: list[object] = list(parameters)
        if account_id is not None:
            where, values = "WHERE account_id = ? AND id < ?", [account_id, *parameters]
        order = f" {where} ORDER BY id DESC LIMIT ?"
        return [payment_of(row) for row in self._database.fetch_now(SQL["payment_columns"] + order, (*values, limit))]

    def due_payments(self, now: int, limit: int) -> list[Payment]:
        """Open ones that their provider should be asked for."""
        where = " WHERE state IN ('new', 'pending', 'waiting') AND next_at <= ? ORDER BY next_at LIMIT ?"
        return [payment_of(row) for row in self._database.fetch_now(SQL["payment_columns"] + where, (now, limit))]

    def refund(self, id: bytes) -> Refund:
        """NotFound."""
        rows = self._database.fetch_now(SQL["refund_columns"] + " WHERE r.id = ?", (id,))
        if not rows:
            raise NotFound(f"There is no refund {format_id(id)}.")
        return refund_of(rows[0])

    def refund_at(self, provider_id: str) -> Refund | None:
        """By the provider's id."""
        rows = self._database.fetch_now(SQL["refund_columns"] + " WHERE r.provider_id = ?", (provider_id,))
        return refund_of(rows[0]) if rows else None

    def refunds(self, payment_id: bytes) -> list[Refund]:
        """Of one payment, oldest first."""
        where = " WHERE r.payment_id = ? ORDER BY r.id"
        return [refund_of(row) for row in self._database.fetch_now(SQL["refund_columns"] + where, (payment_id,))]

    def due_refunds(self, now: int, limit: int) -> list[Refund]:
        """Open ones that their provider should be asked for."""
        where = " WHERE r.state IN ('new', 'pending') AND r.next_at <= ? ORDER BY r.next_at LIMIT ?"
        return [refund_of(row) for row in self._database.fetch_now(SQL["refund_columns"] + where, (now, limit))]
