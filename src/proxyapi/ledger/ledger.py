"""Hold, settle, release, deposit: what a server uses of the ledger.

A hold brackets the upstream call: it is durable before the call goes out, and every ending resolves it exactly once.
The caller owns a hold from the moment that `hold` is called: unless that raised a `GatewayError` (nothing is held
then), it owes an ending, also if it was cancelled while waiting. Ending a hold that never came to be is harmless.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from proxyapi.errors import InvalidRequest, StoreUnavailable
from proxyapi.ids import IdSource
from proxyapi.ledger.batch import OPS_MAX, Batcher
from proxyapi.ledger.commit import SQL, Committer
from proxyapi.ledger.ops import (
    AMOUNT_MAX,
    Balance,
    Budget,
    Ending,
    Expire,
    Funded,
    Funding,
    Hold,
    SetLimit,
    Settled,
    Write,
)
from proxyapi.ledger.periods import period_start
from proxyapi.store.database import Database, Row
from proxyapi.store.errors import StatementRefused

UNSEEN_SECONDS_MAX = 20.0
"""A worker that could not touch its row for so long stops admitting, well before the reaper takes it for dead."""
DRAIN_SECONDS = 30.0


def _ignore(_: str) -> None: ...


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Ledger:
    """One per worker process. Use it from the event loop that `open` ran on."""

    def __init__(
        self,
        database: Database,
        *,
        worker: str,
        ids: IdSource,
        clock_ms: Callable[[], int] = now_ms,
        monotonic: Callable[[], float] = time.monotonic,
        on_problem: Callable[[str], None] = _ignore,
        ops_max: int = OPS_MAX,
        unseen_seconds: float = UNSEEN_SECONDS_MAX,
    ) -> None:
        """`worker`: a name that no other has, such as host, process id and something random. `on_problem` is told in
        a sentence when the store falls sick or recovers. `unseen_seconds`: how long this worker admits without having
        touched its row."""
        self._database = database
        self._worker = worker
        self._ids = ids
        self._clock_ms = clock_ms
        self._monotonic = monotonic
        self._on_problem = on_problem
        self._ops_max = ops_max
        self._unseen_seconds = unseen_seconds
        self._committer: Committer | None = None
        self._batcher: Batcher | None = None
        self._seen = 0.0
        """When this worker's row was last touched, by the monotonic clock."""

    async def open(self) -> None:
        """Registers the worker and starts the writer thread. `StoreFailure` if the store can't be written,
        `StatementRefused` if its books were moved away."""
        loop = asyncio.get_running_loop()
        writer = self._database.writer()
        self._committer = Committer(writer, self._clock_ms)
        self._batcher = Batcher(
            self._committer.apply, loop=loop, pace=writer.pace, on_problem=self._on_problem, ops_max=self._ops_max
        )
        await self._register()

    async def close(self, drain_seconds: float = DRAIN_SECONDS) -> int:
        """Commits everything that is queued. Returns how many ops could not be in that time: 0 unless the store is ill.

        Holds that have no ending yet are left to the reaper."""
        if self._batcher is None or self._committer is None:
            return 0
        if self._batcher.well:
            leaving = (Write(SQL[name], (self.worker_id,)) for name in ("leave_worker", "mark_left"))
            await asyncio.wait([self._batcher.submit(op) for op in leaving])
        left = await self._batcher.close(drain_seconds)
        if left:
            self._on_problem(f"stopped with {left} ledger operations that the store did not take")
        else:
            self._committer.close()
        return left

    @property
    def worker_id(self) -> int:
        """Of the row in `worker`; another one after the reaper took this worker for dead."""
        return self._opened[1].worker_id

    @property
    def queued(self) -> int:
        """Ops that wait for the store or are being committed."""
        return self._opened[0].queued

    @property
    def batches(self) -> int:
        """Transactions so far."""
        return self._opened[0].batches

    @property
    def operations(self) -> int:
        """Ops committed so far."""
        return self._opened[0].committed

    @property
    def well(self) -> bool:
        """New requests can be admitted, as far as is known."""
        batcher, _ = self._opened
        return batcher.well and self._monotonic() - self._seen < self._unseen_seconds

    @property
    def _opened(self) -> tuple[Batcher, Committer]:
        if self._batcher is None or self._committer is None:
            raise StoreUnavailable
        return self._batcher, self._committer

    # The three of every request

    def hold(self, hold: Hold) -> Awaitable[None]:
        """Durable when it returns. Raises `InsufficientFunds`, `Unauthenticated` (blocked account), `Conflict` (the id
        was used before) or `StoreUnavailable`."""
        if self._batcher is None or self._monotonic() - self._seen >= self._unseen_seconds:
            return self._unavailable()
        if not 0 <= hold.amount <= AMOUNT_MAX:
            raise InvalidRequest("The request could cost more than an account can hold.")
        return self._batcher.submit(hold)

    def settle(self, ending: Ending) -> Awaitable[Settled]:
        """Queued at once, and tried until it is done: the caller need not wait. Never refused for lack of money."""
        if self._batcher is None:
            raise StoreUnavailable
        return self._batcher.submit(ending)

    def release(self, ending: Ending) -> Awaitable[Settled]:
        """The same for a request that generated nothing: charges nothing."""
        return self.settle(ending if ending.released else msgspec.structs.replace(ending, released=True))

    def _unavailable(self) -> Awaitable[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_exception(StoreUnavailable())
        return future

    # Money from outside

    async def deposit(self, account_id: int, amount: int, *, reference: str, note: str | None = None) -> bool:
        """Idempotent by `reference` (payment provider and payment id): False if it had been booked before, `Conflict`
        if that was another account or amount."""
        if amount <= 0:
            raise InvalidRequest("A deposit is more than zero.", param="amount")
        return (await self._fund(Funding(self._ids(), "deposit", account_id, amount, reference, note))).new

    async def adjust(self, account_id: int, amount: int, *, reason: str, reference: str | None = None) -> bool:
        """Adds or takes what was funded; `InsufficientFunds` rather than below what is spent and held."""
        return (await self._fund(Funding(self._ids(), "adjust", account_id, amount, reference, reason))).new

    async def set_limit(self, budget: Budget) -> None:
        """After a key's limit was edited: adjusts the budget of the period that runs, if it exists."""
        await self._opened[0].submit(SetLimit(self._ids(), budget))

    async def _fund(self, op: Funding) -> Funded:
        funded: Funded = await self._opened[0].submit(op)
        return funded

    # Questions

    async def balance(self, account_id: int) -> Balance:
        """`KeyError` if there is no such account."""
        rows = await self._database.fetch(SQL["read_balance"], (account_id,))
        if not rows:
            raise KeyError(account_id)
        return balance_of(rows[0])

    async def budget_state(self, budget: Budget) -> Balance:
        """Of the period that runs; untouched before its first use."""
        start = period_start(budget.period, self._clock_ms())
        rows = await self._database.fetch(SQL["read_budget"], (budget.key_id, budget.period, start))
        return balance_of(rows[0]) if rows else Balance(budget.limit, 0, 0)

    # For other parts

    def write(self, sql: str, parameters: tuple[object, ...] = ()) -> Awaitable[list[Row]]:
        """A statement that rides in the same commit as what is queued now; may RETURN rows. It has to be safe to repeat
        (INSERT ... ON CONFLICT, absolute values). `StatementRefused` is its own; `StoreUnavailable`: not done."""
        return self._opened[0].submit(Write(sql, parameters))

    async def heartbeat(self, snapshot: str | None = None) -> None:
        """Touches the worker's row by the database's clock, every few seconds. `snapshot`: JSON of its metrics.

        A worker that was taken for dead registers again, under a new id."""
        asked = self._monotonic()
        if await self.write(SQL["touch_worker"], (snapshot, self.worker_id)):
            self._seen = asked
        else:
            await self._register()

    async def snapshots(self) -> list[str]:
        """Metrics of the other live workers, as each handed them to its `heartbeat`."""
        rows = await self._database.fetch(SQL["read_snapshots"], (self.worker_id, int(UNSEEN_SECONDS_MAX * 1000)))
        return [row[0] for row in rows]

    def expire(self, id: bytes, grace_ms: int) -> Awaitable[Settled]:
        """For the reaper: ends the hold if its worker is dead, or has not been seen for `grace_ms`."""
        return self._opened[0].submit(Expire(id, grace_ms))

    async def _register(self) -> None:
        batcher, committer = self._opened
        asked = self._monotonic()
        rows = await batcher.submit(Write(SQL["insert_worker"], (self._worker,)))
        if not rows:
            raise StatementRefused("the books of this database were moved to another one")
        committer.worker_id = rows[0][0]
        self._seen = asked


def balance_of(row: Row) -> Balance:
    """A row of `read_balance` or `read_budget`."""
    return Balance(row[0], row[1], row[2], row[3], bool(row[4]))
