"""Money back to customers. It is taken from the account first, in the transaction that writes the refund down: what is
on its way to a card cannot be spent meanwhile. A refund that the provider refuses is put back.

At most what is still free can go back. A refund that somebody made in the provider's own office has happened already:
what is free of it is taken, the rest was spent and is the operator's loss.
"""

from __future__ import annotations

from collections.abc import Callable

from proxyapi.errors import Conflict, InvalidRequest, NotFound, PaymentRefused
from proxyapi.ids import IdSource, format_id, parse_id
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.ledger.ops import TEXT_MAX
from proxyapi.money import format_amount
from proxyapi.payments.cashier import Problem, retry_at
from proxyapi.payments.port import REPEAT_MS, Provider, Providers, RemoteRefund
from proxyapi.payments.records import SQL, Payment, Records, Refund
from proxyapi.store.database import Database, Transaction
from proxyapi.store.errors import ConstraintViolated


class Refunds:
    """Blocking; safe for several processes and threads."""

    def __init__(
        self,
        database: Database,
        ledger: OfflineLedger,
        *,
        providers: Providers,
        ids: IdSource,
        clock_ms: Callable[[], int],
        problem: Problem,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._providers = providers
        self._ids = ids
        self._clock_ms = clock_ms
        self._problem = problem
        self.records = Records(database)

    def begin(self, within: Transaction, payment_id: bytes, amount: int | None, *, reason: str) -> Refund:
        """Take the money from the account; the next round sends it. `amount` None: all of it that is still free.

        NotFound, Conflict (not paid, or nothing is left), InvalidRequest, InsufficientFunds."""
        payment = self.records.payment(payment_id)
        at = self._providers.get(payment.provider)
        if at is None:
            raise Conflict(f"A payment through {payment.provider} cannot be sent back; adjust the balance instead.")
        rows = within.execute(SQL["payment_lock"], (payment_id,))
        if not rows:
            raise Conflict("Only a payment that has succeeded can be sent back.")
        free = within.execute(SQL["account_free"], (payment.account_id,))[0][0]
        most = max(0, min(rows[0][0], free))
        most -= most % at.step
        if amount is None:
            amount = most
        elif amount <= 0 or amount % at.step:
            raise InvalidRequest(f"a refund is a multiple of {format_amount(at.step)}", param="amount")
        if not 0 < amount <= most:
            raise Conflict(
                f"At most {format_amount(most)} {payment.currency} of this payment can go back.", param="amount"
            )
        return self._book(within, payment, amount, amount, reason=reason, state="new", provider_id=None)

    def send(self, refund: Refund) -> Refund:
        """Let the provider make it, or ask how it stands. PaymentRefused: the money is on the account again."""
        refund = self.records.refund(refund.id)  # not a copy that may be stale: what was put back must not be sent
        payment = self.records.payment(refund.payment_id)
        at = self._providers.get(payment.provider)
        if at is None or payment.provider_id is None or refund.state not in ("new", "pending"):
            return refund
        remote = self._remote(refund, payment, payment.provider_id, at)
        if remote is None:
            self._put_back(refund, None, "unknown_to_provider")
        else:
            self._take(refund, remote, payment)
        return self.records.refund(refund.id)

    def noticed(self, payment: Payment, refund_id: str) -> bool:
        """The provider says that a refund has changed. False: it knows of no such refund, the notice is forged."""
        at = self._providers[payment.provider]
        remote = at.ask_refund(refund_id)
        if remote is None or remote.payment_id != payment.provider_id:
            return False
        known = self.records.refund_at(refund_id) or self._ours(payment, remote)
        if known is not None:
            self._take(known, remote, payment)
        elif remote.state == "succeeded":
            self._adopt(payment, remote)
        return True

    def claim(self, refund: Refund, now: int) -> bool:
        """Of several processes that find it due, one asks."""
        with self._database.transaction() as transaction:
            values = (retry_at(refund.created_at, now), refund.id, refund.next_at)
            return bool(transaction.execute(SQL["refund_claim"], values))

    # --- what the provider says --------------------------------------------------------------------------------------

    def _remote(self, refund: Refund, payment: Payment, payment_id: str, at: Provider) -> RemoteRefund | None:
        id = format_id(refund.id)
        if refund.provider_id is not None:
            return at.ask_refund(refund.provider_id)
        if self._clock_ms() - refund.created_at < REPEAT_MS:
            try:
                return at.refund(payment_id, id, refund.amount, payment.currency)
            except PaymentRefused:
                self._put_back(refund, None, "refused_by_provider")
                raise
        # Too old to be repeated: it would be made a second time. It is among the payment's refunds, or was never made.
        return next((remote for remote in at.refunds(payment_id) if remote.order_id == id), None)

    def _ours(self, payment: Payment, remote: RemoteRefund) -> Refund | None:
        """The refund that we began and whose answer was lost."""
        try:
            refund = self.records.refund(parse_id(remote.order_id))
        except (ValueError, NotFound):
            return None
        return refund if refund.payment_id == payment.id else None

    def _take(self, refund: Refund, remote: RemoteRefund, payment: Payment) -> None:
        if remote.state == "canceled":
            self._put_back(refund, remote.id, remote.reason)
            return
        with self._database.transaction() as transaction:
            values = (remote.id, remote.state, self._clock_ms(), refund.id)
            moved = transaction.execute(SQL["refund_moved"], values)
        if not moved and self.records.refund(refund.id).state == "canceled":
            self._adopt(payment, remote)  # it was put back, and has been made after all

    def _put_back(self, refund: Refund, remote_id: str | None, reason: str) -> None:
        now = self._clock_ms()
        with self._database.transaction() as transaction:
            rows = transaction.execute(SQL["refund_canceled"], (remote_id, reason[:TEXT_MAX], now, refund.id))
            for payment_id, amount, taken in rows:
                ((account_id,),) = transaction.execute(SQL["payment_refund"], (-amount, now, payment_id, -amount))
                reference = f"refund-canceled:{format_id(refund.id)}"
                self._ledger.adjust(
                    account_id, taken, reason="refund canceled", reference=reference, within=transaction
                )

    def _adopt(self, payment: Payment, remote: RemoteRefund) -> None:
        """A refund that somebody made in the provider's own office."""
        try:
            with self._database.transaction() as transaction:
                rows = transaction.execute(SQL["payment_lock"], (payment.id,))
                if not rows or rows[0][0] < remote.amount:
                    self._problem(f"Refund {remote.id} is more than what payment {format_id(payment.id)} brought.")
                    return
                free = transaction.execute(SQL["account_free"], (payment.account_id,))[0][0]
                taken = max(0, min(free, remote.amount))
                self._book(
                    transaction, payment, remote.amount, taken, reason="made at the provider", state="succeeded",
                    provider_id=remote.id,
                )  # fmt: skip
        except ConstraintViolated:  # another notice of it was quicker
            return
        if taken < remote.amount:
            lost = format_amount(remote.amount - taken)
            self._problem(f"Refund {remote.id} was made at the provider; {lost} of it had been spent already.")

    def _book(
        self, within: Transaction, payment: Payment, amount: int, taken: int, *, reason: str, state: str,
        provider_id: str | None,
    ) -> Refund:  # fmt: skip
        id, now = self._ids(), self._clock_ms()
        within.execute(SQL["payment_refund"], (amount, now, payment.id, amount))
        values = (id, payment.id, provider_id, state, amount, taken, reason[:TEXT_MAX], now, now, now)
        within.execute(SQL["refund_add"], values)
        if taken:
            reference = f"refund:{format_id(id)}"
            self._ledger.adjust(payment.account_id, -taken, reason=reason, reference=reference, within=within)
        return Refund(
            id=id, payment_id=payment.id, provider_id=provider_id, state="new" if state == "new" else "succeeded",
            amount=amount, taken=taken, reason=reason, created_at=now, updated_at=now, next_at=now,
        )  # fmt: skip
