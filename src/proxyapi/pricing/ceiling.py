"""How many tokens of output an amount of money affords. Pure.

The forecasts of one request differ in one unit only, whatever its ceiling: two of them tell all. So a lower ceiling is
found without counting the prompt again, and its price is that of the forecast with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import structs

from proxyapi.dialects.call import Call
from proxyapi.dialects.ceiling import OUTPUT_TOKENS_MIN
from proxyapi.pricing.charge import charge
from proxyapi.pricing.forecast import Forecast
from proxyapi.pricing.price import Price
from proxyapi.usage import Unit, Usage


class Outlook(NamedTuple):
    """What a request can use of one model, by its ceiling."""

    least: Usage
    """With a ceiling of `OUTPUT_TOKENS_MIN`."""
    unit: Unit
    """What a higher one adds to."""
    each: int
    """So many for a token of the ceiling: one for every alternative."""
    most: int
    """A higher ceiling changes nothing."""
    price: Price
    variant: str

    def usage(self, ceiling: int) -> Usage:
        """As `forecast` has it for a request with that ceiling; `OUTPUT_TOKENS_MIN` at least."""
        more = (min(ceiling, self.most) - OUTPUT_TOKENS_MIN) * self.each
        return {**self.least, self.unit: self.least.get(self.unit, 0) + more}

    def cost(self, ceiling: int) -> int:
        """Nanos to be held for a request with that ceiling."""
        return charge(self.usage(ceiling), self.price, variant=self.variant)


def at_least(call: Call) -> Call:
    """The request with the lowest ceiling."""
    return structs.replace(call, output_tokens_max=OUTPUT_TOKENS_MIN)


def outlook(least: Forecast, asked: Forecast, choices: int, price: Price) -> Outlook | None:
    """From the forecasts of a request as it is, and `at_least`. None: a ceiling changes nothing about it."""
    grown = [unit for unit, quantity in asked.usage.items() if quantity > least.usage.get(unit, 0)]
    if len(grown) != 1 or choices < 1:
        return None
    unit = grown[0]
    span = (asked.usage[unit] - least.usage.get(unit, 0)) // choices
    return Outlook(least.usage, unit, choices, OUTPUT_TOKENS_MIN + span, price, asked.variant)


def cost_of(outlooks: Iterable[Outlook], ceiling: int) -> int:
    """The dearest of the models that may answer."""
    return max(outlook.cost(ceiling) for outlook in outlooks)


def affordable(outlooks: Sequence[Outlook], amount: int) -> int | None:
    """The highest ceiling whose hold is within `amount`. None: not even the lowest is."""
    low, high = OUTPUT_TOKENS_MIN, max(outlook.most for outlook in outlooks)
    if cost_of(outlooks, low) > amount:
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if cost_of(outlooks, middle) <= amount:
            low = middle
        else:
            high = middle - 1
    return low
