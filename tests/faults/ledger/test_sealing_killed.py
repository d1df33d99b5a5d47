"""Sealing is killed at any step: the books are proven at any time, and the same command finishes it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxyapi.ids import IdSource
from proxyapi.ledger.archive import entry_table, read_columns
from proxyapi.ledger.audit import audit, examine
from proxyapi.ledger.months import start_of
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.store.database import Database, open_database
from proxyapi.store.migrate import migrate

KILLED = Path(__file__).with_name("killed.py")
MONTHS = (202401, 202402)
ENTRIES = 4_500
"""Of each month: leave in three parts."""
LONG = pytest.mark.long
STEPS = [8, 12, 16, *(pytest.param(step, marks=LONG) for step in (6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19))]


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    """Two months of deposits, made the quick way."""
    (tmp_path / "archive").mkdir()
    database = open_database(database_url, durable=False)
    database.prepare()
    migrate(database)
    for month in MONTHS:
        database.upkeep(start_of(month))
    with database.transaction() as transaction:
        transaction.execute("INSERT INTO account (id, kind, name, created_at) VALUES (1, 'wallet', 'acme', 0)")
    at = start_of(MONTHS[0])
    ledger = OfflineLedger(database, ids=IdSource(lambda: at * 1_000_000), clock_ms=lambda: at)
    ledger.deposit(1, 1)
    ledger.close()
    insert = (
        "INSERT INTO entry (id, kind, account_id, amount, held, actual, charged, loss, created_at) "
        "VALUES (?, 'adjust', 1, 1, 0, 0, 0, 0, ?)"
    )
    with database.transaction() as transaction:
        for month in MONTHS:
            first = start_of(month) + 1
            rows = [((first + n).to_bytes(6, "big") + n.to_bytes(10, "big"), first + n) for n in range(ENTRIES)]
            transaction.executemany(insert, rows)
        transaction.execute("UPDATE account SET funded = funded + ?", (len(MONTHS) * ENTRIES,))
    assert audit(database) == []
    yield database
    database.close()


def seal(url: str, tmp_path: Path, step: int) -> int:
    """The exit code."""
    environment = {**os.environ, "DATABASE_URL": url}
    command = [sys.executable, str(KILLED), str(step), "seal", "--before", "2024-03", "--to", str(tmp_path / "archive")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def archived(tmp_path: Path) -> list[Any]:
    files = sorted((tmp_path / "archive").glob("*.parquet"))
    return [row for file in files for batch in read_columns(file, entry_table().columns, 10_000) for row in batch]


@pytest.mark.parametrize("step", STEPS)
def test_a_sealing_that_is_killed_is_finished_by_the_next_one(
    database: Database, database_url: str, tmp_path: Path, step: int
) -> None:
    before = database.fetch_now("SELECT * FROM entry ORDER BY id")
    if seal(database_url, tmp_path, step) == -9:
        assert audit(database) == [], "at any time"
        assert seal(database_url, tmp_path, 10**9) == 0
    assert database.fetch_now("SELECT count(*) FROM entry") == [(0,)]
    assert sorted(archived(tmp_path)) == before
    report = examine(database, archive=tmp_path / "archive")
    assert report.ok and report.checked["archive"] == len(MONTHS)
    hidden = [path.name for path in (tmp_path / "archive").iterdir() if path.name.startswith(".")]
    assert len(hidden) <= 1, "what the kill left, and nothing of the one that finished"
