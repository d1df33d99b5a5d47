"""A writer whose connection fails at a chosen statement, as a full disk or a cut network would make it."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import asyncpg

from proxyapi.store.database import Writer
from proxyapi.store.postgres.engine import PostgresWriter
from proxyapi.store.postgres.session import Connection, Session, connect_options, connecting
from proxyapi.store.sqlite import SqliteWriter, WriteLock, connect

Answer = TypeVar("Answer")


class Faults:
    """`left`: so many more statements work, then one fails; None: all do. `kept`: a COMMIT that fails was done."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.kept = False

    def due(self, sql: str) -> bool:
        """Whether this statement fails; then the next ones work again."""
        if self.left is None or sql.startswith("ROLLBACK"):
            return False
        self.left -= 1
        if self.left >= 0:
            return False
        self.left = None
        return True


class FaultySqlite:
    """A connection, and its cursor."""

    def __init__(self, inner: sqlite3.Connection, faults: Faults) -> None:
        self.inner = inner
        self.faults = faults

    def _step(self, sql: str) -> None:
        if self.faults.due(sql):
            if sql == "COMMIT" and self.faults.kept:
                self.inner.execute(sql)
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
            raise error

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        self._step(sql)
        return self.inner.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        self._step(sql)
        return self.inner.executemany(sql, parameters)

    def cursor(self) -> FaultySqlite:
        return self

    @property
    def in_transaction(self) -> bool:
        return self.inner.in_transaction

    def close(self) -> None:
        self.inner.close()


def commits(sql: str) -> bool:
    """COMMIT, or a statement that is a whole transaction."""
    return sql == "COMMIT" or "SELECT 1 / CASE" in sql


class FaultyPostgres:
    """Its connection is lost."""

    def __init__(self, inner: Connection, faults: Faults) -> None:
        self.inner = inner
        self.faults = faults

    async def _step(self, sql: str, work: Callable[[], Awaitable[Answer]]) -> Answer:
        if self.faults.due(sql):
            if commits(sql) and self.faults.kept:
                await work()
            self.inner.terminate()
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return await work()

    async def execute(self, query: str, *args: object) -> str:
        return await self._step(query, lambda: self.inner.execute(query, *args))

    async def executemany(self, command: str, args: Iterable[Any]) -> None:
        await self._step(command, lambda: self.inner.executemany(command, args))

    async def fetch(self, query: str, *args: object) -> list[Any]:
        return await self._step(query, lambda: self.inner.fetch(query, *args))

    async def prepare(self, query: str) -> Any:
        return await self.inner.prepare(query)

    def is_closed(self) -> bool:
        return self.inner.is_closed()

    def terminate(self) -> None:
        self.inner.terminate()


def faulty_writer(url: str, faults: Faults) -> Writer:
    """A writer of the database at `url`."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        path = Path(unquote(parts.path[1:]))
        lock = WriteLock(path.with_name(path.name + ".lock"))
        return SqliteWriter(FaultySqlite(connect(path, durable=False), faults), lock)
    reach = connecting(url, connect_options(durable=False))

    async def connect_to_postgres() -> FaultyPostgres:
        return FaultyPostgres(await reach(), faults)

    return PostgresWriter(Session(connect_to_postgres))
