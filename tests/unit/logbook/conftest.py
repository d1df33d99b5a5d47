"""A database with an account that keeps its requests, and a logbook on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest

from proxyapi.identity.accounts import Accounts
from proxyapi.ids import IdSource
from proxyapi.logbook.book import Logbook
from proxyapi.logbook.reading import Entry, Page, Search, read, search
from proxyapi.logbook.record import Facts, Record
from proxyapi.store.database import Database, open_database
from proxyapi.store.migrate import migrate

NOW_MS = 1_800_000_000_000


class Shelf:
    """A logbook with a clock that stands still."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now_ms = NOW_MS
        self.accounts = Accounts(database, lambda: self.now_ms / 1000)
        self.account = self.keeper("acme")
        self.ids = IdSource(lambda: self.now_ms * 1_000_000)

    def keeper(self, name: str, days: int = 30) -> int:
        made = self.accounts.create(name).id
        self.accounts.set_log_days(made, days)
        return made

    def facts(self, **own: Any) -> Facts:
        usual = {"account_id": self.account, "key_id": 7, "method": "POST", "path": "/v1/chat/completions"}
        usual |= {"operation": "chat", "dialect": "openai_chat", "model": "openai/gpt-4o", "status": 200}
        return Facts(**{"id": self.ids(), **usual, **own})

    def run(self, story: Callable[[Logbook], Awaitable[None]], **limits: int) -> Logbook:
        """A worker's logbook from its start to its stop."""

        async def told() -> Logbook:
            bounds = {"body_bytes_max": 2**20, "account_bytes_max": 2**30} | limits
            book = Logbook(self.database, clock_ms=lambda: self.now_ms, sleep=asyncio.sleep, **bounds)
            await story(book)
            await book.close()
            return book

        return asyncio.run(told())

    def keep(self, request: bytes = b"{}", response: bytes = b"{}", book: Logbook | None = None, **own: Any) -> bytes:
        """One request; its id."""
        facts = self.facts(**own)

        async def story(book: Logbook) -> None:
            book.keep(facts, self.record(book, request, response))

        if book is None:
            self.run(story)
        else:
            book.keep(facts, self.record(book, request, response))
        return facts.id

    @staticmethod
    def record(book: Logbook, request: bytes = b"{}", response: bytes = b"{}") -> Record:
        record = book.open([(b"content-type", b"application/json"), (b"authorization", b"Bearer sk-secret")])
        record.received(request)
        record.answers(b"content-type: application/json\r\nx-proxyapi-cost: 0.1\r\nset-cookie: a=b\r\n")
        record.sent(response)
        return record

    def rename(self, table: str, name: str) -> None:
        """A store without that table refuses what is written to it."""
        with self.database.transaction() as transaction:
            transaction.execute(f"ALTER TABLE {table} RENAME TO {name}")

    @staticmethod
    async def until(check: Callable[[], bool]) -> None:
        for _ in range(2_000):
            if check():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("not within 10 s")

    def prune(self, **limits: int) -> None:
        self.run(lambda book: book.prune(), **limits)

    def entry(self, id: bytes, account: int | None = None) -> Entry | None:
        return self._result(read(self.database.fetch, account or self.account, id))

    def search(self, account: int | None = None, limit: int = 50, **wanted: Any) -> Page:
        return self._result(search(self.database.fetch, account or self.account, Search(**wanted), limit=limit))

    @staticmethod
    def _result(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(work)


@pytest.fixture
def shelf(database_url: str) -> Iterator[Shelf]:
    database = open_database(database_url, durable=False)
    migrate(database)
    yield Shelf(database)
    database.close()
