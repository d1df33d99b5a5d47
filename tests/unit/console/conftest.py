"""A store of its own for each test, and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proxyapi.console.sessions import Sessions
from proxyapi.console.users import Users
from proxyapi.store.database import Database, open_database
from proxyapi.store.migrate import migrate


class Clock:
    """Seconds since 1970; moved by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    opened.prepare()
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def users(database: Database, clock: Clock) -> Users:
    return Users(database, clock)


@pytest.fixture
def sessions(database: Database, clock: Clock) -> Sessions:
    return Sessions(database, clock)
