"""Requests for people and operators go on to the console's process: bytes there, bytes back, streams as they arrive.

What the console is told of the client (`x-forwarded-*`) is written here and nowhere else; the client's own lines of
that name stay behind. A secret of this start tells the console that it is the gateway that speaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxyapi.errors import NotFound, Unavailable
from proxyapi.gateway import bodies
from proxyapi.wire.client import Origin, Pool, Response, Timeouts
from proxyapi.wire.errors import WireError

if TYPE_CHECKING:
    from proxyapi.gateway.visit import Visit
    from proxyapi.wire.http1 import RequestHead

BODY_BYTES_MAX = 24 * 2**20
"""A form has some kilobytes; the playground may send a picture or two."""
AT_ONCE_MAX = 200
"""Requests that wait for the console at a time, per worker: beyond it people are told to come back."""
PATIENCE = Timeouts(connect_seconds=2.0, first_byte_seconds=30.0, idle_seconds=300.0)
"""A page takes milliseconds, a password some fifty; a stream of the playground begins at once and may then think."""
DOOR = b"x-proxyapi-door"

_DROPPED = frozenset(
    {
        DOOR,
        b"connection",
        b"content-length",
        b"expect",
        b"forwarded",
        b"host",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"x-request-id",
    }
)
"""Of the request: what belongs to one connection (RFC 9110, section 7.6.1), and what only the gateway may say."""
_KEPT_BACK = frozenset({b"connection", b"content-length", b"date", b"keep-alive", b"server", b"transfer-encoding"})
"""Of the answer: what the wire says itself."""

_AWAY_TEXT = """<!doctype html>
<html lang="ru"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>proxyapi</title></head><body><main>
<h1>Кабинет сейчас недоступен</h1>
<p>Запросы к API идут и списываются как обычно. Обновите страницу через минуту.</p>
<h1 lang="en">The console is not available right now</h1>
<p lang="en">API requests go on and are charged as usual. Reload the page in a minute.</p>
</main></body></html>
"""
_AWAY = _AWAY_TEXT.encode()
_AWAY_HEADERS = (
    b"content-type: text/html; charset=utf-8\r\ncache-control: no-store\r\nretry-after: 5\r\n"
    b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\nx-content-type-options: nosniff\r\n"
)
"""While the console starts, or starts again."""


class Forward:
    """The way to the console. Its handler is one of the entrance's."""

    def __init__(self, pool: Pool, port: int, secret: bytes, *, secure: bool) -> None:
        """`port`: of the console, on this machine; 0: there is none. `secure`: people come over HTTPS."""
        self._pool = pool
        self._origin = Origin("http", "127.0.0.1", port)
        self._secret = secret
        self._scheme = b"https" if secure else b"http"
        self._running = 0

    async def handle(self, visit: Visit) -> None:
        """Any method, any path below the console's prefixes."""
        if self._origin.port == 0:
            raise NotFound("The console is switched off: [console] enabled.")
        visit.extra_headers = b""  # no other site's scripts are let in, whatever the API allows
        body = await bodies.read_as_sent(visit.exchange, BODY_BYTES_MAX)
        if self._running >= AT_ONCE_MAX:
            raise Unavailable("Too many people ask for pages at once; try again.", retry_after_seconds=2)
        self._running += 1
        try:
            await self._bring(visit, body)
        finally:
            self._running -= 1

    async def _bring(self, visit: Visit, body: bytes) -> None:
        exchange = visit.exchange
        try:
            head = self._head(visit, exchange.head, len(body))
            response = await self._pool.send(self._origin, head, body, method=exchange.method, timeouts=PATIENCE)
        except WireError:
            visit.ending, visit.error = "console_away", "console_away"
            visit.respond(503, _AWAY_HEADERS, _AWAY)
            return
        exchange.on_gone(response.close)
        try:
            await self._pipe(visit, response)
        except WireError:
            exchange.abort()

    async def _pipe(self, visit: Visit, response: Response) -> None:
        exchange = visit.exchange
        visit.status, visit.ending = response.status, "forwarded"
        lines = b"".join([b"%b: %b\r\n" % field for field in response.headers if field[0] not in _KEPT_BACK])
        exchange.start(response.status, lines + visit.headers(), response.length)
        exchange.couple(response)
        await response.pipe(exchange.pass_on)
        exchange.finish()

    def _head(self, visit: Visit, head: RequestHead, body_bytes: int) -> bytes:
        query = f"?{head.query}" if head.query else ""
        host = head.header(b"host") or b"localhost"
        lines = b"".join([b"%b: %b\r\n" % field for field in head.headers if field[0] not in _DROPPED])
        return (
            b"%b %b HTTP/1.1\r\nhost: console\r\n%bx-forwarded-for: %b\r\nx-forwarded-host: %b\r\n"
            b"x-forwarded-proto: %b\r\nx-request-id: %b\r\n%b: %b\r\ncontent-length: %d\r\n\r\n"
        ) % (
            head.method.encode(), (head.path + query).encode("latin-1"), lines, visit.peer.encode(), host, self._scheme,
            visit.request_id.encode(), DOOR, self._secret, body_bytes,
        )  # fmt: skip
