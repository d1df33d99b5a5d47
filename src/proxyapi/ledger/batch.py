"""Group commit: while one transaction is in flight in the writer thread, the next batch fills.

A commit costs as much as the ops of a dozen requests, so batches should be few and large, but no hold may wait for
that where the machine has time: a batch begins after the first turn of the event loop that had nothing to do,
which is the next one when little happens, and a busy loop puts it off for as long as the engine's `Pace` allows, from
the first hold on. Holds that have waited so long for the batch before follow it at once.
Endings, which nobody waits for, ride with the holds that come; by themselves they begin a batch after `REST_SECONDS`,
or as soon as they are enough to be worth one.

All state lives on the event loop's thread; the writer thread gets a batch from a queue and posts the answers back in
one call. What the store cannot do now splits in two: endings stay queued and are tried again until they are done,
everything else fails closed with `StoreUnavailable` within two seconds, at once where the store does not answer at all.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from time import monotonic
from typing import Any, Final, NamedTuple, Protocol

from proxyapi.errors import (
    Conflict,
    GatewayError,
    IdempotencyKeyInUse,
    InsufficientFunds,
    InvalidRequest,
    StoreUnavailable,
    Unauthenticated,
)
from proxyapi.ledger.ops import Accepted, Ending, Failed, Hold, Op, Refused, Rejected, Result, Rows, Settled
from proxyapi.store.database import Pace
from proxyapi.store.errors import OutcomeUnknown, StoreFailure

OPS_MAX: Final = 512
"""Per transaction: some 10 ms of work, so that nobody waits long for the batch before."""
QUEUE_MAX: Final = 20_000
"""Queued ops, above which new holds are refused; endings are bounded by the holds before them."""
TURN_SECONDS: Final = 0.000_2
"""A turn of the loop that took longer had something to do."""
REST_SECONDS: Final = 0.005
PATIENCE_SECONDS: Final = 1.5
WATCH_SECONDS: Final = 0.25
"""A hold is answered within the sum of both."""
RETRY_SECONDS_MIN: Final = 0.05
RETRY_SECONDS_MAX: Final = 1.0
"""Between attempts at a sick store. What comes meanwhile rides on the next one."""

Outcome = Result | Exception


class Applier(Protocol):
    """Commits a batch; blocking."""

    def __call__(self, ops: Sequence[Op], *, replay: bool = False) -> list[Result]: ...


class _Batch(NamedTuple):
    ops: list[Op]
    futures: list[asyncio.Future[Any]]
    since: float


class Batcher:
    """Takes ops on the event loop, commits them in a thread."""

    def __init__(
        self,
        apply: Applier,
        *,
        loop: asyncio.AbstractEventLoop,
        pace: Pace,
        on_problem: Callable[[str], None],
        ops_max: int = OPS_MAX,
    ) -> None:
        self._apply = apply
        self._pace = pace
        self._loop = loop
        self._on_problem = on_problem
        self._ops_max = ops_max
        self._ops: list[Op] = []
        self._futures: list[asyncio.Future[Any]] = []
        self._since = 0.0
        """When the oldest of `_ops` came."""
        self._flying: _Batch | None = None
        self._scheduled = False
        """`_gather` or, after a failure, `_send` will be called."""
        self._resting = False
        """`_rested` will be called."""
        self._gathered = 0
        """How many ops there were when `_gather` last looked, and when that was."""
        self._looked = 0.0
        self._waiting = 0.0
        """Since when the batch that is next waits for more: since its first op that somebody waits for."""
        self._urgent = False
        """Something else than endings is among `_ops`."""
        self._watching = False
        self._retry_seconds = 0.0
        """0: the store is well."""
        self._stuck = False
        """The writer thread has not answered for `PATIENCE_SECONDS`."""
        self._closed = False
        self._idle: asyncio.Future[None] | None = None
        self._queue: SimpleQueue[_Batch | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()
        self.batches = 0
        self.committed = 0
        """Ops, with `batches`: how well they share transactions."""

    @property
    def queued(self) -> int:
        """Ops that are not committed yet."""
        return len(self._ops) + (len(self._flying.ops) if self._flying is not None else 0)

    @property
    def well(self) -> bool:
        """The last batch was committed, and the one in flight is not stuck."""
        return not self._retry_seconds and not self._stuck

    def submit(self, op: Op) -> asyncio.Future[Any]:
        """Queued before this returns. The future fails with a `GatewayError`; an ending's only at a bug."""
        future: asyncio.Future[Any] = self._loop.create_future()
        ops = self._ops
        ending = type(op) is Ending
        if (self._stuck or self._closed or len(ops) >= QUEUE_MAX) and (self._closed or not ending):
            future.set_exception(StoreUnavailable())
            return future
        if not ops:
            self._begin()
        ops.append(op)
        self._futures.append(future)
        if not ending and not self._urgent:
            self._urgent = True
            self._waiting = monotonic()
        if self._flying is None and not self._retry_seconds:
            self._plan_batch()
        return future

    def _plan_batch(self) -> None:
        """At once, also in the middle of a turn, where somebody has waited for long enough."""
        if self._urgent and monotonic() - self._waiting >= self._pace.gather_seconds:
            self._send()
        elif self._scheduled:
            return
        elif self._urgent:
            self._schedule()
        elif len(self._ops) >= self._pace.endings:
            self._waiting = monotonic()
            self._schedule()
        elif not self._resting:
            self._rest()

    def _begin(self) -> None:
        """Before the first op of a batch."""
        self._since = self._loop.time()
        if not self._watching:
            self._watching = True
            self._loop.call_later(WATCH_SECONDS, self._watch)

    def _schedule(self) -> None:
        self._scheduled = True
        self._gathered, self._looked = len(self._ops), monotonic()
        self._loop.call_soon(self._gather)

    def _gather(self) -> None:
        """Begins a batch, unless the turn of the loop that ended was a busy one: the next one may bring more."""
        count, now = len(self._ops), monotonic()
        busy = count > self._gathered or now - self._looked > TURN_SECONDS
        patient = now - self._waiting < self._pace.gather_seconds
        if busy and patient and count < self._ops_max and self._flying is None:
            self._gathered, self._looked = count, now
            self._loop.call_soon(self._gather)
        else:
            self._send()

    def _rest(self) -> None:
        self._resting = True
        self._loop.call_later(REST_SECONDS, self._rested)

    def _rested(self) -> None:
        self._resting = False
        if not self._scheduled:
            self._send()

    def _send(self) -> None:
        self._scheduled = False
        if self._flying is not None or not self._ops:
            return
        if len(self._ops) <= self._ops_max:
            ops, futures = self._ops, self._futures
            self._ops, self._futures, self._urgent = [], [], False
        else:
            ops, futures = self._ops[: self._ops_max], self._futures[: self._ops_max]
            del self._ops[: self._ops_max], self._futures[: self._ops_max]
        self._flying = _Batch(ops, futures, self._loop.time())
        self._queue.put(self._flying)

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            outcomes = self._outcomes(batch.ops)
            try:
                self._loop.call_soon_threadsafe(self._landed, batch, outcomes)
            except RuntimeError:  # the loop was closed without waiting for us
                return

    def _outcomes(self, ops: Sequence[Op]) -> Sequence[Outcome]:
        try:
            return self._certain(ops)
        except StoreFailure as error:
            return [error] * len(ops)
        # Whatever else is wrong with one op must not stop the others, nor this thread, which is the only writer.
        except Exception as error:  # noqa: BLE001
            return [error] if len(ops) == 1 else [self._outcomes([op])[0] for op in ops]

    def _certain(self, ops: Sequence[Op]) -> list[Result]:
        """After an unknown outcome the same batch is applied once more, with the same ids."""
        try:
            return self._apply(ops)
        except OutcomeUnknown as unknown:
            try:
                return self._apply(ops, replay=True)
            except StoreFailure as error:
                raise unknown from error

    def _landed(self, batch: _Batch, outcomes: Sequence[Outcome]) -> None:
        self._flying, self._stuck = None, False
        self.batches += 1
        done = 0
        again: list[tuple[Op, asyncio.Future[Any]]] = []
        failure: StoreFailure | None = None
        for op, future, outcome in zip(batch.ops, batch.futures, outcomes, strict=True):
            kind = type(outcome)
            if kind is Settled or (kind is Accepted and not future.done()):
                done += 1
                if not future.done():
                    future.set_result(None if kind is Accepted else outcome)
            elif isinstance(outcome, StoreFailure):
                failure = outcome
                again += self._not_kept(op, future, outcome)
            else:
                done += 1
                self._deliver(op, future, outcome)
        self.committed += done
        if again:
            if not self._ops:
                self._begin()
            self._ops[:0] = [op for op, _ in again]
            self._futures[:0] = [future for _, future in again]
        self._after(failure)

    def _after(self, failure: StoreFailure | None) -> None:
        if failure is None:
            if self._retry_seconds:
                self._on_problem("the store is well again")
            self._retry_seconds = 0.0
            if self._ops and not self._scheduled:
                if self._idle is not None:
                    self._schedule()
                else:
                    self._plan_batch()
        else:
            if not self._retry_seconds:
                self._on_problem(f"the store is sick: {failure}")
            self._retry_seconds = min(RETRY_SECONDS_MAX, max(RETRY_SECONDS_MIN, self._retry_seconds * 2))
            self._scheduled = True
            self._loop.call_later(self._retry_seconds, self._send)
        if self._idle is not None and not self._ops and self._flying is None and not self._idle.done():
            self._idle.set_result(None)

    def _not_kept(
        self, op: Op, future: asyncio.Future[Any], failure: StoreFailure
    ) -> list[tuple[Op, asyncio.Future[Any]]]:
        """What has to be tried again of an op that the store could not do."""
        if type(op) is Ending:
            return [(op, future)]
        if not future.done():
            future.set_exception(StoreUnavailable())
        if type(op) is Hold and isinstance(failure, OutcomeUnknown):
            return [(_release(op), self._loop.create_future())]
        return []

    def _deliver(self, op: Op, future: asyncio.Future[Any], outcome: Outcome) -> None:
        if future.done():  # cancelled, or told that the store is unavailable: nobody owns this hold
            if type(op) is Hold and type(outcome) is Accepted:
                self.submit(_release(op))
            return
        if isinstance(outcome, Exception):
            self._on_problem(f"refused by the store: {op!r}: {outcome!r}")
            future.set_exception(StoreUnavailable() if isinstance(op, Hold) else outcome)
        elif isinstance(outcome, Rows):
            future.set_result(outcome.rows)
        elif isinstance(outcome, Refused | Rejected):
            future.set_exception(refusal(outcome))
        elif isinstance(outcome, Failed):
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome)

    def _watch(self) -> None:
        """Nobody waits longer than the patience for a writer that is stuck, as on a lock or a disk."""
        self._watching = False
        flying, oldest = self._flying, self._loop.time() - PATIENCE_SECONDS
        if flying is not None and flying.since <= oldest:
            if not self._stuck:
                self._on_problem("the store does not answer")
            self._stuck = True
            for op, future in zip(flying.ops, flying.futures, strict=True):
                if type(op) is not Ending and not future.done():
                    future.set_exception(StoreUnavailable())
        if self._ops and self._since <= oldest:
            kept: list[tuple[Op, asyncio.Future[Any]]] = []
            for op, future in zip(self._ops, self._futures, strict=True):
                if type(op) is Ending:
                    kept.append((op, future))
                elif not future.done():
                    future.set_exception(StoreUnavailable())
            self._ops = [op for op, _ in kept]
            self._futures = [future for _, future in kept]
            self._since = self._loop.time()
        if self._ops or self._flying is not None:
            self._watching = True
            self._loop.call_later(WATCH_SECONDS, self._watch)

    async def close(self, seconds_max: float) -> int:
        """Commits what is queued. Returns the number of ops that could not be, in this time."""
        if self._ops or self._flying is not None:
            self._idle = self._loop.create_future()
            if not self._scheduled:
                self._send()
            await asyncio.wait([self._idle], timeout=seconds_max)
        self._closed = True
        left = self.queued
        self._queue.put(None)
        if not left:
            await self._loop.run_in_executor(None, self._thread.join)
        return left


def refusal(outcome: Refused | Rejected) -> GatewayError:
    """What the client, or the operator, is told."""
    if isinstance(outcome, Refused):
        return InsufficientFunds(
            source=outcome.source, required=outcome.required, available=outcome.available, held=outcome.held
        )
    match outcome.reason:
        case "blocked":
            return Unauthenticated()
        case "duplicate":
            return Conflict("A request with this id has been made before.")
        case "claimed":
            return IdempotencyKeyInUse()
        case "conflict":
            return Conflict("This reference was used for another account or amount.")
        case "too_large":
            return InvalidRequest("The amount is larger than an account can hold.", param="amount")
        case "unknown_account":
            return InvalidRequest("There is no such account.", param="account")


def _release(hold: Hold) -> Ending:
    return Ending(
        id=hold.id, account_id=hold.account_id, price=hold.price, provider=hold.provider, model=hold.model,
        operation=hold.operation, source="estimated", ending="abandoned", status=0, attempts=0, released=True,
    )  # fmt: skip
