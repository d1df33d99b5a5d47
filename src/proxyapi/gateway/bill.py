"""The money of one request: a hold before the provider is called, and exactly one ending after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from proxyapi.dialects.channel import Meter
from proxyapi.dialects.cut import is_endable
from proxyapi.gateway.capping import Cap
from proxyapi.gateway.fallback import SECONDS_MAX, NextTarget
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.ops import AMOUNT_MAX, Attempt, Ending, Hold, Settled, Source
from proxyapi.money import format_amount
from proxyapi.pricing import forecast
from proxyapi.pricing.charge import charge
from proxyapi.pricing.tokens import Tokenizer
from proxyapi.telemetry import Metrics
from proxyapi.usage import INPUT_TOKENS, OUTPUT_TOKENS, Unit, Usage, tells_half

if TYPE_CHECKING:
    from proxyapi.dialects.call import Call
    from proxyapi.dialects.ceiling import Lowered
    from proxyapi.gateway.fallback import Decision
    from proxyapi.gateway.visit import Visit
    from proxyapi.pricing.forecast import Forecast
    from proxyapi.providers.catalog import Catalog, Target

COUNT_INLINE_BYTES_MAX = 100_000
"""Text beyond this is counted in a thread: 85 ms per megabyte would stall every stream."""


class Bill(Struct, eq=False):
    """Made by `Bills.open`, when the hold is durable. `settle` or `release` ends it; the first one counts."""

    bills: Bills
    visit: Visit
    call: Call
    target: Target
    amount: int
    """Nanos held."""
    limit: int | None
    """Nanos that the client's own header caps the request at; None: it does not."""
    predicted: Usage
    """The largest usage, which was held."""
    variant: str
    lowered: Lowered | None = None
    """What has to be sent, with a lower ceiling than the client's; None: the request as it is."""
    closed: bool = False
    followed: bool = False
    """Somebody else closes it: the work goes on at the provider."""
    status: int = 0
    header: bytes = b""
    """Lines of the provider's header that the client gets."""
    upstream_id: str = ""
    attempts: int = 1
    more: bool = False
    """Somebody else can be asked: a release ends an attempt only, and the hold stays."""
    missed: str = ""
    """How this attempt ended, if `more`."""
    tried: tuple[Attempt, ...] = ()
    ended: Awaitable[Settled] | None = None
    """What the ledger will answer to its ending."""

    def price(self, usage: Usage) -> int:
        """Nanos that this usage costs."""
        return charge(usage, self.target.price, variant=self.variant)

    def cost(self, usage: Usage, actual: int) -> int | None:
        """Nanos that the provider asks of the operator for what is sold at `actual`. None: not known."""
        asks = self.target.cost
        if asks is self.target.price:
            return actual if actual < AMOUNT_MAX else AMOUNT_MAX
        if asks is None:
            return None if usage else 0
        try:
            return min(charge(usage, asks, variant=self.variant), AMOUNT_MAX)
        except KeyError:
            # The operator's own price has a word for it, the published one has none.
            return None

    def told(self, usage: Usage) -> int:
        """What a client is told that it costs, before the ledger has charged it."""
        return min(self.price(usage), self.amount if self.limit is None else self.limit)

    def settle(self, usage: Usage, source: Source, ending: str) -> None:
        """Queue the charge; nobody waits for it."""
        if not self.closed:
            self.closed = True
            self.ended = self.bills.settle(self, usage, source, ending)

    async def charged(self) -> int:
        """Nanos that the ledger really took: less than the price where the balance ended."""
        if self.ended is None:
            return 0
        self.visit.charged = (await self.ended).charged
        return self.visit.charged

    def release(self, ending: str) -> None:
        """Nothing was generated: the whole hold returns."""
        if self.more:
            self.missed = self.missed or ending
        elif not self.closed:
            self.closed = True
            self.ended = self.bills.release(self, ending)

    # --- more than one target ----------------------------------------------------------------------------------------

    def go_on(self, decision: Decision, ending: str) -> None:
        """NextTarget: somebody else is asked, and the client hears nothing of this failure. Returns: it is final."""
        if not self.more:
            return
        exchange = self.visit.exchange
        if decision == "stop" or self.closed or exchange.gone or exchange.started or self.bills.is_late(self.visit):
            self.more = False
            return
        self.missed = ending
        raise NextTarget

    def turn_to(self, target: Target, call: Call, predicted: Forecast) -> None:
        """The next one is asked; the last one is written down."""
        last = Attempt(self.target.provider.name, self.target.name, self.status, self.missed)
        self.tried = (*self.tried, last)
        self.bills.missed(last)
        self.attempts += 1
        self.target, self.call = target, call
        self.predicted, self.variant = predicted.usage, predicted.variant
        self.status, self.header, self.upstream_id, self.missed = 0, b"", "", ""


