"""The composition root: settings become objects. The only file that knows every part of a gateway worker."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from proxyapi.dialects import faults
from proxyapi.errors import (
    GatewayError,
    InvalidRequest,
    PayloadTooLarge,
    RequestTimeout,
    StoreUnavailable,
    TooManyRequests,
)
from proxyapi.gateway import routes
from proxyapi.gateway.admission import Admission
from proxyapi.gateway.background import Background
from proxyapi.gateway.bill import Bills
from proxyapi.gateway.conversations import Conversations
from proxyapi.gateway.counting import Counting
from proxyapi.gateway.drains import Drains
from proxyapi.gateway.embedding import Embedding
from proxyapi.gateway.entrance import JSON_HEADERS, Entrance, Handler
from proxyapi.gateway.foreign import Foreign
from proxyapi.gateway.forward import Forward
from proxyapi.gateway.holding import Holding
from proxyapi.gateway.links import Links, is_public
from proxyapi.gateway.memory import Memory
from proxyapi.gateway.own import Own
from proxyapi.gateway.pauses import Pauses
from proxyapi.gateway.relay import Relay
from proxyapi.gateway.repeats import Repeats
from proxyapi.gateway.replies import Replies
from proxyapi.gateway.stored import Stored
from proxyapi.gateway.tape import Tapes
from proxyapi.gateway.translate import Translator
from proxyapi.gateway.translated import TranslatedReplies
from proxyapi.gateway.upstream import Upstream
from proxyapi.identity.addresses import ClientAddress
from proxyapi.identity.keys import Keys
from proxyapi.identity.objects import Objects
from proxyapi.identity.pause import PRUNE, PausePolicy
from proxyapi.identity.queries import QUERIES
from proxyapi.identity.revisions import Revisions
from proxyapi.identity.secret import agree_on_secret
from proxyapi.ids import IdSource, format_id
from proxyapi.ledger.ledger import Ledger, now_ms
from proxyapi.ledger.reaper import bury, reap
from proxyapi.ledger.receipt import find_receipt
from proxyapi.logbook.book import Logbook
from proxyapi.money import nanos_ceil
from proxyapi.pricing.tokens import Tokenizer
from proxyapi.providers.catalog import Catalog
from proxyapi.sale import build_catalog, renew
from proxyapi.sandbox_host import sandbox_server
from proxyapi.store.database import open_database
from proxyapi.store.errors import StoreError
from proxyapi.telemetry import Log, Metrics, place_of
from proxyapi.wire.client import Pool, Timeouts
from proxyapi.wire.server import Exchange, Server, ServerLimits

if TYPE_CHECKING:
    from ssl import SSLContext

    from proxyapi.settings import Settings

GARBAGE_THRESHOLDS = (10_000, 20, 50)
SWITCH_SECONDS = 0.000_5
"""After this the event loop lends the interpreter to the ledger's writer. With the 5 ms of Python's default a batch
waits that long before it is sent to PostgreSQL and again when it is answered, and then the loop waits for the batch."""
LIST_SECONDS = 1.0
"""After the start, so that the first requests don't wait for it."""
HEARTBEAT_SECONDS = 2.0
"""How often a worker shows that it lives and publishes its metrics; after 60 s without it is taken for dead."""
REAP_SECONDS = 5.0
"""Between two rounds over what dead workers held: a round is one conditional write, and a read of what is in flight."""
PRUNE_SECONDS = 60.0
UPKEEP_SECONDS = 3_600.0
MILLISECONDS = 1000
HOUR_MS = 3_600_000
STRIKES_KEPT_MS = 3_600_000
"""Longer than any window in which strikes count."""


_WIRE_FAULTS: dict[int, type[GatewayError]] = {
    400: InvalidRequest,
    408: RequestTimeout,
    413: PayloadTooLarge,
    429: TooManyRequests,
}
"""How refusals of the HTTP layer are spelled; others are plain bad requests, or our own fault."""


