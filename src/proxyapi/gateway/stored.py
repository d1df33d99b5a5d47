"""Stored responses: at a provider that keeps them, or with the gateway itself for one that does not.

All customers share the operator's account at a provider, so each object there belongs to its maker. Anyone else gets
404, as if it did not exist. A request that points at an object of the provider (an earlier response, an item, a file)
passes only if the object is the account's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from proxyapi.dialects import DIALECTS
from proxyapi.errors import InvalidRequest, NotFound, StoreUnavailable, UnknownResponse
from proxyapi.gateway.headers import to_client
from proxyapi.gateway.upstream import failure, refused_credential
from proxyapi.identity.keys import strip_key
from proxyapi.identity.objects import FORGET, REMEMBER, Objects, remember
from proxyapi.providers.provider import SANDBOX
from proxyapi.wire.errors import WireError

if TYPE_CHECKING:
    from proxyapi.dialects.call import Call
    from proxyapi.gateway.bill import Bill
    from proxyapi.gateway.conversations import Conversations, Turn
    from proxyapi.gateway.upstream import Upstream
    from proxyapi.gateway.visit import Visit
    from proxyapi.ledger.ledger import Ledger
    from proxyapi.providers.catalog import Catalog, Target
    from proxyapi.providers.provider import Provider


class Stored:
    def __init__(
        self,
        *,
        objects: Objects,
        ledger: Ledger,
        upstream: Upstream,
        catalog: Catalog,
        conversations: Conversations,
        clock_ms: Callable[[], int],
        reply_bytes_max: int,
    ) -> None:
        self._objects = objects
        self._ledger = ledger
        self._upstream = upstream
        self._catalog = catalog
        self._conversations = conversations
        self._clock_ms = clock_ms
        self._reply_bytes_max = reply_bytes_max
        self._tasks: set[asyncio.Task[None]] = set()

    # --- objects that a request points at --------------------------------------------------------------------------

    async def earlier(self, visit: Visit, body: bytes, call: Call, target: Target) -> tuple[bytes, Call]:
        """The request as its target can take it: with earlier items written out, if the gateway keeps them.

        UnknownResponse, NotFound: it points at an object that the account did not make.
        """
        if call.dialect in ("openai_responses", "openai_count") and not _keeps(call, target):
            return await self._written_out(visit, body, call, target)
        if target.dialect == call.dialect and (call.previous_response_id or call.conversation or call.item_references):
            try:
                await self._check(visit, call, target.provider.name)
            except UnknownResponse:
                if visit.route is None or visit.route.provider is not None:
                    raise
                return await self._written_out(visit, body, call, target)
        return body, call

    async def _written_out(self, visit: Visit, body: bytes, call: Call, target: Target) -> tuple[bytes, Call]:
        if call.conversation:
            raise InvalidRequest(f"{target.provider.title} keeps no conversations.", param="conversation")
        assert visit.caller is not None, "the entrance found it"
        turn = await self._conversations.begin(visit.caller.account_id, body, call)
        if turn is None:
            raise UnknownResponse(call.previous_response_id)
        if turn.body is not body:
            call = DIALECTS[call.dialect].read(turn.body)
        if target.dialect == call.dialect:
            await self._check(visit, call, target.provider.name)
        if call.operation == "responses" and not _keeps(call, target):
            visit.turn = turn
        return turn.body, call

    async def turn(self, visit: Visit, body: bytes, call: Call) -> Turn | None:
        """What the gateway keeps of a response that may come from somebody else than its model's usual provider: who
        refers to it later will not know from whom."""
        assert visit.caller is not None, "the entrance found it"
        return await self._conversations.begin(visit.caller.account_id, body, call)

    async def keep(self, visit: Visit) -> None:
        """After a whole answer of a provider that keeps none; durable before the client can refer to it."""
        if visit.turn is not None and visit.caller is not None:
            await self._conversations.keep(visit.caller.account_id, visit.turn)

    async def _check(self, visit: Visit, call: Call, provider: str) -> None:
        """Every object at the provider is one that the account made."""
        if call.previous_response_id and not await self._own(visit, provider, call.previous_response_id):
            raise UnknownResponse(call.previous_response_id)
        others = [("conversation", "Conversation", call.conversation)] if call.conversation else []
        others += [("input", "Object", reference) for reference in call.item_references]
        for field, what, object_id in others:
            if not await self._own(visit, provider, object_id):
                raise NotFound(f"{what} with id '{object_id[:100]}' not found.", param=field)

    async def _own(self, visit: Visit, provider: str, object_id: str) -> bool:
        owner = await self._objects.owner(object_id, provider)
        return owner is not None and visit.caller is not None and owner.account_id == visit.caller.account_id

    async def _keeper(self, visit: Visit, object_id: str) -> Provider:
        """The provider that keeps the caller's response."""
        route = visit.route
        assert route is not None, "the entrance found it"
        owner = await self._objects.owner(object_id)
        provider = self._catalog.provider(owner.provider) if owner is not None else None
        own = owner is not None and visit.caller is not None and owner.account_id == visit.caller.account_id
        if provider is None or not own or not _serves(route.provider, provider.name):
            raise NotFound(f"Response with id '{object_id[:100]}' not found.", param="response_id")
        return provider

    # --- objects that a reply makes ----------------------------------------------------------------------------------

    async def remember(self, visit: Visit, bill: Bill, object_id: str) -> None:
        """The response belongs to the caller's account: durable before the client learns its id."""
        if not bill.call.store or visit.caller is None:
            return
        parameters = remember(object_id, bill.target.provider.name, visit.caller, now=self._clock_ms())
        # If the store fails here the client still gets its answer; only the stored copy stays out of reach.
        with suppress(StoreUnavailable):
            await self._ledger.write(REMEMBER, parameters)

    def remember_soon(self, visit: Visit, bill: Bill, object_id: str) -> asyncio.Task[None]:
        """The same for a stream that has begun; to be awaited before it ends."""
        task = asyncio.get_running_loop().create_task(self.remember(visit, bill, object_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        if self._tasks:
            await asyncio.gather(*self._tasks)

    # --- the routes of stored responses ------------------------------------------------------------------------------

    async def handle(self, visit: Visit) -> None:
        """`GET`, `DELETE`, `/cancel`, `/input_items`: free, for the owner only, passed on as they are."""
        route, exchange = visit.route, visit.exchange
        assert route is not None and visit.caller is not None, "the entrance found them"
        if route.provider is None and await self._conversations.answer(visit, route, visit.caller.account_id):
            return
        provider = await self._keeper(visit, route.object_id)
        visit.provider = provider.name
        path = provider.path("openai_responses", "responses", model="", version="", action="")
        path += f"/{quote(route.object_id, safe='')}"
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
        if exchange.method == "DELETE" and response.status < 300 and visit.caller is not None:
            await self._ledger.write(FORGET, (provider.name, route.object_id))
        visit.ending = "stored"
        visit.respond(response.status, to_client(response.headers), body)


def _keeps(call: Call, target: Target) -> bool:
    """Whether the provider itself keeps what it answers, so that a later request can point at it."""
    return target.provider.keeps_responses and target.dialect == call.dialect


def _serves(fixed: str | None, keeper: str) -> bool:
    """Whether a route reaches the provider: the unified API every one, a native route its own and its stand-in."""
    return fixed is None or fixed == keeper or keeper == SANDBOX
