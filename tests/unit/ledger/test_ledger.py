from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxyapi.errors import Conflict, InsufficientFunds, InvalidRequest, StoreUnavailable, Unauthenticated
from proxyapi.ids import IdSource
from proxyapi.ledger.audit import audit
from proxyapi.ledger.ledger import UNSEEN_SECONDS_MAX, Ledger
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.ledger.ops import AMOUNT_MAX, Balance, Budget, Ending, Hold
from proxyapi.ledger.periods import DAY_MS
from proxyapi.ledger.reaper import reap
from proxyapi.ledger.usage import usage_now
from proxyapi.store.errors import ConstraintViolated, StatementRefused
from proxyapi.store.sqlite import SqliteDatabase

NewHold = Callable[..., Hold]
EndingOf = Callable[..., Ending]
BUDGET = Budget(11, "day", 300)


class Clocks:
    """Of the wall and of the process, moved by hand."""

    def __init__(self) -> None:
        self.ms = 1_764_547_000_000
        self.seconds = 1000.0


class Bench:
    """Runs a scenario with an open ledger, and audits what it leaves."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.database = database
        self.clocks = Clocks()
        self.problems: list[str] = []

    def ledger(self) -> Ledger:
        return Ledger(
            self.database, worker="test", ids=IdSource(), clock_ms=lambda: self.clocks.ms,
            monotonic=lambda: self.clocks.seconds, on_problem=self.problems.append,
        )  # fmt: skip

    def run(self, scenario: Callable[[Ledger], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            ledger = self.ledger()
            await ledger.open()
            try:
                return await scenario(ledger)
            finally:
                assert await ledger.close() == 0

        answer = asyncio.run(main())
        assert audit(self.database) == []
        return answer


@pytest.fixture
def bench(database: SqliteDatabase) -> Iterator[Bench]:
    yield Bench(database)


def test_a_request_is_held_settled_and_journaled(bench: Bench, new_hold: NewHold, ending_of: EndingOf) -> None:
    async def scenario(ledger: Ledger) -> None:
        hold = new_hold(200, budget=BUDGET)
        await ledger.hold(hold)
        assert await ledger.balance(1) == Balance(1000, 0, 200)
        assert await ledger.budget_state(BUDGET) == Balance(300, 0, 200)
        settled = await ledger.settle(ending_of(hold, 150))
        assert (settled.charged, settled.loss, settled.available_after) == (150, 0, 850)
        assert await ledger.budget_state(BUDGET) == Balance(300, 150, 0)

    bench.run(scenario)
    rows = bench.database.fetch_now("SELECT kind, charged, price_id, units FROM entry WHERE kind = 'settle'")
    assert rows == [("settle", 150, 7, '{"output_tokens":150}')]
    assert bench.database.fetch_now("SELECT id, body FROM price") == [(7, '{"per_token":1}')]
    assert bench.database.fetch_now("SELECT * FROM worker") == []


def test_what_is_short_is_named(bench: Bench, new_hold: NewHold) -> None:
    async def scenario(ledger: Ledger) -> None:
        with pytest.raises(InsufficientFunds) as of_the_account:
            await ledger.hold(new_hold(1001))
        with pytest.raises(InsufficientFunds) as of_the_key:
            await ledger.hold(new_hold(301, budget=BUDGET))
        with pytest.raises(Unauthenticated):
            await ledger.hold(new_hold(1, account_id=3))
        with pytest.raises(InvalidRequest):
            ledger.hold(new_hold(AMOUNT_MAX + 1))
        error = of_the_account.value
        assert (error.source, error.required, error.available, error.held) == ("account", 1001, 1000, 0)
        assert of_the_key.value.source == "key"

    bench.run(scenario)


def test_an_id_that_is_in_use_refuses_only_its_own_request(bench: Bench, new_hold: NewHold) -> None:
    async def scenario(ledger: Ledger) -> None:
        first = new_hold(10)
        await ledger.hold(first)
        holds = [new_hold(10), new_hold(10, id=first.id), new_hold(10)]
        answers = await asyncio.gather(*map(ledger.hold, holds), return_exceptions=True)
        assert [type(answer) for answer in answers] == [type(None), Conflict, type(None)]
        assert (await ledger.balance(1)).held == 30
        for hold in (first, holds[0], holds[2]):
            ledger.release(Ending(hold.id, 1, hold.price, "", "", ""))

    bench.run(scenario)


def test_a_client_that_left_while_its_hold_was_written_holds_nothing(bench: Bench, new_hold: NewHold) -> None:
    async def scenario(ledger: Ledger) -> None:
        async def request() -> None:
            await ledger.hold(new_hold(400))

        task = asyncio.create_task(request())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await ledger.write("SELECT 1")
        await ledger.write("SELECT 1")
        assert await ledger.balance(1) == Balance(1000, 0, 0)

    bench.run(scenario)


def test_closing_commits_every_ending_that_nobody_waits_for(
    bench: Bench, new_hold: NewHold, ending_of: EndingOf
) -> None:
    async def scenario(ledger: Ledger) -> None:
        holds = [new_hold(1) for _ in range(700)]
        await asyncio.gather(*map(ledger.hold, holds))
        for hold in holds:
            ledger.settle(ending_of(hold, 1))

    bench.run(scenario)
    assert bench.database.fetch_now("SELECT spent, held FROM account WHERE id = 1") == [(700, 0)]
    assert bench.database.fetch_now("SELECT count(*) FROM hold") == [(0,)]


def test_a_budget_begins_anew_with_its_period_and_a_late_settle_lands_in_the_old_one(
    bench: Bench, new_hold: NewHold, ending_of: EndingOf
) -> None:
    async def scenario(ledger: Ledger) -> None:
        before = new_hold(300, budget=BUDGET)
        await ledger.hold(before)
        bench.clocks.ms += DAY_MS
        after = new_hold(300, budget=BUDGET)
        await ledger.hold(after)
        await ledger.settle(ending_of(before, 100))
        await ledger.settle(ending_of(after, 250))

    bench.run(scenario)
    rows = bench.database.fetch_now("SELECT funded, spent FROM account WHERE kind = 'budget' ORDER BY period_start")
    assert rows == [(300, 100), (300, 250)]


def test_the_first_of_a_month_is_one_budget_per_period(bench: Bench, new_hold: NewHold) -> None:
    bench.clocks.ms = 1_764_547_200_000  # 2025-12-01

    async def scenario(ledger: Ledger) -> None:
        for budget in (Budget(11, "day", 10), Budget(11, "month", 20), Budget(11, "never", 30)):
            hold = new_hold(budget.limit, budget=budget)
            await ledger.hold(hold)
            await ledger.release(Ending(hold.id, 1, hold.price, "", "", ""))

    bench.run(scenario)
    assert bench.database.fetch_now("SELECT funded FROM account WHERE kind = 'budget' ORDER BY 1") == [
        (10,),
        (20,),
        (30,),
    ]


def test_an_edited_limit_holds_at_once(bench: Bench, new_hold: NewHold) -> None:
    async def scenario(ledger: Ledger) -> None:
        hold = new_hold(200, budget=BUDGET)
        await ledger.hold(hold)
        higher = BUDGET._replace(limit=500)
        await ledger.set_limit(higher)
        other = new_hold(300, budget=higher)
        await ledger.hold(other)
        lower = BUDGET._replace(limit=100)
        await ledger.set_limit(lower)
        assert (await ledger.budget_state(lower)).funded == 500
        for one in (hold, other):
            await ledger.release(Ending(one.id, 1, one.price, "", "", ""))
        with pytest.raises(InsufficientFunds):
            await ledger.hold(new_hold(101, budget=lower))

    bench.run(scenario)


def test_a_deposit_is_idempotent_and_an_adjustment_says_why(bench: Bench) -> None:
    async def scenario(ledger: Ledger) -> None:
        assert await ledger.deposit(2, 500, reference="stripe:1")
        assert not await ledger.deposit(2, 500, reference="stripe:1")
        with pytest.raises(Conflict):
            await ledger.deposit(1, 500, reference="stripe:1")
        with pytest.raises(InvalidRequest):
            await ledger.deposit(99, 500, reference="stripe:2")
        with pytest.raises(InvalidRequest):
            await ledger.deposit(1, 0, reference="stripe:3")
        await ledger.adjust(2, -100, reason="refund")
        with pytest.raises(InsufficientFunds):
            await ledger.adjust(2, -401, reason="refund")
        assert await ledger.balance(2) == Balance(400, 0, 0)

    bench.run(scenario)
    assert bench.database.fetch_now("SELECT note FROM entry WHERE kind = 'adjust'") == [("refund",)]


def test_a_budget_takes_no_deposit(bench: Bench, new_hold: NewHold) -> None:
    async def scenario(ledger: Ledger) -> None:
        hold = new_hold(1, budget=BUDGET)
        await ledger.hold(hold)
        await ledger.release(Ending(hold.id, 1, hold.price, "", "", ""))
        ((budget_id,),) = bench.database.fetch_now("SELECT id FROM account WHERE kind = 'budget'")
        with pytest.raises(InvalidRequest):
            await ledger.deposit(budget_id, 500, reference="stripe:1")
        with pytest.raises(InvalidRequest):
            await ledger.adjust(budget_id, 500, reason="mistaken")
        assert (await ledger.budget_state(BUDGET)).funded == BUDGET.limit

    bench.run(scenario)


def test_a_used_id_is_found_among_many_new_ones(bench: Bench, new_hold: NewHold, ending_of: EndingOf) -> None:
    async def scenario(ledger: Ledger) -> None:
        finished = [new_hold(1) for _ in range(80)]
        await asyncio.gather(*map(ledger.hold, finished))
        await asyncio.gather(*(ledger.settle(ending_of(hold, 1)) for hold in finished))
        used = sorted(hold.id for hold in finished)
        for other, again in ((None, used[-1]), (bytes(16), used[60])):  # 60 newer entries are more than are looked at
            holds = [new_hold(1, id=other), new_hold(1), new_hold(1, id=again)]
            answers = await asyncio.gather(*map(ledger.hold, holds), return_exceptions=True)
            assert [type(answer) for answer in answers] == [type(None), type(None), Conflict]
        assert (await ledger.balance(1)).held == 4

    bench.run(scenario)


def test_the_command_line_books_while_a_server_runs(bench: Bench, new_hold: NewHold) -> None:
    async def scenario(ledger: Ledger) -> None:
        offline = OfflineLedger(bench.database, ids=IdSource())
        with pytest.raises(InsufficientFunds):
            await ledger.hold(new_hold(70, account_id=2))
        assert offline.deposit(2, 70, reference="cash 1")
        assert not offline.deposit(2, 70, reference="cash 1")
        hold = new_hold(70, account_id=2)
        await ledger.hold(hold)
        assert offline.balance(2) == Balance(70, 0, 70)
        with pytest.raises(KeyError):
            offline.balance(99)
        await ledger.release(Ending(hold.id, 2, hold.price, "", "", ""))
        with bench.database.transaction() as transaction:
            offline.set_limit(BUDGET, within=transaction)
        assert offline.budget_state(BUDGET) == Balance(300, 0, 0)
        offline.close()

    bench.run(scenario)


def test_a_failing_write_harms_only_itself(bench: Bench, new_hold: NewHold) -> None:
    async def scenario(ledger: Ledger) -> None:
        hold = new_hold(5)
        insert = "INSERT INTO pause (key_id, level, until, triggered_at) VALUES (?, 0, 0, 0) RETURNING key_id"
        answers = await asyncio.gather(
            ledger.write(insert, (1,)), ledger.hold(hold), ledger.write(insert, (1,)), ledger.write("SELEKT"),
            ledger.write(insert, (2**70,)), ledger.write(insert, ("\ud800",)), ledger.write(insert, (2,)),
            return_exceptions=True,
        )  # fmt: skip
        assert answers[0] == [(1,)] and answers[1] is None and answers[6] == [(2,)]
        assert isinstance(answers[2], ConstraintViolated)
        assert all(isinstance(answers[place], StatementRefused) for place in (3, 4, 5))
        ledger.release(Ending(hold.id, 1, hold.price, "", "", ""))

    bench.run(scenario)


def test_an_ending_that_no_store_can_keep_does_not_stop_the_others(
    bench: Bench, new_hold: NewHold, ending_of: EndingOf
) -> None:
    async def scenario(ledger: Ledger) -> None:
        holds = [new_hold(100), new_hold(100)]
        await asyncio.gather(*map(ledger.hold, holds))
        bad = ending_of(holds[0], 10)
        bad.upstream_id = "\ud800"
        answers = await asyncio.gather(
            ledger.settle(bad), ledger.settle(ending_of(holds[1], 10)), return_exceptions=True
        )
        assert isinstance(answers[0], StatementRefused)
        assert not isinstance(answers[1], BaseException) and answers[1].charged == 10
        await ledger.settle(ending_of(holds[0], 10))

    bench.run(scenario)
    assert any("refused by the store" in problem for problem in bench.problems)


def test_a_worker_that_was_not_seen_for_long_admits_nothing_until_it_is(bench: Bench, new_hold: NewHold) -> None:
    async def scenario(ledger: Ledger) -> None:
        bench.clocks.seconds += UNSEEN_SECONDS_MAX
        assert not ledger.well
        with pytest.raises(StoreUnavailable):
            await ledger.hold(new_hold(1))
        await ledger.heartbeat('{"requests":1}')
        assert ledger.well
        hold = new_hold(1)
        await ledger.hold(hold)
        await ledger.release(Ending(hold.id, 1, hold.price, "", "", ""))
        assert bench.database.fetch_now("SELECT snapshot FROM worker") == [('{"requests":1}',)]

    bench.run(scenario)


def test_the_reaper_expires_what_dead_workers_held_and_late_endings_correct_it(
    bench: Bench, new_hold: NewHold, ending_of: EndingOf
) -> None:
    async def scenario(ledger: Ledger) -> None:
        dead = bench.ledger()
        await dead.open()
        hold, mine = new_hold(400, budget=BUDGET._replace(limit=900)), new_hold(100)
        await dead.hold(hold)
        await ledger.hold(mine)
        assert await reap(bench.database, ledger, grace_seconds=60, claim_seconds=0) == 0
        await ledger.write("UPDATE worker SET seen_at = seen_at - 61000 WHERE id = ?", (dead.worker_id,))
        assert await reap(bench.database, ledger, grace_seconds=60, claim_seconds=60) == 1
        assert await reap(bench.database, ledger, grace_seconds=60, claim_seconds=60) == 0
        assert await ledger.balance(1) == Balance(1000, 0, 100)
        await ledger.write("DELETE FROM worker WHERE id = ?", (dead.worker_id,))
        before = dead.worker_id
        await dead.heartbeat()
        assert dead.worker_id not in {before, ledger.worker_id}
        late = await dead.settle(ending_of(hold, 250))
        assert (late.charged, late.loss, late.outcome) == (250, -400, "corrected")
        await ledger.settle(ending_of(mine, 100))
        assert await dead.close() == 0

    bench.run(scenario)
    sums = bench.database.fetch_now("SELECT requests, failed, actual, charged, loss FROM rollup_total")
    assert sums == [(1, 1, 350, 350, 0)]


def test_usage_is_reported_by_day_model_and_key(bench: Bench, new_hold: NewHold, ending_of: EndingOf) -> None:
    async def scenario(ledger: Ledger) -> None:
        for tokens in (10, 20):
            hold = new_hold(100)
            await ledger.hold(hold)
            await ledger.settle(ending_of(hold, tokens))
            bench.clocks.ms += DAY_MS

    bench.run(scenario)
    days = usage_now(bench.database, "day")
    assert [(line.name, line.requests, line.output, line.charged) for line in days] == [
        ("2025-11-30", 1, 10, 10), ("2025-12-01", 1, 20, 20),
    ]  # fmt: skip
    assert [(line.name, line.charged) for line in usage_now(bench.database, "model", account_id=1)] == [
        ("openai/gpt", 30)
    ]
    assert [(line.name, line.charged) for line in usage_now(bench.database, "key")] == [("11", 30)]
    assert usage_now(bench.database, "key", account_id=2) == []
    assert len(usage_now(bench.database, "day", since_ms=bench.clocks.ms - DAY_MS)) == 1


def test_a_backup_made_under_load_audits_clean(
    bench: Bench, new_hold: NewHold, ending_of: EndingOf, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"

    async def scenario(ledger: Ledger) -> None:
        async def client() -> None:
            for _ in range(15):
                hold = new_hold(10)
                await ledger.hold(hold)
                await ledger.settle(ending_of(hold, 1))

        saving = asyncio.get_running_loop().run_in_executor(None, bench.database.backup, copy)
        await asyncio.gather(*(client() for _ in range(20)), saving)

    bench.run(scenario)
    assert audit(SqliteDatabase(copy)) == []
    with pytest.raises(StatementRefused):
        bench.database.backup(copy)
