"""Gemini generateContent: replies. https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent

A stream is a sequence of whole reply objects: as server-sent events with `alt=sse`, else as one JSON array that grows.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from proxyapi.dialects import faults
from proxyapi.dialects.frames import FRAME_BYTES_MAX, FrameDecoder
from proxyapi.dialects.gemini.chunks_in import RESCUE, GeminiReader
from proxyapi.dialects.model import Event, Metered
from proxyapi.dialects.stream import WholeBody, anything, lenient
from proxyapi.dialects.units import count, wire_object
from proxyapi.usage import Unit

_CHUNKS = msgspec.json.Decoder(list[Raw])
_OPEN = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')


class _ArrayCutter:
    """Cuts a JSON array into its elements as it grows."""

    def __init__(self) -> None:
        self.elements = 0
        self.closed = False
        self._pending = 0
        """Bytes after the last whole element."""
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._element = bytearray()

    @property
    def pending(self) -> int:
        # An element that is too large to be read is not held back either.
        return 0 if self.closed or len(self._element) > FRAME_BYTES_MAX else self._pending

    def feed(self, data: bytes) -> list[bytes]:
        found: list[bytes] = []
        at = start = 0
        if self._escaped:
            self._escaped, at = False, 1
        while match := (_IN_STRING if self._in_string else _OPEN).search(data, at):
            at, mark = match.end(), match.group()
            if mark == b"\\":
                self._escaped = at == len(data)
                at += 1
            elif mark == b'"':
                self._in_string = not self._in_string
            elif mark in b"{[":
                self._depth += 1
                if self._depth == 2:
                    start = at - 1
            else:
                self._depth -= 1
                if self._depth == 1:
                    self._element += data[start:at]
                    if len(self._element) <= FRAME_BYTES_MAX:
                        found.append(bytes(self._element))
                    self._element.clear()
                    self.elements += 1
                    self._pending = -at
                elif self._depth == 0:
                    self.closed = True
        if self._depth >= 2 and len(self._element) <= FRAME_BYTES_MAX:
            self._element += data[start:]
        self._pending += len(data)
        return found


class GeminiStream:
    """Both kinds of stream; which one it is shows its first byte."""

    ending: int | None = None
    usage_frame: tuple[int, int] | None = None
    opaque = False

    def __init__(self, model: str) -> None:
        self._reader = GeminiReader(model)
        self._frames = FrameDecoder()
        self._array: _ArrayCutter | None = None
        self._told = False

    @property
    def finished(self) -> bool:
        return self._reader.finished and (self._array is None or self._array.closed)

    @property
    def pending(self) -> int:
        return self._frames.pending if self._array is None else self._array.pending

    @property
    def elements(self) -> int | None:
        return None if self._array is None else -1 if self._array.closed else self._array.elements

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if not self._told and data.strip():
            self._told = True
            self._array = _ArrayCutter() if data.lstrip().startswith(b"[") else None
        if self._array is not None:
            for element in self._array.feed(data):
                self._reader.read(element, events)
            return events
        for frame in self._frames.feed(data):
            if frame.data:
                self._reader.read(frame.data, events)
        return events

    def close(self) -> list[Event]:
        events: list[Event] = []
        for frame in self._frames.close():
            if frame.data:
                self._reader.read(frame.data, events)
        return events


class GeminiBody(WholeBody):
    __slots__ = ("_model",)

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model

    def _body(self, body: bytes, events: list[Event]) -> None:
        reader = GeminiReader(self._model)
        if body.lstrip().startswith(b"["):
            for chunk in lenient(_CHUNKS, body) or []:
                reader.read(chunk, events)
        else:
            reader.read(body, events)
        self.finished = reader.finished


class EmbeddingBody(WholeBody):
    __slots__ = ()

    def _body(self, body: bytes, events: list[Event]) -> None:
        wire = lenient(RESCUE, body)
        if wire is None:
            return
        if error := anything(wire.error):
            events.append(faults.failed(error, 502))
            return
        self.finished = True
        metadata = wire_object(wire.usage_metadata)
        if metadata is not None:
            events.append(Metered({Unit.INPUT: count(metadata, "promptTokenCount", "totalTokenCount")}))
