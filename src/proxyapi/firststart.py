"""The first start: a database, an account with test money, and one key, shown once."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from proxyapi.errors import Conflict
from proxyapi.identity.accounts import Accounts, KeyRing, KeySettings
from proxyapi.identity.currency import agree_on_currency
from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import now_ms
from proxyapi.ledger.moved import check_here
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.ledger.workers import upgrade
from proxyapi.money import NANOS_PER_UNIT
from proxyapi.sale import build_catalog
from proxyapi.store.database import Database, open_database

if TYPE_CHECKING:
    from proxyapi.settings import Settings

ACCOUNT_NAME = "first"
KEY_NAME = "first key"
TEST_MONEY = 1_000 * NANOS_PER_UNIT
"""Enough for some hundred requests to the dearest model of the sandbox."""


def prepare(settings: Settings) -> str | None:
    """Bring the database up to date. The first key, if the database had no account; else None.

    SettingsError if the books were moved away, or the currency does not fit the money that is there; StoreError if the
    store can't be written; Conflict if workers of an older version are alive.
    """
    database = open_database(settings.database)
    try:
        database.prepare()
        upgrade(database)
        check_here(database)
        database.upkeep(now_ms())
        agree_on_currency(database, settings.currency)
        if settings.fallbacks:
            build_catalog(settings, database, 0).check_fallbacks()
        return _first_key(database)
    finally:
        database.close()


def _first_key(database: Database) -> str | None:
    accounts = Accounts(database, time.time)
    if accounts.list():
        return None
    ledger = OfflineLedger(database, ids=IdSource())
    try:
        account = accounts.create(ACCOUNT_NAME)
        ledger.deposit(account.id, TEST_MONEY, reference="first start", note="test money")
        ring = KeyRing(database, ledger, time.time, os.urandom)
        return ring.create(account.id, KeySettings(name=KEY_NAME, may_query_balance=True))[1]
    except Conflict:  # another node started at the same moment, and shows the key
        return None
    finally:
        ledger.close()
