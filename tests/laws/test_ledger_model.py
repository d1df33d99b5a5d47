"""The ledger against a model: any ops in any order, repeated ids, faults at any statement, lost acknowledgements."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule
from proxyapi_fakes_faulty import Faults, faulty_writer

from proxyapi.ledger.audit import audit
from proxyapi.ledger.commit import DOUBT_MS, Committer
from proxyapi.ledger.ops import (
    Accepted,
    Budget,
    Ending,
    Expire,
    Failed,
    Funded,
    Funding,
    Hold,
    Op,
    Refused,
    Rejected,
    Result,
    Rows,
    SetLimit,
    Settled,
    Write,
)
from proxyapi.ledger.periods import DAY_MS, period_start
from proxyapi.ledger.plan import correction_id
from proxyapi.store.database import open_database, sqlite_url
from proxyapi.store.errors import OutcomeUnknown, StoreFailure
from proxyapi.store.migrate import migrate
from proxyapi.usage import Unit

EXAMPLES = int(os.environ.get("LEDGER_LAW_EXAMPLES", "60"))
PHASES = [Phase.generate] if "LEDGER_LAW_QUICK" in os.environ else list(Phase)
"""Quick: without making a failure smaller, as the mutation script wants it."""
DEAD, ALIVE = 1, 2
"""Workers."""
GRACE_MS = 60_000
WALLETS = (1, 2, 3)
"""The third is blocked; the second has credit."""
NOBODY = 10**9
CREDIT = {1: 0, 2: 150, 3: 0}


class Price:
    """One nano per token."""

    def __init__(self, id: int) -> None:
        self.id = id

    def to_json(self) -> bytes:
        return b'{"id":%d}' % self.id


def recompute(body: bytes, units: Any, variant: str) -> int:
    return sum(units.values())


class Pot:
    def __init__(self, funded: int = 0, credit: int = 0) -> None:
        self.funded, self.spent, self.held, self.credit = funded, 0, 0, credit

    @property
    def free(self) -> int:
        return self.funded + self.credit - self.spent - self.held


class Model:
    """What the ledger must do, in as few lines as possible."""

    def __init__(self) -> None:
        self.pots: dict[Any, Pot] = {wallet: Pot(0, CREDIT[wallet]) for wallet in WALLETS}
        self.limits: dict[int, int] = {}
        self.open: dict[bytes, tuple[list[Any], int, int]] = {}
        self.ended: dict[bytes, tuple[str, int, int, list[Any], int]] = {}
        self.references: dict[str, tuple[int, int]] = {}
        self.objects: set[str] = set()

    def batch(self, ops: list[Op], now_ms: int, worker: int, replay: bool) -> Iterator[Result]:
        lost = {id for id, (_, _, owner) in self.open.items() if owner == DEAD}
        for op in ops:  # budgets exist from the moment that a hold names them
            if isinstance(op, Hold) and op.budget is not None:
                self.pots.setdefault(budget_name(op.budget, now_ms), Pot(self.limit(op.budget)))
        for op in ops:
            if isinstance(op, Hold):
                yield self.hold(op, now_ms, worker, replay)
            elif isinstance(op, Ending):
                yield self.end(op)
            elif isinstance(op, Expire):
                yield self.expire(op, lost)
            elif isinstance(op, Funding):
                yield self.fund(op)
            elif isinstance(op, SetLimit):
                pot = self.pots.get(budget_name(op.budget, now_ms))
                if pot is None or op.id in self.ended:
                    yield Funded(op.id not in self.ended, 0)
                    continue
                amount = max(op.budget.limit, pot.spent + pot.held) - pot.funded
                pot.funded += amount
                if amount:
                    self.ended[op.id] = ("limit", 0, 0, [], 0)
                yield Funded(True, amount)
            else:
                yield Rows([]) if op.parameters[0] else Failed(ValueError())

    def limit(self, budget: Budget) -> int:
        return self.limits.get(budget.key_id, budget.limit)

    def hold(self, op: Hold, now_ms: int, worker: int, replay: bool) -> Result:
        if op.id in self.open:
            return Accepted() if replay else Rejected("duplicate")
        if op.id in self.ended:
            return Rejected("duplicate")
        if op.account_id not in self.pots or op.account_id == 3:
            return Rejected("blocked")
        names: list[Any] = [op.account_id]
        wallet = self.pots[op.account_id]
        if wallet.free < op.amount:
            return Refused("account", op.amount, wallet.free, wallet.held)
        if op.budget is not None:
            names.append(budget_name(op.budget, now_ms))
            budget = self.pots[names[1]]
            free = min(budget.free, op.budget.limit - budget.spent - budget.held)
            if free < op.amount:
                return Refused("key", op.amount, max(0, free), budget.held)
        for name in names:
            self.pots[name].held += op.amount
        self.open[op.id] = (names, op.amount, worker)
        return Accepted()

    def end(self, op: Ending) -> Settled:
        actual = 0 if op.released else op.actual
        if op.id in self.open:
            names, amount, _ = self.open.pop(op.id)
            for name in names:
                self.pots[name].held -= amount
            charged = min(actual, max(amount, min(self.pots[name].free for name in names)))
            self.finish(op.id, "release" if op.released else "settle", charged, actual - charged, names, 0)
            return Settled(charged, actual - charged, self.free(names[0]), "released" if op.released else "settled")
        if op.id not in self.ended:
            return Settled(0, 0, self.free(op.account_id), "unknown")
        kind, charged, loss, names, held = self.ended[op.id]
        late = correction_id(op.id)
        if kind == "expire" and late not in self.ended:
            charged = min(actual, min(self.pots[name].free for name in names))
            loss = actual - charged - held
            self.finish(late, "correction", charged, loss, names, 0)
            return Settled(charged, loss, self.free(op.account_id), "corrected")
        _, charged, loss, _, _ = self.ended.get(late, self.ended[op.id])
        return Settled(charged, loss, self.free(op.account_id), "duplicate")

    def finish(self, id: bytes, kind: str, charged: int, loss: int, names: list[Any], held: int) -> None:
        for name in names:
            self.pots[name].spent += charged
        self.ended[id] = (kind, charged, loss, names, held)

    def free(self, wallet: int) -> int:
        return self.pots[wallet].free if wallet in self.pots else 0

    def expire(self, op: Expire, lost: set[bytes]) -> Settled:
        if op.id in self.open and op.id in lost:
            names, amount, _ = self.open.pop(op.id)
            for name in names:
                self.pots[name].held -= amount
            self.finish(op.id, "expire", 0, amount, names, amount)
            return Settled(0, amount, self.free(names[0]), "expired")
        if op.id in self.ended:
            _, charged, loss, _, _ = self.ended[op.id]
            return Settled(charged, loss, 0, "duplicate")
        return Settled(0, 0, 0, "unknown")

    def fund(self, op: Funding) -> Result:
        known = self.references.get(op.reference or "")
        if known is not None:
            return Funded(False, op.amount) if known == (op.account_id, op.amount) else Rejected("conflict")
        if op.id in self.ended:
            return Funded(False, op.amount)
        if op.account_id not in self.pots:
            return Rejected("unknown_account")
        pot = self.pots[op.account_id]
        if pot.free + op.amount < 0:
            return Refused("account", -op.amount, pot.free, pot.held)
        pot.funded += op.amount
        self.ended[op.id] = (op.kind, 0, 0, [], 0)
        if op.reference:
            self.references[op.reference] = (op.account_id, op.amount)
        return Funded(True, op.amount)


def budget_name(budget: Budget, now_ms: int) -> tuple[int, str, int]:
    return budget.key_id, budget.period, period_start(budget.period, now_ms)


WORKS_OR_NOT = """
INSERT INTO setting (name, value) SELECT 'x', CASE CAST(? AS INTEGER) WHEN 1 THEN 'y' END WHERE true
ON CONFLICT (name) DO UPDATE SET value = excluded.value"""

BUDGETS = st.builds(
    Budget,
    key_id=st.sampled_from([11, 12]),
    period=st.sampled_from(["never", "day", "month"]),
    limit=st.sampled_from([0, 90, 300]),
)


class LedgerMachine(RuleBasedStateMachine):
    """Ops gather in a batch; `flush` commits it through faults and compares every answer with the model's."""

    requests: Bundle[Hold] = Bundle("requests")
    fundings: Bundle[Op] = Bundle("fundings")

    def open(self) -> str:
        """The address of a new database."""
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-law-"))
        return sqlite_url(self.folder / "law.db")

    def drop(self) -> None:
        shutil.rmtree(self.folder)

    @initialize()
    def begin(self) -> None:
        self.url = self.open()
        self.database = open_database(self.url, durable=False)
        migrate(self.database)
        with self.database.transaction() as transaction:
            for wallet in WALLETS:
                transaction.execute(
                    "INSERT INTO account (id, kind, name, credit, blocked, created_at) "
                    "VALUES (?, 'wallet', ?, ?, ?, 0)",
                    (wallet, f"wallet {wallet}", CREDIT[wallet], wallet == 3),
                )
            transaction.execute("INSERT INTO worker (id, name, started_at, seen_at) VALUES (1, 'dead', 0, 0)")
            transaction.execute(f"INSERT INTO worker (id, name, started_at, seen_at) VALUES (2, 'alive', 0, {10**15})")
            transaction.execute(
                "INSERT INTO key (id, account_id, digest, prefix, budget_limit, created_at) "
                "VALUES (12, 1, x'', '', 200, 0)"
            )
        self.model = Model()
        self.model.limits[12] = 200
        self.now_ms = 1_764_547_000_000  # 2025-11-30 23:56:40: a day and a month begin soon
        self.ids = iter(range(1, 10**6))
        self.batch: list[Op] = []
        self.reopen()

    def reopen(self) -> None:
        self.faults = Faults()
        self.committer = Committer(faulty_writer(self.url, self.faults), lambda: self.now_ms)
        self.committer.worker_id = ALIVE

    def new_id(self) -> bytes:
        return next(self.ids).to_bytes(16, "big")

    @rule(
        target=requests,
        wallet=st.sampled_from([1, 1, 2, 2, 3, NOBODY]),
        amount=st.integers(0, 200),
        budget=st.none() | BUDGETS,
    )
    def hold(self, wallet: int, amount: int, budget: Budget | None) -> Hold:
        op = Hold(self.new_id(), wallet, 11, amount, Price(amount % 3), "openai", f"m{amount % 2}", "chat", budget)
        self.batch.append(op)
        return op

    @rule(target=requests, wallet=st.sampled_from([1, 2]), difference=st.integers(-1, 1), budget=st.none() | BUDGETS)
    def hold_exactly_what_is_free(self, wallet: int, difference: int, budget: Budget | None) -> Hold:
        self.commit(None, False)
        free = self.model.free(wallet)
        pot = self.model.pots.get(budget_name(budget, self.now_ms)) if budget is not None else None
        if pot is not None and budget is not None:
            free = min(free, pot.free, budget.limit - pot.spent - pot.held)
        return self.hold(wallet, max(0, free + difference), budget)

    @rule(hold=requests)
    def hold_again(self, hold: Hold) -> None:
        self.batch.append(hold)

    @rule(
        hold=requests,
        tokens=st.dictionaries(
            st.sampled_from([Unit.INPUT, Unit.CACHE_READ, Unit.OUTPUT, Unit.IMAGES]), st.integers(0, 150)
        ),
        released=st.sampled_from([False, False, True]),
    )
    def end(self, hold: Hold, tokens: dict[Unit, int], released: bool) -> None:
        actual = sum(tokens.values())
        self.batch.append(
            Ending(
                hold.id, hold.account_id, hold.price, "openai", hold.model, "chat", tokens, actual, released=released
            )
        )

    @rule(hold=requests)
    def expire(self, hold: Hold) -> None:
        self.batch.append(Expire(hold.id, GRACE_MS))

    @rule(hold=requests, tokens=st.sampled_from([0, 50, 1500]))
    def lose_the_worker_and_settle_late(self, hold: Hold, tokens: int) -> None:
        """Another process expires the hold, behind the back of the one that made it."""
        self.let_another_process_do(lambda: self.expire(hold))
        self.end(hold, {Unit.OUTPUT: tokens}, False)

    @rule(wallet=st.sampled_from([1, 2]), amount=st.integers(-200, 400), budget=st.none() | BUDGETS)
    def be_wrong_about(self, wallet: int, amount: int, budget: Budget | None) -> None:
        """Another process funds an account and holds, so it is no longer as this one left it."""
        self.let_another_process_do(lambda: (self.adjust(wallet, amount), self.hold(wallet, 30, budget)))

    def let_another_process_do(self, work: Callable[[], object]) -> None:
        self.commit(None, False)
        self.now_ms += DOUBT_MS
        mine = self.committer
        self.committer = Committer(self.database.writer(), lambda: self.now_ms)
        self.committer.worker_id = ALIVE
        work()
        self.commit(None, False)
        self.committer.close()
        self.committer = mine

    @rule(hold=requests, limit=st.sampled_from([0, 60]))
    def lower_the_limit_of(self, hold: Hold, limit: int) -> None:
        if hold.budget is not None:
            self.edit_limit(hold.budget._replace(limit=limit))

    @rule(
        target=fundings,
        wallet=st.sampled_from([1, 2, 3, NOBODY]),
        amount=st.integers(1, 400),
        reference=st.integers(0, 5),
    )
    def deposit(self, wallet: int, amount: int, reference: int) -> Op:
        op = Funding(self.new_id(), "deposit", wallet, amount, f"payment {reference}" if reference else None)
        self.batch.append(op)
        return op

    @rule(target=fundings, wallet=st.sampled_from([1, 2]), amount=st.integers(-200, 200))
    def adjust(self, wallet: int, amount: int) -> Op:
        op = Funding(self.new_id(), "adjust", wallet, amount, None, "because")
        self.batch.append(op)
        return op

    @rule(target=fundings, budget=BUDGETS)
    def edit_limit(self, budget: Budget) -> Op:
        """As identity does it: the key and its budget in one transaction, here one after the other."""
        self.commit(None, False)
        if budget.key_id == 12:
            with self.database.transaction() as transaction:
                transaction.execute("UPDATE key SET budget_limit = ? WHERE id = 12", (budget.limit,))
            self.model.limits[12] = budget.limit
        op = SetLimit(self.new_id(), budget)
        self.batch.append(op)
        return op

    @rule(op=fundings)
    def fund_again(self, op: Op) -> None:
        self.batch.append(op)

    @rule(works=st.booleans())
    def write(self, works: bool) -> None:
        self.batch.append(Write(WORKS_OR_NOT, (int(works),)))

    @rule()
    def read_write(self) -> None:
        self.batch.append(Write("DELETE FROM setting WHERE name = ? RETURNING name", ("nothing",)))

    @precondition(lambda self: self.now_ms < 1_764_547_000_000 + 2 * DAY_MS)
    @rule(minutes=st.sampled_from([1, 5, 1440]))
    def pass_time(self, minutes: int) -> None:
        self.commit(None, False)
        self.now_ms += minutes * 60_000

    @rule(
        fault=st.none() | st.integers(0, 12) | st.integers(0, 40),
        kept=st.booleans(),
        crash=st.booleans(),
        again=st.booleans(),
        worker=st.sampled_from([DEAD, ALIVE]),
    )
    def flush(self, fault: int | None, kept: bool, crash: bool, again: bool, worker: int) -> None:
        batch = self.batch
        self.committer.worker_id = worker
        self.commit(fault, kept, crash=crash)
        if again:  # committed, but nobody heard of it
            self.batch = batch
            self.commit(None, False, replay=True)

    def commit(self, fault: int | None, kept: bool, *, crash: bool = False, replay: bool = False) -> None:
        self.faults.left, self.faults.kept = fault, kept
        batch, worker = self.batch, self.committer.worker_id
        try:
            answers = self.committer.apply(batch, replay=replay)
        except StoreFailure as error:
            self.faults.left = None
            replay = isinstance(error, OutcomeUnknown)
            if crash:
                self.committer.close()
                self.reopen()
                self.committer.worker_id = worker
            if replay and kept:  # it had been committed
                list(self.model.batch(batch, self.now_ms, worker, False))
            answers = self.committer.apply(batch, replay=replay)
        self.faults.left = None
        expected = list(self.model.batch(batch, self.now_ms, worker, replay))
        for op, answer, right in zip(batch, answers, expected, strict=True):
            if isinstance(op, Write):
                assert type(answer) is type(right), (op, answer)
            elif right == Rejected("duplicate"):
                assert isinstance(answer, Refused | Rejected), (op, answer)
            else:
                assert answer == right and type(answer) is type(right), (op, answer, right)
        self.batch = []

    @invariant()
    def the_accounts_are_those_of_the_model(self) -> None:
        if not hasattr(self, "model") or self.batch:
            return
        names = {
            (key_id, period, start) if kind == "budget" else id: (funded, spent, held)
            for id, kind, key_id, period, start, funded, spent, held in self.database.fetch_now(
                "SELECT id, kind, key_id, period, period_start, funded, spent, held FROM account"
            )
        }
        assert names == {name: (pot.funded, pot.spent, pot.held) for name, pot in self.model.pots.items()}
        assert {row[0] for row in self.database.fetch_now("SELECT id FROM hold")} == set(self.model.open)

    @invariant()
    def the_audit_finds_nothing(self) -> None:
        if hasattr(self, "model") and not self.batch:
            assert audit(self.database, recompute=recompute, stale_seconds=10**10, since=0, full=False) == []

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.committer.close()
            self.database.close()
            self.drop()


class PostgresLedgerMachine(LedgerMachine):
    server: ClassVar[Any]
    """A `PostgresServer`."""

    def open(self) -> str:
        return str(self.server.lend())

    def drop(self) -> None:
        self.server.give_back(self.url)


@pytest.fixture
def machines_server(postgres: Any) -> None:
    PostgresLedgerMachine.server = postgres


LEDGER_SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=PHASES,
)
LedgerMachine.TestCase.settings = LEDGER_SETTINGS
PostgresLedgerMachine.TestCase.settings = LEDGER_SETTINGS
TestTheLedgerAgreesWithItsModel = LedgerMachine.TestCase


@pytest.mark.usefixtures("machines_server")
class TestTheLedgerAgreesWithItsModelOnPostgres(PostgresLedgerMachine.TestCase):  # type: ignore[misc]
    pass
