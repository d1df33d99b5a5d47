from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from proxyapi.wire.errors import BodyTooLarge, ClientLeft
from proxyapi.wire.server import Exchange

GET = b"GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"


async def echo(exchange: Exchange) -> None:
    body = await exchange.read(1 << 20)
    exchange.respond(200, b"X-Path: %b\r\n" % exchange.path.encode(), exchange.method.encode() + b" " + body)


def test_requests_follow_each_other_on_one_connection(lab: Any) -> None:
    async def main() -> None:
        async with lab.server(echo) as (server, port):
            client = await lab.connect(port)
            for _ in range(3):
                client.send(POST)
                status, head, body = await client.answer()
                assert (status, body) == (200, b"POST hello")
                assert head == b"HTTP/1.1 200 OK\r\nX-Path: /p\r\nContent-Length: 10\r\n\r\n"
            assert server.connections == 1
            await lab.until(lambda: server.exchanges == 0)

    lab.run(main)


@pytest.mark.parametrize("cut", range(1, len(POST)))
def test_a_request_may_be_cut_at_every_byte(lab: Any, cut: int) -> None:
    async def main() -> None:
        async with lab.server(echo) as (_, port):
            client = await lab.connect(port)
            client.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.send(POST[:cut])
            await asyncio.sleep(0.001)
            client.send(POST[cut:] + GET)
            assert (await client.answer())[2] == b"POST hello"
            assert (await client.answer())[2] == b"GET "

    lab.run(main)


def test_a_request_may_come_byte_by_byte(lab: Any) -> None:
    data = b"\r\n" + POST.replace(
        b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )

    async def main() -> None:
        async with lab.server(echo) as (_, port):
            client = await lab.connect(port)
            for at in range(len(data)):
                client.send(data[at : at + 1])
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            assert (await client.answer())[2] == b"POST hello"

    lab.run(main)


def test_pipelined_requests_are_answered_one_at_a_time_in_order(lab: Any) -> None:
    running = most = 0

    async def handler(exchange: Exchange) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        body = await exchange.read(100)
        await asyncio.sleep(0.001)
        running -= 1
        exchange.respond(200, b"", body)

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(b"".join(POST.replace(b"hello", b"%05d" % number) for number in range(50)))
            for number in range(50):
                assert (await client.answer())[2] == b"%05d" % number
            assert most == 1

    lab.run(main)


def test_the_next_request_does_not_wait_for_what_a_handler_does_after_its_answer(lab: Any) -> None:
    settled: list[asyncio.Future[None]] = []

    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, b"", b"ok")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        settled.append(waiter)
        await waiter

    async def main() -> None:
        async with lab.server(handler) as (server, port):
            client = await lab.connect(port)
            for count in (1, 2, 3):
                client.send(GET)
                assert (await client.answer())[0] == 200
                await lab.until(lambda count=count: len(settled) == count)
            assert server.exchanges == 3
            for waiter in settled:
                waiter.set_result(None)
            await lab.until(lambda: server.exchanges == 0)
            client.send(GET)
            assert (await client.answer())[0] == 200
            await lab.until(lambda: len(settled) == 4)
            settled[3].set_result(None)

    lab.run(main)


def test_pipelined_bytes_are_kept_in_a_bounded_buffer(lab: Any) -> None:
    go: list[asyncio.Future[None]] = []

    async def handler(exchange: Exchange) -> None:
        go.append(asyncio.get_running_loop().create_future())
        await go[-1]
        exchange.respond(200, b"", b"")

    async def main() -> None:
        async with lab.server(handler, head_bytes_max=2_000) as (server, port):
            client = await lab.connect(port)
            client.send(GET * 400_000)
            await lab.until(lambda: bool(go))
            await asyncio.sleep(0.05)
            (connection,) = server._connections
            assert len(connection._buffer) < 600_000
            client.reset()
            go[0].set_result(None)

    lab.run(main)


