"""Brings a database up to the newest schema: numbered files, in order, each in a transaction of its own.

The database keeps the number of the last one applied. Several processes may start at once: the number is read again
under the write lock. An up-to-date database costs one read.
"""

from __future__ import annotations

from importlib.resources import files

from proxyapi.store.database import Database
from proxyapi.store.errors import SchemaTooNew


def migrate(database: Database) -> list[str]:
    """Applies what is missing; the names of the steps that were applied."""
    steps = sorted(_steps().items())
    applied = []
    version = database.schema_version()
    if version > steps[-1][0]:
        raise SchemaTooNew(f"the database has schema {version}, this program knows {steps[-1][0]}: install a newer one")
    for number, name in steps:
        if number > version and database.apply_schema(number, _script(name)):
            applied.append(name)
    return applied


def newest_schema() -> int:
    """The number that this program brings a database to."""
    return max(_steps())


def _steps() -> dict[int, str]:
    """File name by number: `0001_initial.sql` is 1."""
    names = [file.name for file in files("proxyapi.store").joinpath("migrations").iterdir()]
    return {int(name[:4]): name for name in names if name.endswith(".sql")}


def scripts() -> dict[str, str]:
    """All steps in order: text by file name."""
    return {name: _script(name) for _, name in sorted(_steps().items())}


def _script(name: str) -> str:
    return files("proxyapi.store").joinpath("migrations", name).read_text("utf-8")
