"""The contract that every wire format in this folder fulfils.

A dialect is how one family of clients and providers spells a conversation in bytes. Nothing here reads a socket, a
clock or a database: bytes and values come in, bytes and values go out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from msgspec import Struct

from proxyapi.dialects.call import Call, WireName
from proxyapi.dialects.model import Event
from proxyapi.usage import Usage


class Decoder(Protocol):
    """Bytes of a reply to events. The bytes may be cut anywhere; odd ones never raise."""

    @property
    def finished(self) -> bool:
        """A proper end was seen: the provider said that nothing follows."""
        ...

    @property
    def pending(self) -> int:
        """How many of the bytes fed so far belong to a frame that is not whole yet."""
        ...

    @property
    def ending(self) -> int | None:
        """Where the frame that ends the stream begins, counted from the first byte. None: not seen, or none does."""
        ...

    @property
    def usage_frame(self) -> tuple[int, int] | None:
        """Chat: first byte and end of the frame that carries nothing but usage."""
        ...

    @property
    def elements(self) -> int | None:
        """Gemini without `alt=sse`: whole elements of the JSON array so far; -1: it is closed. None: no array."""
        ...

    @property
    def opaque(self) -> bool:
        """The bytes are a sound, not text: the meter keeps their size and their head."""
        ...

    def feed(self, data: bytes) -> Sequence[Event]: ...
    def close(self) -> Sequence[Event]: ...


class Report(Struct, gc=False):
    """What a provider says of its own reply."""

    usage: Usage
    reply_id: str
    model: str
    tier: str


class Unreported:
    """For dialects whose usage can only be known by decoding the whole reply."""

    def report(self, body: bytes) -> Report | None:
        return None


class Dialect(Protocol):
    name: ClassVar[WireName]

    def read(self, body: bytes, *, model: str | None = None, stream: bool = False, ours: bool = False) -> Call:
        """What the gateway needs of a request. `model` and `stream` come from the path (Gemini). `ours`: the gateway
        wrote the body itself, so that no field is in it twice.

        InvalidRequest names the field.
        """
        ...

    def patch(self, body: bytes, call: Call, *, model: str) -> bytes:
        """The body for the provider: untouched but for the model's name and what metering needs."""
        ...

    def decoder(self, *, stream: bool, call: Call) -> Decoder: ...

    def report(self, body: bytes) -> Report | None:
        """Usage and names of a whole reply, where they are all that metering needs. None: decode it."""
        ...
