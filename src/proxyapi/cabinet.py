"""The composition root of the console's process: settings become the desk that its pages work at, and a server."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn

from proxyapi.backoffice import PRUNE_SECONDS as REPLIES_SECONDS
from proxyapi.backoffice import RECONCILE_SECONDS, BackOffice
from proxyapi.console.alerts import Alerts
from proxyapi.console.app import build
from proxyapi.console.bell import Bell
from proxyapi.console.desk import Desk
from proxyapi.console.mail import LogMailer, Mailer, MailServer, SmtpMailer
from proxyapi.console.passwords import Passwords
from proxyapi.console.pen import Pen
from proxyapi.console.playground import Playground
from proxyapi.console.sessions import Sessions
from proxyapi.console.speech import Languages
from proxyapi.console.static_files import StaticFiles
from proxyapi.console.users import Users
from proxyapi.console.webhook import Webhook
from proxyapi.gateway.links import is_public
from proxyapi.identity.accounts import Accounts, KeyRing
from proxyapi.ids import IdSource
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.rounds import Rounds
from proxyapi.store.database import open_database
from proxyapi.telemetry import Log, Metrics, place_of
from proxyapi.wire.client import Origin, Pool, Timeouts

if TYPE_CHECKING:
    import socket

    from proxyapi.console.security import Application
    from proxyapi.settings import Settings

KEEP_ALIVE_SECONDS = 75
"""Longer than the gateway keeps an idle connection: it never finds one closed under its hands."""
NICENESS = 19
"""Where processors are scarce, requests of the API go before pages: with 5, pages asked for as fast as they come took a
quarter of a core that both shared, with 15 some 7 % of it, with 19 some 4 %: bench/beside.py."""
WATCH_SECONDS = 2.0
PRUNE_SECONDS = 600.0
ALERT_SECONDS = 10.0
"""How soon somebody hears of a low balance."""
PRICES_SECONDS = 2.0
"""How old a price on a page may be."""


class Cabinet:
    """One console process."""

    def __init__(self, settings: Settings, *, secret: bytes, port: int) -> None:
        """`secret`: what the gateway shows. `port`: the gateway's own."""
        self._settings = settings
        loop = asyncio.get_running_loop()
        self._log = Log(time.time, Metrics(), access=False, later=loop.call_later)
        self._rounds = Rounds(
            loop, self._log, sleep=asyncio.sleep, on_sick=lambda error: self._log.event("store", text=str(error))
        )
        self._database = open_database(settings.database)
        self._ledger = OfflineLedger(self._database, ids=IdSource())
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="console-writer")
        self._back = BackOffice(settings, self._database, problem=lambda text: self._log.event("payments", text=text))
        self.desk = self._desk(port)
        static = StaticFiles()
        self._pen = pen = Pen(self.desk.languages, static)
        self.application: Application = build(
            self.desk, pen=pen, static=static, secret=secret, on_crash=self._crashed, more=self._back.server().routes()
        )
        self._public = Pool(loop=loop, timeouts=Timeouts(), idle_per_origin_max=0, admits=is_public)
        """For addresses that customers name."""
        self._bell = Bell(self.desk, pen, Webhook(self._public))

    async def run(self, sock: socket.socket, parent: int) -> None:
        """Serve until SIGTERM, SIGINT or the end of the supervisor."""
        server = uvicorn.Server(_uvicorn_config(self.application))
        self._every(WATCH_SECONDS, self._watch(server, parent))
        self._every(PRUNE_SECONDS, self._prune)
        self._every(RECONCILE_SECONDS, self._back.payments.reconcile, self._back.tellers)
        self._every(REPLIES_SECONDS, self._back.api.prune, self._back.clerk)
        self._every(PRICES_SECONDS, self._back.office.prices, self._back.clerk)
        self._rounds.every(ALERT_SECONDS, self._bell.ring)
        loop = asyncio.get_running_loop()
        # What first visitors would wait for is made now: templates, and the list of some thousand prices.
        loop.run_in_executor(None, self._pen.warm)
        loop.run_in_executor(self._back.clerk, self._back.office.shelf.list)
        with suppress(KeyboardInterrupt):
            await server.serve(sockets=[sock])
        await self._close()

    async def _close(self) -> None:
        await self._rounds.stop()
        self._back.close()
        await self._public.close()
        await self._gateway.close()
        self._writer.shutdown(wait=True)
        self._ledger.close()
        self._database.close()
        self._log.flush()

    # --- parts -------------------------------------------------------------------------------------------------------

    def _desk(self, port: int) -> Desk:
        settings, database = self._settings, self._database
        return Desk(
            database=database,
            accounts=Accounts(database, time.time),
            keys=KeyRing(database, self._ledger, time.time, os.urandom),
            ledger=self._ledger,
            users=Users(database, time.time),
            alerts=Alerts(database, time.time, os.urandom),
            sessions=Sessions(database, time.time),
            passwords=Passwords(),
            mailer=self._mailer(),
            playground=self._playground(port),
            languages=Languages(),
            currency=settings.currency,
            address=settings.console.url or settings.url(port),
            signup=settings.console.signup,
            zone=settings.console.time_zone,
            clock=time.time,
            random_bytes=os.urandom,
            writer=self._writer,
            office=self._back.office,
            clerk=self._back.clerk,
            tellers=self._back.tellers,
        )

    def _playground(self, port: int) -> Playground:
        settings, loop = self._settings, asyncio.get_running_loop()
        host = settings.address[0]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        tls: ssl.SSLContext | None = None
        if settings.tls.certificate:
            # Our own listener, by its address: its certificate is for the name that others know it by.
            tls = ssl.create_default_context()
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        self._gateway = Pool(loop=loop, timeouts=Timeouts(), ssl=tls)
        origin = Origin("https" if tls is not None else "http", host, port)
        keys = KeyRing(self._database, self._ledger, time.time, os.urandom)
        return Playground(self._database, keys, self._gateway, origin, time.time)

    def _mailer(self) -> Mailer:
        mail = self._settings.mail
        if not mail.host:
            return LogMailer(lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201 - the operator reads it
        server = MailServer(
            host=mail.host,
            port=mail.port,
            security=mail.security,
            user=mail.user,
            password=mail.password.reveal(),
            sender=mail.sender,
        )
        return SmtpMailer(server, ssl.create_default_context, lambda text: self._log.event("mail", text=text))

    def _crashed(self, path: str, error: Exception) -> None:
        """A bug: the operator gets the place, never the data."""
        self._log.event("console_crash", error=type(error).__name__, where=place_of(error), path=path)

    # --- periodic work -----------------------------------------------------------------------------------------------

    def _every(self, seconds: float, work: Callable[[], object], threads: ThreadPoolExecutor | None = None) -> None:
        """`threads`: where it runs, if not in the writer's."""
        loop = asyncio.get_running_loop()
        self._rounds.every(seconds, lambda: loop.run_in_executor(threads or self._writer, work))

    def _prune(self) -> None:
        self.desk.users.prune()
        self.desk.sessions.prune()

    @staticmethod
    def _watch(server: uvicorn.Server, parent: int) -> Callable[[], None]:
        def look() -> None:
            if os.getppid() != parent:
                server.should_exit = True

        return look


def _uvicorn_config(application: Application) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=5,
    )


async def run(settings: Settings, sock: socket.socket, parent: int, *, secret: bytes, port: int) -> None:
    """The console as a process of its own, on a socket that the supervisor bound."""
    os.nice(NICENESS)
    # Of a bug the operator gets the place, from `_crashed`; a trace could carry what people typed.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
    # Until uvicorn takes the signals: an early SIGTERM ends the process at once, there is nothing to finish.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    await Cabinet(settings, secret=secret, port=port).run(sock, parent)
