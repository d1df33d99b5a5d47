"""SQLite: connections, the write lock between processes, and `Database`, which the rest of the program holds.

Durability is WAL with `synchronous=FULL`: COMMIT returns after fsync. Writers of several processes queue on an `flock`
of a file beside the database: SQLite's own busy handler sleeps and is unfair (worst hold 1,139 ms against 21-100 ms
with two processes). Readers never wait for writers.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from proxyapi.store.errors import ConstraintViolated, OutcomeUnknown, StatementRefused, StoreError, StoreFailure

Row = tuple[Any, ...]
Parameters = Sequence[object]

BUSY_SECONDS = 5.0
"""How long SQLite itself waits for a lock: only for those who don't take our own lock, such as a sqlite3 shell."""
CACHE_KIBIBYTES = 16_384
CHECKPOINT_PAGES = 4_000
"""16 MB of WAL between checkpoints: rare enough not to be felt, small enough to be done in a few milliseconds."""
WAL_BYTES_KEPT = 64 * 2**20
DIRECTORY_MODE = 0o700
"""Balances and the digests of keys are nobody else's business."""
STATEMENTS_CACHED = 256

DATABASE_CLOCK_MS = "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"
"""Milliseconds since 1970; `unixepoch('subsec')` needs SQLite 3.42, Debian 12 has 3.40."""

_SICK = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
"""Primary result codes that blame the store rather than the statement."""


class Connection(Protocol):
    """What is used of `sqlite3.Connection`; tests put a faulty one in its place."""

    @property
    def in_transaction(self) -> bool: ...
    def execute(self, sql: str, parameters: Any = ..., /) -> sqlite3.Cursor: ...
    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor: ...
    def close(self) -> None: ...


def translate(error: sqlite3.Error) -> StoreError:
    """The driver's exception in our words."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return StatementRefused(str(error))
    if code & 0xFF in _SICK:
        return StoreFailure(f"{error} ({error.sqlite_errorname})")
    if code & 0xFF == sqlite3.SQLITE_CONSTRAINT:
        return ConstraintViolated(str(error))
    return StatementRefused(str(error))


def connect(path: Path, *, durable: bool = True, read_only: bool = False) -> sqlite3.Connection:
    """A connection as this program uses it. `durable=False` is for tests that don't pull plugs."""
    try:
        connection = sqlite3.connect(
            f"file:{_quoted(path)}?mode={'ro' if read_only else 'rwc'}",
            uri=True,
            isolation_level=None,
            timeout=BUSY_SECONDS,
            check_same_thread=False,
            cached_statements=STATEMENTS_CACHED,
        )
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
            connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES_KEPT}")
            connection.execute("PRAGMA secure_delete=OFF")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIBIBYTES}")
    except sqlite3.Error as error:
        raise translate(error) from error
    return connection


def make_directory(database: Path) -> None:
    """The directory of a database that begins; one that is there stays as it is."""
    database.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


class WriteLock:
    """The `flock` that write transactions of all processes and threads queue on. Dies with its holder."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._file)


class Transaction:
    """What may be done inside a write transaction. Errors are `StoreError`s."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise translate(error) from error
        except (OverflowError, UnicodeError) as error:  # an int beyond int64, half a surrogate pair
            raise StatementRefused(str(error)) from error

    def change(self, sql: str, parameters: Parameters = ()) -> int:
        """Number of rows changed by an UPDATE or DELETE."""
        try:
            return self._connection.execute(sql, parameters).rowcount
        except sqlite3.Error as error:
            raise translate(error) from error

    def executemany(self, sql: str, rows: Iterable[Parameters]) -> int:
        """Number of rows changed."""
        try:
            return self._connection.executemany(sql, rows).rowcount
        except sqlite3.Error as error:
            raise translate(error) from error
        except (OverflowError, UnicodeError) as error:
            raise StatementRefused(str(error)) from error

    def iterate(self, sql: str) -> Iterator[Row]:
        """The rows of a SELECT one by one, for those that don't fit into memory."""
        try:
            yield from self._connection.execute(sql)
        except sqlite3.Error as error:
            raise translate(error) from error

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What fails inside is undone by itself, unless the store is sick."""
        self.execute("SAVEPOINT part")
        try:
            yield
        except StatementRefused:
            self.execute("ROLLBACK TO part")
            self.execute("RELEASE part")
            raise
        self.execute("RELEASE part")


class Writer:
    """One connection for write transactions, used by one thread at a time."""

    def __init__(self, connection: Connection, lock: WriteLock) -> None:
        self._connection = connection
        self._lock = lock

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """BEGIN IMMEDIATE under the lock; COMMIT at the end, ROLLBACK on any exception.

        Raises `OutcomeUnknown` if COMMIT failed, `StoreFailure` if the store did before."""
        connection = self._connection
        with self._lock:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                raise _cannot_begin(error) from error
            try:
                yield Transaction(connection)
                try:
                    connection.execute("COMMIT")
                except sqlite3.Error as error:
                    raise OutcomeUnknown(str(error)) from error
            finally:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):  # it fails only where SQLite has rolled back by itself
                        connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()
        self._lock.close()


def _cannot_begin(error: sqlite3.Error) -> StoreError:
    translated = translate(error)
    return translated if isinstance(translated, StoreFailure) else StoreFailure(str(error))


class Database:
    """One SQLite file: asynchronous reads for servers; reads and write transactions at once for the command line.

    Safe for several processes. Threads of one process may share it."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.path = path
        self._durable = durable
        self._reader: sqlite3.Connection | None = None
        self._writer: Writer | None = None
        self._write_mutex = threading.Lock()
        self._read_mutex = threading.Lock()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="store-reader")

    def writer(self) -> Writer:
        """A new writer with a connection of its own; its owner closes it."""
        return Writer(connect(self.path, durable=self._durable), WriteLock(self._lock_path))

    @property
    def _lock_path(self) -> Path:
        return self.path.with_name(self.path.name + ".lock")

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of one SELECT, read in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self.fetch_now, sql, parameters)

    def fetch_now(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of one SELECT, blocking."""
        with self._read_mutex:
            try:
                if self._reader is None:
                    self._reader = connect(self.path, durable=self._durable)
                    self._reader.execute("PRAGMA query_only=ON")
                return self._reader.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise translate(error) from error

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A write transaction, blocking; waits for those of other processes."""
        with self._write_mutex:
            if self._writer is None:
                self._writer = self.writer()
            with self._writer.transaction() as transaction:
                yield transaction

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Reads that all see the same moment, while others write."""
        connection = connect(self.path, durable=self._durable)
        try:
            connection.execute("PRAGMA query_only=ON")
            connection.execute("BEGIN")
            yield Transaction(connection)
        finally:
            connection.close()

    def backup(self, path: Path) -> None:
        """A consistent copy of this moment as a new file, while others write. StatementRefused if it exists."""
        if path.exists():
            raise StatementRefused(f"{path} exists already")
        connection = connect(self.path, durable=self._durable)
        try:
            connection.execute("VACUUM INTO ?", (str(path),))
        except sqlite3.Error as error:
            raise translate(error) from error
        finally:
            connection.close()
        with path.open("rb") as copy:
            os.fsync(copy.fileno())

    def close(self) -> None:
        self._executor.shutdown(wait=True)
        if self._reader is not None:
            self._reader.close()
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
