"""One client connection: requests in, answers out, one at a time, until either side has enough."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from proxyapi.wire.chunks import ChunkedDecoder
from proxyapi.wire.errors import BodyBroken, BodyTimeout, BodyTooLarge, ClientLeft, HeadRefused, WireError
from proxyapi.wire.exchange import BODY_BUFFER_BYTES, Exchange
from proxyapi.wire.host import Host
from proxyapi.wire.http1 import CONTINUE, HeadMemo, status_line
from proxyapi.wire.outlet import Outlet

DRAIN_BYTES_MAX = 65_536
"""The unread rest of a body that is read and dropped, so that the connection can go on; a longer rest closes it."""
GONE_CHECK_SECONDS = 0.2
"""After a half-close: when the kernel is asked for the first time whether the client is still there."""

_TCP_INFO = getattr(socket, "TCP_INFO", None)
_TCP_CLOSE = 7  # <netinet/tcp.h>; the state after a reset


class ClientConnection(asyncio.Protocol):
    """The protocol of one accepted socket.

    `_buffer` holds an incomplete head while no exchange runs, and pipelined bytes while one does.
    """

    __slots__ = (
        "_buffer",
        "_decoder",
        "_drain_waiter",
        "_half_closed",
        "_left",
        "_lingering",
        "_memo",
        "_parked",
        "_reading_paused",
        "_runner",
        "_searched",
        "_stall_bytes",
        "_stall_deadline",
        "body_bytes_max",
        "deadline",
        "exchange",
        "host",
        "lost",
        "peer",
        "transport",
        "watched",
        "write_paused",
    )

    transport: asyncio.Transport

    def __init__(self, host: Host) -> None:
        self.host = host
        self.body_bytes_max = host.body_bytes_max
        self.peer = ""
        self.exchange: Exchange | None = None
        self.deadline = 0
        """The tick at which patience ends; 0: never."""
        self.watched = False
        """The sweep has to look at it every tick: writing is paused, or the client half-closed."""
        self.write_paused = False
        self.lost = False
        self._memo = HeadMemo(host.headers_max)
        self._buffer = bytearray()
        self._searched = 0  # where the search for the end of a head in `_buffer` goes on
        self._left = 0
        self._decoder: ChunkedDecoder | None = None
        self._reading_paused = False
        self._lingering = False
        self._half_closed = False
        self._stall_bytes = 0
        self._stall_deadline = 0
        self._drain_waiter: asyncio.Future[None] | None = None
        self._parked: asyncio.Future[Exchange | None] | None = None
        self._runner: asyncio.Task[None] | None = None

    # ---- transport events

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = Outlet(cast("asyncio.Transport", transport), self.host.outbox)
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]).removeprefix("::ffff:") if isinstance(name, tuple) else ""
        self.transport.set_write_buffer_limits(high=self.host.write_buffer_bytes)
        self.deadline = self.host.tick + self.host.ticks.idle
        if not self.host.admit(self):
            self._refuse(429, "Too many connections from this address")

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            if self._lingering:
                return
            if self._buffer or self.write_paused:
                self._take_slow_head(data)
            else:
                self._take_head(data)
        elif exchange.body_complete:
            self._keep(data)
        else:
            self._take_body(exchange, data)

    def eof_received(self) -> bool:
        """The client will send nothing more; it may still wait for the answer.

        TCP does not tell whether it does. So an interim `100 Continue`, which every HTTP/1.1 client has to skip, is
        sent as a probe: if the client is gone, its kernel answers with a reset, which `check_gone` sees.
        """
        exchange = self.exchange
        if exchange is None or not exchange.body_complete or self._is_tls():
            return False
        self._half_closed = self.watched = True
        if not exchange.started and exchange.version_minor:
            self.transport.write(CONTINUE)
        self.host.loop.call_later(GONE_CHECK_SECONDS, self.check_gone)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.deadline = 0
        self.host.dismiss(self)
        if self.exchange is not None:
            self.exchange.left()
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)
        if self._parked is not None and not self._parked.done():
            self._parked.set_result(None)
        self._clear_buffer()

    def pause_writing(self) -> None:
        self.write_paused = self.watched = True
        self._stall_bytes = self.transport.get_write_buffer_size()
        self._stall_deadline = self.host.tick + self.host.ticks.write_stall
        if self.exchange is not None and (source := self.exchange.source) is not None:
            source.pause_reading()

    def resume_writing(self) -> None:
        self.write_paused = False
        self.watched = self._half_closed
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)
        if self.exchange is None:
            self._next_from_buffer()
        elif (source := self.exchange.source) is not None:
            source.resume_reading()

    # ---- heads

    def _take_head(self, data: bytes) -> None:
        """Bytes at the beginning of a request. With its whole head begins its exchange."""
        while data[:2] == b"\r\n":  # An old client's empty line behind a body (RFC 9112, 2.2).
            data = data[2:]
            if data.startswith(b"\r\n\r\n"):
                break
        raw, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            if data:
                self.deadline = self.host.tick + self.host.ticks.head
                self._take_slow_head(data)
            return
        host = self.host
        if len(raw) + 4 > host.head_bytes_max:
            self._refuse_large_head(raw)
            return
        try:
            head, length = self._memo.parse(raw)
        except HeadRefused as refusal:
            self._refuse(refusal.status, str(refusal))
            return
        self.exchange = exchange = Exchange(self, head, length, rest if len(rest) == length else None)
        self.deadline = 0
        if not exchange.body_complete:
            self._begin_body(exchange, length, rest)
        host.exchanges += 1
        parked = self._parked
        if parked is not None:
            self._parked = None
            parked.set_result(exchange)
        else:
            self._runner = task = host.loop.create_task(self._run(exchange))
            host.tasks.add(task)
            task.add_done_callback(host.tasks.discard)

    def _take_slow_head(self, data: bytes) -> None:
        """More bytes of a head that came in parts, or of a request that has to wait for the client to read."""
        buffer = self._buffer
        buffer += data
        if self.write_paused:
            if len(buffer) > self.host.head_bytes_max:
                self._pause_reading()
            return
        if buffer.startswith(b"\r\n"):
            self._restart_head()
            return
        searched = self._searched
        end = buffer.find(b"\r\n\r\n", searched)
        self._searched = max(0, len(buffer) - 3)
        if end >= 0:
            self._restart_head()
        elif len(buffer) > self.host.head_bytes_max:
            self._refuse_large_head(bytes(buffer))
        elif not (65 <= buffer[0] <= 90 or buffer == b"\r"):
            self._refuse(400, "The request line is malformed")
        elif buffer.find(b"\n\n", searched) >= 0 or buffer.find(b"\n\r\n", searched) >= 0:
            self._refuse(400, "The request head has bare line feeds")

    def _restart_head(self) -> None:
        data = bytes(self._buffer)
        self._clear_buffer()
        self._take_head(data)

    def _clear_buffer(self) -> None:
        self._buffer.clear()
        self._searched = 0

    def _refuse_large_head(self, head: bytes) -> None:
        if b"\r\n" in head[: self.host.head_bytes_max]:
            self._refuse(431, f"The request head is larger than {self.host.head_bytes_max} bytes")
        else:
            self._refuse(414, "The request target is too long")

    # ---- bodies

    def _begin_body(self, exchange: Exchange, length: int | None, data: bytes) -> None:
        """A body that did not come with its head: some of it, or more than it. `length` None: it is chunked."""
        if length == 0:
            exchange.body_complete = True
            self._keep(data)
            return
        self._left = length or 0
        self._decoder = ChunkedDecoder() if length is None else None
        if data:
            self._take_body(exchange, data)

    def _take_body(self, exchange: Exchange, data: bytes) -> None:
        rest = b""
        if self._decoder is not None:
            pieces: list[bytes] = []
            try:
                end = self._decoder.feed(data, pieces)
            except BodyBroken as broken:
                self._break_body(exchange, broken)
                return
            if end >= 0:
                rest = data[end:]
                self._decoder = None
            exchange.take(pieces[0] if len(pieces) == 1 else b"".join(pieces), complete=end >= 0)
        else:
            if len(data) > self._left:
                data, rest = data[: self._left], data[self._left :]
            self._left -= len(data)
            exchange.take(data, complete=not self._left)
        if exchange.body_complete:
            self.deadline = 0
            if rest:
                self._keep(rest)
            if exchange.finished:
                self.exchange_over(exchange)
        elif exchange.awaits_body or exchange.finished:
            self.deadline = self.host.tick + self.host.ticks.body_idle
        elif exchange.buffered_bytes > BODY_BUFFER_BYTES:
            self._pause_reading()

    def _break_body(self, exchange: Exchange, broken: BodyBroken) -> None:
        exchange.keep_alive = False
        if exchange.finished:
            self.transport.abort()
            return
        self._pause_reading()
        exchange.fail(broken)

    def want_body(self) -> None:
        """The handler waits for body bytes."""
        self.deadline = self.host.tick + self.host.ticks.body_idle
        self._resume_reading()

    def body_taken(self) -> None:
        """The handler has taken what was buffered."""
        self.deadline = 0
        self._resume_reading()

    def _keep(self, data: bytes) -> None:
        """Bytes behind the current request: the next one has to wait, in a bounded buffer."""
        self._buffer += data
        if len(self._buffer) > self.host.head_bytes_max:
            self._pause_reading()

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self.transport.is_closing():
            self._reading_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self.transport.is_closing():
            self._reading_paused = False
            self.transport.resume_reading()

    # ---- one exchange after another

    async def _run(self, first: Exchange) -> None:
        """Handle requests until the connection ends. A Task is made per connection, not per request.

        A handler may go on after its answer is over (to settle); if the next request comes meanwhile, another runner
        takes over and this one ends with its handler.
        """
        host = self.host
        runner = self._runner
        exchange: Exchange | None = first
        while exchange is not None:
            try:
                await host.handler(exchange)
            except WireError as error:
                self._answer_failure(exchange, error)
            except asyncio.CancelledError:
                exchange.abort()
                raise
            except Exception as error:  # noqa: BLE001 - a handler's bug must cost one exchange, not the server
                host.on_crash(exchange, error)
            finally:
                host.exchanges -= 1
                if not host.exchanges:
                    host.falls_quiet()
            if not exchange.finished:
                if exchange.started or exchange.gone:
                    exchange.abort()
                else:
                    exchange.respond(500, *host.fault(500, "Internal error"))
            if self.lost or runner is not self._runner:
                return
            parked = self._parked = host.loop.create_future()
            exchange = await parked

    def _answer_failure(self, exchange: Exchange, error: WireError) -> None:
        """The handler let one of our own exceptions through."""
        if exchange.started or isinstance(error, ClientLeft):
            exchange.abort()
            return
        status = 500
        if isinstance(error, BodyTooLarge):
            status = 413
        elif isinstance(error, BodyTimeout):
            status = 408
        elif isinstance(error, BodyBroken):
            status = 400
        exchange.respond(status, *self.host.fault(status, str(error)))

    def may_keep(self, exchange: Exchange) -> bool:
        """Whether another request can follow."""
        if self.host.stopping or (self._half_closed and not self._buffer):
            return False
        return exchange.body_complete or self._can_drain(exchange)

    def _can_drain(self, exchange: Exchange) -> bool:
        return not exchange.expects_continue and exchange.body_bytes is not None and self._left <= DRAIN_BYTES_MAX

    def exchange_over(self, exchange: Exchange) -> None:
        """The answer is written. Once the request has come too, the next one begins, which may be here already."""
        if self.lost or self.exchange is not exchange:
            return
        host = self.host
        if not exchange.body_complete:
            if exchange.keep_alive:
                self.deadline = host.tick + host.ticks.body_idle  # the small rest is read and dropped
                self._resume_reading()
            else:
                self._linger()
            return
        self.exchange = None
        if not exchange.keep_alive:
            self.transport.close()
            self._expect_end()
            return
        self.deadline = host.tick + host.ticks.idle
        if self._buffer:
            host.loop.call_soon(self._next_from_buffer)
        elif self._reading_paused:
            self._resume_reading()

    def exchange_aborted(self, exchange: Exchange) -> None:
        """The answer is cut."""
        if not self.lost and self.exchange is exchange:
            self.transport.abort()

    def _next_from_buffer(self) -> None:
        if self.exchange is not None or self.write_paused or self._lingering or self.transport.is_closing():
            return
        self._resume_reading()
        if self._buffer:
            self._restart_head()
        if self.exchange is None and self._half_closed:
            self.transport.close()

    # ---- endings

    def _refuse(self, status: int, text: str) -> None:
        """Answer in place of the handler and close."""
        headers, body = self.host.fault(status, text)
        self.transport.write(
            b"%b%bConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (status_line(status), headers, len(body), body)
        )
        self._linger()

    def _linger(self) -> None:
        """Close, but go on reading for a while: a reset for unread bytes would destroy the answer on its way."""
        self.exchange = None
        self._clear_buffer()
        self._lingering = True
        if self._half_closed or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self.transport.write_eof()
            self._resume_reading()
        self._expect_end()

    def _expect_end(self) -> None:
        self.deadline = self.host.tick + self.host.ticks.linger
        self._lingering = True

    def close_if_idle(self) -> None:
        """The server stops."""
        if self.exchange is None and not self._lingering:
            self.transport.close()
            self._expect_end()

    def patience_ends(self) -> None:
        """The deadline has passed."""
        self.deadline = 0
        exchange = self.exchange
        if exchange is not None:
            if exchange.awaits_body:
                exchange.keep_alive = False
                exchange.fail(BodyTimeout("The request body came too slowly"))
            else:
                self.transport.abort()
        elif self._lingering or self.transport.get_write_buffer_size():
            self.transport.abort()
        elif self._buffer:
            self._refuse(408, "The request head came too slowly")
        else:
            self.transport.close()
            self._expect_end()

    def check(self) -> None:
        """Once per tick while writing is paused or the client half-closed."""
        if self.write_paused:
            waiting = self.transport.get_write_buffer_size()
            if waiting < self._stall_bytes:
                self._stall_deadline = self.host.tick + self.host.ticks.write_stall
            self._stall_bytes = waiting
            if self.host.tick >= self._stall_deadline:
                self.transport.abort()
                return
        if self._half_closed:
            self.check_gone()

    def check_gone(self) -> None:
        """Ask the kernel whether a half-closed client has been reset meanwhile."""
        if self.lost or _TCP_INFO is None or self.transport.is_closing():
            return
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0] == _TCP_CLOSE:
            self.transport.abort()

    def drain_waiter(self) -> asyncio.Future[None]:
        """Done when the client has read enough, or is gone."""
        if self._drain_waiter is None or self._drain_waiter.done():
            self._drain_waiter = self.host.loop.create_future()
        return self._drain_waiter

    def _is_tls(self) -> bool:
        return self.transport.get_extra_info("ssl_object") is not None
