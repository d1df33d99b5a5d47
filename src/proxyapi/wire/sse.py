"""Server-sent events: bytes to frames and back. https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import re
from typing import NamedTuple

from proxyapi.wire.errors import ProtocolViolation

FRAME_BYTES_MAX = 32 * 1024 * 1024
"""A frame can carry a whole generated image in base64; four of the largest fit."""

_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_NEWLINE = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Frame(NamedTuple):
    """One event: its type (`message` if none was sent) and its data lines joined by line feeds."""

    event: str
    data: bytes


class FrameDecoder:
    """Finds frames in bytes that may be cut anywhere."""

    __slots__ = ("_buffer", "_searched", "_started")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._started = False

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes. Raises ProtocolViolation if a frame outgrows `FRAME_BYTES_MAX`."""
        if self._started and not self._buffer and data.endswith(b"\n\n") and b"\r" not in data:
            return [frame for block in data.split(b"\n\n") if block and (frame := _parse(block)) is not None]
        return self._feed_slowly(data)

    def _feed_slowly(self, data: bytes) -> list[Frame]:
        buffer = self._buffer
        buffer += data
        if not self._started:
            if _BYTE_ORDER_MARK.startswith(buffer[:3]) and len(buffer) < 3:
                return []
            self._started = True
            if buffer.startswith(_BYTE_ORDER_MARK):
                del buffer[:3]
        # A \r at the very end may be the first half of \r\n: wait for the next byte.
        end = len(buffer) - 1 if buffer.endswith(b"\r") else len(buffer)
        frames: list[Frame] = []
        start = 0
        while match := _BLANK_LINE.search(buffer, max(start, self._searched), end):
            if frame := _parse(bytes(buffer[start : match.start()])):
                frames.append(frame)
            start = match.end()
            self._searched = start
        del buffer[:start]
        self._searched = max(0, len(buffer) - 3)
        if len(buffer) > FRAME_BYTES_MAX:
            raise ProtocolViolation(f"an event is larger than {FRAME_BYTES_MAX} bytes")
        return frames

    def close(self) -> list[Frame]:
        """A last frame without its blank line: the standard drops it, but providers have ended streams so."""
        block = bytes(self._buffer)
        self._buffer.clear()
        self._searched = 0
        frame = _parse(block.removeprefix(_BYTE_ORDER_MARK) if not self._started else block)
        return [frame] if frame else []


def _parse(block: bytes) -> Frame | None:
    """A block of lines without its blank line; None if it has no data (a comment, a retry time)."""
    if block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block:
        return Frame("message", block[6:])
    event, data = "message", []
    for line in _NEWLINE.split(block):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value.decode(errors="replace")
    return Frame(event or "message", b"\n".join(data)) if data else None


def encode_frame(data: bytes, event: str = "") -> bytes:
    """One event whose data has no line breaks (JSON has none)."""
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data
