"""Strikes are counted beside the requests, and hold nobody up."""

from __future__ import annotations

import asyncio

import pytest

from proxyapi.gateway.pauses import Pauses
from proxyapi.identity.keys import Caller
from proxyapi.identity.pause import PausePolicy
from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import Ledger
from proxyapi.store.database import open_database
from proxyapi.store.migrate import migrate
from proxyapi.telemetry import Log, Metrics


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_strike_that_the_store_refuses_does_not_keep_a_worker_from_closing_its_ledger(database_url: str) -> None:
    async def main() -> None:
        database = open_database(database_url, durable=False)
        migrate(database)
        with database.transaction() as transaction:
            transaction.execute("DROP TABLE strike")
        ledger = Ledger(database, worker="one", ids=IdSource())
        await ledger.open()
        log = Log(lambda: 0.0, Metrics())
        pauses = Pauses(ledger, PausePolicy(), clock_ms=lambda: 1_000, log=log)
        pauses.strike(Caller(account_id=1, key_id=1), "invalid_request_error")
        await pauses.close()
        assert await ledger.close() == 0
        database.close()

    asyncio.run(main())
