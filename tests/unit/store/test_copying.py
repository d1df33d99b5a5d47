"""Whole databases, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxyapi.store.copying import check_empty, check_equal, copy_rows, move, write_backup
from proxyapi.store.database import Database, open_database
from proxyapi.store.errors import NotEmpty, StatementRefused
from proxyapi.store.files import new_file
from proxyapi.store.migrate import migrate
from proxyapi.store.schema import tables
from proxyapi.store.sqlite import SqliteDatabase


def made(path: Path) -> SqliteDatabase:
    database = SqliteDatabase(path, durable=False)
    migrate(database)
    return database


@pytest.fixture
def source(tmp_path: Path) -> SqliteDatabase:
    """Rows with every kind of value, in tables with every kind of key."""
    database = made(tmp_path / "source.db")
    with database.transaction() as transaction:
        for name in ("first", "второй"):
            transaction.execute("INSERT INTO account (kind, name, created_at) VALUES ('wallet', ?, 9)", (name,))
        transaction.execute("INSERT INTO worker (name, started_at, seen_at) VALUES ('gone', 0, 0)")
        transaction.execute("UPDATE worker SET id = 17")
        transaction.execute("INSERT INTO strike (key_id, at) VALUES (1, 5), (1, 5), (1, 4)")
        transaction.execute("INSERT INTO setting (name, value) VALUES ('currency', 'RUB')")
        transaction.execute("UPDATE revision SET number = 40 WHERE name = 'price'")
        transaction.execute(
            "INSERT INTO hold VALUES (x'00ff', 1, NULL, 1, 9223372036854775807, 23, -5, 'p', 'm', 'o', 1)"
        )
        body = b"x" * (5 * 2**20)
        for number in range(2):
            transaction.execute(
                "INSERT INTO response (account_id, id, bytes, used_at, input, body) VALUES (1, ?, 1, 1, ?, ?)",
                (f"resp_{number}", b"", body),
            )
    return database


@pytest.fixture
def target(database_url: str) -> Iterator[Database]:
    """Empty, on either engine."""
    database = open_database(database_url, durable=False)
    migrate(database)
    yield database
    database.close()


def test_a_copy_has_the_same_rows(source: SqliteDatabase, target: Database) -> None:
    told: list[tuple[str, int, int]] = []
    counts = move(source, target, lambda *step: told.append(step))
    assert counts["account"] == 2 and counts["strike"] == 3 and counts["response"] == 2
    with source.snapshot() as one, target.snapshot() as other:
        check_equal(one, other)
    assert any(step == "copying response" and 0 < done < total for step, done, total in told)


def test_there_and_back_again_every_value_is_what_it_was(
    source: SqliteDatabase, target: Database, tmp_path: Path
) -> None:
    move(source, target)
    back = made(tmp_path / "back.db")
    move(target, back)
    with source.snapshot() as one, back.snapshot() as other:
        check_equal(one, other)
    write_backup(target, tmp_path / "backup.db")
    with source.snapshot() as one, SqliteDatabase(tmp_path / "backup.db").snapshot() as other:
        check_equal(one, other)


def test_ids_of_rows_that_are_gone_are_not_given_out_again(source: SqliteDatabase, target: Database) -> None:
    move(source, target)
    with target.transaction() as transaction:
        worker = "INSERT INTO worker (name, started_at, seen_at) VALUES ('new', 0, 0) RETURNING id"
        assert transaction.execute(worker) == [(24,)], "a hold names worker 23"
        account = "INSERT INTO account (kind, name, created_at) VALUES ('wallet', 'third', 0) RETURNING id"
        assert transaction.execute(account) == [(3,)]


def test_a_value_that_was_not_copied_faithfully_is_found(source: SqliteDatabase, target: Database) -> None:
    move(source, target)
    for change in ("UPDATE account SET created_at = 8 WHERE id = 2", "DELETE FROM strike WHERE at = 4"):
        with pytest.raises(StatementRefused, match="was not copied faithfully"), target.transaction() as transaction:
            transaction.execute(change)
            with source.snapshot() as rows:
                check_equal(rows, transaction)


def test_a_copy_that_breaks_off_leaves_nothing(source: SqliteDatabase, target: Database) -> None:
    def fail(step: str, done: int, total: int) -> None:
        if step.startswith("reading back"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), source.snapshot() as rows, target.transaction() as transaction:
        copy_rows(rows, transaction, fail)
    with target.snapshot() as snapshot:
        check_empty(snapshot)


def test_what_is_there_is_named(source: SqliteDatabase) -> None:
    with source.snapshot() as snapshot, pytest.raises(NotEmpty, match=r"account \(2\), hold \(1\), response \(2\)"):
        check_empty(snapshot)


def test_every_table_of_the_schema_is_copied(source: SqliteDatabase) -> None:
    names = source.fetch_now("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    assert {table.name for table in tables()} == {name for (name,) in names}
    keys = {table.name: (table.key, table.identity) for table in tables()}
    assert keys["account"] == (("id",), "id") and keys["entry"] == (("id",), None)
    assert keys["rollup"] == (("hour", "account_id", "key_id", "model"), None)
    assert keys["strike"] == (("key_id", "at"), None) and keys["response"] == (("number",), "number")


def test_a_new_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    with pytest.raises(ZeroDivisionError), new_file(path) as unfinished:
        unfinished.write_bytes(b"half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with new_file(path) as unfinished:
        unfinished.write_bytes(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole" and path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_never_replaces_another_not_even_one_that_came_meanwhile(
    source: SqliteDatabase, tmp_path: Path
) -> None:
    path = tmp_path / "copy.db"
    with pytest.raises(NotEmpty), new_file(path) as unfinished:
        unfinished.write_bytes(b"mine")
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs"
    with pytest.raises(NotEmpty):
        write_backup(source, path)
