"""The price book: what every model costs now, in the installation's currency.

Published prices (genai-prices), corrected by `data/prices.toml`, x exchange rate x (1 + markup), each rate rounded up
once; then the operator's own prices, which are in the currency already and win.

Prices with dates and hours: a `Price` is the maximum, unit by unit, of all lines that are valid within the next hour.
A request is held *and settled* with that one row, so nothing has to be decided at its end, and the journal can be
recomputed from the row. The cost of this choice: in the hour before a dearer time begins (DeepSeek's peak, the end of
an introductory rate) the dearer price already holds.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import msgspec

from proxyapi.money import parse_amount
from proxyapi.pricing.facts import Names
from proxyapi.pricing.price import OTHER_MODELS_RATE, Price, Table, Tier, join_words, make_price
from proxyapi.pricing.schedule import HORIZON_SECONDS, Moment, valid_within
from proxyapi.pricing.snapshot import Correction, Facts, Line, Row, Snapshot
from proxyapi.usage import Unit

__all__ = ["HORIZON_SECONDS", "Entry", "Offer", "PriceBook", "parse_override"]

Amounts = dict[Unit, int]
"""Per 1,000,000 units: nano-dollars while published, nanos of the currency once converted."""

REPORTED_COST_RATE = 1_000_000
"""A nano-dollar of the provider's bill is a nano-dollar."""

SANDBOX_RATE = 1_000_000_000_000
"""1 unit of the currency per 1,000: what the magic models of the sandbox cost, in and out."""

_FALLBACKS: dict[Unit, tuple[Unit, ...]] = {
    Unit.INPUT: (),
    Unit.OUTPUT: (Unit.OUTPUT_AUDIO, Unit.OUTPUT_IMAGE, Unit.INPUT),
    Unit.INPUT_AUDIO: (Unit.INPUT,),
    Unit.INPUT_IMAGE: (Unit.INPUT,),
    Unit.CACHE_READ: (Unit.INPUT,),
    Unit.CACHE_READ_AUDIO: (Unit.INPUT_AUDIO, Unit.CACHE_READ, Unit.INPUT),
    Unit.CACHE_WRITE_5M: (Unit.INPUT,),
    Unit.CACHE_WRITE_30M: (Unit.CACHE_WRITE_5M, Unit.INPUT),
    Unit.CACHE_WRITE_1H: (Unit.CACHE_WRITE_5M, Unit.INPUT),
    Unit.CACHE_WRITE_12H: (Unit.CACHE_WRITE_1H, Unit.CACHE_WRITE_5M, Unit.INPUT),
    Unit.REASONING: (Unit.OUTPUT,),
    Unit.OUTPUT_AUDIO: (Unit.OUTPUT,),
    Unit.OUTPUT_IMAGE: (Unit.OUTPUT,),
}
"""Where a unit without a published rate takes it from; units that are not here are free where nobody prices them."""

_NEEDED: dict[str, tuple[frozenset[Unit], ...]] = {
    "chat": (frozenset({Unit.INPUT, Unit.OUTPUT}),),
    "embedding": (frozenset({Unit.INPUT}),),
    "moderation": (frozenset({Unit.INPUT}),),
    "audio_speech": (
        frozenset({Unit.CHARACTERS}),
        frozenset({Unit.INPUT, Unit.OUTPUT_AUDIO}),
        frozenset({Unit.INPUT, Unit.OUTPUT}),
    ),
    "audio_transcription": (frozenset({Unit.AUDIO_SECONDS}), frozenset({Unit.INPUT_AUDIO, Unit.OUTPUT})),
    "image_generation": (frozenset({Unit.IMAGES}), frozenset({Unit.OUTPUT_IMAGE})),
    "request": (frozenset({Unit.REQUESTS}),),
}
"""By mode: a price with one of these sets is complete. Other modes (live sessions, video) are not offered."""

_FOLLOW_INPUT = frozenset(unit for unit in _FALLBACKS if unit.startswith("cache_"))

_DATE = r"-\d{4}-\d{2}-\d{2}|-\d{8}|-\d{4}|-00\d"
_DATED = re.compile(rf"^(.+?)(?:{_DATE})$")
_REST_ALLOWED = re.compile(rf"^(?:{_DATE}|-latest|-preview(?:-\d[\d-]*)?|-exp)?$")
"""What may follow a published prefix: anything else is another model (`-search-preview`, `-lite`, `-tts`)."""


class Entry(NamedTuple):
    """What is known of a name, before any moment or currency."""

    provider: str
    model: str
    row: Row | None
    corrections: tuple[Correction, ...]
    window: Facts | None
    free: bool
    mode: str


