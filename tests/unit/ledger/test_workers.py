"""A database is brought up to this version when nobody writes to it by the rules of an older one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxyapi.errors import Conflict
from proxyapi.ledger.workers import upgrade
from proxyapi.store.database import Database, open_database, sqlite_url
from proxyapi.store.migrate import newest_schema, scripts


@pytest.fixture(params=["sqlite", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """As the version before this one left it."""
    url = sqlite_url(tmp_path / "old.db") if request.param == "sqlite" else request.getfixturevalue("postgres").create()
    database = open_database(url, durable=False)
    database.prepare()
    for number, script in enumerate([*scripts().values()][:-1], 1):
        database.apply_schema(number, script)
    yield database
    database.close()


def _seen(database: Database, seconds_ago: int) -> None:
    with database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO worker (name, started_at, seen_at) VALUES ('node:7:0', 1, @now_ms - ?)", (seconds_ago * 1000,)
        )


def test_an_older_version_that_still_works_is_named_and_nothing_is_changed(old: Database) -> None:
    _seen(old, 1)
    with pytest.raises(
        Conflict, match=r"workers of that version are alive: node:7:0 \(seen 1 s ago\). Stop the gateway"
    ):
        upgrade(old)
    assert old.schema_version() == newest_schema() - 1


def test_a_worker_that_died_a_minute_ago_is_in_nobodys_way(old: Database) -> None:
    _seen(old, 61)
    assert upgrade(old) == [[*scripts()][-1]]
    assert old.schema_version() == newest_schema()


def test_workers_of_this_version_are_in_nobodys_way(old: Database) -> None:
    upgrade(old)
    _seen(old, 1)
    assert upgrade(old) == []
