"""What PostgreSQL is asked about its own files, and how room is given back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from proxyapi.ledger.months import end_of, start_of
from proxyapi.store.copying import move
from proxyapi.store.database import Database, open_database
from proxyapi.store.migrate import migrate
from proxyapi.store.sqlite import SqliteDatabase

ENTRY = (
    "INSERT INTO entry (id, kind, account_id, amount, held, actual, charged, loss, created_at) "
    "VALUES (?, 'adjust', 1, 0, 0, 0, 0, 0, 0)"
)
PARTS = "SELECT CAST(tableoid AS regclass)::text, count(*) FROM entry GROUP BY 1 ORDER BY 1"
ALL_PARTS = "SELECT CAST(inhrelid AS regclass)::text FROM pg_inherits WHERE inhparent = 'entry'::regclass ORDER BY 1"


@pytest.fixture
def url(postgres: Any) -> Iterator[str]:
    url = postgres.lend()
    yield url
    postgres.give_back(url)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = open_database(url, durable=False)
    yield database
    database.close()


def put(database: Database, milliseconds: int) -> None:
    with database.transaction() as transaction:
        transaction.execute(ENTRY, (milliseconds.to_bytes(6, "big") + bytes(10),))


def test_months_that_are_empty_and_over_are_given_back(database: Database) -> None:
    for month in (202401, 202402, 202403):
        database.upkeep(start_of(month))
    put(database, start_of(202402))
    database.shed(end_of(202403))
    kept = [name for (name,) in database.fetch_now(ALL_PARTS)]
    assert "entry_202401" not in kept and "entry_202403" not in kept
    assert {"entry_202402", "entry_202404", "entry_default"} <= set(kept)
    put(database, start_of(202401))
    assert database.fetch_now(PARTS) == [("entry_202402", 1), ("entry_default", 1)]


def test_entries_that_move_in_find_a_part_for_their_month(database: Database, tmp_path: Any) -> None:
    source = SqliteDatabase(tmp_path / "source.db", durable=False)
    migrate(source)
    months = [202301, 202306, 202307, 202312]
    for month in months:
        put(source, start_of(month))
        put(source, end_of(month) - 1)
    move(source, database)
    assert database.fetch_now(PARTS) == [(f"entry_{month}", 2) for month in months]


def test_the_engine_names_what_it_finds_damaged(database: Database, url: str, postgres: Any) -> None:
    assert database.faults() == []
    damage = (
        "DO $$ BEGIN SET LOCAL allow_system_table_mods = on; "
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'key_account'::regclass; END $$"
    )
    postgres.run(url.partition("@/")[2].partition("?")[0], damage)
    assert database.faults() == ["the index key_account is not valid"]
