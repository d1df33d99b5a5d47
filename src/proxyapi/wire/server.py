"""Listens, and gives each request to one handler coroutine as an `Exchange`."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxyapi.wire.connection import ClientConnection
from proxyapi.wire.exchange import Exchange, Pausable
from proxyapi.wire.host import Ticks
from proxyapi.wire.outlet import Outbox

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["Exchange", "Pausable", "Server", "ServerLimits"]

Handler = Callable[[Exchange], Awaitable[None]]
Fault = Callable[[int, str], tuple[bytes, bytes]]

HANDLERS_END_SECONDS = 5.0
"""After the grace of `stop`: how long handlers whose connections were cut may take to put their things in order."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What one client may ask of the server."""

    head_bytes_max: int = 65_536
    headers_max: int = 128
    body_bytes_max: int = 64 * 2**20
    head_seconds: float = 15.0
    """From the first byte of a head to its end."""
    body_idle_seconds: float = 30.0
    """Between two pieces of a body that the handler waits for."""
    idle_seconds: float = 75.0
    """Between two requests, and from the connect to the first byte."""
    linger_seconds: float = 5.0
    """After a refusal: how long further bytes are read and dropped, so that the client can read the answer."""
    connections_per_address_max: int = 8_192
    """High, because a reverse proxy or an office has one address; 0: no limit."""
    write_buffer_bytes: int = 65_536
    """Unsent bytes above which the source of the answer is paused."""
    write_stall_seconds: float = 60.0
    """A client that reads nothing for so long is cut."""
    tick_seconds: float = 1.0
    """How often passed deadlines are looked for: their precision."""


def _ticks_of(limits: ServerLimits) -> Ticks:
    """Limits in ticks, one more than asked, as the current tick has begun already."""

    def ticks(seconds: float) -> int:
        return math.ceil(seconds / limits.tick_seconds) + 1

    return Ticks(
        head=ticks(limits.head_seconds),
        body_idle=ticks(limits.body_idle_seconds),
        idle=ticks(limits.idle_seconds),
        write_stall=ticks(limits.write_stall_seconds),
        linger=ticks(limits.linger_seconds),
    )


def _ignore_crash(exchange: Exchange, error: Exception) -> None:
    """For a server that was given no `on_crash`: asyncio's handler tells the operator."""
    asyncio.get_running_loop().call_exception_handler(
        {"message": f"the handler of {exchange.method} {exchange.path} crashed", "exception": error}
    )


class Server:
    """Any number of listening sockets with one handler.

    `fault(status, text)` renders the wire's own answers (400, 408, 413, 414, 417, 429, 431, 500, 501, 505) as a
    header block and a body.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        limits: ServerLimits,
        fault: Fault,
        loop: asyncio.AbstractEventLoop,
        on_crash: Callable[[Exchange, Exception], None] = _ignore_crash,
    ) -> None:
        self.handler = handler
        self.fault = fault
        self.loop = loop
        self.outbox = Outbox(loop)
        self.on_crash = on_crash
        self.ticks = _ticks_of(limits)
        self.tick = 0
        self.stopping = False
        self.exchanges = 0
        """Handlers that have not returned."""
        self.tasks: set[asyncio.Task[None]] = set()
        self.head_bytes_max = limits.head_bytes_max
        self.headers_max = limits.headers_max
        self.body_bytes_max = limits.body_bytes_max
        self.write_buffer_bytes = limits.write_buffer_bytes
        self._limits = limits
        self._connections: set[ClientConnection] = set()
        self._by_address: dict[str, int] = {}
        self._listeners: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        self._quiet: asyncio.Future[None] | None = None
        """Done when no exchange runs any more, for `stop`."""

    @property
    def connections(self) -> int:
        """Open client connections."""
        return len(self._connections)

    async def listen(
        self, host: str, port: int, *, ssl: SSLContext | None = None, reuse_port: bool = False, backlog: int = 4_096
    ) -> int:
        """Accept connections; returns the port, which is of use when 0 was asked for."""
        listener = await self.loop.create_server(
            self._accept,
            host,
            port,
            ssl=ssl,
            reuse_port=reuse_port or None,
            backlog=backlog,
            ssl_handshake_timeout=self._limits.head_seconds if ssl is not None else None,
        )
        return self._listening(listener)

    async def listen_socket(self, sock: socket.socket, *, ssl: SSLContext | None = None, backlog: int = 4_096) -> int:
        """Accept connections on a bound socket (inherited, or of the Unix family); returns its port, 0 without one."""
        listener = await self.loop.create_server(
            self._accept,
            sock=sock,
            ssl=ssl,
            backlog=backlog,
            ssl_handshake_timeout=self._limits.head_seconds if ssl is not None else None,
        )
        return self._listening(listener)

    def _listening(self, listener: asyncio.Server) -> int:
        self._listeners.append(listener)
        if self._timer is None:
            self._timer = self.loop.call_later(self._limits.tick_seconds, self._sweep)
        name = listener.sockets[0].getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0

    async def stop(self, grace_seconds: float) -> None:
        """Accept nothing more, close idle connections, let running exchanges end within the bound, cut the rest."""
        self.stopping = True
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for connection in tuple(self._connections):
            connection.close_if_idle()
        if self.exchanges:
            await self._wait_for_exchanges(grace_seconds)
        for connection in tuple(self._connections):
            connection.transport.abort()
        if self.exchanges:
            await self._wait_for_exchanges(HANDLERS_END_SECONDS)
        for task in tuple(self.tasks):
            task.cancel()
        if self.tasks:
            await asyncio.wait(tuple(self.tasks))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _wait_for_exchanges(self, seconds: float) -> None:
        self._quiet = self.loop.create_future()
        await asyncio.wait((self._quiet,), timeout=seconds)
        self._quiet = None

    def _accept(self) -> ClientConnection:
        return ClientConnection(self)

    def falls_quiet(self) -> None:
        """The last running handler has returned."""
        if self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)

    def admit(self, connection: ClientConnection) -> bool:
        """Count a new connection; False if its address has too many."""
        self._connections.add(connection)
        count = self._by_address.get(connection.peer, 0) + 1
        self._by_address[connection.peer] = count
        return not 0 < self._limits.connections_per_address_max < count

    def dismiss(self, connection: ClientConnection) -> None:
        """Forget a lost connection."""
        self._connections.discard(connection)
        count = self._by_address.get(connection.peer, 1) - 1
        if count:
            self._by_address[connection.peer] = count
        else:
            self._by_address.pop(connection.peer, None)

    def _sweep(self) -> None:
        self.tick = tick = self.tick + 1
        for connection in tuple(self._connections):
            if connection.watched:
                connection.check()
            if 0 < connection.deadline <= tick:
                connection.patience_ends()
        self._timer = self.loop.call_later(self._limits.tick_seconds, self._sweep)
