"""Answers that are read to their end although their client has left (`on_gone = "drain"`), for their exact usage.

What nobody reads still costs: so there is a bound in number, in seconds, and in money that is on hold for it. Where one
is reached the provider's connection is closed, and what had come is counted.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Drained(Protocol):
    """An answer of a provider (`Response`), or what stands for one."""

    @property
    def over(self) -> bool: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None: ...


class Drains:
    """One per worker."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, seconds: float, count_max: int, amount_max: int | None
    ) -> None:
        """`amount_max`: nanos on hold for all of them together; None: no bound."""
        self._loop = loop
        self._seconds = seconds
        self._count_max = count_max
        self._amount_max = amount_max
        self._running: dict[Drained, int] = {}
        """What each has on hold; those that have ended are forgotten when the next one begins."""
        self._stopped = False

    def begin(self, response: Drained, amount: int) -> None:
        """Read on, or close `response` if a bound is reached."""
        self._running = {running: held for running, held in self._running.items() if not running.over}
        if self._stopped or len(self._running) >= self._count_max or not self._affords(amount):
            response.close()
            return
        self._running[response] = amount
        response.resume_reading()
        self._loop.call_later(self._seconds, response.close)

    def _affords(self, amount: int) -> bool:
        return self._amount_max is None or sum(self._running.values()) + amount <= self._amount_max

    def stop(self) -> None:
        """The gateway stops: nobody waits for these."""
        self._stopped = True
        for response in tuple(self._running):
            response.close()
        self._running.clear()
