"""`proxyapi serve`: gateway workers on one port, and whoever restarts the dead ones.

One worker runs in this very process. Several are forked, share the port through SO_REUSEPORT and are watched: a worker
that dies is replaced, with a pause that grows when it dies again and again; its successor learns who has ended, and
gives back what those had on hold. The sandbox provider then runs in a process
of its own, because the answers that it stores must be the same for every worker.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import select
import shlex
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import uvloop
from msgspec import Struct

from proxyapi import firststart, sandbox_host
from proxyapi.app import Neighbours
from proxyapi.errors import SettingsError
from proxyapi.ledger.reaper import GRACE_SECONDS
from proxyapi.store.database import open_database
from proxyapi.worker import Worker

if TYPE_CHECKING:
    from ssl import SSLContext

    from proxyapi.settings import Settings

RESTART_SECONDS_MIN = 0.1
RESTART_SECONDS_MAX = 10.0
HEALTHY_SECONDS = 30.0
"""A child that lived so long starts again at once."""
START_SECONDS = 10.0
"""How long the greeting waits for the workers; they go on starting after it."""
IDLE_SECONDS = 3600.0
USUAL_DATA = Path("proxyapi-data")
"""Where commands look by themselves."""
DOOR_SECRET_BYTES = 32
GRACE_MARGIN_SECONDS = 5.0
"""After a worker's own bound for its running requests: then it is killed."""

TOKEN_BYTES = 8

_WATCHED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}


class Start(NamedTuple):
    """What a child is told when it starts."""

    identity: str
    """Host, process and something random: no other process has it, nor will have it."""
    departed: list[str]
    """Identities of those that have ended; whoever ended longer than the grace ago is missed by then anyway."""


class Child(Struct):
    """One watched process."""

    name: str
    run: Callable[[Start], None]
    pid: int = 0
    token: str = ""
    """The random part of its identity: a new one at every start."""
    started: float = 0.0
    failures: int = 0
    due: float = 0.0
    """Monotonic time of the next start while it is dead."""
    late: bool = False
    """It starts after the others are up: nobody waits for it."""


def reserve(host: str, port: int) -> socket.socket:
    """Bind the port that all workers share; port 0 becomes a free one. Never listened on: it only keeps the number.

    OSError if somebody listens there, another gateway too: SO_REUSEPORT alone would let the two share its connections.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as alone:
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind((host, port))
    kept = socket.socket(family, socket.SOCK_STREAM)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        kept.bind((host, port))
    except OSError:
        kept.close()
        raise
    return kept


class Supervisor:
    """Keeps the children running until SIGTERM or SIGINT."""

    def __init__(
        self,
        children: list[Child],
        *,
        grace_seconds: float,
        report: Callable[[str], None],
        started: Callable[[], None] = lambda: None,
    ) -> None:
        """`report` is told in a sentence of a child that ended; `started` is called once, after the first start."""
        self._children = children
        self._started = started
        self._grace_seconds = grace_seconds
        self._report = report
        self._ending = False
        self._departed: list[tuple[float, str]] = []
        """Monotonic times and identities."""

    def run(self) -> int:
        """Blocks. 0 after an orderly stop, 1 when a child had to be killed."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        for late in (False, True):
            for child in self._children:
                if child.late == late:
                    self._start(child)
            if not late:
                self._started()
        while True:
            now = time.monotonic()
            for child in self._children:
                if not child.pid and now >= child.due:
                    self._start(child)
            due = min((child.due for child in self._children if not child.pid), default=now + IDLE_SECONDS)
            caught = signal.sigtimedwait(_WATCHED, max(0.0, due - time.monotonic()))
            if caught is not None and caught.si_signo != signal.SIGCHLD:
                return self._end()
            self._reap()

    def _start(self, child: Child) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        now = time.monotonic()
        self._departed = [(ended, who) for ended, who in self._departed if now - ended < GRACE_SECONDS]
        child.token = secrets.token_hex(TOKEN_BYTES)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
                child.run(Start(identity(os.getpid(), child.token), [who for _, who in self._departed]))
                code = 0
            except KeyboardInterrupt:
                code = 0
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        child.pid, child.started = pid, now

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self._children:
                if child.pid == pid:
                    self._died(child, status)

    def _died(self, child: Child, status: int) -> None:
        now = time.monotonic()
        lived = now - child.started
        self._departed.append((now, identity(child.pid, child.token)))
        child.pid = 0
        if self._ending:
            return
        child.failures = 0 if lived > HEALTHY_SECONDS else child.failures + 1
        pause = (
            min(RESTART_SECONDS_MAX, RESTART_SECONDS_MIN * 2 ** min(child.failures, 10)) if child.failures > 1 else 0
        )
        child.due = now + pause
        self._report(f"{child.name} ended ({_how(status)}) after {lived:.1f} s; it starts again in {pause:.1f} s")

    def _end(self) -> int:
        self._ending = True
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + self._grace_seconds + GRACE_MARGIN_SECONDS
        while any(child.pid for child in self._children) and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, max(0.0, deadline - time.monotonic()))
            self._reap()
        late = [child for child in self._children if child.pid]
        if late:
            self._report(f"killing {', '.join(child.name for child in late)}: not done within the grace period")
            self._signal(signal.SIGKILL)
        return 1 if late else 0

    def _signal(self, number: int) -> None:
        for child in self._children:
            if child.pid:
                with suppress(ProcessLookupError):
                    os.kill(child.pid, number)


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit code {os.WEXITSTATUS(status)}"


# --- serve -----------------------------------------------------------------------------------------------------------


