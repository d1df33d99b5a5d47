from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from proxyapi.ids import IdSource
from proxyapi.ledger.ops import Budget, Ending, Hold
from proxyapi.store.database import Database, open_database
from proxyapi.store.migrate import migrate
from proxyapi.usage import Unit


class FlatPrice:
    """One nano per token."""

    def __init__(self, id: int = 7) -> None:
        self.id = id

    def to_json(self) -> bytes:
        return b'{"per_token":1}'


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Migrated, with wallet 1 (1,000 nanos), wallet 2 (empty) and wallet 3 (1,000 nanos, blocked)."""
    database = open_database(database_url, durable=False)
    migrate(database)
    with database.transaction() as transaction:
        for id, funded, blocked in ((1, 1000, 0), (2, 0, 0), (3, 1000, 1)):
            transaction.execute(
                "INSERT INTO account (id, kind, name, funded, blocked, created_at) VALUES (?, 'wallet', ?, ?, ?, 0)",
                (id, f"wallet {id}", funded, blocked),
            )
            if funded:
                transaction.execute(
                    "INSERT INTO entry (id, kind, account_id, amount, held, actual, charged, loss, created_at) "
                    "VALUES (?, 'deposit', ?, ?, 0, 0, 0, 0, 0)",
                    (id.to_bytes(16, "big"), id, funded),
                )
    yield database
    database.close()


@pytest.fixture
def ids() -> IdSource:
    return IdSource()


@pytest.fixture
def new_hold(ids: IdSource) -> Callable[..., Hold]:
    def make(amount: int, *, account_id: int = 1, budget: Budget | None = None, id: bytes | None = None) -> Hold:
        return Hold(id or ids(), account_id, 11, amount, FlatPrice(), "openai", "openai/gpt", "chat", budget)

    return make


@pytest.fixture
def ending_of() -> Callable[..., Ending]:
    def make(hold: Hold, tokens: int, *, released: bool = False, limit: int | None = None) -> Ending:
        return Ending(
            hold.id, hold.account_id, hold.price, hold.provider, hold.model, hold.operation, {Unit.OUTPUT: tokens},
            tokens, released=released, limit=limit,
        )  # fmt: skip

    return make
