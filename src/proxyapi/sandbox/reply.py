"""An answer on its way out: status, headers, the bytes in pieces, and how it is to be disturbed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from proxyapi.sandbox.reading import encode

JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the sandbox sends back. `pieces` of a stream are its events, one each; a body is one piece."""

    status: int
    content_type: str
    pieces: Sequence[bytes]
    stream: bool = False
    """Sent chunked, piece by piece; else one body with its length."""
    tail: bytes = b""
    """What ends a stream properly after its last event (`data: [DONE]`); never an event."""
    headers: tuple[tuple[str, str], ...] = ()
    delay_seconds: float = 0.0
    """Wait before the first byte."""
    cut: bool = False
    """The connection is cut after the pieces (of a body: after half of it)."""

    def with_headers(self, *headers: tuple[str, str]) -> Reply:
        return replace(self, headers=self.headers + headers)


def json_reply(value: object, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    return Reply(status=status, content_type=JSON, pieces=(encode(value),), headers=headers)


def event_stream(events: Iterable[bytes], *, tail: bytes = b"") -> Reply:
    return Reply(status=200, content_type=EVENTS, pieces=tuple(events), stream=True, tail=tail)


def data_event(value: object) -> bytes:
    """`data: {...}` and a blank line."""
    return b"data: " + encode(value) + b"\n\n"


def named_event(name: str, value: object) -> bytes:
    """`event: name`, `data: {...}` and a blank line."""
    return b"event: " + name.encode() + b"\ndata: " + encode(value) + b"\n\n"


def cut_after(reply: Reply, count: int) -> Reply:
    """The connection is cut after `count` events, at the latest before the last one; a body is cut in its middle."""
    if not reply.stream:
        return replace(reply, cut=True)
    kept = min(count, max(0, len(reply.pieces) - 1))
    return replace(reply, pieces=reply.pieces[:kept], tail=b"", cut=True)


def error_after(reply: Reply, count: int, error: bytes) -> Reply:
    """An error event after `count` events, at the latest before the last one; then the stream ends properly."""
    kept = min(count, max(0, len(reply.pieces) - 1))
    return replace(reply, pieces=(*reply.pieces[:kept], error), tail=b"")
