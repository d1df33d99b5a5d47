"""A Gemini stream without `alt=sse`: one JSON array that grows by a reply object at a time."""

from __future__ import annotations

from collections.abc import Iterable

from proxyapi.dialects.codec import Encoder
from proxyapi.dialects.model import Event, Failed

_DATA = b"data: "
_NOTHING = b"{}"
"""A sign of life; in an array it would be an answer."""


class ArrayEncoder(Encoder):
    """Makes elements of the frames of another encoder."""

    __slots__ = ("_events", "_opened")

    def __init__(self, events: Encoder) -> None:
        self._events = events
        self._opened = False

    def feed(self, events: Iterable[Event]) -> bytes:
        return self._elements(self._events.feed(events))

    def close(self) -> bytes:
        last = self._elements(self._events.close())
        return last + (b"]" if self._opened else b"[]")

    def fail(self, failed: Failed, request_id: str) -> bytes:
        return self._elements(self._events.fail(failed, request_id)) + b"]"

    def _elements(self, frames: bytes) -> bytes:
        out = bytearray()
        for frame in frames.split(b"\n\n"):
            data = frame.removeprefix(_DATA)
            if data and data != _NOTHING:
                out += b",\r\n" if self._opened else b"["
                out += data
                self._opened = True
        return bytes(out)
