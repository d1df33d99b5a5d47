"""Money is an integer number of nanos (10^-9 of the installation's currency). It is never a float."""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal
from typing import NewType

Nanos = NewType("Nanos", int)
"""An amount of money, in 10^-9 of the currency; fits int64."""

NANOS_PER_UNIT = 10**9
NANOS_MAX = 2**63 - 1
"""The stores keep amounts as int64: 9.2 billion units of the currency."""

_TEXT_CHARACTERS_MAX = 100
_EXACT = Context(prec=_TEXT_CHARACTERS_MAX)
"""Enough digits for every text that is read: nothing is rounded on the way."""


def parse_amount(text: str) -> Nanos:
    """A decimal such as `50`, `0.145` or `1e3` to nanos, exactly. ValueError says what is wrong with it."""
    try:
        nanos = _EXACT.multiply(Decimal(text[: _TEXT_CHARACTERS_MAX + 1].strip()), NANOS_PER_UNIT)
    except ArithmeticError:
        raise ValueError(f"{text[:40]!r} is not an amount of money, such as 50 or 0.145") from None
    if not nanos.is_finite() or len(text) > _TEXT_CHARACTERS_MAX:
        raise ValueError(f"{text[:40]!r} is not an amount of money, such as 50 or 0.145")
    if nanos != nanos.to_integral_value():
        raise ValueError(f"{text!r} has more than nine decimals")
    if abs(nanos) > NANOS_MAX:
        raise ValueError(f"{text!r} is larger than the {NANOS_MAX // NANOS_PER_UNIT} that an account can hold")
    return Nanos(int(nanos))


def nanos_ceil(amount: Decimal) -> Nanos:
    """Units of the currency to nanos, rounded up."""
    return Nanos(int((amount * NANOS_PER_UNIT).to_integral_value(ROUND_CEILING)))


def format_amount(nanos: int) -> str:
    """Nanos as a plain decimal without trailing zeros: 145000000 is `0.145`. Valid as a JSON number."""
    if nanos < 0:
        return "-" + format_amount(-nanos)
    whole, rest = divmod(nanos, NANOS_PER_UNIT)
    return f"{whole}.{str(rest).zfill(9).rstrip('0')}" if rest else str(whole)
