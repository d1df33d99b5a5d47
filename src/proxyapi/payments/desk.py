"""What happens to payments while nobody looks: notices of providers, and the round that asks for what is open."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from proxyapi.errors import GatewayError, NotFound
from proxyapi.payments.cashier import Cashier, Problem
from proxyapi.payments.port import Providers
from proxyapi.payments.refunds import Refunds
from proxyapi.store.errors import StoreError

ROUND_MAX = 50
"""Payments, and refunds, of one round: it shall not take longer than the time between two."""


class PaymentDesk:
    """Blocking; safe for several processes."""

    def __init__(
        self, cashier: Cashier, refunds: Refunds, *, providers: Providers, clock_ms: Callable[[], int], problem: Problem
    ) -> None:
        self._cashier = cashier
        self._refunds = refunds
        self._providers = providers
        self._clock_ms = clock_ms
        self._problem = problem

    def notice(self, provider: str, body: bytes, address: str) -> None:
        """Act on a provider's notice. NotFound: it is none, or about nothing of ours, or forged: no difference is
        shown. PaymentUnknown: the provider could not be asked, and should say it again."""
        at = self._providers.get(provider)
        notice = at.notice(body, address) if at is not None else None
        payment = self._cashier.find(provider, notice) if notice is not None else None
        if notice is None or payment is None:
            raise NotFound("There is no such payment.")
        if notice.kind == "payment":
            genuine = self._cashier.noticed(provider, notice, payment)
        else:  # it may overtake the notice that its payment has succeeded
            if payment.state != "succeeded":
                payment = self._cashier.refresh(payment)
            genuine = payment.state == "succeeded" and self._refunds.noticed(payment, notice.id)
        if not genuine:
            raise NotFound("There is no such payment.")

    def reconcile(self) -> int:
        """Ask for what is open and due. How many were asked for; a failure of one is no reason to leave the others."""
        now, asked = self._clock_ms(), 0
        for payment in self._cashier.records.due_payments(now, ROUND_MAX):
            if payment.provider in self._providers and self._cashier.claim(payment, now):
                asked += 1
                self._try(partial(self._cashier.refresh, payment))
        for refund in self._refunds.records.due_refunds(now, ROUND_MAX):
            if self._refunds.claim(refund, now):
                asked += 1
                self._try(partial(self._refunds.send, refund))
        return asked

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
        except (GatewayError, StoreError) as error:  # a round goes on: also past what the ledger refuses
            self._problem(f"A payment could not be followed up: {error}")
