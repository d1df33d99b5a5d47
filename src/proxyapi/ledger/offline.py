"""The ledger for the command line: blocking, one op per transaction, while servers run. Same plan, same code."""

from __future__ import annotations

from collections.abc import Callable

from proxyapi.errors import InvalidRequest
from proxyapi.ids import IdSource
from proxyapi.ledger.batch import refusal
from proxyapi.ledger.commit import SQL, Committer
from proxyapi.ledger.ledger import balance_of, now_ms
from proxyapi.ledger.ops import Balance, Budget, Funded, Funding, Refused, Rejected, SetLimit
from proxyapi.ledger.periods import period_start
from proxyapi.store.database import Database, Transaction
from proxyapi.store.errors import OutcomeUnknown


class OfflineLedger:
    """Deposits, adjustments and limits without an event loop."""

    def __init__(self, database: Database, *, ids: IdSource, clock_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._ids = ids
        self._clock_ms = clock_ms
        self._committer: Committer | None = None

    def deposit(
        self, account_id: int, amount: int, *, reference: str | None = None, note: str | None = None,
        within: Transaction | None = None,
    ) -> bool:  # fmt: skip
        """Idempotent by `reference`: False if it had been booked before. Raises as `Ledger.deposit` does.

        `within`: a transaction of the caller's, which the deposit is part of."""
        if amount <= 0:
            raise InvalidRequest("A deposit is more than zero.", param="amount")
        return self._apply(Funding(self._ids(), "deposit", account_id, amount, reference, note), within).new

    def adjust(
        self, account_id: int, amount: int, *, reason: str, reference: str | None = None,
        within: Transaction | None = None,
    ) -> bool:  # fmt: skip
        """Adds or takes what was funded; `InsufficientFunds` rather than below what is spent and held."""
        return self._apply(Funding(self._ids(), "adjust", account_id, amount, reference, reason), within).new

    def set_limit(self, budget: Budget, *, within: Transaction | None = None) -> None:
        """After a key's limit was edited. `within`: the transaction that edits the key."""
        self._apply(SetLimit(self._ids(), budget), within)

    def balance(self, account_id: int) -> Balance:
        """`KeyError` if there is no such account."""
        rows = self._database.fetch_now(SQL["read_balance"], (account_id,))
        if not rows:
            raise KeyError(account_id)
        return balance_of(rows[0])

    def budget_state(self, budget: Budget) -> Balance:
        """Of the period that runs; untouched before its first use."""
        start = period_start(budget.period, self._clock_ms())
        rows = self._database.fetch_now(SQL["read_budget"], (budget.key_id, budget.period, start))
        return balance_of(rows[0]) if rows else Balance(budget.limit, 0, 0)

    def _apply(self, op: Funding | SetLimit, within: Transaction | None = None) -> Funded:
        if self._committer is None:
            self._committer = Committer(self._database.writer(), self._clock_ms)
        if within is not None:
            result = self._committer.apply_within(within, op)
        else:
            try:
                (result,) = self._committer.apply([op])
            except OutcomeUnknown:
                (result,) = self._committer.apply([op], replay=True)
        if isinstance(result, Refused | Rejected):
            raise refusal(result)
        assert isinstance(result, Funded), result
        return result

    def close(self) -> None:
        if self._committer is not None:
            self._committer.close()
