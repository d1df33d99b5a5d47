from __future__ import annotations

import pytest

from proxyapi.wire.chunks import ChunkedDecoder, encode_chunk
from proxyapi.wire.errors import BodyBroken

CHUNKED = b"4;name=value\r\nwiki\r\n5\r\npedia\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"


@pytest.mark.parametrize("cut", range(len(CHUNKED)))
def test_a_chunked_body_may_be_cut_anywhere(cut: int) -> None:
    decoder, pieces = ChunkedDecoder(), list[bytes]()
    assert decoder.feed(CHUNKED[:cut], pieces) == -1
    assert decoder.feed(CHUNKED[cut:] + b"GET", pieces) == len(CHUNKED) - cut
    assert b"".join(pieces) == b"wikipedia0123456789"


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n",
        b"1;" + b"a" * 1_100 + b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"1_0\r\n",
        b"1\n",
        b"1\r\r\n",
        b"1\r\nab\n",
        b"1\r\nab\r\n",
        b"1\r\na\n",
        b"1\r\na\r\r\n",
        b"f" * 16 + b"\r\n",
        b"1;" + b"a" * 2_000,
        b"1;\x00\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n folded: x\r\n\r\n",
        b"0\r\nX: y\n",
        b"0\r\n" + b"X: y\r\n" * 3_000,
    ],
)
def test_malformed_chunked_framing_is_refused(body: bytes) -> None:
    with pytest.raises(BodyBroken):
        ChunkedDecoder().feed(body, [])


@pytest.mark.parametrize("size", [*range(1, 300), *range(4_080, 4_110), 65_535, 65_536, 262_144])
def test_a_chunk_that_comes_by_itself_is_known_by_its_length(size: int) -> None:
    payload = bytes(range(size % 255 + 1)) + b"x" * (size - size % 255 - 1)
    assert ChunkedDecoder().lone(encode_chunk(payload)) == payload


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"0\r\n\r\n",
        b"1\r\n",
        b"1\r\na",
        b"1\r\na\r",
        b"1\r\na\n\n",
        b"2\r\na\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\r\n0\r\n\r\n",
        b"5\r\nhello\r\n6\r\n world\r\n",
        b"10\r\n" + b"x" * 15 + b"\r\n",
        b"A\r\n0123456789\r\n",
        b"01\r\na\r\n",
        b"+1\r\na\r\n",
        b"1;x\r\na\r\n",
    ],
)
def test_whatever_else_comes_is_left_to_be_fed(data: bytes) -> None:
    assert ChunkedDecoder().lone(data) == b""


@pytest.mark.parametrize("begun", [b"1", b"8\r\n", b"8\r\n12", b"1\r\na", b"0\r\n"])
def test_what_looks_like_a_chunk_within_another_is_none(begun: bytes) -> None:
    decoder = ChunkedDecoder()
    decoder.feed(begun, [])
    assert decoder.lone(b"1\r\na\r\n") == b""


def test_chunks_encode() -> None:
    assert encode_chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
