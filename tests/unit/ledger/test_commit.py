from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from proxyapi.ledger.commit import Committer, period_start
from proxyapi.ledger.ops import Accepted, Budget, Hold
from proxyapi.store.errors import OutcomeUnknown
from proxyapi.store.sqlite import SqliteDatabase, SqliteWriter, WriteLock, connect

NOVEMBER_30 = 1_764_547_000_000


class NoCommit:
    """A connection whose first COMMIT fails."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.inner = connect(database.path, durable=False)
        self.fails = True

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if sql == "COMMIT" and self.fails:
            self.fails = False
            raise sqlite3.OperationalError("disk I/O error")
        return self.inner.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        return self.inner.executemany(sql, parameters)

    @property
    def in_transaction(self) -> bool:
        return self.inner.in_transaction

    def close(self) -> None:
        self.inner.close()


def test_nothing_is_remembered_of_a_batch_that_was_not_kept(
    database: SqliteDatabase, new_hold: Callable[..., Hold]
) -> None:
    writer = SqliteWriter(NoCommit(database), WriteLock(database.path.with_name("other.lock")))
    committer = Committer(writer, lambda: NOVEMBER_30)
    hold = new_hold(10, budget=Budget(11, "day", 100))
    with pytest.raises(OutcomeUnknown):
        committer.apply([hold])
    assert database.fetch_now("SELECT * FROM price") == []
    assert committer.apply([hold], replay=True) == [Accepted()]
    assert database.fetch_now("SELECT id FROM price") == [(7,)]
    assert database.fetch_now("SELECT held FROM account WHERE kind = 'budget'") == [(10,)]
    committer.close()


def test_periods_begin_at_midnight_utc() -> None:
    assert period_start("never", NOVEMBER_30) == 0
    assert period_start("day", NOVEMBER_30) == 1_764_460_800_000
    assert period_start("month", NOVEMBER_30) == 1_761_955_200_000
    assert period_start("month", 1_764_547_200_000) == period_start("day", 1_764_547_200_000) == 1_764_547_200_000
