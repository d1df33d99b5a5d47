"""SQLite: connections, the write lock between processes, and `SqliteDatabase`.

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
from typing import Any, Final, Protocol, Self

from proxyapi.store.database import Pace, Parameters, Progress, Row, Step, ignore_progress
from proxyapi.store.errors import (
    ConstraintViolated,
    CountsDiffer,
    OutcomeUnknown,
    StatementRefused,
    StoreError,
    StoreFailure,
)
from proxyapi.store.files import FILE_MODE, sync_to_disk
from proxyapi.store.script import statements
from proxyapi.store.statement import Statement, statement

BUSY_SECONDS = 5.0
"""How long SQLite itself waits for a lock: only for those who don't take our own lock, such as a sqlite3 shell."""
CACHE_KIBIBYTES = 16_384
CHECKPOINT_PAGES = 4_000
"""16 MB of WAL between checkpoints: rare enough not to be felt, small enough to be done in a few milliseconds."""
WAL_BYTES_KEPT = 64 * 2**20
DIRECTORY_MODE = 0o700
"""Balances and the digests of keys are nobody else's business."""
STATEMENTS_CACHED = 512

# What the driver does not know by heart, it asks for an adapter by two names that nobody has, for every single value:
# two exceptions that are made and dropped, a thirtieth of all instructions of a request. These answer at once.
sqlite3.register_adapter(bytes, bytes.__bytes__)
_NULL: Final[dict[None, None]] = {}
sqlite3.register_adapter(type(None), _NULL.get)

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


_WHY = {
    sqlite3.SQLITE_READONLY: "this user may not write the file, or into its directory",
    sqlite3.SQLITE_CANTOPEN: "this user may not open the file, or its directory is missing",
    sqlite3.SQLITE_NOTADB: "another file stands where the database should be",
}
"""What SQLite means, for those who can mend it."""


REFUSALS = (sqlite3.Error, OverflowError, UnicodeError)
"""What the driver raises where it does not do what it is asked."""


class Cursor(Protocol):
    """What is used of `sqlite3.Cursor`."""

    def execute(self, sql: str, parameters: Any = ..., /) -> sqlite3.Cursor: ...
    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor: ...


class Connection(Cursor, Protocol):
    """What is used of `sqlite3.Connection`; tests put a faulty one in its place."""

    @property
    def in_transaction(self) -> bool: ...
    def cursor(self) -> Cursor: ...
    def close(self) -> None: ...


def translate(error: Exception, path: Path | None = None) -> StoreError:
    """The driver's exception in our words; also an int beyond int64 and half a surrogate pair. `path`: where."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return StatementRefused(str(error))
    if code & 0xFF in _SICK:
        where = "" if path is None else f"{path}: "
        where += f"{_WHY[code & 0xFF]}: " if path is not None and code & 0xFF in _WHY else ""
        return StoreFailure(f"{where}{error} ({getattr(error, 'sqlite_errorname', code)})")
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
        raise translate(error, path) from error
    return connection


def copy_file(source: Path, target: Path) -> None:
    """One moment of a database as a new file, durably, while others write; the source is only read.

    `StatementRefused` if the target exists."""
    if target.exists():
        raise StatementRefused(f"{target} exists already")
    connection = connect(source, read_only=True)
    try:
        connection.execute("VACUUM INTO ?", (str(target),))
    except sqlite3.Error as error:
        raise translate(error) from error
    finally:
        connection.close()
    sync_to_disk(target)


def read_version(path: Path) -> int:
    """Number of the last migration of a file, which is only read; 0: it is empty. `StoreFailure`: it is no database."""
    connection = connect(path, read_only=True)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise translate(error, path) from error
    finally:
        connection.close()


def make_place(database: Path) -> None:
    """Directory and file of a database that begins, for its owner alone; what is there stays as it is."""
    database.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # never opened: to close a file of SQLite's ends the locks of this process on it
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


class WriteLock:
    """The `flock` that write transactions of all processes and threads queue on. Dies with its holder."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def release(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._file)


