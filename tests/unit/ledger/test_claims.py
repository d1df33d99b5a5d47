"""A claim is decided with the money: by its hold, and by its settlement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest

from proxyapi.errors import IdempotencyKeyInUse, InsufficientFunds, Unauthenticated
from proxyapi.gateway.tape import QUERIES
from proxyapi.ids import IdSource
from proxyapi.ledger.audit import audit
from proxyapi.ledger.commit import Committer
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.ops import Accepted, Claim, Ending, Hold, Rejected, Write
from proxyapi.ledger.plan import correction_id
from proxyapi.ledger.reaper import reap
from proxyapi.store.sqlite import SqliteDatabase

NewHold = Callable[..., Hold]
EndingOf = Callable[..., Ending]
NOW = 1_764_547_000_000
LIFE = 86_400_000


def claim(hold: Hold, key: bytes = b"key", *, at: int = NOW) -> Claim:
    identity = (hold.account_id, key, hold.id)
    return Claim(
        order=(hold.account_id, key),
        take=Write(QUERIES["take"], (*identity, b"request", 0, at, b"", at - LIFE)),
        drop=Write(QUERIES["drop"], identity),
        confirm=Write(QUERIES["confirm"], identity),
    )


@pytest.fixture
def claiming(new_hold: NewHold) -> Callable[..., Hold]:
    """A hold that claims a key."""

    def make(amount: int, key: bytes = b"key", *, at: int = NOW, **more: Any) -> Hold:
        hold = new_hold(amount, **more)
        hold.claim = claim(hold, key, at=at)
        return hold

    return make


@pytest.fixture
def end(ending_of: EndingOf) -> Callable[..., Ending]:
    def make(hold: Hold, tokens: int, *, released: bool = False) -> Ending:
        ending = ending_of(hold, tokens, released=released)
        return ending if released else msgspec.structs.replace(ending, claim=hold.claim)

    return make


class Bench:
    def __init__(self, database: SqliteDatabase) -> None:
        self.database = database

    def run(self, scenario: Callable[[Ledger], Awaitable[Any]]) -> None:
        async def main() -> None:
            ledger = Ledger(self.database, worker="test", ids=IdSource(), clock_ms=lambda: NOW)
            await ledger.open()
            try:
                await scenario(ledger)
            finally:
                assert await ledger.close() == 0

        asyncio.run(main())
        assert audit(self.database) == []

    def claims(self) -> list[Any]:
        return self.database.fetch_now("SELECT id, charged FROM claim ORDER BY number")

    def charged(self) -> list[tuple[str, int]]:
        return self.database.fetch_now("SELECT kind, charged FROM entry WHERE kind <> 'deposit' ORDER BY kind")  # type: ignore[return-value]


@pytest.fixture
def bench(database: SqliteDatabase) -> Iterator[Bench]:
    yield Bench(database)


def test_the_first_of_two_holds_has_the_key(bench: Bench, claiming: Callable[..., Hold]) -> None:
    first, second = claiming(100), claiming(100)

    async def scenario(ledger: Ledger) -> None:
        await ledger.hold(first)
        with pytest.raises(IdempotencyKeyInUse):
            await ledger.hold(second)
        assert (await ledger.balance(1)).held == 100

    bench.run(scenario)
    assert bench.claims() == [(first.id, 0)]


def test_of_racing_holds_in_one_batch_one_has_the_key(
    bench: Bench, database: SqliteDatabase, claiming: Callable[..., Hold]
) -> None:
    committer = Committer(database.writer(), lambda: NOW)
    holds = [claiming(10) for _ in range(5)]
    assert committer.apply(holds) == [Accepted(), *[Rejected("claimed")] * 4]
    committer.close()
    assert bench.claims() == [(holds[0].id, 0)]


def test_a_batch_that_is_applied_again_finds_its_own_claims(
    database: SqliteDatabase, claiming: Callable[..., Hold], end: Callable[..., Ending], bench: Bench
) -> None:
    committer = Committer(database.writer(), lambda: NOW)
    hold = claiming(10)
    batch = [hold, end(hold, 10)]
    first = committer.apply(batch)
    again = committer.apply(batch, replay=True)
    committer.close()
    assert first[0] == Accepted()
    assert (again[1].charged, again[1].outcome) == (10, "duplicate")  # type: ignore[union-attr]
    assert bench.claims() == [(hold.id, 1)], "neither dropped nor taken anew"


def test_a_hold_that_is_refused_for_money_claims_nothing(bench: Bench, claiming: Callable[..., Hold]) -> None:
    async def scenario(ledger: Ledger) -> None:
        with pytest.raises(InsufficientFunds):
            await ledger.hold(claiming(1001))
        with pytest.raises(Unauthenticated):
            await ledger.hold(claiming(1, account_id=3))
        await ledger.hold(claiming(1000))

    bench.run(scenario)
    assert len(bench.claims()) == 1


def test_accounts_do_not_share_keys(bench: Bench, database: SqliteDatabase, claiming: Callable[..., Hold]) -> None:
    with database.transaction() as transaction:
        transaction.execute("UPDATE account SET credit = 100 WHERE id = 2")

    async def scenario(ledger: Ledger) -> None:
        await ledger.hold(claiming(100))
        await ledger.hold(claiming(100, account_id=2))

    bench.run(scenario)
    assert len(bench.claims()) == 2


def test_a_key_is_free_again_when_its_request_was_released(
    bench: Bench, claiming: Callable[..., Hold], end: Callable[..., Ending]
) -> None:
    first, second, third = claiming(100), claiming(100), claiming(100)

    async def scenario(ledger: Ledger) -> None:
        await ledger.hold(first)
        await ledger.release(end(first, 0, released=True))
        await ledger.hold(second)
        await ledger.settle(end(second, 40))
        with pytest.raises(IdempotencyKeyInUse):
            await ledger.hold(third)

    bench.run(scenario)
    assert bench.claims() == [(second.id, 1)]
    assert bench.charged() == [("release", 0), ("settle", 40)]


def test_a_key_is_free_again_when_its_life_is_over_and_nobody_holds_money_by_it(
    bench: Bench, claiming: Callable[..., Hold], end: Callable[..., Ending]
) -> None:
    first = claiming(100)

    async def scenario(ledger: Ledger) -> None:
        await ledger.hold(first)
        with pytest.raises(IdempotencyKeyInUse):
            await ledger.hold(claiming(100, at=NOW + LIFE))
        await ledger.settle(end(first, 40))
        with pytest.raises(IdempotencyKeyInUse):
            await ledger.hold(claiming(100, at=NOW + LIFE - 1))
        await ledger.hold(claiming(100, at=NOW + LIFE))

    bench.run(scenario)


@pytest.mark.parametrize("taken_over", [True, False])
def test_a_worker_taken_for_dead_charges_only_while_nobody_else_has_its_key(
    bench: Bench, claiming: Callable[..., Hold], end: Callable[..., Ending], taken_over: bool
) -> None:
    """A worker stopped for a minute: its hold expires, the client sends the request again, the worker goes on."""
    first, second = claiming(100), claiming(100)

    async def scenario(ledger: Ledger) -> None:
        await ledger.hold(first)
        await ledger.write("UPDATE worker SET seen_at = seen_at - 120000")
        assert await reap(bench.database, ledger) == 1
        await ledger.heartbeat()
        if taken_over:
            await ledger.hold(second)
        late = await ledger.settle(end(first, 60))
        assert (late.charged, late.outcome) == (0 if taken_over else 60, "corrected")
        if taken_over:
            await ledger.settle(end(second, 50))
        else:
            with pytest.raises(IdempotencyKeyInUse):
                await ledger.hold(second)
        assert (await ledger.balance(1)).spent == (50 if taken_over else 60)

    bench.run(scenario)
    assert bench.claims() == [(second.id if taken_over else first.id, 1)]
    rows = bench.database.fetch_now("SELECT charged, loss FROM entry WHERE id = ?", (correction_id(first.id),))
    assert rows == [(0, -40) if taken_over else (60, -100)], "what nobody pays is the operator's loss"


def test_a_hold_whose_outcome_was_never_known_leaves_the_key_free(
    bench: Bench, claiming: Callable[..., Hold], end: Callable[..., Ending]
) -> None:
    first = claiming(100)

    async def scenario(ledger: Ledger) -> None:
        waiting = asyncio.ensure_future(ledger.hold(first))
        await asyncio.sleep(0)
        waiting.cancel()
        await ledger.release(end(first, 0, released=True))
        await ledger.hold(claiming(100))

    bench.run(scenario)
