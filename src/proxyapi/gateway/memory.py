"""Reasoning for clients that echo standard fields only: remembered when a reply passes, put back when it returns.

A model's reasoning has to come back to it with the conversation, as opaque states. Chat has no standard field for
them, so that most of its clients lose them; some of Gemini's drop the thoughts that have them. What belongs to a tool
call is found again by the call's id; what belongs to an answer by the text of the answer and of the question before it.
Accounts never meet.

    recorder = memory.recorder(client, request)      # one for each reply that is translated
    recorder.feed(events)                            # as the client gets them: ids and names mapped
    await memory.remember(account_id, recorder)      # before the client gets the end of its reply

    request = await memory.recall(account_id, client, request, origin)    # before the next request is encoded
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
from msgspec import Struct

from proxyapi.dialects.model import (
    DialectName,
    Event,
    Message,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    PartSummary,
    ReasoningState,
    Request,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from proxyapi.errors import StoreUnavailable
from proxyapi.store.queries import load_queries

QUERIES = load_queries("proxyapi.gateway", "memory.sql")

VALUE_BYTES_MAX: Final = 256 * 1024
"""Of one answer or call: the largest state that was seen has 140,000 characters."""
VALUES_MAX: Final = 1_000
"""Of one account; the ones that were not used for the longest time go first."""
TTL_MS: Final = 24 * 3_600_000
"""After the last use."""
TOUCH_MS: Final = 3_600_000
"""A use is written down at most once in so long a time."""
KEYS_MAX: Final = 512
"""Looked up for one request, newest first."""
NEAR_BYTES_MAX: Final = 16 * 2**20
"""What a worker keeps at hand itself: the next turn of a tool loop mostly comes to the same one."""
PRUNE_MAX: Final = 1_000
"""At a time: money waits for no more than that."""
TRIM_EVERY: Final = 100
"""So many new values of an account before its oldest are looked for."""

_FORGETFUL: frozenset[DialectName] = frozenset({"openai_chat", "gemini"})
"""Chat has no standard field for a reasoning state. Gemini has one in each part, but Gemini CLI drops all thoughts."""

Fetch = Callable[[str, Sequence[object]], Awaitable[Sequence[Sequence[Any]]]]
Write = Callable[[str, tuple[object, ...]], Awaitable[object]]


class Span(Struct, frozen=True, tag="span"):
    """A visible part, which the client echoes: a piece of text, or a call."""

    characters: int = 0
    solid: int = 0
    """Characters that are no white space: clients trim, and a dialect may join pieces by a blank line."""
    state: ReasoningState | None = None


Pieces = tuple[Thinking | Span, ...]
"""Reasoning and what it led to, in order."""

_encode = msgspec.msgpack.Encoder().encode
_DECODER = msgspec.msgpack.Decoder(Pieces)


class Recorder:
    """Collects what a client will not echo, of every choice of one reply."""

    def __init__(self, request: Request) -> None:
        self._question = _question(request.messages, _asked(request.messages, len(request.messages)))
        self._choices: dict[int, _Turn] = {}
        self._open: dict[int, tuple[_Turn, Part, list[str]]] = {}
        self._states = False

    def feed(self, events: Iterable[Event]) -> None:
        for event in events:
            kind = type(event)
            if kind is PartDelta or kind is PartSummary:
                if opened := self._open.get(event.index):  # type: ignore[union-attr]
                    opened[2].append(event.text)  # type: ignore[union-attr]
            elif isinstance(event, PartStart):
                self._start(event)
            elif isinstance(event, PartState):
                self._state(event)
            elif isinstance(event, PartEnd):
                self._end(event.index)

    def values(self) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of everything that is worth remembering."""
        for index in list(self._open):
            self._end(index)
        if not self._states:
            return
        for turn in self._choices.values():
            for call, pieces in turn.calls.items():
                yield from _worth(call_key(call), pieces)
            if turn.texts:
                yield from _worth(answer_key(self._question, "".join(turn.texts)), (*turn.pieces, *turn.led))

    def _start(self, event: PartStart) -> None:
        part = event.part
        if isinstance(part, Thinking | Text | ToolUse):
            turn = self._choices.setdefault(event.choice, _Turn())
            self._open[event.index] = (turn, part, [part.text] if isinstance(part, Text | Thinking) else [])
            self._states = self._states or part.state is not None

    def _state(self, event: PartState) -> None:
        if opened := self._open.get(event.index):
            turn, part, texts = opened
            self._open[event.index] = (turn, msgspec.structs.replace(part, state=event.state), texts)
            self._states = True

    def _end(self, index: int) -> None:
        opened = self._open.pop(index, None)
        if opened is None:
            return
        turn, part, texts = opened
        if isinstance(part, Thinking):
            turn.led.append(msgspec.structs.replace(part, text="".join(texts), cache=None))
        elif isinstance(part, ToolUse):
            turn.calls[part.id] = (*turn.led, Span(state=part.state))
            turn.led = []
        elif solid := len(_solid(text := "".join(texts))):
            turn.pieces += (*turn.led, Span(len(text), solid, part.state))
            turn.texts.append(text)
            turn.led = []


