"""Work that comes round again and again while a process runs, whatever becomes of one round."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

from proxyapi.errors import StoreUnavailable
from proxyapi.store.errors import StoreError
from proxyapi.telemetry import Log, place_of

AGAIN_SECONDS = 1.0
"""Before work that should have gone on by itself begins anew."""


def _ignore(_: Exception) -> None: ...


class Rounds:
    """Of one process. A bug costs one round: the operator gets the place, never the data."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        log: Log,
        *,
        sleep: Callable[[float], Awaitable[object]],
        on_sick: Callable[[StoreError | StoreUnavailable], None] = _ignore,
    ) -> None:
        """`sleep` is `asyncio.sleep`. `on_sick` hears of a store that fails, where nobody else tells of it."""
        self._loop = loop
        self._log = log
        self._sleep = sleep
        self._on_sick = on_sick
        self._tasks: list[asyncio.Task[None]] = []

    def every(self, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        """Do it again and again, for the first time after so long."""

        async def repeat() -> None:
            while True:
                await self._sleep(seconds)
                await self._do(work)

        self._begin(repeat())

    def keep(self, work: Callable[[], Awaitable[object]]) -> None:
        """What goes on by itself, from now on."""

        async def repeat() -> None:
            while True:
                await self._do(work)
                await self._sleep(AGAIN_SECONDS)

        self._begin(repeat())

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        self._tasks.append(self._loop.create_task(work))

    async def _do(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except (StoreUnavailable, StoreError) as error:
            self._on_sick(error)
        except Exception as error:  # noqa: BLE001 - or a worker would live on without its heartbeat
            self._log.event("crash", error=type(error).__name__, where=place_of(error))

    async def stop(self) -> None:
        """Cancel everything, and wait until it has ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
