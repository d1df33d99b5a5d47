"""Reserves the money of a request: all that it may cost; or, where that is too much, what there is, for a shorter one.

A request is shortened if its account wants that, or if its own header caps it. How much there is says the ledger when
it refuses a hold; between its word and the next hold others may have taken from it, so the hold decides, and it is
tried again a few times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from proxyapi.errors import InsufficientFunds, InvalidRequest, Unavailable
from proxyapi.gateway.introduction import MAX_COST_HEADER
from proxyapi.identity.keys import check_model
from proxyapi.money import parse_amount
from proxyapi.pricing import forecast
from proxyapi.pricing.ceiling import Outlook, affordable, at_least, cost_of, outlook
from proxyapi.pricing.charge import charge
from proxyapi.pricing.forecast import Forecast
from proxyapi.usage import INPUT_TOKENS, Usage

if TYPE_CHECKING:
    from proxyapi.dialects.call import Call
    from proxyapi.dialects.ceiling import Lowered
    from proxyapi.gateway.admission import Admission
    from proxyapi.gateway.attempts import Way
    from proxyapi.gateway.background import Background
    from proxyapi.gateway.bill import Bill, Bills
    from proxyapi.gateway.visit import Visit
    from proxyapi.identity.keys import Caller
    from proxyapi.pricing.tokens import Tokenizer
    from proxyapi.providers.catalog import Catalog, Target

FORECAST_INLINE_BYTES_MAX = 100_000
"""Larger prompts are counted in a thread: counting would stall the streams of this process."""
SHORTENINGS_MAX = 5
"""Tries with what a refusal said is there: one for the account, one for the key's budget, and some for races."""

Lower = Callable[[int], "Lowered | None"]
"""The request with a lower ceiling of output. None: it can't have that one."""


class Answerer(NamedTuple):
    """A model that may answer, what it is asked, and the most that it can use."""

    target: Target
    call: Call
    predicted: Forecast


