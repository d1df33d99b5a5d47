"""`proxyapi migrate` and `proxyapi backup`."""

from __future__ import annotations

from pathlib import Path

import click

from proxyapi.cli.installation import existing_database, load_settings
from proxyapi.cli.options import installation_options
from proxyapi.cli.output import emit
from proxyapi.identity.currency import agree_on_currency, recorded_currency
from proxyapi.store.database import open_database
from proxyapi.store.migrate import migrate as apply_migrations

COPY_MODE = 0o600


@click.command()
@installation_options
def migrate(data: Path | None, config: Path | None, json: bool) -> None:
    """Bring the database up to this version of the program, or make an empty one. Safe to repeat.

    Every other command does it too. Make a backup first when you install a newer version.
    """
    settings = load_settings(data, config)
    database = open_database(settings.database)
    try:
        database.prepare()
        applied = apply_migrations(database)
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


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@installation_options
def backup(file: Path, data: Path | None, config: Path | None, json: bool) -> None:
    """Write a consistent copy of the database to FILE, a new file, while the gateway runs.

    To restore it, stop the gateway, put the copy in place of proxyapi.db and remove proxyapi.db-wal and -shm.

    \b
    proxyapi backup /backups/proxyapi-$(date +%F).db
    """
    if file.exists():
        raise click.UsageError(f"{file} exists already: a backup never overwrites.")
    if not file.parent.is_dir():
        raise click.UsageError(f"There is no directory {file.parent}.")
    database = existing_database(load_settings(data, config))
    try:
        database.backup(file)
        file.chmod(COPY_MODE)
    finally:
        database.close()
    size = file.stat().st_size
    emit({"backup": str(file), "bytes": size}, f"{file}: {size} bytes.", json=json)
