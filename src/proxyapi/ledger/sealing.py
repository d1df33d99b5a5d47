"""Sealing: a month's entries go into a file, their sums into `closing`, their rows away. While servers run.

    export     a snapshot's rows of the month -> file, durable and in its place
    begin      one transaction: the month is sealed with this file; from here on it goes on, whatever breaks off
    remove     few rows per transaction: what leaves the journal arrives in `closing`

So at any moment, and after a kill at any, the sums of accounts are closings + entries. A row leaves only if it is what
the file says it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from proxyapi.errors import Conflict, NotFound
from proxyapi.ids import format_id, least_id
from proxyapi.ledger.archive import Moved, digest_of, entry_table, export_month, load_pyarrow, read_moved
from proxyapi.ledger.months import after, end_of, format_month, month_of, start_of
from proxyapi.ledger.periods import DAY_MS
from proxyapi.ledger.sealed import SQL, SealedMonth, read_sealed
from proxyapi.store.database import Database, Progress, Row, Transaction, ignore_progress

MARGIN_MS: Final = 7 * DAY_MS
"""Between the end of a month and its sealing. An ending that comes later than this after its hold expired finds nothing
to correct, and charges nothing; a worker would have to stand still for a week, with the answer in its memory."""
ROWS_AT_ONCE: Final = 2_000
"""Rows that leave in one transaction: some 20 ms in which requests wait."""


def months_to_seal(database: Database, before: int) -> list[int]:
    """The months older than `before` that have entries left, oldest first; one that was broken off among them."""
    found = []
    with database.snapshot() as snapshot:
        months = read_sealed(snapshot).months
        found += [month.month for month in months if not month.whole and month.month < before]
        month = after(months[-1].month) if months else 0
        while (oldest := _oldest_since(snapshot, start_of(month) if month else 0)) is not None:
            if month_of(oldest) >= before:
                break
            found.append(month_of(oldest))
            month = after(month_of(oldest))
    return found


def _oldest_since(snapshot: Transaction, since: int) -> int | None:
    oldest: int | None = snapshot.execute(SQL["oldest_since"], (since,))[0][0]
    return oldest


def seal_month(database: Database, month: int, folder: Path, progress: Progress = ignore_progress) -> SealedMonth:
    """One month, or the rest of one that was broken off. `Conflict` says what is in the way; nothing has changed then.

    The caller has audited the books."""
    load_pyarrow()
    with database.snapshot() as snapshot:
        begun = next((sealed for sealed in read_sealed(snapshot).months if sealed.month == month), None)
        if begun is None:
            _check_age(snapshot, month)
    if begun is None:
        begun = _begin(database, month, folder, progress)
    path = folder / begun.file
    if not path.is_file():
        raise NotFound(
            f"{format_month(month)} is being sealed with {begun.file}, which is not in {folder}: bring it back"
        )
    if digest_of(path) != begun.digest:
        raise Conflict(f"{path} is not the file that {format_month(month)} was sealed with: its SHA-256 differs")
    return _remove(database, begun, path, progress)


def _check_age(snapshot: Transaction, month: int) -> None:
    """Nothing of the month may change any more."""
    name, end = format_month(month), end_of(month)
    months = read_sealed(snapshot).months
    if months and month <= months[-1].month:
        raise Conflict(f"{name} is sealed, or older than {format_month(months[-1].month)}, which is")
    now_ms = snapshot.execute(SQL["now"])[0][0]
    if now_ms < end + MARGIN_MS:
        raise Conflict(f"{name} can be sealed {MARGIN_MS // DAY_MS} days after its end: until then it can change")
    held = snapshot.execute(SQL["find_older_hold"], (least_id(end),))
    if held:
        raise Conflict(f"request {format_id(held[0][0])}, which began in {name} or before, is still on hold")
    oldest = _oldest_since(snapshot, end_of(months[-1].month) if months else 0)
    if oldest is None or oldest >= end:
        raise NotFound(f"there are no entries of {name} or before")
    if month_of(oldest) < month:
        raise Conflict(
            f"{format_month(month_of(oldest))} has entries too, and months are sealed in order: --before seals all"
        )


def _begin(database: Database, month: int, folder: Path, progress: Progress) -> SealedMonth:
    span = (start_of(month), end_of(month))
    with database.snapshot() as snapshot:
        total = snapshot.execute(SQL["count_between"], span)[0][0]
        rows = _told(snapshot.iterate(_month_of_entries(), span), total, progress)
        exported = export_month(month, rows, folder)
    with database.transaction() as transaction:
        if transaction.execute(SQL["count_between"], span)[0][0] != exported.entries:
            raise Conflict(f"entries of {format_month(month)} changed while they were exported: try again")
        now_ms = transaction.execute(SQL["now"])[0][0]
        values = (month, exported.path.name, exported.digest, exported.entries, now_ms)
        transaction.execute(SQL["begin_month"], values)
    return SealedMonth(month, exported.path.name, exported.digest, exported.entries, 0)


def _month_of_entries() -> str:
    columns = ", ".join(entry_table().columns)
    return f"SELECT {columns} FROM entry WHERE created_at >= ? AND created_at < ? ORDER BY id"


def _told(rows: Iterator[Row], total: int, progress: Progress) -> Iterator[Row]:
    for number, row in enumerate(rows):
        if number % ROWS_AT_ONCE == 0:
            progress("exporting entries", number, total)
        yield row
    progress("exporting entries", total, total)


def _remove(database: Database, month: SealedMonth, path: Path, progress: Progress) -> SealedMonth:
    removed = month.removed
    for batch in read_moved(path, ROWS_AT_ONCE):
        progress("removing entries", removed, month.entries)
        removed += _remove_some(database, month, batch)
    if removed != month.entries:
        raise Conflict(
            f"{path.name} has {month.entries} entries, but {removed} were in the journal: run `proxyapi audit --full`"
        )
    database.shed(end_of(month.month))
    return month._replace(removed=removed)


def _remove_some(database: Database, month: SealedMonth, batch: list[Moved]) -> int:
    """What leaves is what the file says; what is not there left before."""
    exported = {row[0]: row for row in batch}
    funded: dict[int, int] = defaultdict(int)
    spent: dict[int, int] = defaultdict(int)
    with database.transaction() as transaction:
        rows = transaction.execute(SQL["remove_entries"], (list(exported),))
        for row in rows:
            if tuple(row) != exported[row[0]]:
                raise Conflict(f"entry {format_id(row[0])} is not what {month.file} says it is: it was changed since")
            _, account_id, budget_id, amount, charged = row
            funded[account_id] += amount
            spent[account_id] += charged
            if budget_id is not None:
                spent[budget_id] += charged
        if rows:
            accounts = sorted({*funded, *spent})
            closings = [(month.month, id, funded[id], spent[id], month.digest) for id in accounts]
            transaction.executemany(SQL["add_closing"], closings)
            transaction.change(SQL["count_removed"], (len(rows), month.month))
    return len(rows)
