"""Keys that collect errors pause: who is paused now, and the counting of strikes through the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxyapi.errors import StoreUnavailable, TooManyRequests
from proxyapi.identity import pause as rules
from proxyapi.identity.pause import Pause, PausePolicy
from proxyapi.store.errors import StoreError

if TYPE_CHECKING:
    from proxyapi.identity.keys import Caller
    from proxyapi.ledger.ledger import Ledger
    from proxyapi.telemetry import Log

PAUSED = "key_paused"
"""The code of a refusal that does not count as a strike."""


class KeyPaused(TooManyRequests):
    code = PAUSED


class Pauses:
    def __init__(self, ledger: Ledger, policy: PausePolicy | None, clock_ms: Callable[[], int], log: Log) -> None:
        """`policy` None: keys never pause. `clock_ms`: milliseconds since 1970."""
        self._ledger = ledger
        self._policy = policy
        self._clock_ms = clock_ms
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def check(self, caller: Caller) -> None:
        """TooManyRequests while the key pauses."""
        if not caller.paused_until or self._policy is None:
            return
        left = caller.paused_until - self._clock_ms()
        if left > 0:
            seconds = -(-left // 1000)
            raise KeyPaused(
                "Too many requests. This key pauses because of too many failed requests; "
                f"try again in {seconds} s, or top up the balance.",
                retry_after_seconds=seconds,
            )

    def strike(self, caller: Caller, code: str) -> None:
        """The key was answered a 4xx. Counted in the background: the client does not wait for it."""
        if self._policy is None or code == PAUSED:
            return
        task = asyncio.get_running_loop().create_task(self._count(caller.key_id, self._policy))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _count(self, key_id: int, policy: PausePolicy) -> None:
        now = self._clock_ms()
        write = self._ledger.write
        try:
            await write(rules.ADD, (key_id, now))
            recent = [row[0] for row in await write(rules.RECENT, (key_id, now - policy.window_ms))]
            rows = await write(rules.STATE, (key_id,))
            seen = Pause(*rows[0]) if rows else None
            new = rules.strike(now, recent, seen, policy)
            if new is None or not await write(rules.START, rules.start_parameters(key_id, seen, new)):
                return
            await write(rules.CLEAR, (key_id, now))
            await write(rules.BUMP, ())
        except (StoreUnavailable, StoreError):
            return  # the ledger tells of it; without the store no request of this key passes anyway
        self._log.event("key_paused", key=key_id, level=new.level, until=new.until)

    async def close(self) -> None:
        """Wait for strikes that are being counted."""
        if self._tasks:
            await asyncio.gather(*self._tasks)
