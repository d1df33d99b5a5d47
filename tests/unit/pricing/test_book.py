"""Published prices, our corrections, the operator's own, and prices with dates and hours."""

from __future__ import annotations

import calendar
from decimal import Decimal

import pytest

from proxyapi.money import parse_amount
from proxyapi.pricing.book import PriceBook, parse_override
from proxyapi.pricing.charge import charge
from proxyapi.pricing.compile import encode, sources_digest
from proxyapi.pricing.price import Price
from proxyapi.pricing.schedule import valid_within
from proxyapi.pricing.snapshot import SNAPSHOT, Line, Window, load_snapshot
from proxyapi.usage import Unit

HOUR, DAY = 3_600, 86_400


def at(year: int, month: int, day: int, hour: int = 12, minute: int = 0) -> float:
    return float(calendar.timegm((year, month, day, hour, minute, 0)))


NOW = at(2026, 11, 18, 12)
"""A Wednesday."""


def price(book: PriceBook, provider: str, model: str, moment: float = NOW) -> Price:
    found = book.price(provider, model, moment)
    assert found is not None, model
    return found


# --- the shipped snapshot ---------------------------------------------------------------------------------------------


def test_the_shipped_snapshot_is_what_compiling_gives() -> None:
    from proxyapi.pricing.compile import compile_snapshot

    assert SNAPSHOT.read_bytes() == encode(compile_snapshot()), "run python -m proxyapi.pricing.compile"
    assert load_snapshot().sources == sources_digest()


def test_another_installed_version_is_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxyapi.pricing.snapshot.version", lambda package: "99")
    monkeypatch.setattr("proxyapi.pricing.compile.version", lambda package: "99")
    assert load_snapshot().genai_prices == "99"


# --- conversion -------------------------------------------------------------------------------------------------------


def test_rates_are_dollars_in_nanos_per_million(book: PriceBook) -> None:
    rates = price(book, "openai", "gpt-4o").rates
    assert rates[Unit.INPUT] == parse_amount("2.5")
    assert rates[Unit.CACHE_READ] == parse_amount("1.25")
    assert rates[Unit.OUTPUT] == rates[Unit.REASONING] == parse_amount("10")


def test_rate_and_markup_are_in_the_row_and_round_up_once() -> None:
    rubles = PriceBook(load_snapshot(), exchange_rate=Decimal("92.3456789"), markup=Decimal("0.175"))
    row = price(rubles, "openai", "gpt-4o")
    assert (row.exchange_rate, row.markup) == ("92.3456789", "0.175")
    exact = Decimal("2.5") * Decimal("92.3456789") * Decimal("1.175") * 10**9
    assert row.rates[Unit.INPUT] == exact.to_integral_value(rounding="ROUND_CEILING")


def test_another_rate_is_another_version(book: PriceBook) -> None:
    other = PriceBook(load_snapshot(), exchange_rate="2")
    assert price(book, "openai", "gpt-4o").id != price(other, "openai", "gpt-4o").id
    assert price(book, "openai", "gpt-4o").id == price(book, "openai", "gpt-4o").id


def test_every_price_on_sale_knows_every_unit(book: PriceBook) -> None:
    for provider in ("openai", "anthropic", "google", "deepseek"):
        for name in book.names(provider):
            row = book.price(provider, name, NOW)
            if row is not None:
                assert set(row.rates) == set(Unit), name
                assert all(rate >= 0 for rate in row.rates.values())


