"""Work that comes round again and again while a process runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from proxyapi.errors import StoreUnavailable
from proxyapi.store.errors import StoreError


class Rounds:
    """Of one process."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: list[asyncio.Task[None]] = []

    def every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do it again and again, for the first time after so long."""

        async def repeat() -> None:
            while True:
                await asyncio.sleep(seconds)
                # A sick store is reported by the ledger itself; the next round tries again.
                with suppress(StoreUnavailable, StoreError):
                    await work()

        self.keep(repeat())

    def keep(self, work: Awaitable[None]) -> None:
        """What goes on by itself, from now on."""

        async def run() -> None:
            await work

        self._tasks.append(self._loop.create_task(run()))

    async def stop(self) -> None:
        """Cancel everything, and wait until it has ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
