"""Small but real picture files of any size: PNG with stripes, WebP and JPEG of one colour."""

from __future__ import annotations

import struct
import zlib
from typing import Literal, NamedTuple

PictureFormat = Literal["png", "jpeg", "webp"]

SIDE_MAX = 4_096
_STRIPE_ROWS = 32


class Colour(NamedTuple):
    red: int
    green: int
    blue: int


def draw(kind: PictureFormat, width: int, height: int, colour: Colour) -> bytes:
    """The file; width and height at most SIDE_MAX."""
    if kind == "webp":
        return _webp(width, height, colour)
    return _jpeg(width, height) if kind == "jpeg" else _png(width, height, colour)


def _png(width: int, height: int, colour: Colour) -> bytes:
    """Two colours of a palette, one bit a pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row_bytes = (width + 7) // 8
    rows = (bytes(1 + row_bytes), b"\x00" + b"\xff" * row_bytes)
    pixels = b"".join(rows[at // _STRIPE_ROWS % 2] for at in range(height))
    palette = bytes(colour) + b"\xff\xff\xff"
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0))
        + chunk(b"PLTE", palette)
        + chunk(b"IDAT", zlib.compress(pixels, 6))
        + chunk(b"IEND", b"")
    )


def _webp(width: int, height: int, colour: Colour) -> bytes:
    """WebP lossless (RFC 9649) whose five prefix codes have one symbol each: no bits for the pixels."""
    bits, size = 0, 0

    def put(value: int, count: int) -> None:
        nonlocal bits, size
        bits |= value << size
        size += count

    put(width - 1, 14)
    put(height - 1, 14)
    put(0, 1 + 3)  # no alpha, version 0
    put(0, 3)  # no transform, no colour cache, no meta prefix codes
    for symbol in (colour.green, colour.red, colour.blue, 255):
        put(0b101, 3)  # simple code, one symbol of eight bits
        put(symbol, 8)
    put(0b0001, 4)  # distances: simple code, one symbol of one bit
    data = b"\x2f" + bits.to_bytes((size + 7) // 8, "little")
    data += bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", 12 + len(data)) + b"WEBPVP8L" + struct.pack("<I", len(data)) + data


def _jpeg(width: int, height: int) -> bytes:
    """Baseline, grey: every block is two bits, `no difference` and `end of block`."""

    def segment(marker: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data

    code = b"\x01" + bytes(15) + b"\x00"  # one code of one bit, for the symbol 0
    blocks = ((width + 7) // 8) * ((height + 7) // 8)
    whole, rest = divmod(blocks * 2, 8)
    data = bytes(whole) + (bytes((0xFF >> rest,)) if rest else b"")
    return (
        b"\xff\xd8"
        + segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")
        + segment(0xDB, b"\x00" + b"\x01" * 64)
        + segment(0xC0, struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0))
        + segment(0xC4, b"\x00" + code)
        + segment(0xC4, b"\x10" + code)
        + segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")
        + data
        + b"\xff\xd9"
    )
