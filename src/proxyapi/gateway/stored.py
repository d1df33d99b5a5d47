"""Responses that a provider keeps: all customers share the operator's account there, so each belongs to its maker.

Anyone else gets 404, as if it did not exist. A request that points at an object of the provider (an earlier response,
an item, a file) passes only if the object is the account's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from proxyapi.errors import NotFound, StoreUnavailable
from proxyapi.gateway.headers import to_client
from proxyapi.gateway.upstream import failure, refused_credential
from proxyapi.identity.addresses import strip_key
from proxyapi.identity.objects import FORGET, REMEMBER, Objects
from proxyapi.wire.errors import WireError

if TYPE_CHECKING:
    from proxyapi.dialects.call import Call
    from proxyapi.gateway.bill import Bill
    from proxyapi.gateway.upstream import Upstream
    from proxyapi.gateway.visit import Visit
    from proxyapi.ledger.ledger import Ledger
    from proxyapi.providers.catalog import Catalog

KIND = "response"


class Stored:
    def __init__(
        self,
        *,
        objects: Objects,
        ledger: Ledger,
        upstream: Upstream,
        catalog: Catalog,
        clock_ms: Callable[[], int],
        reply_bytes_max: int,
    ) -> None:
        self._objects = objects
        self._ledger = ledger
        self._upstream = upstream
        self._catalog = catalog
        self._clock_ms = clock_ms
        self._reply_bytes_max = reply_bytes_max
        self._tasks: set[asyncio.Task[None]] = set()

    # --- objects that a request points at --------------------------------------------------------------------------

    async def check(self, visit: Visit, call: Call) -> None:
        """NotFound for an object that the account did not make."""
        if call.previous_response_id:
            await self._own(visit, call.previous_response_id, "previous_response_id", "Response")
        if call.conversation:
            await self._own(visit, call.conversation, "conversation", "Conversation")
        for reference in call.item_references:
            await self._own(visit, reference, "input", "Object")

    async def _own(self, visit: Visit, object_id: str, field: str, what: str) -> str:
        """The provider that keeps the object."""
        provider = visit.route.provider if visit.route is not None else None
        owner = await self._objects.owner(object_id, provider)
        if owner is None or visit.caller is None or owner.account_id != visit.caller.account_id:
            raise NotFound(f"{what} with id '{object_id[:100]}' not found.", param=field)
        return owner.provider

    # --- objects that a reply makes ----------------------------------------------------------------------------------

    async def remember(self, visit: Visit, bill: Bill, object_id: str) -> None:
        """The response belongs to the caller's account: durable before the client learns its id."""
        if not bill.call.store or visit.caller is None:
            return
        provider = bill.target.provider.name
        parameters = (provider, object_id, visit.caller.account_id, visit.caller.key_id, KIND, self._clock_ms())
        # If the store fails here the client still gets its answer; only the stored copy stays out of reach.
        with suppress(StoreUnavailable):
            await self._ledger.write(REMEMBER, parameters)

    def remember_soon(self, visit: Visit, bill: Bill, object_id: str) -> None:
        """The same for a stream that has begun."""
        task = asyncio.get_running_loop().create_task(self.remember(visit, bill, object_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        if self._tasks:
            await asyncio.gather(*self._tasks)

    # --- the routes of stored responses ------------------------------------------------------------------------------

    async def handle(self, visit: Visit) -> None:
        """`GET`, `DELETE`, `/cancel`, `/input_items`: free, for the owner only, passed on as they are."""
        route, exchange = visit.route, visit.exchange
        assert route is not None, "the entrance found it"
        name = await self._own(visit, route.object_id, "response_id", "Response")
        provider = self._catalog.provider(name)
        visit.provider = name
        path = provider.path("openai_responses", "responses", model="", version="", action="") + f"/{route.object_id}"
        if route.action:
            path += f"/{route.action}"
        if query := strip_key(exchange.query):
            path += f"?{query}"
        method = "GET" if exchange.method == "HEAD" else exchange.method
        response = await self._upstream.open(visit, provider, path, b"", method=method)
        try:
            refused = refused_credential(response.status, provider)
            if refused is not None:
                raise refused
            body = await response.read(self._reply_bytes_max)
        except WireError as error:
            raise failure(error, provider.title) from error
        finally:
            response.close()
        if exchange.method == "DELETE" and response.status < 300:
            await self._ledger.write(FORGET, (name, route.object_id))
        visit.respond(response.status, to_client(response.headers), body)
