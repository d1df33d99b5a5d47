"""A database whose books were moved away: refused, until they are taken back."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest

from proxyapi.errors import Conflict, SettingsError
from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.moved import check_here, take_back
from proxyapi.ledger.workers import alone
from proxyapi.store.database import Database, open_database
from proxyapi.store.errors import StatementRefused

REGISTER = "INSERT INTO worker (name, started_at, seen_at) VALUES ('hasty', 0, 9000000000000)"


def begin_to_work(database: Database) -> None:
    async def main() -> None:
        ledger = Ledger(database, worker="host:1:new", ids=IdSource())
        try:
            await ledger.open()
        finally:
            await ledger.close()

    asyncio.run(main())


def test_nobody_begins_to_work_on_books_that_were_moved_until_they_are_taken_back(database: Database) -> None:
    check_here(database)
    assert take_back(database) is None
    with alone(database) as books:
        books.leave_for("postgresql://db.example/books")
    with pytest.raises(SettingsError, match=r"moved to postgresql://db\.example/books: set .*migrate --reopen"):
        check_here(database)
    with pytest.raises(StatementRefused, match="moved"):
        begin_to_work(database)
    assert take_back(database) == "postgresql://db.example/books"
    check_here(database)
    begin_to_work(database)


def test_a_move_that_fails_leaves_the_books_where_they_are(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), alone(database) as books:
        books.leave_for("elsewhere")
        raise ZeroDivisionError
    check_here(database)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_who_begins_to_work_while_the_books_are_moved_keeps_them(database: Database, database_url: str) -> None:
    with pytest.raises(Conflict, match="hasty"), alone(database) as books:
        with closing(open_database(database_url)) as other, other.transaction() as transaction:
            transaction.execute(REGISTER)
        books.leave_for("elsewhere")
    check_here(database)
