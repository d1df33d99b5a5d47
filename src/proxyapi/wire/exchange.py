"""One request and its answer, as the handler sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from proxyapi.wire.chunks import LAST_CHUNK
from proxyapi.wire.errors import BodyTooLarge, ClientLeft, WireError
from proxyapi.wire.http1 import CONTINUE, STATUS_LINES, STATUSES_WITHOUT_BODY, RequestHead, status_line

BODY_BUFFER_BYTES = 65_536
"""Bytes of a body that are buffered before the handler asks for them; then the socket is paused."""


class Pausable(Protocol):
    """A source of bytes that can be stopped while the other side is slow."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Witness(Protocol):
    """Sees both bodies as they pass, the answer's without its framing."""

    def received(self, data: bytes) -> None: ...
    def answers(self, headers: bytes) -> None:
        """The answer begins, with these header lines."""
        ...

    def sent(self, data: bytes) -> None: ...


class Carrier(Protocol):
    """What an exchange needs of its client connection."""

    transport: asyncio.Transport
    peer: str
    write_paused: bool
    body_bytes_max: int

    def want_body(self) -> None: ...
    def body_taken(self) -> None: ...
    def may_keep(self, exchange: Exchange) -> bool: ...
    def exchange_over(self, exchange: Exchange) -> None: ...
    def exchange_aborted(self, exchange: Exchange) -> None: ...
    def drain_waiter(self) -> asyncio.Future[None]: ...