class Offer(NamedTuple):
    """A price, and until when it is the one."""

    price: Price
    expires: float
    """Unix seconds; infinite if no date or hour is ahead."""


class PriceBook:
    """Prices by provider and model name. Nothing here is cached: the catalog keeps what is in use."""

    def __init__(self, snapshot: Snapshot, *, exchange_rate: str | Decimal = "1", markup: str | Decimal = "0") -> None:
        self.snapshot = snapshot
        self._convert_by(exchange_rate, markup)
        self._exact: dict[str, dict[str, Row]] = {}
        self._prefixes: dict[str, list[tuple[str, Row]]] = {}
        for provider, rows in snapshot.published.items():
            self._exact[provider] = {name: row for row in reversed(rows) for name in row.names}
            prefixes = [(prefix, row) for row in rows for prefix in row.prefixes]
            self._prefixes[provider] = sorted(prefixes, key=lambda pair: -len(pair[0]))
        self.providers = frozenset(snapshot.published)
        """Whose prices are published; their model names are lower-case."""
        self._corrections: dict[str, list[tuple[Names, Correction]]] = {}
        for correction in snapshot.corrections:
            self._corrections.setdefault(correction.provider, []).append((Names(correction.match), correction))

    def _convert_by(self, exchange_rate: str | Decimal, markup: str | Decimal) -> None:
        self.exchange_rate = str(exchange_rate)
        self.markup = str(markup)
        self._cost_factor = Fraction(Decimal(exchange_rate))
        self._factor = self._cost_factor * (1 + Fraction(Decimal(markup)))

    def at(self, *, exchange_rate: str | Decimal, markup: str | Decimal) -> PriceBook:
        """The same published prices, converted otherwise."""
        other = copy.copy(self)
        other._convert_by(exchange_rate, markup)
        return other

    @property
    def marked_up(self) -> bool:
        """Customers pay other prices than the operator does."""
        return self._factor != self._cost_factor

    # --- names -------------------------------------------------------------------------------------------------------

    def entry(self, provider: str, model: str) -> Entry | None:
        """What is known of a model; None: nobody has priced it."""
        name = model.lower()
        plain = name.partition(":")[0] if provider == "openrouter" else name
        corrections = tuple(c for names, c in self._corrections.get(provider, ()) if plain in names)
        base = next((c.base for c in corrections if c.base), "")
        row = self._row(provider, name) or self._row(provider, plain) or (self._row(provider, base) if base else None)
        own = [c for c in corrections if not c.variant and c.match != ["*"] and (c.fees or c.lines or c.free)]
        if row is None and not own:
            return None
        window = self._window(provider, name) or self._window(provider, plain)
        mode = _mode(name, window, row)
        if mode != "chat":
            corrections = tuple(c for c in corrections if c.match != ["*"])
        free = any(c.free for c in corrections) or (provider == "openrouter" and name.endswith(":free"))
        return Entry(provider, model, row, corrections, window, free, mode)

    def unpublished(self, provider: str, model: str) -> Entry:
        """A model that only the operator has priced."""
        name = model.lower()
        corrections = tuple(c for _, c in self._corrections.get(provider, ()) if c.match == ["*"])
        mode = _mode(name, None, None)
        return Entry(provider, model, None, corrections if mode == "chat" else (), None, False, mode)

    def names(self, provider: str) -> Iterable[str]:
        """Every exact name, the published ones and ours. Not all of them have a complete price."""
        names = dict.fromkeys(name for row in self.snapshot.published.get(provider, ()) for name in row.names)
        names.update(dict.fromkeys(self.snapshot.windows.get(provider, ())))
        for _, correction in self._corrections.get(provider, ()):
            names.update(dict.fromkeys(name for name in correction.match if "*" not in name))
        return names

    def _row(self, provider: str, name: str) -> Row | None:
        exact = self._exact.get(provider, {})
        row = exact.get(name)
        if row is not None:
            return row
        if (dated := _DATED.match(name)) is not None and (row := exact.get(dated.group(1))) is not None:
            return row
        for prefix, candidate in self._prefixes.get(provider, ()):
            if name.startswith(prefix) and _REST_ALLOWED.match(name[len(prefix) :]):
                return candidate
        return None

    def _window(self, provider: str, name: str) -> Facts | None:
        windows = self.snapshot.windows.get(provider, {})
        if name in windows:
            return windows[name]
        for pattern in (_DATED, _UNDATED_TAIL):
            if (match := pattern.match(name)) is not None and match.group(1) in windows:
                return windows[match.group(1)]
        return None

    def price(self, provider: str, model: str, at: float) -> Price | None:
        """The price of a published model for a request of that moment; None: not on sale."""
        entry = self.entry(provider, model)
        offer = self.offer(entry, at) if entry is not None else None
        return offer.price if offer is not None else None

    # --- prices ------------------------------------------------------------------------------------------------------

    def offer(
        self, entry: Entry, at: float, override: Mapping[Unit, int] | None = None, *, cost_reported: bool = False
    ) -> Offer | None:
        """The price to hold and settle a request of this moment with; None: it is not complete."""
        return self._offer(entry, at, override, self._factor, cost_reported=cost_reported)

    def cost(self, entry: Entry, at: float, *, cost_reported: bool = False) -> Price | None:
        """What the provider asks of the operator: as published, in the currency, without markup and without the
        operator's own prices. None: nothing complete is published."""
        offer = self._offer(entry, at, None, self._cost_factor, cost_reported=cost_reported)
        return None if offer is None else offer.price

    def _offer(
        self, entry: Entry, at: float, override: Mapping[Unit, int] | None, factor: Fraction, *, cost_reported: bool
    ) -> Offer | None:
        raw, variants, expires = self._published(entry, at)
        if entry.free and not override:
            raw, variants = Moment(dict.fromkeys(_FALLBACKS, 0), ()), {}
        elif override is None and not any(needed <= raw.rates.keys() for needed in _NEEDED.get(entry.mode, ())):
            return None
        raw = _converted(raw, factor)
        variants = {word: _converted(table, factor) for word, table in variants.items()}
        if override:
            raw, variants = _overridden(raw, variants, override)
            if not any(needed <= raw.rates.keys() for needed in _NEEDED.get(entry.mode, ())):
                return None
        rates = _complete(raw.rates)
        rates[Unit.REPORTED_COST] = _convert(REPORTED_COST_RATE, factor) if cost_reported else 0
        rates[Unit.OTHER_MODELS] = OTHER_MODELS_RATE
        price = make_price(
            provider=entry.provider,
            model=entry.model,
            rates=rates,
            tiers=_tiers(raw.rates, raw.tiers),
            variants={word: _table(raw.rates, table) for word, table in sorted(variants.items())},
            source="operator" if override else f"genai-prices {self.snapshot.genai_prices}",
            exchange_rate=self.exchange_rate,
            markup=self.markup if factor is self._factor else "0",
        )
        return Offer(price, expires)

    def _published(self, entry: Entry, at: float) -> tuple[Moment, dict[str, Moment], float]:
        """Nano-dollars: the model's own rates, those of its variants, and until when all of them hold."""
        lines = next((c.lines for c in entry.corrections if c.lines), None)
        if lines is None:
            lines = entry.row.lines if entry.row is not None else []
        base, expires = valid_within(lines or [Line(rates={})], at)
        variants: dict[str, Moment] = {}
        for word, variant_lines in (entry.row.variants if entry.row is not None else {}).items():
            variants[word], ends = valid_within(variant_lines, at)
            expires = min(expires, ends)
        corrected: set[tuple[str, str]] = set()
        rates = dict(base.rates)
        tools: dict[str, Amounts] = {}
        for correction in entry.corrections:
            for fee in correction.fees:
                word = correction.variant or " ".join(fee.when.values())
                if (word, fee.unit) not in corrected:
                    corrected.add((word, fee.unit))
                    (tools.setdefault(word, {}) if word else rates)[Unit(fee.unit)] = fee.rate
        base = _multiplied(Moment(rates, base.tiers), entry.corrections)
        variants = {word: _multiplied(table, entry.corrections) for word, table in variants.items() if table.rates}
        variants.update({word: Moment(amounts, ()) for word, amounts in tools.items()})
        return base, variants, expires


