"""Pooled connections to upstreams."""

from __future__ import annotations

import asyncio
import math
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from proxyapi.wire.errors import ConnectFailed, ConnectionLost, ConnectTimeout
from proxyapi.wire.outlet import Outbox
from proxyapi.wire.upstream import Origin, Patience, Response, UpstreamConnection

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["BodySource", "Origin", "Pool", "Response", "Timeouts"]

JOIN_BYTES_MAX = 262_144
"""Head and body are joined in one write up to here; a larger body is not copied."""
PIECE_BYTES = 65_536
"""What is asked of a body source at once."""
STALE_SECONDS = 5.0
"""A stale pooled connection fails at once. One that breaks later had an upstream at work: sending the request again
could make the operator pay twice."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How patient the gateway is with an upstream."""

    connect_seconds: float = 10.0
    """Name resolution, TCP and TLS, and waiting for a free place in the pool."""
    first_byte_seconds: float = 600.0
    """From the sent request to the head of the answer; thinking models take minutes."""
    idle_seconds: float = 300.0
    """Between two pieces of the answer."""
    write_stall_seconds: float = 60.0
    """The upstream takes nothing of the request for so long."""
    pooled_idle_seconds: float = 55.0
    """How long an idle connection is kept; below the 60 s after which many servers close."""
    tick_seconds: float = 1.0
    """How often passed deadlines are looked for: their precision. Only the pool's own value counts."""


class BodySource(Protocol):
    """A request body that is sent while it arrives."""

    @property
    def length(self) -> int | None:
        """In bytes; None: it is sent chunked, and the head says so."""
        ...

    async def read(self, n: int) -> bytes:
        """The next piece, about `n` bytes; empty at the end."""
        ...

    def rewind(self) -> None:
        """Begin again, as the request is sent a second time. Raises ConnectionLost if it can't."""
        ...


