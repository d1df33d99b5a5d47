"""What the gateway itself remembers of an account's conversations, for a while: texts by id. What is in them is not
known here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from proxyapi.identity.queries import QUERIES
from proxyapi.identity.revisions import Fetch
from proxyapi.store.queries import in_lists

PUT = QUERIES["kept_put"]
"""For `ledger.write`: (account_id, id, previous, body, now). `previous` empty: it goes on from nothing."""
TOUCH = QUERIES["kept_touch"]
"""For `ledger.write`: (now, account_id, id): it was needed, and stays for as long again."""
PRUNE = QUERIES["kept_prune"]
"""For `ledger.write`: (before,)."""
TRIM = QUERIES["kept_excess"]
"""For `ledger.write`: (how many of each account stay,): the ones that were needed last."""

CHAIN_MAX = 1_000
"""How far back a conversation is followed."""


class Memory(NamedTuple):
    id: str
    body: str
    seen_at: int
    """Milliseconds since 1970."""


class Kept:
    """Reads it. Times in milliseconds since 1970; what was last seen before `since` is forgotten already."""

    def __init__(self, fetch: Fetch) -> None:
        """`fetch` is `Database.fetch`."""
        self._fetch = fetch

    async def find(self, account_id: int, ids: Sequence[str], *, since: int) -> dict[str, Memory]:
        """Those of the ids that the account has."""
        found: dict[str, Memory] = {}
        for sql, parameters in in_lists(QUERIES["kept_find"], ids):
            rows = await self._fetch(sql, (account_id, since, *parameters))
            found |= {row[0]: Memory(*row) for row in rows}
        return found

    async def chain(self, account_id: int, id: str, *, since: int) -> list[Memory] | None:
        """One, and all that it goes on from, the oldest first. None: it is not there, or the chain is broken."""
        rows = await self._fetch(QUERIES["kept_chain"], (account_id, id, since, account_id, CHAIN_MAX))
        if not rows or rows[0][1]:
            return None
        return [Memory(id, body, seen_at) for id, _, body, seen_at in rows]
