"""Backup, restore and move are killed at any step: what is there afterwards is whole, or nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxyapi.ids import IdSource
from proxyapi.ledger.audit import audit
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.store.copying import check_equal, copy_to_file, new_file
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
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == -9


def proxyapi(*arguments: str | Path, data: Path) -> dict[str, object]:
    environment = {**os.environ, "PROXYAPI_DATA": str(data)}
    command = [sys.executable, "-m", "proxyapi", *map(str, arguments), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def assert_the_same(one: Path, other: Path) -> None:
    with SqliteDatabase(one).snapshot() as rows, SqliteDatabase(other).snapshot() as others:
        check_equal(rows, others)


@pytest.mark.parametrize("step", STEPS)
def test_a_move_that_is_killed_can_be_repeated(data: Path, tmp_path: Path, step: int) -> None:
    target = tmp_path / "new" / "proxyapi.db"
    if killed_at(step, "migrate", "--to", target, data):
        assert proxyapi("account", "show", "acme", data=data)["balance"] is not None
        kept = proxyapi("account", "list", data=target.parent)["accounts"] if target.exists() else []
        if not kept:
            proxyapi("migrate", "--to", target, data=data)
    assert_the_same(data / "proxyapi.db", target)
    assert audit(SqliteDatabase(target)) == []


@pytest.mark.parametrize("step", [2, 4, *(pytest.param(step, marks=LONG) for step in (1, 3, 5))])
def test_a_restore_that_is_killed_leaves_all_or_nothing(data: Path, tmp_path: Path, step: int) -> None:
    backup, target = tmp_path / "backup.db", tmp_path / "new"
    proxyapi("backup", backup, data=data)
    if killed_at(step, "restore", backup, target) and not (target / "proxyapi.db").exists():
        proxyapi("restore", backup, data=target)
    assert_the_same(data / "proxyapi.db", target / "proxyapi.db")


def test_a_backup_that_is_killed_leaves_no_file_of_its_name(data: Path, tmp_path: Path) -> None:
    assert killed_at(1, "backup", tmp_path / "backup.db", data)
    assert not (tmp_path / "backup.db").exists()
    proxyapi("backup", tmp_path / "backup.db", data=data)
    assert_the_same(data / "proxyapi.db", tmp_path / "backup.db")


def test_rows_of_another_engine_become_one_file_without_anything_beside_it(data: Path, tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    with new_file(tmp_path / "backups" / "copy.db") as unfinished:
        copy_to_file(SqliteDatabase(data / "proxyapi.db"), unfinished)
    assert [path.name for path in (tmp_path / "backups").iterdir()] == ["copy.db"]
    (tmp_path / "backups").chmod(0o500)
    assert_the_same(data / "proxyapi.db", tmp_path / "backups" / "copy.db")
