"""genai-prices made flat: https://github.com/pydantic/genai-prices

Importing the package costs half a second, so this runs when the snapshot is compiled, and at a start only if another
version of it is installed than the snapshot was made from.

Its own matching is by prefix and gives `gpt-4o-mini-search-preview` the price of `gpt-4o-mini`. Here only exact names
count, and prefixes whose rest `rest_allowed` accepts. An empty price there means free of charge.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal
from typing import Any

from proxyapi.pricing.snapshot import Line, NanoRates, Row, Window
from proxyapi.usage import Unit

PROVIDERS = ("openai", "anthropic", "google", "deepseek", "openrouter")

_MILLION, _THOUSAND, _HOUR = 1, 1_000, Decimal(1_000_000) / 3_600
_UNITS: dict[str, tuple[Unit, Decimal | int]] = {
    "input_mtok": (Unit.INPUT, _MILLION),
    "output_mtok": (Unit.OUTPUT, _MILLION),
    "cache_read_mtok": (Unit.CACHE_READ, _MILLION),
    "cache_write_mtok": (Unit.CACHE_WRITE_5M, _MILLION),
    "cache_write_1h_mtok": (Unit.CACHE_WRITE_1H, _MILLION),
    "input_audio_mtok": (Unit.INPUT_AUDIO, _MILLION),
    "cache_audio_read_mtok": (Unit.CACHE_READ_AUDIO, _MILLION),
    "output_audio_mtok": (Unit.OUTPUT_AUDIO, _MILLION),
    "input_image_mtok": (Unit.INPUT_IMAGE, _MILLION),
    "output_image_mtok": (Unit.OUTPUT_IMAGE, _MILLION),
    "output_reasoning_mtok": (Unit.REASONING, _MILLION),
    "input_mchars": (Unit.CHARACTERS, _MILLION),
    "web_searches_kcount": (Unit.WEB_SEARCH, _THOUSAND),
    "storage_searches_kcount": (Unit.FILE_SEARCH, _THOUSAND),
    "requests_kcount": (Unit.REQUESTS, _THOUSAND),
    "input_audio_hours": (Unit.AUDIO_SECONDS, _HOUR),
}
"""Price key there -> unit here, and how many of its units make our million."""

_UNUSED = frozenset({"cache_image_read_mtok", "audio_hours", "input_video_mtok", "output_video_mtok"})
"""Live sessions and video have no route; no API reports cached pictures apart."""

_CONTEXTS = ("service_tier", "speed")
"""What selects a variant. Batches have no route."""


class Incompatible(Exception):
    """The installed genai-prices says something that this module does not understand."""


def read() -> dict[str, list[Row]]:
    """All models of our providers."""
    from genai_prices.data import providers

    known = {provider.id: provider for provider in providers}
    return {name: [_row(model) for model in known[name].models] for name in PROVIDERS}


def nano_per_million(usd: Decimal, factor: Decimal | int) -> int:
    """Nano-dollars per 1,000,000 units, rounded up in the ninth decimal if it has more."""
    return int((usd * factor * 10**9).to_integral_value(ROUND_CEILING))


def _row(model: Any) -> Row:
    names, prefixes = dict.fromkeys([model.id.lower()]), dict[str, None]()
    for kind, text in _clauses(model.match):
        (names if kind == "equals" else prefixes)[text.lower()] = None
    lines = _lines(model.prices)
    variants: dict[str, list[Line]] = {}
    for variant in model.price_variants or ():
        if len(variant.when) == 1 and (context := next(iter(variant.when))) in _CONTEXTS:
            word = variant.when[context]
            line = _line(variant.prices, variant.constraint)
            if line.rates:
                variants.setdefault(word, []).append(line)
    return Row(
        names=list(names),
        prefixes=list(prefixes),
        lines=[line for line in lines if line.rates],
        variants=variants,
        context=model.context_window or 0,
        free=not any(line.rates for line in lines),
    )


def _clauses(clause: Any) -> Iterator[tuple[str, str]]:
    """The literal names of a match. Regular expressions there only add dates, which `rest_allowed` knows."""
    for attribute in ("equals", "starts_with", "contains", "ends_with"):
        if (text := getattr(clause, attribute, None)) is not None:
            yield ("equals" if attribute in ("equals", "ends_with") else "prefix"), text
            if attribute == "contains":
                yield "equals", text
    for inner in (*getattr(clause, "or_", ()), *getattr(clause, "and_", ())):
        yield from _clauses(inner)


def _lines(prices: Any) -> list[Line]:
    if isinstance(prices, list):
        return [_line(price.prices, price.constraint) for price in prices]
    return [_line(prices, None)]


def _line(prices: Any, constraint: Any) -> Line:
    rates: NanoRates = {}
    tiers: dict[int, NanoRates] = {}
    for key, value in vars(prices).items():
        if value is None or key in _UNUSED or key.startswith("_"):
            continue
        if key not in _UNITS:
            raise Incompatible(f"genai-prices has a price {key!r}, which has no unit here")
        unit, factor = _UNITS[key]
        if isinstance(value, Decimal):
            rates[unit] = nano_per_million(value, factor)
        else:
            rates[unit] = nano_per_million(value.base, factor)
            for tier in value.tiers:
                tiers.setdefault(tier.start, {})[unit] = nano_per_million(tier.price, factor)
    since, window = _when(constraint)
    return Line(rates=rates, tiers=sorted(tiers.items()), since=since, window=window)


def _when(constraint: Any) -> tuple[int, Window | None]:
    if constraint is None:
        return 0, None
    if hasattr(constraint, "start_date"):
        return calendar.timegm(constraint.start_date.timetuple()), None
    if hasattr(constraint, "start_time"):
        start, end = constraint.start_time, constraint.end_time
        return 0, Window(start.hour * 60 + start.minute, end.hour * 60 + end.minute)
    raise Incompatible(f"genai-prices has a condition {type(constraint).__name__}, which is unknown here")
