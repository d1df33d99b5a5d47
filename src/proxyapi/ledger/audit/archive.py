"""The files of sealed months: that they are the ones that were written, and hold what was taken out."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from proxyapi.errors import Conflict
from proxyapi.ledger.archive import digest_of, read_moved
from proxyapi.ledger.audit.report import Report
from proxyapi.ledger.audit.sums import SQL
from proxyapi.ledger.months import format_month
from proxyapi.ledger.sealed import Sealed, SealedMonth
from proxyapi.money import format_amount
from proxyapi.store.database import Transaction

ROWS_AT_ONCE = 20_000


def check_archive(snapshot: Transaction, report: Report, sealed: Sealed, folder: Path) -> None:
    """The archive invariant, for every sealed month."""
    for month in sealed.months:
        report.progress(f"file of {format_month(month.month)}", 0, 0)
        report.checked["archive"] += 1
        path = folder / month.file
        if not path.is_file():
            report.wrong("archive", f"the file of {format_month(month.month)}, {month.file}, is not in {folder}")
        elif digest_of(path) != month.digest:
            report.wrong("archive", f"{path} is not the file that {format_month(month.month)} was sealed with")
        else:
            _check_sums(snapshot, report, month, path)


def _check_sums(snapshot: Transaction, report: Report, month: SealedMonth, path: Path) -> None:
    """What the file's entries charge and fund is what the closings say, once all of them have left."""
    funded: dict[int, int] = defaultdict(int)
    spent: dict[int, int] = defaultdict(int)
    entries = 0
    try:
        for batch in read_moved(path, ROWS_AT_ONCE):
            entries += len(batch)
            for _, account_id, budget_id, amount, charged in batch:
                funded[account_id] += amount
                spent[account_id] += charged
                if budget_id is not None:
                    spent[budget_id] += charged
    except Conflict as error:
        report.wrong("archive", str(error))
        return
    if entries != month.entries:
        report.wrong("archive", f"{path} has {entries} entries, and not the {month.entries} that were sealed")
    if not month.whole:
        report.wrong("archive", f"{month.removed} of {month.entries} entries of {path.name} have left: seal it again")
        return
    closings = {id: sums for id, *sums in snapshot.execute(SQL["closings_of_month"], (month.month,))}
    for id in sorted({*closings, *funded, *spent}):
        booked, proven = closings.get(id, [0, 0]), [funded[id], spent[id]]
        if booked != proven:
            says = "closing says funded {}, spent {}".format(*map(format_amount, booked))
            sums = "its entries sum to {} and {}".format(*map(format_amount, proven))
            report.wrong("archive", f"{path.name}, account {id}: {says}, but {sums}")
