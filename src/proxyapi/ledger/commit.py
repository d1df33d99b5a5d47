"""One batch, one transaction: reads under the lock what `plan` needs, and writes what it decided.

Order: writes of other parts (each in a savepoint); delete the holds that end, RETURNING them (whoever gets the row may
write its entry); read accounts and, only for ids that had no hold, entries; decide; write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from proxyapi.ledger.ops import (
    Balance,
    Budget,
    Ending,
    Expire,
    Failed,
    Funding,
    Hold,
    Op,
    Period,
    Price,
    Result,
    Rows,
    SetLimit,
    Write,
)
from proxyapi.ledger.plan import Done, Facts, HoldRow, Plan, correction_id, derived_id, funding_row, plan
from proxyapi.store.errors import ConstraintViolated, StatementRefused
from proxyapi.store.queries import in_lists, load_queries
from proxyapi.store.sqlite import Row, Transaction, Writer

SQL = load_queries("proxyapi.ledger", "ledger.sql")

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
REMEMBERED_MAX = 50_000
"""Budget accounts and price versions that a process remembers; then it starts anew."""


def period_start(period: Period, now_ms: int) -> int:
    """When the period that runs at `now_ms` began (UTC)."""
    if period == "never":
        return 0
    if period == "day":
        return now_ms - now_ms % DAY_MS
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return int(datetime(now.year, now.month, 1, tzinfo=UTC).timestamp()) * 1000


class Committer:
    """Applies batches through one writer, from one thread at a time."""

    def __init__(self, writer: Writer, now_ms: Callable[[], int]) -> None:
        self.worker_id = 0
        """Whose holds these are."""
        self._writer = writer
        self._now_ms = now_ms
        self._prices: set[int] = set()
        self._budgets: dict[tuple[int, Period, int], int] = {}

    def apply(self, ops: Sequence[Op], *, replay: bool = False) -> list[Result]:
        """All or nothing. `StoreFailure`: nothing was kept; `OutcomeUnknown`: apply again with `replay=True`."""
        try:
            return self._apply(ops, replay=replay, look_up_holds=replay)
        except ConstraintViolated:  # a hold's id is in use: find out which, and refuse that one only
            return self._apply(ops, replay=replay, look_up_holds=True)

    def _apply(self, ops: Sequence[Op], *, replay: bool, look_up_holds: bool) -> list[Result]:
        with self._writer.transaction() as transaction:
            part = _Part(transaction, self._now_ms(), self._prices, self._budgets)
            decided = plan(ops, part.read(ops, replay=replay, look_up_holds=look_up_holds))
            part.write(decided, self.worker_id)
        self._remember(part)
        return decided.results

    def apply_within(self, transaction: Transaction, op: Funding | SetLimit) -> Result:
        """One op inside a transaction of the caller's."""
        part = _Part(transaction, self._now_ms(), set(), {})
        decided = plan([op], part.read([op], replay=False, look_up_holds=False))
        part.write(decided, self.worker_id)
        return decided.results[0]

    def _remember(self, part: _Part) -> None:
        if len(self._prices) + len(self._budgets) > REMEMBERED_MAX:
            self._prices.clear()
            self._budgets.clear()
        self._prices.update(part.new_prices)
        self._budgets.update(part.new_budgets)

    def close(self) -> None:
        self._writer.close()


