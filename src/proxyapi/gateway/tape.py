"""An answer written down while it is made, for those who send the request again with the same `Idempotency-Key`.

The store is all that workers share, so the bytes go there in small pieces, with the ledger's commits; nothing of an
answer stays in memory but what came in the last moments. What can't be written costs the repetition, never the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from proxyapi.errors import StoreUnavailable
from proxyapi.gateway.drains import Drains
from proxyapi.ledger.ops import Claim, Write
from proxyapi.store.errors import StoreError
from proxyapi.store.queries import load_queries
from proxyapi.wire.inherited import Inherited

QUERIES = load_queries("proxyapi.gateway", "repeats.sql")

PIECE_BYTES: Final = 65_536
"""Of one row, and the most that an answer in the making holds in memory."""
PIECE_SECONDS: Final = 0.25
"""How far those who follow on other workers may be behind."""
WAITING_BYTES_MAX: Final = 32 * 2**20
"""Of one worker: pieces that the store has not taken yet. Beyond it answers are not kept."""
FOLLOWED_MS: Final = 20_000
"""Somebody who follows says so twice in this time; an answer that is followed is not given up."""
ACCOUNT_DRAINS_MAX: Final = 20
"""Answers of one account and worker that go on without their clients: none can take all of the operator's drains."""
TRIM_EVERY: Final = 16
"""So many kept answers of an account before its size is looked at."""

Fetch = Callable[[str, Sequence[object]], Awaitable[Sequence[Sequence[Any]]]]
Later = Callable[[float, Callable[[], None]], asyncio.TimerHandle]
"""`loop.call_later`."""
WriteNow = Callable[[str, tuple[object, ...]], Awaitable[Sequence[Sequence[Any]]]]

_LEFT_OUT: Final = (b"x-request-id:", b"access-control-", b"vary:", b"x-proxyapi-balance-after:")
"""Header lines that belong to one exchange, not to the answer."""


class Tapes:
    """One per worker: what all of its tapes share."""

    def __init__(
        self,
        *,
        fetch: Fetch,
        write: WriteNow,
        clock_ms: Callable[[], int],
        later: Later,
        drains: Drains,
        life_ms: int,
        answer_bytes_max: int,
        account_bytes_max: int,
    ) -> None:
        """`fetch` is `Database.fetch`, `write` is `Ledger.write`. `answer_bytes_max` 0: no answers are kept."""
        self.fetch = fetch
        self.clock_ms = clock_ms
        self.later = later
        self.drains = drains
        self.life_ms = life_ms
        self.answer_bytes_max = answer_bytes_max
        self.waiting_bytes = 0
        self._account_bytes_max = account_bytes_max
        self._write = write
        self._going_on: list[tuple[int, _Patience]] = []
        """By account; those that are over are forgotten when the next one begins."""
        self._kept: dict[int, int] = {}
        """Answers by account since its size was looked at."""
        self._tasks: set[asyncio.Task[None]] = set()

    def write(self, query: str, *parameters: object, size: int = 0, failed: Callable[[], None] | None = None) -> None:
        """Queued before this returns; nobody waits. `size`: bytes that count as waiting. `failed` is called if the
        store did not do it."""
        self.waiting_bytes += size
        written = asyncio.ensure_future(self._write(QUERIES[query], parameters))

        def done(future: asyncio.Future[Sequence[Sequence[Any]]]) -> None:
            self.waiting_bytes -= size
            if (future.cancelled() or future.exception() is not None) and failed is not None:
                failed()

        written.add_done_callback(done)

    async def prune(self, query: str, *parameters: object, rows_max: int, rounds_max: int) -> None:
        """Delete, with one statement after the other, until there is nothing left to delete."""
        for _ in range(rounds_max):
            if len(await self._write(QUERIES[query], (*parameters, rows_max))) < rows_max:
                return

    def spawn(self, work: Awaitable[None]) -> None:
        """Work that nobody waits for but `close`."""

        async def run() -> None:
            await work

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def goes_on(self, account_id: int, patience: _Patience, amount: int) -> bool:
        """Whether an answer is made on without its client. `amount`: nanos on hold for it."""
        self._going_on = [(id, each) for id, each in self._going_on if not each.over]
        if sum(id == account_id for id, _ in self._going_on) >= ACCOUNT_DRAINS_MAX:
            return False
        self.drains.begin(patience, amount)
        if patience.over:
            return False
        self._going_on.append((account_id, patience))
        return True

    def kept(self, account_id: int) -> None:
        """One more answer of an account: now and then its oldest ones give way."""
        count = self._kept.get(account_id, 0) + 1
        if count < TRIM_EVERY:
            self._kept[account_id] = count
            return
        self._kept.pop(account_id, None)
        self.spawn(self._trim(account_id))

    async def _trim(self, account_id: int) -> None:
        try:
            gone = await self._write(QUERIES["trim"], (account_id, account_id, self._account_bytes_max))
            for (id,) in gone:
                await self._write(QUERIES["forget_pieces"], (id,))
        except (StoreUnavailable, StoreError):
            pass  # the next round, or age, takes them

    async def close(self) -> None:
        if self._tasks:
            await asyncio.gather(*self._tasks)


