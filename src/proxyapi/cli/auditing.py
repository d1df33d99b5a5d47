"""`proxyapi audit`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxyapi.cli.installation import installation
from proxyapi.cli.options import AMOUNT, MONTH, SINCE, installation_options
from proxyapi.cli.output import emit, timestamp
from proxyapi.cli.outside import costs_report, deposits_report
from proxyapi.cli.progress import Line
from proxyapi.store.database import Database, Progress
from proxyapi.store.errors import StoreFailure

if TYPE_CHECKING:
    from proxyapi.ledger.audit import Report

SHOWN_MAX = 50
"""Violations printed for people; --json has all that were kept."""


HANDED_OVER_SECONDS = 1e9
"""For a database that was moved or restored: whoever held what is held there is gone, and will not be seen again."""


def audited(
    database: Database,
    *,
    progress: Progress,
    full: bool = True,
    since: int | None = None,
    stale_seconds: float | None = None,
) -> Report:
    """An audit that has to be clean. `StoreFailure` with the first violations if it is not."""
    from proxyapi.ledger.audit import STALE_SECONDS, examine
    from proxyapi.pricing.charge import recompute

    stale = STALE_SECONDS if stale_seconds is None else stale_seconds
    report = examine(database, full=full, since=since, recompute=recompute, progress=progress, stale_seconds=stale)
    if not report.ok:
        raise StoreFailure(f"The audit of {database.name} finds violations.\n{_violations(report)}")
    return report


@click.command()
@click.option("--full", is_flag=True, help="Read every entry again, and have the database check its own files.")
@click.option("--since", type=SINCE, help="Read entries one by one from this time on: a date (UTC), or 7d, 24h.")
@click.option(
    "--archive",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Prove the files of sealed months too.",
)
@click.option(
    "--deposits",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Compare deposits with this export (CSV with the columns reference and amount).",
)
@click.option(
    "--invoice",
    "invoices",
    type=(str, MONTH, AMOUNT),
    multiple=True,
    metavar="PROVIDER MONTH AMOUNT",
    help="Show what upstream requests cost beside this invoice. Repeatable.",
)
@installation_options
def audit(
    full: bool,
    since: int | None,
    archive: Path | None,
    deposits: Path | None,
    invoices: tuple[tuple[str, int, int], ...],
    data: Path | None,
    config: Path | None,
    json: bool,
) -> None:
    """Recompute every balance, hold and sum from the journal. Exit code 1 if anything disagrees.

    All sums are taken over all entries. What costs is recomputed one by one: from --since on, else with --full for
    all entries, else for those of the last 25 hours, so that an audit every night reads each. Reads one moment of the
    database and does not stop a gateway that runs. What --deposits and --invoice compare is a report: it never fails.

    \b
    proxyapi audit
    proxyapi audit --full --json
    proxyapi audit --since 2025-11-01 --deposits payments.csv --invoice openai 2025-11 1234.56
    """
    from proxyapi.ledger.audit import examine
    from proxyapi.ledger.audit.outside import compare_deposits, read_export, upstream_costs
    from proxyapi.ledger.sealed import read_sealed
    from proxyapi.pricing.charge import recompute

    began = time.monotonic()
    export = None if deposits is None else read_export(deposits)
    asked = {(provider, month): amount for provider, month, amount in invoices}
    outside: dict[str, object] = {}
    lines: list[str] = []
    with installation(data, config, only_read=True) as at, Line(silent=json) as line:
        report = examine(at.database, full=full, since=since, recompute=recompute, archive=archive, progress=line)
        with at.database.snapshot() as snapshot:
            if export is not None:
                outside["deposits"], text = deposits_report(compare_deposits(snapshot, export, since or 0))
                lines.append(text)
            if asked:
                costs = upstream_costs(snapshot, read_sealed(snapshot), archive, since or 0, asked)
                outside["upstream"], text = costs_report(costs)
                lines.append(text)
    seconds = round(time.monotonic() - began, 3)
    emit(_json(report, full, seconds) | outside, "\n\n".join([_text(report, seconds), *lines]), json=json)
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
