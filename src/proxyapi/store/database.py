"""A database as the rest of the program sees it, whichever engine is behind it.

One SQL text for all: parameters are `?`, in order; besides, a statement may say

* `IN (@ids)`, once: a list of any length; its parameter is a `list`. Without members, no row is found.
* `@now_ms`: the database's clock, in milliseconds since 1970
* `@for_update`, `@for_share` at the end of a SELECT: lock its rows, where transactions run beside each other

Values are `int` (INTEGER, 64 bits), `str` (TEXT) and `bytes` (BLOB), exactly: a parameter has the type of its column,
and one whose type nothing tells is written `CAST(? AS INTEGER)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, unquote, urlsplit

POSTGRES_SCHEMES = ("postgresql", "postgres")

Row = tuple[Any, ...]
Parameters = Sequence[object]
Step = tuple[str, Sequence[Parameters]]
"""A statement and its rows: an INSERT ... VALUES or UPDATE as in `executemany`, or any other with just one row."""
Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much: 0 where nobody knows."""


def ignore_progress(step: str, done: int, total: int) -> None:
    """Nobody looks on."""


class Transaction(Protocol):
    """What may be done inside a transaction. Errors are `StoreError`s."""

    def execute(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of a SELECT or of RETURNING."""
        ...

    def change(self, sql: str, parameters: Parameters = ()) -> int:
        """Number of rows changed by an UPDATE or DELETE."""
        ...

    def executemany(self, sql: str, rows: Iterable[Parameters]) -> None:
        """An INSERT ... VALUES or an UPDATE for each of `rows`, no two of which may name the same row of the table."""
        ...

    def changes(self, steps: Sequence[Step]) -> list[int]:
        """All of them at once, in order where they wait for others: rows found, inserted, changed or deleted by each.

        No two may touch the same row. Statements come from a few lists, as each list is prepared once."""
        ...

    def iterate(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        """The rows of a SELECT one by one, for those that don't fit into memory."""
        ...

    def resume_ids(self, table: str, column: str, newest: int) -> None:
        """The ids that the engine gives to new rows go on above `newest`, after rows came with ids of their own."""
        ...

    def savepoint(self) -> AbstractContextManager[None]:
        """What fails inside is undone by itself, unless the store is sick."""
        ...


class Pace(NamedTuple):
    """How a busy process should gather writes into transactions of one engine."""

    gather_seconds: float
    """How long a write that somebody waits for may wait for more, while more comes."""
    endings: int
    """How many writes that nobody waits for are worth a transaction of their own."""


class Writer(Protocol):
    """A connection for write transactions, used by one thread at a time."""

    @property
    def pace(self) -> Pace: ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """COMMIT at the end, ROLLBACK on any exception.

        Raises `OutcomeUnknown` if COMMIT failed, `StoreFailure` if the store did before."""
        ...

    def exactly(self, steps: Sequence[Step], counts: Sequence[int]) -> None:
        """A whole transaction: `Transaction.changes`, kept only if each step found or changed as many rows as `counts`
        says, else `CountsDiffer`. To a server it is one message and one answer."""
        ...

    def close(self) -> None: ...


class Database(Protocol):
    """Asynchronous reads for servers; reads and write transactions at once for the command line.

    Safe for several processes. Threads of one process may share it."""

    @property
    def name(self) -> str:
        """For people: a path, or an address without the password."""
        ...

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of one SELECT."""
        ...

    def fetch_now(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of one SELECT, blocking."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A write transaction, blocking; may wait for those of other processes."""
        ...

    def snapshot(self) -> AbstractContextManager[Transaction]:
        """Reads that all see the same moment, while others write."""
        ...

    def writer(self) -> Writer:
        """A new writer with a connection of its own; its owner closes it."""
        ...

    def prepare(self) -> None:
        """Make what has to be there before the first table, such as a directory."""
        ...

    def schema_version(self) -> int:
        """Number of the last migration; 0: there is nothing yet. Makes nothing."""
        ...

    def apply_schema(self, number: int, script: str) -> bool:
        """Run a migration, in SQLite's spelling, in a transaction of its own. False if another process had done it."""
        ...

    def upkeep(self, now_ms: int) -> None:
        """Now and then, and blocking: makes what will be needed in the next months."""
        ...

    def shed(self, until_ms: int) -> None:
        """Gives back the room of entries that are gone and were older, where that is not too much trouble."""
        ...

    def faults(self) -> list[str]:
        """What the engine finds damaged in its own files."""
        ...

    def backup(self, path: Path, progress: Progress = ignore_progress) -> None:
        """A consistent copy of this moment as a new SQLite file, while others write. `StatementRefused` if it exists.

        `copying.write_backup` does it so that nothing unfinished is left."""
        ...

    def close(self) -> None: ...


@contextmanager
def joined(database: Database, within: Transaction | None) -> Iterator[Transaction]:
    """A transaction of the caller's to be part of, or a new one."""
    if within is not None:
        yield within
    else:
        with database.transaction() as transaction:
            yield transaction


def sqlite_url(path: Path) -> str:
    """The address of an SQLite file."""
    return f"sqlite:///{quote(str(path))}"


def described(url: str) -> str:
    """The address for people: a path, or one without password and options."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return unquote(parts.path[1:])
    user, host = parts.netloc.rpartition("@")[::2]
    return f"{parts.scheme}://{user.partition(':')[0]}{'@' if user else ''}{host}{parts.path}"


def open_database(url: str, *, durable: bool = True) -> Database:
    """`sqlite:///relative/path`, `sqlite:////absolute/path` or `postgresql://user:password@host:port/name`.

    Connects when it is used. `durable=False` is for tests that don't pull plugs."""
    # A driver is loaded by those who need it.
    if urlsplit(url).scheme in POSTGRES_SCHEMES:
        from proxyapi.store.postgres.engine import PostgresDatabase

        return PostgresDatabase(url, durable=durable)
    from proxyapi.store.sqlite import SqliteDatabase

    return SqliteDatabase(Path(unquote(urlsplit(url).path[1:])), durable=durable)
