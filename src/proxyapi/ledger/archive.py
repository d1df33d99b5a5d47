"""Months as Parquet files: one row per entry, all its columns. pyarrow is an extra, loaded when it is needed.

The same rows make the same bytes, as long as pyarrow is of the same version; the SHA-256 of the bytes is what the
database keeps, and stands beside the file as `sha256sum --check` reads it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from hashlib import file_digest
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from proxyapi.errors import Conflict, SettingsError
from proxyapi.ledger.months import format_month
from proxyapi.store.database import Row
from proxyapi.store.files import FILE_MODE, sync_to_disk
from proxyapi.store.schema import Table, tables

ROWS_PER_GROUP: Final = 20_000
"""Some 5 MB: what is in memory while a month is written or read."""

Moved = tuple[bytes, int, int | None, int, int]
"""What closing needs of an entry: id, account, budget, amount, charged."""


class Exported(NamedTuple):
    """A file that is there, durably."""

    path: Path
    digest: bytes
    entries: int


def file_name(month: int) -> str:
    """`entries-2025-11.parquet`."""
    return f"entries-{format_month(month)}.parquet"


def entry_table() -> Table:
    """The journal's columns."""
    return next(table for table in tables() if table.name == "entry")


def load_pyarrow() -> Any:
    """SettingsError says what to install."""
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise SettingsError(
            f"Sealed months are Parquet files, which need pyarrow: pip install 'proxyapi[seal]' ({error})"
        ) from error
    return pyarrow


def export_month(month: int, rows: Iterator[Row], folder: Path) -> Exported:
    """Writes a month's entries, in order of their ids. A file of the same bytes is taken for the one that an attempt
    before has left; `Conflict` if there is another of its name."""
    arrow = load_pyarrow()
    path = folder / file_name(month)
    with tempfile.TemporaryDirectory(prefix=".proxyapi-", dir=folder) as private:
        unfinished = Path(private) / path.name
        entries = _write(arrow, month, rows, unfinished)
        unfinished.chmod(FILE_MODE)
        digest = digest_of(unfinished)
        sync_to_disk(unfinished)
        if not path.exists():
            unfinished.rename(path)
        elif digest_of(path) != digest:
            raise Conflict(f"{path} is there and holds something else: move it away, or seal to another directory")
        note = Path(private) / f"{path.name}.sha256"
        note.write_text(f"{digest.hex()}  {path.name}\n")
        note.chmod(FILE_MODE)
        sync_to_disk(note)
        note.rename(folder / note.name)
        sync_to_disk(folder)
    return Exported(path, digest, entries)


def _write(arrow: Any, month: int, rows: Iterator[Row], path: Path) -> int:
    table = entry_table()
    types = {"INTEGER": arrow.int64(), "TEXT": arrow.string(), "BLOB": arrow.binary()}
    fields = [arrow.field(name, types[kind]) for name, kind in zip(table.columns, table.types, strict=True)]
    about = {"proxyapi.month": format_month(month), "proxyapi.table": table.name}
    entries = 0
    with arrow.parquet.ParquetWriter(path, arrow.schema(fields, about), compression="zstd", version="2.6") as writer:
        while group := list(islice(rows, ROWS_PER_GROUP)):
            columns = [
                arrow.array(column, field.type) for column, field in zip(zip(*group, strict=True), fields, strict=True)
            ]
            writer.write_table(arrow.table(columns, schema=arrow.schema(fields, about)))
            entries += len(group)
    return entries


def read_moved(path: Path, rows: int) -> Iterator[list[Moved]]:
    """The file's entries, some at a time."""
    for batch in read_columns(path, ("id", "account_id", "budget_id", "amount", "charged"), rows):
        yield [(row[0], row[1], row[2], row[3], row[4]) for row in batch]


def read_columns(path: Path, columns: Sequence[str], rows: int) -> Iterator[list[Row]]:
    """Some columns of a file, some rows at a time. `Conflict` if it is no such file."""
    arrow = load_pyarrow()
    try:
        with arrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=rows, columns=list(columns)):
                yield list(zip(*(batch.column(name).to_pylist() for name in columns), strict=True))
    except (arrow.ArrowException, KeyError) as error:
        raise Conflict(f"{path} is not a sealed month that can be read: {error}") from error


def digest_of(path: Path) -> bytes:
    """SHA-256."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").digest()
