"""One batch, one transaction: locks and reads what `plan` needs, and writes what it decided.

Mostly there is nothing to ask: accounts that no other process changes are as this one left them. Then a batch is
decided first, and the transaction, one message to a server, locks its accounts, compares them with what was believed,
and writes. A process that was wrong asks for a while before it trusts itself again.

Order where it asks: learn which accounts are concerned, making the budgets that are new; lock those accounts, in order
of their ids; read holds and, only for ids that have no hold, entries; run the writes of other parts, then the claims;
decide; delete the holds that end and count them; write the rest; drop the claims of holds that were refused. Whoever
ends a hold, or claims something, has its account locked, so what is read under the lock stays true. Transactions of all
processes take their locks in this order of tables, and within a table in order of its keys, so none can wait for each
other in a circle.

Three more things are believed rather than proved beforehand, because they are nearly always so: that a new hold's id is
unused, that a hold which this process made is still there, and that the writes of other parts work. The first is proved
by the primary key, the second by the count. Where one is wrong the transaction is rolled back and done again, believing
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from proxyapi.ledger.budgets import find_budgets, open_budgets
from proxyapi.ledger.ops import (
    Balance,
    Budget,
    Ending,
    Expire,
    Failed,
    Funding,
    Hold,
    Op,
    Price,
    Refused,
    Result,
    Rows,
    SetLimit,
    Write,
)
from proxyapi.ledger.periods import BudgetPeriod, budget_period
from proxyapi.ledger.plan import BLOCKED, Done, Facts, HoldRow, Plan, correction_id, plan
from proxyapi.ledger.writing import steps_of
from proxyapi.store.database import Row, Step, Transaction, Writer
from proxyapi.store.errors import ConstraintViolated, Contended, CountsDiffer, StatementRefused
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.ledger", "ledger.sql")

CONTENDED_MAX = 5
"""Times that a batch which lost a race is tried again at once, before it counts as a failure of the store."""
DOUBT_MS = 1000
"""How long a process reads accounts that it believed to know and did not."""
REMEMBERED_MAX = 50_000
"""Accounts, budgets and price versions that a process remembers, of each; then it starts anew."""
_Claiming = tuple[tuple[int, bytes], bytes, Write]
"""Order of a claim, id of the hold or ending, and the statement that tells whether it has what it claims."""


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
        self._budgets: dict[BudgetPeriod, int] = {}
        self._live: dict[bytes, HoldRow] = {}
        """Holds of this process that have not ended."""
        self._accounts: dict[int, Balance] = {}
        """As this process left them."""
        self._reads_until_ms = 0
        """Somebody else changes accounts."""

    def apply(self, ops: Sequence[Op], *, replay: bool = False) -> list[Result]:
        """All or nothing. `StoreFailure`: nothing was kept; `OutcomeUnknown`: apply again with `replay=True`."""
        for _ in range(CONTENDED_MAX):
            try:
                return self._apply_once(ops, replay=replay)
            except Contended:
                continue
        return self._apply_once(ops, replay=replay)

    def _apply_once(self, ops: Sequence[Op], *, replay: bool) -> list[Result]:
        if not replay:
            if self._now_ms() >= self._reads_until_ms and (results := self._apply_unread(ops)) is not None:
                return results
            with suppress(ConstraintViolated, _Disappointed):
                return self._apply(ops, self._live)
        return self._apply(ops, None, replay=replay)

    def _apply_unread(self, ops: Sequence[Op]) -> list[Result] | None:
        """Without a question beforehand. None: nothing was done, as that takes more than what is known."""
        now_ms = self._now_ms()
        facts = self._believed(_Asked(ops, self._prices), now_ms)
        if facts is None:
            return None
        decided = plan(ops, facts)
        if len(decided.deltas) != len(facts.accounts):  # what does not change is not compared: ask
            return None
        accounts: Step = (SQL["read_accounts"], [([change[-1] for change in decided.deltas],)])
        steps, counts = steps_of(decided, self.worker_id, now_ms, fresh=True, known=facts.accounts)
        try:
            self._writer.exactly([accounts, *steps], [len(decided.deltas), *counts])
        except (CountsDiffer, ConstraintViolated):
            self._reads_until_ms = now_ms + DOUBT_MS
            return None
        self._keep(decided, facts.accounts)
        return decided.results

    def _believed(self, asked: _Asked, now_ms: int) -> Facts | None:
        """All that a batch mentions, if it is nothing but holds and endings of this process and all is known."""
        if not asked.usual:
            return None
        budgets = {budget: self._budgets.get(budget_period(budget, now_ms)) for budget in asked.budgets}
        concerned = {*asked.accounts, *budgets.values()}
        holds: dict[bytes, HoldRow] = {}
        for id in asked.ending_ids:
            row = self._live.get(id)
            if row is None:
                return None
            holds[id] = row
            if row.budget_id is not None:
                concerned.add(row.budget_id)
        accounts = {id: self._accounts[id] for id in concerned if id is not None and id in self._accounts}
        if len(accounts) < len(concerned):
            return None
        known = {budget: id for budget, id in budgets.items() if id is not None}
        return Facts(accounts=accounts, budgets=known, holds=holds, now_ms=now_ms)

    def _apply(self, ops: Sequence[Op], live: Mapping[bytes, HoldRow] | None, *, replay: bool = False) -> list[Result]:
        with self._writer.transaction() as transaction:
            part = _Part(transaction, self._now_ms(), self._prices, self._budgets)
            facts = part.read(ops, live, replay=replay)
            decided = plan(ops, facts)
            part.write(decided, self.worker_id, live is not None)
            if part.claims:
                part.drop_claims(ops, decided.results)
        self._remember(part)
        self._keep(decided, facts.accounts)
        return decided.results

    def apply_within(self, transaction: Transaction, op: Funding | SetLimit) -> Result:
        """One op inside a transaction of the caller's."""
        part = _Part(transaction, self._now_ms(), set(), {})
        decided = plan([op], part.read([op], None))
        part.write(decided, self.worker_id, False)
        return decided.results[0]

    def _remember(self, part: _Part) -> None:
        if not part.new_prices and not part.new_budgets:
            return
        if len(self._prices) + len(self._budgets) > REMEMBERED_MAX:
            self._prices.clear()
            self._budgets.clear()
        self._prices.update(part.new_prices)
        self._budgets.update(part.new_budgets)

    def _keep(self, decided: Plan, accounts: Mapping[int, Balance]) -> None:
        """What the batch left."""
        if len(self._accounts) > REMEMBERED_MAX:
            self._accounts.clear()
        self._accounts.update(accounts)
        for funded, spent, held, account_id in decided.deltas:
            was = accounts[account_id]
            self._accounts[account_id] = Balance(
                was.funded + funded, was.spent + spent, was.held + held, was.credit, was.blocked
            )
        self._live.update(decided.holds)
        for id in decided.ended:
            self._live.pop(id, None)

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
        self.budgets: dict[Budget, None] = {}
        """Of holds, in their order: the first of a period makes it; `edited` are found or not."""
        self.edited: list[Budget] = []
        self.writes: list[tuple[int, Write]] = []
        """With their positions."""
        self.claims: list[_Claiming] = []
        self.new_prices: dict[int, Price] = {}
        for position, op in enumerate(ops):
            if type(op) is Hold:
                self.hold_ids.append(op.id)
                self.accounts.add(op.account_id)
                if op.budget is not None:
                    self.budgets[op.budget] = None
                if op.price.id not in prices:
                    self.new_prices[op.price.id] = op.price
                if op.claim is not None:
                    self.claims.append((op.claim.order, op.id, op.claim.take))
            elif type(op) is Ending:
                self.ending_ids.append(op.id)
                self.accounts.add(op.account_id)
                if op.price.id not in prices:
                    self.new_prices[op.price.id] = op.price
                if op.claim is not None:
                    self.claims.append((op.claim.order, op.id, op.claim.confirm))
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
        self.usual = len(self.hold_ids) + len(self.ending_ids) == len(ops) and not (self.new_prices or self.claims)
        """Holds and endings, and nothing that the store has not seen."""


