"""The chunked framing of HTTP/1.1 bodies (RFC 9112, section 7.1), without I/O."""

from __future__ import annotations

import re
from functools import lru_cache

from proxyapi.wire.errors import BodyBroken

LAST_CHUNK = b"0\r\n\r\n"

_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_WHOLE_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")

CHUNK_LINE_BYTES_MAX = 1_024
"""A chunk size with its extensions: nobody sends extensions, so this is generous."""
TRAILER_BYTES_MAX = 8_192
"""Trailers are read and dropped."""
LENGTHS_KNOWN_MAX = 4_096
"""Of chunks: events of a stream have a few hundred."""


def encode_chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; `data` is not empty (an empty chunk would end the body)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _take_whole_chunks(data: bytes, at: int, pieces: list[bytes]) -> int:
    """The chunks from `at` on that are whole and have no extensions; where the first other one begins."""
    while match := _WHOLE_CHUNK.match(data, at):
        start = match.end()
        end = start + int(match[1], 16)
        if end == start or not data.startswith(b"\r\n", end):
            break
        pieces.append(data[start:end])
        at = end + 2
    return at


@lru_cache(maxsize=LENGTHS_KNOWN_MAX)
def _size_line(length: int) -> bytes:
    """How a chunk begins that has `length` bytes with all its framing; empty: there is none."""
    most = len(b"%x" % length)
    for digits in (most, most - 1):  # of the size, which is a few less than the length
        size = length - digits - 4
        line = b"%x\r\n" % size
        if size > 0 and len(line) == digits + 2:
            return line
    return b""


class ChunkedDecoder:
    """The payload of a chunked body, strictly: CRLF line ends, plain hexadecimal sizes, bounded lines."""

    __slots__ = ("_left", "_line", "_state", "_trailer_bytes", "idle")

    def __init__(self) -> None:
        self.idle = True
        """The next byte begins a chunk."""
        self._line = b""
        self._left = 0
        self._state = 0  # 0: a size line comes, 1: payload, 2: the line end after a payload, 3: trailers
        self._trailer_bytes = 0

    def lone(self, data: bytes) -> bytes:
        """The payload of `data`, if that is one whole chunk and nothing else, as nearly all events of a stream come:
        then nothing is put together anew. Else empty, and `data` is to be fed."""
        line = _size_line(len(data))
        start = len(line)
        if self.idle and start and data[:start] == line and data[-2:] == b"\r\n":
            return data[start:-2]
        return b""

    def feed(self, data: bytes, pieces: list[bytes]) -> int:
        """Append the payload in `data` to `pieces`.

        Returns where in `data` the body ended, or -1 while it goes on. Raises BodyBroken.
        """
        end = self._feed(data, pieces)
        self.idle = self._state == 0 and not self._line
        return end

    def _feed(self, data: bytes, pieces: list[bytes]) -> int:
        at, end = 0, len(data)
        while at < end:
            if self._state == 0 and not self._line:
                at = _take_whole_chunks(data, at, pieces)
                if at == end:
                    return -1
            if self._state == 1:
                taken = min(self._left, end - at)
                pieces.append(data[at : at + taken])
                at += taken
                self._left -= taken
                if not self._left:
                    self._state = 2
                continue
            newline = data.find(b"\n", at) + 1
            self._line += data[at : newline or end]
            if len(self._line) > CHUNK_LINE_BYTES_MAX:
                raise BodyBroken("a line of the chunked framing is too long")
            if not newline:
                return -1
            at = newline
            if self._read_line():
                return at
        return -1

    def _read_line(self) -> bool:
        """Act on one complete line; True at the end of the body."""
        line, self._line = self._line, b""
        if not line.endswith(b"\r\n"):
            raise BodyBroken("a line of the chunked framing does not end with CRLF")
        line = line[:-2]
        if self._state == 0:
            match = _CHUNK_SIZE.fullmatch(line)
            if not match:
                raise BodyBroken("a chunk size is malformed")
            self._left = int(match[1], 16)
            self._state = 1 if self._left else 3
        elif self._state == 2:
            if line:
                raise BodyBroken("a chunk is longer than its size")
            self._state = 0
        elif not line:
            return True
        else:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > TRAILER_BYTES_MAX or not _TRAILER.fullmatch(line):
                raise BodyBroken("the trailers are malformed or too long")
        return False