_UNDATED_TAIL = re.compile(r"^(.+?)(?:-latest|-preview(?:-[\d-]+)?)$")


def sandbox_price(model: str) -> Price:
    """A magic model of the sandbox: whatever unit it produces, 1,000 of it cost 1 unit of the currency."""
    rates = {**dict.fromkeys(Unit, SANDBOX_RATE), Unit.OTHER_MODELS: OTHER_MODELS_RATE}
    return make_price(provider="sandbox", model=model, rates=rates, source="sandbox")


def sandbox_cost(model: str) -> Price:
    """It asks nothing of the operator."""
    return make_price(provider="sandbox", model=model, rates=dict.fromkeys(Unit, 0), source="sandbox")


def parse_override(body: str | bytes) -> Amounts:
    """An operator's price: a JSON object of decimals, in the currency, per 1,000,000 units. ValueError.

    `{"input_tokens": "100", "output_tokens": "500"}` is 100 and 500 per million tokens.
    """
    try:
        wire = msgspec.json.decode(body, type=dict[str, Decimal])
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a price: {error}") from None
    amounts: Amounts = {}
    for name, amount in wire.items():
        if name not in PRICED_UNITS:
            raise ValueError(f"{name!r} is not a unit that can be priced: {', '.join(PRICED_UNITS)}")
        amounts[Unit(name)] = parse_amount(str(amount))
        if amounts[Unit(name)] < 0:
            raise ValueError(f"the price of {name} is negative")
    return amounts