class _Ended(NamedTuple):
    """What the store says of the ids that end."""

    holds: dict[bytes, HoldRow]
    lost: dict[bytes, HoldRow]
    """Those of `holds` whose worker is gone."""
    done: dict[bytes, Done]

    def accounts(self) -> set[int]:
        """Of all of them, wallets and budgets."""
        holds, entries = self.holds.values(), self.done.values()
        pots = [*((row.account_id, row.budget_id) for row in holds), *(entry[1:3] for entry in entries)]
        return {id for pair in pots for id in pair if id is not None}


_NONE_ENDED = _Ended({}, {}, {})


class _Part:
    """One batch inside one transaction."""

    def __init__(
        self, transaction: Transaction, now_ms: int, prices: set[int], budgets: Mapping[BudgetPeriod, int]
    ) -> None:
        self.transaction = transaction
        self.now_ms = now_ms
        self.prices = prices
        self.budgets = budgets
        self.new_prices: dict[int, Price] = {}
        self.new_budgets: dict[BudgetPeriod, int] = {}
        self.claims: list[_Claiming] = []

    def read(self, ops: Sequence[Op], live: Mapping[bytes, HoldRow] | None, *, replay: bool = False) -> Facts:
        """`live`: holds that are believed to be there; None: believe nothing."""
        asked = _Asked(ops, self.prices)
        self.new_prices, self.claims = asked.new_prices, asked.claims
        budgets = self.read_budgets(asked) if asked.budgets or asked.edited else {}
        concerned = {*asked.accounts, *asked.funded, *budgets.values()}
        holds: dict[bytes, HoldRow] = {}
        unknown: list[bytes] = []
        for id in asked.ending_ids:
            row = None if live is None else live.get(id)
            if row is None:
                unknown.append(id)
            else:
                holds[id] = row
                concerned.add(row.account_id)
                if row.budget_id is not None:
                    concerned.add(row.budget_id)
        ending = bool(unknown or asked.expiring)
        if ending:  # unlocked yet: only to know which accounts to lock
            concerned |= self.read_ended(unknown, asked.expiring).accounts()
        accounts = self.read_accounts(concerned)
        ended = self.read_ended(unknown, asked.expiring) if ending else _NONE_ENDED
        unproved = asked.funding_ids
        if live is None:
            holds |= self.read_holds(asked.hold_ids)
            unproved = [*asked.hold_ids, *unproved]
        holds |= ended.holds  # more is known of those that expire
        return Facts(
            accounts=accounts,
            budgets=budgets,
            holds=holds,
            done=ended.done | self.read_done(unproved) if unproved else ended.done,
            references=self.read_references(asked.references) if asked.references else {},
            lost=frozenset(ended.lost),
            written={position: self.run(op, safely=live is None) for position, op in asked.writes},
            now_ms=self.now_ms,
            replay=replay,
            unclaimed=self.unclaimed() if self.claims else frozenset(),
            unfundable=self.read_unfundable(asked.funded) if asked.funded else frozenset(),
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

    def read_done(self, ids: list[bytes]) -> dict[bytes, Done]:
        done = {row[0]: row[1:] for row in self.select("read_done", ids)}
        corrections = [correction_id(id) for id, entry in done.items() if entry[0] == "expire"]
        done.update((row[0], row[1:]) for row in self.select("read_done", corrections))
        return done

    def read_references(self, references: list[str]) -> dict[str, tuple[int, int]]:
        return {row[0]: (row[1], row[2]) for row in self.select("read_references", references)}

    def read_unfundable(self, accounts: list[int]) -> frozenset[int]:
        return frozenset([row[0] for row in self.select("find_budgets_among", accounts)])

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

    def unclaimed(self) -> frozenset[bytes]:
        """Ids of those that do not have what they claim. Of one claim the accounts are locked, so no other process
        decides about it meanwhile."""
        ordered = sorted(self.claims, key=lambda claiming: claiming[0])  # of one claim: as they came
        return frozenset([id for _, id, claim in ordered if not self.transaction.execute(claim.sql, claim.parameters)])

    def drop_claims(self, ops: Sequence[Op], results: Sequence[Result]) -> None:
        """What was taken for holds that were then refused is free again, as if it had never been taken."""
        for op, result in zip(ops, results, strict=True):
            if type(op) is Hold and op.claim is not None and (type(result) is Refused or result is BLOCKED):
                self.transaction.execute(op.claim.drop.sql, op.claim.drop.parameters)

    def read_budgets(self, asked: _Asked) -> dict[Budget, int]:
        """Accounts of budgets for the period that runs. Those of holds are made on first use, others may be missing."""
        periods = {budget: budget_period(budget, self.now_ms) for budget in (*asked.budgets, *asked.edited)}
        known = {period: self.budgets[period] for period in periods.values() if period in self.budgets}
        unknown = set(periods.values()) - known.keys()
        if unknown:
            self.new_budgets = find_budgets(self.transaction, unknown)
            limits: dict[BudgetPeriod, int] = {}
            for budget in asked.budgets:
                if periods[budget] in unknown and periods[budget] not in self.new_budgets:
                    limits.setdefault(periods[budget], budget.limit)
            if limits:
                self.new_budgets |= open_budgets(self.transaction, limits, self.now_ms)
            known |= self.new_budgets
        return {budget: known[period] for budget, period in periods.items() if period in known}

    def write(self, decided: Plan, worker_id: int, live: bool) -> None:
        """`live`: nobody has looked yet whether the ids of new holds are unused."""
        steps, counts = steps_of(decided, worker_id, self.now_ms, fresh=live)
        if self.new_prices:
            prices = sorted(self.new_prices.items())
            rows = [(id, price.to_json().decode(), self.now_ms) for id, price in prices]
            self.transaction.executemany(SQL["insert_price"], rows)
        if steps and self.transaction.changes(steps) != counts:
            raise _Disappointed
