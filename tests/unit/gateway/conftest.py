"""A store as the gateway's parts see it: reads and single writes, without the ledger around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from proxyapi.errors import StoreUnavailable
from proxyapi.store.database import Database, open_database
from proxyapi.store.migrate import migrate


class Store:
    """`fetch` and `write` count what they are asked; `sick` makes writing fail."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.reads = 0
        self.writes = 0
        self.sick = False
        self.now_ms = 1_800_000_000_000

    def clock_ms(self) -> int:
        return self.now_ms

    async def fetch(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        self.reads += 1
        return self.database.fetch_now(sql, parameters)

    async def write(self, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        self.writes += 1
        if self.sick:
            raise StoreUnavailable
        with self.database.transaction() as transaction:
            return transaction.execute(sql, parameters)

    def count(self, table: str) -> int:
        return int(self.database.fetch_now(f"SELECT count(*) FROM {table}")[0][0])


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    database = open_database(database_url, durable=False)
    migrate(database)
    yield Store(database)
    database.close()
