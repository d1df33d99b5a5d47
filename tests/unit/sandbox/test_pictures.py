"""Picture files whose headers say the size and whose data is whole."""

import struct
import zlib

import pytest

from proxyapi.sandbox.pictures import Colour, draw

RED = Colour(200, 10, 20)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1024, 1536), (1000, 701)])
def test_a_png_has_the_size_and_every_row(width: int, height: int) -> None:
    data = draw("png", width, height, RED)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size) == (zlib.crc32(kind + content),)
        chunks[kind], at = content, at + 12 + size
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (width, height, 1, 3, 0, 0, 0)
    assert chunks[b"PLTE"][:3] == bytes(RED)
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + (width + 7) // 8)
    assert list(chunks)[-1] == b"IEND"


def test_a_webp_has_the_size_in_its_lossless_header() -> None:
    data = draw("webp", 1024, 1536, RED)
    assert (data[:4], data[8:16]) == (b"RIFF", b"WEBPVP8L")
    assert struct.unpack_from("<I", data, 4) == (len(data) - 8,)
    bits = int.from_bytes(data[21:25], "little")
    assert (bits & 0x3FFF, bits >> 14 & 0x3FFF) == (1023, 1535)


def test_a_jpeg_has_the_size_and_two_bits_for_every_block() -> None:
    data = draw("jpeg", 1024, 1536, RED)
    assert data.startswith(b"\xff\xd8") and data.endswith(b"\xff\xd9")
    at = data.index(b"\xff\xc0")
    assert struct.unpack_from(">HH", data, at + 5) == (1536, 1024)
    scan = data.index(b"\xff\xda")
    assert len(data) - 2 - (scan + 2 + 8) == 128 * 192 * 2 // 8
