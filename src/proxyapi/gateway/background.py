"""Responses that a provider works on in the background: their hold stays until the provider says what they used.

`background: true` answers at once, without usage; the client fetches the result later, for nothing. So the gateway asks
for it too, and settles by what it finds. If this process ends first, the hold expires, as for any lost worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.channel import meter_body
from proxyapi.errors import GatewayError
from proxyapi.wire.errors import WireError

if TYPE_CHECKING:
    from proxyapi.gateway.bill import Bill, Bills
    from proxyapi.gateway.upstream import Upstream
    from proxyapi.gateway.visit import Visit

PAUSE_SECONDS_MIN = 1.0
PAUSE_SECONDS_MAX = 15.0
"""Between two looks at a response, growing: short answers are charged soon, long ones cost few requests."""
FOLLOWED_SECONDS_MAX = 7_200.0
"""Providers end background work long before."""
FOLLOWED_MAX = 1_000
"""Per worker; above it `background` is refused."""


class _State(Struct):
    status: str = ""


_STATE = msgspec.json.Decoder(_State)


def is_running(body: bytes) -> bool:
    """Whether a response object says that the provider still works on it."""
    try:
        return _STATE.decode(body).status in ("queued", "in_progress")
    except msgspec.MsgspecError:
        return False


class Background:
    """Follows background responses to their end."""

    def __init__(
        self,
        bills: Bills,
        upstream: Upstream,
        *,
        sleep: Callable[[float], Awaitable[object]],
        clock: Callable[[], float],
        reply_bytes_max: int,
    ) -> None:
        """`sleep` is `asyncio.sleep`; `clock` is monotonic, in seconds."""
        self._bills = bills
        self._upstream = upstream
        self._sleep = sleep
        self._clock = clock
        self._reply_bytes_max = reply_bytes_max
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def full(self) -> bool:
        """No more can be followed."""
        return len(self._tasks) >= FOLLOWED_MAX

    def follow(self, visit: Visit, bill: Bill, response_id: str) -> None:
        """From now on the bill is closed here."""
        bill.followed = True
        task = asyncio.get_running_loop().create_task(self._follow(visit, bill, response_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop following; holds that are still open are left to the reaper."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, visit: Visit, bill: Bill, response_id: str) -> None:
        pause, end = PAUSE_SECONDS_MIN, self._clock() + FOLLOWED_SECONDS_MAX
        while self._clock() < end:
            await self._sleep(pause)
            pause = min(PAUSE_SECONDS_MAX, pause * 1.5)
            if await self._look(visit, bill, response_id):
                return
        bill.release("background_lost")

    async def _look(self, visit: Visit, bill: Bill, response_id: str) -> bool:
        """Whether it has ended, and was charged."""
        provider = bill.target.provider
        path = provider.path("openai_responses", "responses") + f"/{response_id}"
        try:
            response = await self._upstream.open(visit, provider, path, b"", method="GET")
            try:
                body = await response.read(self._reply_bytes_max)
            finally:
                response.close()
        except (GatewayError, WireError):
            return False  # the provider can't be asked now; it will be again
        if response.status == 404:
            # Deleted before anyone could see what it used: what was held is charged, or deleting would be free.
            bill.settle(bill.predicted, "estimated", "background_deleted")
            return True
        if response.status >= 300 or is_running(body):
            return False
        meter = meter_body(DIALECTS["openai_responses"], body, response.status, bill.call)
        used = await self._bills.usage_of(bill, meter)
        if used is None:
            bill.release("background_failed")
        else:
            bill.settle(*used, "background")
        return True
