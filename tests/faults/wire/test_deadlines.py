"""Slow and silent peers. Limits are tiny, so that nothing has to sleep through real ones."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxyapi.wire.errors import BodyTimeout, ClientLeft, FirstByteTimeout, IdleTimeout
from proxyapi.wire.server import Exchange

FAST = {"tick_seconds": 0.01, "linger_seconds": 0.05}
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
HEAD = b"POST /up HTTP/1.1\r\nHost: u\r\nContent-Length: 2\r\n\r\n"


async def ok(exchange: Exchange) -> None:
    exchange.respond(200, b"", b"ok")


def test_a_head_that_comes_too_slowly_is_answered_408(lab: Any) -> None:
    async def main() -> None:
        async with lab.server(ok, head_seconds=0.05, **FAST) as (server, port):
            client = await lab.connect(port)
            client.send(GET)
            assert (await client.answer())[0] == 200
            client.send(GET[:10])
            status, head, _ = await client.answer()
            assert status == 408
            assert b"Connection: close\r\n" in head
            assert await client.end() == b""
            client.writer.close()
            await lab.until(lambda: server.connections == 0)

    lab.run(main)


def test_dripping_bytes_do_not_prolong_a_head(lab: Any) -> None:
    async def main() -> None:
        async with lab.server(ok, head_seconds=0.05, **FAST) as (_, port):
            client = await lab.connect(port)

            async def drip() -> None:
                client.send(GET[:-2])
                while True:
                    client.send(b"X: y\r\n")
                    await asyncio.sleep(0.005)

            dripping = asyncio.ensure_future(drip())
            assert (await client.answer())[0] == 408
            dripping.cancel()

    lab.run(main)


def test_a_silent_connection_is_closed_without_a_word(lab: Any) -> None:
    async def main() -> None:
        async with lab.server(ok, idle_seconds=0.05, **FAST) as (server, port):
            client = await lab.connect(port)
            assert await client.end() == b""
            client = await lab.connect(port)
            client.send(GET)
            await client.answer()
            assert await client.end() == b""
            await lab.until(lambda: server.connections == 0)

    lab.run(main)


@pytest.mark.parametrize("caught", [True, False])
def test_a_body_that_comes_too_slowly_fails_the_read(lab: Any, caught: bool) -> None:
    async def handler(exchange: Exchange) -> None:
        try:
            await exchange.read(100)
        except BodyTimeout:
            if not caught:
                raise
            exchange.respond(408, b"", b"mine")

    async def main() -> None:
        async with lab.server(handler, body_idle_seconds=0.05, **FAST) as (server, port):
            client = await lab.connect(port)
            client.send(HEAD + b"h")
            status, head, _ = await client.answer()
            assert status == 408
            assert b"Connection: close\r\n" in head
            client.writer.close()
            await lab.until(lambda: server.connections == 0)

    lab.run(main)


def test_a_client_that_reads_nothing_is_cut(lab: Any) -> None:
    seen: list[str] = []

    async def handler(exchange: Exchange) -> None:
        exchange.on_gone(lambda: seen.append("gone"))
        exchange.start(200, b"", None)
        try:
            while True:
                exchange.write(b"x" * 100_000)
                await exchange.drained()
        except ClientLeft:
            seen.append("left")
            raise

    async def main() -> None:
        async with lab.server(handler, write_stall_seconds=0.1, **FAST) as (server, port):
            client = await lab.connect(port, limit=1_000)
            client.send(GET)
            await lab.until(lambda: seen == ["gone", "left"])
            await lab.until(lambda: server.connections == 0 and server.exchanges == 0)

    lab.run(main)


def test_a_refused_client_that_goes_on_sending_is_cut(lab: Any) -> None:
    async def main() -> None:
        async with lab.server(ok, **FAST) as (server, port):
            client = await lab.connect(port)
            client.send(b"nonsense\r\n\r\n")
            assert (await client.answer())[0] == 400
            await lab.until(lambda: server.connections == 0)

    lab.run(main)


def silent(prefix: bytes) -> Any:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(prefix)
        await asyncio.sleep(30)

    return script


def test_an_upstream_that_does_not_begin_to_answer_times_out(lab: Any) -> None:
    async def main() -> None:
        async with lab.upstream(silent(b"")) as origin, lab.pool(first_byte_seconds=0.05, tick_seconds=0.01) as pool:
            with pytest.raises(FirstByteTimeout):
                await pool.send(origin, HEAD, b"hi", method="POST")
            await lab.until(lambda: pool.connections == 0)

    lab.run(main)


@pytest.mark.parametrize("way", ["read", "pipe"])
def test_an_upstream_that_stalls_in_its_answer_times_out(lab: Any, way: str) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"

    async def main() -> None:
        async with lab.upstream(silent(answer)) as origin, lab.pool(idle_seconds=0.05, tick_seconds=0.01) as pool:
            response = await pool.send(origin, HEAD, b"hi", method="POST")
            with pytest.raises(IdleTimeout):
                await (response.read(10) if way == "read" else response.pipe(lambda data, framed: None))
            await lab.until(lambda: pool.connections == 0)

    lab.run(main)


def test_the_silence_of_a_paused_upstream_does_not_count(lab: Any) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"

    async def main() -> None:
        async with lab.upstream(silent(answer)) as origin, lab.pool(idle_seconds=0.05, tick_seconds=0.01) as pool:
            response = await pool.send(origin, HEAD, b"hi", method="POST")
            response.pause_reading()
            reading = asyncio.ensure_future(response.read(10))
            await asyncio.sleep(0.2)
            assert not reading.done()
            response.resume_reading()
            with pytest.raises(IdleTimeout):
                await reading

    lab.run(main)


@pytest.mark.parametrize("streamed", [True, False])
def test_an_upstream_that_does_not_take_the_request_times_out(lab: Any, streamed: bool) -> None:
    size = 50_000_000
    head = b"POST /up HTTP/1.1\r\nHost: u\r\nContent-Length: %d\r\n\r\n" % size

    class Source:
        length = size

        async def read(self, n: int) -> bytes:
            return b"x" * n

        def rewind(self) -> None:
            raise AssertionError

    async def main() -> None:
        async with (
            lab.upstream(silent(b"")) as origin,
            lab.pool(write_stall_seconds=0.1, tick_seconds=0.01) as pool,
        ):
            with pytest.raises(IdleTimeout):
                await pool.send(origin, head, Source() if streamed else b"x" * size, method="POST")
            await lab.until(lambda: pool.connections == 0)

    lab.run(main)


def test_idle_pooled_connections_are_closed_in_time(lab: Any) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool(pooled_idle_seconds=0.05, tick_seconds=0.01) as pool:
            await pool.send(origin, HEAD, b"hi", method="POST")
            assert pool.idle_connections == 1
            await lab.until(lambda: pool.connections == 0)

    lab.run(main)


def test_a_long_lived_exchange_is_not_sent_again_when_its_pooled_connection_breaks(lab: Any) -> None:
    requests = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            requests += 1
            if requests == 2:
                await asyncio.sleep(0.15)
                return
            await reader.readexactly(2)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool(tick_seconds=0.01) as pool:
            await pool.send(origin, HEAD, b"hi", method="POST")
            from proxyapi.wire import client as module  # the bound is a constant of the module

            before, module.STALE_SECONDS = module.STALE_SECONDS, 0.02
            try:
                with pytest.raises(Exception, match="closed"):
                    await pool.send(origin, HEAD, b"hi", method="POST")
            finally:
                module.STALE_SECONDS = before
            assert requests == 2

    lab.run(main)
