"""OpenAI Responses: events and items of one response on their way to a client."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from proxyapi.dialects import carriers
from proxyapi.dialects.carriers import Place
from proxyapi.dialects.codec import Asked
from proxyapi.dialects.model import ReasoningState

Wire = dict[str, Any]

encode = msgspec.json.Encoder().encode


class Item(NamedTuple):
    """An item of the output. Its id and its place are the same from its first event to the finished response."""

    position: int
    id: str
    place: bytes
    """The JSON members that tell an event's item."""


class Message:
    """An item of type `message`: texts and refusals that follow each other."""

    __slots__ = ("contents", "growing", "item", "superseded")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.contents: list[Wire] = []
        self.growing = 0
        """How many of its contents are not finished."""
        self.superseded = False
        """Something else followed it: it takes no further content."""

    def wire(self, status: str) -> Wire:
        return {
            "id": self.item.id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": self.contents,
        }


class Output:
    """Gathers what is to be sent, and what the finished response holds.

    A response that is sent as one body has the same events, which nobody sees: they are not written.
    """

    __slots__ = ("_asked", "_items", "_message", "frames", "include", "quiet", "sequence")

    def __init__(self, asked: Asked, *, quiet: bool) -> None:
        self._asked = asked
        self._items: list[bytes] = []
        """Finished items at their places; empty where one still grows."""
        self._message: Message | None = None
        self.frames: list[bytes] = []
        self.include = frozenset(asked.request.include)
        self.quiet = quiet
        self.sequence = 0

    def event(self, name: bytes, members: bytes) -> None:
        """`members`: of the event's JSON object, beside its type and number."""
        if not self.quiet:
            self.frames.append(
                b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b}\n\n' % (name, name, self.sequence, members)
            )
        self.sequence += 1

    def prefix(self, name: bytes, members: bytes) -> bytes:
        """Of a delta's frame, up to its number; empty where nobody sees it."""
        return b"" if self.quiet else b'event: %b\ndata: {"type":"%b",%b,"sequence_number":' % (name, name, members)

    def delta(self, prefix: bytes, text: str) -> None:
        if prefix:
            self.frames.append(b'%b%d,"delta":%b}\n\n' % (prefix, self.sequence, encode(text)))
            self.sequence += 1

    # --- items -------------------------------------------------------------------------------------------------------

    def open(self, prefix: str) -> Item:
        """A new item after those that there are; nothing is sent yet."""
        self.supersede()
        return self._place(prefix)

    def _place(self, prefix: str) -> Item:
        position = len(self._items)
        self._items.append(b"")
        identity = f"{prefix}{self._asked.reply_id}_{position}"
        return Item(position, identity, b'"item_id":"%b","output_index":%d' % (identity.encode(), position))

    def is_last(self, item: Item) -> bool:
        """Nothing has begun since."""
        return item.position == len(self._items) - 1

    def added(self, item: Item, wire: Wire) -> None:
        self.event(b"response.output_item.added", b'"output_index":%d,"item":%b' % (item.position, encode(wire)))

    def done(self, item: Item, wire: Wire | msgspec.Raw) -> None:
        self._items[item.position] = data = encode(wire)
        self.event(b"response.output_item.done", b'"output_index":%d,"item":%b' % (item.position, data))

    def written(self) -> bytes:
        """The items that are finished, comma between them."""
        return b",".join(item for item in self._items if item)

    def carry(self, state: ReasoningState, place: Place) -> None:
        """An item of its own for a state that belongs to the item beside it."""
        item = self.open("rs_")
        wire: Wire = {"id": item.id, "type": "reasoning", "summary": []}
        self.added(item, wire)
        self.done(item, wire | {"encrypted_content": self.sealed(state, place)})

    def sealed(self, state: ReasoningState, place: Place) -> str:
        return carriers.written(state, place, self._asked.seal)

    # --- messages ----------------------------------------------------------------------------------------------------

    def message(self) -> Message:
        """The message that is being said; a new one, if something else came since."""
        if self._message is None:
            self._message = Message(self._place("msg_"))
            self.added(self._message.item, self._message.wire("in_progress"))
        return self._message

    def supersede(self) -> None:
        """The message takes no further content: it ends with those that still grow."""
        message, self._message = self._message, None
        if message is not None:
            message.superseded = True
            self._settle(message, "completed")

    def said(self, message: Message) -> None:
        """One of its contents is finished."""
        message.growing -= 1
        self._settle(message, "completed")

    def finish(self, *, incomplete: bool) -> None:
        """Nothing more is said. `incomplete`: the answer was cut."""
        message, self._message = self._message, None
        if message is not None:
            message.superseded, message.growing = True, 0
            self._settle(message, "incomplete" if incomplete else "completed")

    def _settle(self, message: Message, status: str) -> None:
        if message.superseded and not message.growing:
            self.done(message.item, message.wire(status))
