"""`proxyapi audit`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxyapi.cli.installation import installation
from proxyapi.cli.options import SINCE, installation_options
from proxyapi.cli.output import emit, timestamp
from proxyapi.cli.progress import Line
from proxyapi.store.database import Database, Progress
from proxyapi.store.errors import StoreFailure

if TYPE_CHECKING:
    from proxyapi.ledger.audit import Report

SHOWN_MAX = 50
"""Violations printed for people; --json has all that were kept."""


HANDED_OVER_SECONDS = 1e9
"""For a database that was moved or restored: whoever held what is held there is gone, and will not be seen again."""


def audited(database: Database, *, progress: Progress, stale_seconds: float) -> Report:
    """A full audit that has to be clean. `StoreFailure` with the first violations if it is not."""
    from proxyapi.ledger.audit import examine
    from proxyapi.pricing.charge import recompute

    report = examine(database, recompute=recompute, progress=progress, stale_seconds=stale_seconds)
    if not report.ok:
        raise StoreFailure(f"The audit of {database.name} finds violations.\n{_violations(report)}")
    return report


@click.command()
@click.option("--full", is_flag=True, help="Read every entry again, and have the database check its own files.")
@click.option("--since", type=SINCE, help="Read entries one by one from this time on: a date (UTC), or 7d, 24h.")
@installation_options
def audit(full: bool, since: int | None, data: Path | None, config: Path | None, json: bool) -> None:
    """Recompute every balance, hold and sum from the journal. Exit code 1 if anything disagrees.

    All sums are taken over all entries. What costs is recomputed one by one: from --since on, else with --full for
    all entries, else for those of the last 25 hours, so that an audit every night reads each. Reads one moment of the
    database and does not stop a gateway that runs.

    \b
    proxyapi audit
    proxyapi audit --full --json
    """
    from proxyapi.ledger.audit import examine
    from proxyapi.pricing.charge import recompute

    began = time.monotonic()
    with installation(data, config) as at, Line(silent=json) as line:
        report = examine(at.database, full=full, since=since, recompute=recompute, progress=line)
    seconds = round(time.monotonic() - began, 3)
    emit(_json(report, full, seconds), _text(report, seconds), json=json)
    if not report.ok:
        raise SystemExit(1)


def _json(report: Report, full: bool, seconds: float) -> dict[str, object]:
    from proxyapi.ledger.audit import INVARIANTS

    return {
        "ok": report.ok,
        "full": full,
        "one_by_one_since": timestamp(report.since),
        "invariants": {
            name: {
                "holds": None if name in report.unchecked else not report.found[name],
                "says": text,
                "checked": report.checked[name],
                "violations": report.found[name],
            }
            for name, text in INVARIANTS.items()
        },
        "violations": [
            {"invariant": violation.invariant, "sentence": violation.text, "ids": violation.ids}
            for violation in report.violations
        ],
        "seconds": seconds,
    }


def _text(report: Report, seconds: float) -> str:
    checked = report.checked
    if report.ok:
        counts = f"{checked['I4']:,} accounts, {checked['I10']:,} holds, {checked['I2']:,} entries"
        return (
            f"All is well: every balance agrees with the journal. {counts}, {checked['I8']:,} of them one by one, "
            f"in {seconds:.1f} s."
        )
    return _violations(report)


def _violations(report: Report) -> str:
    lines = [f"{violation.invariant}  {violation.text}" for violation in report.violations[:SHOWN_MAX]]
    left = sum(report.found.values()) - len(lines)
    return "\n".join([*lines, f"… and {left:,} more"] if left else lines)
