"""One upstream connection, and the response that it is receiving."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol, cast

from proxyapi.wire.errors import (
    BodyTooLarge,
    ConnectionLost,
    FirstByteTimeout,
    IdleTimeout,
    ProtocolViolation,
    WireError,
)
from proxyapi.wire.http1 import ResponseReader
from proxyapi.wire.outlet import Outbox, Outlet

HEAD_BYTES_MAX = 262_144
"""Response heads are small; cookies and reports of some vendors reach 16 KB."""
UNREAD_BYTES_MAX = 262_144
"""Body bytes kept while nobody reads the response; then the socket is paused."""


class Origin(NamedTuple):
    """Where an upstream listens."""

    scheme: str
    """`http` or `https`."""
    host: str
    port: int


class Patience(NamedTuple):
    """Timeouts in ticks of the pool's sweep."""

    first_byte: int
    idle: int
    write_stall: int


class Feed(Protocol):
    """Takes body bytes within the transport's callback."""

    def __call__(self, data: bytes, framed: bytes, /) -> None:
        """`framed`: a chunk with its framing, if `data` came as just one; it may be sent on as it is. Else empty."""


class Owner(Protocol):
    """What a connection needs of its pool."""

    loop: asyncio.AbstractEventLoop
    outbox: Outbox
    tick: int

    def free(self, connection: UpstreamConnection) -> None: ...
    def forget(self, connection: UpstreamConnection) -> None: ...


