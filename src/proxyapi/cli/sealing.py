"""`proxyapi seal`."""

from __future__ import annotations

from pathlib import Path

import click

from proxyapi.cli.auditing import audited
from proxyapi.cli.installation import installation
from proxyapi.cli.options import MONTH, installation_options
from proxyapi.cli.output import emit
from proxyapi.cli.progress import Line
from proxyapi.ledger.months import format_month, start_of


@click.command()
@click.argument("month", type=MONTH, required=False)
@click.option("--before", type=MONTH, metavar="MONTH", help="Every month that is older than this one.")
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True, writable=True),
    metavar="DIR",
    help="Where the files go.",
)
@installation_options
def seal(
    month: int | None, before: int | None, folder: Path, data: Path | None, config: Path | None, json: bool
) -> None:
    """Put the entries of MONTH into a Parquet file in DIR, and take them out of the database, while the gateway runs.

    The file's SHA-256 and what it charged to each account stay in the database, and so do all sums behind reports:
    balances, usage and audits go on as before. Months are sealed in order, seven days after their end or later, after
    an audit that has to be clean. What was broken off goes on with the same command. Keep the files:
    `proxyapi audit --archive DIR` proves that they are whole.

    \b
    proxyapi seal 2025-11 --to /archive
    proxyapi seal --before 2026-01 --to /archive
    """
    if (month is None) == (before is None):
        raise click.UsageError("Name a MONTH such as 2025-11, or --before MONTH.")
    from proxyapi.ledger.sealing import months_to_seal, seal_month

    with installation(data, config) as at, Line(silent=json) as line:
        months = months_to_seal(at.database, before) if before is not None else [month or 0]
        if months:
            audited(at.database, progress=line, full=False, since=start_of(months[0]))
        sealed = [seal_month(at.database, one, folder, line) for one in months]
    value, lines = [], []
    for one in sealed:
        name, path = format_month(one.month), folder / one.file
        value.append({"month": name, "file": str(path), "sha256": one.digest.hex(), "entries": one.entries})
        lines.append(f"{name}: {one.entries:,} entries are in {path}.")
    emit({"sealed": value}, "\n".join(lines) or "Nothing to do.", json=json)
