"""Proves the invariants of the ledger from its journal. Everything is read from one snapshot, while servers run.

report   the invariants, violations and what to do about them
sums     I1 to I4 and I7: sums, taken by the database
entries  I5, I6, I8, I10 and quantities: entries one by one
archive  the files of sealed months
"""

from __future__ import annotations

from pathlib import Path

from proxyapi.ledger.audit.archive import check_archive
from proxyapi.ledger.audit.entries import (
    Recompute,
    check_amounts,
    check_corrections,
    check_holds,
    check_references,
    check_units,
)
from proxyapi.ledger.audit.report import INVARIANTS, Report, Violation
from proxyapi.ledger.audit.sums import SQL, check_accounts, check_rollups
from proxyapi.ledger.periods import DAY_MS
from proxyapi.ledger.reaper import GRACE_SECONDS
from proxyapi.ledger.sealed import read_sealed
from proxyapi.store.database import Database, Progress, ignore_progress

__all__ = ["FAST_MS", "INVARIANTS", "STALE_SECONDS", "Recompute", "Report", "Violation", "audit", "examine"]

STALE_SECONDS = GRACE_SECONDS + 60.0
"""The grace, and time for some worker to notice: of one whose death is known that time alone."""
FAST_MS = 25 * 3_600_000
"""How far back a fast audit reads entries one by one: one that runs every night reads each, with an hour to spare."""


def examine(
    database: Database,
    *,
    full: bool = True,
    since: int | None = None,
    recompute: Recompute | None = None,
    archive: Path | None = None,
    stale_seconds: float = STALE_SECONDS,
    progress: Progress = ignore_progress,
) -> Report:
    """Fast or full. Both prove I1 to I5, I10 and the money of I7 over everything, I6 of entries since `since`
    (milliseconds), or of all. I8 and the quantities of I7 are proven since then too; without `since` of all entries by
    a full audit, of the last `FAST_MS` by a fast one. A full audit also has the engine check its own files.

    Without `recompute` I8 only looks for the price rows. `archive`: the directory of sealed months."""
    report = Report(progress)
    if full:
        progress("the database's own files", 0, 0)
        for text in database.faults():
            report.wrong("file", f"the database's files are damaged: {text}")
        report.checked["file"] = 1
    else:
        report.unchecked["file"] = "only with --full"
    with database.snapshot() as snapshot:
        sealed = read_sealed(snapshot)
        if since is None:
            report.since = 0 if full else snapshot.execute(SQL["now"])[0][0] - FAST_MS
        else:
            report.since = since
        report.since = max(report.since, sealed.until_ms)
        check_holds(snapshot, report, stale_seconds)
        check_accounts(snapshot, report)
        check_rollups(snapshot, report, sealed, days_until=-(-report.since // DAY_MS))
        check_amounts(snapshot, report, since or 0)
        check_corrections(snapshot, report, sealed)
        check_references(snapshot, report, sealed)
        check_units(snapshot, report, report.since, recompute)
        if archive is not None:
            check_archive(snapshot, report, sealed, archive)
        else:
            report.unchecked["archive"] = "only with --archive"
    return report


def audit(
    database: Database,
    *,
    since: int | None = None,
    recompute: Recompute | None = None,
    stale_seconds: float = STALE_SECONDS,
    full: bool = True,
) -> list[Violation]:
    """The violations that `examine` finds; empty if all is well."""
    return examine(database, full=full, since=since, recompute=recompute, stale_seconds=stale_seconds).violations