def test_head_gets_the_head_alone_and_options_reaches_the_handler(lab: Any) -> None:
    async def main() -> None:
        async with lab.server(echo) as (_, port):
            client = await lab.connect(port)
            client.send(GET.replace(b"GET", b"HEAD"))
            _, head, _ = await client.answer(body=False)
            assert b"Content-Length: 5\r\n" in head
            client.send(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")
            assert (await client.answer())[2] == b"OPTIONS "

    lab.run(main)


@pytest.mark.parametrize("method", [b"HEAD", b"GET"])
def test_a_streamed_answer_without_a_body_ends_with_its_head(lab: Any, method: bytes) -> None:
    async def handler(exchange: Exchange) -> None:
        if exchange.method == "HEAD":
            exchange.start(200, b"", None)
            exchange.write(b"hidden")
        else:
            exchange.start(204, b"", None)
            exchange.write(b"hidden")
        exchange.finish()

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            for _ in range(2):
                client.send(GET.replace(b"GET", method))
                head = await client.head()
                assert head.startswith(b"HTTP/1.1 200" if method == b"HEAD" else b"HTTP/1.1 204")

    lab.run(main)


def test_a_chunked_answer_is_one_chunk_per_write(lab: Any) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.start(200, b"", None)
        for piece in (b"a", b"", b"bc" * 20):
            exchange.write(piece)
        exchange.finish()

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(GET.replace(b"1.1", b"1.1\r\nConnection: close"))
            whole = await client.end()
            assert whole.endswith(b"chunked\r\n\r\n1\r\na\r\n28\r\n" + b"bc" * 20 + b"\r\n0\r\n\r\n")
            assert b"Connection: close\r\n" in whole

    lab.run(main)


def test_a_client_of_http_1_0_gets_a_stream_up_to_the_close(lab: Any) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.start(200, b"", None)
        exchange.write(b"one ")
        exchange.write(b"two")
        exchange.finish()

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            whole = await client.end()
            assert whole.endswith(b"\r\n\r\none two")
            assert b"chunked" not in whole

    lab.run(main)


def test_a_client_of_http_1_0_may_keep_its_connection(lab: Any) -> None:
    async def main() -> None:
        async with lab.server(echo) as (_, port):
            client = await lab.connect(port)
            for _ in range(2):
                client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                _, head, _ = await client.answer()
                assert b"Connection: keep-alive\r\n" in head

    lab.run(main)


def test_a_counted_answer_that_is_cut_short_closes_the_connection(lab: Any) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.start(200, b"", 10)
        exchange.write(b"short")
        await asyncio.sleep(0.01)
        exchange.finish()

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(GET)
            await client.head()
            assert await client.end() in (b"short", b"")

    lab.run(main)


def test_continue_is_sent_when_the_body_is_first_read(lab: Any) -> None:
    async def main() -> None:
        async with lab.server(echo) as (_, port):
            client = await lab.connect(port)
            client.send(POST[:-9].replace(b"Host", b"Expect: 100-Continue\r\nHost") + b"\r\n\r\n")
            assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(b"hello")
            assert (await client.answer())[2] == b"POST hello"

    lab.run(main)


def test_a_refused_expectation_gets_the_final_answer_and_a_close(lab: Any) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(401, b"", b"no")

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(POST[:-9].replace(b"Host", b"Expect: 100-continue\r\nHost") + b"\r\n\r\n")
            status, head, _ = await client.answer()
            assert status == 401
            assert b"Connection: close\r\n" in head
            assert await client.end() == b""

    lab.run(main)


def test_a_small_unread_body_is_drained_and_the_connection_goes_on(lab: Any) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(401, b"", b"no")

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
            assert (await client.answer())[0] == 401
            client.send(b"def" + GET)
            assert (await client.answer())[0] == 401

    lab.run(main)


def test_a_large_unread_body_ends_the_connection_but_not_before_the_answer_is_read(lab: Any) -> None:
    async def handler(exchange: Exchange) -> None:
        with pytest.raises(BodyTooLarge):
            await exchange.read(1_000)
        exchange.respond(413, b"", b"too large")

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 9_000_000)
            assert (await client.answer())[2] == b"too large"

    lab.run(main)


def test_a_chunked_body_over_the_limit_is_refused_as_soon_as_it_is(lab: Any) -> None:
    async def main() -> None:
        async with lab.server(echo, body_bytes_max=1_000) as (_, port):
            client = await lab.connect(port)
            client.send(
                b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + b"64\r\n" + b"x" * 100 + b"\r\n"
            )
            client.send((b"64\r\n" + b"x" * 100 + b"\r\n") * 11)
            assert (await client.answer())[0] == 413

    lab.run(main)


def test_a_streamed_upload_is_bounded_by_the_servers_limit_and_paused_while_nobody_reads(lab: Any) -> None:
    received = 0
    go = asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        nonlocal received
        await go.wait()
        assert exchange.buffered_bytes < 600_000, exchange.buffered_bytes
        while piece := await exchange.read_some():
            assert len(piece) < 600_000, len(piece)
            received += len(piece)
        exchange.respond(200, b"", b"%d" % received)

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n" + b"x" * 20_000_000)
            await asyncio.sleep(0.05)
            go.set()
            assert (await client.answer())[2] == b"20000000"

    lab.run(main)


def test_a_body_that_has_arrived_is_read_without_suspending(lab: Any) -> None:
    async def handler(exchange: Exchange) -> None:
        assert exchange.body_complete
        reading = exchange.read(100)
        with pytest.raises(StopIteration) as stop:
            reading.send(None)
        exchange.respond(200, b"", stop.value.value)

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(POST)
            assert (await client.answer())[2] == b"hello"

    lab.run(main)