PRICED_UNITS = tuple(unit.value for unit in Unit if unit not in (Unit.REPORTED_COST, Unit.OTHER_MODELS))


def _mode(name: str, window: Facts | None, row: Row | None) -> str:
    if window is not None and window.mode not in ("chat", "responses"):
        return window.mode
    for words, mode in _MODE_WORDS:
        if any(word in name for word in words):
            return mode
    if row is not None and row.lines and all(set(line.rates) == {Unit.INPUT} for line in row.lines):
        return "embedding"
    return "chat"


_MODE_WORDS = (
    (("realtime", "-live", "native-audio", "veo-", "sora-", "gpt-live"), "live"),
    (("embedding", "embed-"), "embedding"),
    (("moderation",), "moderation"),
    (("tts", "kokoro"), "audio_speech"),
    (("whisper", "transcribe"), "audio_transcription"),
    (("dall-e", "imagen", "gpt-image", "chatgpt-image"), "image_generation"),
    (("lyria",), "request"),
)
"""Where `data/models.toml` is silent."""


def _convert(amount: int, factor: Fraction) -> int:
    """Rounded up."""
    return -(-amount * factor.numerator // factor.denominator)


def _converted(table: Moment, factor: Fraction) -> Moment:
    tiers = tuple((above, {u: _convert(n, factor) for u, n in rates.items()}) for above, rates in table.tiers)
    return Moment({unit: _convert(amount, factor) for unit, amount in table.rates.items()}, tiers)


def _multiplied(table: Moment, corrections: Iterable[Correction]) -> Moment:
    """With the rates that are given as per cent of the input rate."""
    percents = {Unit(u): percent for c in corrections for u, percent in c.times_input.items()}
    if not percents or Unit.INPUT not in table.rates:
        return table

    def extended(rates: Amounts) -> Amounts:
        if Unit.INPUT not in rates:
            return rates
        return {**rates, **{u: -(-rates[Unit.INPUT] * percent // 100) for u, percent in percents.items()}}

    return Moment(extended(table.rates), tuple((above, extended(rates)) for above, rates in table.tiers))


def _overridden(
    raw: Moment, variants: dict[str, Moment], override: Mapping[Unit, int]
) -> tuple[Moment, dict[str, Moment]]:
    """The operator's rates win everywhere: in tiers and variants too, and over the rates of caches."""
    gone = set(override)
    if Unit.INPUT in gone:
        gone |= _FOLLOW_INPUT
    if Unit.OUTPUT in gone:
        gone.add(Unit.REASONING)

    def without(rates: Amounts) -> Amounts:
        return {unit: rate for unit, rate in rates.items() if unit not in gone}

    def stripped(table: Moment) -> Moment:
        tiers = tuple((above, without(rates)) for above, rates in table.tiers)
        return Moment(without(table.rates), tuple(tier for tier in tiers if tier[1]))

    base = stripped(raw)
    tables = {word: table for word, table in ((w, stripped(t)) for w, t in variants.items()) if table.rates}
    return Moment({**base.rates, **override}, base.tiers), tables


@lru_cache(maxsize=256)
def _sources(known: frozenset[Unit]) -> dict[Unit, Unit]:
    """For every unit with a rate, published or following: the published unit that it comes from."""
    sources = {unit: unit for unit in known}
    for unit, chain in _FALLBACKS.items():
        if unit not in known:
            source = next((other for other in chain if other in known), None)
            if source is not None:
                sources[unit] = source
    return sources


def _complete(rates: Amounts) -> Amounts:
    sources = _sources(frozenset(rates))
    return {unit: rates[sources[unit]] if unit in sources else 0 for unit in Unit}


def _following(base: Amounts, changed: Amounts) -> Amounts:
    """The changed rates, and those of the units that follow them."""
    rates = {**base, **changed}
    return {unit: rates[source] for unit, source in _sources(frozenset(rates)).items() if source in changed}


def _tiers(base: Amounts, tiers: Iterable[tuple[int, Amounts]]) -> tuple[Tier, ...]:
    return tuple(Tier(above, _following(base, rates)) for above, rates in tiers)


def _table(base: Amounts, table: Moment) -> Table:
    return Table(_following(base, table.rates), _tiers({**base, **table.rates}, table.tiers))


def variant_words(price: Price, *words: str) -> str:
    """A variant of those words that this price knows."""
    return join_words(*(word for word in words if word in price.variants))
