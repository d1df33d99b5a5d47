from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxyapi.wire.client import Origin
from proxyapi.wire.errors import (
    BodyTooLarge,
    ConnectFailed,
    ConnectionLost,
    ConnectTimeout,
    ProtocolViolation,
)

HEAD = b"POST /up HTTP/1.1\r\nHost: u\r\nContent-Length: 2\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def read_request(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(2)


def answering(*answers: bytes, close: bool = False) -> Any:
    """An upstream that gives each request of a connection its answer, then closes or waits."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await read_request(reader)
            writer.write(answer)
        if not close:
            await reader.read()

    return script


def test_connections_are_used_again(lab: Any) -> None:
    async def main() -> None:
        async with lab.upstream(answering(OK, OK, OK)) as origin, lab.pool() as pool:
            for _ in range(3):
                response = await pool.send(origin, HEAD, b"hi", method="POST")
                assert (response.status, response.length, response.complete) == (200, 2, True)
                assert await response.read(10) == b"ok"
            assert (pool.connections, pool.idle_connections) == (1, 1)

    lab.run(main)


def test_a_body_that_has_arrived_is_read_without_suspending(lab: Any) -> None:
    async def main() -> None:
        async with lab.upstream(answering(OK)) as origin, lab.pool() as pool:
            response = await pool.send(origin, HEAD, b"hi", method="POST")
            with pytest.raises(StopIteration) as stop:
                response.read(10).send(None)
            assert stop.value.value == b"ok"

    lab.run(main)


ANSWERS = {
    "counted": b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    "after interim answers": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
    "up to the close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello world",
}


@pytest.mark.parametrize("way", ["read", "pipe"])
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_may_be_cut_at_every_byte(lab: Any, name: str, way: str) -> None:
    answer = ANSWERS[name]
    cuts = iter(range(1, len(answer)))
    last = name == "up to the close"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for cut in cuts:
            await read_request(reader)
            writer.write(answer[:cut])
            await asyncio.sleep(0.0005)
            writer.write(answer[cut:])
            if last:
                return

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool() as pool:
            for _ in range(1, len(answer)):
                response = await pool.send(origin, HEAD, b"hi", method="POST")
                if way == "read":
                    assert await response.read(100) == b"hello world"
                else:
                    pieces: list[bytes] = []
                    await response.pipe(lambda data, framed, pieces=pieces: pieces.append(data))
                    assert b"".join(pieces) == b"hello world"
                assert response.complete

    lab.run(main)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"]
)
def test_answers_without_a_body_end_with_their_head(lab: Any, answer: bytes) -> None:
    async def main() -> None:
        async with lab.upstream(answering(answer, answer)) as origin, lab.pool() as pool:
            for _ in range(2):
                response = await pool.send(origin, HEAD, b"hi", method="POST")
                assert await response.read(10) == b""
            assert pool.connections == 1

    lab.run(main)


def test_the_answer_to_head_has_no_body(lab: Any) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"

    async def main() -> None:
        async with lab.upstream(answering(answer, answer)) as origin, lab.pool() as pool:
            for _ in range(2):
                response = await pool.send(origin, HEAD.replace(b"POST", b"HEAD"), b"hi", method="HEAD")
                assert response.complete
                assert response.length == 7
            assert pool.connections == 1

    lab.run(main)


def test_a_stale_connection_is_replaced_when_no_byte_was_received(lab: Any) -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(OK)
        if connections == 1:
            await read_request(reader)
            writer.transport.abort()
        else:
            await reader.read()

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool() as pool:
            for _ in range(2):
                response = await pool.send(origin, HEAD, b"hi", method="POST")
                assert await response.read(10) == b"ok"
            assert connections == 2

    lab.run(main)


def test_a_request_is_not_sent_again_once_a_byte_was_received(lab: Any) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)
        writer.write(b"HTTP/1.1 2")

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool() as pool:
            await pool.send(origin, HEAD, b"hi", method="POST")
            with pytest.raises(ConnectionLost) as lost:
                await pool.send(origin, HEAD, b"hi", method="POST")
            assert lost.value.received

    lab.run(main)


def test_a_request_on_a_fresh_connection_is_not_sent_again(lab: Any) -> None:
    requests = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await read_request(reader)
        requests += 1

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool() as pool:
            with pytest.raises(ConnectionLost) as lost:
                await pool.send(origin, HEAD, b"hi", method="POST")
            assert not lost.value.received
            assert requests == 1

    lab.run(main)


def test_an_idle_connection_that_the_upstream_closed_is_forgotten(lab: Any) -> None:
    async def main() -> None:
        async with lab.upstream(answering(OK, close=True)) as origin, lab.pool() as pool:
            for _ in range(3):
                response = await pool.send(origin, HEAD, b"hi", method="POST")
                assert await response.read(10) == b"ok"
                await lab.until(lambda: pool.connections == 0)
            assert pool.idle_connections == 0

    lab.run(main)


@pytest.mark.parametrize("more", [b"x", OK])
def test_a_connection_with_bytes_that_nobody_asked_for_is_dropped(lab: Any, more: bytes) -> None:
    async def main() -> None:
        async with lab.upstream(answering(OK + more)) as origin, lab.pool() as pool:
            response = await pool.send(origin, HEAD, b"hi", method="POST")
            assert await response.read(10) == b"ok"
            await lab.until(lambda: pool.connections == 0)

    lab.run(main)


@pytest.mark.parametrize("cut", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", ANSWERS["chunked"][:-3]])
@pytest.mark.parametrize("way", ["read", "pipe"])
def test_an_answer_that_is_cut_is_not_taken_for_whole(lab: Any, cut: bytes, way: str) -> None:
    async def main() -> None:
        async with lab.upstream(answering(cut, close=True)) as origin, lab.pool() as pool:
            response = await pool.send(origin, HEAD, b"hi", method="POST")
            with pytest.raises(ConnectionLost) as lost:
                await (response.read(100) if way == "read" else response.pipe(lambda data, framed: None))
            assert lost.value.received
            assert not response.complete

    lab.run(main)


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000,
    ],
)
def test_an_answer_that_is_no_http_is_a_violation(lab: Any, answer: bytes) -> None:
    async def main() -> None:
        async with lab.upstream(answering(answer)) as origin, lab.pool() as pool:
            with pytest.raises(ProtocolViolation):
                await pool.send(origin, HEAD, b"hi", method="POST")
            await lab.until(lambda: pool.connections == 0)

    lab.run(main)


def test_bad_chunks_break_the_pipe(lab: Any) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nxyz\r\n"

    async def main() -> None:
        async with lab.upstream(answering(answer)) as origin, lab.pool() as pool:
            with pytest.raises(ProtocolViolation):
                response = await pool.send(origin, HEAD, b"hi", method="POST")
                await response.pipe(lambda data, framed: None)

    lab.run(main)


@pytest.mark.parametrize("answer", [ANSWERS["counted"], ANSWERS["chunked"]])
def test_a_body_over_the_bound_is_refused(lab: Any, answer: bytes) -> None:
    async def main() -> None:
        async with lab.upstream(answering(answer)) as origin, lab.pool() as pool:
            response = await pool.send(origin, HEAD, b"hi", method="POST")
            with pytest.raises(BodyTooLarge):
                await response.read(10)

    lab.run(main)


def test_what_feed_raises_comes_out_of_pipe_and_the_connection_is_cut(lab: Any) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(ANSWERS["chunked"][:-20])
        await asyncio.sleep(0.01)
        writer.write(ANSWERS["chunked"][-20:])
        await reader.read()

    def feed(data: bytes, framed: bytes) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool() as pool:
            response = await pool.send(origin, HEAD, b"hi", method="POST")
            with pytest.raises(ZeroDivisionError):
                await response.pipe(feed)
            await lab.until(lambda: pool.connections == 0)

    lab.run(main)


def test_closing_a_response_cuts_an_incomplete_answer_only(lab: Any) -> None:
    async def main() -> None:
        async with lab.upstream(answering(OK, ANSWERS["counted"][:-1])) as origin, lab.pool() as pool:
            response = await pool.send(origin, HEAD, b"hi", method="POST")
            response.close()
            assert pool.idle_connections == 1
            response = await pool.send(origin, HEAD, b"hi", method="POST")
            response.close()
            response.close()
            await lab.until(lambda: pool.connections == 0)

    lab.run(main)


def test_a_cancelled_caller_cuts_its_connection(lab: Any) -> None:
    async def main() -> None:
        async with lab.upstream(answering(b"")) as origin, lab.pool() as pool:
            sending = asyncio.ensure_future(pool.send(origin, HEAD, b"hi", method="POST"))
            await lab.until(lambda: pool.connections == 1)
            await asyncio.sleep(0.01)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            await lab.until(lambda: pool.connections == 0)

    lab.run(main)


def test_an_unread_answer_stops_the_upstream_and_goes_on_when_it_is_read(lab: Any) -> None:
    total = 30_000_000

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total + b"x" * total)

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool() as pool:
            for way in ("read", "pipe"):
                response = await pool.send(origin, HEAD, b"hi", method="POST")
                await asyncio.sleep(0.05)
                assert response.received < 2_000_000
                if way == "read":
                    assert len(await response.read(total)) == total
                else:
                    sizes: list[int] = []
                    await response.pipe(lambda data, framed, sizes=sizes: sizes.append(len(data)))
                    assert sum(sizes) == total
                response.close()

    lab.run(main)


def test_a_paused_response_is_not_resumed_by_reading_it(lab: Any) -> None:
    total = 10_000_000

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total + b"x" * total)

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool() as pool:
            response = await pool.send(origin, HEAD, b"hi", method="POST")
            response.pause_reading()
            sizes: list[int] = []
            piping = asyncio.ensure_future(response.pipe(lambda data, framed: sizes.append(len(data))))
            await asyncio.sleep(0.05)
            assert sum(sizes) < 2_000_000
            response.resume_reading()
            await piping
            assert sum(sizes) == total

    lab.run(main)


class Source:
    """A body in pieces."""

    def __init__(self, pieces: list[bytes], length: int | None) -> None:
        self.pieces = pieces
        self.length = length
        self.at = 0
        self.rewound = 0

    async def read(self, n: int) -> bytes:
        await asyncio.sleep(0)
        self.at += 1
        return self.pieces[self.at - 1] if self.at <= len(self.pieces) else b""

    def rewind(self) -> None:
        self.at = 0
        self.rewound += 1


@pytest.mark.parametrize("length", [3_000_000, None])
def test_an_upload_is_sent_piece_by_piece(lab: Any, length: int | None) -> None:
    pieces = [b"%d" % (number % 10) * 100_000 for number in range(30)]
    framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        client = lab.Client(reader, writer)
        body = await client.chunks() if length is None else await reader.readexactly(length)
        writer.write(OK if body == b"".join(pieces) else b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool() as pool:
            head = b"POST / HTTP/1.1\r\nHost: u\r\n%b\r\n\r\n" % framing
            response = await pool.send(origin, head, Source(pieces, length), method="POST")
            assert response.status == 200
            assert pool.idle_connections == 1

    lab.run(main)


def test_an_early_answer_stops_the_upload(lab: Any) -> None:
    pieces = [b"x" * 100_000] * 1_000

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await asyncio.sleep(10)

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool() as pool:
            source = Source(pieces, 100_000_000)
            head = b"POST / HTTP/1.1\r\nHost: u\r\nContent-Length: 100000000\r\n\r\n"
            response = await pool.send(origin, head, source, method="POST")
            assert response.status == 413
            assert await response.read(10) == b"no"
            assert source.at < 1_000
            await lab.until(lambda: pool.connections == 0)

    lab.run(main)


def test_an_upload_on_a_stale_connection_begins_again(lab: Any) -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(OK)
        if connections == 2:
            await reader.read()

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool() as pool:
            await pool.send(origin, HEAD, b"hi", method="POST")
            source = Source([b"h", b"i"], 2)
            assert (await pool.send(origin, HEAD, source, method="POST")).status == 200
            assert connections == 2

    lab.run(main)


def test_a_large_body_is_sent_whole(lab: Any) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(20_000_000)
        writer.write(OK)

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool() as pool:
            head = b"POST / HTTP/1.1\r\nHost: u\r\nContent-Length: 20000000\r\n\r\n"
            response = await pool.send(origin, head, b"x" * 20_000_000, method="POST")
            assert await response.read(10) == b"ok"

    lab.run(main)


def test_no_more_connections_are_opened_than_allowed(lab: Any) -> None:
    most = now = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        while True:
            await read_request(reader)
            await asyncio.sleep(0.001)
            writer.write(OK)

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool(most=3) as pool:

            async def one() -> bytes:
                return bytes(await (await pool.send(origin, HEAD, b"hi", method="POST")).read(10))

            assert await asyncio.gather(*(one() for _ in range(30))) == [b"ok"] * 30
            assert most == 3

    lab.run(main)


def test_waiting_for_a_place_has_an_end(lab: Any) -> None:
    async def main() -> None:
        async with lab.upstream(answering(b"")) as origin, lab.pool(most=1, connect_seconds=0.02) as pool:
            sending = asyncio.ensure_future(pool.send(origin, HEAD, b"hi", method="POST"))
            await lab.until(lambda: pool.connections == 1)
            with pytest.raises(ConnectTimeout):
                await pool.send(origin, HEAD, b"hi", method="POST")
            sending.cancel()

    lab.run(main)


def test_a_closed_port_and_an_unknown_host_are_connect_failures(lab: Any) -> None:
    async def main() -> None:
        async with lab.upstream(answering()) as origin:
            pass
        async with lab.pool() as pool:
            for nowhere in (
                origin,
                Origin("http", "host.invalid", 80),
                Origin("http", "", 1),
                Origin("http", "a" * 300, 1),
            ):
                with pytest.raises((ConnectFailed, ConnectTimeout)):
                    await pool.send(nowhere, HEAD, b"hi", method="POST")
            assert pool.connections == 0

    lab.run(main)


def test_closing_the_pool_fails_what_is_in_flight(lab: Any) -> None:
    async def main() -> None:
        async with lab.upstream(answering(b"")) as origin, lab.pool() as pool:
            sending = asyncio.ensure_future(pool.send(origin, HEAD, b"hi", method="POST"))
            await lab.until(lambda: pool.connections == 1)
            await asyncio.sleep(0.01)
            await pool.close()
            with pytest.raises(ConnectionLost):
                await sending
            with pytest.raises(ConnectFailed):
                await pool.send(origin, HEAD, b"hi", method="POST")

    lab.run(main)
