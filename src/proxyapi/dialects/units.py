"""From what providers report to disjoint units: arithmetic that holds for odd numbers too."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

import msgspec
from msgspec import Raw

from proxyapi.dialects.model import ABSENT
from proxyapi.dialects.stream import lenient
from proxyapi.usage import Unit

QUANTITY_MAX = 2**53
"""More than this of anything is a mistake of the provider: read as nothing."""

_NANO = Decimal(10**9)
_OBJECT = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def wire_object(raw: Raw | bytes) -> dict[str, Any] | None:
    """A JSON object with its decimals exact, None for anything else (`null`, absent, odd)."""
    return None if raw is ABSENT or raw == ABSENT else lenient(_OBJECT, raw)


def count(wire: dict[str, Any], *names: str) -> int:
    """The first of the fields that is a number, as a whole one; 0 if none is."""
    for name in names:
        value = wire.get(name)
        if isinstance(value, Decimal) and value.is_finite() and value.adjusted() < 16:
            value = int(value)
        if type(value) is int:
            return value if 0 <= value <= QUANTITY_MAX else 0
    return 0


def inner(wire: dict[str, Any], *names: str) -> dict[str, Any]:
    """The first of the fields that is an object; an empty one if none is."""
    for name in names:
        value = wire.get(name)
        if isinstance(value, dict):
            return value
    return {}


def split(units: dict[Unit, int], total: int, rest: Unit, *parts: tuple[Unit, int]) -> None:
    """Adds the parts of a total and gives `rest` what they leave. Parts beyond the total are cut: it holds."""
    for unit, quantity in parts:
        taken = min(quantity, total)
        if taken:
            units[unit] = units.get(unit, 0) + taken
            total -= taken
    units[rest] = units.get(rest, 0) + total


def add(units: dict[Unit, int], unit: Unit, quantity: int) -> None:
    if quantity:
        units[unit] = units.get(unit, 0) + quantity


def reported_cost(wire: dict[str, Any]) -> int | None:
    """OpenRouter's own bill in nano-dollars, rounded up. None: there is none, or in another currency (ProxyAPI's own).

    With the operator's own provider key (`is_byok`) `cost` is OpenRouter's fee alone and the provider's bill comes on
    top; otherwise `cost` holds everything, and the two are often equal.
    https://openrouter.ai/docs/use-cases/usage-accounting
    """
    cost = _amount(wire.get("cost"))
    if cost is None or wire.get("cost_currency", "USD") != "USD":
        return None
    if wire.get("is_byok") is True:
        cost += _amount(inner(wire, "cost_details").get("upstream_inference_cost")) or 0
    return int((cost * _NANO).to_integral_value(ROUND_CEILING))


def _amount(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    # Nobody charges a million dollars for an answer; and 1E+999999 must not become digits.
    return amount if amount.is_finite() and amount >= 0 and amount.adjusted() < 7 else None
