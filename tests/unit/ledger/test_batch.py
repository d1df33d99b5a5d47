"""Group commit with a store that is sick, slow or loses acknowledgements."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any

import pytest

from proxyapi.errors import StoreUnavailable
from proxyapi.ledger import batch
from proxyapi.ledger.batch import Batcher
from proxyapi.ledger.ops import Accepted, Ending, Hold, Op, Result, Rows, Settled, Write
from proxyapi.store.database import Pace
from proxyapi.store.errors import OutcomeUnknown, StoreFailure

PACE = Pace(gather_seconds=0.005, endings=3)
NewHold = Callable[..., Hold]
EndingOf = Callable[..., Ending]


class Store:
    """Accepts everything; fails as it is told; remembers what it was given."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.batches: list[tuple[list[Op], bool]] = []
        self.open = threading.Event()
        self.open.set()
        self.came = threading.Semaphore(0)
        """Once for each batch."""

    def apply(self, ops: Sequence[Op], *, replay: bool = False) -> list[Result]:
        self.came.release()
        self.open.wait()
        self.batches.append((list(ops), replay))
        if self.failures:
            raise self.failures.pop(0)
        answers: dict[type[Op], Result] = {Hold: Accepted(), Ending: Settled(1, 0, 9, "settled"), Write: Rows([(1,)])}
        return [answers[type(op)] for op in ops]


def run(store: Store, scenario: Callable[[Batcher], Awaitable[Any]], left: int = 0) -> list[str]:
    problems: list[str] = []

    async def main() -> None:
        batcher = Batcher(
            store.apply, loop=asyncio.get_running_loop(), pace=PACE, on_problem=problems.append, ops_max=4
        )
        try:
            await scenario(batcher)
        finally:
            store.open.set()
            assert await batcher.close(5) == left

    asyncio.run(main())
    return problems


def test_what_comes_during_a_commit_shares_the_next_one(new_hold: NewHold) -> None:
    store = Store()

    async def scenario(batcher: Batcher) -> None:
        store.open.clear()
        first = batcher.submit(new_hold(1))
        await asyncio.sleep(0)
        rest = [batcher.submit(new_hold(1)) for _ in range(6)]
        store.open.set()
        await asyncio.gather(first, *rest)

    run(store, scenario)
    assert [len(ops) for ops, _ in store.batches] == [1, 4, 2]


def wait_out(pace: Pace) -> None:
    """A turn of the loop that takes longer than a hold may wait for others."""
    until = monotonic() + pace.gather_seconds
    while monotonic() < until:
        pass


def test_a_hold_waits_no_longer_than_the_pace_allows_also_within_a_turn(new_hold: NewHold) -> None:
    store = Store()

    async def scenario(batcher: Batcher) -> None:
        waiting = batcher.submit(new_hold(1))
        wait_out(PACE)
        last = batcher.submit(new_hold(1))
        assert store.came.acquire(timeout=10)  # the loop has not turned
        await asyncio.gather(waiting, last)

    run(store, scenario)
    assert [len(ops) for ops, _ in store.batches] == [2]


def test_holds_that_waited_for_a_batch_in_flight_follow_it_at_once(new_hold: NewHold) -> None:
    store = Store()

    async def scenario(batcher: Batcher) -> None:
        followed: list[bool] = []
        store.open.clear()
        first = batcher.submit(new_hold(1))
        first.add_done_callback(lambda _: followed.append(store.came.acquire(timeout=10)))
        assert await asyncio.to_thread(store.came.acquire, timeout=10)
        waiting = batcher.submit(new_hold(1))
        wait_out(PACE)
        store.open.set()
        await asyncio.gather(first, waiting)
        assert followed == [True]  # before the loop turned again

    run(store, scenario)
    assert [len(ops) for ops, _ in store.batches] == [1, 1]


