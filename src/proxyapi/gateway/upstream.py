"""The provider's end of a request: the head that is sent, and its failures as ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from proxyapi.errors import (
    ClientGone,
    GatewayError,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from proxyapi.gateway.fallback import FIRST_BYTE_SECONDS
from proxyapi.gateway.headers import to_provider
from proxyapi.identity.keys import strip_key
from proxyapi.telemetry import Metrics
from proxyapi.wire.client import BodySource, Pool, Response
from proxyapi.wire.errors import (
    ConnectFailed,
    ConnectTimeout,
    FirstByteTimeout,
    IdleTimeout,
    WireError,
)

if TYPE_CHECKING:
    from proxyapi.gateway.bill import Bill
    from proxyapi.gateway.routes import Route
    from proxyapi.gateway.visit import Visit
    from proxyapi.providers.catalog import Target
    from proxyapi.providers.provider import Provider
    from proxyapi.wire.server import Exchange

ANTHROPIC_VERSION = b"anthropic-version: 2023-06-01\r\n"
"""Required by the Messages API; clients without an SDK forget it."""

_WHOLE = b"%bcontent-length: %d\r\n\r\n"
"""A head, and what follows its beginning."""
_CREDENTIAL_STATUSES = frozenset({401, 402})


def failure(error: WireError, provider: str) -> GatewayError:
    """A failure of the wire in words for the client: which provider, whether it costs, never an address."""
    match error:
        case ConnectFailed():
            return UpstreamUnreachable(f"{provider} cannot be reached right now. Nothing was charged; try again.")
        case ConnectTimeout():
            return UpstreamTimeout(f"{provider} did not accept a connection in time. Nothing was charged; try again.")
        case FirstByteTimeout():
            return UpstreamTimeout(f"{provider} did not begin to answer in time. Nothing was charged.")
        case IdleTimeout():
            return UpstreamTimeout(f"{provider} stopped answering in the middle of its reply.")
    return UpstreamBroken(f"{provider} broke off its answer.")


class Upstream:
    """Opens requests at providers."""

    def __init__(self, pool: Pool, metrics: Metrics) -> None:
        self._pool = pool
        self._metrics = metrics
        self._starts: dict[tuple[str, str, str], bytes] = {}

    async def open(
        self, visit: Visit, provider: Provider, path: str, body: bytes | BodySource, *, method: str = "POST"
    ) -> Response:
        """Send the request; returns when the head of the answer is there. `path` carries the query. UpstreamError."""
        length = len(body) if isinstance(body, bytes) else body.length or 0
        start = self._start_for(visit, provider, path, method)
        head = _WHOLE % (start, length) if length or method == "POST" else start + b"\r\n"
        try:
            return await self._pool.send(provider.origin, head, body, method=method)
        except WireError as error:
            raise self.failed(error, provider) from error

    def pass_on(self, visit: Visit, target: Target, body: bytes | BodySource) -> Awaitable[Response]:
        """The client's own request, to the endpoint that its route has at the target; as `open`, but that the caller
        turns a WireError into what `failed` returns."""
        introduction = visit.introduction
        assert introduction is not None, "the entrance made it"
        provider = target.provider
        key = (provider.name, target.name, target.model)
        start = introduction.heads.get(key)
        if start is None:
            start = self._start_for(visit, provider, _path(visit, introduction.route, target), "POST")
            introduction.keep(key, start)
        length = len(body) if isinstance(body, bytes) else body.length or 0
        return self._pool.send(provider.origin, _WHOLE % (start, length), body, method="POST")

    def send_as(self, provider: Provider, path: str, lines: bytes, body: bytes) -> Awaitable[Response]:
        """As `pass_on`, a request of the gateway's own making. `lines`: header fields, but for the credential."""
        start = self._starts.get((provider.name, path, "POST")) or self._start(provider, path, "POST")
        return self._pool.send(provider.origin, _WHOLE % (start + lines, len(body)), body, method="POST")

    def for_client(self, visit: Visit, bill: Bill, head: Awaitable[Response]) -> Awaitable[Response]:
        """`head`, unless the client leaves first and the provider stops working when its connection closes: ClientGone.

        Nobody stops for that who answers with one body. Where somebody else can be asked a stream has to begin soon."""
        if bill.more and bill.call.stream:
            head = _soon(head)
        if bill.call.stream and bill.target.provider.on_gone == "cancel":
            return _while_there(visit.exchange, head)
        return head

    def failed(self, error: WireError, provider: Provider) -> GatewayError:
        """Count a failure of the wire; what the client is told."""
        ours = failure(error, provider.title)
        self._metrics.upstream_errors[provider.name, ours.code] += 1
        return ours

    def _start_for(self, visit: Visit, provider: Provider, path: str, method: str) -> bytes:
        """A head but for the length of its body."""
        start = self._starts.get((provider.name, path, method))
        if start is None:
            start = self._start(provider, path, method)
        introduction = visit.introduction
        assert introduction is not None, "the entrance made it"
        lines = introduction.forwarded.get(provider.name)
        if lines is None:
            lines = to_provider(visit.exchange.head.headers, provider.forwarded_headers)
            if introduction.route.shape == "anthropic" and visit.exchange.header(b"anthropic-version") is None:
                lines += ANTHROPIC_VERSION
            introduction.forwarded[provider.name] = lines
        return start + lines

    def _start(self, provider: Provider, path: str, method: str) -> bytes:
        name, value = provider.credential()
        start = b"%b %b HTTP/1.1\r\nhost: %b\r\n%b: %b\r\naccept-encoding: identity\r\n" % (
            method.encode(),
            path.encode("ascii"),
            _host(provider.host),
            name.encode(),
            value.encode("latin-1"),
        )
        if len(self._starts) >= STARTS_MAX:
            self._starts.clear()
        self._starts[provider.name, path, method] = start
        return start


async def _while_there(exchange: Exchange, head: Awaitable[Response]) -> Response:
    """The coroutine that waits is cancelled by the client's departure, which is told from a cancellation by others."""
    task = asyncio.current_task()
    assert task is not None, "requests run in tasks"
    waiting = True

    def left() -> None:
        if waiting:
            task.cancel()

    exchange.on_gone(left)
    try:
        return await head
    except asyncio.CancelledError:
        if exchange.gone and not task.uncancel():
            raise ClientGone from None
        raise
    finally:
        waiting = False


async def _soon(head: Awaitable[Response]) -> Response:
    try:
        async with asyncio.timeout(FIRST_BYTE_SECONDS):
            return await head
    except TimeoutError as error:
        raise FirstByteTimeout(f"no answer within {FIRST_BYTE_SECONDS:g} s") from error


STARTS_MAX = 2_000
"""Prepared request lines: providers × paths; Gemini paths carry the model's name."""


def refused_credential(status: int, provider: Provider) -> UpstreamError | None:
    """A provider that refuses the *operator's* key or funds: not the client's doing, and its text may show the key."""
    if status in _CREDENTIAL_STATUSES and not provider.passes_credential_errors:
        return UpstreamError(
            f"{provider.title} refused the gateway's own access. Nothing was charged; tell the operator."
        )
    return None


def _path(visit: Visit, route: Route, target: Target) -> str:
    """Where the target takes what came by this route; with the client's query, but for its key."""
    path = target.provider.path(
        route.dialect, route.operation, model=target.model, version=route.version, action=route.action
    )
    query = visit.exchange.query
    if query:
        query = strip_key(query)
    return f"{path}?{query}" if query else path


def _host(name: str) -> bytes:
    """For the Host header; a name beyond ASCII in the form that the network knows."""
    return name.encode() if name.isascii() else name.encode("idna")
