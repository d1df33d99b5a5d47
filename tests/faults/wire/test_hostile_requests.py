"""Bytes that no honest client sends, and the agreement of the server with another reader about honest ones."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from email.message import Message
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyapi.wire.connection import ClientConnection
from proxyapi.wire.errors import HeadRefused
from proxyapi.wire.http1 import HeadMemo, RequestHead, parse_request
from proxyapi.wire.server import Exchange, Server, ServerLimits

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

P = b"POST / HTTP/1.1\r\nHost: h\r\n"
CHUNKED = P + b"Transfer-Encoding: chunked\r\n\r\n"
ATTACKS = {
    "length and coding": P + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding and length": P + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": P + b"Content-Length: 0\r\nContent-Length: 30\r\n\r\n",
    "length list": P + b"Content-Length: 0, 30\r\n\r\n",
    "folded coding": P + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "space before colon": P + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "coding with a tab": P + b"Transfer-Encoding: chunked\t, identity\r\n\r\n0\r\n\r\n",
    "unknown coding": P + b"Transfer-Encoding: cow\r\n\r\n0\r\n\r\n",
    "bare line feeds": b"POST / HTTP/1.1\nHost: h\nContent-Length: 0\n\n",
    "bare line feed at the end": P + b"Content-Length: 0\r\n\n",
    "carriage return in a value": P + b"X: a\rContent-Length: 30\r\n\r\n",
    "line feed in a value": P + b"X: a\nContent-Length: 30\r\n\r\n",
    "NUL in a name": P + b"Content-Length\0: 30\r\n\r\n",
    "underscored twin is not a length": b"BAD / HTTP/1.1\r\nHost: h\r\nContent_Length: 30\r\n\r\n",
    "1.0 with coding": b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk size": CHUNKED + b"zz\r\n\r\n",
    "chunk size with a prefix": CHUNKED + b"0x0\r\n\r\n",
    "chunk size that overflows": CHUNKED + b"1" + b"0" * 16 + b"\r\n\r\n",
    "chunk ended by a line feed": CHUNKED + b"0\n\n",
    "chunk longer than its size": CHUNKED + b"1\r\nab\r\n0\r\n\r\n",
    "extension with a line feed": CHUNKED + b"0;a\nb\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_an_ambiguous_request_is_refused_and_what_follows_it_is_never_a_request(lab: Any, name: str) -> None:
    paths: list[str] = []

    async def handler(exchange: Exchange) -> None:
        paths.append(exchange.path)
        exchange.respond(200, b"", await exchange.read(1 << 20))

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(ATTACKS[name] + SMUGGLED)
            status, head, _ = await client.answer()
            assert 400 <= status < 500 or status == 501
            assert b"Connection: close\r\n" in head
            assert await client.end() == b""
            assert "/smuggled" not in paths

    lab.run(main)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 3_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414),
        (b"GET /" + b"a" * 3_000, 414),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 3_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 3_000, 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 150 + b"\r\n", 431),
        (b"\r\n\r\n\r\n\r\n", 400),
        (b"\0", 400),
        (b"{}", 400),
    ],
)
def test_oversized_and_senseless_heads_get_a_clear_answer_at_once(lab: Any, data: bytes, status: int) -> None:
    async def handler(exchange: Exchange) -> None:
        raise AssertionError

    async def main() -> None:
        async with lab.server(handler, head_bytes_max=2_000) as (_, port):
            client = await lab.connect(port)
            client.send(data)
            assert (await client.answer())[0] == status
            assert await client.end() == b""

    lab.run(main)


# ---- fuzzing on a transport in memory


class MemoryTransport(asyncio.Transport):
    """Collects what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.ended = False
        self.paused = False

    def write(self, data: Any) -> None:
        self.written += data

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 1) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.ended

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        self.ended = True

    abort = close

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


