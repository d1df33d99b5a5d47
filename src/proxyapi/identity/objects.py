"""What a provider keeps for a customer (a stored response) belongs to the account that made it; for all others it does
not exist. Customers share the operator's key at the provider, so only this table keeps them apart."""

from __future__ import annotations

from typing import NamedTuple

from proxyapi.errors import NotFound
from proxyapi.identity.keys import Caller
from proxyapi.identity.queries import QUERIES
from proxyapi.identity.revisions import Fetch

REMEMBER = QUERIES["object_remember"]
"""For `ledger.write`, with `remember(...)` as its parameters. An id that is known stays with its first owner."""
FORGET = QUERIES["object_forget"]
"""For `ledger.write`: (provider, id)."""


class Owner(NamedTuple):
    """Whose it is, and at which provider."""

    provider: str
    account_id: int
    key_id: int
    kind: str


def remember(
    object_id: str, provider: str, caller: Caller, *, kind: str = "response", now: int
) -> tuple[str | int, ...]:
    """Parameters of `REMEMBER`. `now` in milliseconds since 1970."""
    return (provider, object_id, caller.account_id, caller.key_id, kind, now)


class Objects:
    """Whose object is it?"""

    def __init__(self, fetch: Fetch) -> None:
        """`fetch` is `Database.fetch`."""
        self._fetch = fetch

    async def owner(self, object_id: str, provider: str | None = None) -> Owner | None:
        """None: nobody's. `provider` None (unified route): at any; should two have the id, the older one's."""
        if provider is None:
            rows = await self._fetch(QUERIES["object_owner_anywhere"], (object_id,))
        else:
            rows = await self._fetch(QUERIES["object_owner"], (object_id, provider))
        return Owner(*rows[0]) if rows else None

    async def check(self, object_id: str, caller: Caller, provider: str | None = None) -> Owner:
        """NotFound unless the object is the account's own: the same text for another's and for none."""
        owner = await self.owner(object_id, provider)
        if owner is None or owner.account_id != caller.account_id:
            raise NotFound(f"There is no object with the id {object_id[:200]}.")
        return owner
