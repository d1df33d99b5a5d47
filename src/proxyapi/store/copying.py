"""Copies of a whole database: into a file, out of one, and from one engine to another.

Table by table in the order of the primary key, in batches, in one transaction of the target, which is kept when every
value was read back and found equal: a copy that is broken off leaves nothing. A file is written in a private folder
beside its place, and gets its name when it is whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Final

from proxyapi.ids import least_id, made_at_ms
from proxyapi.store.database import Database, Progress, Row, Transaction, ignore_progress
from proxyapi.store.errors import NotEmpty, StatementRefused
from proxyapi.store.files import new_file
from proxyapi.store.migrate import migrate
from proxyapi.store.schema import Table, tables
from proxyapi.store.sqlite import SqliteDatabase, copy_file, read_version

BATCH_ROWS: Final = 1_000
BATCH_BYTES: Final = 4 * 2**20
"""Of one statement: kept conversations are some of the rows."""
STEP_MS: Final = 28 * 86_400_000
"""From one month to the next or the one after; upkeep makes those that follow a month, too."""
REPLACED: Final = frozenset({"setting", "revision"})
"""Tables that have rows from the beginning, which a copy writes over."""

_NAMED_ELSEWHERE: Final[Mapping[str, tuple[str, str]]] = {"worker": ("hold", "worker_id")}
"""Where ids are kept whose own row may be gone: they must not be given out again either."""


def check_empty(target: Transaction) -> None:
    """`NotEmpty` says what is there."""
    found = []
    for table in tables():
        if table.name not in REPLACED and target.execute(f"SELECT 1 FROM {table.name} LIMIT 1"):
            count = target.execute(f"SELECT count(*) FROM {table.name}")[0][0]
            found.append(f"{table.name} ({count})")
    if found:
        raise NotEmpty(f"a copy needs an empty database, but this one has rows in {', '.join(found)}")


def copy_rows(source: Transaction, target: Transaction, progress: Progress = ignore_progress) -> dict[str, int]:
    """Everything, into a database of the same schema without rows of its own. Returns the rows of each table."""
    counts = {table.name: source.execute(f"SELECT count(*) FROM {table.name}")[0][0] for table in tables()}
    total, done = sum(counts.values()), 0
    for table in tables():
        if table.name in REPLACED:
            target.change(f"DELETE FROM {table.name}")
        for batch in _batches(source.iterate(table.read)):
            progress(f"copying {table.name}", done, total)
            target.executemany(table.write, batch)
            done += len(batch)
        if table.identity is not None:
            target.resume_ids(table.name, table.identity, _newest_id(target, table))
    check_equal(source, target, progress, total)
    return counts


def _newest_id(target: Transaction, table: Table) -> int:
    newest = target.execute(f"SELECT max({table.identity}) FROM {table.name}")[0][0] or 0
    if table.name in _NAMED_ELSEWHERE:
        elsewhere, column = _NAMED_ELSEWHERE[table.name]
        newest = max(newest, target.execute(f"SELECT max({column}) FROM {elsewhere}")[0][0] or 0)
    return int(newest)


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if len(batch) == BATCH_ROWS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def write_backup(database: Database, path: Path, progress: Progress = ignore_progress) -> None:
    """One moment of the database, as an SQLite file, while others write. `NotEmpty` if there is such a file."""
    with new_file(path) as unfinished:
        database.backup(unfinished, progress)


def copy_to_file(database: Database, path: Path, progress: Progress = ignore_progress) -> None:
    """`backup` of another engine: the rows of one snapshot, into a file in a folder of its own."""
    rows = path.with_name("rows.db")
    copy = SqliteDatabase(rows, durable=False)
    try:
        migrate(copy)
        with database.snapshot() as source, copy.transaction() as target:
            copy_rows(source, target, progress)
    finally:
        copy.close()
    copy_file(rows, path)  # one file, that can be read where nothing can be written


def make_ready(target: Database) -> None:
    """Brings its schema up. `NotEmpty` if it can't take a copy."""
    target.prepare()
    migrate(target)
    with target.snapshot() as snapshot:
        check_empty(snapshot)


def move(source: Database, target: Database, progress: Progress = ignore_progress) -> dict[str, int]:
    """Everything that is in `source`, which nobody may write meanwhile, into an empty database of any engine."""
    make_ready(target)
    with source.snapshot() as rows:
        _make_parts(rows, target)
        with target.transaction() as transaction:
            check_empty(transaction)
            return copy_rows(rows, transaction, progress)


def _make_parts(source: Transaction, target: Database) -> None:
    """Where an engine keeps the journal in parts by month, each month that has entries gets its own."""
    oldest = bytes(16)
    while found := source.execute("SELECT id FROM entry WHERE id >= ? ORDER BY id LIMIT 1", (oldest,)):
        made_ms = made_at_ms(found[0][0])
        target.upkeep(made_ms)
        oldest = least_id(made_ms // STEP_MS * STEP_MS + STEP_MS)


def restore(path: Path, target: Database, progress: Progress = ignore_progress) -> None:
    """A backup, also one of an older version, into an empty database. `NotEmpty`, `StoreError`."""
    if not read_version(path):
        raise StatementRefused(f"{path} is no backup of this program")
    if isinstance(target, SqliteDatabase) and not target.path.exists():
        with new_file(target.path) as unfinished:
            _bring_up(path, unfinished, progress)
        return
    with tempfile.TemporaryDirectory(prefix="proxyapi-restore-") as folder:
        source = SqliteDatabase(_bring_up(path, Path(folder) / "copy.db", progress), durable=False)
        try:
            move(source, target, progress)
        finally:
            source.close()


def _bring_up(backup: Path, copy: Path, progress: Progress) -> Path:
    """A copy of the backup, which itself is only read, with the newest schema."""
    progress("reading the backup", 0, 0)
    copy_file(backup, copy)
    database = SqliteDatabase(copy, durable=False)
    try:
        migrate(database)
    finally:
        database.close()
    return copy


def check_equal(source: Transaction, target: Transaction, progress: Progress = ignore_progress, total: int = 0) -> None:
    """Reads back what was copied, value by value. `StatementRefused` names the table that differs."""
    done = 0
    for table in tables():
        for row, copied in zip_longest(source.iterate(table.read), target.iterate(table.read)):
            if row != copied:
                raise StatementRefused(f"{table.name} was not copied faithfully: {row!r} became {copied!r}"[:500])
            if done % BATCH_ROWS == 0:
                progress(f"reading back {table.name}", done, total)
            done += 1