async def converse(pieces: list[bytes]) -> tuple[bytes, list[tuple[str, str, list[tuple[bytes, bytes]], bytes]], bool]:
    """Feed bytes to a server connection: its answers, what the handler saw, and whether it closed."""
    seen: list[tuple[str, str, list[tuple[bytes, bytes]], bytes]] = []
    crashes: list[Exception] = []

    async def handler(exchange: Exchange) -> None:
        body = await exchange.read(10_000)
        assert exchange.body_bytes in (None, len(body))
        seen.append((exchange.method, exchange.head.target, exchange.head.headers, body))
        exchange.respond(200, b"", b"ok")

    server = Server(
        handler,
        limits=ServerLimits(head_bytes_max=4_000),
        fault=lambda status, text: (b"", text.encode()),
        loop=asyncio.get_running_loop(),
        on_crash=lambda exchange, error: crashes.append(error),
    )
    connection = ClientConnection(server)
    transport = MemoryTransport()
    connection.connection_made(transport)
    for piece in pieces:
        while transport.paused and not transport.ended:  # noqa: ASYNC110 - a transport has no event
            await asyncio.sleep(0)
        if transport.ended:
            break
        if piece:
            connection.data_received(piece)
        for _ in range(3):
            await asyncio.sleep(0)
    for _ in range(2_000):  # every pipelined request needs a few turns
        exchange = connection.exchange
        if not connection._buffer or (exchange is not None and not exchange.body_complete):
            break
        await asyncio.sleep(0)
    for _ in range(4):
        await asyncio.sleep(0)
    closed = transport.ended or connection._lingering
    connection.connection_lost(None)
    for _ in range(4):
        await asyncio.sleep(0)
    assert not crashes
    assert server.exchanges == 0
    assert server.connections == 0
    return bytes(transport.written), seen, closed


def run(pieces: list[bytes]) -> tuple[bytes, list[tuple[str, str, list[tuple[bytes, bytes]], bytes]], bool]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(converse(pieces))


def statuses_of(written: bytes) -> list[int]:
    """The statuses of a sequence of answers, each of which must be valid."""
    statuses: list[int] = []
    while written:
        head, separator, rest = written.partition(b"\r\n\r\n")
        assert separator
        assert head.startswith(b"HTTP/1.1 ")
        status = int(head[9:12])
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b": ")
            if name == b"Content-Length":
                length = int(value)
        assert len(rest) >= length
        written = rest[length:]
        if status != 100:
            statuses.append(status)
    return statuses


