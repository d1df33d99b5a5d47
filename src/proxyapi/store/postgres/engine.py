"""`PostgresDatabase`: a few connections, and what is PostgreSQL's own about the schema."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]

from proxyapi.store.database import Pace, Parameters, Progress, Row, Step, described, ignore_progress
from proxyapi.store.errors import StatementRefused, StoreFailure
from proxyapi.store.postgres.faults import DRIVER_ERRORS, is_lost, translate
from proxyapi.store.postgres.session import (
    PostgresTransaction,
    Session,
    connect_options,
    connecting,
    prepare_connection,
    rows_of,
)
from proxyapi.store.postgres.text import numbered, older_parts, parts, schema

POOL_MAX: Final = 4
"""Connections for the reads of one server process: each takes a millisecond or so."""
POOL_IDLE_SECONDS: Final = 300.0
READ_SECONDS: Final = 5.0
"""A request that waits for a read is given up before its client does."""
SHED_LOCK_MS: Final = 500
"""Requests queue behind a lock that is waited for."""
READ_PARTS: Final = (
    "SELECT CAST(part.relname AS TEXT) FROM pg_inherits JOIN pg_class part ON part.oid = inhrelid "
    "WHERE inhparent = CAST('entry' AS regclass) ORDER BY 1"
)
READ_CHECKSUM_FAILURES: Final = (
    "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database() AND checksum_failures > 0"
)
READ_INVALID_INDEXES: Final = (
    "SELECT CAST(index.relname AS TEXT) FROM pg_index JOIN pg_class index ON index.oid = indexrelid "
    "WHERE index.relnamespace = CAST(current_schema() AS regnamespace) AND NOT indisvalid ORDER BY 1"
)
SCHEMA_LOCK: Final = 0x70726F78
"""Advisory lock of those who change the schema."""


class PostgresWriter:
    """`Writer`: transactions of one session. They run beside those of others, so rows are locked."""

    # What a transaction costs is spent by the server, beside this process: it should not be kept waiting for work.
    pace: Final = Pace(gather_seconds=0.002, endings=16)

    def __init__(self, session: Session) -> None:
        self._session = session

    @contextmanager
    def transaction(self) -> Iterator[PostgresTransaction]:
        with _transaction(self._session, "BEGIN") as transaction:
            yield transaction

    def exactly(self, steps: Sequence[Step], counts: Sequence[int]) -> None:
        self._session.exactly(steps, counts)

    def close(self) -> None:
        self._session.close()


@contextmanager
def _transaction(session: Session, how: str) -> Iterator[PostgresTransaction]:
    session.begin(how)
    try:
        yield PostgresTransaction(session)
    except BaseException:
        session.rollback()
        raise
    session.commit()


class PostgresDatabase:
    """`Database` behind an address."""

    def __init__(self, url: str, *, durable: bool = True) -> None:
        self._url = url
        self._durable = durable
        self._reader: Session | None = None
        self._writer: PostgresWriter | None = None
        self._read_mutex = threading.Lock()
        self._write_mutex = threading.Lock()
        self._pool: Any = None
        self._pool_loop: asyncio.AbstractEventLoop | None = None

    @property
    def name(self) -> str:
        return described(self._url)

    def _session(self, *, patient: bool = False, read_only: bool = False) -> Session:
        options = connect_options(durable=self._durable, patient=patient, read_only=read_only)
        return Session(connecting(self._url, options))

    def writer(self) -> PostgresWriter:
        return PostgresWriter(self._session())

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Reads on the running loop, through a few connections."""
        text = numbered(sql)
        try:
            try:
                return rows_of(await self._fetch(text, parameters))
            except DRIVER_ERRORS as error:
                if not is_lost(error) or isinstance(error, TimeoutError):
                    raise
                return rows_of(await self._fetch(text, parameters))  # the server was restarted
        except DRIVER_ERRORS as error:
            raise translate(error) from error

    async def _fetch(self, text: str, parameters: Parameters) -> list[Any]:
        pool = await self._connections()
        async with pool.acquire(timeout=READ_SECONDS) as connection:
            records: list[Any] = await connection.fetch(text, *parameters)
            return records

    async def _connections(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._pool_loop is not loop:
            self._pool_loop = loop
            self._pool = asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=POOL_MAX,
                max_inactive_connection_lifetime=POOL_IDLE_SECONDS,
                init=prepare_connection,
                reset=_keep,
                **connect_options(durable=self._durable, read_only=True) | {"command_timeout": READ_SECONDS},
            )
        return await self._pool

    def fetch_now(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        with self._read_mutex:
            if self._reader is None:
                self._reader = self._session(read_only=True)
            return self._reader.read(sql, parameters)

    @contextmanager
    def transaction(self) -> Iterator[PostgresTransaction]:
        with self._write_mutex:
            if self._writer is None:
                self._writer = PostgresWriter(self._session(patient=True))  # it may copy a whole database
            with self._writer.transaction() as transaction:
                yield transaction

    @contextmanager
    def snapshot(self) -> Iterator[PostgresTransaction]:
        session = self._session(patient=True, read_only=True)
        try:
            with _transaction(session, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as transaction:
                yield transaction
        finally:
            session.close()

    def prepare(self) -> None:
        """The database itself is the operator's to make: it needs rights that this program should not have."""

    def schema_version(self) -> int:
        if self.fetch_now("SELECT to_regclass('schema_version') IS NULL")[0][0]:
            return 0
        return int(self.fetch_now("SELECT max(number) FROM schema_version")[0][0] or 0)

    def apply_schema(self, number: int, script: str) -> bool:
        session = self._session(patient=True)
        try:
            with _transaction(session, "BEGIN") as transaction:
                transaction.execute("SELECT pg_advisory_xact_lock(?)", (SCHEMA_LOCK,))
                session.run_text("CREATE TABLE IF NOT EXISTS schema_version (number BIGINT PRIMARY KEY)")
                if transaction.execute("SELECT 1 FROM schema_version WHERE number >= ?", (number,)):
                    return False
                for text in schema(script):
                    session.run_text(text)
                transaction.execute("INSERT INTO schema_version (number) VALUES (?)", (number,))
        finally:
            session.close()
        return True

    def upkeep(self, now_ms: int) -> None:
        """Parts of the journal for the months that come."""
        session = self._session()
        try:
            for text in parts(now_ms):
                # Refused where the default part has rows of that month already: they stay there.
                with suppress(StatementRefused), _transaction(session, "BEGIN") as transaction:
                    transaction.execute("SELECT pg_advisory_xact_lock(?)", (SCHEMA_LOCK,))
                    session.run_text(text)
        finally:
            session.close()

    def shed(self, until_ms: int) -> None:
        """Parts of the journal that are empty: dropping one takes the whole journal, so nobody waits for it long."""
        session = self._session()
        try:
            for part in older_parts([row[0] for row in self.fetch_now(READ_PARTS)], until_ms):
                # Refused or too late: the part is as small as an empty table, until the next time.
                with suppress(StatementRefused, StoreFailure), _transaction(session, "BEGIN") as transaction:
                    session.run_text(f"SET LOCAL lock_timeout = {SHED_LOCK_MS}")
                    session.run_text(f"LOCK TABLE {part} IN ACCESS EXCLUSIVE MODE")
                    if not transaction.execute(f"SELECT 1 FROM {part} LIMIT 1"):
                        session.run_text(f"DROP TABLE {part}")
        finally:
            session.close()

    def faults(self) -> list[str]:
        """Pages that failed their checksums, as the server proves them when it reads them, and indexes that are not
        valid. `pg_amcheck` looks deeper; it is the server's own."""
        found = [f"{count} pages failed their checksums" for (count,) in self.fetch_now(READ_CHECKSUM_FAILURES)]
        return found + [f"the index {name} is not valid" for (name,) in self.fetch_now(READ_INVALID_INDEXES)]

    def backup(self, path: Path, progress: Progress = ignore_progress) -> None:
        from proxyapi.store.copying import copy_to_file  # which knows SQLite

        copy_to_file(self, path, progress)

    def close(self) -> None:
        if self._pool is not None:
            with suppress(*DRIVER_ERRORS, RuntimeError):  # its loop may be closed
                self._pool.terminate()
        if self._reader is not None:
            self._reader.close()
        if self._writer is not None:
            self._writer.close()
        self._pool = self._pool_loop = self._reader = self._writer = None


async def _keep(_: Any) -> None:
    """Between two uses of a connection nothing is to be reset: they only read."""
