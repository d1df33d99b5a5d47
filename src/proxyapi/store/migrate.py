"""Brings a database up to the newest schema: numbered files, in order, each in a transaction of its own.

The number of the last one applied is the database's `user_version`. Several processes may start at once: the number is
read again under the write lock. An up-to-date database costs one read.
"""

from __future__ import annotations

import sqlite3
from importlib.resources import files

from proxyapi.store.errors import SchemaTooNew
from proxyapi.store.sqlite import Database


def migrate(database: Database) -> list[str]:
    """Applies what is missing; the names of the steps that were applied."""
    steps = sorted(_steps().items())
    applied = []
    version = _version(database)
    if version > steps[-1][0]:
        raise SchemaTooNew(f"the database has schema {version}, this program knows {steps[-1][0]}: install a newer one")
    for number, name in steps:
        if number > version and _apply(database, number, name):
            applied.append(name)
    return applied


def _steps() -> dict[int, str]:
    """File name by number: `0001_initial.sql` is 1."""
    names = [file.name for file in files("proxyapi.store").joinpath("migrations").iterdir()]
    return {int(name[:4]): name for name in names if name.endswith(".sql")}


def _version(database: Database) -> int:
    return int(database.fetch_now("PRAGMA user_version")[0][0])


def _apply(database: Database, number: int, name: str) -> bool:
    text = files("proxyapi.store").joinpath("migrations", name).read_text("utf-8")
    with database.transaction() as transaction:
        if transaction.execute("PRAGMA user_version")[0][0] >= number:
            return False
        for statement in statements(text):
            transaction.execute(statement)
        transaction.execute(f"PRAGMA user_version={number}")
    return True


def statements(text: str) -> list[str]:
    """The statements of a script; `;` inside strings, comments and triggers does not end one."""
    found, start = [], 0
    for at, character in enumerate(text):
        if character == ";" and sqlite3.complete_statement(text[start : at + 1]):
            found.append(text[start : at + 1].strip())
            start = at + 1
    return found
