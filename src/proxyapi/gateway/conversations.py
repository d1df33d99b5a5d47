"""Responses of providers that keep none: `previous_response_id`, `item_reference` and `store` work with every model.

The gateway keeps what the request itself said and what came back, per account, and writes earlier items before a later
request's own. Each response keeps only its own part and the id of the one before, so that a conversation of n turns
takes n times the space of one.

    turn = await conversations.begin(account_id, body, call)   # None: it points at what the gateway does not have
    ... turn.body is what is read, priced and sent
    turn.feed(data)                                            # the reply as the client gets it, body or stream
    await conversations.keep(account_id, turn)                 # before the client gets the end of its reply
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects import patching
from proxyapi.dialects.call import Call
from proxyapi.dialects.fields import place
from proxyapi.dialects.frames import FrameDecoder
from proxyapi.dialects.model import ABSENT, given
from proxyapi.errors import InvalidRequest, StoreUnavailable, UnknownResponse
from proxyapi.gateway.entrance import JSON_HEADERS
from proxyapi.store.queries import in_rows, load_queries

if TYPE_CHECKING:
    from proxyapi.gateway.routes import Route
    from proxyapi.gateway.visit import Visit

QUERIES = load_queries("proxyapi.gateway", "conversations.sql")

RESPONSE_BYTES_MAX: Final = 8 * 2**20
"""Input and reply of one response; a larger one is not kept."""
CHAIN_MAX: Final = 1_000
CHAIN_BYTES_MAX: Final = 32 * 2**20
"""Of one conversation: the context of no model holds more turns, or more text."""
PAGE_MAX: Final = 100
"""Items of one page of a list, as at OpenAI."""
ITEMS_MAX: Final = 512
"""Of one output that can be referred to."""
TOUCH_MS: Final = 24 * 3_600_000
"""A use is written down at most once in so long a time."""
PRUNE_MAX: Final = 500
"""At a time: money waits for no more than that."""
TRIM_EVERY: Final = 50
"""So many new responses of an account before its size is looked at."""

Fetch = Callable[[str, Sequence[object]], Awaitable[Sequence[Sequence[Any]]]]
Write = Callable[[str, tuple[object, ...]], Awaitable[Sequence[Sequence[Any]]]]

_ENDINGS = (b'"response.completed"', b'"response.incomplete"')
_TYPE_BYTES: Final = 80
"""The type of an event is among its first members."""


class _Input(Struct):
    input: Raw = ABSENT


class _Head(Struct):
    type: str = ""
    id: str = ""


class Response(Struct):
    """What is read of a response."""

    id: str = ""
    status: str = ""
    output: list[Raw] = []


class _Event(Struct):
    response: Raw = ABSENT


_INPUT = msgspec.json.Decoder(_Input)
_ITEMS = msgspec.json.Decoder(list[Raw])
_HEAD = msgspec.json.Decoder(_Head)
RESPONSE = msgspec.json.Decoder(Response)
_EVENT = msgspec.json.Decoder(_Event)
_encode = msgspec.json.Encoder().encode


class Turn:
    """One request and its reply."""

    def __init__(self, body: bytes, own: Sequence[Raw | bytes], call: Call) -> None:
        self.body = body
        """The request with everything written out."""
        self.previous_id = call.previous_response_id
        self._own = own
        self._stream = call.stream
        self._kept = call.store
        self._frames = FrameDecoder()
        self._response = b""

    def feed(self, data: bytes) -> bool:
        """More of the reply. True: this is its end, and should reach the client only when it is kept."""
        if not self._kept:
            return False
        if not self._stream:
            self._response += data
            return True
        for frame in self._frames.feed(data):
            if any(word in frame.data[:_TYPE_BYTES] for word in _ENDINGS):
                with suppress(msgspec.DecodeError):
                    self._response = bytes(_EVENT.decode(frame.data).response)
        return bool(self._response)

    def result(self) -> tuple[Response, bytes, bytes] | None:
        """What is to be kept: the response read, its JSON text, the request's own items as JSON text."""
        if not self._kept or not self._response:
            return None
        try:
            response = RESPONSE.decode(self._response)
        except msgspec.DecodeError:
            return None
        own = _listed(self._own)
        fits = len(own) + len(self._response) <= RESPONSE_BYTES_MAX
        if not response.id or response.status not in ("completed", "incomplete") or not fits:
            return None
        return response, self._response, own


