"""Writes that wait for the end of the turn: what one turn of the event loop wants to send goes out together.

After every system call the processor has to learn the interpreter's branches anew, so ten requests that are decided one
after the other, and then written one after the other, cost a third less than ten that take turns. Several writes to one
connection become one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

WAITING_BYTES_MAX = 65_536
"""What a connection may keep for the end of the turn; more goes to the transport at once, for its back-pressure."""


class Outbox:
    """The outlets of one event loop that have something to send."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.outlets: list[Outlet] = []
        """Always the same list. Who puts itself in first, calls `open`."""

    def open(self) -> None:
        """What is put in is flushed at the end of the turn."""
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        for outlet in self.outlets:
            pending = outlet.pending
            if pending:
                outlet.pending = b""
                if not outlet.is_closing():
                    outlet.hand_over(pending)
        self.outlets.clear()


class Outlet(asyncio.Transport):
    """A transport whose writes wait for the end of the turn. Everything else sees them as written."""

    __slots__ = ("_outbox", "_outlets", "_transport", "hand_over", "is_closing", "pending")

    is_closing: Callable[[], bool]  # the transport's own: whether it closes has nothing to do with what waits
    hand_over: Callable[[bytes], None]  # the transport's `write`

    def __init__(self, transport: asyncio.Transport, outbox: Outbox) -> None:
        self._transport = transport
        self._outbox = outbox
        self._outlets = outbox.outlets
        self.pending = b""
        self.hand_over = transport.write
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:  # type: ignore[override]  # nobody writes buffers
        pending = self.pending
        if not pending:
            outlets = self._outlets
            if not outlets:
                self._outbox.open()
            outlets.append(self)
        else:
            data = pending + data
        self.pending = data
        if len(data) > WAITING_BYTES_MAX:
            self.flush()

    def writelines(self, list_of_data: Iterable[bytes]) -> None:  # type: ignore[override]
        self.flush()
        self._transport.writelines(list_of_data)

    def flush(self) -> None:
        """Hand over what waits."""
        pending = self.pending
        if pending:
            self.pending = b""
            if not self.is_closing():
                self.hand_over(pending)

    def write_eof(self) -> None:
        self.flush()
        self._transport.write_eof()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        self.flush()
        return self._transport.get_write_buffer_size()

    def can_write_eof(self) -> bool:
        return self._transport.can_write_eof()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)
