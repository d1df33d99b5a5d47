"""The price of a model: one immutable version. A request is held and settled with the same one.

All rates are integer nanos per 1,000,000 units, in the installation's currency, converted and rounded up once when the
price is made. A price knows every unit that can be reported for its model, so that settling never fails for lack of a
rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import msgspec
from msgspec import Struct

from proxyapi.usage import Unit

RATE_UNITS = 1_000_000
"""Rates are for so many units."""

OTHER_MODELS_RATE = RATE_UNITS
"""A nano that another model cost is a nano: every price has this rate of `Unit.OTHER_MODELS`."""

SEPARATOR = ";"
"""Between the words of a variant: `flex;web_search_preview`."""

Rates = Mapping[Unit, int]
"""Nanos per `RATE_UNITS`, by unit."""


class Tier(Struct, frozen=True, array_like=True):
    """A cliff: a longer prompt pays these rates for the whole request, from the first token on."""

    input_tokens_above: int
    """Total input, everything read from and written to caches included."""
    rates: dict[Unit, int]
    """All units that change; the others keep the rate of the table."""


class Table(Struct, frozen=True, omit_defaults=True):
    """Rates that stand in for others under a condition, named by a word of the variant."""

    rates: dict[Unit, int]
    tiers: tuple[Tier, ...] = ()
    """In ascending order; the last one that is passed counts."""


class Price(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One version of a price row."""

    id: int
    """63 bits of a hash over everything else: equal rows have equal ids, on every node."""
    provider: str
    model: str
    """As the provider names it."""
    rates: dict[Unit, int]
    """Complete: every unit has a rate, also those that are free."""
    tiers: tuple[Tier, ...] = ()
    """In ascending order; the last one that is passed counts."""
    variants: dict[str, Table] = {}
    """By service tier (`flex`, `priority`), speed (`fast`), tool (`web_search_preview`) or picture (`hd 1024x1024`)."""
    source: str = ""
    """Where the published prices come from."""
    exchange_rate: str = "1"
    """Units of the currency per US dollar, already in the rates."""
    markup: str = "0"
    """Added to published prices, already in the rates: 0.2 is 20 %."""

    def to_json(self) -> bytes:
        """What the ledger keeps of a version, for ever."""
        return _ENCODER.encode(self)


_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(Price)


def make_price(
    *,
    provider: str,
    model: str,
    rates: Rates,
    tiers: tuple[Tier, ...] = (),
    variants: Mapping[str, Table] | None = None,
    source: str = "",
    exchange_rate: str = "1",
    markup: str = "0",
) -> Price:
    """A price with the id that its content has."""
    price = Price(
        id=0,
        provider=provider,
        model=model,
        rates=dict(rates),
        tiers=tiers,
        variants=dict(variants or {}),
        source=source,
        exchange_rate=exchange_rate,
        markup=markup,
    )
    return msgspec.structs.replace(price, id=content_id(price))


def content_id(price: Price) -> int:
    """The id that belongs to the content: 63 bits, because both stores keep signed 64-bit integers."""
    body = _ENCODER.encode(msgspec.structs.replace(price, id=0))
    return int.from_bytes(blake2b(body, digest_size=8).digest(), "big") >> 1


def from_json(body: bytes | str) -> Price:
    """A kept version. `msgspec.ValidationError` if it is none."""
    return _DECODER.decode(body)


def join_words(*words: str) -> str:
    """A variant of those words that are not empty."""
    return SEPARATOR.join(word for word in words if word)