def test_a_client_that_shut_down_its_side_still_gets_all_its_answers(lab: Any) -> None:
    async def handler(exchange: Exchange) -> None:
        await asyncio.sleep(0.3)
        exchange.respond(200, b"", exchange.path.encode())

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(GET + GET)
            client.writer.write_eof()
            assert (await client.answer())[2] == b"/a"
            assert (await client.answer())[2] == b"/a"
            assert await client.end() == b""

    lab.run(main)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_is_gone_is_noticed_while_the_handler_waits(lab: Any, how: str) -> None:
    gone = asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        exchange.on_gone(gone.set)
        await gone.wait()
        assert exchange.gone
        exchange.respond(200, b"", b"nobody reads this")

    async def main() -> None:
        async with lab.server(handler) as (server, port):
            client = await lab.connect(port)
            client.send(GET)
            await lab.until(lambda: server.exchanges == 1)
            if how == "close":
                client.writer.close()
            else:
                client.reset()
            await gone.wait()
            await lab.until(lambda: server.exchanges == 0 and server.connections == 0)

    lab.run(main)


def test_a_client_that_closes_during_a_stream_is_noticed(lab: Any) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.start(200, b"", None)
        while not exchange.gone:
            exchange.write(b"tick")
            await asyncio.sleep(0.005)
        exchange.finish()

    async def main() -> None:
        async with lab.server(handler, tick_seconds=0.01) as (server, port):
            client = await lab.connect(port)
            client.send(GET)
            await client.head()
            client.writer.close()
            await lab.until(lambda: server.exchanges == 0 and server.connections == 0)

    lab.run(main)


def test_a_client_that_leaves_in_the_middle_of_its_body_fails_the_read(lab: Any) -> None:
    seen: list[BaseException] = []

    async def handler(exchange: Exchange) -> None:
        try:
            await exchange.read(100)
        except ClientLeft as error:
            seen.append(error)
            raise

    async def main() -> None:
        async with lab.server(handler) as (server, port):
            client = await lab.connect(port)
            client.send(POST[:-2])
            await lab.until(lambda: server.exchanges == 1)
            client.writer.write_eof()
            assert await client.end() == b""
            await lab.until(lambda: bool(seen))

    lab.run(main)


class Faucet:
    """A source that writes into an exchange as long as it is not paused."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.paused = False
        self.written = 0

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def test_a_slow_reader_pauses_the_source_and_memory_stays_bounded(lab: Any) -> None:
    faucets: list[Faucet] = []
    total = 30_000_000

    async def handler(exchange: Exchange) -> None:
        exchange.start(200, b"", total)
        faucet = Faucet(exchange)
        faucets.append(faucet)
        exchange.couple(faucet)
        while faucet.written < total:
            if not faucet.paused:
                exchange.write(b"x" * 10_000)
                faucet.written += 10_000
            await asyncio.sleep(0)
        exchange.finish()

    async def main() -> None:
        async with lab.server(handler) as (server, port):
            client = await lab.connect(port, limit=1_000)
            client.send(GET)
            await lab.until(lambda: bool(faucets) and faucets[0].paused)
            await asyncio.sleep(0.02)
            (connection,) = server._connections
            assert connection.transport.get_write_buffer_size() < 200_000
            assert faucets[0].written < total
            await client.head()
            assert len(await client.reader.readexactly(total)) == total

    lab.run(main)


def test_a_writer_may_wait_until_the_client_has_read(lab: Any) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.start(200, b"", None)
        for _ in range(1_000):
            exchange.write(b"x" * 10_000)
            await exchange.drained()
        exchange.finish()

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(GET)
            assert len((await client.answer())[2]) == 10_000_000

    lab.run(main)


def test_requests_are_not_taken_while_the_client_does_not_read_their_answers(lab: Any) -> None:
    answered = 0

    async def handler(exchange: Exchange) -> None:
        nonlocal answered
        answered += 1
        exchange.respond(200, b"", b"x" * 1_000_000)

    async def main() -> None:
        async with lab.server(handler) as (server, port):
            client = await lab.connect(port, limit=1_000)
            client.send(GET * 100)
            await asyncio.sleep(0.2)
            assert answered < 20
            (connection,) = server._connections
            assert connection.transport.get_write_buffer_size() < 3_000_000
            for _ in range(100):
                await client.answer()

    lab.run(main)


def test_one_address_may_have_so_many_connections(lab: Any) -> None:
    async def main() -> None:
        async with lab.server(echo, connections_per_address_max=2) as (server, port):
            first, second = await lab.connect(port), await lab.connect(port)
            for client in (first, second):
                client.send(GET)
                await client.answer()
            third = await lab.connect(port)
            assert (await third.answer())[0] == 429
            assert await third.end() == b""
            first.writer.close()
            third.writer.close()
            await lab.until(lambda: server.connections == 1)
            fourth = await lab.connect(port)
            fourth.send(GET)
            assert (await fourth.answer())[0] == 200

    lab.run(main)


def test_stopping_closes_idle_connections_and_lets_running_exchanges_end(lab: Any) -> None:
    go = asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        await go.wait()
        exchange.respond(200, b"", b"done")

    async def main() -> None:
        async with lab.server(handler) as (server, port):
            idle, busy = await lab.connect(port), await lab.connect(port)
            busy.send(GET)
            await lab.until(lambda: server.exchanges == 1 and server.connections == 2)
            stopping = asyncio.ensure_future(server.stop(5))
            assert await idle.end() == b""
            with pytest.raises(OSError):
                await lab.connect(port)
            go.set()
            status, head, body = await busy.answer()
            assert (status, body) == (200, b"done")
            assert b"Connection: close\r\n" in head
            await stopping
            assert server.connections == 0

    lab.run(main)


def test_stopping_cuts_what_outlives_the_grace(lab: Any) -> None:
    ended: list[str] = []

    async def handler(exchange: Exchange) -> None:
        gone = asyncio.Event()
        exchange.on_gone(gone.set)
        await gone.wait()
        ended.append("settled")

    async def main() -> None:
        async with lab.server(handler) as (server, port):
            client = await lab.connect(port)
            client.send(GET)
            await lab.until(lambda: server.exchanges == 1)
            await server.stop(0.01)
            assert ended == ["settled"]
            assert await client.end() == b""
            assert not server.tasks

    lab.run(main)


def test_a_crash_costs_one_exchange_and_is_reported(lab: Any) -> None:
    async def handler(exchange: Exchange) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            async with lab.server(handler) as (_, port):
                client = await lab.connect(port)
                client.send(GET)
                assert (await client.answer())[0] == 500
                client.send(GET)
                assert (await client.answer())[0] == 500

    lab.run(main)


def test_a_handler_that_leaves_its_stream_open_cuts_the_connection(lab: Any) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.start(200, b"", None)
        exchange.write(b"half")

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(GET)
            assert not (await client.end()).endswith(b"0\r\n\r\n")

    lab.run(main)


class Witness:
    """Writes down what passes."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []

    def received(self, data: bytes) -> None:
        self.seen.append(("received", data))

    def answers(self, headers: bytes) -> None:
        self.seen.append(("answers", headers))

    def sent(self, data: bytes) -> None:
        self.seen.append(("sent", data))


