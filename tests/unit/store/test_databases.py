"""What every engine has to do alike."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from proxyapi.store.database import Database, open_database
from proxyapi.store.errors import ConstraintViolated, CountsDiffer, StatementRefused, StoreFailure
from proxyapi.store.migrate import migrate

ADD_ONE = "UPDATE revision SET number = number + 1 WHERE name = 'price'"
PUT = "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    migrate(opened)
    yield opened
    opened.close()


def number(database: Database) -> int:
    return int(database.fetch_now("SELECT number FROM revision WHERE name = 'price'")[0][0])


def test_migrations_apply_once(database: Database) -> None:
    assert database.schema_version() > 0
    assert migrate(database) == []


def test_a_transaction_is_kept_whole_or_not_at_all(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as transaction:
        transaction.execute(ADD_ONE)
        raise ZeroDivisionError
    assert number(database) == 0
    with database.transaction() as transaction:
        transaction.execute(ADD_ONE)
        with pytest.raises(ConstraintViolated), transaction.savepoint():
            transaction.execute(ADD_ONE)
            transaction.execute("INSERT INTO revision (name, number) VALUES ('price', 0)")
    assert number(database) == 1


def test_reads_are_reads(database: Database) -> None:
    assert asyncio.run(database.fetch("SELECT number FROM revision WHERE name = ?", ("price",))) == [(0,)]
    with pytest.raises(StoreFailure):
        database.fetch_now(ADD_ONE)
    with pytest.raises(StatementRefused):
        database.fetch_now("SELEKT")
    with pytest.raises(StatementRefused):
        asyncio.run(database.fetch("SELEKT"))


def test_rows_that_are_left_half_read_close_quietly_when_the_database_is_closed(database: Database) -> None:
    with database.snapshot() as snapshot:
        rows = snapshot.iterate("SELECT name FROM revision UNION SELECT name FROM setting")
        next(rows)
    database.close()
    rows.close()  # type: ignore[attr-defined]


def test_a_snapshot_sees_one_moment(database: Database) -> None:
    with database.snapshot() as snapshot:
        before = snapshot.execute("SELECT number FROM revision WHERE name = 'price'")
        with database.transaction() as transaction:
            transaction.execute(ADD_ONE)
        assert snapshot.execute("SELECT number FROM revision WHERE name = 'price'") == before
        assert list(snapshot.iterate("SELECT number FROM revision WHERE name = ?", ("price",))) == before
    assert number(database) == 1


def test_a_loop_that_runs_may_block_for_the_store(database: Database) -> None:
    async def start() -> None:
        with database.transaction() as transaction:
            transaction.execute(ADD_ONE)
        assert database.fetch_now("SELECT number FROM revision WHERE name = 'price'") == [(1,)]
        assert await database.fetch("SELECT number FROM revision WHERE name = 'price'") == [(1,)]

    asyncio.run(start())


def test_lists_of_any_length_are_one_parameter(database: Database) -> None:
    for count in (0, 1, 3, 64, 65, 513, 2000):
        rows = database.fetch_now(
            "SELECT name FROM revision WHERE number + 7 IN (@ids) AND name = ? -- IN (@ids), it's ?",
            (list(range(count)), "price"),
        )
        assert rows == [("price",)] * (count > 7)
    with database.transaction() as transaction:
        assert transaction.change("UPDATE revision SET number = 5 WHERE name IN (@ids)", (["price", "identity"],)) == 2
        assert transaction.change("DELETE FROM revision WHERE name IN (@ids)", (["none"],)) == 0


def test_many_rows_are_written_in_their_order(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.executemany(PUT, [(f"name {at}", str(at)) for at in range(100)])
        transaction.executemany(
            "UPDATE setting SET value = value || ? WHERE name = ?", [("x", "name 7"), ("y", "none")]
        )
        transaction.executemany("DELETE FROM setting WHERE name = ?", [("name 1",), ("name 2",)])
        transaction.executemany(PUT, [])
    rows = database.fetch_now("SELECT value FROM setting WHERE name LIKE 'name %' ORDER BY name")
    assert len(rows) == 98 and ("7x",) in rows and rows[0] == ("0",)


def test_steps_answer_with_their_counts(database: Database) -> None:
    with database.transaction() as transaction:
        assert transaction.changes([(PUT, [("a", "1"), ("b", "2")])]) == [2]
        assert transaction.changes(
            [
                ("SELECT name FROM revision WHERE number >= ? LIMIT 1", [(0,)]),
                ("DELETE FROM setting WHERE name IN (@ids)", [(["a", "none"],)]),
                ("UPDATE setting SET value = ? WHERE name = ?", [("3", "b")]),
                (PUT, [("c", "it's ? $1 @now_ms")]),
            ]
        ) == [1, 1, 1, 1]
    rows = database.fetch_now("SELECT name, value FROM setting WHERE name < 'd' ORDER BY name")
    assert [row for row in rows if row[0] in "abc"] == [("b", "3"), ("c", "it's ? $1 @now_ms")]


def test_a_step_that_violates_a_rule_undoes_all(database: Database) -> None:
    with pytest.raises(ConstraintViolated), database.transaction() as transaction:
        transaction.changes(
            [(PUT, [("a", "1")]), ("INSERT INTO revision (name, number) VALUES (?, ?)", [("price", 1)])]
        )
    assert database.fetch_now("SELECT 1 FROM setting WHERE name = 'a'") == []


def test_steps_that_are_a_transaction_are_kept_if_their_counts_are_right(database: Database) -> None:
    writer = database.writer()
    steps = [
        ("UPDATE revision SET number = number + ? WHERE name = ?", [(1, "price")]),
        (PUT, [("a", "1"), ("b", "2")]),
    ]
    writer.exactly(steps, [1, 2])
    assert number(database) == 1
    for wrong in ([0, 2], [1, 1], [1, 3]):
        with pytest.raises(CountsDiffer):
            writer.exactly(steps, wrong)
    with pytest.raises(ConstraintViolated):
        writer.exactly([*steps, ("INSERT INTO revision (name, number) VALUES (?, ?)", [("price", 1)])], [1, 2, 1])
    assert number(database) == 1
    writer.exactly(steps, [1, 2])
    assert number(database) == 2
    writer.close()


def test_values_come_back_as_they_were(database: Database) -> None:
    with database.transaction() as transaction:
        for name, value in (("empty", ""), ("more", "Я🙂'\"\\%\n\t")):
            transaction.execute(PUT, (name, value))
            assert transaction.execute("SELECT value FROM setting WHERE name = ?", (name,)) == [(value,)]
        for amount in (-(2**63), 2**63 - 1, 0):
            assert transaction.execute("UPDATE revision SET number = ? RETURNING number", (amount,))[0] == (amount,)
        found = transaction.execute("SELECT CAST(? AS BLOB), CAST(? AS INTEGER), x'00ff'", (b"\x00\xff", None))
        assert found == [(b"\x00\xff", None, b"\x00\xff")]
        transaction.execute("UPDATE revision SET number = 2")
        assert transaction.execute("SELECT sum(number), count(*), max(number) / 3 FROM revision") == [(4, 2, 0)]


def test_values_that_cannot_be_kept_are_the_statements_fault(database: Database) -> None:
    for value in (2**63, "\ud800", object()):
        with database.transaction() as transaction:
            with pytest.raises(StatementRefused), transaction.savepoint():
                transaction.execute("UPDATE revision SET number = ?", (value,))
            with pytest.raises(StatementRefused), transaction.savepoint():
                transaction.executemany("UPDATE revision SET number = ? WHERE name = ?", [(value, "price")])
    assert number(database) == 0


def test_the_databases_clock_counts_milliseconds(database: Database) -> None:
    before, after = (database.fetch_now("SELECT @now_ms")[0][0] for _ in range(2))
    assert 1_700_000_000_000 < before <= after < before + 60_000


def test_ids_go_on_behind_those_that_came_with_their_rows(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.execute("INSERT INTO worker (id, name, started_at, seen_at) VALUES (5000, 'x', 0, 0)")
        transaction.resume_ids("worker", "id", 5000)
        made = transaction.execute("INSERT INTO worker (name, started_at, seen_at) VALUES ('y', 0, 0) RETURNING id")
    assert made == [(5001,)]


def test_threads_may_share_a_database(database: Database) -> None:
    def add() -> None:
        for _ in range(20):
            with database.transaction() as transaction:
                transaction.execute(ADD_ONE)
            number(database)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert number(database) == 80


def test_texts_sort_by_code_point(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.executemany(PUT, [(name, "sorted") for name in ("b", "B", "a", "ä", "_", "Я")])
    rows = database.fetch_now("SELECT name FROM setting WHERE value = 'sorted' ORDER BY name")
    assert [name for (name,) in rows] == ["B", "_", "a", "b", "ä", "Я"]
