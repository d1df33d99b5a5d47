"""Request ids: UUID version 7 (RFC 9562), so that a journal sorted by id is sorted by time."""

from __future__ import annotations

import os
import time
from binascii import hexlify
from collections.abc import Callable
from struct import Struct

MS_MAX = 2**48 - 1
"""The last millisecond that an id can name."""

_GROUPS = Struct("8s4s4s4s12s").unpack
"""Of the 32 digits, those between two hyphens."""
_TAIL_BYTES = 10
"""What follows the time: random, but for four bits that tell the version, and two the variant (RFC 9562, 5.7)."""
_VERSION_7 = bytes(0x70 | byte & 0x0F for byte in range(256))
_VARIANT = bytes(0x80 | byte & 0x3F for byte in range(256))
"""What a random byte becomes at the beginning of a tail, and two bytes behind it."""
_REFILL_BYTES = 4_090
"""One system call serves 409 ids."""


class IdSource:
    """Makes 16-byte UUIDv7 ids. Clock (nanoseconds since 1970) and randomness are arguments."""

    def __init__(
        self, clock_ns: Callable[[], int] = time.time_ns, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._clock_ns = clock_ns
        self._random_bytes = random_bytes
        self._tails = b""
        self._at = 0

    def __call__(self) -> bytes:
        if self._at >= len(self._tails):
            self._refill()
        at = self._at
        self._at = at + _TAIL_BYTES
        return (self._clock_ns() // 1_000_000).to_bytes(6, "big") + self._tails[at : at + _TAIL_BYTES]

    def _refill(self) -> None:
        tails = bytearray(self._random_bytes(_REFILL_BYTES))
        tails[0::_TAIL_BYTES] = tails[0::_TAIL_BYTES].translate(_VERSION_7)
        tails[2::_TAIL_BYTES] = tails[2::_TAIL_BYTES].translate(_VARIANT)
        self._tails, self._at = bytes(tails), 0


def made_at(id: bytes) -> int:
    """Unix seconds of when an id was made."""
    return made_at_ms(id) // 1_000


def made_at_ms(id: bytes) -> int:
    """Milliseconds since 1970 of when an id was made."""
    return int.from_bytes(id[:6], "big")


def least_id(ms: int) -> bytes:
    """The least id that can be made at that millisecond or later."""
    return max(0, min(ms, MS_MAX)).to_bytes(6, "big") + bytes(10)


def greatest_id(ms: int) -> bytes:
    """The greatest id that can be made before the next millisecond."""
    return max(0, min(ms, MS_MAX)).to_bytes(6, "big") + b"\xff" * 10


def encode_id(id: bytes) -> bytes:
    """As `format_id`, for a header; at half its cost, and for nothing but 16 bytes."""
    return b"-".join(_GROUPS(hexlify(id)))


def format_id(id: bytes) -> str:
    """16 bytes as the usual 36 characters."""
    text = id.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def parse_id(text: str) -> bytes:
    """The 36 (or 32) characters as 16 bytes; ValueError if it is no id."""
    id = bytes.fromhex(text.replace("-", ""))
    if len(id) != 16:
        raise ValueError(f"{text!r} is not an id of 32 hexadecimal digits")
    return id
