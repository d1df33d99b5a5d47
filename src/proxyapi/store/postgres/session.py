"""One connection that blocks: asyncpg on an event loop of its own, which the calling thread drives.

So the code that decides about money is the same for both engines, in the same thread, without a hop to another one for
every statement. A connection that was lost is made again by the next transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import partial
from operator import itemgetter
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import asyncpg  # type: ignore[import-untyped]
import uvloop

from proxyapi.store.database import Parameters, Row, Step, described
from proxyapi.store.errors import CountsDiffer, OutcomeUnknown, StatementRefused, StoreFailure
from proxyapi.store.postgres.faults import DRIVER_ERRORS, STALE, is_lost, translate
from proxyapi.store.postgres.text import NOT_EXACTLY, Typed, exactly, filled, many, numbered, together
from proxyapi.store.queries import LIST

Answer = TypeVar("Answer")

CONNECT_SECONDS: Final = 1.5
STATEMENT_SECONDS: Final = 10.0
"""The server ends a statement after this."""
LOCK_SECONDS: Final = 5.0
"""The server gives up waiting for a row after this: some dozen batches of others."""
ANSWER_SECONDS: Final = 12.0
"""An answer that takes longer is not coming: the network is gone."""
IDLE_SECONDS: Final = 60.0
"""The server ends a transaction in which nothing happens, as that of a node that is gone, and with it its locks."""
STATEMENTS_CACHED: Final = 512
FETCHED_AT_ONCE: Final = 2_000
READ_COLUMNS: Final = (
    "SELECT CAST(attname AS TEXT) FROM pg_attribute "
    "WHERE attrelid = CAST(CAST($1 AS TEXT) AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)
"""Of a table, in the order that its row type has."""


class Connection(Protocol):
    """What is used of `asyncpg.Connection`; tests put a faulty one in its place."""

    async def execute(self, query: str, *args: object) -> str: ...
    async def executemany(self, command: str, args: Iterable[Parameters]) -> None: ...
    async def fetch(self, query: str, *args: object) -> list[Any]: ...
    async def prepare(self, query: str) -> Any: ...
    def is_closed(self) -> bool: ...
    def terminate(self) -> None: ...


Connect = Callable[[], Awaitable[Connection]]


def connect_options(*, durable: bool, patient: bool = False, read_only: bool = False) -> dict[str, Any]:
    """Keyword arguments of asyncpg's `connect`. `patient`: statements may take their time, as an audit's do."""
    limits = {
        "statement_timeout": "0" if patient else str(int(STATEMENT_SECONDS * 1000)),
        "lock_timeout": str(int(LOCK_SECONDS * 1000)),
        "idle_in_transaction_session_timeout": "0" if read_only else str(int(IDLE_SECONDS * 1000)),
    }
    settings = {
        "application_name": "proxyapi",
        "synchronous_commit": "on" if durable else "off",
        "default_transaction_read_only": "on" if read_only else "off",
        "cursor_tuple_fraction": "1.0",  # who iterates wants all rows
        "jit": "off",  # compiles for longer than our statements run
        "plan_cache_mode": "force_generic_plan",  # one plan fits: all we ask goes by keys
        **limits,
    }
    return {
        "timeout": CONNECT_SECONDS,
        "command_timeout": None if patient else ANSWER_SECONDS,
        "statement_cache_size": STATEMENTS_CACHED,
        "max_cached_statement_lifetime": 0,
        "max_cacheable_statement_size": 0,
        "server_settings": settings,
    }


async def prepare_connection(connection: Any) -> None:
    """Sums of integers are `numeric` to PostgreSQL and integers to us."""
    await connection.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=_number, format="text")


def _number(text: str) -> int | Decimal:
    return Decimal(text) if "." in text else int(text)


def connecting(url: str, options: dict[str, Any]) -> Connect:
    """How a session gets its connection."""

    async def connect() -> Connection:
        try:
            connection: Connection = await asyncpg.connect(url, **options)
        except (OSError, TimeoutError) as error:
            raise ConnectionError(f"{described(url)} can't be reached: {error or 'no answer'}") from error
        await prepare_connection(connection)
        return connection

    return connect


def _is_refusal(error: Exception) -> bool:
    """The server's word that the transaction was not kept."""
    return getattr(error, "severity", None) is not None and not is_lost(error)


