"""Who works on the books, and how to be alone with them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from proxyapi.errors import Conflict
from proxyapi.ledger.moved import mark_moved
from proxyapi.ledger.reaper import GRACE_SECONDS
from proxyapi.store.database import Database, Transaction
from proxyapi.store.migrate import migrate, newest_schema
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.ledger", "workers.sql")
STILL_HERE_SECONDS: Final = 5.0
"""Between two signs of life: a store ends a transaction in which nothing happens for long."""


class LiveWorker(NamedTuple):
    """A worker that was seen within the grace: it may write."""

    id: int
    name: str
    unseen_ms: int


def live_workers(transaction: Transaction) -> list[LiveWorker]:
    """By the database's clock. One that was stopped properly, or whose end somebody saw, is not among them."""
    return _seen(transaction, "read_live_workers")


def _seen(transaction: Transaction, query: str) -> list[LiveWorker]:
    return [LiveWorker(*row) for row in transaction.execute(SQL[query], (int(GRACE_SECONDS * 1000),))]


def upgrade(database: Database) -> list[str]:
    """`migrate`, unless a worker of an older version goes on writing by the schema that it knows, and the books would
    not agree any more. `Conflict` names such workers."""
    if 0 < database.schema_version() < newest_schema():
        with database.transaction() as transaction:
            workers = _seen(transaction, "read_workers_of_any_version")
        # Another process may have done it meanwhile, and its workers be the ones that are alive.
        if workers and database.schema_version() < newest_schema():
            raise Conflict(
                f"The database is of an older version, and workers of that version are alive: {_named(workers)}. Stop "
                f"the gateway there before you use this version. One that was killed counts as alive for "
                f"{GRACE_SECONDS:.0f} seconds."
            )
    return migrate(database)


def _named(workers: list[LiveWorker]) -> str:
    return ", ".join(f"{worker.name} (seen {worker.unseen_ms // 1000} s ago)" for worker in workers)


class Alone:
    """The books, while nobody else works on them."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._last = time.monotonic()

    def still_here(self) -> None:
        """To be called every now and then."""
        if time.monotonic() - self._last > STILL_HERE_SECONDS:
            self._transaction.execute(SQL["still_here"])
            self._last = time.monotonic()

    def leave_for(self, where: str) -> None:
        """The books are in the database `where` from the end of the block on: nobody can begin to work on these.

        `Conflict` if somebody has begun to meanwhile."""
        mark_moved(self._transaction, where)
        _refuse_the_living(self._transaction)


@contextmanager
def alone(database: Database) -> Iterator[Alone]:
    """No money moves until the end of the block. `Conflict` names the workers that are alive."""
    with database.transaction() as transaction:
        transaction.execute(SQL["lock_accounts"])
        _refuse_the_living(transaction)
        yield Alone(transaction)


def _refuse_the_living(transaction: Transaction) -> None:
    workers = live_workers(transaction)
    if workers:
        raise Conflict(
            f"Stop the gateway first: these workers are alive: {_named(workers)}. One that was killed with its whole "
            f"gateway, or whose machine was lost, counts as alive for {GRACE_SECONDS:.0f} seconds."
        )