class Bills:
    """Opens bills and writes their endings to the ledger."""

    def __init__(
        self, ledger: Ledger, catalog: Catalog, tokenizer: Tokenizer, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        self._ledger = ledger
        self._catalog = catalog
        self._tokenizer = tokenizer
        self._metrics = metrics
        self._clock = clock

    async def open(
        self, visit: Visit, call: Call, target: Target, predicted: Forecast, amount: int, *, limit: int | None = None
    ) -> Bill:
        """Hold the money. InsufficientFunds, StoreUnavailable; durable when it returns."""
        caller = visit.caller
        assert caller is not None, "a paid route has a caller"
        bill = Bill(self, visit, call, target, amount, limit, predicted.usage, predicted.variant)
        hold = Hold(
            id=visit.id,
            account_id=caller.account_id,
            key_id=caller.key_id,
            budget=caller.budget,
            amount=amount,
            price=target.price,
            provider=target.provider.name,
            model=target.name,
            operation=call.operation,
            claim=visit.tape.claim if visit.tape is not None else None,
        )
        try:
            await self._ledger.hold(hold)
        except asyncio.CancelledError:
            # The hold may still be committed: from the moment it was asked for it is owed an ending.
            bill.release("interrupted")
            raise
        if visit.tape is not None:
            visit.tape.held = amount
        return bill

    def settle(self, bill: Bill, usage: Usage, source: Source, ending: str) -> Awaitable[Settled]:
        actual = bill.price(usage)
        visit = bill.visit
        visit.ending = ending
        visit.charged = actual if actual < bill.amount else bill.amount
        metrics = self._metrics
        metrics.charged += visit.charged
        units = metrics.units[bill.target.provider.name]
        for unit in usage:
            units[unit] += usage[unit]
        return self._ledger.settle(self._ending(bill, ending, usage, source, actual))

    def release(self, bill: Bill, ending: str) -> Awaitable[Settled]:
        bill.visit.ending = ending
        if bill.visit.tape is not None:
            bill.visit.tape.released = True
        return self._ledger.release(self._ending(bill, ending, {}, "reported", 0))

    def _ending(self, bill: Bill, ending: str, usage: Usage, source: Source, actual: int) -> Ending:
        visit = bill.visit
        caller = visit.caller
        assert caller is not None, "a paid route has a caller"
        target = bill.target
        # Half of it by position: CPython collects as many keywords as these in a dictionary first.
        return Ending(
            visit.id, caller.account_id, target.price, target.provider.name, target.name, bill.call.operation,
            usage, actual, bill.variant, source,
            ending=ending,
            status=bill.status,
            latency_ms=int((self._clock() - visit.started) * 1000),
            first_byte_ms=int(visit.first_byte_ms),
            attempts=bill.attempts,
            tried=bill.tried,
            upstream_id=bill.upstream_id,
            upstream_cost=bill.cost(usage, actual),
            limit=bill.limit,
            claim=visit.tape.claim if visit.tape is not None and actual else None,
        )  # fmt: skip

    def is_late(self, visit: Visit) -> bool:
        """Whether it is too late to ask anybody else."""
        return self._clock() - visit.started > SECONDS_MAX

    def missed(self, attempt: Attempt) -> None:
        """Count a provider that did not answer, where another one is asked."""
        self._metrics.fallbacks[attempt.provider, attempt.ending] += 1

    async def balance_header(self, bill: Bill) -> bytes:
        """For keys that may query the balance: what it is after this request."""
        caller = bill.visit.caller
        if caller is None or not caller.may_query_balance:
            return b""
        await bill.charged()
        state = await self._ledger.balance(caller.account_id)
        return b"x-proxyapi-balance-after: %b\r\n" % format_amount(state.balance).encode()

    def known_usage(self, bill: Bill, meter: Meter) -> Usage:
        """What a reply used by what is known before its end."""
        usage = meter.usage
        if usage is None:
            usage = forecast.counted(bill.call, bill.target.facts, self._tokenizer, meter.texts)
        return self.settled(bill, meter, usage)

    def cap(self, bill: Bill) -> Cap | None:
        """What watches a stream of a request that caps itself; None: nobody has to."""
        if bill.limit is None or not is_endable(bill.call.dialect):
            return None
        prompt = forecast.counted(bill.call, bill.target.facts, self._tokenizer, ())

        def spent(meter: Meter, output: int) -> Usage:
            counted = {**prompt, Unit.OUTPUT: output}
            known = counted if meter.usage is None else _completed(meter.usage, counted)
            return self.settled(bill, meter, known)

        return Cap(spent, bill.price, self._tokenizer, bill.limit)

    def reported(self, bill: Bill, meter: Meter) -> Usage | None:
        """What the provider says that a whole reply used; None: it has to be found out by `usage_of`."""
        usage = meter.usage
        if usage is None or not meter.finished or (meter.texts and tells_half(usage)):
            return None
        return self.settled(bill, meter, usage)

    async def usage_of(self, bill: Bill, meter: Meter) -> tuple[Usage, Source] | None:
        """What a reply used, by the best knowledge: reported, else counted. None: nothing was generated."""
        whole = self.reported(bill, meter)
        if whole is not None:
            return whole, "reported"
        reported = meter.usage
        if reported is None and not meter.texts and (meter.failed or not meter.finished):
            return None
        counted = await self._count(bill, meter)
        if reported is None:
            return self.settled(bill, meter, counted), "counted"
        return self.settled(bill, meter, _completed(reported, counted)), "estimated"

    def settled(self, bill: Bill, meter: Meter, usage: Usage) -> Usage:
        """Completed by what no provider reports; priced by the service tier that the answer names."""
        if meter.tier:
            bill.variant = forecast.variant_of(bill.call, bill.target, meter.tier)
        if not meter.others:
            return forecast.settled(bill.call, bill.target.facts, usage)
        # What other models spent inside the reply has prices of its own.
        others = self._catalog.charge_others(bill.target, meter.others)
        return forecast.settled(bill.call, bill.target.facts, usage, others=others.rest, other_models=others.amount)

    def sound_meter(self, bill: Bill) -> forecast.SoundMeter:
        """Measures speech on its way to the client."""
        return forecast.SoundMeter(bill.call, bill.target.facts, self._tokenizer)

    async def _count(self, bill: Bill, meter: Meter) -> Usage:
        def count() -> Usage:
            return forecast.counted(bill.call, bill.target.facts, self._tokenizer, meter.texts)

        if bill.call.prompt_bytes + meter.text_characters > COUNT_INLINE_BYTES_MAX:
            return await asyncio.to_thread(count)
        return count()


def _completed(reported: Usage, counted: Usage) -> Usage:
    """A cut stream's first report knows the prompt but not what came after it; some know nothing of the prompt."""
    if INPUT_TOKENS.isdisjoint(reported):
        reported = {unit: quantity for unit, quantity in counted.items() if unit in INPUT_TOKENS} | {**reported}
    generated = sum(reported.get(unit, 0) for unit in OUTPUT_TOKENS)
    missing = counted.get(Unit.OUTPUT, 0) - generated
    if missing <= 0 or Unit.REPORTED_COST in reported:
        return reported
    return {**reported, Unit.OUTPUT: reported.get(Unit.OUTPUT, 0) + missing}
