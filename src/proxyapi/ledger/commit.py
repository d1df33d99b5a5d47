"""One batch, one transaction: reads under the lock what `plan` needs, and writes what it decided.

Order: writes of other parts (each in a savepoint); read holds, accounts and, only for ids that have no hold, entries;
decide; delete the holds that end and count them; write the rest.

Two things are believed rather than read, because they are nearly always so: that a new hold's id is unused, and that a
hold which this process made is still there. The first is proved by the primary key, the second by the count. Where one
is wrong the transaction is rolled back and done again, believing nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

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
from proxyapi.ledger.plan import (
    ENDING_COLUMNS,
    Done,
    Facts,
    HoldRow,
    Plan,
    correction_id,
    derived_id,
    funding_row,
    plan,
)
from proxyapi.store.database import Row, Transaction, Writer
from proxyapi.store.errors import ConstraintViolated, StatementRefused
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.ledger", "ledger.sql")

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
PROBE_HOLDS_MIN = 3
PROBE_ROWS_MAX = 33
"""More entries than this that are newer than a hold, and the holds are looked for one by one."""
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


class _HoldGone(Exception):
    """A hold that was believed to be there was ended by another process, the reaper."""


class Committer:
    """Applies batches through one writer, from one thread at a time."""

    def __init__(self, writer: Writer, now_ms: Callable[[], int]) -> None:
        self.worker_id = 0
        """Whose holds these are."""
        self._writer = writer
        self._now_ms = now_ms
        self._prices: set[int] = set()
        self._budgets: dict[tuple[int, Period, int], int] = {}
        self._live: dict[bytes, HoldRow] = {}
        """Holds of this process that have not ended."""

    def apply(self, ops: Sequence[Op], *, replay: bool = False) -> list[Result]:
        """All or nothing. `StoreFailure`: nothing was kept; `OutcomeUnknown`: apply again with `replay=True`."""
        if not replay:
            try:
                return self._apply(ops, self._live)
            except (ConstraintViolated, _HoldGone):
                pass
        return self._apply(ops, None, replay=replay)

    def _apply(self, ops: Sequence[Op], live: Mapping[bytes, HoldRow] | None, *, replay: bool = False) -> list[Result]:
        with self._writer.transaction() as transaction:
            part = _Part(transaction, self._now_ms(), self._prices, self._budgets)
            decided = plan(ops, part.read(ops, live, replay=replay))
            part.write(decided, self.worker_id)
        self._remember(part)
        self._live.update(decided.holds)
        for id in decided.ended:
            self._live.pop(id, None)
        return decided.results

    def apply_within(self, transaction: Transaction, op: Funding | SetLimit) -> Result:
        """One op inside a transaction of the caller's."""
        part = _Part(transaction, self._now_ms(), set(), {})
        decided = plan([op], part.read([op], None))
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

    def read(self, ops: Sequence[Op], live: Mapping[bytes, HoldRow] | None, *, replay: bool = False) -> Facts:
        """`live`: holds that are believed to be there; None: believe nothing."""
        hold_ids: list[bytes] = []
        ending_ids: list[bytes] = []
        expiring: dict[int, list[bytes]] = {}
        funding_ids: list[bytes] = []
        funded: list[int] = []
        references: list[str] = []
        edited: list[Budget] = []
        written: dict[int, Rows | Failed] = {}
        accounts: set[int] = set()
        budgets: dict[Budget, int] = {}
        for position, op in enumerate(ops):
            if type(op) is Hold:
                hold_ids.append(op.id)
                accounts.add(op.account_id)
                if op.budget is not None and op.budget not in budgets:
                    budgets[op.budget] = self.budget(op.budget)
                if op.price.id not in self.prices:
                    self.new_prices[op.price.id] = op.price
            elif type(op) is Ending:
                ending_ids.append(op.id)
                accounts.add(op.account_id)
                if op.price.id not in self.prices:
                    self.new_prices[op.price.id] = op.price
            elif type(op) is Write:
                written[position] = self.run(op)
            elif type(op) is Expire:
                expiring.setdefault(op.grace_ms, []).append(op.id)
            elif type(op) is Funding:
                funding_ids.append(op.id)
                funded.append(op.account_id)
                if op.reference is not None:
                    references.append(op.reference)
            elif type(op) is SetLimit:
                funding_ids.append(op.id)
                edited.append(op.budget)
        for budget in edited:  # after the holds, which make budgets
            found = self.find_budget(budget)
            if found is not None:
                budgets[budget] = found
        holds: dict[bytes, HoldRow] = {}
        if live is None:
            unknown = [*ending_ids, *hold_ids]
        else:
            holds = {id: live[id] for id in ending_ids if id in live}
            unknown = [id for id in ending_ids if id not in holds]
        holds.update((row[0], HoldRow(*row)) for row in self.select("read_holds", unknown))
        lost = self.read_lost_holds(expiring)
        holds.update(lost)
        ended = [*ending_ids, *(id for ids in expiring.values() for id in ids)]
        done = self.read_done([*self.maybe_done(hold_ids), *funding_ids, *(id for id in ended if id not in holds)])
        accounts.update(budgets.values(), funded)
        for row in holds.values():
            accounts.add(row[1])
            if row[2] is not None:
                accounts.add(row[2])
        for entry in done.values():
            accounts.add(entry[1])
            if entry[2] is not None:
                accounts.add(entry[2])
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
            unfundable=frozenset(row[0] for row in self.select("find_budgets_among", funded)),
        )

    def select(self, name: str, ids: list[Any], *more: object) -> list[Row]:
        return self.transaction.execute(SQL[name], (ids, *more)) if ids else []

    def read_lost_holds(self, expiring: Mapping[int, list[bytes]]) -> dict[bytes, HoldRow]:
        lost: dict[bytes, HoldRow] = {}
        for grace_ms, ids in expiring.items():
            lost.update((row[0], HoldRow(*row)) for row in self.select("read_lost_holds", ids, grace_ms))
        return lost

    def read_accounts(self, accounts: set[int]) -> dict[int, Balance]:
        rows = self.select("read_accounts", sorted(accounts))
        return {row[0]: Balance(row[1], row[2], row[3], row[4], bool(row[5])) for row in rows}

    def maybe_done(self, hold_ids: list[bytes]) -> list[bytes]:
        """Those of them that an entry may have: none where none is as new as the oldest of them, as ids begin with
        their time. One search instead of one for every id."""
        if len(hold_ids) < PROBE_HOLDS_MIN:
            return hold_ids
        newer = self.transaction.execute(SQL["read_done_since"], (min(hold_ids), PROBE_ROWS_MAX))
        if len(newer) == PROBE_ROWS_MAX:
            return hold_ids
        found = {row[0] for row in newer}
        return [id for id in hold_ids if id in found] if found else []

    def read_done(self, ids: list[bytes]) -> dict[bytes, Done]:
        done = {row[0]: row[1:] for row in self.select("read_done", ids)}
        corrections = [correction_id(id) for id, entry in done.items() if entry[0] == "expire"]
        done.update((row[0], row[1:]) for row in self.select("read_done", corrections))
        return done

    def run(self, op: Write) -> Rows | Failed:
        try:
            with self.transaction.savepoint():
                return Rows(self.transaction.execute(op.sql, op.parameters))
        except StatementRefused as error:
            return Failed(error)

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
        if decided.ended:
            self.delete_holds(decided.ended)
        if decided.deltas:
            many(SQL["change_account"], decided.deltas)
        if decided.holds:
            made = (worker_id, now_ms)
            many(SQL["insert_hold"], [row + made for row in decided.holds.values()])
        if decided.entries:
            usual = [row for row in decided.entries if len(row) == ENDING_COLUMNS]
            many(SQL["insert_ending"], usual)
            if len(usual) < len(decided.entries):
                many(SQL["insert_entry"], [row for row in decided.entries if len(row) != ENDING_COLUMNS])
        if decided.rollup:
            rollup: dict[_Name, list[int]] = {}
            total: dict[_Name, list[int]] = {}
            for (account_id, key_id, model, provider), sums in decided.rollup.items():
                add(rollup, (now_ms // HOUR_MS, account_id, key_id, model), sums)
                add(total, (now_ms // DAY_MS, model, provider), sums)
            many(SQL["add_rollup"], [(*name, *sums) for name, sums in sorted(rollup.items())])
            many(SQL["add_rollup_total"], [(*name, *sums) for name, sums in sorted(total.items())])

    def delete_holds(self, ended: list[bytes]) -> None:
        if self.transaction.change(SQL["delete_holds"], (ended,)) != len(ended):
            raise _HoldGone


_Name = tuple[int | str, ...]


def add(cells: dict[_Name, list[int]], name: _Name, sums: Sequence[int]) -> None:
    """`sums` has a cell more than the table has columns: units that are no quantity of use."""
    before = cells.get(name)
    cells[name] = list(sums[:-1]) if before is None else list(map(operator.add, before, sums))