def rows_of(records: Sequence[Any]) -> list[Row]:
    return [tuple(record) for record in records]


class Shape(NamedTuple):
    """What a statement for many rows takes."""

    types: tuple[str, ...]
    """Of the elements of its arrays."""
    arrays: Callable[[Sequence[Parameters]], list[list[Any]]]
    """Makes them of rows."""


def _by_column(rows: Sequence[Parameters]) -> list[list[Any]]:
    return list(map(list, zip(*rows, strict=True)))


def _whole_rows(width: int, placed: Callable[[Parameters], Any], rows: Sequence[Parameters]) -> list[list[Any]]:
    """An array of rows of a table is a third of the work for the driver, and less for the server, than one for each
    column. `placed`: the table's columns of a row of `width` and a NULL."""
    if any(len(row) != width for row in rows):
        raise StatementRefused(f"a row has not {width} values")
    return [[placed((*row, None)) for row in rows]]


class Session:
    """A connection, made when it is needed; used by one thread at a time."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Connection | None = None
        self._shapes: dict[str, Shape] = {}
        """Of statements for many rows, as this connection has seen the tables."""

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Errors are `StoreError`s."""
        try:
            return self._drive(work)
        except DRIVER_ERRORS as error:
            if is_lost(error):
                self.drop()
            raise translate(error) from error

    def _drive(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        if self._loop is None:
            self._loop = uvloop.new_event_loop()
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._loop.run_until_complete(work)
        # A thread has one loop at a time: where its own is running, as while a server starts, another thread drives.
        with ThreadPoolExecutor(1) as driver:
            return driver.submit(self._loop.run_until_complete, work).result()

    def read(self, sql: str, parameters: Parameters) -> list[Row]:
        """One SELECT in a transaction of its own."""
        return rows_of(self._again(lambda: self._fetch(numbered(sql), parameters)))

    async def _fetch(self, text: str, parameters: Parameters) -> list[Any]:
        return await (await self._connected()).fetch(text, *parameters)

    def begin(self, how: str = "BEGIN") -> None:
        self._again(lambda: self._execute(how))

    def _again(self, work: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """What begins: on a connection that was lost since its last use it is done once more, on a new one."""
        known = self._connection is not None
        try:
            return self.run(work())
        except OutcomeUnknown:
            raise
        except StoreFailure:
            if not known or self._connection is not None:
                raise
            return self.run(work())

    async def _execute(self, text: str) -> str:
        return await (await self._connected()).execute(text)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._shapes.clear()
            self._connection = await self._connect()
        return self._connection

    def commit(self) -> None:
        """OutcomeUnknown if nobody answered; what the server refuses was not kept."""
        connection = self._in_transaction()
        try:
            done = self._drive(connection.execute("COMMIT"))
        except DRIVER_ERRORS as error:
            self.drop()
            raise (translate(error) if _is_refusal(error) else OutcomeUnknown(str(error))) from error
        if done != "COMMIT":
            raise StatementRefused("the transaction was undone: one of its statements had failed")

    def exactly(self, steps: Sequence[Step], counts: Sequence[int]) -> None:
        """A transaction of one statement: OutcomeUnknown if nobody answered to it."""
        self._again(lambda: self._exactly(steps, counts))

    async def _exactly(self, steps: Sequence[Step], counts: Sequence[int]) -> None:
        connection = await self._connected()
        typed, parameters = await self._typed(connection, steps)
        try:
            await connection.fetch(exactly(typed), *parameters, *counts)
        except STALE:
            raise
        except DRIVER_ERRORS as error:
            if is_lost(error):  # else the server refused it, or it could not even be sent
                self.drop()
                raise OutcomeUnknown(str(error)) from error
            differs = getattr(error, "sqlstate", None) == NOT_EXACTLY
            raise (CountsDiffer("other rows than expected") if differs else translate(error)) from error

    def rollback(self) -> None:
        """Never fails: a connection that can't is dropped, and the server rolls back by itself."""
        if self._connection is None:
            return
        try:
            self._drive(self._connection.execute("ROLLBACK"))
        except DRIVER_ERRORS:
            self.drop()

    def _in_transaction(self) -> Connection:
        if self._connection is None:
            raise StoreFailure("the connection was lost")
        return self._connection

    def drop(self) -> None:
        """Forget the connection; the next transaction makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*DRIVER_ERRORS):
                connection.terminate()

    def close(self) -> None:
        self.drop()
        if self._loop is not None:
            self._drive(asyncio.sleep(0))  # lets the transport close
            self._loop.close()
            self._loop = None

    # Inside a transaction

    def fetch(self, sql: str, parameters: Parameters) -> list[Row]:
        return rows_of(self.run(self._in_transaction().fetch(numbered(sql), *parameters)))

    def change(self, sql: str, parameters: Parameters) -> int:
        """The last word of what the server says, as in `UPDATE 3`."""
        status = self.run(self._in_transaction().execute(numbered(sql), *parameters))
        return int(status.rpartition(" ")[2])

    def executemany(self, sql: str, rows: Sequence[Parameters]) -> None:
        self.run(self._many(self._in_transaction(), sql, rows))

    async def _shape_of(self, connection: Connection, sql: str) -> Shape:
        shape = self._shapes.get(sql)
        if shape is None:
            target = filled(sql)
            if target is None:
                prepared = await connection.prepare(numbered(sql))
                shape = Shape(tuple(kind.name for kind in prepared.get_parameters()), _by_column)
            else:
                table, given = target
                names = [row[0] for row in await connection.fetch(READ_COLUMNS, table)]
                places = [given.index(name) if name in given else len(given) for name in names]
                shape = Shape((table,), partial(_whole_rows, len(given), itemgetter(*places)))
            self._shapes[sql] = shape
        return shape

    def changes(self, steps: Sequence[Step]) -> list[int]:
        return list(self.run(self._changes(self._in_transaction(), steps)))

    async def _changes(self, connection: Connection, steps: Sequence[Step]) -> tuple[int, ...]:
        typed, parameters = await self._typed(connection, steps)
        counts: tuple[int, ...] = (await connection.fetch(together(typed), *parameters))[0]
        return counts

    async def _typed(self, connection: Connection, steps: Sequence[Step]) -> tuple[tuple[Typed, ...], list[object]]:
        """The steps as one statement wants them, and its parameters."""
        typed: list[Typed] = []
        parameters: list[object] = []
        for sql, rows in steps:
            if sql.startswith("SELECT") or LIST in sql:
                typed.append((sql, None))
                parameters += rows[0]
            else:
                shape = await self._shape_of(connection, sql)
                typed.append((sql, shape.types))
                parameters += shape.arrays(rows)
        return tuple(typed), parameters

    async def _many(self, connection: Connection, sql: str, rows: Sequence[Parameters]) -> None:
        shape = await self._shape_of(connection, sql)
        text = many(sql, shape.types)
        if text is None or not shape.types:
            await connection.executemany(numbered(sql), rows)
        elif rows:
            await connection.fetch(text, *shape.arrays(rows))

    def run_text(self, text: str) -> None:
        """A statement in PostgreSQL's own spelling, without parameters."""
        self.run(self._in_transaction().execute(text))


class PostgresTransaction:
    """`Transaction` on a session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._cursors = 0

    def execute(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        return self._session.fetch(sql, parameters)

    def change(self, sql: str, parameters: Parameters = ()) -> int:
        return self._session.change(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Parameters]) -> None:
        self._session.executemany(sql, rows if isinstance(rows, list) else list(rows))

    def changes(self, steps: Sequence[Step]) -> list[int]:
        return self._session.changes(steps)

    def iterate(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        self._cursors += 1
        name = f"rows_{self._cursors}"
        self._session.fetch(f"DECLARE {name} NO SCROLL CURSOR FOR {sql}", parameters)
        while rows := self._session.fetch(f"FETCH {FETCHED_AT_ONCE} FROM {name}", ()):
            yield from rows
        self._session.run_text(f"CLOSE {name}")

    def resume_ids(self, table: str, column: str, newest: int) -> None:
        if newest > 0:
            self.execute(f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), ?)", (newest,))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self._session.run_text("SAVEPOINT part")
        try:
            yield
        except StatementRefused:
            self._session.run_text("ROLLBACK TO part")
            self._session.run_text("RELEASE part")
            raise
        self._session.run_text("RELEASE part")
