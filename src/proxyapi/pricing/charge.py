"""The amount of a usage. The same function prices the hold and the bill, so they cannot disagree. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from proxyapi.pricing import price as prices
from proxyapi.pricing.price import RATE_UNITS, SEPARATOR, Price, Rates, Tier
from proxyapi.usage import INPUT_TOKENS, Unit, Usage

_REPORTED_COST = Unit.REPORTED_COST


class Line(NamedTuple):
    """One line of a bill."""

    unit: Unit
    quantity: int
    rate: int
    """Nanos per 1,000,000 units."""
    amount: int
    """quantity x rate, in 10^-6 nanos: exact. Rounding happens once, over the sum of all lines."""


def charge(usage: Usage, price: Price, *, variant: str = "") -> int:
    """Nanos of the whole usage, rounded up once.

    The provider's own bill (`REPORTED_COST`) is charged alone; the other units then only inform. KeyError: a unit or a
    variant that the price does not know, which a price made by the book can't lack.
    """
    if _REPORTED_COST in usage:
        return -(-usage[_REPORTED_COST] * price.rates[_REPORTED_COST] // RATE_UNITS)
    rates: Rates = price.rates if not variant and not price.tiers else _applying(usage, price, variant)
    total = 0
    for unit in usage:
        total += usage[unit] * rates[unit]
    return -(-total // RATE_UNITS)


def lines(usage: Usage, price: Price, *, variant: str = "") -> list[Line]:
    """The bill in full: `ceil(sum of amounts / 10^6)` is the charge."""
    if Unit.REPORTED_COST in usage:
        usage = {Unit.REPORTED_COST: usage[Unit.REPORTED_COST]}
    rates = rates_for(usage, price, variant)
    return [Line(unit, quantity, rates[unit], quantity * rates[unit]) for unit, quantity in usage.items() if quantity]


def rates_for(usage: Usage, price: Price, variant: str = "") -> Rates:
    """The rates that apply to all of this usage, by its variant and the length of its prompt."""
    return price.rates if not variant and not price.tiers else _applying(usage, price, variant)


def recompute(body: bytes, usage: Mapping[str, int], variant: str) -> int:
    """The amount of a journal entry from its kept price row: what the audit compares. ValueError for odd input."""
    return charge({Unit(name): quantity for name, quantity in usage.items()}, _kept(body), variant=variant)


@lru_cache(maxsize=4096)
def _kept(body: bytes) -> Price:
    """A million entries share some hundreds of price rows."""
    return prices.from_json(body)


def _applying(usage: Usage, price: Price, variant: str) -> Rates:
    length = 0
    for unit, quantity in usage.items():
        if unit in INPUT_TOKENS:
            length += quantity
    rates = _above(price.rates, price.tiers, length)
    if variant:
        for word in variant.split(SEPARATOR):
            table = price.variants[word]
            rates = {**rates, **_above(table.rates, table.tiers, length)}
    return rates


def _above(rates: Rates, tiers: Sequence[Tier], length: int) -> Rates:
    for tier in reversed(tiers):
        if length > tier.input_tokens_above:
            return {**rates, **tier.rates}
    return rates
