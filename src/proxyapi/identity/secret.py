"""The one secret of an installation: all its workers and nodes seal and open with it what clients carry for them."""

from __future__ import annotations

from collections.abc import Callable

from proxyapi.identity.queries import QUERIES
from proxyapi.store.database import Database

_NAME = "secret"
_BYTES = 32


def agree_on_secret(database: Database, random_bytes: Callable[[int], bytes]) -> bytes:
    """The secret of the store; made by whoever comes first. `random_bytes` is `os.urandom`."""
    rows = database.fetch_now(QUERIES["setting"], (_NAME,))
    if not rows:
        with database.transaction() as transaction:
            transaction.execute(QUERIES["setting_begin"], (_NAME, random_bytes(_BYTES).hex()))
            rows = transaction.execute(QUERIES["setting"], (_NAME,))
    return bytes.fromhex(str(rows[0][0]))
