"""`proxyapi migrate`, `backup` and `restore`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import click

from proxyapi.cli.auditing import HANDED_OVER_SECONDS, audited
from proxyapi.cli.installation import existing_database, load_settings
from proxyapi.cli.options import installation_options
from proxyapi.cli.output import emit
from proxyapi.cli.progress import Line
from proxyapi.errors import SettingsError
from proxyapi.identity.currency import agree_on_currency, recorded_currency
from proxyapi.ledger.moved import check_here, take_back
from proxyapi.ledger.workers import upgrade
from proxyapi.store.database import POSTGRES_SCHEMES, Database, open_database, sqlite_url


@click.command()
@click.option(
    "--to", metavar="URL", help="Move everything there: postgresql://USER@HOST/NAME, sqlite:///PATH or a path."
)
@click.option("--reopen", is_flag=True, help="Use this database again although its books were moved away.")
@installation_options
def migrate(to: str | None, reopen: bool, data: Path | None, config: Path | None, json: bool) -> None:
    """Bring the database up to this version of the program, or make an empty one. Safe to repeat.

    Every other command does it too. Make a backup first when you install a newer version.

    With --to, copy everything into another, empty database, read it back, and audit both. Stop the gateway before:
    it is refused while workers are alive. Set `database_url` to the new one then. The old database keeps its rows, but
    the gateway and commands that write refuse it, until --reopen: what was booked in the new one since is not in it.
    Leave the password out of the address: PGPASSWORD and ~/.pgpass are read.

    \b
    proxyapi migrate
    proxyapi migrate --to postgresql://proxyapi@db.example/proxyapi
    """
    settings = load_settings(data, config)
    if to is not None and reopen:
        raise click.UsageError("--to moves the books away, --reopen takes them back: give one of them.")
    if reopen:
        _reopen(existing_database(settings), json=json)
        return
    if to is not None:
        _move(existing_database(settings), database_at(to), json=json)
        return
    database = open_database(settings.database)
    try:
        database.prepare()
        applied = upgrade(database)
        if recorded_currency(database) is None:
            agree_on_currency(database, settings.currency)
    finally:
        database.close()
    text = f"Applied {', '.join(applied)}." if applied else "Nothing to do."
    emit(
        {"database": database.name, "applied": applied},
        f"{text} {database.name} is up to date.",
        json=json,
    )


def database_at(address: str) -> Database:
    """`--to`: an address, or the path of an SQLite file. SettingsError for an address of anything else."""
    if "://" in address and urlsplit(address).scheme not in (*POSTGRES_SCHEMES, "sqlite"):
        raise SettingsError("--to has to be postgresql://USER@HOST/NAME, sqlite:///PATH or a path")
    return open_database(address if "://" in address else sqlite_url(Path(address)))


def _move(source: Database, target: Database, *, json: bool) -> None:
    from proxyapi.ledger.workers import alone
    from proxyapi.store.copying import make_ready, move

    try:
        upgrade(source)
        check_here(source)
        make_ready(target)
        with Line(silent=json) as line:
            with alone(source):
                pass  # what takes long is not begun in vain
            audited(source, progress=line, stale_seconds=HANDED_OVER_SECONDS)
            with alone(source) as books:

                def progress(step: str, done: int, total: int) -> None:
                    books.still_here()
                    line(step, done, total)

                counts = move(source, target, progress)
                books.leave_for(target.name)
            try:
                audited(target, progress=line, stale_seconds=HANDED_OVER_SECONDS)
            except BaseException:
                take_back(source)
                raise
    finally:
        source.close()
        target.close()
    rows = sum(counts.values())
    emit(
        {"from": source.name, "to": target.name, "rows": rows, "tables": counts},
        f"{rows:,} rows of {len(counts)} tables are in {target.name}; both databases audit clean. Set database_url (or "
        f"DATABASE_URL) to it before you start the gateway again. {source.name} is marked as moved, and refused from "
        "now on; put it away.",
        json=json,
    )


def _reopen(database: Database, *, json: bool) -> None:
    try:
        where = take_back(database)
    finally:
        database.close()
    text = (
        f"{database.name} can be used again, as it was when its books were moved to {where}. Put that one away: what "
        "was booked there since is not here."
        if where
        else f"Nothing to do: the books of {database.name} were not moved."
    )
    emit({"database": database.name, "moved_to": where}, text, json=json)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@installation_options
def backup(file: Path, data: Path | None, config: Path | None, json: bool) -> None:
    """Write a consistent copy of the database to FILE, a new file, while the gateway runs.

    It is an SQLite file, whichever database is used. `proxyapi restore` brings it back.

    \b
    proxyapi backup /backups/proxyapi-$(date +%F).db
    """
    from proxyapi.store.copying import write_backup

    if file.exists():
        raise click.UsageError(f"{file} exists already: a backup never overwrites.")
    if not file.parent.is_dir():
        raise click.UsageError(f"There is no directory {file.parent}.")
    database = existing_database(load_settings(data, config))
    try:
        with Line(silent=json) as line:
            write_backup(database, file, line)
    finally:
        database.close()
    size = file.stat().st_size
    emit({"backup": str(file), "bytes": size}, f"{file}: {size} bytes.", json=json)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--to", metavar="URL", help="Into this database instead of the configured one; as in `migrate --to`.")
@installation_options
def restore(file: Path, to: str | None, data: Path | None, config: Path | None, json: bool) -> None:
    """Bring back a backup, into an empty database: the configured one, or --to. Audits what it has restored.

    FILE is only read, and may be of an older version. What is there is never written over: move it away first.
    Requests that were in flight at the time of the backup are given back when the gateway starts.

    \b
    proxyapi restore /backups/proxyapi-2026-01-31.db
    """
    from proxyapi.store.copying import restore as bring_back

    target = open_database(load_settings(data, config).database) if to is None else database_at(to)
    try:
        target.prepare()
        with Line(silent=json) as line:
            bring_back(file, target, line)
            report = audited(target, progress=line, stale_seconds=HANDED_OVER_SECONDS)
    finally:
        target.close()
    entries, accounts = report.checked["I2"], report.checked["I4"]
    emit(
        {"restored": target.name, "from": str(file), "accounts": accounts, "entries": entries},
        f"{target.name}: {accounts:,} accounts, {entries:,} entries; it audits clean.",
        json=json,
    )