CHAT = b"POST /v1/chat HTTP/1.1\r\nHost: h\r\n"
VALID = [
    b"GET /v1/models?a=b HTTP/1.1\r\nHost: h\r\n\r\n",
    CHAT + b"Content-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"model\": \"echo\"}",
    CHAT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
    b"DELETE /x%2Fy HTTP/1.1\r\nHOST:   spaced  \r\nX-Empty:\r\nx-twice: 1\r\nX-Twice: 2\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    b"PUT /caf%C3%A9 HTTP/1.1\r\nHost: h\r\nX-Latin: \xe9\r\nContent-Length: 0\r\n\r\n",
    b"POST /expect HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"PATCH /p;a=b?c=d&e=/?f HTTP/1.1\r\nHost: [::1]:8080\r\nCookie: a=b; c=d\r\nContent-Length: 1\r\n\r\nz",
]  # fmt: skip
FRAGMENTS = st.sampled_from(
    [
        *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b":", b"\0", b"\t", b"\xff", b";", b"5\r\n", b"0\r\n\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n", b"Content-Length: 9\r\n", b"Host: x\r\n"),
        *(b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"Expect: 100-continue\r\n"),
        *(b"GET / ", b"HTTP/1.1"),
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Valid requests, one behind the other, with bytes inserted, removed and replaced."""
    data = b"".join(draw(st.lists(st.sampled_from(VALID), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        removed = draw(st.integers(0, 6))
        data = data[:at] + draw(st.one_of(FRAGMENTS, st.binary(max_size=4))) + data[at + removed :]
    return data


def cut_at(data: bytes, cuts: list[int]) -> list[bytes]:
    points = [0, *sorted(cut for cut in set(cuts) if cut < len(data)), len(data)]
    return [data[a:b] for a, b in pairwise(points)]


def test_pipelined_requests_are_the_same_for_every_cut() -> None:
    data = VALID[0] + VALID[2] + VALID[2] + VALID[1]
    for cut in range(len(data)):
        written, seen, _ = run(cut_at(data, [cut]))
        assert [target for _, target, _, _ in seen] == ["/v1/models?a=b", "/v1/chat", "/v1/chat", "/v1/chat"]
        assert statuses_of(written) == [200] * 4


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(mutated(), st.lists(st.integers(0, 500), max_size=8))
def test_mutated_requests_get_valid_answers_whatever_the_cuts(data: bytes, cuts: list[int]) -> None:
    written, seen, closed = run([data])
    statuses = statuses_of(written)
    assert all(status == 200 or 400 <= status < 500 or status in (501, 505) for status in statuses)
    assert statuses.count(200) == len(seen)
    refused = [status for status in statuses if status != 200]
    assert len(refused) <= 1
    assert not refused or (closed and statuses[-1] != 200)
    again, seen_again, _ = run(cut_at(data, cuts))
    assert seen_again == seen
    assert statuses_of(again)[: len(seen)] == statuses[: len(seen)]


def reading(parse: Callable[[], tuple[RequestHead, int | None]]) -> object:
    try:
        head, length = parse()
    except HeadRefused as refusal:
        return refusal.status
    return head.method, head.target, head.host, head.headers, head.keep_alive, head.expects_continue, length


@FUZZ
@given(st.sampled_from([CHAT + b"Content-Length: 17\r\nX-Yz: w", CHAT + b"X-Yz: w\r\nContent-Length: 17"]), st.data())
def test_a_head_is_read_as_strictly_behind_another_one_as_alone(first: bytes, data: st.DataObject) -> None:
    memo = HeadMemo(100)
    memo.parse(first)
    at = data.draw(st.integers(0, len(first)))
    inserted = data.draw(st.one_of(FRAGMENTS, st.sampled_from([b"0", b"12", b"9" * 20, b"_", b"+"]), st.just(b"")))
    other = first[:at] + inserted + first[at + data.draw(st.integers(0, 3)) :]
    other = other.partition(b"\r\n\r\n")[0]
    assert reading(lambda: memo.parse(other)) == reading(lambda: parse_request(other + b"\r\n\r\n", 100))


@FUZZ
@given(st.lists(st.binary(max_size=60), max_size=10))
def test_random_bytes_never_reach_the_handler_and_never_crash(pieces: list[bytes]) -> None:
    written, seen, _ = run(pieces)
    assert not seen
    assert all(status >= 400 for status in statuses_of(written))


class Reference(BaseHTTPRequestHandler):
    """The standard library's reader."""

    def __init__(self, data: bytes) -> None:
        self.rfile = io.BytesIO(data)
        self.wfile = io.BytesIO()
        self.raw_requestline = self.rfile.readline()
        assert self.parse_request()

    def handle_expect_100(self) -> bool:
        return True

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        rest = self.rfile.read()

        class Socket:
            def makefile(self, mode: str) -> io.BytesIO:
                return io.BytesIO(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + rest)

        response = HTTPResponse(Socket())  # type: ignore[arg-type]
        response.begin()
        return response.read()


def fields(message: Message) -> list[tuple[bytes, bytes]]:
    """All but the length, which is the body's and not the head's."""
    pairs = [(name.lower().encode(), value.strip(" \t").encode("latin-1")) for name, value in message.items()]
    return [pair for pair in pairs if pair[0] != b"content-length"]


@pytest.mark.parametrize("request_bytes", VALID)
def test_an_honest_request_is_read_as_the_standard_library_reads_it(request_bytes: bytes) -> None:
    reference = Reference(request_bytes)
    _, seen, closed = run([request_bytes])
    ((method, target, headers, body),) = seen
    assert (method, target) == (reference.command, reference.path)
    assert headers == fields(reference.headers)
    assert body == reference.read_body()
    assert not closed


NAMES = st.text("abcXYZ019-_.!~", min_size=1, max_size=12).map(lambda name: "X-" + name)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)


@FUZZ
@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    st.text("abc/%20?=&.~:@+,;", max_size=30),
    st.lists(st.tuples(NAMES, VALUES), max_size=8),
    st.binary(max_size=50),
    st.lists(st.integers(1, 200), max_size=5),
)
def test_any_honest_request_is_read_as_the_standard_library_reads_it(
    method: str, path: str, pairs: list[tuple[str, str]], body: bytes, cuts: list[int]
) -> None:
    path = path.lstrip("/")  # the standard library collapses leading slashes
    head = f"{method} /{path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n"
    data = (head + "".join(f"{name}: {value}\r\n" for name, value in pairs) + "\r\n").encode() + body
    reference = Reference(data)
    _, seen, _ = run(cut_at(data, cuts))
    assert seen == [(method, reference.path, fields(reference.headers), reference.read_body())]
