"""The targets of a request, one after the other until one answers. One hold covers them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from proxyapi.errors import ClientGone, GatewayError
from proxyapi.gateway.fallback import NextTarget, after_code

if TYPE_CHECKING:
    from proxyapi.dialects.call import Call
    from proxyapi.dialects.ceiling import Lowered
    from proxyapi.gateway.bill import Bill
    from proxyapi.gateway.conversations import Turn
    from proxyapi.gateway.holding import Holding, Lower
    from proxyapi.gateway.visit import Visit
    from proxyapi.pricing.forecast import Forecast
    from proxyapi.providers.catalog import Target

_ANSWERED_BY = b"x-proxyapi-provider: %b\r\nx-proxyapi-model: %b\r\n"


class Way(Struct, eq=False, kw_only=True):
    """A target with the request as it takes it. `Holding` fills in what the money decides."""

    target: Target
    call: Call
    """What is priced: the request as it is sent."""
    lower: Lower | None
    answer: Callable[[Bill, Lowered | None], Awaitable[None]]
    """Asks the provider and brings its answer. Of more than one target: NextTarget, or GatewayError."""
    turn: Turn | None = None
    """What the gateway is to keep of the answer."""
    predicted: Forecast | None = None
    lowered: Lowered | None = None
    """What has to be sent if the request was shortened."""


async def alone(holding: Holding, visit: Visit, way: Way) -> None:
    """The only target."""
    bill = await holding.hold(visit, way.call, way.target, way.lower)
    await way.answer(bill, bill.lowered)


async def in_turn(holding: Holding, visit: Visit, ways: Sequence[Way]) -> None:
    """Until one answers. What the last one says is said to the client."""
    first, *others = ways
    bill = await holding.hold(visit, first.call, first.target, first.lower, others)
    first.lowered = bill.lowered
    if bill.lowered is not None:
        others = [way for way in others if way.lowered is not None]
    lines = visit.extra_headers
    try:
        for place, way in enumerate([first, *others]):
            if place:
                assert way.predicted is not None, "the hold covers it"
                bill.turn_to(way.target, way.call, way.predicted)
            bill.more = place < len(others)
            _introduce(visit, way, lines)
            if await _answered(bill, way):
                return
            if visit.exchange.gone:
                raise ClientGone
    finally:
        bill.more = False
        bill.release("client_gone" if visit.exchange.gone else "interrupted")


def _introduce(visit: Visit, way: Way, lines: bytes) -> None:
    """Who is asked now, for the log, and for the client if that is who answers."""
    name = way.target.provider.name
    visit.provider, visit.model, visit.turn = name, way.target.name, way.turn
    visit.extra_headers = lines + _ANSWERED_BY % (name.encode(), way.target.name.encode())


async def _answered(bill: Bill, way: Way) -> bool:
    """False: somebody else is to be asked."""
    try:
        await way.answer(bill, way.lowered)
    except NextTarget:
        return False
    except GatewayError as error:
        try:
            bill.go_on(after_code(error.code), error.code)
        except NextTarget:
            return False
        bill.release(error.code)
        raise
    return True