def test_a_witness_sees_what_passes_whichever_way_it_goes(lab: Any) -> None:
    whole, streamed, refused = Witness(), Witness(), Witness()

    async def handler(exchange: Exchange) -> None:
        exchange.witness = {"/whole": whole, "/streamed": streamed, "/refused": refused}[exchange.path]
        if exchange.path == "/refused":
            exchange.respond(403, b"", b"no")
            return
        await exchange.read(100)
        if exchange.path == "/whole":
            exchange.respond(200, b"A: b\r\n", b"yes")
            return
        exchange.start(200, b"C: d\r\n", None)
        exchange.write(b"one")
        exchange.pass_on(b"two", b"3\r\ntwo\r\n")
        exchange.pass_on(b"three", b"")
        exchange.finish()

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            for path in (b"/whole", b"/streamed", b"/refused"):
                client.send(POST.replace(b"/p", path))
                await client.answer()

    lab.run(main)
    assert whole.seen == [("received", b"hello"), ("answers", b"A: b\r\n"), ("sent", b"yes")]
    assert streamed.seen[:2] == [("received", b"hello"), ("answers", b"C: d\r\n")]
    assert streamed.seen[2:] == [("sent", b"one"), ("sent", b"two"), ("sent", b"three")]
    assert sorted(refused.seen) == [("answers", b""), ("received", b"hello"), ("sent", b"no")]


def test_answering_twice_is_refused(lab: Any) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, b"", b"")
        with pytest.raises(RuntimeError):
            exchange.respond(200, b"", b"")
        with pytest.raises(RuntimeError):
            exchange.start(200, b"", 0)

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(GET)
            assert (await client.answer())[0] == 200

    lab.run(main)


def test_a_bound_socket_can_be_served(lab: Any) -> None:
    async def main() -> None:
        async with lab.server(echo) as (server, _):
            sock = socket.create_server(("127.0.0.1", 0))
            port = await server.listen_socket(sock)
            client = await lab.connect(port)
            client.send(GET)
            assert (await client.answer())[0] == 200

    lab.run(main)


def test_sockets_have_no_delay(lab: Any) -> None:
    async def main() -> None:
        async with lab.server(echo) as (server, port):
            client = await lab.connect(port)
            client.send(GET)
            await client.answer()
            (connection,) = server._connections
            sock = connection.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert connection.peer == "127.0.0.1"

    lab.run(main)
