"""Cuts bytes into server-sent events, wherever the network cut them.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, with two liberties that
providers need: a last frame without its blank line counts, and nothing raises.
"""

from __future__ import annotations

import re
from typing import NamedTuple

FRAME_BYTES_MAX = 16 * 1024 * 1024
"""The largest frame that is read: a generated 4K picture in base64 is below it. A larger one flows by unread."""

_BLANK_LINE = re.compile(rb"\r\n(?:\r\n|\n|\r(?=[^\n]))|\n(?:\r\n|\n|\r(?=[^\n]))|\r(?:\r\n|\r)")
"""Two line ends of any kind. After \\r\\n a \\r at the end of the bytes waits: its \\n is on the way. Each alternative
begins with its character, so the bytes between are passed over in one loop."""
_NEWLINE = re.compile(rb"\r\n|\n|\r")

RAW = "raw"
"""`Frame.event` of a block that is no event but a JSON text of its own: providers break into streams with errors."""


class Frame(NamedTuple):
    event: str
    """Empty where the frame does not name one."""
    data: bytes
    """Empty for a comment."""
    start: int
    """Position of the frame's first byte in the whole stream."""
    end: int
    """One past its last byte, blank line included."""


class FrameDecoder:
    """Feed it bytes, take whole frames. Linear in time and bounded in memory, however small the pieces are."""

    __slots__ = ("_after_return", "_pieces", "_size", "_skipping", "_tail", "idle", "position")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._tail = b""
        """The last bytes of `_pieces`: a blank line may begin in them."""
        self.position = 0
        """Position of the first byte of `_pieces` in the stream: where the next frame begins."""
        self.idle = True
        """Every frame so far is whole, and nothing waits."""
        self._after_return = False
        self._skipping = False

    @property
    def pending(self) -> int:
        """How many of the bytes fed belong to a frame that is not whole yet."""
        return 0 if self._skipping else self._size

    def feed(self, data: bytes) -> list[Frame]:
        if self._after_return and data:
            # A frame ended in \r at the very end of the last piece: a \n that follows belongs to that line end.
            self._after_return = False
            if data.startswith(b"\n"):
                data = data[1:]
                self.position += 1
        searched = 0
        if self._pieces:
            probe = self._tail + data
            if b"\n\n" not in probe and (b"\r" not in probe or not _BLANK_LINE.search(probe)):
                self._hold(data)
                return []
            searched = max(0, self._size - 3)
            data = b"".join([*self._pieces, data])
        frames: list[Frame] = []
        at = self._cut_plain(data, searched, frames) if data.find(b"\r") < 0 else self._cut(data, searched, frames)
        self.position += at
        self._pieces, self._size, self._tail = [], 0, b""
        self.idle = at == len(data) and not self._after_return
        if at < len(data):
            self._hold(data[at:])
        return frames

    def close(self) -> list[Frame]:
        """The last frame, if its blank line never came."""
        block, start = b"".join(self._pieces), self.position
        self.position += len(block)
        self._pieces, self._size, self._tail = [], 0, b""
        return [] if self._skipping or not block.strip() else [parse(block.rstrip(b"\r\n"), start, self.position)]

    def _cut_plain(self, data: bytes, searched: int, frames: list[Frame]) -> int:
        """Lines end in \\n, as nearly everybody sends them."""
        last = data.rfind(b"\n\n", searched)
        if last < 0:
            return 0
        start = self.position
        for block in data[:last].split(b"\n\n"):
            stop = start + len(block) + 2
            self._take(block, start, stop, frames)
            start = stop
        return last + 2

    def _cut(self, data: bytes, searched: int, frames: list[Frame]) -> int:
        at = 0
        while match := _BLANK_LINE.search(data, max(at, searched)):
            self._take(data[at : match.start()], self.position + at, self.position + match.end(), frames)
            at = match.end()
        self._after_return = 0 < at == len(data) and data.endswith(b"\r")
        return at

    def _take(self, block: bytes, start: int, end: int, frames: list[Frame]) -> None:
        if self._skipping:
            self._skipping = False
        else:
            frames.append(parse(block, start, end))

    def _hold(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        self._tail = (self._tail + data[-3:])[-3:]
        if self._size > FRAME_BYTES_MAX or (self._skipping and self._size > 3):
            self._skipping = True
            self.position += self._size - len(self._tail)
            self._pieces, self._size = [self._tail], len(self._tail)


def parse(block: bytes, start: int, end: int) -> Frame:
    """One frame without its blank line. The two usual shapes are taken apart without looking at every line."""
    if block.startswith(b"data: ") and block.find(b"\n") < 0 and block.find(b"\r") < 0:
        return Frame("", block[6:], start, end)
    if block.startswith(b"event: "):
        newline = block.find(b"\n")
        if block.startswith(b"data: ", newline + 1) and block.find(b"\n", newline + 1) < 0 and block.find(b"\r") < 0:
            return Frame(block[7:newline].decode("utf-8", "replace"), block[newline + 7 :], start, end)
    event, data = "", []
    for line in _NEWLINE.split(block):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value.decode("utf-8", "replace")
    if not data and block.lstrip().startswith((b"{", b"[")):
        return Frame(RAW, block.strip(), start, end)
    return Frame(event, b"\n".join(data), start, end)


def encode(data: bytes, event: str = "") -> bytes:
    """A frame of one line of data."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data) if event else b"data: %b\n\n" % data