class Worker:
    """One gateway process: listens, answers, and puts its money in order before it ends."""

    def __init__(
        self,
        settings: Settings,
        name: str,
        *,
        workers: int = 1,
        sandbox_port: int = 0,
        console_port: int = 0,
        console_secret: bytes = b"",
        departed: Sequence[str] = (),
    ) -> None:
        """`name` is this process's alone. `sandbox_port` 0: this process runs the sandbox provider itself.
        `console_port` 0: there is no console. `departed`: names of workers whose processes are known to have ended."""
        self._settings = settings
        self._name = name
        self._workers = workers
        self._sandbox_port = sandbox_port
        self._console_port = console_port
        self._console_secret = console_secret
        self._departed = departed
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._servers: list[Server] = []
        self.metrics = Metrics()
        self.log = Log(time.time, self.metrics, access=settings.access_log, later=self._loop.call_later)
        self.ids = IdSource()
        self.tokenizer = Tokenizer()
        self.database = open_database(settings.database)
        self.ledger = Ledger(
            self.database, worker=name, ids=self.ids, on_problem=lambda text: self.log.event("ledger", text=text)
        )
        self.pool = Pool(
            loop=self._loop,
            timeouts=_timeouts(settings),
            connections_per_origin_max=settings.limits.upstream_connections_max,
        )
        self.public = Pool(loop=self._loop, timeouts=_timeouts(settings), idle_per_origin_max=0, admits=is_public)
        """For addresses that customers name."""
        fetch, write, memory = self.database.fetch, self.ledger.write, settings.memory
        self._memory = Memory(fetch=fetch, write=write, clock_ms=now_ms, ttl_ms=memory.reasoning_hours * HOUR_MS)
        self._conversations = Conversations(
            fetch=fetch,
            write=write,
            clock_ms=now_ms,
            keep_ms=memory.responses_days * 24 * HOUR_MS,
            account_bytes_max=memory.responses_bytes_max,
        )
        self._logbook = Logbook(
            self.database,
            clock_ms=now_ms,
            sleep=asyncio.sleep,
            body_bytes_max=settings.request_log.kept_bytes_max,
            account_bytes_max=settings.request_log.account_bytes_max,
        )
        self._drains = Drains(
            self._loop,
            seconds=settings.timeouts.drain_seconds,
            count_max=settings.limits.drains_max,
            amount_max=nanos_ceil(settings.limits.drains_amount_max) or None,
        )
        self._repeats = self._repeating()
        self._pauses: Pauses | None = None
        self._stored: Stored | None = None
        self._background: Background | None = None
        self._reloading: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int, *, shared: bool = False, tls: SSLContext | None = None) -> int:
        """Open everything and listen; returns the port. `shared`: other workers listen on it too."""
        await self.ledger.open()
        with suppress(StoreUnavailable, StoreError):  # the next round of the reaper tries again
            await self._bury()
        sandbox_port = self._sandbox_port
        if not sandbox_port and self._settings.sandbox.enabled:
            sandbox_port = await self._serve_sandbox()
        catalog = build_catalog(self._settings, self.database, sandbox_port)
        self.server = self._server(self._entrance(catalog))
        self._servers.append(self.server)
        self._gauges()
        bound = await self.server.listen(host, port, ssl=tls, reuse_port=shared)
        self._every(HEARTBEAT_SECONDS, self._heartbeat)
        self._every(REAP_SECONDS, self._reap)
        self._every(PRUNE_SECONDS, self._prune_strikes)
        self._every(PRUNE_SECONDS, self._memory.prune)
        self._every(PRUNE_SECONDS, self._conversations.prune)
        self._every(PRUNE_SECONDS, self._logbook.prune)
        self._every(UPKEEP_SECONDS, self._upkeep)
        self._spawn(self._logbook.run())
        self._every(PRUNE_SECONDS, self._repeats.prune)
        self._loop.run_in_executor(None, self.tokenizer.load)
        # The list of models is made of 1,300 prices: now, rather than while requests run.
        self._loop.call_later(LIST_SECONDS, catalog.models)
        # What was made until now stays: the collector need not look at it again, and young garbage is mostly
        # freed by counting references.
        gc.freeze()
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        sys.setswitchinterval(SWITCH_SECONDS)
        return bound

    async def run(self) -> None:
        """Until SIGTERM or SIGINT, then stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stopping.set)
        await self._stopping.wait()
        await self.stop()

    def end_with(self, parent: int) -> None:
        """Stop when the supervisor is gone: a worker that nobody watches must not keep the port."""

        async def watch() -> None:
            if os.getppid() != parent:
                self.log.event("supervisor_gone")
                self._stopping.set()

        self._every(HEARTBEAT_SECONDS, watch)

    async def stop(self) -> None:
        """No new requests; running ones finish within a bound; then every charge is committed."""
        self._stopping.set()
        self._drains.stop()
        await asyncio.gather(*(server.stop(self._settings.timeouts.stop_seconds) for server in self._servers[::-1]))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._pauses is not None:
            await self._pauses.close()
        if self._stored is not None:
            await self._stored.close()
        if self._background is not None:
            await self._background.close()
        await self._logbook.close()
        await self._repeats.close()
        left = await self.ledger.close()
        await self.pool.close()
        await self.public.close()
        self.database.close()
        self.log.event("stopped", worker=self._name, uncommitted=left)
        self.log.flush()

    # --- parts -------------------------------------------------------------------------------------------------------

    def _repeating(self) -> Repeats:
        settings = self._settings.idempotency
        tapes = Tapes(
            fetch=self.database.fetch,
            write=self.ledger.write,
            clock_ms=now_ms,
            later=self._loop.call_later,
            drains=self._drains,
            life_ms=settings.hours * HOUR_MS,
            answer_bytes_max=settings.answer_bytes_max,
            account_bytes_max=settings.account_bytes_max,
        )
        return Repeats(tapes, sleep=asyncio.sleep)

    def _entrance(self, catalog: Catalog) -> Entrance:
        settings, clock, limits = self._settings, time.monotonic, self._settings.limits
        fetch = self.database.fetch
        keys = Keys(fetch, time.time)
        revisions = Revisions(fetch, on_failure=lambda error: self.log.event("store", text=str(error)))
        revisions.listen("identity", keys.invalidate)
        revisions.listen("price", lambda: self._reload_prices(catalog))
        self._spawn(revisions.run(asyncio.sleep))
        admission = Admission(clock, workers=self._workers)
        self._pauses = pauses = Pauses(self.ledger, _pause_policy(settings), now_ms, self.log)
        bills = Bills(self.ledger, catalog, self.tokenizer, self.metrics, clock)
        upstream = Upstream(self.pool, self.metrics)
        self._stored = stored = Stored(
            objects=Objects(fetch),
            ledger=self.ledger,
            upstream=upstream,
            catalog=catalog,
            conversations=self._conversations,
            clock_ms=now_ms,
            reply_bytes_max=limits.reply_bytes_max,
        )
        relay = self._relay(catalog, bills, admission, upstream, stored)
        own = Own(
            ledger=self.ledger,
            catalog=catalog,
            relay=relay,
            metrics=self.metrics,
            snapshots=self.ledger.snapshots,
            receipts=partial(find_receipt, self.database),
            currency=settings.currency,
            ready=self._why_not_ready,
            home=b"/console/" if self._console_port else b"",
        )
        secure = bool(settings.tls.certificate) or settings.console.url.startswith("https://")
        forward = Forward(self.pool, self._console_port, self._console_secret, secure=secure)
        return Entrance(
            handlers=_handlers(relay, stored, own, forward),
            keys=keys,
            admission=admission,
            pauses=pauses,
            repeats=self._repeats if settings.idempotency.hours else None,
            address=ClientAddress(settings.trusted_proxies),
            ids=self.ids,
            clock=clock,
            log=self.log,
            metrics=self.metrics,
            logbook=self._logbook,
            cors_origins=settings.cors_origins,
        )

    def _relay(self, catalog: Catalog, bills: Bills, admission: Admission, upstream: Upstream, stored: Stored) -> Relay:
        settings, clock, limits = self._settings, time.monotonic, self._settings.limits
        self._background = background = Background(
            bills, upstream, sleep=asyncio.sleep, clock=clock, reply_bytes_max=limits.reply_bytes_max
        )
        replies = Replies(
            bills=bills,
            stored=stored,
            background=background,
            admission=admission,
            metrics=self.metrics,
            currency=settings.currency,
            reply_bytes_max=limits.reply_bytes_max,
            drains=self._drains,
        )
        secret = agree_on_secret(self.database, os.urandom)
        links = Links(self.public, bytes_max=limits.link_bytes_max)
        translator = Translator(key=secret, memory=self._memory, links=links, clock=time.time)
        foreign = Foreign(
            upstream=upstream,
            bills=bills,
            metrics=self.metrics,
            clock=clock,
            reply_bytes_max=limits.reply_bytes_max,
        )
        translated = TranslatedReplies(
            translator=translator,
            foreign=foreign,
            replies=replies,
            stored=stored,
            memory=self._memory,
            bills=bills,
            metrics=self.metrics,
            currency=settings.currency,
        )
        return Relay(
            catalog=catalog,
            holding=Holding(
                catalog=catalog, bills=bills, admission=admission, background=background, tokenizer=self.tokenizer
            ),
            upstream=upstream,
            replies=replies,
            translator=translator,
            translated=translated,
            embedding=Embedding(foreign=foreign, bills=bills, currency=settings.currency),
            counting=Counting(translator=translator, upstream=upstream, tokenizer=self.tokenizer),
            stored=stored,
            repeats=self._repeats,
            clock=clock,
            body_bytes_max=limits.body_bytes_max,
            requests_max=limits.concurrent_requests_max,
        )

    def _server(self, entrance: Entrance) -> Server:
        limits, timeouts = self._settings.limits, self._settings.timeouts
        return Server(
            entrance.serve,
            limits=ServerLimits(
                head_bytes_max=limits.head_bytes_max,
                headers_max=limits.headers_max,
                body_bytes_max=limits.body_bytes_max,
                head_seconds=timeouts.head_seconds,
                body_idle_seconds=timeouts.body_idle_seconds,
                idle_seconds=timeouts.keep_alive_seconds,
                connections_per_address_max=limits.connections_per_address_max,
                write_buffer_bytes=limits.write_buffer_bytes,
                write_stall_seconds=timeouts.write_stall_seconds,
            ),
            fault=self._fault,
            loop=self._loop,
            on_crash=self._crashed,
        )

    async def _serve_sandbox(self) -> int:
        """The sandbox provider on a free loopback port of its own."""
        server = sandbox_server(self._settings, self._loop, self.tokenizer.count)
        self._servers.append(server)
        return await server.listen("127.0.0.1", 0)

    def _fault(self, status: int, text: str) -> tuple[bytes, bytes]:
        """The wire's own refusals: no path is known yet, so they are spelled the OpenAI way."""
        self.metrics.refused[f"http_{status}"] += 1
        request_id = format_id(self.ids())
        kind = _WIRE_FAULTS.get(status, InvalidRequest if status < 500 else GatewayError)
        headers = JSON_HEADERS + b"x-request-id: %b\r\n" % request_id.encode()
        return headers, faults.error("openai", kind(text), request_id)

    def _crashed(self, exchange: Exchange, error: Exception) -> None:
        """A bug. The client gets a cut connection or a 500, the operator the place, never the data."""
        self.log.event("crash", error=type(error).__name__, where=place_of(error), path=exchange.path)

    # --- periodic work -----------------------------------------------------------------------------------------------

    def _spawn(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        self._tasks.append(self._loop.create_task(run()))

    def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        async def repeat() -> None:
            while True:
                await asyncio.sleep(seconds)
                # A sick store is reported by the ledger itself; the next round tries again.
                with suppress(StoreUnavailable, StoreError):
                    await work()

        self._spawn(repeat())

    async def _heartbeat(self) -> None:
        await self.ledger.heartbeat(msgspec.json.encode(self.metrics.snapshot()).decode())

    async def _reap(self) -> None:
        await self._bury()
        self._expired(await reap(self.database, self.ledger))

    async def _bury(self) -> None:
        """What those before this worker held comes back before it answers, so that requests may be sent again."""
        if self._departed:
            self._expired(await bury(self.database, self.ledger, self._departed))
            self._departed = ()

    def _expired(self, holds: int) -> None:
        if holds:
            self.log.event("holds_expired", count=holds)

    async def _prune_strikes(self) -> None:
        await self.ledger.write(PRUNE, (now_ms() - STRIKES_KEPT_MS,))

    async def _upkeep(self) -> None:
        await self._loop.run_in_executor(None, self.database.upkeep, now_ms())

    def _reload_prices(self, catalog: Catalog) -> None:
        async def reload() -> None:
            with suppress(StoreError):
                stored = await self.database.fetch(QUERIES["settings_stored"])
                renew(catalog, self._settings, stored, await self.database.fetch(QUERIES["prices"]))

        task = self._loop.create_task(reload())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    def _gauges(self) -> None:
        self.metrics.gauges |= {
            "proxyapi_connections": lambda: self.server.connections,
            "proxyapi_requests_in_flight": lambda: self.server.exchanges,
            "proxyapi_upstream_connections": lambda: self.pool.connections,
            "proxyapi_ledger_queue": lambda: self.ledger.queued,
            "proxyapi_request_log_written_total": lambda: self._logbook.written,
            "proxyapi_request_log_dropped_total": lambda: self._logbook.dropped,
        }

    def _why_not_ready(self) -> str:
        if self._stopping.is_set():
            return "stopping"
        return "" if self.ledger.well else "the store cannot be reached"


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


def _timeouts(settings: Settings) -> Timeouts:
    timeouts = settings.timeouts
    return Timeouts(
        connect_seconds=timeouts.connect_seconds,
        first_byte_seconds=timeouts.first_byte_seconds,
        idle_seconds=timeouts.idle_seconds,
        write_stall_seconds=timeouts.write_stall_seconds,
        pooled_idle_seconds=timeouts.pooled_idle_seconds,
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
