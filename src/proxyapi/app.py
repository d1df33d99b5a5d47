"""The composition root: settings and a worker's resources become what answers requests. The only file that knows every
part of it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from proxyapi.dialects import faults
from proxyapi.errors import GatewayError, InvalidRequest, PayloadTooLarge, RequestTimeout, TooManyRequests
from proxyapi.gateway import routes
from proxyapi.gateway.admission import Admission
from proxyapi.gateway.background import Background
from proxyapi.gateway.bill import Bills
from proxyapi.gateway.counting import Counting
from proxyapi.gateway.embedding import Embedding
from proxyapi.gateway.entrance import JSON_HEADERS, Entrance, Handler
from proxyapi.gateway.foreign import Foreign
from proxyapi.gateway.forward import Forward
from proxyapi.gateway.holding import Holding
from proxyapi.gateway.links import Links
from proxyapi.gateway.own import Own
from proxyapi.gateway.pauses import Pauses
from proxyapi.gateway.relay import Relay
from proxyapi.gateway.replies import Replies
from proxyapi.gateway.stored import Stored
from proxyapi.gateway.translate import Translator
from proxyapi.gateway.translated import TranslatedReplies
from proxyapi.gateway.upstream import Upstream
from proxyapi.identity.addresses import ClientAddress
from proxyapi.identity.keys import Keys
from proxyapi.identity.objects import Objects
from proxyapi.identity.pause import PausePolicy
from proxyapi.identity.revisions import Revisions
from proxyapi.identity.secret import agree_on_secret
from proxyapi.ids import format_id
from proxyapi.ledger.ledger import now_ms
from proxyapi.ledger.receipt import find_receipt
from proxyapi.telemetry import place_of
from proxyapi.wire.server import Exchange, Server, ServerLimits

if TYPE_CHECKING:
    from proxyapi.providers.catalog import Catalog
    from proxyapi.resources import Resources
    from proxyapi.settings import Settings

MILLISECONDS = 1000

_WIRE_FAULTS: dict[int, type[GatewayError]] = {
    400: InvalidRequest,
    408: RequestTimeout,
    413: PayloadTooLarge,
    429: TooManyRequests,
}
"""How refusals of the HTTP layer are spelled; others are plain bad requests, or our own fault."""


class Neighbours(NamedTuple):
    """The processes beside a worker, as its supervisor tells it."""

    workers: int = 1
    """How many answer requests, this one among them."""
    sandbox_port: int = 0
    """0: the worker runs the sandbox provider itself."""
    console_port: int = 0
    """0: there is no console."""
    console_secret: bytes = b""
    departed: Sequence[str] = ()
    """Names of workers whose processes are known to have ended."""


ALONE = Neighbours()


class Gateway:
    """What answers requests, behind `server`. It does nothing by itself: `revisions` waits to be run."""

    def __init__(
        self,
        settings: Settings,
        resources: Resources,
        catalog: Catalog,
        neighbours: Neighbours,
        *,
        why_not_ready: Callable[[], str],
    ) -> None:
        """The ledger is open. `why_not_ready`: empty, or why no request is taken."""
        self._settings = settings
        self._resources = resources
        self._catalog = catalog
        self._admission = Admission(time.monotonic, workers=neighbours.workers)
        self._bills = Bills(resources.ledger, catalog, resources.tokenizer, resources.metrics, time.monotonic)
        self._upstream = Upstream(resources.pool, resources.metrics)
        self._pauses = Pauses(resources.ledger, _pause_policy(settings), now_ms, resources.log)
        self._stored = self._stored_responses()
        self._background = Background(
            self._bills,
            self._upstream,
            sleep=asyncio.sleep,
            clock=time.monotonic,
            reply_bytes_max=settings.limits.reply_bytes_max,
        )
        keys = Keys(resources.database.fetch, time.time)
        self.revisions = Revisions(
            resources.database.fetch, on_failure=lambda error: resources.log.event("store", text=str(error))
        )
        self.revisions.listen("identity", keys.invalidate)
        relay = self._relay()
        own = self._own(relay, why_not_ready, home=b"/console/" if neighbours.console_port else b"")
        forward = self._forward(neighbours)
        self.server = self._server(self._entrance(keys, _handlers(relay, self._stored, own, forward)))

    async def close(self) -> None:
        """After the server has stopped: what still runs for requests that are over."""
        await self._pauses.close()
        await self._stored.close()
        await self._background.close()

    # --- those who answer --------------------------------------------------------------------------------------------

    def _stored_responses(self) -> Stored:
        return Stored(
            objects=Objects(self._resources.database.fetch),
            ledger=self._resources.ledger,
            upstream=self._upstream,
            catalog=self._catalog,
            conversations=self._resources.conversations,
            clock_ms=now_ms,
            reply_bytes_max=self._settings.limits.reply_bytes_max,
        )

    def _own(self, relay: Relay, why_not_ready: Callable[[], str], *, home: bytes) -> Own:
        resources = self._resources
        return Own(
            ledger=resources.ledger,
            catalog=self._catalog,
            relay=relay,
            metrics=resources.metrics,
            snapshots=resources.ledger.snapshots,
            receipts=partial(find_receipt, resources.database),
            currency=self._settings.currency,
            ready=why_not_ready,
            home=home,
        )

    def _forward(self, neighbours: Neighbours) -> Forward:
        settings = self._settings
        secure = bool(settings.tls.certificate) or settings.console.url.startswith("https://")
        return Forward(self._resources.pool, neighbours.console_port, neighbours.console_secret, secure=secure)

    # --- the relay ---------------------------------------------------------------------------------------------------

    def _relay(self) -> Relay:
        resources, limits = self._resources, self._settings.limits
        replies = self._replies()
        translator = self._translator()
        foreign = Foreign(
            upstream=self._upstream,
            bills=self._bills,
            metrics=resources.metrics,
            clock=time.monotonic,
            reply_bytes_max=limits.reply_bytes_max,
        )
        return Relay(
            catalog=self._catalog,
            holding=Holding(
                catalog=self._catalog,
                bills=self._bills,
                admission=self._admission,
                background=self._background,
                tokenizer=resources.tokenizer,
            ),
            upstream=self._upstream,
            replies=replies,
            translator=translator,
            translated=self._translated(translator, foreign, replies),
            embedding=Embedding(foreign=foreign, bills=self._bills, currency=self._settings.currency),
            counting=Counting(translator=translator, upstream=self._upstream, tokenizer=resources.tokenizer),
            stored=self._stored,
            repeats=resources.repeats,
            clock=time.monotonic,
            body_bytes_max=limits.body_bytes_max,
            requests_max=limits.concurrent_requests_max,
        )

    def _replies(self) -> Replies:
        return Replies(
            bills=self._bills,
            stored=self._stored,
            background=self._background,
            admission=self._admission,
            metrics=self._resources.metrics,
            currency=self._settings.currency,
            reply_bytes_max=self._settings.limits.reply_bytes_max,
            drains=self._resources.drains,
        )

    def _translator(self) -> Translator:
        resources = self._resources
        secret = agree_on_secret(resources.database, os.urandom)
        links = Links(resources.public, bytes_max=self._settings.limits.link_bytes_max)
        return Translator(key=secret, memory=resources.memory, links=links, clock=time.time)

    def _translated(self, translator: Translator, foreign: Foreign, replies: Replies) -> TranslatedReplies:
        return TranslatedReplies(
            translator=translator,
            foreign=foreign,
            replies=replies,
            stored=self._stored,
            memory=self._resources.memory,
            bills=self._bills,
            metrics=self._resources.metrics,
            currency=self._settings.currency,
        )

    # --- the way in --------------------------------------------------------------------------------------------------

    def _entrance(self, keys: Keys, handlers: dict[routes.Kind, Handler]) -> Entrance:
        settings, resources = self._settings, self._resources
        return Entrance(
            handlers=handlers,
            keys=keys,
            admission=self._admission,
            pauses=self._pauses,
            repeats=resources.repeats if settings.idempotency.hours else None,
            address=ClientAddress(settings.trusted_proxies),
            ids=resources.ids,
            clock=time.monotonic,
            log=resources.log,
            metrics=resources.metrics,
            logbook=resources.logbook,
            cors_origins=settings.cors_origins,
        )

    def _server(self, entrance: Entrance) -> Server:
        return Server(
            entrance.serve,
            limits=_server_limits(self._settings),
            fault=self._fault,
            loop=self._resources.loop,
            on_crash=self._crashed,
        )

    def _fault(self, status: int, text: str) -> tuple[bytes, bytes]:
        """The wire's own refusals: no path is known yet, so they are spelled the OpenAI way."""
        self._resources.metrics.refused[f"http_{status}"] += 1
        request_id = format_id(self._resources.ids())
        kind = _WIRE_FAULTS.get(status, InvalidRequest if status < 500 else GatewayError)
        headers = JSON_HEADERS + b"x-request-id: %b\r\n" % request_id.encode()
        return headers, faults.error("openai", kind(text), request_id)

    def _crashed(self, exchange: Exchange, error: Exception) -> None:
        """A bug. The client gets a cut connection or a 500, the operator the place, never the data."""
        self._resources.log.event("crash", error=type(error).__name__, where=place_of(error), path=exchange.path)


