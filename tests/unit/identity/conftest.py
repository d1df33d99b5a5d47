"""A migrated database in a file, a clock that tests turn, and a key ring on both."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from msgspec import Struct

from proxyapi.identity.accounts import Accounts, KeyRing
from proxyapi.ids import IdSource
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.store.database import Database, open_database
from proxyapi.store.migrate import migrate


class Clock(Struct):
    """Seconds since 1970, moved by hand."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Desk(Struct):
    """What an operator has at hand."""

    database: Database
    ledger: OfflineLedger
    clock: Clock
    accounts: Accounts
    keys: KeyRing


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(database_url: str, clock: Clock) -> Iterator[Desk]:
    database = open_database(database_url, durable=False)
    migrate(database)
    counter = itertools.count(1)

    def random_bytes(count: int) -> bytes:
        seed = next(counter)
        return bytes((seed * 31 + at * 7) % 256 for at in range(count))

    ledger = OfflineLedger(database, ids=IdSource(), clock_ms=lambda: int(clock() * 1000))
    yield Desk(database, ledger, clock, Accounts(database, clock), KeyRing(database, ledger, clock, random_bytes))
    ledger.close()
    database.close()