class _Part:
    """One batch inside one transaction."""

    def __init__(
        self,
        transaction: Transaction,
        now_ms: int,
        prices: set[int],
        budgets: Mapping[tuple[int, Period, int], int],
    ) -> None:
        self.transaction = transaction
        self.now_ms = now_ms
        self.prices = prices
        self.budgets = budgets
        self.new_prices: dict[int, Price] = {}
        self.new_budgets: dict[tuple[int, Period, int], int] = {}

    def read(self, ops: Sequence[Op], *, replay: bool, look_up_holds: bool) -> Facts:
        hold_ids: list[bytes] = []
        ending_ids: list[bytes] = []
        expiring: dict[int, list[bytes]] = {}
        funding_ids: list[bytes] = []
        references: list[str] = []
        written: dict[int, Rows | Failed] = {}
        accounts: set[int] = set()
        budgets: dict[Budget, int] = {}
        for position, op in enumerate(ops):
            match op:
                case Hold():
                    hold_ids.append(op.id)
                    accounts.add(op.account_id)
                    if op.budget is not None and op.budget not in budgets:
                        budgets[op.budget] = self.budget(op.budget)
                    self.price(op.price)
                case Ending():
                    ending_ids.append(op.id)
                    accounts.add(op.account_id)
                    self.price(op.price)
                case Write():
                    written[position] = self.run(op)
                case Expire():
                    expiring.setdefault(op.grace_ms, []).append(op.id)
                case Funding():
                    funding_ids.append(op.id)
                    accounts.add(op.account_id)
                    if op.reference is not None:
                        references.append(op.reference)
                case SetLimit():
                    funding_ids.append(op.id)
                    found = self.find_budget(op.budget)
                    if found is not None:
                        budgets[op.budget] = found
        holds = {row[0]: HoldRow._make(row) for row in self.select("take_holds", ending_ids)}
        lost = self.take_lost_holds(expiring)
        holds.update(lost)
        if look_up_holds:
            holds.update((row[0], HoldRow._make(row)) for row in self.select("read_holds", hold_ids))
        ended = [*ending_ids, *(id for ids in expiring.values() for id in ids)]
        done = self.read_done([*hold_ids, *funding_ids, *(id for id in ended if id not in holds)])
        accounts.update(budgets.values())
        for row in holds.values():
            accounts.add(row.account_id)
            if row.budget_id is not None:
                accounts.add(row.budget_id)
        for entry in done.values():
            accounts.add(entry.account_id)
            if entry.budget_id is not None:
                accounts.add(entry.budget_id)
        return Facts(
            accounts=self.read_accounts(accounts),
            budgets=budgets,
            holds=holds,
            done=done,
            references={row[0]: (row[1], row[2]) for row in self.select("read_references", references)},
            lost=frozenset(lost),
            written=written,
            now_ms=self.now_ms,
            replay=replay,
        )

    def select(self, name: str, ids: Sequence[object], *more: object) -> Iterable[Row]:
        rows: list[Row] = []
        for sql, parameters in in_lists(SQL[name], ids):
            rows += self.transaction.execute(sql, (*parameters, *more))
        return rows

    def take_lost_holds(self, expiring: Mapping[int, Sequence[bytes]]) -> dict[bytes, HoldRow]:
        taken: dict[bytes, HoldRow] = {}
        for grace_ms, ids in expiring.items():
            taken.update((row[0], HoldRow._make(row)) for row in self.select("take_lost_holds", ids, grace_ms))
        return taken

    def read_accounts(self, accounts: set[int]) -> dict[int, Balance]:
        rows = self.select("read_accounts", sorted(accounts))
        return {row[0]: Balance(row[1], row[2], row[3], row[4], bool(row[5])) for row in rows}

    def read_done(self, ids: Sequence[bytes]) -> dict[bytes, Done]:
        done = {row[0]: Done._make(row[1:]) for row in self.select("read_done", ids)}
        corrections = [correction_id(id) for id, entry in done.items() if entry.kind == "expire"]
        done.update((row[0], Done._make(row[1:])) for row in self.select("read_done", corrections))
        return done

    def run(self, op: Write) -> Rows | Failed:
        try:
            with self.transaction.savepoint():
                return Rows(self.transaction.execute(op.sql, op.parameters))
        except StatementRefused as error:
            return Failed(error)

    def price(self, price: Price) -> None:
        if price.id not in self.prices:
            self.new_prices[price.id] = price

    def find_budget(self, budget: Budget) -> int | None:
        identity = (budget.key_id, budget.period, period_start(budget.period, self.now_ms))
        found = self.budgets.get(identity) or self.new_budgets.get(identity)
        if found is None:
            rows = self.transaction.execute(SQL["find_budget"], identity)
            if rows:
                found = self.new_budgets[identity] = rows[0][0]
        return found

    def budget(self, budget: Budget) -> int:
        """The account of the period that runs, made on first use. The limit in force is the key's, if there is a key:
        the one that the caller knows may be a second old."""
        found = self.find_budget(budget)
        if found is not None:
            return found
        start = period_start(budget.period, self.now_ms)
        rows = self.transaction.execute(SQL["read_key_limit"], (budget.key_id,))
        limit = rows[0][0] if rows else budget.limit
        values = (budget.key_id, budget.period, start, limit, self.now_ms)
        opened: int = self.transaction.execute(SQL["open_budget"], values)[0][0]
        id = derived_id(self.now_ms.to_bytes(6, "big") + opened.to_bytes(10, "big"), b"limit")
        entry = funding_row(id, "limit", opened, budget.key_id, limit, self.now_ms)
        self.transaction.executemany(SQL["insert_entry"], [entry])
        self.new_budgets[budget.key_id, budget.period, start] = opened
        return opened

    def write(self, decided: Plan, worker_id: int) -> None:
        many, now_ms = self.transaction.executemany, self.now_ms
        if self.new_prices:
            rows = [(price.id, price.to_json().decode(), now_ms) for price in self.new_prices.values()]
            many(SQL["insert_price"], rows)
        if decided.deltas:
            many(SQL["change_account"], decided.deltas)
        if decided.holds:
            many(SQL["insert_hold"], [(*row, worker_id, now_ms) for row in decided.holds.values()])
        if decided.entries:
            many(SQL["insert_entry"], decided.entries)
        if decided.rollup:
            hour, day = now_ms // HOUR_MS, now_ms // DAY_MS
            many(SQL["add_rollup"], [(hour, *name, *sums[:-1]) for name, sums in sorted(decided.rollup.items())])
            totals = sorted(decided.rollup_total.items())
            many(SQL["add_rollup_total"], [(day, *name, *sums[:-1]) for name, sums in totals])