class Conversations:
    """One per worker; the store is shared by all of them."""

    def __init__(
        self, *, fetch: Fetch, write: Write, clock_ms: Callable[[], int], keep_ms: int, account_bytes_max: int
    ) -> None:
        """`fetch` is `Database.fetch`, `write` is `Ledger.write`. `keep_ms`: at least, after the last use; 0: nothing
        is kept."""
        self._fetch = fetch
        self._write = write
        self._clock_ms = clock_ms
        self._keep_ms = keep_ms
        self._touch_ms = min(TOUCH_MS, keep_ms // 4)
        self._life_ms = keep_ms + self._touch_ms
        """So long after the last use that was written down nothing is left."""
        self._account_bytes_max = account_bytes_max
        self._added: dict[int, int] = {}

    @property
    def on(self) -> bool:
        return self._keep_ms > 0

    # --- a request ---------------------------------------------------------------------------------------------------

    async def begin(self, account_id: int, body: bytes, call: Call) -> Turn | None:
        """The request with the items that it points at. None: it points at a response that is not kept here.

        UnknownResponse: an earlier one of its conversation is no longer there.
        """
        own = _items(_INPUT.decode(body).input)
        earlier: list[Raw] = []
        if call.previous_response_id:
            chain = await self.chain(account_id, call.previous_response_id) if self.on else []
            if not chain:
                return None
            earlier = [item for items, response in chain for item in (*items, *response.output)]
        if call.item_references:
            own = await self._resolved(account_id, own, earlier)
        if not earlier and not call.item_references:
            return Turn(body, own, call)
        edits = [_value(body, "input", _listed([*earlier, *own]))]
        if call.previous_response_id:
            edits.append(_value(body, "previous_response_id", b"null"))
        return Turn(patching.apply(body, edits), own, call)

    async def chain(self, account_id: int, id: str) -> list[tuple[list[Raw], Response]]:
        """Own items and response of every turn up to `id`, oldest first; empty: it is not kept here."""
        bounds = (CHAIN_MAX, CHAIN_BYTES_MAX)
        rows = await self._fetch(QUERIES["response_chain"], (account_id, id, account_id, *bounds, account_id))
        now = self._clock_ms()
        if not rows or rows[-1][2] <= now - self._life_ms:
            return []
        if rows[0][1] is not None:
            raise UnknownResponse(id)
        for row_id, _, used_at, _, _ in rows:
            if used_at < now - self._touch_ms:
                self._touch(account_id, row_id, now)
        return [(_ITEMS.decode(items), RESPONSE.decode(response)) for _, _, _, items, response in rows]

    async def _resolved(self, account_id: int, own: list[Raw], earlier: list[Raw]) -> list[Raw]:
        """The items without references: what is before them already is left out, others are written out."""
        heads = [_HEAD.decode(item) if b'"item_reference"' in bytes(item) else None for item in own]
        wanted = [head.id for head in heads if head is not None and head.type == "item_reference"]
        if not wanted or not self.on:
            return own
        present = {_HEAD.decode(item).id for item in earlier}
        found = await self._items_of(account_id, [id for id in wanted if id not in present])
        resolved = []
        for item, head in zip(own, heads, strict=True):
            if head is None or head.type != "item_reference":
                resolved.append(item)
            elif head.id not in present:
                resolved.append(found.get(head.id, item))
        return resolved

    async def _items_of(self, account_id: int, ids: list[str]) -> dict[str, Raw]:
        found: dict[str, Raw] = {}
        rows = await self._fetch(QUERIES["responses_of_items"], (account_id, ids)) if ids else ()
        for id, body in rows:
            if id not in found:
                found |= {_HEAD.decode(item).id: item for item in RESPONSE.decode(body).output}
        return found

    # --- its reply ---------------------------------------------------------------------------------------------------

    async def keep(self, account_id: int, turn: Turn) -> None:
        """Durable when it returns. A store that fails costs the later reference, not the reply."""
        result = turn.result() if self.on else None
        if result is None:
            return
        response, body, own = result
        now, previous = self._clock_ms(), turn.previous_id or None
        size = len(own) + len(body)
        row = (account_id, response.id, previous, size, now, own, body)
        waiting = [self._write(QUERIES["response_put"], row)]
        heads = (_HEAD.decode(item) for item in response.output[:ITEMS_MAX])
        items = {head.id: (account_id, head.id, response.id) for head in heads if head.id}
        for sql, parameters in in_rows(QUERIES["item_put"], list(items.values())):
            waiting.append(self._write(sql, tuple(parameters)))
        self._added[account_id] = self._added.get(account_id, 0) + 1
        for written in waiting:
            with suppress(StoreUnavailable):
                await written
        if self._added[account_id] >= TRIM_EVERY:
            del self._added[account_id]
            with suppress(StoreUnavailable):
                await self._forget("response_trim", (account_id, account_id, self._account_bytes_max))

    # --- what is kept ------------------------------------------------------------------------------------------------

    async def answer(self, visit: Visit, route: Route, account_id: int) -> bool:
        """`GET`, `DELETE`, `/cancel`, `/input_items` of a response that is kept here. False: it is not."""
        id = route.object_id
        rows = await self._fetch(QUERIES["response_body"], (account_id, id)) if self.on else []
        if not rows:
            return False
        visit.ending = "stored"
        if visit.exchange.method == "DELETE":
            await self._write(QUERIES["response_delete"], (account_id, id))
            await self._write(QUERIES["items_delete"], (account_id, id))
            answer = _encode({"id": id, "object": "response", "deleted": True})
        elif route.action == "cancel":
            raise InvalidRequest("Only a background response can be cancelled.", param="response_id")
        elif route.action == "input_items":
            answer = _encode(_page(await self._seen(account_id, id), parse_qs(visit.exchange.query)))
        else:
            answer = bytes(rows[0][0])
        visit.respond(200, JSON_HEADERS, answer)
        return True

    async def _seen(self, account_id: int, id: str) -> list[dict[str, Any]]:
        """Everything that the model got to see for a response, oldest first, each item with an id."""
        chain = await self.chain(account_id, id)
        items = [item for own, response in chain for item in (*own, *response.output)]
        return list(_shown(items[: len(items) - len(chain[-1][1].output)])) if chain else []

    async def prune(self) -> None:
        """Periodic work: forget what was not used for long, a bounded number at a time."""
        await self._forget("response_prune", (self._clock_ms() - self._life_ms, PRUNE_MAX))

    async def _forget(self, query: str, parameters: tuple[object, ...]) -> None:
        gone = await self._write(QUERIES[query], parameters)
        for account_id, id in gone:
            await self._write(QUERIES["items_delete"], (account_id, id))

    def _touch(self, account_id: int, id: str, now: int) -> None:
        """Nobody waits for it; if it fails the response is forgotten a day early."""
        written = asyncio.ensure_future(self._write(QUERIES["response_touch"], (now, account_id, id)))
        written.add_done_callback(lambda done: done.cancelled() or done.exception())


def _page(items: list[dict[str, Any]], query: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A page of a list as OpenAI cuts it: `order`, `after`, `limit`. InvalidRequest."""
    order, after = query.get("order", ["desc"])[0], query.get("after", [""])[0]
    try:
        limit = int(query.get("limit", ["20"])[0])
    except ValueError:
        limit = 0
    if not 1 <= limit <= PAGE_MAX:
        raise InvalidRequest(f"limit has to be a number from 1 to {PAGE_MAX}", param="limit")
    if order not in ("asc", "desc"):
        raise InvalidRequest("order has to be asc or desc", param="order")
    listed = items if order == "asc" else items[::-1]
    start = next((at + 1 for at, item in enumerate(listed) if item["id"] == after), 0)
    page = listed[start : start + limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": start + limit < len(listed),
    }


def _items(raw: Raw) -> list[Raw]:
    """The items of an `input`, which may be a text."""
    if not given(raw):
        return []
    if bytes(raw).startswith(b'"'):
        return [Raw(b'{"type":"message","role":"user","content":%b}' % bytes(raw))]
    return _ITEMS.decode(raw)


def _listed(items: Sequence[Raw | bytes]) -> bytes:
    return b"[" + b",".join(bytes(item) for item in items) + b"]"


def _value(body: bytes, name: str, text: bytes) -> patching.Edit:
    """Another value for a top-level member; one that is not there comes first."""
    member = place(body, name)
    if member is None:
        brace = body.index(b"{") + 1
        return patching.Edit(brace, brace, b'"%b":%b,' % (name.encode(), text))
    return patching.Edit(member.value, member.end, text)


def _shown(items: Sequence[Raw]) -> Iterator[dict[str, Any]]:
    """Items as OpenAI lists them: each with an id, a text as a list of parts."""
    for number, raw in enumerate(items):
        item: Mapping[str, Any] = msgspec.json.decode(raw)
        made_up = hashlib.sha256(b"%d" % number + bytes(raw)).hexdigest()[:32]
        shown = {"id": f"msg_{made_up}", "type": "message", **item}
        if isinstance(item.get("content"), str):
            kind = "output_text" if item.get("role") == "assistant" else "input_text"
            shown["content"] = [{"type": kind, "text": item["content"]}]
        yield shown
