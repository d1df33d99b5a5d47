"""What clients can't carry: the gateway keeps it for their next request.

Two things. Reasoning states of clients of Chat, which has no field for them in its standard: a turn is known again by
the id of its first call, or by its text. And the turns of Responses clients, who send `previous_response_id` instead of
the conversation; their own provider has never seen it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.model import Message, Part, Request, Text, Thinking, ToolUse
from proxyapi.errors import StoreUnavailable, UnknownResponse
from proxyapi.identity.kept import PUT, TOUCH

if TYPE_CHECKING:
    from proxyapi.identity.kept import Kept, Memory
    from proxyapi.ledger.ledger import Ledger

STATES_BYTES_MAX = 262_144
"""Of one turn; the largest recorded state has 139,340 characters."""
TURN_BYTES_MAX = 4_194_304
"""Of one request and its answer: some pictures. A larger one can't be gone on from."""
RESPONSE_PREFIX = "resp_"
"""Of ids of responses, as OpenAI's; what else is kept has other ones."""
KEPT_PER_ACCOUNT_MAX = 10_000
TOUCHED_MS_MIN = 3_600_000
"""Not written again for every request of a conversation."""


class _Turn(Struct, frozen=True):
    """What is kept of a request of Responses and its answer."""

    messages: tuple[Message, ...]
    system: tuple[Message, ...] = ()
    """Instructions that came as items; those of the field `instructions` hold for one request."""


class _Instructions(Struct):
    instructions: Raw = Raw(b"null")


_PARTS = msgspec.json.Decoder(tuple[Part, ...])
_TURN = msgspec.json.Decoder(_Turn)
_INSTRUCTIONS = msgspec.json.Decoder(_Instructions)
_encode = msgspec.json.Encoder().encode


class Remembering:
    """Keeps and recalls. `seconds` 0: nothing is kept."""

    def __init__(self, *, kept: Kept, ledger: Ledger, clock_ms: Callable[[], int], seconds: float) -> None:
        self._kept = kept
        self._ledger = ledger
        self._clock_ms = clock_ms
        self._lifetime_ms = int(seconds * 1000)

    # --- reasoning states of Chat ------------------------------------------------------------------------------------

    async def with_states(self, account_id: int, request: Request) -> Request:
        """The conversation with the states that its turns were answered with."""
        keys = {at: key for at, message in enumerate(request.messages) if (key := _key_of(message))}
        if not keys or not self._lifetime_ms:
            return request
        found = await self._kept.find(account_id, list(dict.fromkeys(keys.values())), since=self._since())
        if not found:
            return request
        await self._touch(account_id, found.values())
        messages = tuple(
            _restored(message, _PARTS.decode(found[keys[at]].body)) if keys.get(at) in found else message
            for at, message in enumerate(request.messages)
        )
        return msgspec.structs.replace(request, messages=messages)

    async def keep_states(self, account_id: int, answer: Message) -> None:
        """The states of an answer, durable when it returns; nothing where it has none."""
        key = _key_of(answer, answered=True)
        states = tuple(_bare(part) for part in answer.parts if part.state is not None)
        if states and key and self._lifetime_ms:
            await self._put(account_id, key, "", _encode(states), STATES_BYTES_MAX)

    # --- turns of Responses ------------------------------------------------------------------------------------------

    async def whole(self, account_id: int, request: Request) -> Request:
        """The request with the conversation that its `previous_response_id` stands for. UnknownResponse."""
        previous = request.storage.previous_response_id
        chain = None
        if self._lifetime_ms and previous.startswith(RESPONSE_PREFIX):
            chain = await self._kept.chain(account_id, previous, since=self._since())
        if chain is None:
            raise UnknownResponse(previous)
        await self._touch(account_id, chain)
        turns = [_TURN.decode(memory.body) for memory in chain]
        return msgspec.structs.replace(
            request,
            system=(*request.system, *(message for turn in turns for message in turn.system)),
            messages=(*(message for turn in turns for message in turn.messages), *request.messages),
            storage=msgspec.structs.replace(request.storage, previous_response_id=""),
        )

    async def keep_turn(self, account_id: int, id: str, request: Request, body: bytes, answer: Message) -> None:
        """What the client may go on from, durable when it returns. `request` and `body` as the client sent them."""
        if request.storage.store is False or not self._lifetime_ms:
            return
        instructed = _INSTRUCTIONS.decode(body).instructions != b"null"
        turn = _Turn((*request.messages, answer), request.system[1:] if instructed else request.system)
        await self._put(account_id, id, request.storage.previous_response_id, _encode(turn), TURN_BYTES_MAX)

    # --- the store ---------------------------------------------------------------------------------------------------

    def _since(self) -> int:
        return self._clock_ms() - self._lifetime_ms

    async def _put(self, account_id: int, id: str, previous: str, body: bytes, bytes_max: int) -> None:
        if len(body) <= bytes_max:
            # If the store fails here the client still gets its answer; only what it can't carry is lost.
            with suppress(StoreUnavailable):
                await self._ledger.write(PUT, (account_id, id, previous, body.decode(), self._clock_ms()))

    async def _touch(self, account_id: int, memories: Iterable[Memory]) -> None:
        now = self._clock_ms()
        for memory in memories:
            if now - memory.seen_at > TOUCHED_MS_MIN:
                with suppress(StoreUnavailable):
                    await self._ledger.write(TOUCH, (now, account_id, memory.id))


def _key_of(message: Message, *, answered: bool = False) -> str:
    """By what a turn of the assistant is known again; empty: it is none, or it has its states with it."""
    if message.role != "assistant" or (not answered and any(part.state is not None for part in message.parts)):
        return ""
    call = next((part.id for part in message.parts if isinstance(part, ToolUse)), "")
    if call:
        return f"call:{call}"
    text = "".join(part.text for part in message.parts if isinstance(part, Text))
    return f"text:{sha256(text.encode()).hexdigest()}" if text else ""


def _bare(part: Part) -> Part:
    """A part as far as its state needs it: thinking is signed with its text, the others come back with the client."""
    match part:
        case ToolUse():
            return ToolUse(part.id, part.name, "", state=part.state)
        case Text():
            return Text("", state=part.state)
        case _:
            return part


def _restored(message: Message, states: tuple[Part, ...]) -> Message:
    """The turn with what was kept of it: thinking first, other states on their parts."""
    thinking = [part for part in states if isinstance(part, Thinking)]
    calls = {part.id: part.state for part in states if isinstance(part, ToolUse)}
    text = next((part.state for part in states if isinstance(part, Text)), None)
    parts: list[Part] = [*thinking]
    for part in message.parts:
        if isinstance(part, Thinking):
            if not thinking:
                parts.append(part)
        elif isinstance(part, ToolUse) and part.id in calls:
            parts.append(msgspec.structs.replace(part, state=calls[part.id]))
        elif isinstance(part, Text) and text is not None:
            parts.append(msgspec.structs.replace(part, state=text))
            text = None
        else:
            parts.append(part)
    return msgspec.structs.replace(message, parts=tuple(parts))
