from __future__ import annotations

import multiprocessing
import threading
from importlib.resources import files
from pathlib import Path

import pytest

from proxyapi.store.errors import SchemaTooNew, StatementRefused, StoreFailure
from proxyapi.store.migrate import migrate
from proxyapi.store.queries import load_queries
from proxyapi.store.script import statements
from proxyapi.store.sqlite import SqliteDatabase

STEPS = sorted(file.name for file in files("proxyapi.store").joinpath("migrations").iterdir())
ADD_ONE = "UPDATE revision SET number = number + 1 WHERE name = 'price'"


def number(database: SqliteDatabase) -> int:
    return int(database.fetch_now("SELECT number FROM revision WHERE name = 'price'")[0][0])


@pytest.fixture
def database(tmp_path: Path) -> SqliteDatabase:
    database = SqliteDatabase(tmp_path / "store?.db", durable=False)
    migrate(database)
    return database


def test_migrations_apply_once(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "new.db")
    assert migrate(database) == STEPS
    assert migrate(database) == []
    assert database.fetch_now("PRAGMA journal_mode") == [("wal",)]


def test_an_older_program_leaves_a_newer_database_alone(database: SqliteDatabase) -> None:
    with database.transaction() as transaction:
        transaction.execute("PRAGMA user_version=9999")
    with pytest.raises(SchemaTooNew):
        migrate(database)


def migrate_in_a_process(path: Path, answers: multiprocessing.SimpleQueue[object]) -> None:
    try:
        answers.put(migrate(SqliteDatabase(path)))
    except BaseException as error:
        answers.put(repr(error))
        raise


def test_several_processes_may_start_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    processes = [context.Process(target=migrate_in_a_process, args=(tmp_path / "new.db", answers)) for _ in range(6)]
    for process in processes:
        process.start()
    applied = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    assert all(isinstance(steps, list) for steps in applied), applied
    assert sorted(step for steps in applied for step in steps) == STEPS


def test_a_script_is_cut_at_the_ends_of_its_statements() -> None:
    script = "-- a;b\nSELECT ';';\nCREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1; SELECT 2; END;\n"
    assert [len(one.splitlines()) for one in statements(script)] == [2, 1]


def test_writers_queue_and_readers_do_not_wait(database: SqliteDatabase) -> None:
    order: list[str] = []
    inside = threading.Event()

    def other() -> None:
        inside.wait()
        with SqliteDatabase(database.path).transaction() as transaction:
            order.append("second")
            transaction.execute(ADD_ONE)

    thread = threading.Thread(target=other)
    thread.start()
    with database.transaction() as transaction:
        transaction.execute(ADD_ONE)
        inside.set()
        assert number(SqliteDatabase(database.path)) == 0
        order.append("first")
    thread.join()
    assert order == ["first", "second"] and number(database) == 2


def test_a_backup_is_a_database_of_its_own(database: SqliteDatabase, tmp_path: Path) -> None:
    database.backup(tmp_path / "copy.db")
    copy = SqliteDatabase(tmp_path / "copy.db")
    assert migrate(copy) == [] and number(copy) == 0
    with pytest.raises(StatementRefused):
        database.backup(tmp_path / "copy.db")


def test_a_file_that_is_no_database_is_a_failure_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all, but long enough to look like one" * 50)
    with pytest.raises(StoreFailure):
        migrate(SqliteDatabase(tmp_path / "text.db"))
    with pytest.raises(StoreFailure):
        migrate(SqliteDatabase(tmp_path / "missing" / "new.db"))


def test_lists_are_cut_into_statements_of_few_sizes(database: SqliteDatabase) -> None:
    asked: list[str] = []
    database.fetch_now("SELECT 1")
    assert database._reader is not None
    database._reader.set_trace_callback(asked.append)
    for count, statements_expected in ((0, 0), (1, 1), (3, 1), (64, 1), (65, 1), (513, 2)):
        asked.clear()
        rows = database.fetch_now("SELECT ? WHERE 7 IN (@ids) AND ? = 1 -- @ids, it's", (5, list(range(count)), 1))
        assert rows == [(5,)] * (count > 7)
        assert len(asked) == statements_expected
    assert database.fetch_now("SELECT '@now_ms', '--' WHERE 1 IN (@ids)", ([1],)) == [("@now_ms", "--")]
    with pytest.raises(StatementRefused):
        database.fetch_now("SELECT 7 IN (@ids)", (7,))
    with database.transaction() as transaction:
        assert transaction.change("UPDATE revision SET number = 5 WHERE name IN (@ids)", (["price", "identity"],)) == 2


def test_statements_are_found_by_name() -> None:
    queries = load_queries("proxyapi.ledger", "ledger.sql")
    assert queries["read_balance"].startswith("SELECT funded") and "--" not in queries["read_balance"]


def test_a_new_file_is_readable_by_its_owner_alone_whatever_its_directory_allows(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    database = SqliteDatabase(tmp_path / "store.db", durable=False)
    database.prepare()
    migrate(database)
    database.prepare()
    found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert found.keys() >= {"store.db", "store.db-wal"}
    assert set(found.values()) == {0o600}, found