class SqliteTransaction:
    """`Transaction` on a connection, which one thread at a time uses."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        """For all statements but those that are read row by row."""

    def execute(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        return execute(self._cursor, sql, parameters)

    def change(self, sql: str, parameters: Parameters = ()) -> int:
        return self._count(statement(sql), [parameters])

    def executemany(self, sql: str, rows: Iterable[Parameters]) -> None:
        self._count(statement(sql), rows if isinstance(rows, list) else list(rows))

    def changes(self, steps: Sequence[Step]) -> list[int]:
        """One after the other."""
        return [self._count(statement(sql), rows) for sql, rows in steps]

    def _count(self, asked: Statement, rows: Sequence[Parameters]) -> int:
        """Rows found, inserted, changed or deleted."""
        count = 0
        try:
            if asked.has_list:
                parts = asked.of_list(rows[0])
            elif len(rows) == 1:
                parts = [(asked.text, rows[0])]
            elif asked.has_values:
                parts = asked.of_rows(rows)
            else:
                return self._cursor.executemany(asked.text, rows).rowcount
            for text, parameters in parts:
                done = self._cursor.execute(text, parameters)
                count += len(done.fetchall()) if asked.reads else done.rowcount
        except REFUSALS as error:
            raise translate(error) from error
        return count

    def iterate(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        try:
            # Not `yield from`: what is dropped half read would close the cursor, maybe after its connection.
            for row in self._connection.execute(statement(sql).text, parameters):  # noqa: UP028
                yield row
        except sqlite3.Error as error:
            raise translate(error) from error

    def resume_ids(self, table: str, column: str, newest: int) -> None:
        """Only AUTOINCREMENT remembers; other ids go on above the newest row by themselves."""
        text = self.execute("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,))[0][0]
        if "AUTOINCREMENT" in text:
            self.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            self.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, newest))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self.execute("SAVEPOINT part")
        try:
            yield
        except StatementRefused:
            self.execute("ROLLBACK TO part")
            self.execute("RELEASE part")
            raise
        self.execute("RELEASE part")


def execute(cursor: Cursor, sql: str, parameters: Parameters) -> list[Row]:
    """All rows of one statement, in our spelling."""
    asked = statement(sql)
    try:
        if not asked.has_list:
            return cursor.execute(asked.text, parameters).fetchall()
        parts = asked.of_list(parameters)
        return [row for text, values in parts for row in cursor.execute(text, values).fetchall()]
    except REFUSALS as error:
        raise translate(error) from error


class WriteTransaction(SqliteTransaction):
    """BEGIN IMMEDIATE to COMMIT, or ROLLBACK, under the lock."""

    def __init__(self, connection: Connection, lock: WriteLock) -> None:
        super().__init__(connection)
        self._lock = lock

    def __enter__(self) -> Self:
        self._lock.take()
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._lock.release()
            raise _cannot_begin(error) from error
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        try:
            if failed is None:
                self._cursor.execute("COMMIT")
        except sqlite3.Error as error:
            raise OutcomeUnknown(str(error)) from error
        finally:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):  # it fails only where SQLite has rolled back by itself
                    self._cursor.execute("ROLLBACK")
            self._lock.release()


class SqliteWriter:
    """`Writer`: one connection, and the lock."""

    # A transaction has some 330 us of its own, in this process: few large ones, for which the requests of the one
    # before have come round again. Two halves that take turns need twice the transactions, and wait longer.
    pace: Final = Pace(gather_seconds=0.005, endings=64)

    def __init__(self, connection: Connection, lock: WriteLock) -> None:
        self._connection = connection
        self._lock = lock

    def transaction(self) -> WriteTransaction:
        return WriteTransaction(self._connection, self._lock)

    def exactly(self, steps: Sequence[Step], counts: Sequence[int]) -> None:
        with self.transaction() as transaction:
            if (found := transaction.changes(steps)) != list(counts):
                raise CountsDiffer(f"{found} rows, not {list(counts)}")

    def close(self) -> None:
        self._connection.close()
        self._lock.close()


def _cannot_begin(error: sqlite3.Error) -> StoreError:
    translated = translate(error)
    return translated if isinstance(translated, StoreFailure) else StoreFailure(str(error))


class SqliteDatabase:
    """`Database` in one file."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.path = path
        self._durable = durable
        self._reader: sqlite3.Connection | None = None
        self._writer: SqliteWriter | None = None
        self._write_mutex = threading.Lock()
        self._read_mutex = threading.Lock()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="store-reader")

    @property
    def name(self) -> str:
        return str(self.path)

    def writer(self) -> SqliteWriter:
        connection = connect(self.path, durable=self._durable)
        # A statement of many rows notes what it changes, to be able to undo itself: not in a file in some other folder,
        # which costs a batch over many accounts a quarter of its system calls, and which another disk may refuse.
        connection.execute("PRAGMA temp_store=MEMORY")
        return SqliteWriter(connection, WriteLock(self._lock_path))

    @property
    def _lock_path(self) -> Path:
        return self.path.with_name(self.path.name + ".lock")

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Reads in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self.fetch_now, sql, parameters)

    def fetch_now(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        with self._read_mutex:
            if self._reader is None:
                self._reader = self._read_only()
            return execute(self._reader, sql, parameters)

    def _read_only(self) -> sqlite3.Connection:
        connection = connect(self.path, durable=self._durable)
        connection.execute("PRAGMA query_only=ON")
        return connection

    @contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        with self._write_mutex:
            if self._writer is None:
                self._writer = self.writer()
            with self._writer.transaction() as transaction:
                yield transaction

    @contextmanager
    def snapshot(self) -> Iterator[SqliteTransaction]:
        connection = self._read_only()
        try:
            connection.execute("BEGIN")
            yield SqliteTransaction(connection)
        finally:
            connection.close()

    def prepare(self) -> None:
        make_place(self.path)

    def schema_version(self) -> int:
        """The file's `user_version`."""
        return int(self.fetch_now("PRAGMA user_version")[0][0]) if self.path.exists() else 0

    def apply_schema(self, number: int, script: str) -> bool:
        with self.transaction() as transaction:
            if transaction.execute("PRAGMA user_version")[0][0] >= number:
                return False
            for statement in statements(script):
                transaction.execute(statement)
            transaction.execute(f"PRAGMA user_version={number}")
        return True

    def upkeep(self, now_ms: int) -> None:
        """There is nothing to be made ahead."""

    def shed(self, until_ms: int) -> None:
        """Free pages are used again by what comes."""

    def faults(self) -> list[str]:
        with self.snapshot() as snapshot:
            return [answer for (answer,) in snapshot.execute("PRAGMA integrity_check") if answer != "ok"]

    def backup(self, path: Path, progress: Progress = ignore_progress) -> None:
        progress("copying the file", 0, 0)
        copy_file(self.path, path)

    def close(self) -> None:
        self._executor.shutdown(wait=True)
        if self._reader is not None:
            self._reader.close()
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