def test_reported_costs_are_converted(book: PriceBook) -> None:
    entry = book.entry("openrouter", "mistralai/mistral-medium-3.1")
    assert entry is not None
    offer = book.offer(entry, NOW, cost_reported=True)
    assert offer is not None
    assert charge({Unit.REPORTED_COST: 145}, offer.price) == 145


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("openai", "gpt-4o-realtime"), ("openai", "gpt-4o-mini-whatever"), ("openai", "gpt-4.1-nano-wrong"),
        ("google", "gemini-3.8-flash-lite"), ("google", "veo-3.1-generate-001"), ("openai", "gpt-realtime"),
        ("google", "gemini-2.5-pro-experimental"), ("anthropic", "claude-sonet-4-5"), ("openai", "gpt-oss-120b"),
        ("google", "claude-sonnet-4-5"), ("openrouter", "no-such/model"), ("deepseek", "deepseek-v9"),
    ],
)  # fmt: skip
def test_a_name_is_not_on_sale_because_it_begins_like_another(book: PriceBook, provider: str, name: str) -> None:
    assert book.price(provider, name, NOW) is None


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("anthropic", "claude-sonnet-4-20250514"), ("anthropic", "claude-3-5-sonnet-latest"),
        ("anthropic", "claude-3-5-sonnet"), ("openai", "gpt-4-0613"), ("google", "gemini-2.0-flash-001"),
        ("google", "gemini-2.5-pro-preview-05-06"), ("openai", "GPT-4o"), ("openai", "gpt-5.6-sol-2026-07-01"),
        ("openai", "gpt-4o-mini-tts-2025-12-15"), ("openrouter", "anthropic/claude-3.7-sonnet:thinking"),
        ("openrouter", "minimax/minimax-m2:free"), ("openai", "computer-use-preview"), ("openai", "whisper-1"),
        ("google", "gemini-2.0-flash"), ("openrouter", "mistralai/mistral-medium-3.1"), ("google", "gemma-3-27b-it"),
    ],
)  # fmt: skip
def test_dates_and_previews_are_the_same_model(book: PriceBook, provider: str, name: str) -> None:
    assert book.price(provider, name, NOW) is not None


def test_a_search_preview_is_priced_by_its_own_entry(book: PriceBook) -> None:
    mini = price(book, "openai", "gpt-4o-mini-search-preview").rates
    assert (mini[Unit.INPUT], mini[Unit.WEB_SEARCH]) == (parse_amount("0.15"), parse_amount("25000"))


def test_sound_is_not_charged_as_text(book: PriceBook) -> None:
    rates = price(book, "openai", "gpt-4o-audio-preview").rates
    assert (rates[Unit.INPUT_AUDIO], rates[Unit.OUTPUT_AUDIO]) == (parse_amount("40"), parse_amount("80"))


def test_free_models_are_free_by_name(book: PriceBook) -> None:
    for provider, name in (("openai", "omni-moderation-latest"), ("google", "gemma-3-27b-it")):
        rates = price(book, provider, name).rates
        assert [unit for unit, rate in rates.items() if rate] == [Unit.OTHER_MODELS], "what others cost is not its own"


# --- dates and hours --------------------------------------------------------------------------------------------------


def test_an_introductory_price_ends_an_hour_early(book: PriceBook) -> None:
    """gemini-4-argon doubles on 2026-12-01: a request that may run into it is held and settled at the dearer price."""
    eve = at(2026, 11, 30, 22, 59)
    assert price(book, "google", "gemini-4-argon", eve).rates[Unit.INPUT] == parse_amount("2")
    assert price(book, "google", "gemini-4-argon", eve + 60).rates[Unit.INPUT] == parse_amount("4")
    assert price(book, "google", "gemini-4-argon", eve + DAY).rates[Unit.INPUT] == parse_amount("4")


@pytest.mark.parametrize(
    ("moment", "dollars"),
    [
        (at(2026, 11, 18, 12), "0.15"),
        (at(2026, 11, 18, 0, 0), "0.3"),
        (at(2026, 11, 18, 3, 59), "0.3"),
        (at(2026, 11, 18, 4, 0), "0.15"),
        (at(2026, 11, 18, 5, 0), "0.3"),
        (at(2026, 11, 18, 10, 0), "0.15"),
        (at(2026, 11, 21, 2, 0), "0.15"),
        (at(2026, 11, 22, 23, 59), "0.15"),
        (at(2026, 11, 23, 0, 0), "0.3"),
    ],
)
def test_deepseeks_peak_on_weekdays_and_the_hour_before(book: PriceBook, moment: float, dollars: str) -> None:
    assert price(book, "deepseek", "deepseek-v4-flash", moment).rates[Unit.INPUT] == parse_amount(dollars)


