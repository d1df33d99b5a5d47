"""A model as it is shown to customers: what it is, and what it costs."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from proxyapi.pricing.facts import ModelFacts
from proxyapi.pricing.price import Price
from proxyapi.usage import Unit

_DATE = re.compile(r"-(20\d\d)-?(\d\d)-?(\d\d)(?:$|[-:])")


class Listing(NamedTuple):
    name: str
    native_name: str
    vendor: str
    mode: str
    created: int
    context_tokens_max: int | None
    output_tokens_max: int | None
    modalities_in: tuple[str, ...]
    modalities_out: tuple[str, ...]
    pricing: dict[str, int]
    """Nanos per 1,000,000 units, by unit; only what the model can use."""
    free: bool
    provider: str
    """Whose model it is: the vendor, or the aggregator."""
    fallbacks: tuple[str, ...] = ()
    """Models that are asked when it does not answer, on the unified API."""


def listing_of(facts: ModelFacts, price: Price) -> Listing:
    rates = price.rates
    return Listing(
        name=facts.name,
        native_name=facts.model,
        vendor=facts.vendor,
        mode=facts.mode,
        created=facts.created,
        context_tokens_max=facts.context_tokens_max,
        output_tokens_max=facts.output_tokens_max,
        modalities_in=facts.modalities_in,
        modalities_out=facts.modalities_out,
        pricing={unit.value: rates[unit] for unit in _shown(facts, price)},
        free=not any(rates[unit] for unit in _OWN_UNITS),
        provider=facts.provider,
    )


def _shown(facts: ModelFacts, price: Price) -> Iterator[Unit]:
    """The units that a customer can meet, in the order of `Unit`."""
    rates = price.rates
    needed = _SHOWN.get(facts.mode, _SHOWN["chat"])
    for unit in Unit:
        if unit in needed:
            shown = rates[unit] > 0 or (unit in (Unit.INPUT, Unit.OUTPUT) and facts.mode in _TEXT_MODES)
        elif facts.mode != "chat" or unit not in _OWN_UNITS:
            shown = False
        elif unit in _FOLLOWERS:
            shown = rates[unit] not in (0, rates[_FOLLOWERS[unit]])
        else:
            shown = rates[unit] > 0 and unit in _FEES
        if shown:
            yield unit


_TEXT_MODES = frozenset({"chat", "embedding", "moderation"})
_SHOWN: dict[str, frozenset[Unit]] = {
    "chat": frozenset({Unit.INPUT, Unit.CACHE_READ, Unit.OUTPUT, Unit.REASONING}),
    "embedding": frozenset({Unit.INPUT}),
    "moderation": frozenset({Unit.INPUT}),
    "audio_speech": frozenset({Unit.CHARACTERS, Unit.INPUT, Unit.OUTPUT_AUDIO}),
    "audio_transcription": frozenset({Unit.AUDIO_SECONDS, Unit.INPUT, Unit.INPUT_AUDIO, Unit.OUTPUT}),
    "image_generation": frozenset({Unit.IMAGES, Unit.INPUT, Unit.INPUT_IMAGE, Unit.OUTPUT_IMAGE}),
    "request": frozenset({Unit.REQUESTS}),
}
"""Always shown for a mode, where they cost anything."""
_FOLLOWERS = {
    Unit.INPUT_AUDIO: Unit.INPUT,
    Unit.INPUT_IMAGE: Unit.INPUT,
    Unit.CACHE_READ_AUDIO: Unit.CACHE_READ,
    Unit.CACHE_WRITE_5M: Unit.INPUT,
    Unit.CACHE_WRITE_30M: Unit.CACHE_WRITE_5M,
    Unit.CACHE_WRITE_1H: Unit.CACHE_WRITE_5M,
    Unit.CACHE_WRITE_12H: Unit.CACHE_WRITE_1H,
    Unit.OUTPUT_AUDIO: Unit.OUTPUT,
}
"""Shown where they cost something else than the unit that they follow."""
_OWN_UNITS = tuple(unit for unit in Unit if unit not in (Unit.REPORTED_COST, Unit.OTHER_MODELS))
_FEES = frozenset({Unit.WEB_SEARCH, Unit.FILE_SEARCH, Unit.CODE_SESSION})


def created_of(model: str) -> int:
    """Unix seconds of the date in a name."""
    match = _DATE.search(model)
    if match is None:
        return 0
    try:
        return calendar.timegm(date(*map(int, match.groups())).timetuple())
    except ValueError:
        return 0


def ended(ends: str, now: float) -> bool:
    return bool(ends) and calendar.timegm(date.fromisoformat(ends).timetuple()) <= now
