"""What a client connection needs of the server that accepted it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from proxyapi.wire.exchange import Exchange
from proxyapi.wire.outlet import Outbox

if TYPE_CHECKING:
    from proxyapi.wire.connection import ClientConnection


@dataclass(frozen=True, slots=True)
class Ticks:
    """The server's limits in ticks of its sweep."""

    head: int
    body_idle: int
    idle: int
    write_stall: int
    linger: int


class Host(Protocol):
    """The server, as its connections see it."""

    loop: asyncio.AbstractEventLoop
    outbox: Outbox
    tick: int
    ticks: Ticks
    stopping: bool
    head_bytes_max: int
    headers_max: int
    body_bytes_max: int
    write_buffer_bytes: int
    handler: Callable[[Exchange], Awaitable[None]]
    fault: Callable[[int, str], tuple[bytes, bytes]]
    on_crash: Callable[[Exchange, Exception], None]
    tasks: set[asyncio.Task[None]]
    exchanges: int

    def falls_quiet(self) -> None:
        """No exchange runs any more."""
        ...

    def admit(self, connection: ClientConnection) -> bool: ...
    def dismiss(self, connection: ClientConnection) -> None: ...