def serve(settings: Settings) -> int:
    """Blocks until SIGTERM or SIGINT. The exit code. SettingsError, StoreError before anything listens."""
    tls = _tls_context(settings)
    workers = settings.workers or os.cpu_count() or 1
    host, port = settings.address
    try:
        kept = reserve(host, port)
    except OSError as error:
        raise SettingsError(
            f"listen: cannot use {settings.listen}: {error.strerror}. Stop what uses it, or name another address with "
            "--listen."
        ) from error
    with kept:
        key = firststart.prepare(settings)  # with a port to serve it on: the first key is shown once
        port = kept.getsockname()[1]
        if workers == 1 and not settings.console.enabled:
            return _run_alone(settings, host, port, tls, key)
        return _run_many(settings, workers, host, port, tls, key)


def _run_alone(settings: Settings, host: str, port: int, tls: SSLContext | None, key: str | None) -> int:
    async def main() -> None:
        worker = Worker(settings, identity(os.getpid(), secrets.token_hex(TOKEN_BYTES)))
        await worker.start(host, port, shared=True, tls=tls)
        _greet(settings, port, key)
        await worker.run()

    _with_uvloop(main)
    return 0


def _run_many(settings: Settings, workers: int, host: str, port: int, tls: SSLContext | None, key: str | None) -> int:
    sandbox_socket, sandbox_port = _loopback(settings.sandbox.enabled and workers > 1)
    console_socket, console_port = _loopback(settings.console.enabled)
    secret = secrets.token_hex(DOOR_SECRET_BYTES).encode()
    parent = os.getpid()
    ready_read, ready_write = os.pipe()

    def run_worker(start: Start) -> None:
        async def main() -> None:
            neighbours = Neighbours(
                workers=workers, sandbox_port=sandbox_port, console_port=console_port, console_secret=secret,
                departed=start.departed,
            )  # fmt: skip
            worker = Worker(settings, start.identity, neighbours)
            await worker.start(host, port, shared=True, tls=tls)
            os.write(ready_write, b".")
            worker.end_with(parent)
            await worker.run()

        _with_uvloop(main)

    def run_sandbox(_: Start) -> None:
        assert sandbox_socket is not None
        _with_uvloop(lambda: sandbox_host.run_sandbox(settings, sandbox_socket, parent))

    def run_console(_: Start) -> None:
        from proxyapi import cabinet  # its packages are read in its own process, after the API is up

        assert console_socket is not None
        _with_uvloop(lambda: cabinet.run(settings, console_socket, parent, secret=secret, port=port))

    children = [Child(f"worker {number}", run_worker) for number in range(workers)]
    if sandbox_socket is not None:
        children.insert(0, Child("sandbox", run_sandbox))
    if console_socket is not None:
        children.append(Child("console", run_console, late=True))

    def greet() -> None:
        ready = 0
        while ready < workers and select.select([ready_read], [], [], START_SECONDS)[0]:
            ready += len(os.read(ready_read, workers))
        _greet(settings, port, key)

    supervisor = Supervisor(
        children,
        grace_seconds=settings.timeouts.stop_seconds,
        report=lambda text: print(text, file=sys.stderr, flush=True),  # noqa: T201
        started=greet,
    )
    return supervisor.run()


def _loopback(wanted: bool) -> tuple[socket.socket | None, int]:
    """A bound socket of this machine and its port, kept over restarts of the child that listens on it."""
    if not wanted:
        return None, 0
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound, int(bound.getsockname()[1])


def _with_uvloop(main: Callable[[], object]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())  # type: ignore[arg-type]


def identity(pid: int, token: str) -> str:
    """How a process is known to the store."""
    return f"{socket.gethostname()}:{pid}:{token}"


def _tls_context(settings: Settings) -> SSLContext | None:
    if not settings.tls.certificate:
        return None
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls.certificate, settings.tls.key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"[tls] the certificate or its key cannot be used: {error}") from error
    return context


def _greet(settings: Settings, port: int, key: str | None) -> None:
    """What the operator sees; the key only at the first start."""
    url = settings.url(port)
    switched_on = sorted(name for name, provider in settings.providers.items() if provider.enabled and provider.api_key)
    lines = [
        f"proxyapi listens on {url}",
        f"Providers: {', '.join(switched_on) or 'none yet'}"
        + ("; the sandbox answers for the others, at no cost to you" if settings.sandbox.enabled else ""),
        f"Data: {open_database(settings.database).name}",
    ]
    if key is not None:
        lines += [
            "",
            f"First account '{firststart.ACCOUNT_NAME}' with 1000 {settings.currency} of test money.",
            "Its key, shown only now:",
            f"  {key}",
            "",
            "Try it:",
            f"  curl {url}/v1/chat/completions -H 'Authorization: Bearer {key}' \\",
            "    -H 'Content-Type: application/json' \\",
            '    -d \'{"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hello!"}]}\'',
        ]
    if settings.console.enabled:
        lines += ["", f"Pages for people: {url}/console/"]
        if key is not None:
            lines += [f"Your own sign-in: {own_command()} user create you@example.com --operator{_place(settings)}"]
    lines += ["", "Ready. Press Ctrl+C to stop."]
    print("\n".join(lines), flush=True)  # noqa: T201


def own_command() -> str:
    """How this program is called here: by its name, where the shell finds that."""
    if shutil.which("proxyapi"):
        return "proxyapi"
    started = sys.argv[0]
    return shlex.quote(started) if started.endswith("/proxyapi") else f"{shlex.quote(sys.executable)} -m proxyapi"


def _place(settings: Settings) -> str:
    """The option that leads a command to the same data, if it needs one."""
    usual = settings.data == USUAL_DATA or settings.database_url.reveal()
    return "" if usual else f" --data {shlex.quote(str(settings.data))}"