class Holding:
    def __init__(
        self, *, catalog: Catalog, bills: Bills, admission: Admission, background: Background, tokenizer: Tokenizer
    ) -> None:
        self._catalog = catalog
        self._bills = bills
        self._admission = admission
        self._background = background
        self._tokenizer = tokenizer

    async def hold(
        self, visit: Visit, call: Call, target: Target, lower: Lower | None = None, ways: Sequence[Way] = ()
    ) -> Bill:
        """Durable when it returns; `bill.lowered` is what has to be sent if the request was shortened.

        InsufficientFunds; Unavailable. `lower`: None if the request has no ceiling. `ways`: to those who are asked if
        the target does not answer; each learns what it may use, and what is to be sent if the request was shortened.
        """
        caller, introduction = visit.caller, visit.introduction
        assert caller is not None and introduction is not None, "the entrance found them"
        if call.server_tools or call.prompt_bytes > FORECAST_INLINE_BYTES_MAX:
            predicted = await self.forecast(call, target)
        else:
            predicted = forecast.forecast(call, target, self._tokenizer)
        amount = charge(predicted.usage, target.price, variant=predicted.variant)
        limit = None if introduction.max_cost is None else max_cost(introduction.max_cost)
        others: list[Answerer] = []
        if call.fallback_models or ways:
            others = await self._others(caller, call, target, ways)
            amount = max(amount, *map(_largest, others))
        if caller.tokens_per_minute is not None:
            self._admission.admit_tokens(caller, prompt_tokens(predicted.usage))
        if call.background and self._background.full:
            raise Unavailable("Too many background responses are running; try again later.", retry_after_seconds=60)
        visit.estimate = amount
        try:
            if limit is not None and amount > limit:
                raise InsufficientFunds(source="request", required=amount, available=limit, held=0)
            return await self._bills.open(visit, call, target, predicted, amount, limit=limit)
        except InsufficientFunds as refused:
            if lower is None or not (caller.shortens or refused.source == "request"):
                raise
            outlooks = await self._outlooks([Answerer(target, call, predicted), *others])
            bill = await self._shortened(visit, call, target, outlooks, limit, lower, refused)
            _shorten(ways, outlooks[-len(ways) :], bill.call.output_tokens_max)
            return bill

    async def forecast(self, call: Call, target: Target) -> Forecast:
        """The largest usage of a call; off the event loop when it is much to count."""
        advisor = self._catalog.advisor(target, call) if call.server_tools else None
        if call.prompt_bytes > FORECAST_INLINE_BYTES_MAX:
            return await asyncio.to_thread(forecast.forecast, call, target, self._tokenizer, advisor=advisor)
        return forecast.forecast(call, target, self._tokenizer, advisor=advisor)

    async def _others(self, caller: Caller, call: Call, target: Target, ways: Sequence[Way]) -> list[Answerer]:
        """Whom the provider itself may go over to, which the key has to allow; then whom the gateway may. The hold
        covers the dearest."""
        others: list[Answerer] = []
        for name in call.fallback_models:
            other = self._catalog.resolve(call.operation, call.dialect, name, target.provider.name)
            check_model(caller, other.name, other.model)
            others.append(Answerer(other, call, await self.forecast(call, other)))
        for way in ways:
            way.predicted = await self.forecast(way.call, way.target)
            others.append(Answerer(way.target, way.call, way.predicted))
        return others

    async def _outlooks(self, answerers: Sequence[Answerer]) -> list[Outlook]:
        """What a lower ceiling would save; empty: nothing."""
        found: list[Outlook] = []
        for target, call, asked in answerers:
            known = outlook(await self.forecast(at_least(call), target), asked, call.choices, target.price)
            if known is None:
                return []
            found.append(known)
        return found

    async def _shortened(
        self, visit: Visit, call: Call, target: Target, outlooks: Sequence[Outlook], limit: int | None, lower: Lower,
        refused: InsufficientFunds,
    ) -> Bill:  # fmt: skip
        """A hold of what there is. InsufficientFunds: that is too little for any answer."""
        assert visit.caller is not None, "the entrance found it"
        for _ in range(SHORTENINGS_MAX if outlooks else 0):
            there_is = refused.available if limit is None else min(refused.available, limit)
            ceiling = affordable(outlooks, there_is)
            lowered = None if ceiling is None else lower(ceiling)
            if ceiling is None or lowered is None:
                break
            amount = cost_of(outlooks, ceiling)
            predicted = Forecast(outlooks[0].usage(ceiling), outlooks[0].variant)
            shorter = msgspec.structs.replace(call, output_tokens_max=ceiling)
            try:
                bill = await self._bills.open(visit, shorter, target, predicted, amount, limit=limit)
            except InsufficientFunds as again:
                if not visit.caller.shortens:
                    raise
                refused = InsufficientFunds(
                    source=again.source, required=refused.required, available=again.available, held=again.held
                )
                continue
            bill.lowered = lowered
            visit.estimate = amount
            visit.extra_headers += b"x-proxyapi-shortened: %b\r\n" % ", ".join(map("=".join, lowered.told)).encode()
            return bill
        raise refused


def _largest(answerer: Answerer) -> int:
    """Nanos that it can cost."""
    predicted = answerer.predicted
    return charge(predicted.usage, answerer.target.price, variant=predicted.variant)


def _shorten(ways: Sequence[Way], outlooks: Sequence[Outlook], ceiling: int | None) -> None:
    """The same ceiling for everybody."""
    assert ceiling is not None, "that is what a shortened request has"
    for way, known in zip(ways, outlooks, strict=False):
        way.lowered = None if way.lower is None else way.lower(ceiling)
        way.predicted = Forecast(known.usage(ceiling), known.variant)
        way.call = msgspec.structs.replace(way.call, output_tokens_max=ceiling)


def max_cost(text: bytes) -> int:
    """The request's own cap in nanos. InvalidRequest: the header has no amount."""
    name = MAX_COST_HEADER.decode()
    try:
        amount = parse_amount(text.decode("latin-1"))
    except ValueError as error:
        raise InvalidRequest(f"Invalid value for the header {name}: {error}", param=name) from None
    if amount < 0:
        raise InvalidRequest(f"Invalid value for the header {name}: it is below zero", param=name)
    return amount


def prompt_tokens(usage: Usage) -> int:
    return sum(quantity for unit, quantity in usage.items() if unit in INPUT_TOKENS)