class _Bucket:
    """The connections to one origin."""

    __slots__ = ("idle", "open", "waiters")

    def __init__(self) -> None:
        self.open: set[UpstreamConnection | object] = set()
        self.idle: deque[UpstreamConnection] = deque()
        """The warmest at the right."""
        self.waiters: deque[asyncio.Future[None]] = deque()

    def wake_one(self) -> None:
        """A place is free."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class Pool:
    """Sends requests; keeps connections for the next ones. The default context verifies certificates and names.

    `admits`: of the addresses that a name resolves to, only those that it says yes to are connected to. A name cannot
    resolve to another address between the question and the connection.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        timeouts: Timeouts,
        ssl: SSLContext | None = None,
        connections_per_origin_max: int = 10_000,
        idle_per_origin_max: int = 1_000,
        admits: Callable[[str], bool] | None = None,
    ) -> None:
        self.loop = loop
        self._admits = admits
        self.outbox = Outbox(loop)
        self.tick = 0
        self._timeouts = timeouts
        self._patience = self._ticks_of(timeouts)
        self._pooled_idle_ticks = self._ticks(timeouts.pooled_idle_seconds)
        self._ssl = ssl
        self._connections_max = connections_per_origin_max
        self._idle_max = idle_per_origin_max
        self._buckets: dict[Origin, _Bucket] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def connections(self) -> int:
        """Open connections, busy, idle and in the making."""
        return sum(len(bucket.open) for bucket in self._buckets.values())

    @property
    def idle_connections(self) -> int:
        """Connections that wait for a request."""
        return sum(len(bucket.idle) for bucket in self._buckets.values())

    async def send(
        self,
        origin: Origin,
        head: bytes,
        body: bytes | BodySource,
        *,
        method: str,
        timeouts: Timeouts | None = None,
    ) -> Response:
        """Send a request and wait for the head of its answer.

        `head` is complete: request line, fields (Host, Content-Length or Transfer-Encoding included), empty line.
        A pooled connection that turns out stale is replaced once, only if no byte of an answer was received.
        Raises ConnectFailed, ConnectTimeout, FirstByteTimeout, IdleTimeout, ConnectionLost, ProtocolViolation, and
        what `body.read` raises. If the caller is cancelled, the connection is cut.
        """
        patience = self._patience if timeouts is None else self._ticks_of(timeouts)
        pooled = True
        while True:
            connection = self._take_idle(origin) if pooled else None
            if connection is None:
                connection = await self._open(origin, (timeouts or self._timeouts).connect_seconds)
            was_used, sent_at = connection.used, self.tick
            response = connection.response = Response(connection, patience, head_request=method == "HEAD")
            try:
                if isinstance(body, bytes):
                    connection.deadline = sent_at + patience.first_byte
                    connection.request_sent = True
                    if len(body) <= JOIN_BYTES_MAX:
                        connection.transport.write(head + body)
                    else:
                        connection.write_large(head, body, patience)
                else:
                    await self._send_source(connection, response, head, body, patience)
                await response.head
            except BaseException:
                response.close()
                raise
            failure = response.failure
            if failure is None or response.head_complete:
                return response
            if not was_used or not self._is_stale(failure, sent_at):
                raise failure
            pooled = False
            if not isinstance(body, bytes):
                body.rewind()

    def _is_stale(self, failure: BaseException, sent_at: int) -> bool:
        age_seconds = (self.tick - sent_at) * self._timeouts.tick_seconds
        return isinstance(failure, ConnectionLost) and not failure.received and age_seconds <= STALE_SECONDS

    async def _send_source(
        self, connection: UpstreamConnection, response: Response, head: bytes, body: BodySource, patience: Patience
    ) -> None:
        """Send piece by piece, at the upstream's pace; stop as soon as an answer (an error, mostly) has begun."""
        connection.request_sent = False
        transport = connection.transport
        chunked = body.length is None
        pending = head
        while True:
            connection.deadline = 0  # the wait for the client's bytes is not the upstream's fault
            piece = await body.read(PIECE_BYTES)
            if response.head.done():
                return
            connection.deadline = self.tick + patience.write_stall
            if not piece:
                break
            transport.write(b"%b%x\r\n%b\r\n" % (pending, len(piece), piece) if chunked else pending + piece)
            pending = b""
            await connection.drained()
            if response.head.done():
                return
        if pending or chunked:
            transport.write(pending + (b"0\r\n\r\n" if chunked else b""))
        connection.request_sent = True
        connection.deadline = self.tick + patience.first_byte

    # ---- connections

    def _bucket(self, origin: Origin) -> _Bucket:
        bucket = self._buckets.get(origin)
        if bucket is None:
            bucket = self._buckets[origin] = _Bucket()
        return bucket

    def _take_idle(self, origin: Origin) -> UpstreamConnection | None:
        bucket = self._buckets.get(origin)
        while bucket is not None and bucket.idle:
            connection = bucket.idle.pop()
            if not connection.lost and not connection.transport.is_closing():
                return connection
        return None

    async def _open(self, origin: Origin, seconds: float) -> UpstreamConnection:
        """A new connection, or one that became free while this caller waited for a place."""
        if self._closed:
            raise ConnectFailed("the pool is closed")
        if self._timer is None:
            self._timer = self.loop.call_later(self._timeouts.tick_seconds, self._sweep)
        bucket = self._bucket(origin)
        try:
            async with asyncio.timeout(seconds):
                while len(bucket.open) >= self._connections_max:
                    waiter: asyncio.Future[None] = self.loop.create_future()
                    bucket.waiters.append(waiter)
                    try:
                        await waiter
                    except BaseException:
                        if waiter.done() and not waiter.cancelled():
                            bucket.wake_one()  # it was our turn, and we don't take it
                        raise
                    if (connection := self._take_idle(origin)) is not None:
                        return connection
                return await self._connect(origin, bucket)
        except TimeoutError as error:
            raise ConnectTimeout(f"no connection to {origin.host} within {seconds:g} s") from error

    async def _connect(self, origin: Origin, bucket: _Bucket) -> UpstreamConnection:
        place = object()
        bucket.open.add(place)  # holds the place while the connection is in the making
        connected = False
        try:
            ssl = await self._context() if origin.scheme == "https" else None
            _, connection = await self.loop.create_connection(
                lambda: UpstreamConnection(self, origin),
                origin.host if self._admits is None else await self._admitted(origin, self._admits),
                origin.port,
                ssl=ssl,
                server_hostname=origin.host if ssl is not None else None,
            )
            connected = True
        except TimeoutError:
            raise
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: a host that is no name
            raise ConnectFailed(f"no connection to {origin.host}:{origin.port}: {error}") from error
        finally:
            bucket.open.discard(place)
            if not connected:
                bucket.wake_one()
        bucket.open.add(connection)
        if connection.lost:
            self.forget(connection)
            raise ConnectFailed(f"{origin.host}:{origin.port} closed the connection at once")
        return connection

    async def _admitted(self, origin: Origin, admits: Callable[[str], bool]) -> str:
        """The first address of the origin that may be connected to."""
        for *_, address in await self.loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM):
            if admits(str(address[0])):
                return str(address[0])
        raise ConnectFailed(f"{origin.host} has no address that may be connected to")

    async def _context(self) -> SSLContext:
        """The system's default context, made on first use, in a thread: reading the trust store takes 20 ms."""
        if self._ssl is None:
            import ssl

            self._ssl = await self.loop.run_in_executor(None, ssl.create_default_context)
        return self._ssl

    def free(self, connection: UpstreamConnection) -> None:
        """An exchange is over and the connection is good for another."""
        bucket = self._buckets[connection.origin]
        if self._closed or len(bucket.idle) >= self._idle_max:
            connection.transport.close()
            return
        connection.deadline = self.tick + self._pooled_idle_ticks
        bucket.idle.append(connection)
        if bucket.waiters:
            bucket.wake_one()

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is lost."""
        bucket = self._bucket(connection.origin)
        bucket.open.discard(connection)
        if connection in bucket.idle:
            bucket.idle.remove(connection)
        bucket.wake_one()

    async def close(self) -> None:
        """Cut every connection. Responses in flight fail with ConnectionLost."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for bucket in self._buckets.values():
            for connection in tuple(bucket.open):
                if isinstance(connection, UpstreamConnection):
                    connection.cut("the pool was closed")
        await asyncio.sleep(0)

    def _ticks(self, seconds: float) -> int:
        return math.ceil(seconds / self._timeouts.tick_seconds) + 1

    def _ticks_of(self, timeouts: Timeouts) -> Patience:
        return Patience(
            self._ticks(timeouts.first_byte_seconds),
            self._ticks(timeouts.idle_seconds),
            self._ticks(timeouts.write_stall_seconds),
        )

    def _sweep(self) -> None:
        self.tick = tick = self.tick + 1
        for bucket in self._buckets.values():
            for connection in tuple(bucket.open):
                if isinstance(connection, UpstreamConnection):
                    connection.check(tick)
        self._timer = self.loop.call_later(self._timeouts.tick_seconds, self._sweep)
