"""Every request comes in here: it gets its id, its caller and its route, and every error its dialect."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from proxyapi.dialects import faults
from proxyapi.errors import AnswerNotKept, ClientGone, GatewayError, MethodNotAllowed, StoreUnavailable, Unauthenticated
from proxyapi.gateway import routes
from proxyapi.gateway.admission import Admission
from proxyapi.gateway.introduction import Introduction, introduce
from proxyapi.gateway.pauses import Pauses
from proxyapi.gateway.visit import Visit
from proxyapi.identity.addresses import ClientAddress
from proxyapi.identity.keys import Caller, Keys, check_address, check_endpoint, strip_key
from proxyapi.ids import IdSource
from proxyapi.logbook.book import Logbook
from proxyapi.logbook.record import Facts, Record
from proxyapi.money import format_amount
from proxyapi.store.errors import StoreError
from proxyapi.telemetry import AccessLine, Log, Metrics
from proxyapi.wire.errors import WireError
from proxyapi.wire.exchange import BODY_BUFFER_BYTES
from proxyapi.wire.server import Exchange

if TYPE_CHECKING:
    from proxyapi.gateway.repeats import Repeats

Handler = Callable[[Visit], Awaitable[None]]

JSON_HEADERS = b"content-type: application/json\r\n"
CLIENT_GONE_STATUS = 499
"""Only for the log: nobody was left to read an answer."""

_LOGGED: frozenset[routes.Kind] = frozenset({"paid", "upload", "stored", "estimate"})
"""What customers' logs keep: calls of models, and not how often somebody asks for a balance or a list."""
_ALLOWED_HEADERS = (
    b"authorization, content-type, x-api-key, x-goog-api-key, anthropic-version, anthropic-beta, openai-beta, "
    b"x-proxyapi-cost, x-proxyapi-max-cost, x-proxyapi-strict, x-title, http-referer, idempotency-key"
)
_ASKED_HEADERS = re.compile(rb"[A-Za-z0-9-]+(?:[ \t]*,[ \t]*[A-Za-z0-9-]+)*")
"""What a browser asks to send, as `x-stainless-os` of the SDKs: it may, since what no provider takes stays here."""
_EXPOSED_HEADERS = (
    b"x-request-id, x-upstream-request-id, x-proxyapi-cost, x-proxyapi-estimate, x-proxyapi-balance-after, "
    b"x-proxyapi-translation, x-proxyapi-dropped, x-proxyapi-approximated, x-proxyapi-count, x-proxyapi-shortened, "
    b"x-proxyapi-provider, x-proxyapi-model, retry-after, idempotent-replayed, x-proxyapi-original-request"
)