class Exchange:
    """One request, and the means to answer it. The wire makes it, one handler coroutine owns it.

    Header blocks given to `respond` and `start` are `b"Name: value\\r\\n"` lines without Content-Length,
    Transfer-Encoding and Connection, which the wire adds; nothing else is added (no Date, no Server).
    """

    __slots__ = (
        "_answer_left",
        "_body",
        "_callbacks",
        "_carrier",
        "_failure",
        "_framing",
        "_received",
        "_source",
        "_waiter",
        "_wake_at",
        "body_bytes",
        "body_complete",
        "expects_continue",
        "finished",
        "gone",
        "head",
        "keep_alive",
        "peer",
        "started",
        "status",
        "version_minor",
        "witness",
    )

    def __init__(self, carrier: Carrier, head: RequestHead, body_bytes: int | None, body: bytes | None = None) -> None:
        """`body`: all of it, where it came with its head."""
        self._carrier = carrier
        self.head = head
        self.body_bytes = body_bytes
        """The declared length of the body; 0 without one, None when chunked."""
        self.keep_alive = head.keep_alive
        """Another request may follow on the connection."""
        self.version_minor = head.version_minor
        self.peer = carrier.peer
        """The client's IP address."""
        self.started = False
        """The status line has been written."""
        self.finished = False
        """The answer is over, properly or not."""
        self.gone = False
        """The client closed or reset its connection; further writes are dropped."""
        self.status = 0
        """The status that was sent; 0 before."""
        self.body_complete = body is not None
        """The whole request body has arrived."""
        self._body: bytes | bytearray = body or b""
        self._received = 0
        self._failure: WireError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._wake_at = 1
        self._callbacks: list[Callable[[], None]] | None = None
        self._source: Pausable | None = None
        self.expects_continue = head.expects_continue
        self.witness: Witness | None = None
        """Set before the body is read, by who wants to know."""
        self._framing = 0  # 0: none (HEAD, 204, 304, or up to the close), 1: counted, 2: chunked
        self._answer_left = 0

    @property
    def method(self) -> str:
        return self.head.method

    @property
    def path(self) -> str:
        """Still percent-encoded, without the query."""
        return self.head.path

    @property
    def query(self) -> str:
        return self.head.query

    def header(self, name: bytes) -> bytes | None:
        """The first value of a field; `name` in lower case."""
        return self.head.header(name)

    # ---- the request body

    def arrived(self, bytes_max: int) -> bytes | None:
        """The whole body, if it has arrived. None: `read` waits for it, or says what is wrong with it."""
        body = self._body
        size = len(body)
        if not self.body_complete or size > bytes_max or size > self._carrier.body_bytes_max or type(body) is not bytes:
            return None
        if self.witness is not None:
            self.witness.received(body)
        self._body = b""
        return body

    async def read(self, bytes_max: int) -> bytes:
        """The whole body, without suspending if it has arrived.

        Raises BodyTooLarge (the lower of `bytes_max` and the server's limit), BodyTimeout, BodyBroken, ClientLeft.
        """
        bytes_max = min(bytes_max, self._carrier.body_bytes_max)
        if self.body_bytes is not None and self.body_bytes > bytes_max:
            raise BodyTooLarge(f"The request body is larger than {bytes_max} bytes")
        if not self.body_complete:
            await self._receive(bytes_max + 1)
        body, self._body = self._body, b""
        if len(body) > bytes_max:
            raise BodyTooLarge(f"The request body is larger than {bytes_max} bytes")
        return self._given(body)

    async def read_some(self) -> bytes:
        """The next piece of the body; empty at its end. Raises as `read` does, BodyTooLarge for the server's limit."""
        if max(self._received, self.body_bytes or 0) > self._carrier.body_bytes_max:
            raise BodyTooLarge(f"The request body is larger than {self._carrier.body_bytes_max} bytes")
        if not self._body and not self.body_complete:
            await self._receive(1)
        body, self._body = self._body, b""
        if not self.body_complete:
            self._carrier.body_taken()
        return self._given(body)

    def _given(self, body: bytes | bytearray) -> bytes:
        data = body if type(body) is bytes else bytes(body)
        if self.witness is not None:
            self.witness.received(data)
        return data

    async def _receive(self, wake_at: int) -> None:
        """Wait until the body is complete or `wake_at` bytes are buffered."""
        while not self.body_complete and len(self._body) < wake_at:
            if self._failure is not None:
                raise self._failure
            if self.expects_continue:
                self.expects_continue = False
                if not self._received and not self.started:
                    self._carrier.transport.write(CONTINUE)
            self._wake_at = wake_at
            self._waiter = asyncio.get_running_loop().create_future()
            self._carrier.want_body()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._failure is not None and not self.body_complete:
            raise self._failure

    @property
    def awaits_body(self) -> bool:
        """The handler waits for body bytes right now."""
        return self._waiter is not None and not self._waiter.done()

    @property
    def buffered_bytes(self) -> int:
        """Body bytes that the handler has not taken yet."""
        return len(self._body)

    def take(self, data: bytes, *, complete: bool) -> None:
        """Body bytes from the connection."""
        self._received += len(data)
        if self.finished:
            self.body_complete = complete
            return
        body = self._body
        if not body:
            self._body = data
        elif type(body) is bytearray:
            body += data
        else:
            self._body = bytearray(body)
            self._body += data
        self.body_complete = complete
        if self._waiter is not None and (complete or len(self._body) >= self._wake_at):
            self._wake()

    def fail(self, failure: WireError) -> None:
        """The body will not arrive."""
        if not self.body_complete and self._failure is None:
            self._failure = failure
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ---- the answer

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """The whole answer in one write. For HEAD, 204 and 304 the body is not sent."""
        if self.started:
            raise RuntimeError("the exchange was answered twice")
        self.started = True
        self.status = status
        if self.witness is not None:
            self.witness.answers(headers)
            self.witness.sent(body)
        if not self.gone and not self.finished:
            keep = self.keep_alive and self.version_minor and self._carrier.may_keep(self)
            connection = b"" if keep else self._connection_line()
            line = STATUS_LINES.get(status) or status_line(status)
            bodiless = status in STATUSES_WITHOUT_BODY
            framing = b"\r\n" if bodiless else b"Content-Length: %d\r\n\r\n" % len(body)
            sent = b"" if bodiless or self.head.method == "HEAD" else body
            self._carrier.transport.write(b"".join((line, headers, connection, framing, sent)))
        self._end()

    def start(self, status: int, headers: bytes, length: int | None) -> None:
        """Begin a streamed answer of `length` bytes; None: chunked (for an HTTP/1.0 client up to the close)."""
        if self.started:
            raise RuntimeError("the exchange was answered twice")
        self.started = True
        self.status = status
        if self.witness is not None:
            self.witness.answers(headers)
        if self.gone or self.finished:
            return
        framing = b""
        if status in STATUSES_WITHOUT_BODY:
            pass
        elif length is not None:
            framing = b"Content-Length: %d\r\n" % length
            self._framing, self._answer_left = 1, length
        elif self.version_minor:
            framing = b"Transfer-Encoding: chunked\r\n"
            self._framing = 2
        else:
            self.keep_alive = False
        if self.head.method == "HEAD":
            self._framing = 0
        head = b"%b%b%b%b\r\n" % (status_line(status), headers, self._connection_line(), framing)
        self._carrier.transport.write(head)

    def write(self, data: bytes) -> None:
        """The next piece of a streamed answer, in one transport write. Dropped once the client is gone."""
        if self.gone or self.finished or not data:
            return
        if self.witness is not None:
            self.witness.sent(data)
        if self._framing == 2:
            self._carrier.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        elif self._framing == 1:
            self._answer_left -= len(data)
            if self._answer_left < 0:
                self.abort()
                raise RuntimeError("the answer is longer than its declared length")
            self._carrier.transport.write(data)
        elif not self.version_minor and self.head.method != "HEAD" and self.status not in STATUSES_WITHOUT_BODY:
            self._carrier.transport.write(data)

    def pass_on(self, data: bytes, framed: bytes) -> None:
        """As `write`; `framed`, unless empty: the same bytes as one chunk of HTTP/1.1, which need not be made anew."""
        if framed and self._framing == 2:
            if not self.gone and not self.finished:
                if self.witness is not None:
                    self.witness.sent(data)
                self._carrier.transport.write(framed)
        else:
            self.write(data)

    def finish(self) -> None:
        """End a streamed answer. A counted answer that is incomplete is cut, as the client must not think it whole."""
        if self.finished:
            return
        if not self.started:
            raise RuntimeError("the answer was finished before it was started")
        if self._framing == 1 and self._answer_left and not self.gone:
            self.abort()
            return
        if self._framing == 2 and not self.gone:
            self._carrier.transport.write(LAST_CHUNK)
        self._end()

    def abort(self) -> None:
        """Cut the connection, so that the client sees that the answer is not whole. Idempotent."""
        if not self.finished:
            self.finished = True
            self._decouple()
            self._carrier.exchange_aborted(self)

    def _connection_line(self) -> bytes:
        self.keep_alive = self.keep_alive and self._carrier.may_keep(self)
        if self.version_minor:
            return b"" if self.keep_alive else b"Connection: close\r\n"
        return b"Connection: keep-alive\r\n" if self.keep_alive else b"Connection: close\r\n"

    def _end(self) -> None:
        if not self.finished:
            self.finished = True
            if self._source is not None:
                self._decouple()
            if self._body:
                # Refused before anybody read it.
                self._given(self._body)
                self._body = b""
            self._carrier.exchange_over(self)

    # ---- flow control and departure

    def couple(self, source: Pausable) -> None:
        """Stop `source` while the client reads too slowly; until the answer is over."""
        self._source = source
        if self._carrier.write_paused:
            source.pause_reading()

    def _decouple(self) -> None:
        source, self._source = self._source, None
        if source is not None and self._carrier.write_paused:
            source.resume_reading()

    @property
    def source(self) -> Pausable | None:
        """What is coupled."""
        return self._source

    async def drained(self) -> None:
        """Wait until the client has read enough; for writers that are not coupled. Raises ClientLeft."""
        while self._carrier.write_paused and not self.gone:
            await self._carrier.drain_waiter()
        if self.gone:
            raise ClientLeft("the client left")

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the client closes or resets before the answer is over; at once if it is gone."""
        if self.gone:
            callback()
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def left(self) -> None:
        """The connection is lost (called by the wire)."""
        if self.gone or self.finished:
            return
        self.gone = True
        self._decouple()
        self.fail(ClientLeft("the client left"))
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback()
