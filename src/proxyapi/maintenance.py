"""Periodic work of a gateway worker: it shows that it lives, gives back what the dead held, forgets what is too old,
and follows the edits that other processes make.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from proxyapi.errors import StoreUnavailable
from proxyapi.identity.pause import PRUNE
from proxyapi.ledger.ledger import now_ms
from proxyapi.ledger.reaper import bury, reap
from proxyapi.store.errors import StoreError

if TYPE_CHECKING:
    from proxyapi.identity.revisions import Revisions
    from proxyapi.resources import Resources
    from proxyapi.rounds import Rounds

HEARTBEAT_SECONDS = 2.0
"""How often a worker shows that it lives and publishes its metrics; after 60 s without it is taken for dead."""
REAP_SECONDS = 5.0
"""Between two rounds over what dead workers held: a round is one conditional write, and a read of what is in flight."""
PRUNE_SECONDS = 60.0
UPKEEP_SECONDS = 3_600.0
STRIKES_KEPT_MS = 3_600_000
"""Longer than any window in which strikes count."""


class Maintenance:
    """Of one worker, whose ledger is open. It ends with the rounds."""

    def __init__(self, resources: Resources, rounds: Rounds, departed: Sequence[str]) -> None:
        """`departed`: names of workers whose processes are known to have ended."""
        self._resources = resources
        self._rounds = rounds
        self._departed = departed

    def start(self) -> None:
        """When requests are answered."""
        resources, every = self._resources, self._rounds.every
        every(HEARTBEAT_SECONDS, self._heartbeat)
        every(REAP_SECONDS, self._reap)
        every(PRUNE_SECONDS, self._prune_strikes)
        every(PRUNE_SECONDS, resources.memory.prune)
        every(PRUNE_SECONDS, resources.conversations.prune)
        every(PRUNE_SECONDS, resources.logbook.prune)
        every(UPKEEP_SECONDS, self._upkeep)
        self._rounds.keep(resources.logbook.run)
        every(PRUNE_SECONDS, resources.repeats.prune)

    async def _heartbeat(self) -> None:
        snapshot = msgspec.json.encode(self._resources.metrics.snapshot()).decode()
        await self._resources.ledger.heartbeat(snapshot)

    async def _prune_strikes(self) -> None:
        await self._resources.ledger.write(PRUNE, (now_ms() - STRIKES_KEPT_MS,))

    async def _upkeep(self) -> None:
        resources = self._resources
        await resources.loop.run_in_executor(None, resources.database.upkeep, now_ms())

    # --- the dead ----------------------------------------------------------------------------------------------------

    async def bury(self) -> None:
        """What those before this worker held comes back before it answers, so that requests may be sent again."""
        with suppress(StoreUnavailable, StoreError):  # the next round of the reaper tries again
            await self._bury()

    async def _reap(self) -> None:
        await self._bury()
        self._expired(await reap(self._resources.database, self._resources.ledger))

    async def _bury(self) -> None:
        if self._departed:
            self._expired(await bury(self._resources.database, self._resources.ledger, self._departed))
            self._departed = ()

    def _expired(self, holds: int) -> None:
        if holds:
            self._resources.log.event("holds_expired", count=holds)


def follow(
    revisions: Revisions,
    rounds: Rounds,
    reload_prices: Callable[[], Awaitable[None]],
    *,
    sleep: Callable[[float], Awaitable[object]],
) -> None:
    """From now on those who listen to `revisions` hear of edits, and edited prices are read again. `sleep` is
    `asyncio.sleep`."""
    edited = asyncio.Event()

    async def reload() -> None:
        while True:
            await edited.wait()
            edited.clear()
            try:
                await reload_prices()
            except BaseException:
                edited.set()  # an edit is told once: what could not be read is still to be
                raise

    revisions.listen("price", edited.set)
    rounds.keep(partial(revisions.run, sleep))
    rounds.keep(reload)