class _Patience:
    """The time that an answer goes on without its client, as `Drains` bounds it."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self.over = False
        self._running = False
        self._ended = ended

    def resume_reading(self) -> None:
        """It begins."""
        self._running = True

    def close(self) -> None:
        """A bound is reached; at once: it does not even begin."""
        self.over = True
        if self._running:
            self._running = False
            self._ended()

    def end(self) -> None:
        """The answer is over first."""
        self.over, self._running = True, False


class Tape:
    """The answer to one request that has an `Idempotency-Key`: the heir of its exchange."""

    def __init__(self, tapes: Tapes, account_id: int, key: bytes, id: bytes) -> None:
        """`key`: SHA-256 of the header's value. `id`: of the request."""
        self.request = b""
        """SHA-256 of method, path and body, when they are known."""
        self.streams = False
        self.exchange: Inherited | None = None
        self.claim: Claim | None = None
        self.held: int | None = None
        """Nanos, when the claim was made with their hold."""
        self.released = False
        """Nothing was generated: the request may be made again."""
        self._tapes = tapes
        self._identity = (account_id, key, id)
        self._status = 0
        self._headers = b""
        self._counted = False
        self._whole: bool | None = None
        """None: it has not ended."""
        self._told = False
        """The store knows how the answer begins."""
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._pieces = 0
        self._bytes = 0
        self._lost = False
        self._timer: asyncio.TimerHandle | None = None
        self._patience: _Patience | None = None

    @property
    def identity(self) -> tuple[int, bytes, bytes]:
        """Account, key, request: what every statement names."""
        return self._identity

    def recognised(self, request: bytes, *, streams: bool) -> None:
        """The request is known now, and nobody has its key: the hold will claim it."""
        account_id, key, id = self._identity
        self.request, self.streams = request, streams
        now = self._tapes.clock_ms()
        values = (account_id, key, id, request, int(streams), now, b"", now - self._tapes.life_ms)
        self.claim = Claim(
            order=(account_id, key),
            take=Write(QUERIES["take"], values),
            drop=Write(QUERIES["drop"], self._identity),
            confirm=Write(QUERIES["confirm"], self._identity),
        )

    # --- what the exchange tells ----------------------------------------------------------------------------------

    def answered(self, status: int, headers: bytes, body: bytes) -> None:
        self.begun(status, headers, len(body))
        self.more(body)
        self._whole = True

    def begun(self, status: int, headers: bytes, length: int | None) -> None:
        self._status, self._headers, self._counted = status, own_lines(headers), length is not None

    def more(self, data: bytes) -> None:
        if self._lost or self.released or self.held is None:
            return
        self._bytes += len(data)
        waiting = self._tapes.waiting_bytes + self._waiting_bytes + len(data)
        if self._bytes > self._tapes.answer_bytes_max or waiting > WAITING_BYTES_MAX:
            self._lose()
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= PIECE_BYTES:
            self._flush()
        elif self.streams and self._timer is None:
            self._timer = self._tapes.later(PIECE_SECONDS, self._flush)

    def ended(self, *, whole: bool) -> None:
        self._whole = whole

    def client_left(self) -> bool:
        """An answer that can be fetched is made to its end."""
        if self.held is None or self._lost or not self._tapes.answer_bytes_max:
            return False
        self._patience = _Patience(self._patience_ends)
        return self._tapes.goes_on(self._identity[0], self._patience, self.held)

    def _patience_ends(self) -> None:
        self._tapes.spawn(self._go_on_if_followed())

    async def _go_on_if_followed(self) -> None:
        since = self._tapes.clock_ms() - FOLLOWED_MS
        try:
            rows = await self._tapes.fetch(QUERIES["followed"], self._identity)
        except StoreError:
            rows = ()
        if self._whole is None and not (rows and rows[0][0] > since and self.client_left()):
            self._abandon()

    def _abandon(self) -> None:
        if self.exchange is not None:
            self.exchange.abandon()

    # --- what the store is told --------------------------------------------------------------------------------------

    def close(self) -> None:
        """The request is over: its answer is kept, lost, or as if it had never been."""
        self._stop_timers()
        if self.held is None:
            return
        if self.released:
            self._tapes.write("drop", *self._identity)
            self._forget()
        elif self._whole is None:
            self._lose()
        elif not self._lost:
            self._flush()
            self._keep()

    def _keep(self) -> None:
        about = (self._status, self._headers, int(self._counted), int(self._whole or False), self._pieces, self._bytes)
        self._tapes.write("keep", *about, *self._identity, self._pieces)
        self._tapes.kept(self._identity[0])

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lost or not self._waiting:
            return
        if self.streams and not self._told:
            self._told = True
            self._tapes.write("begin", self._status, self._headers, int(self._counted), *self._identity)
        data, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
        for at in range(0, len(data), PIECE_BYTES):
            piece = data[at : at + PIECE_BYTES]
            values = (self._identity[2], self._pieces, piece)
            self._tapes.write("piece", *values, size=len(piece), failed=self._lose)
            self._pieces += 1

    def _lose(self) -> None:
        """It can't be told again, in whole: then not at all."""
        if self._lost:
            return
        self._lost = True
        self._waiting, self._waiting_bytes = [], 0
        self._tapes.write("lose", *self._identity)
        self._forget()
        if self._patience is not None:
            self._patience.end()
            self._abandon()

    def _forget(self) -> None:
        if self._pieces:
            self._tapes.write("forget_pieces", self._identity[2])

    def _stop_timers(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._patience is not None:
            self._patience.end()
            self._patience = None


def own_lines(headers: bytes) -> bytes:
    """The header lines that are the answer's own."""
    lines = headers.split(b"\r\n")
    return b"".join([b"%b\r\n" % line for line in lines if line and not line.lower().startswith(_LEFT_OUT)])