def test_a_price_says_how_long_it_holds() -> None:
    peak = Line(rates={"input_tokens": 2}, window=Window(60, 240))
    lines = [Line(rates={"input_tokens": 1}), peak]
    midnight = at(2026, 11, 18, 0)
    moment, expires = valid_within(lines, midnight - 2 * HOUR)
    assert (moment.rates[Unit.INPUT], expires) == (1, midnight - HOUR)
    moment, expires = valid_within(lines, midnight)
    assert (moment.rates[Unit.INPUT], expires) == (2, midnight + HOUR)
    moment, expires = valid_within(lines, midnight + 3.5 * HOUR)
    assert (moment.rates[Unit.INPUT], expires) == (2, midnight + 4 * HOUR)


def test_the_maximum_of_two_lines_is_taken_unit_by_unit_and_tier_by_tier() -> None:
    one = Line(rates={"input_tokens": 5, "output_tokens": 1}, tiers=[(100, {"input_tokens": 6})])
    two = Line(rates={"input_tokens": 2, "output_tokens": 3}, tiers=[(50, {"input_tokens": 9})], since=1_000)
    moment, _ = valid_within([one, two], 500)
    assert moment.rates == {Unit.INPUT: 5, Unit.OUTPUT: 3}
    assert [above for above, _ in moment.tiers] == [50, 100]
    assert moment.tiers[0][1][Unit.INPUT] == moment.tiers[1][1][Unit.INPUT] == 9


# --- the operator's own prices ----------------------------------------------------------------------------------------


def override(book: PriceBook, provider: str, model: str, **rates: str) -> Price:
    entry = book.entry(provider, model) or book.unpublished(provider, model)
    offer = book.offer(entry, NOW, {Unit[name]: parse_amount(text) for name, text in rates.items()})
    assert offer is not None
    return offer.price


def test_an_operators_price_is_not_multiplied() -> None:
    rubles = PriceBook(load_snapshot(), exchange_rate="100", markup="0.5")
    row = override(rubles, "openai", "gpt-4o", INPUT="7", OUTPUT="9")
    assert (row.rates[Unit.INPUT], row.rates[Unit.OUTPUT]) == (parse_amount("7"), parse_amount("9"))
    assert row.rates[Unit.WEB_SEARCH] == parse_amount("1500000"), "the rest stays published"
    assert row.source == "operator"


def test_an_operators_price_wins_in_caches_tiers_and_variants(book: PriceBook) -> None:
    row = override(book, "openai", "gpt-6-astra", INPUT="1", OUTPUT="2")
    long = {Unit.INPUT: 300_000, Unit.CACHE_READ: 300_000, Unit.OUTPUT: 10}
    assert charge(long, row) == 600_000 * 1_000 + 10 * 2_000
    assert charge(long, row, variant="") == charge(long, row)
    assert "flex" not in row.variants


def test_one_unit_may_be_set_alone(book: PriceBook) -> None:
    row = override(book, "openai", "gpt-4o", OUTPUT="20")
    assert (row.rates[Unit.INPUT], row.rates[Unit.OUTPUT]) == (parse_amount("2.5"), parse_amount("20"))
    assert row.rates[Unit.REASONING] == parse_amount("20")


def test_a_model_that_nobody_published_can_be_put_on_sale(book: PriceBook) -> None:
    row = override(book, "openai", "gpt-99", INPUT="1", OUTPUT="2")
    assert row.rates[Unit.OUTPUT] == parse_amount("2")


def test_half_a_price_is_none(book: PriceBook) -> None:
    assert book.offer(book.unpublished("openai", "gpt-99"), NOW, {Unit.INPUT: 1}) is None


def test_overrides_are_read_from_decimals() -> None:
    assert parse_override('{"input_tokens":"100","output_tokens":500.5}') == {
        Unit.INPUT: parse_amount("100"),
        Unit.OUTPUT: parse_amount("500.5"),
    }


@pytest.mark.parametrize("body", ["[]", "{", '{"input":"1"}', '{"input_tokens":"-1"}', '{"input_tokens":"1e-12"}'])
def test_a_wrong_override_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_override(body)