def _handlers(relay: Relay, stored: Stored, own: Own, forward: Forward) -> dict[routes.Kind, Handler]:
    """Who answers each kind of route."""
    return {
        "paid": relay.paid,
        "upload": relay.upload,
        "stored": stored.handle,
        "models": own.models,
        "model": own.model,
        "balance": own.balance,
        "estimate": own.estimate,
        "prices": own.prices,
        "receipt": own.receipt,
        "health": own.health,
        "ready": own.ready,
        "metrics": own.metrics,
        "hello": own.hello,
        "console": forward.handle,
    }


def _server_limits(settings: Settings) -> ServerLimits:
    limits, timeouts = settings.limits, settings.timeouts
    return ServerLimits(
        head_bytes_max=limits.head_bytes_max,
        headers_max=limits.headers_max,
        body_bytes_max=limits.body_bytes_max,
        head_seconds=timeouts.head_seconds,
        body_idle_seconds=timeouts.body_idle_seconds,
        idle_seconds=timeouts.keep_alive_seconds,
        connections_per_address_max=limits.connections_per_address_max,
        write_buffer_bytes=limits.write_buffer_bytes,
        write_stall_seconds=timeouts.write_stall_seconds,
    )


def _pause_policy(settings: Settings) -> PausePolicy | None:
    pause = settings.pause
    if not pause.enabled:
        return None
    return PausePolicy(
        strikes=pause.strikes,
        window_ms=int(pause.window_seconds * MILLISECONDS),
        steps_ms=tuple(int(seconds * MILLISECONDS) for seconds in pause.steps_seconds),
        forgive_ms=int(pause.forgive_seconds * MILLISECONDS),
    )
