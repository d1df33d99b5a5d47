"""Edits made by other processes are noticed by polling: each bumps the counter of its subject in `revision`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from proxyapi.errors import StoreUnavailable
from proxyapi.identity.queries import QUERIES
from proxyapi.store.errors import StoreError

POLL_SECONDS = 0.5
"""An edit acts within a second everywhere."""

Fetch = Callable[[str, Sequence[object]], Awaitable[Sequence[Sequence[Any]]]]
"""One SELECT to its rows: `Database.fetch`."""


class Revisions:
    """Calls who listens when a counter has moved."""

    def __init__(self, fetch: Fetch, *, on_failure: Callable[[Exception], None] | None = None) -> None:
        """`on_failure` hears of a store that can't be read; polling goes on."""
        self._fetch = fetch
        self._on_failure = on_failure
        self._seen: dict[str, int] = {}
        self._listeners: dict[str, list[Callable[[], None]]] = {}

    def listen(self, name: str, callback: Callable[[], None]) -> None:
        """`name` is `identity` (accounts, keys, pauses) or `price`."""
        self._listeners.setdefault(name, []).append(callback)

    async def poll(self) -> None:
        """Read the counters once. The first reading calls every listener: what was loaded before it may be old."""
        try:
            rows = await self._fetch(QUERIES["revisions"], ())
        except (StoreError, StoreUnavailable) as error:
            # Without the store no hold succeeds either, so an old permission can't be used for long.
            if self._on_failure is not None:
                self._on_failure(error)
            return
        for name, number in rows:
            if self._seen.get(name) != number:
                self._seen[name] = number
                for callback in self._listeners.get(name, ()):
                    callback()

    async def run(self, sleep: Callable[[float], Awaitable[object]], interval_seconds: float = POLL_SECONDS) -> None:
        """Poll until cancelled. `sleep` is `asyncio.sleep`."""
        while True:
            await self.poll()
            await sleep(interval_seconds)
