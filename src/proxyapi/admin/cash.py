"""Money that operators move: deposits, adjustments, vouchers, refunds. Each with its record in one transaction."""

from __future__ import annotations

from proxyapi.admin.acts import Operator, amount
from proxyapi.admin.customers import account
from proxyapi.admin.office import LIMIT_MAX, Office, id_cursor, number_cursor
from proxyapi.admin.views import (
    BatchView,
    FundingView,
    NewBatchView,
    Page,
    PaymentView,
    RefundView,
    batch_view,
    page,
    payment_view,
    refund_view,
)
from proxyapi.errors import InvalidRequest, NotFound
from proxyapi.ids import format_id, parse_id
from proxyapi.payments.records import VOUCHER

REASON_CHARACTERS_MAX = 200
_RESERVED = frozenset({VOUCHER, "refund", "refund-canceled"})
"""Beginnings of references that a deposit by hand would take away from what they stand for."""


def deposit(
    office: Office, operator: Operator, account_id: int, nanos: int, *, reference: str | None, note: str | None
) -> FundingView:
    """Idempotent by `reference`: the payment that it stands for. It also ends the pauses of the account's keys."""
    before = account(office, account_id)
    reference, note = _text(reference, "reference"), _text(note, "note")
    if (reference or "").partition(":")[0] in _RESERVED:
        raise InvalidRequest("references of vouchers and refunds are taken by themselves", param="reference")
    with office.doing(operator, "account.deposit", f"account {account_id}") as act:
        new = office.ledger.deposit(account_id, nanos, reference=reference, note=note, within=act.transaction)
        if new:
            office.accounts.end_pauses(account_id, within=act.transaction)
        act.was = {"balance": amount(before.balance.nanos)}
        act.became = {"amount": amount(nanos), "reference": reference, "note": note, "new": new}
    return FundingView(account=account(office, account_id), new=new)


def adjust(office: Office, operator: Operator, account_id: int, nanos: int, *, reason: str) -> FundingView:
    """Add to the balance or take from it. InsufficientFunds rather than below what is spent and held."""
    before = account(office, account_id)
    told = _text(reason, "reason")
    if told is None:
        raise InvalidRequest("an adjustment needs a reason", param="reason")
    if nanos == 0:
        raise InvalidRequest("an adjustment of zero changes nothing", param="amount")
    with office.doing(operator, "account.adjust", f"account {account_id}") as act:
        new = office.ledger.adjust(account_id, nanos, reason=told, within=act.transaction)
        act.was = {"balance": amount(before.balance.nanos)}
        act.became = {"amount": amount(nanos), "reason": told}
    return FundingView(account=account(office, account_id), new=new)


# --- vouchers ------------------------------------------------------------------------------------------------------


def batches(office: Office, *, after: str = "", limit: int = 50) -> Page[BatchView]:
    """Newest first."""
    limit = min(limit, LIMIT_MAX)
    found = office.vouchers.batches(before=number_cursor(after), limit=limit + 1)
    return page([batch_view(batch) for batch in found], limit, str(found[limit - 1].id) if len(found) > limit else "")


def batch(office: Office, id: int) -> BatchView:
    """NotFound."""
    return batch_view(office.vouchers.batch(id))


def make_vouchers(office: Office, operator: Operator, *, name: str, nanos: int, number: int, days: int) -> NewBatchView:
    """The codes are in the answer, and nowhere else."""
    with office.doing(operator, "vouchers.make", "") as act:
        made, codes = office.vouchers.make(act.transaction, name, amount=nanos, number=number, days=days)
        act.subject = f"vouchers {made.id}"
        act.became = {"name": made.name, "amount": amount(nanos), "number": number, "days": days}
    return NewBatchView(batch=batch_view(made), codes=codes)


def revoke_vouchers(office: Office, operator: Operator, id: int) -> BatchView:
    """Codes that are left pay no more. NotFound, Conflict."""
    before = office.vouchers.batch(id)
    with office.doing(operator, "vouchers.revoke", f"vouchers {id}") as act:
        office.vouchers.revoke(act.transaction, id)
        act.was, act.became = {"left": before.number - before.redeemed}, {"left": 0}
    return batch(office, id)


# --- payments ------------------------------------------------------------------------------------------------------


def payments(office: Office, *, account_id: int | None = None, after: str = "", limit: int = 50) -> Page[PaymentView]:
    """Newest first; their refunds are on the page of each."""
    limit = min(limit, LIMIT_MAX)
    found = office.cashier.records.payments(account_id=account_id, before=id_cursor(after), limit=limit + 1)
    last = format_id(found[limit - 1].id) if len(found) > limit else ""
    return page([payment_view(payment) for payment in found], limit, last)


def payment(office: Office, id: str) -> PaymentView:
    """With its refunds. NotFound."""
    found = office.cashier.records.payment(_payment_id(id))
    return payment_view(found, office.refunds.records.refunds(found.id))


def refund(office: Office, operator: Operator, payment_id: str, nanos: int | None, *, reason: str) -> RefundView:
    """Take the money from the account; the round of the payments sends it at once. `nanos` None: all that is free.

    NotFound, Conflict, InvalidRequest."""
    told = _text(reason, "reason") or ""
    with office.doing(operator, "payment.refund", f"payment {payment_id}") as act:
        made = office.refunds.begin(act.transaction, _payment_id(payment_id), nanos, reason=told)
        act.became = {"refund": format_id(made.id), "amount": amount(made.amount), "reason": told}
    return refund_view(made)


def _payment_id(text: str) -> bytes:
    try:
        return parse_id(text)
    except ValueError:
        raise NotFound(f"There is no payment {text[:40]}.") from None


def _text(text: str | None, name: str) -> str | None:
    text = (text or "").strip()
    if len(text) > REASON_CHARACTERS_MAX or not text.isprintable():
        raise InvalidRequest(f"{name} has up to {REASON_CHARACTERS_MAX} printable characters", param=name)
    return text or None