class _Turn:
    """One choice of a reply."""

    def __init__(self) -> None:
        self.led: list[Thinking] = []
        """Reasoning that has led to nothing visible yet."""
        self.pieces: list[Thinking | Span] = []
        """Of the answer's text."""
        self.texts: list[str] = []
        self.calls: dict[str, Pieces] = {}


class Memory:
    """One per worker. The store is shared by all of them."""

    def __init__(
        self,
        *,
        fetch: Fetch,
        write: Write,
        clock_ms: Callable[[], int],
        ttl_ms: int = TTL_MS,
        values_max: int = VALUES_MAX,
    ) -> None:
        """`fetch` is `Database.fetch`, `write` is `Ledger.write`. `ttl_ms` 0: nothing is remembered."""
        self._fetch = fetch
        self._write = write
        self._clock_ms = clock_ms
        self._ttl_ms = ttl_ms
        self._touch_ms = min(TOUCH_MS, ttl_ms // 4)
        self._life_ms = ttl_ms + self._touch_ms
        """So long after the last use that was written down nothing is left."""
        self._values_max = values_max
        self._near: OrderedDict[tuple[int, bytes], tuple[bytes, int]] = OrderedDict()
        self._near_bytes = 0
        self._added: dict[int, int] = {}

    @property
    def on(self) -> bool:
        return self._ttl_ms > 0

    def recorder(self, client: DialectName, request: Request) -> Recorder | None:
        """For the reply to a request, which the client will echo after that request's messages. None: no need."""
        return Recorder(request) if self.on and client in _FORGETFUL else None

    async def remember(self, account_id: int, recorder: Recorder) -> None:
        """Durable when it returns: any worker will find it. A store that fails costs the reasoning, not the reply."""
        now = self._clock_ms()
        waiting = []
        for key, value in recorder.values() if self.on else ():
            self._keep_near(account_id, key, value, now)
            waiting.append(self._write(QUERIES["thought_put"], (account_id, key, value, now)))
            self._added[account_id] = self._added.get(account_id, 0) + 1
        if waiting and self._added[account_id] >= TRIM_EVERY:
            del self._added[account_id]
            waiting.append(self._write(QUERIES["thought_trim"], (account_id, account_id, self._values_max - 1)))
        for written in waiting:
            with suppress(StoreUnavailable):
                await written

    async def recall(self, account_id: int, client: DialectName, request: Request, origin: str) -> Request:
        """The request with the states that `origin` can read, where the client left them out."""
        wanted = _wanted(request.messages) if self.on and origin and client in _FORGETFUL else {}
        if not wanted:
            return request
        keys = [key for keys in wanted.values() for key in keys.values()]
        found = await self._find(account_id, keys[:KEYS_MAX])
        known = {key: pieces for key, pieces in found.items() if _read_by(pieces, origin)}
        messages = list(request.messages)
        for at, keys_of in wanted.items():
            parts = {number: known[key] for number, key in keys_of.items() if key in known}
            if parts:
                messages[at] = _restored(messages[at], parts)
        return msgspec.structs.replace(request, messages=tuple(messages)) if known else request

    async def prune(self) -> None:
        """Periodic work: forget what was not used for long, a bounded number at a time."""
        await self._write(QUERIES["thought_prune"], (self._clock_ms() - self._life_ms, PRUNE_MAX))

    async def _find(self, account_id: int, keys: list[bytes]) -> dict[bytes, Pieces]:
        now = self._clock_ms()
        found: dict[bytes, tuple[bytes, int]] = {}
        missing = []
        for key in keys:
            near = self._near.get((account_id, key))
            if near is not None and near[1] > now - self._life_ms:
                found[key] = near
            else:
                missing.append(key)
        rows = await self._fetch(QUERIES["thoughts"], (account_id, missing)) if missing else ()
        for key, value, used_at in rows:
            if used_at > now - self._life_ms:
                found[key] = (value, used_at)
        for key, (value, used_at) in found.items():
            if used_at < now - self._touch_ms:
                self._touch(account_id, key, now)
                used_at = now
            self._keep_near(account_id, key, value, used_at)
        return {key: _DECODER.decode(value) for key, (value, _) in found.items()}

    def _touch(self, account_id: int, key: bytes, now: int) -> None:
        """Nobody waits for it; if it fails the value is forgotten an hour early."""
        written = asyncio.ensure_future(self._write(QUERIES["thought_touch"], (now, account_id, key)))
        written.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _keep_near(self, account_id: int, key: bytes, value: bytes, used_at: int) -> None:
        old = self._near.pop((account_id, key), None)
        self._near[account_id, key] = (value, used_at)
        self._near_bytes += len(value) - (len(old[0]) if old is not None else 0)
        while self._near_bytes > NEAR_BYTES_MAX:
            _, (gone, _) = self._near.popitem(last=False)
            self._near_bytes -= len(gone)


def call_key(id: str) -> bytes:
    return hashlib.sha256(b"call\0" + id.encode()).digest()


def answer_key(question: bytes, text: str) -> bytes:
    """Of the text alone two conversations that both answer "Yes." would share their reasoning."""
    return hashlib.sha256(b"text\0" + question + _solid(text).encode("utf-8", "surrogatepass")).digest()


def _solid(text: str) -> str:
    return "".join(text.split())


def _asked(messages: Sequence[Message], before: int) -> int:
    """Position of the last user message before another one; -1: there is none."""
    return next((at for at in range(before - 1, -1, -1) if messages[at].role == "user"), -1)


def _question(messages: Sequence[Message], at: int) -> bytes:
    """Digest of a user's message: its texts, and the calls that it answers."""
    if at < 0:
        return b""
    seen = hashlib.sha256()
    for part in messages[at].parts:
        if isinstance(part, Text):
            seen.update(b"\0" + _solid(part.text).encode("utf-8", "surrogatepass"))
        elif isinstance(part, ToolResult):
            seen.update(b"\1" + part.tool_use_id.encode())
    return seen.digest()


def _worth(key: bytes, pieces: Pieces) -> Iterator[tuple[bytes, bytes]]:
    if any(piece.state is not None for piece in pieces) and len(value := _encode(pieces)) <= VALUE_BYTES_MAX:
        yield key, value


def _read_by(pieces: Pieces, origin: str) -> bool:
    return all(piece.state is None or piece.state.origin == origin for piece in pieces)


def _wanted(messages: Sequence[Message]) -> dict[int, dict[int, bytes]]:
    """Keys by message and part, newest messages first, until they are enough; part -1 is the text of the whole message.
    Nothing of a message that has states."""
    wanted: dict[int, dict[int, bytes]] = {}
    count, asked, question = 0, len(messages), b""
    for at in range(len(messages) - 1, -1, -1):
        message = messages[at]
        if message.role != "assistant" or any(part.state is not None for part in message.parts):
            continue
        keys = {number: call_key(part.id) for number, part in enumerate(message.parts) if isinstance(part, ToolUse)}
        if text := _text(message):
            if asked > at:
                asked = _asked(messages, at)
                question = _question(messages, asked)
            keys[-1] = answer_key(question, text)
        if keys:
            wanted[at] = keys
            count += len(keys)
        if count >= KEYS_MAX:
            break
    return wanted


def _text(message: Message) -> str:
    return "".join(part.text for part in message.parts if isinstance(part, Text))


def _restored(message: Message, found: dict[int, Pieces]) -> Message:
    """The message with what is known of its parts; thoughts that the client kept without their states give way."""
    parts: list[Part] = []
    first = True
    for number, part in enumerate(message.parts):
        if isinstance(part, Text) and -1 in found:
            parts += _split(message, found[-1]) if first else ()
            first = False
        elif number in found:
            parts += [piece for piece in found[number] if isinstance(piece, Thinking)]
            parts.append(msgspec.structs.replace(part, state=found[number][-1].state))
        elif not isinstance(part, Thinking):
            parts.append(part)
    return msgspec.structs.replace(message, parts=tuple(parts))


def _split(message: Message, pieces: Pieces) -> Iterator[Part]:
    """The text as the parts that it came in, with the thoughts between them."""
    text = _text(message)
    marks = [part.cache for part in message.parts if isinstance(part, Text) and part.cache is not None]
    spans = [piece for piece in pieces if isinstance(piece, Span)]
    start = 0
    for piece in pieces:
        if isinstance(piece, Thinking):
            yield piece
            continue
        last = piece is spans[-1]
        end = len(text) if last else _end(text, start, piece)
        yield Text(text=text[start:end], state=piece.state, cache=marks[-1] if marks and last else None)
        start = end


def _end(text: str, start: int, span: Span) -> int:
    """Where a piece of the text ends: as long as it was, or else after its last character that is no white space."""
    end = start + span.characters
    if len(_solid(text[start:end])) == span.solid:
        return end
    left = span.solid
    for at in range(start, len(text)):
        left -= not text[at].isspace()
        if not left:
            return at + 1
    return len(text)
