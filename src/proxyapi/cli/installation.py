"""The installation that a command works on: its settings and its store."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from proxyapi import settings as configuration
from proxyapi.admin import acts
from proxyapi.errors import SettingsError
from proxyapi.identity.accounts import Accounts, KeyRing
from proxyapi.identity.currency import agree_on_currency, recorded_currency
from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import now_ms
from proxyapi.ledger.moved import check_here
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.ledger.workers import upgrade
from proxyapi.settings import Settings
from proxyapi.store.database import Database, open_database

HERE = acts.Operator(name="command line")
"""Who acts."""


class Installation:
    """What commands need, made once."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.ledger = OfflineLedger(database, ids=IdSource())
        self.accounts = Accounts(database, time.time)
        self.keys = KeyRing(database, self.ledger, time.time, os.urandom)

    @property
    def currency(self) -> str:
        """Of the amounts in the store."""
        return recorded_currency(self.database) or self.settings.currency

    def doing(self, action: str, subject: str = "") -> AbstractContextManager[acts.Doing]:
        """One transaction: what is done inside and its record, as the console and the admin API write it."""
        return acts.doing(self.database, HERE, now_ms(), action, subject)

    def close(self) -> None:
        self.ledger.close()
        self.database.close()


def load_settings(data: Path | None, config: Path | None, **flags: str | int | None) -> Settings:
    """Settings of file, environment and flags."""
    return configuration.load(config, os.environ, flags={"data": None if data is None else str(data), **flags})


def existing_database(settings: Settings) -> Database:
    """Opened. SettingsError if there is nothing in it: a mistyped directory must not become a new installation."""
    database = open_database(settings.database)
    if not database.schema_version():
        database.close()
        raise SettingsError(
            f"There is no installation in {database.name}. Name its directory with --data, or begin a new one with "
            "`proxyapi serve` or `proxyapi account create`."
        )
    return database


@contextmanager
def installation(
    data: Path | None, config: Path | None, *, create: bool = False, only_read: bool = False
) -> Iterator[Installation]:
    """Open it, with its schema up to date. `create`: begin a new one if there is none.

    SettingsError if its books were moved away, unless they are `only_read`."""
    settings = load_settings(data, config)
    database = open_database(settings.database) if create else existing_database(settings)
    opened = Installation(settings, database)
    try:
        if create:
            database.prepare()
        upgrade(database)
        if not only_read:
            check_here(database)
        if create and recorded_currency(database) is None:
            agree_on_currency(database, settings.currency)
        yield opened
    finally:
        opened.close()
