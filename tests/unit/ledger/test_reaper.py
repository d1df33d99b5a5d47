"""What dead workers held: known deaths and concluded ones, and what a database still finishes for the dead."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import pytest

from proxyapi.ids import IdSource
from proxyapi.ledger.audit import audit
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.ops import Balance, Ending, Hold, Settled
from proxyapi.ledger.reaper import bury, reap
from proxyapi.ledger.workers import live_workers
from proxyapi.store.database import Database, Step, Transaction, Writer

NewHold = Callable[..., Hold]
EndingOf = Callable[..., Ending]
DEAD = "host:7:dead"


@asynccontextmanager
async def opened(database: Database, worker: str = "host:1:heir") -> AsyncIterator[Ledger]:
    ledger = Ledger(database, worker=worker, ids=IdSource())
    await ledger.open()
    try:
        yield ledger
    finally:
        assert await ledger.close() == 0


def live(database: Database) -> list[str]:
    with database.transaction() as transaction:
        return [worker.name for worker in live_workers(transaction)]


def test_what_a_worker_held_whose_end_was_seen_expires_at_once(database: Database, new_hold: NewHold) -> None:
    async def main() -> None:
        async with opened(database) as heir, opened(database, DEAD) as dead:
            mine = new_hold(100)
            await dead.hold(new_hold(400))
            await heir.hold(mine)
            assert await bury(database, heir, ["host:7:other", "host:8:dead"]) == 0
            assert await bury(database, heir, [DEAD]) == 1
            assert await bury(database, heir, [DEAD]) == 0, "safe to repeat"
            assert await heir.balance(1) == Balance(1000, 0, 100)
            assert live(database) == ["host:1:heir"]
            await heir.release(Ending(mine.id, 1, mine.price, "", "", ""))

    asyncio.run(main())
    assert audit(database) == []


def test_a_hold_that_the_database_commits_for_the_dead_is_expired_by_the_next_round(
    database: Database, new_hold: NewHold
) -> None:
    async def main() -> None:
        async with opened(database) as heir, opened(database, DEAD) as dead:
            assert await bury(database, heir, [DEAD]) == 0
            await dead.hold(new_hold(50))
            assert await reap(database, heir, claim_seconds=0) == 1

    asyncio.run(main())
    assert audit(database) == []


class Hesitant:
    """A writer whose transactions wait before COMMIT until they are let go."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.close, self.pace = writer.close, writer.pace
        self.waits, self.go = threading.Event(), threading.Event()
        self.go.set()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._writer.transaction() as transaction:
            yield transaction
            self.waits.set()
            assert self.go.wait(10)

    def exactly(self, steps: Sequence[Step], counts: Sequence[int]) -> None:
        with self.transaction() as transaction:
            assert transaction.changes(steps) == counts


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_settlement_that_the_database_commits_for_the_dead_is_kept_and_not_expired(
    database: Database, new_hold: NewHold, ending_of: EndingOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reaper has found the hold, and waits for the account; then the hold is gone."""

    async def main() -> tuple[int, Settled]:
        writer = Hesitant(database.writer())
        async with opened(database) as heir:
            monkeypatch.setattr(database, "writer", lambda: writer)
            async with opened(database, DEAD) as dead:
                hold = new_hold(400)
                await dead.hold(hold)
                writer.waits.clear()
                writer.go.clear()
                settling = asyncio.ensure_future(dead.settle(ending_of(hold, 250)))
                assert await asyncio.to_thread(writer.waits.wait, 10)
                burying = asyncio.ensure_future(bury(database, heir, [DEAD]))
                while not await database.fetch("SELECT 1 FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
                    await asyncio.sleep(0)
                writer.go.set()
                return await burying, await settling

    expired, settled = asyncio.run(main())
    assert (expired, settled.outcome, settled.charged) == (0, "settled", 250)
    assert database.fetch_now("SELECT kind FROM entry WHERE kind <> 'deposit'") == [("settle",)]
    assert audit(database) == []


def test_a_worker_that_was_said_to_be_dead_and_is_not_registers_again_and_corrects(
    database: Database, new_hold: NewHold, ending_of: EndingOf
) -> None:
    async def main() -> None:
        async with opened(database) as heir, opened(database, "host:9:accused") as accused:
            hold = new_hold(400)
            await accused.hold(hold)
            assert await bury(database, heir, ["host:9:accused"]) == 1
            before = accused.worker_id
            await accused.heartbeat()
            assert accused.worker_id not in {before, heir.worker_id}
            assert len(live(database)) == 2
            late = await accused.settle(ending_of(hold, 250))
            assert (late.charged, late.loss, late.outcome) == (250, -400, "corrected")

    asyncio.run(main())
    assert audit(database) == []


def test_what_a_worker_leaves_behind_when_it_stops_expires_without_a_grace(
    database: Database, new_hold: NewHold
) -> None:
    async def main() -> None:
        async with opened(database) as heir:
            async with opened(database, "host:7:stopped") as stopped:
                await stopped.hold(new_hold(400))
            assert live(database) == ["host:1:heir"]
            assert await reap(database, heir, claim_seconds=0) == 1

    asyncio.run(main())
    assert audit(database) == []
