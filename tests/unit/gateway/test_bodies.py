from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any, cast

import pytest

from proxyapi.errors import (
    ClientGone,
    GatewayError,
    InvalidRequest,
    PayloadTooLarge,
    ProxyError,
    RequestTimeout,
    UnsupportedMedia,
)
from proxyapi.gateway import bodies
from proxyapi.wire.errors import BodyBroken, BodyTimeout, BodyTooLarge, ClientLeft, WireError
from proxyapi.wire.server import Exchange

MAX = 1000


class Upload:
    """An exchange, as far as bodies are concerned."""

    def __init__(self, *pieces: bytes, encoding: bytes | None = None, error: WireError | None = None) -> None:
        self._pieces = list(pieces)
        self._encoding = encoding
        self._error = error
        self.body_bytes: int | None = None

    def header(self, name: bytes) -> bytes | None:
        return self._encoding if name == b"content-encoding" else None

    async def read(self, bytes_max: int) -> bytes:
        if self._error:
            raise self._error
        body = b"".join(self._pieces)
        if len(body) > bytes_max:
            raise BodyTooLarge
        return body

    async def read_some(self) -> bytes:
        if not self._pieces and self._error:
            raise self._error
        return self._pieces.pop(0) if self._pieces else b""


def read(upload: Upload, bytes_max: int = MAX) -> bytes:
    return asyncio.run(bodies.read(cast(Exchange, upload), bytes_max))


def spool(upload: Upload, bytes_max: int = MAX, seen: list[bytes] | None = None) -> bodies.Spool:
    scan = (seen if seen is not None else []).append
    return asyncio.run(bodies.spool(cast(Exchange, upload), bytes_max, scan))


async def content(upload: bodies.Spool) -> bytes:
    upload.rewind()
    return await upload.read(10**9)


BODY = b"a body of some length " * 10
ERRORS = [
    (BodyTooLarge("x"), PayloadTooLarge),
    (BodyTimeout("x"), RequestTimeout),
    (BodyBroken("x"), InvalidRequest),
    (ClientLeft("x"), ClientGone),
]


@pytest.mark.parametrize("encoding", [None, b"", b"identity", b" Identity "])
def test_a_plain_body_is_read_as_it_is(encoding: bytes | None) -> None:
    assert read(Upload(BODY[:50], BODY[50:], encoding=encoding)) == BODY


@pytest.mark.parametrize("encoding", [b"gzip", b"GZIP", b" gzip "])
def test_a_gzip_body_is_unpacked(encoding: bytes) -> None:
    assert read(Upload(gzip.compress(BODY), encoding=encoding)) == BODY
    assert read(Upload(gzip.compress(b" " * MAX), encoding=encoding)) == b" " * MAX


@pytest.mark.parametrize("encoding", [b"br", b"deflate", b"zstd", b"gzip, gzip", b"\xff"])
def test_other_encodings_are_refused_by_name(encoding: bytes) -> None:
    for take in (read, spool):
        with pytest.raises(UnsupportedMedia, match="send gzip or nothing"):
            cast(Any, take)(Upload(BODY, encoding=encoding))


def test_a_body_that_unpacks_to_more_than_the_limit_is_refused() -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    for take in (read, spool):
        with pytest.raises(PayloadTooLarge, match="once unpacked"):
            cast(Any, take)(Upload(bomb, encoding=b"gzip"), bytes_max=20_000)


def test_a_small_body_that_unpacks_to_what_takes_seconds_to_read_is_refused() -> None:
    bomb = gzip.compress(b"[0," * 1_000_000)
    with pytest.raises(PayloadTooLarge, match="more than 100 times its size: send it unpacked"):
        read(Upload(bomb, encoding=b"gzip"), bytes_max=10_000_000)
    prose = b"".join(b"%d lines of a log that repeats itself\n" % number for number in range(100_000))
    assert read(Upload(gzip.compress(prose), encoding=b"gzip"), bytes_max=10_000_000) == prose


@pytest.mark.parametrize(
    "data",
    [b"no gzip", gzip.compress(BODY, mtime=0)[:-4], zlib.compress(BODY), b""],
    ids=["no gzip", "cut", "zlib", "empty"],
)
def test_broken_gzip_is_the_clients_mistake(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="gzip"):
        read(Upload(data, encoding=b"gzip"))


@pytest.mark.parametrize(
    "data",
    [b"no gzip", gzip.compress(BODY, mtime=0)[:-4], zlib.compress(BODY)],
    ids=["no gzip", "cut", "zlib"],
)
def test_broken_gzip_of_an_upload_is_the_clients_mistake(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="gzip"):
        spool(Upload(data, encoding=b"gzip"))


@pytest.mark.parametrize(("wire", "ours"), ERRORS)
def test_failures_of_the_wire_become_ours_with_words_for_the_client(wire: WireError, ours: type[ProxyError]) -> None:
    for take in (read, spool):
        with pytest.raises(ours) as caught:
            cast(Any, take)(Upload(b"half", error=wire))
        if isinstance(caught.value, GatewayError):
            assert caught.value.detail


def test_an_upload_is_seen_piece_by_piece_and_can_be_read_again() -> None:
    seen: list[bytes] = []
    upload = spool(Upload(BODY[:7], BODY[7:90], BODY[90:]), seen=seen)
    assert seen == [BODY[:7], BODY[7:90], BODY[90:]]
    assert upload.length == len(BODY)
    for _ in range(2):
        assert asyncio.run(content(upload)) == BODY
    upload.close()


def test_a_gzip_upload_is_seen_unpacked() -> None:
    packed, seen = gzip.compress(BODY), list[bytes]()
    upload = spool(Upload(packed[:20], packed[20:], encoding=b"gzip"), seen=seen)
    assert b"".join(seen) == BODY == asyncio.run(content(upload))
    upload.close()


def test_an_upload_that_says_it_is_too_large_is_refused_unread() -> None:
    upload = Upload(BODY)
    upload.body_bytes = MAX + 1
    with pytest.raises(PayloadTooLarge, match="1000 bytes"):
        spool(upload)
    assert asyncio.run(upload.read_some()) == BODY


def test_an_upload_that_turns_out_too_large_is_refused() -> None:
    with pytest.raises(PayloadTooLarge):
        spool(Upload(*[b"x" * 400] * 3))


def test_a_span_of_an_upload_can_be_replaced_and_a_part_copied() -> None:
    upload = spool(Upload(b"model=", b"openai/gpt-4o", b"&file=DATA"))
    upload.replace((6, 19), b"gpt-4o")
    assert asyncio.run(content(upload)) == b"model=gpt-4o&file=DATA"
    assert upload.length == 22
    with upload.part(18, 22) as part:
        assert part.read() == b"DATA"
    assert asyncio.run(content(upload)) == b"model=gpt-4o&file=DATA"
    upload.close()
