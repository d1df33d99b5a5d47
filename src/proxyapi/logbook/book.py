"""Rows of the log on their way to the store, and out of it when their time is over.

A record is handed over when its answer has gone out; a thread with a connection of its own packs and writes a few at a
time. Money never waits for it longer than for one such transaction, and a store that is sick costs records, not
requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from proxyapi.ids import MS_MAX, greatest_id, least_id
from proxyapi.logbook.packing import row
from proxyapi.logbook.queries import QUERIES
from proxyapi.logbook.record import Facts, Headers, Record, Room
from proxyapi.store.errors import StoreError

if TYPE_CHECKING:
    from proxyapi.store.database import Database, Writer

GATHER_SECONDS: Final = 0.2
"""Between two writes: a customer sees a request on the page within a second."""
QUEUE_MAX: Final = 4_000
"""Finished requests that wait for the store; further ones are dropped."""
BATCH_MAX: Final = 64
TRANSACTION_BYTES_MAX: Final = 2**20
"""Of packed bodies in one transaction, but for the last row: a few milliseconds in which nobody else writes."""
CLOSE_SECONDS: Final = 5.0
DROP_MAX: Final = 100
"""Rows that one transaction deletes."""
DROPS_MAX: Final = 50
"""Such transactions of one round; what is left goes in the next."""
TRIM_EVERY: Final = 50
"""So many new records of an account before its size is looked at."""
DAY_MS: Final = 86_400_000
"""The last millisecond of a UUIDv7."""

Row = tuple[object, ...]


class Logbook:
    """Of one worker. Used from its event loop."""

    def __init__(
        self,
        database: Database,
        *,
        clock_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[object]],
        body_bytes_max: int,
        account_bytes_max: int,
    ) -> None:
        """`clock_ms`: since 1970. `sleep` is `asyncio.sleep`. `body_bytes_max`: kept of one body; `account_bytes_max`:
        of all records of an account, packed."""
        self._database = database
        self._clock_ms = clock_ms
        self._sleep = sleep
        self._body_bytes_max = body_bytes_max
        self._account_bytes_max = account_bytes_max
        self.room = Room()
        self._queue: deque[tuple[Facts, Record]] = deque()
        self._wake = asyncio.Event()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="logbook")
        self._writer: Writer | None = None
        self._grown: dict[int, int] = {}
        """New records by account since its size was looked at."""
        self.written = 0
        self.dropped = 0

    def open(self, headers: Headers) -> Record:
        """For a request that begins, with the names of its header fields in lower case."""
        return Record(headers, self.room)

    def keep(self, facts: Facts, record: Record) -> None:
        """The request is over. Returns at once."""
        if len(self._queue) >= QUEUE_MAX:
            self._drop([(facts, record)])
            return
        self._queue.append((facts, record))
        self._wake.set()

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            await self._wake.wait()
            await self._sleep(GATHER_SECONDS)
            self._wake.clear()
            await self._flush()

    async def close(self) -> None:
        """Write what waits, within a bound."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._flush(), CLOSE_SECONDS)
        self._drop(self._queue)
        self._queue.clear()
        await asyncio.get_running_loop().run_in_executor(self._executor, self._disconnect)
        self._executor.shutdown()

    async def _flush(self) -> None:
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
            try:
                await asyncio.get_running_loop().run_in_executor(self._executor, self._write, batch)
            except StoreError:
                # The log is the one thing that a sick store may lose.
                self._drop(batch)
                continue
            self.written += len(batch)
            for facts, record in batch:
                record.release()
                self._grown[facts.account_id] = self._grown.get(facts.account_id, 0) + 1

    def _drop(self, records: Iterable[tuple[Facts, Record]]) -> None:
        for _, record in records:
            record.release()
            self.dropped += 1

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _write(self, batch: Sequence[tuple[Facts, Record]]) -> None:
        accounts = list({facts.account_id for facts, _ in batch})
        for rows in _portions((facts.account_id, row(facts, record, self._body_bytes_max)) for facts, record in batch):
            try:
                with self._connected().transaction() as transaction:
                    # Who turned the log off meanwhile has seen it emptied.
                    keepers = {keeper for (keeper,) in transaction.execute(QUERIES["keepers"], (accounts,))}
                    transaction.executemany(QUERIES["add"], [values for account, values in rows if account in keepers])
            except StoreError:
                self._disconnect()
                raise

    def _connected(self) -> Writer:
        if self._writer is None:
            self._writer = self._database.writer()
        return self._writer

    def _disconnect(self) -> None:
        if self._writer is not None:
            with suppress(StoreError):
                self._writer.close()
            self._writer = None

    # --- pruning ------------------------------------------------------------------------------------------------------

    async def prune(self) -> None:
        """Delete what is older than its account wants, or more than it may have. StoreError."""
        full = [account for account, count in self._grown.items() if count >= TRIM_EVERY]
        for account in full:
            del self._grown[account]
        await asyncio.get_running_loop().run_in_executor(self._executor, self._prune, full)

    def _prune(self, full: Sequence[int]) -> None:
        left = DROPS_MAX
        for account, days in self._database.fetch_now(QUERIES["terms"]):
            until = self._clock_ms() - days * DAY_MS if days else MS_MAX
            left -= self._drop_until(account, least_id(until), left)
        for account in full:
            for (last,) in self._database.fetch_now(QUERIES["surplus"], (account, self._account_bytes_max)):
                left -= self._drop_until(account, last, left)

    def _drop_until(self, account: int, last: bytes, most: int) -> int:
        """Number of transactions that it took."""
        for count in range(1, most + 1):
            with self._connected().transaction() as transaction:
                gone = transaction.execute(QUERIES["drop"], (account, last, DROP_MAX))
            if len(gone) < DROP_MAX:
                return count
        return most


def _portions(rows: Iterable[tuple[int, Row]]) -> Iterator[list[tuple[int, Row]]]:
    """As many at a time as one transaction may write."""
    portion: list[tuple[int, Row]] = []
    size = 0
    for account, values in rows:
        portion.append((account, values))
        size += sum(len(value) for value in values if isinstance(value, bytes))
        if size >= TRANSACTION_BYTES_MAX:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def forget(database: Database, account_id: int) -> int:
    """Delete all records of an account; blocking. Their number."""
    count = 0
    while True:
        with database.transaction() as transaction:
            gone = transaction.execute(QUERIES["drop"], (account_id, greatest_id(MS_MAX), DROP_MAX))
        count += len(gone)
        if len(gone) < DROP_MAX:
            return count


def size(database: Database, account_id: int) -> tuple[int, int]:
    """Number of an account's records, and their bytes."""
    count, total = database.fetch_now(QUERIES["size"], (account_id,))[0]
    return int(count), int(total)
