"""The mark of a database whose books went to another one: who began to work on it by mistake would split them."""

from __future__ import annotations

from proxyapi.errors import SettingsError
from proxyapi.store.database import Database, Transaction
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.ledger", "moved.sql")


def check_here(database: Database) -> None:
    """SettingsError says where the books are, if they were moved away."""
    rows = database.fetch_now(SQL["moved_to"])
    if rows:
        raise SettingsError(
            f"The books of {database.name} were moved to {rows[0][0]}: set database_url (or DATABASE_URL) to that. To "
            f"use {database.name} as it was then, without what was booked since: run `proxyapi migrate --reopen`."
        )


def mark_moved(transaction: Transaction, where: str) -> None:
    """`where`: the name of the other database, for people."""
    transaction.execute(SQL["mark_moved"], (where,))


def take_back(database: Database) -> str | None:
    """Remove the mark. The name of the database that the books had been moved to; None: there was no mark."""
    with database.transaction() as transaction:
        rows = transaction.execute(SQL["take_back"])
    return str(rows[0][0]) if rows else None
