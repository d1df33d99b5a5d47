"""Backup, restore and move are killed at any step: what is there afterwards is whole, or nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxyapi_fakes_crowd import Crowd  # loaded by conftest.py
from proxyapi_fakes_gateway import eventually

from proxyapi.ids import IdSource
from proxyapi.ledger.audit import audit
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.store.copying import check_empty, check_equal
from proxyapi.store.database import Database, open_database
from proxyapi.store.errors import NotEmpty
from proxyapi.store.migrate import migrate
from proxyapi.store.sqlite import SqliteDatabase

KILLED = Path(__file__).with_name("killed.py")
LONG = pytest.mark.long
STEPS = [2, 5, 8, 11, *(pytest.param(step, marks=LONG) for step in (1, 3, 4, 6, 7, 9, 10, 12, 13, 14))]
"""A move reports 13."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An installation with some deposits."""
    database = SqliteDatabase(tmp_path / "data" / "proxyapi.db", durable=False)
    database.prepare()
    migrate(database)
    with database.transaction() as transaction:
        transaction.execute("INSERT INTO account (id, kind, name, created_at) VALUES (1, 'wallet', 'acme', 0)")
    ledger = OfflineLedger(database, ids=IdSource())
    for number in range(30):
        ledger.deposit(1, 1 + number, reference=f"payment {number}")
    ledger.close()
    database.close()
    return tmp_path / "data"


def killed_at(step: int, *arguments: str | Path) -> bool:
    """Whether it was killed; otherwise it succeeded."""
    environment = {**os.environ, "PROXYAPI_DATA": str(arguments[-1])}
    command = [sys.executable, str(KILLED), str(step), *map(str, arguments[:-1]), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == -9


def proxyapi(*arguments: str | Path, data: Path, **variables: str) -> dict[str, object]:
    environment = {**os.environ, "PROXYAPI_DATA": str(data), **variables}
    command = [sys.executable, "-m", "proxyapi", *map(str, arguments), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def assert_the_same(one: Database, other: Database) -> None:
    with one.snapshot() as rows, other.snapshot() as others:
        check_equal(rows, others)


def is_empty(database: Database) -> bool:
    """Nothing of a copy is there."""
    if not database.schema_version():
        return True
    with database.snapshot() as snapshot:
        try:
            check_empty(snapshot)
        except NotEmpty:
            return False
    return True


@pytest.fixture
def source(data: Path) -> Iterator[Database]:
    database = SqliteDatabase(data / "proxyapi.db")
    yield database
    database.close()


@pytest.fixture
def target(database_url: str) -> Iterator[Database]:
    database = open_database(database_url)
    yield database
    database.close()


@pytest.mark.parametrize("step", STEPS)
def test_a_move_that_is_killed_leaves_all_or_nothing(
    data: Path, source: Database, target: Database, database_url: str, step: int
) -> None:
    if killed_at(step, "migrate", "--to", database_url, data) and is_empty(target):
        proxyapi("migrate", "--to", database_url, data=data)
    proxyapi("migrate", "--reopen", data=data)  # one that was moved has a mark
    assert_the_same(source, target)
    assert audit(target) == []


@pytest.mark.parametrize("step", [2, 4, *(pytest.param(step, marks=LONG) for step in (1, 3, 5, 6, 7, 8))])
def test_a_restore_that_is_killed_leaves_all_or_nothing(
    data: Path, source: Database, target: Database, database_url: str, tmp_path: Path, step: int
) -> None:
    backup = tmp_path / "backup.db"
    proxyapi("backup", backup, data=data)
    if killed_at(step, "restore", backup, "--to", database_url, data) and is_empty(target):
        proxyapi("restore", backup, "--to", database_url, data=data)
    assert_the_same(source, target)


def test_a_backup_that_is_killed_leaves_no_file_of_its_name(data: Path, source: Database, tmp_path: Path) -> None:
    assert killed_at(1, "backup", tmp_path / "backup.db", data)
    assert not (tmp_path / "backup.db").exists()
    proxyapi("backup", tmp_path / "backup.db", data=data)
    assert_the_same(source, SqliteDatabase(tmp_path / "backup.db"))


def test_a_backup_under_load_restores_to_books_that_are_proven(database_url: str, tmp_path: Path) -> None:
    """F15: on either engine; what was promised before the backup began is in it."""
    with Crowd(database_url, tmp_path) as crowd:
        crowd.join(2, mode="load", keys=2)
        eventually(lambda: crowd.answers >= 500, seconds=30)
        logs = [member.log.read_text() for member in crowd.members]
        (tmp_path / "backups").mkdir()
        proxyapi("backup", tmp_path / "backups" / "copy.db", data=tmp_path, DATABASE_URL=database_url)
        during = crowd.answers
        eventually(lambda: crowd.answers > during, seconds=30)
        assert [path.name for path in (tmp_path / "backups").iterdir()] == ["copy.db"]
        proxyapi("restore", tmp_path / "backups" / "copy.db", data=tmp_path / "restored")
        restored = SqliteDatabase(tmp_path / "restored" / "proxyapi.db")
        assert audit(restored, stale_seconds=10**9) == []
        known = {id for (id,) in restored.fetch_now("SELECT id FROM hold UNION ALL SELECT id FROM entry")}
        promised = {bytes.fromhex(line.split()[1]) for log in logs for line in log.splitlines() if line[0] in "HS"}
        assert len(promised) > 200 and promised <= known
        restored.close()
        assert audit(crowd.database) == []
        for member in crowd.members:
            member.end()