def test_an_ending_rides_with_the_next_hold_or_goes_by_itself_soon(new_hold: NewHold, ending_of: EndingOf) -> None:
    store = Store()

    async def scenario(batcher: Batcher) -> None:
        ending = batcher.submit(ending_of(new_hold(1), 1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert store.batches == []
        hold = batcher.submit(new_hold(1))
        await asyncio.gather(ending, hold)
        await batcher.submit(ending_of(new_hold(1), 1))
        batcher.submit(ending_of(new_hold(1), 1))  # stopping does not wait for company

    run(store, scenario)
    assert [len(ops) for ops, _ in store.batches] == [2, 1, 1]


def test_endings_that_are_worth_a_transaction_wait_for_nobody(
    new_hold: NewHold, ending_of: EndingOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "REST_SECONDS", 3600)
    store = Store()

    async def scenario(batcher: Batcher) -> None:
        endings = [batcher.submit(ending_of(new_hold(1), 1)) for _ in range(PACE.endings)]
        await asyncio.wait_for(asyncio.gather(*endings), 10)

    run(store, scenario)
    assert [len(ops) for ops, _ in store.batches] == [PACE.endings]


def test_a_sick_store_refuses_holds_and_keeps_endings_until_it_is_well(new_hold: NewHold, ending_of: EndingOf) -> None:
    store = Store()
    hold = new_hold(1)
    store.failures = [StoreFailure("disk full")] * 3

    async def scenario(batcher: Batcher) -> None:
        ending, refused = batcher.submit(ending_of(hold, 1)), batcher.submit(hold)
        with pytest.raises(StoreUnavailable):
            await refused
        with pytest.raises(StoreUnavailable):
            await batcher.submit(Write("SELECT 1"))
        assert not batcher.well
        assert (await ending).charged == 1
        assert batcher.well
        assert await batcher.submit(new_hold(1)) is None

    problems = run(store, scenario)
    assert problems == ["the store is sick: disk full", "the store is well again"]
    assert [len(ops) for ops, _ in store.batches] == [2, 2, 1, 1, 1]


def test_an_unknown_outcome_is_replayed_with_the_same_ids(new_hold: NewHold) -> None:
    store = Store()
    store.failures = [OutcomeUnknown("lost in commit")]
    hold = new_hold(1)

    async def scenario(batcher: Batcher) -> None:
        assert await batcher.submit(hold) is None

    assert run(store, scenario) == []
    assert store.batches == [([hold], False), ([hold], True)]


def test_a_hold_of_unknown_outcome_that_was_refused_is_released(new_hold: NewHold) -> None:
    store = Store()
    store.failures = [OutcomeUnknown("lost in commit"), StoreFailure("gone")]
    hold = new_hold(1)

    async def scenario(batcher: Batcher) -> None:
        with pytest.raises(StoreUnavailable):
            await batcher.submit(hold)

    run(store, scenario)
    (release,) = store.batches[-1][0]
    assert isinstance(release, Ending) and release.id == hold.id and release.released


def test_a_store_that_does_not_answer_refuses_holds_in_two_seconds(new_hold: NewHold, ending_of: EndingOf) -> None:
    store = Store()
    holds = [new_hold(1), new_hold(1)]

    async def scenario(batcher: Batcher) -> None:
        loop = asyncio.get_running_loop()
        store.open.clear()
        ending = batcher.submit(ending_of(new_hold(1), 1))
        in_flight = batcher.submit(holds[0])
        await asyncio.sleep(0)
        waiting = batcher.submit(holds[1])
        before = loop.time()
        answers = await asyncio.gather(in_flight, waiting, return_exceptions=True)
        assert [type(answer) for answer in answers] == [StoreUnavailable] * 2
        assert loop.time() - before < 2
        with pytest.raises(StoreUnavailable):
            await batcher.submit(new_hold(1))
        assert loop.time() - before < 2 and not batcher.well
        store.open.set()
        assert (await ending).charged == 1

    problems = run(store, scenario)
    assert problems == ["the store does not answer"]
    committed = [(type(op), op.id) for ops, _ in store.batches for op in ops if not isinstance(op, Write)]
    assert committed[1:] == [(Hold, holds[0].id), (Ending, holds[0].id)]  # the one that nobody waited for is released


def test_one_impossible_op_fails_alone(new_hold: NewHold, ending_of: EndingOf) -> None:
    store = Store()
    store.failures = [ValueError("a bug"), ValueError("a bug")]

    async def scenario(batcher: Batcher) -> None:
        endings = [batcher.submit(ending_of(new_hold(1), 1)) for _ in range(3)]
        answers = await asyncio.gather(*endings, return_exceptions=True)
        assert [type(answer) for answer in answers] == [ValueError, Settled, Settled]

    (problem,) = run(store, scenario)
    assert problem.startswith("refused by the store: Ending(")


def test_stopping_on_a_sick_store_says_what_is_left(new_hold: NewHold, ending_of: EndingOf) -> None:
    store = Store()
    store.failures = [StoreFailure("disk full")] * 1000

    async def main() -> int:
        batcher = Batcher(store.apply, loop=asyncio.get_running_loop(), pace=PACE, on_problem=lambda _: None)
        batcher.submit(ending_of(new_hold(1), 1))
        left = await batcher.close(0.1)
        with pytest.raises(StoreUnavailable):
            await batcher.submit(ending_of(new_hold(1), 1))
        return left

    assert asyncio.run(main()) == 1
