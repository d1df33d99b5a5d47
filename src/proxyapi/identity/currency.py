"""The one currency of an installation: every amount in its store is counted in it."""

from __future__ import annotations

from proxyapi.errors import SettingsError
from proxyapi.identity.queries import QUERIES
from proxyapi.store.database import Database

_NAME = "currency"


def recorded_currency(database: Database) -> str | None:
    """The currency of the amounts in the store; None before the first start."""
    rows = database.fetch_now(QUERIES["setting"], (_NAME,))
    return str(rows[0][0]) if rows else None


def agree_on_currency(database: Database, currency: str) -> None:
    """Record the configured currency. SettingsError once there is money in another one: numbers don't convert."""
    if recorded_currency(database) == currency:
        return
    with database.transaction() as transaction:
        transaction.execute(QUERIES["setting_begin"], (_NAME, currency))
        rows = transaction.execute(QUERIES["setting_lock"], (_NAME,))
        if rows[0][0] != currency and transaction.execute(QUERIES["money_exists"])[0][0]:
            raise SettingsError(
                f"currency is {currency}, but the accounts in {database.name} are kept in {rows[0][0]}: "
                f'set currency = "{rows[0][0]}" or use another data directory'
            )
        transaction.execute(QUERIES["setting_put"], (_NAME, currency))
