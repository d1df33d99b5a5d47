"""Server and pool together, as the gateway uses them."""

from __future__ import annotations

import asyncio
from typing import Any

from proxyapi.wire.client import Origin, Pool
from proxyapi.wire.errors import WireError
from proxyapi.wire.server import Exchange


def relay(pool: Pool, origin: Origin) -> Any:
    async def handler(exchange: Exchange) -> None:
        body = await exchange.read(1 << 24)
        head = b"POST / HTTP/1.1\r\nHost: u\r\nContent-Length: %d\r\n\r\n" % len(body)
        response = await pool.send(origin, head, body, method="POST")
        exchange.on_gone(response.close)
        exchange.start(response.status, b"", response.length)
        exchange.couple(response)
        try:
            await response.pipe(exchange.pass_on)
        except WireError:
            exchange.abort()
        else:
            exchange.finish()

    return handler


def test_a_slow_client_stops_the_upstream_and_memory_stays_bounded(lab: Any) -> None:
    total = 40_000_000
    sent = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            await reader.readuntil(b"\r\n\r\n")
            sent = 0
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while sent < total:
                writer.write(b"186a0\r\n" + b"x" * 100_000 + b"\r\n")
                sent += 100_000
                await writer.drain()
            writer.write(b"0\r\n\r\n")

    async def main() -> None:
        async with (
            lab.upstream(script) as origin,
            lab.pool() as pool,
            lab.server(relay(pool, origin)) as (server, port),
        ):
            client = await lab.connect(port, limit=1_000)
            for _ in range(2):
                client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                await asyncio.sleep(0.2)
                stopped_at = sent
                assert stopped_at < total
                await asyncio.sleep(0.1)
                assert sent == stopped_at
                (connection,) = server._connections
                assert connection.transport.get_write_buffer_size() < 700_000
                assert len((await client.answer())[2]) == total
            assert pool.connections == 1

    lab.run(main)


def test_a_client_that_leaves_takes_its_upstream_with_it(lab: Any) -> None:
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        await reader.read()
        ended.set()

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool() as pool, lab.server(relay(pool, origin)) as (_, port):
            client = await lab.connect(port)
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await client.head()
            client.reset()
            await ended.wait()
            await lab.until(lambda: pool.connections == 0)

    lab.run(main)


def test_an_upstream_that_breaks_off_is_not_hidden_from_the_client(lab: Any) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        await writer.drain()

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool() as pool, lab.server(relay(pool, origin)) as (_, port):
            client = await lab.connect(port)
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert not (await client.end()).endswith(b"0\r\n\r\n")

    lab.run(main)