class Entrance:
    """`serve` is the server's handler: called once per request, never raises."""

    def __init__(
        self,
        *,
        handlers: Mapping[routes.Kind, Handler],
        keys: Keys,
        admission: Admission,
        pauses: Pauses,
        repeats: Repeats | None,
        address: ClientAddress,
        ids: IdSource,
        clock: Callable[[], float],
        log: Log,
        metrics: Metrics,
        logbook: Logbook,
        cors_origins: Collection[str] = (),
    ) -> None:
        """`repeats` None: an `Idempotency-Key` means nothing."""
        self._handlers = handlers
        self._keys = keys
        self._admission = admission
        self._pauses = pauses
        self._repeats = repeats
        self._address = address
        self._ids = ids
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._logbook = logbook
        self._cors_origins = frozenset(origin.encode() for origin in cors_origins)

    async def serve(self, exchange: Exchange) -> None:
        visit = Visit(exchange, self._ids(), self._clock(), exchange.peer)
        try:
            introduction = self._introduce(visit)
            if introduction is not None:
                route, digest, key = introduction.route, introduction.digest, introduction.idempotency_key
                if route.needs_key:
                    if digest is None:
                        raise Unauthenticated
                    self._admit(visit, self._keys.cached(digest) or await self._keys.find(digest))
                handler = self._handlers[route.kind]
                if key is None or self._repeats is None:
                    await handler(visit)
                else:
                    await self._repeats.bracket(visit, key, handler)
        except GatewayError as error:
            if visit.record is not None and not exchange.body_complete:
                await self._take_rest(exchange)
            self._refuse(visit, error)
        except StoreError:
            self._refuse(visit, StoreUnavailable())
        except (ClientGone, WireError):
            visit.ending = visit.ending or "client_gone"
            visit.status = visit.status or CLIENT_GONE_STATUS
            exchange.abort()
        finally:
            self._close(visit)

    def _introduce(self, visit: Visit) -> Introduction | None:
        """Where the request goes, and whose it is; None: it is answered."""
        exchange = visit.exchange
        if self._cors_origins:
            self._allow_origin(visit)
        if exchange.head.method == "OPTIONS" and not routes.is_console(exchange.path):
            self._options(visit)
            return None
        introduction = visit.introduction = introduce(exchange.head, exchange.peer, self._address)
        visit.route = introduction.route
        visit.peer = introduction.peer
        visit.operation = introduction.operation
        return introduction

    def _admit(self, visit: Visit, caller: Caller) -> None:
        """May this key call now, from here, this endpoint? Forbidden, TooManyRequests."""
        visit.caller = caller
        if caller.log_days and visit.route is not None and visit.route.kind in _LOGGED:
            visit.record = visit.exchange.witness = self._logbook.open(visit.exchange.head.headers)
        if caller.paused_until:
            self._pauses.check(caller)
        if caller.networks:
            check_address(caller, visit.peer)
        if caller.endpoints:
            check_endpoint(caller, visit.operation)
        if caller.requests_per_minute is not None:
            self._admission.admit_request(caller)

    def _options(self, visit: Visit) -> None:
        methods = ", ".join(routes.methods_of(visit.exchange.path)).encode()
        if not methods:
            routes.find("GET", visit.exchange.path)
        headers = b"allow: %b\r\n" % methods
        if visit.extra_headers:
            asked = visit.exchange.header(b"access-control-request-headers") or b""
            headers += (
                b"access-control-allow-methods: %b\r\naccess-control-allow-headers: %b\r\n"
                b"access-control-max-age: 600\r\n"
                % (methods, asked if _ASKED_HEADERS.fullmatch(asked) else _ALLOWED_HEADERS)
            )
        visit.respond(204, headers, b"")

    def _allow_origin(self, visit: Visit) -> None:
        origin = visit.exchange.header(b"origin")
        if origin is not None and (origin in self._cors_origins or b"*" in self._cors_origins):
            visit.extra_headers = (
                b"access-control-allow-origin: %b\r\naccess-control-expose-headers: %b\r\nvary: origin\r\n"
                % (origin, _EXPOSED_HEADERS)
            )

    @staticmethod
    async def _take_rest(exchange: Exchange) -> None:
        """For the log of a request that is refused by its head alone: a small body is right behind."""
        size = exchange.body_bytes
        if size is not None and size <= BODY_BUFFER_BYTES and not exchange.started and not exchange.expects_continue:
            with suppress(WireError):
                await exchange.read(BODY_BUFFER_BYTES)

    def _refuse(self, visit: Visit, error: GatewayError) -> None:
        visit.error = error.code
        visit.ending = visit.ending or "refused"
        self._metrics.refused[error.code] += 1
        if visit.exchange.started:
            # An answer is under way and its handler could not end it in its own dialect: cut rather than pretend.
            visit.exchange.abort()
            return
        shape = visit.route.shape if visit.route is not None else routes.shape_of(visit.exchange.path)
        headers = JSON_HEADERS
        if error.retry_after_seconds is not None:
            headers += b"retry-after: %d\r\n" % error.retry_after_seconds
        if isinstance(error, AnswerNotKept):
            headers += b"x-should-retry: false\r\n"
        if isinstance(error, Unauthenticated):
            headers += b"www-authenticate: Bearer\r\n"
        if isinstance(error, MethodNotAllowed):
            headers += b"allow: %b\r\n" % ", ".join(routes.methods_of(visit.exchange.path)).encode()
        visit.respond(error.status, headers, faults.error(shape, error, visit.request_id))

    def _close(self, visit: Visit) -> None:
        if visit.tape is not None:
            visit.tape.close()
        milliseconds = (self._clock() - visit.started) * 1000
        self._metrics.finished(visit.operation, visit.provider, visit.status, milliseconds)
        caller = visit.caller
        if caller is not None and 400 <= visit.status < 499:
            self._pauses.strike(caller, visit.error)
        if visit.record is not None:
            self._keep(visit, visit.record, milliseconds)
        if not self._log.access:
            return
        exchange = visit.exchange
        self._log.request(
            AccessLine(
                self._log.stamp(),
                "request",
                request=visit.request_id,
                method=exchange.method,
                path=exchange.path,
                status=visit.status,
                peer=visit.peer,
                ms=round(milliseconds, 1),
                first_byte_ms=round(visit.first_byte_ms, 1),
                key=caller.key_id if caller else 0,
                account=caller.account_id if caller else 0,
                provider=visit.provider,
                model=visit.model,
                ending=visit.ending,
                charged=format_amount(visit.charged) if visit.charged else "",
                error=visit.error,
            )
        )

    def _keep(self, visit: Visit, record: Record, milliseconds: float) -> None:
        """Hand the request over to the log that its account keeps."""
        exchange, caller, route = visit.exchange, visit.caller, visit.route
        assert caller is not None and route is not None, "the record was opened for them"
        query = strip_key(exchange.query) if exchange.query else ""
        facts = Facts(
            id=visit.id,
            account_id=caller.account_id,
            key_id=caller.key_id,
            method=exchange.method,
            path=f"{exchange.path}?{query}" if query else exchange.path,
            operation=visit.operation,
            dialect=route.dialect,
            provider=visit.provider,
            model=visit.model,
            status=visit.status,
            error=visit.error,
            ending=visit.ending,
            duration_ms=round(milliseconds),
            first_byte_ms=round(visit.first_byte_ms),
            peer=visit.peer,
        )
        self._logbook.keep(facts, record)