class Response(ResponseReader):
    """An answer whose head has arrived. One coroutine reads it, by `read` or by `pipe`."""

    __slots__ = (
        "_body",
        "_connection",
        "_full",
        "_paused",
        "_waiter",
        "_wake_at",
        "failure",
        "feed",
        "head",
        "idle_ticks",
        "received",
    )

    def __init__(self, connection: UpstreamConnection, patience: Patience, *, head_request: bool) -> None:
        ResponseReader.__init__(self, head_request=head_request)
        self._connection: UpstreamConnection | None = connection
        self.idle_ticks = patience.idle
        self.failure: BaseException | None = None
        """Why it broke off."""
        self.head: asyncio.Future[None] = connection.pool.loop.create_future()
        """Done when the head has arrived, or will not."""
        self.feed: Feed | None = None
        """Takes the body, while `pipe` waits for its end."""
        self._body: bytes | bytearray = b""
        self._waiter: asyncio.Future[None] | None = self.head
        self._wake_at = 0
        self._paused = False  # by whom the bytes go to
        self._full = False  # by ourselves: nobody reads
        self.received = 0
        """Bytes of the answer, head and framing included, that `take` was given."""

    @property
    def complete(self) -> bool:
        """The whole body has arrived."""
        return self.ended

    # ---- for the reader

    def arrived(self, bytes_max: int) -> bytes | None:
        """The whole body, if it has arrived. None: `read` waits for it, or says what is wrong with it."""
        body = self._body
        if not self.ended or len(body) > bytes_max or type(body) is not bytes:
            return None
        self._body = b""
        return body

    async def read(self, bytes_max: int) -> bytes:
        """The whole body, without suspending if it has arrived.

        Raises BodyTooLarge, IdleTimeout, ConnectionLost, ProtocolViolation; the connection is closed then.
        """
        if self.length is not None and self.length > bytes_max and not self.ended:
            self.close()
            raise BodyTooLarge(f"the upstream's answer is larger than {bytes_max} bytes")
        while not self.ended and self.failure is None and len(self._body) <= bytes_max:
            await self._wait(bytes_max + 1)
        body, self._body = self._body, b""
        if len(body) > bytes_max:
            self.close()
            raise BodyTooLarge(f"the upstream's answer is larger than {bytes_max} bytes")
        if not self.ended and self.failure is not None:
            raise self.failure
        return body if type(body) is bytes else bytes(body)

    async def pipe(self, feed: Feed) -> None:
        """Give every body byte to `feed`, from the transport's callback, until the body has ended.

        Raises IdleTimeout, ConnectionLost, ProtocolViolation, and what `feed` raises; the connection is closed then.
        """
        if self._body:
            body, self._body = self._body, b""
            try:
                feed(bytes(body), b"")
            except BaseException:
                self.close()
                raise
        if not self.ended and self.failure is None:
            self.feed = feed
            try:
                await self._wait(0)
            finally:
                self.feed = None
        if self.failure is not None:
            raise self.failure

    async def _wait(self, wake_at: int) -> None:
        """Until the end, a failure, or `wake_at` buffered bytes (0: don't care)."""
        connection = self._connection
        if connection is None:
            return
        self._wake_at = wake_at
        self._waiter = waiter = connection.pool.loop.create_future()
        if self._full:
            self._full = False
            self._flow()
        try:
            await waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = None

    def pause_reading(self) -> None:
        """Stop the upstream; its silence does not count meanwhile."""
        self._paused = True
        self._flow()

    def resume_reading(self) -> None:
        """Let the upstream go on."""
        self._paused = False
        self._flow()

    def _flow(self) -> None:
        if self._connection is not None:
            self._connection.set_reading(not (self._paused or self._full), self.idle_ticks)

    @property
    def over(self) -> bool:
        """The whole answer has arrived, or will not."""
        return self._connection is None

    def close(self) -> None:
        """Give up: the connection is cut if the body is incomplete. Idempotent."""
        connection = self._connection
        if connection is not None:
            self.fail(ConnectionLost("the response was closed", received=self.received > 0))

    # ---- for the connection

    def take(self, data: bytes) -> None:
        """Bytes from the connection. Raises what `feed` raises."""
        self.received += len(data)
        feed, chunks = self.feed, self.chunks
        body = chunks.lone(data) if chunks is not None else b""
        framed = data if body else b""
        if not body:
            body = self.feed_bytes(data)
        if body:
            if feed is not None:
                feed(body, framed)
            else:
                self._keep(body)
        connection = self._connection
        if connection is None:
            return  # closed by feed
        if self.broken:
            self.fail(ProtocolViolation(f"the upstream's answer is no valid HTTP: {self.broken}"))
        elif self.ended:
            self._complete()
        elif self.head_complete:
            if connection.reading:
                connection.deadline = connection.pool.tick + self.idle_ticks
            if feed is not None:
                return
            if self._waiter is not None and len(self._body) >= self._wake_at:
                self._wake()
            elif self._waiter is None and len(self._body) > UNREAD_BYTES_MAX:
                self._full = True
                self._flow()
        elif self.received > HEAD_BYTES_MAX:
            self.fail(ProtocolViolation(f"the upstream's head is larger than {HEAD_BYTES_MAX} bytes"))

    def _keep(self, data: bytes) -> None:
        """For the reader."""
        body = self._body
        if not body:
            self._body = data
        elif type(body) is bytearray:
            body += data
        else:
            self._body = bytearray(body)
            self._body += data

    def take_eof(self) -> None:
        """The upstream closed its side."""
        self.feed_close()
        if self.ended and self._connection is not None:
            self._complete()

    def _complete(self) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        self._wake()
        connection.response_over(reusable=self.keep_alive)

    def fail(self, failure: BaseException) -> None:
        """The exchange is over without a whole answer: the connection is cut."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self.failure = failure
        self._parser = None
        self._wake()
        connection.abort()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class UpstreamConnection(asyncio.Protocol):
    """The protocol of one connected socket; carries one exchange at a time."""

    __slots__ = (
        "_drain_waiter",
        "_stall_bytes",
        "_stall_deadline",
        "_stall_ticks",
        "deadline",
        "lost",
        "origin",
        "pool",
        "reading",
        "request_sent",
        "response",
        "transport",
        "used",
        "write_paused",
    )

    transport: asyncio.Transport

    def __init__(self, pool: Owner, origin: Origin) -> None:
        self.pool = pool
        self.origin = origin
        self.response: Response | None = None
        self.deadline = 0
        """The tick at which patience ends; 0: never."""
        self.lost = False
        self.used = False
        """It has carried an exchange before, so it may be stale."""
        self.request_sent = True
        self.reading = True
        self.write_paused = False
        self._stall_bytes = 0
        self._stall_deadline = 0
        self._stall_ticks = 0
        self._drain_waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = Outlet(cast("asyncio.Transport", transport), self.pool.outbox)

    def data_received(self, data: bytes) -> None:
        response = self.response
        if response is None:
            self.abort()  # Nobody asked: whatever follows could not be told from an answer to the next request.
            return
        try:
            response.take(data)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised from `pipe`
            response.fail(error)

    def eof_received(self) -> bool:
        if self.response is not None:
            self.response.take_eof()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.deadline = 0
        response, self.response = self.response, None
        if response is not None:
            text = f"the upstream's connection was lost: {exc}" if exc else "the upstream closed its connection"
            response.fail(ConnectionLost(text, received=response.received > 0))
        self._writable()
        self.pool.forget(self)

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        self._writable()

    def _writable(self) -> None:
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)

    async def drained(self) -> None:
        """Wait until the upstream has taken enough, or the exchange is over."""
        while self.write_paused and self.response is not None and not self.lost:
            self._drain_waiter = self.pool.loop.create_future()
            await self._drain_waiter

    def response_over(self, *, reusable: bool) -> None:
        """The whole answer has arrived."""
        self.response = None
        self.deadline = 0
        self.used = True
        if self._drain_waiter is not None:
            self._writable()
        if self.lost or self.transport.is_closing():
            return
        if not reusable or not self.request_sent:
            self.abort()
            return
        if not self.reading:
            self.set_reading(True, 0)
        self.pool.free(self)

    def set_reading(self, reading: bool, idle_ticks: int) -> None:
        """Stop or go on; the upstream's silence counts only while it may speak."""
        if reading == self.reading or self.lost or self.transport.is_closing():
            return
        self.reading = reading
        if reading:
            self.deadline = self.pool.tick + idle_ticks
            self.transport.resume_reading()
        else:
            self.deadline = 0
            self.transport.pause_reading()

    def abort(self) -> None:
        self.response = None
        self.deadline = 0
        self._writable()
        if not self.lost:
            self.transport.abort()

    def cut(self, why: str) -> None:
        """End whatever it does."""
        if self.response is not None:
            self.response.fail(ConnectionLost(why, received=self.response.received > 0))
        else:
            self.abort()

    def write_large(self, head: bytes, body: bytes, patience: Patience) -> None:
        """Send a large request without copying it. The upstream has to take some of it now and then."""
        self.transport.writelines((head, body))
        if self.write_paused:
            self._stall_ticks = patience.write_stall
            self._stall_bytes = self.transport.get_write_buffer_size()
            self._stall_deadline = self.pool.tick + self._stall_ticks

    def check(self, tick: int) -> None:
        """Once per tick of the pool."""
        if self._stall_bytes:
            waiting = self.transport.get_write_buffer_size() if not self.lost else 0
            if waiting < self._stall_bytes:
                self._stall_deadline = tick + self._stall_ticks
            self._stall_bytes = waiting
            if waiting and tick >= self._stall_deadline:
                self.cut_stalled()
                return
        if 0 < self.deadline <= tick:
            self.patience_ends()

    def cut_stalled(self) -> None:
        """The upstream takes nothing of the request."""
        if self.response is not None:
            self.response.fail(IdleTimeout("the upstream does not take the request"))
        else:
            self.abort()

    def patience_ends(self) -> None:
        """The deadline has passed."""
        response = self.response
        if response is None:
            self.abort()
            return
        failure: WireError
        if not self.request_sent or self.transport.get_write_buffer_size():
            failure = IdleTimeout("the upstream does not take the request")
        elif response.head_complete:
            failure = IdleTimeout("the upstream stalled in its answer")
        else:
            failure = FirstByteTimeout("the upstream did not begin to answer in time")
        response.fail(failure)
