"""Real loopback sockets for the wire's tests: a server with any handler, raw clients, raw upstreams."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from proxyapi.wire.client import Origin, Pool, Timeouts
from proxyapi.wire.server import Exchange, Server, ServerLimits

Handler = Callable[[Exchange], Awaitable[None]]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def fault(status: int, text: str) -> tuple[bytes, bytes]:
    return b"Content-Type: text/plain\r\n", text.encode()


class Client:
    """A client that sends exactly the bytes it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def answer(self, *, body: bool = True) -> tuple[int, bytes, bytes]:
        """Status, head and body of one final answer."""
        while True:
            head = await self.head()
            status = int(head[9:12])
            if status >= 200:
                break
        if not body or status in (204, 304):
            return status, head, b""
        if match := re.search(rb"(?i)\r\ncontent-length: (\d+)", head):
            return status, head, await self.reader.readexactly(int(match[1]))
        if b"transfer-encoding: chunked" in head.lower():
            return status, head, await self.chunks()
        return status, head, await self.reader.read()

    async def chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()
        return body

    async def end(self) -> bytes:
        """Everything up to the close; a reset counts as a close."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    def reset(self) -> None:
        """Close so that the other side sees a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.writer.transport.abort()


class Lab:
    Client = Client

    @staticmethod
    def run(main: Callable[[], Coroutine[Any, Any, None]], seconds: float = 20) -> None:
        """Run a test's coroutine on uvloop; a hang is a failure."""

        async def bounded() -> None:
            async with asyncio.timeout(seconds):
                await main()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(bounded())

    @staticmethod
    @asynccontextmanager
    async def server(handler: Handler, *, ssl: Any = None, **limits: Any) -> AsyncIterator[tuple[Server, int]]:
        crashes: list[Exception] = []
        server = Server(
            handler,
            limits=ServerLimits(**limits),
            fault=fault,
            loop=asyncio.get_running_loop(),
            on_crash=lambda exchange, error: crashes.append(error),
        )
        port = await server.listen("127.0.0.1", 0, ssl=ssl)
        try:
            yield server, port
        finally:
            await server.stop(0)
            if crashes:
                raise crashes[0]

    @staticmethod
    async def connect(port: int, **options: Any) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", port, **options))

    @staticmethod
    @asynccontextmanager
    async def upstream(script: Script, *, ssl: Any = None) -> AsyncIterator[Origin]:
        """A raw upstream: `script` is called per connection."""
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await script(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=ssl)
        try:
            yield Origin("https" if ssl else "http", "127.0.0.1", listener.sockets[0].getsockname()[1])
        finally:
            listener.close()
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    @staticmethod
    @asynccontextmanager
    async def pool(*, ssl: Any = None, most: int = 100, idle: int = 100, **timeouts: Any) -> AsyncIterator[Pool]:
        pool = Pool(
            loop=asyncio.get_running_loop(),
            timeouts=Timeouts(**timeouts),
            ssl=ssl,
            connections_per_origin_max=most,
            idle_per_origin_max=idle,
        )
        try:
            yield pool
        finally:
            await pool.close()

    @staticmethod
    async def until(condition: Callable[[], bool]) -> None:
        """Let the loop turn until `condition` holds (the test's own bound ends it otherwise)."""
        while not condition():  # noqa: ASYNC110 - conditions of foreign objects have no event
            await asyncio.sleep(0.001)


@pytest.fixture
def lab() -> Lab:
    return Lab()
