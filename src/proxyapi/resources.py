"""What a gateway worker holds open between requests: ledger, database, connections to providers, what is remembered."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from proxyapi.gateway.conversations import Conversations
from proxyapi.gateway.drains import Drains
from proxyapi.gateway.links import is_public
from proxyapi.gateway.memory import Memory
from proxyapi.gateway.repeats import Repeats
from proxyapi.gateway.tape import Tapes
from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import Ledger, now_ms
from proxyapi.logbook.book import Logbook
from proxyapi.money import nanos_ceil
from proxyapi.pricing.tokens import Tokenizer
from proxyapi.store.database import open_database
from proxyapi.telemetry import Log, Metrics
from proxyapi.wire.client import Pool, Timeouts

if TYPE_CHECKING:
    from proxyapi.settings import Settings

HOUR_MS = 3_600_000


class Resources:
    """What a worker holds open. Of these the ledger is opened, and all but the metrics are closed, by the worker."""

    def __init__(self, settings: Settings, name: str, loop: asyncio.AbstractEventLoop) -> None:
        """`name` is this process's alone."""
        self.loop = loop
        self.metrics = Metrics()
        self.log = Log(time.time, self.metrics, access=settings.access_log, later=loop.call_later)
        self.ids = IdSource()
        self.tokenizer = Tokenizer()
        self.database = open_database(settings.database)
        self.ledger = Ledger(
            self.database, worker=name, ids=self.ids, on_problem=lambda text: self.log.event("ledger", text=text)
        )
        self.pool = Pool(
            loop=loop,
            timeouts=_timeouts(settings),
            connections_per_origin_max=settings.limits.upstream_connections_max,
        )
        self.public = Pool(loop=loop, timeouts=_timeouts(settings), idle_per_origin_max=0, admits=is_public)
        """For addresses that customers name."""
        self.memory = self._memory(settings)
        self.conversations = self._conversations(settings)
        self.logbook = Logbook(
            self.database,
            clock_ms=now_ms,
            sleep=asyncio.sleep,
            body_bytes_max=settings.request_log.kept_bytes_max,
            account_bytes_max=settings.request_log.account_bytes_max,
        )
        self.drains = Drains(
            loop,
            seconds=settings.timeouts.drain_seconds,
            count_max=settings.limits.drains_max,
            amount_max=nanos_ceil(settings.limits.drains_amount_max) or None,
        )
        self.repeats = self._repeats(settings)

    def _memory(self, settings: Settings) -> Memory:
        return Memory(
            fetch=self.database.fetch,
            write=self.ledger.write,
            clock_ms=now_ms,
            ttl_ms=settings.memory.reasoning_hours * HOUR_MS,
        )

    def _conversations(self, settings: Settings) -> Conversations:
        return Conversations(
            fetch=self.database.fetch,
            write=self.ledger.write,
            clock_ms=now_ms,
            keep_ms=settings.memory.responses_days * 24 * HOUR_MS,
            account_bytes_max=settings.memory.responses_bytes_max,
        )

    def _repeats(self, settings: Settings) -> Repeats:
        tapes = Tapes(
            fetch=self.database.fetch,
            write=self.ledger.write,
            clock_ms=now_ms,
            later=self.loop.call_later,
            drains=self.drains,
            life_ms=settings.idempotency.hours * HOUR_MS,
            answer_bytes_max=settings.idempotency.answer_bytes_max,
            account_bytes_max=settings.idempotency.account_bytes_max,
        )
        return Repeats(tapes, sleep=asyncio.sleep)


def _timeouts(settings: Settings) -> Timeouts:
    timeouts = settings.timeouts
    return Timeouts(
        connect_seconds=timeouts.connect_seconds,
        first_byte_seconds=timeouts.first_byte_seconds,
        idle_seconds=timeouts.idle_seconds,
        write_stall_seconds=timeouts.write_stall_seconds,
        pooled_idle_seconds=timeouts.pooled_idle_seconds,
    )
