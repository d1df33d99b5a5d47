"""One gateway process, from its start to its end: it listens, answers, and puts its money in order before it ends."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from proxyapi.app import ALONE, Gateway, Neighbours
from proxyapi.maintenance import Maintenance, follow
from proxyapi.resources import Resources
from proxyapi.rounds import Rounds
from proxyapi.sale import build_catalog, reload
from proxyapi.sandbox_host import sandbox_server

if TYPE_CHECKING:
    from ssl import SSLContext

    from proxyapi.settings import Settings
    from proxyapi.wire.server import Server

GARBAGE_THRESHOLDS = (10_000, 20, 50)
SWITCH_SECONDS = 0.000_5
"""After this the event loop lends the interpreter to the ledger's writer. With the 5 ms of Python's default a batch
waits that long before it is sent to PostgreSQL and again when it is answered, and then the loop waits for the batch."""
LIST_SECONDS = 1.0
"""After the start, so that the first requests don't wait for it."""
WATCH_SECONDS = 2.0
"""Between two looks for whether the supervisor is still there."""


class Worker:
    """`start` it, then `run` it."""

    _gateway: Gateway
    """Since `start`."""

    def __init__(self, settings: Settings, name: str, neighbours: Neighbours = ALONE) -> None:
        """`name` is this process's alone."""
        self._settings = settings
        self._name = name
        self._neighbours = neighbours
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._servers: list[Server] = []
        self._resources = Resources(settings, name, self._loop)
        # A sick store is reported by the ledger itself.
        self._rounds = Rounds(self._loop, self._resources.log, sleep=asyncio.sleep)
        self._maintenance = Maintenance(self._resources, self._rounds, neighbours.departed)

    async def start(self, host: str, port: int, *, shared: bool = False, tls: SSLContext | None = None) -> int:
        """Open everything and listen; returns the port. `shared`: other workers listen on it too."""
        settings, resources = self._settings, self._resources
        await resources.ledger.open()
        await self._maintenance.bury()
        catalog = build_catalog(settings, resources.database, await self._sandbox_port())
        self._gateway = gateway = Gateway(
            settings, resources, catalog, self._neighbours, why_not_ready=self._why_not_ready
        )
        reload_prices = partial(reload, catalog, settings, resources.database)
        follow(gateway.revisions, self._rounds, reload_prices, sleep=asyncio.sleep)
        self._servers.append(gateway.server)
        resources.metrics.gauges |= _gauges(resources, gateway.server)
        bound = await gateway.server.listen(host, port, ssl=tls, reuse_port=shared)
        self._maintenance.start()
        self._loop.run_in_executor(None, resources.tokenizer.load)
        # The list of models is made of 1,300 prices: now, rather than while requests run.
        self._loop.call_later(LIST_SECONDS, catalog.models)
        _tune_interpreter()
        return bound

    async def _sandbox_port(self) -> int:
        """Where the sandbox provider is, on this machine; 0: there is none. It may have to be started first."""
        if self._neighbours.sandbox_port or not self._settings.sandbox.enabled:
            return self._neighbours.sandbox_port
        server = sandbox_server(self._settings, self._loop, self._resources.tokenizer.count)
        self._servers.append(server)
        return await server.listen("127.0.0.1", 0)

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
                self._resources.log.event("supervisor_gone")
                self._stopping.set()

        self._rounds.every(WATCH_SECONDS, watch)

    async def stop(self) -> None:
        """No new requests; running ones finish within a bound; then every charge is committed."""
        resources = self._resources
        self._stopping.set()
        resources.drains.stop()
        await asyncio.gather(*(server.stop(self._settings.timeouts.stop_seconds) for server in self._servers[::-1]))
        await self._rounds.stop()
        await self._gateway.close()
        await resources.logbook.close()
        await resources.repeats.close()
        left = await resources.ledger.close()
        await resources.pool.close()
        await resources.public.close()
        resources.database.close()
        resources.log.event("stopped", worker=self._name, uncommitted=left)
        resources.log.flush()

    def _why_not_ready(self) -> str:
        if self._stopping.is_set():
            return "stopping"
        return "" if self._resources.ledger.well else "the store cannot be reached"


def _gauges(resources: Resources, server: Server) -> dict[str, Callable[[], int]]:
    """What is counted at the moment that somebody asks."""
    return {
        "proxyapi_connections": lambda: server.connections,
        "proxyapi_requests_in_flight": lambda: server.exchanges,
        "proxyapi_upstream_connections": lambda: resources.pool.connections,
        "proxyapi_ledger_queue": lambda: resources.ledger.queued,
        "proxyapi_ledger_batches_total": lambda: resources.ledger.batches,
        "proxyapi_ledger_operations_total": lambda: resources.ledger.operations,
        "proxyapi_request_log_written_total": lambda: resources.logbook.written,
        "proxyapi_request_log_dropped_total": lambda: resources.logbook.dropped,
    }


def _tune_interpreter() -> None:
    """When everything is made that a worker needs."""
    # What was made until now stays: the collector need not look at it again, and young garbage is mostly
    # freed by counting references.
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    sys.setswitchinterval(SWITCH_SECONDS)
