"""One batch, one transaction: locks and reads what `plan` needs, and writes what it decided.

Order: learn which accounts are concerned, making the budgets that are new; lock those accounts, in order of their ids;
read holds and, only for ids that have no hold, entries; run the writes of other parts; decide; delete the holds that
end and count them; write the rest. Whoever ends a hold has its account locked, so what is read under the lock stays
true. Transactions of all processes take their locks in this order of tables, and within a table in order of its keys,
so none can wait for each other in a circle.

Three things are believed rather than proved beforehand, because they are nearly always so: that a new hold's id is
unused, that a hold which this process made is still there, and that the writes of other parts work. The first is proved
by the primary key, the second by the count. Where one is wrong the transaction is rolled back and done again, believing
nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

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
    ENTRY_COLUMNS,
    Done,
    EntryRow,
    Facts,
    HoldRow,
    Plan,
    correction_id,
    derived_id,
    funding_row,
    plan,
)
from proxyapi.store.database import Row, Transaction, Writer
from proxyapi.store.errors import ConstraintViolated, Contended, StatementRefused
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.ledger", "ledger.sql")

CONTENDED_MAX = 5
"""Times that a batch which lost a race is tried again at once, before it counts as a failure of the store."""
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
PROBE_HOLDS_MIN = 3
PROBE_ROWS_MAX = 33
"""More entries than this that are newer than a hold, and the holds are looked for one by one."""
REMEMBERED_MAX = 50_000
"""Budget accounts and price versions that a process remembers; then it starts anew."""


_ID, _ACCOUNT, _AMOUNT, _REFERENCE = (ENTRY_COLUMNS.index(name) for name in ("id", "account_id", "amount", "reference"))
_Period = tuple[int, Period, int]
"""Which budget: key, kind of period, when the period began."""


def period_start(period: Period, now_ms: int) -> int:
    """When the period that runs at `now_ms` began (UTC)."""
    if period == "never":
        return 0
    if period == "day":
        return now_ms - now_ms % DAY_MS
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return int(datetime(now.year, now.month, 1, tzinfo=UTC).timestamp()) * 1000


class _Disappointed(Exception):
    """What was believed is not so: a hold was ended by another process (the reaper), or a write did not work."""


class Committer:
    """Applies batches through one writer, from one thread at a time."""

    def __init__(self, writer: Writer, now_ms: Callable[[], int]) -> None:
        self.worker_id = 0
        """Whose holds these are."""
        self._writer = writer
        self._now_ms = now_ms
        self._prices: set[int] = set()
        self._budgets: dict[_Period, int] = {}
        self._live: dict[bytes, HoldRow] = {}
        """Holds of this process that have not ended."""

    def apply(self, ops: Sequence[Op], *, replay: bool = False) -> list[Result]:
        """All or nothing. `StoreFailure`: nothing was kept; `OutcomeUnknown`: apply again with `replay=True`."""
        for _ in range(CONTENDED_MAX):
            with suppress(Contended):
                return self._apply_once(ops, replay=replay)
        return self._apply_once(ops, replay=replay)

    def _apply_once(self, ops: Sequence[Op], *, replay: bool) -> list[Result]:
        if not replay:
            with suppress(ConstraintViolated, _Disappointed):
                return self._apply(ops, self._live)
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


class _Asked:
    """What a batch mentions."""

    def __init__(self, ops: Sequence[Op], prices: set[int]) -> None:
        self.hold_ids: list[bytes] = []
        self.ending_ids: list[bytes] = []
        self.expiring: dict[int, list[bytes]] = {}
        """By the grace in milliseconds."""
        self.funding_ids: list[bytes] = []
        self.funded: list[int] = []
        self.references: list[str] = []
        self.accounts: set[int] = set()
        self.budgets: set[Budget] = set()
        """Of holds, which make them; `edited` are found or not."""
        self.edited: list[Budget] = []
        self.writes: list[tuple[int, Write]] = []
        """With their positions."""
        self.new_prices: dict[int, Price] = {}
        for position, op in enumerate(ops):
            if type(op) is Hold:
                self.hold_ids.append(op.id)
                self.accounts.add(op.account_id)
                if op.budget is not None:
                    self.budgets.add(op.budget)
                if op.price.id not in prices:
                    self.new_prices[op.price.id] = op.price
            elif type(op) is Ending:
                self.ending_ids.append(op.id)
                self.accounts.add(op.account_id)
                if op.price.id not in prices:
                    self.new_prices[op.price.id] = op.price
            elif type(op) is Write:
                self.writes.append((position, op))
            elif type(op) is Expire:
                self.expiring.setdefault(op.grace_ms, []).append(op.id)
            elif type(op) is Funding:
                self.funding_ids.append(op.id)
                self.funded.append(op.account_id)
                if op.reference is not None:
                    self.references.append(op.reference)
            elif type(op) is SetLimit:
                self.funding_ids.append(op.id)
                self.edited.append(op.budget)


class _Ended(NamedTuple):
    """What the store says of the ids that end."""

    holds: dict[bytes, HoldRow]
    lost: dict[bytes, HoldRow]
    """Those of `holds` whose worker is gone."""
    done: dict[bytes, Done]

    def accounts(self) -> set[int]:
        """Of all of them, wallets and budgets."""
        rows = [*(row[1:3] for row in self.holds.values()), *(entry[1:3] for entry in self.done.values())]
        return {id for row in rows for id in row if id is not None}


class _Part:
    """One batch inside one transaction."""

    def __init__(self, transaction: Transaction, now_ms: int, prices: set[int], budgets: Mapping[_Period, int]) -> None:
        self.transaction = transaction
        self.now_ms = now_ms
        self.prices = prices
        self.budgets = budgets
        self.new_prices: dict[int, Price] = {}
        self.new_budgets: dict[_Period, int] = {}

    def read(self, ops: Sequence[Op], live: Mapping[bytes, HoldRow] | None, *, replay: bool = False) -> Facts:
        """`live`: holds that are believed to be there; None: believe nothing."""
        asked = _Asked(ops, self.prices)
        self.new_prices = asked.new_prices
        budgets = self.read_budgets(asked)
        believed = live if live is not None else {}
        holds = {id: believed[id] for id in asked.ending_ids if id in believed}
        unknown = [id for id in asked.ending_ids if id not in holds]
        concerned = {*asked.accounts, *asked.funded, *budgets.values()}
        concerned.update(id for row in holds.values() for id in row[1:3] if id is not None)
        if unknown or asked.expiring:  # unlocked yet: only to know which accounts to lock
            concerned |= self.read_ended(unknown, asked.expiring).accounts()
        accounts = self.read_accounts(concerned)
        ended = self.read_ended(unknown, asked.expiring) if unknown or asked.expiring else _Ended({}, {}, {})
        holds.update(ended.holds)
        if live is None:
            holds.update(self.read_holds(asked.hold_ids))
        done = ended.done | self.read_done([*self.maybe_done(asked.hold_ids), *asked.funding_ids])
        return Facts(
            accounts=accounts,
            budgets=budgets,
            holds=holds,
            done=done,
            references={row[0]: (row[1], row[2]) for row in self.select("read_references", asked.references)},
            lost=frozenset(ended.lost),
            written={position: self.run(op, safely=live is None) for position, op in asked.writes},
            now_ms=self.now_ms,
            replay=replay,
            unfundable=frozenset(row[0] for row in self.select("find_budgets_among", asked.funded)),
        )

    def select(self, name: str, ids: list[Any], *more: object) -> list[Row]:
        return self.transaction.execute(SQL[name], (ids, *more)) if ids else []

    def read_ended(self, ids: list[bytes], expiring: Mapping[int, list[bytes]]) -> _Ended:
        holds = self.read_holds(ids)
        lost: dict[bytes, HoldRow] = {}
        for grace_ms, some in expiring.items():
            lost.update((row[0], HoldRow(*row)) for row in self.select("read_lost_holds", some, grace_ms))
        holds.update(lost)
        ended = [*ids, *(id for some in expiring.values() for id in some)]
        return _Ended(holds, lost, self.read_done([id for id in ended if id not in holds]))

    def read_holds(self, ids: list[bytes]) -> dict[bytes, HoldRow]:
        return {row[0]: HoldRow(*row) for row in self.select("read_holds", ids)}

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

    def run(self, op: Write, *, safely: bool) -> Rows | Failed:
        if not safely:
            try:
                return Rows(self.transaction.execute(op.sql, op.parameters))
            except StatementRefused as error:
                raise _Disappointed from error
        try:
            with self.transaction.savepoint():
                return Rows(self.transaction.execute(op.sql, op.parameters))
        except StatementRefused as error:
            return Failed(error)

    def read_budgets(self, asked: _Asked) -> dict[Budget, int]:
        """Accounts of budgets for the period that runs. Those of holds are made on first use."""
        found = {budget: self.budget(budget) for budget in sorted(asked.budgets)}
        for budget in asked.edited:  # after the holds, which make budgets
            id = self.find_budget(budget)
            if id is not None:
                found[budget] = id
        return found

    def find_budget(self, budget: Budget) -> int | None:
        identity = (budget.key_id, budget.period, period_start(budget.period, self.now_ms))
        found = self.budgets.get(identity) or self.new_budgets.get(identity)
        if found is None:
            rows = self.transaction.execute(SQL["find_budget"], identity)
            if rows:
                found = self.new_budgets[identity] = rows[0][0]
        return found

    def budget(self, budget: Budget) -> int:
        """The limit in force is the key's, if there is a key: the one that the caller knows may be a second old."""
        found = self.find_budget(budget)
        if found is not None:
            return found
        start = period_start(budget.period, self.now_ms)
        rows = self.transaction.execute(SQL["read_key_limit"], (budget.key_id,))
        limit = rows[0][0] if rows else budget.limit
        made = self.transaction.execute(SQL["open_budget"], (budget.key_id, budget.period, start, limit, self.now_ms))
        if not made:  # another process was faster, and has committed it
            found = self.find_budget(budget)
            assert found is not None, budget
            return found
        opened: int = made[0][0]
        id = derived_id(self.now_ms.to_bytes(6, "big") + opened.to_bytes(10, "big"), b"limit")
        entry = funding_row(id, "limit", opened, budget.key_id, limit, self.now_ms)
        self.transaction.executemany(SQL["insert_entry"], [entry])
        self.new_budgets[budget.key_id, budget.period, start] = opened
        return opened

    def write(self, decided: Plan, worker_id: int) -> None:
        many, now_ms = self.transaction.executemany, self.now_ms
        if self.new_prices:
            rows = [(id, price.to_json().decode(), now_ms) for id, price in sorted(self.new_prices.items())]
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
            if usual:
                many(SQL["insert_ending"], usual)
            if len(usual) < len(decided.entries):
                self.insert_others([row for row in decided.entries if len(row) != ENDING_COLUMNS])
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
            raise _Disappointed

    def insert_others(self, entries: list[EntryRow]) -> None:
        """Corrections and changes to `funded`; a deposit's reference is taken for good."""
        self.transaction.executemany(SQL["insert_entry"], entries)
        references = sorted(
            (row[_REFERENCE], row[_ID], row[_ACCOUNT], row[_AMOUNT]) for row in entries if row[_REFERENCE]
        )
        if references:
            self.transaction.executemany(SQL["insert_reference"], references)


_Name = tuple[int | str, ...]


def add(cells: dict[_Name, list[int]], name: _Name, sums: Sequence[int]) -> None:
    """`sums` has a cell more than the table has columns: units that are no quantity of use."""
    before = cells.get(name)
    cells[name] = list(sums[:-1]) if before is None else list(map(operator.add, before, sums))
