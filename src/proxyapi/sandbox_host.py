"""The sandbox provider as a server: inside a lone worker, or in a process of its own beside several."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from proxyapi.gateway.entrance import JSON_HEADERS
from proxyapi.pricing.tokens import Tokenizer
from proxyapi.wire.server import Server, ServerLimits

if TYPE_CHECKING:
    import socket

    from proxyapi.settings import Settings

SANDBOX_BODY_MARGIN_BYTES = 1_048_576
"""What the gateway accepts, and may add to, the sandbox takes too."""
WATCH_SECONDS = 2.0
"""Between two looks for whether the supervisor is still there."""


def sandbox_server(settings: Settings, loop: asyncio.AbstractEventLoop, count: Callable[[str], int]) -> Server:
    """The sandbox provider behind the same HTTP layer as the gateway: an upstream like any other."""
    from proxyapi.sandbox.server import Sandbox

    sandbox = Sandbox(count=count, pace_seconds=settings.sandbox.pace_ms / 1000)
    limits = ServerLimits(body_bytes_max=settings.limits.body_bytes_max + SANDBOX_BODY_MARGIN_BYTES)
    return Server(sandbox.handler, limits=limits, fault=_sandbox_fault, loop=loop)


def _sandbox_fault(status: int, text: str) -> tuple[bytes, bytes]:
    return JSON_HEADERS, msgspec.json.encode({"error": {"message": text, "code": status}})


async def run_sandbox(settings: Settings, sock: socket.socket, parent: int) -> None:
    """The sandbox provider as a process of its own, on a socket that the supervisor bound."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = sandbox_server(settings, loop, Tokenizer().count)
    await server.listen_socket(sock)
    while not stopping.is_set() and os.getppid() == parent:
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), WATCH_SECONDS)
    await server.stop(settings.timeouts.stop_seconds)
