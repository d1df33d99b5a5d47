"""A model with others behind it: who they are, in which order, and who is passed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from proxyapi.dialects.call import Call
from proxyapi.errors import SettingsError, UnknownModel
from proxyapi.pricing.book import PriceBook
from proxyapi.pricing.snapshot import load_snapshot
from proxyapi.providers.catalog import Catalog
from proxyapi.providers.provider import NAMES, ProviderConfig, load_providers
from proxyapi.usage import Unit

SANDBOX = {"sandbox": ProviderConfig(base_url="http://127.0.0.1:9")}
KEYS = {name: ProviderConfig(key="k") for name in NAMES}
OWN = {"acme": ProviderConfig(base_url="http://127.0.0.1:9")}
FALLBACKS = {
    "openai/gpt-4o": ("openrouter/openai/gpt-4o", "anthropic/claude-sonnet-4-5"),
    "gemini/gemini-2.5-flash": ("openai/gpt-4o-mini",),
    "mistralai/mistral-medium-3.1": ("openai/gpt-4o-mini",),
    "sandbox/fail-503": ("sandbox/echo",),
}


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook(load_snapshot())


def catalog(
    book: PriceBook,
    configs: Mapping[str, ProviderConfig] = KEYS | SANDBOX | OWN,
    fallbacks: Mapping[str, Sequence[str]] = FALLBACKS,
) -> Catalog:
    return Catalog(
        load_providers(configs),
        book,
        clock=lambda: 1_795_000_000.0,
        aliases={"fast": "openai/gpt-4o"},
        fallbacks=fallbacks,
    )


def order(catalog: Catalog, model: str, dialect: str = "openai_chat", provider: str | None = None) -> list[str]:
    target = catalog.resolve("chat", dialect, model, provider)
    return [target.name, *(other.name for other in target.fallbacks)]


@pytest.mark.parametrize("name", ["openai/gpt-4o", "gpt-4o", "fast", "openai/GPT-4o"])
def test_fallbacks_come_in_order_whatever_a_model_is_called(book: PriceBook, name: str) -> None:
    assert order(catalog(book), name) == [
        "openai/gpt-4o", "openrouter/openai/gpt-4o", "anthropic/claude-sonnet-4-5",
    ]  # fmt: skip


def test_each_is_spoken_to_in_its_own_dialect_at_its_own_price(book: PriceBook) -> None:
    target = catalog(book).resolve("chat", "openai_chat", "openai/gpt-4o", None)
    assert [(one.provider.name, one.dialect) for one in (target, *target.fallbacks)] == [
        ("openai", "openai_chat"), ("openrouter", "openai_chat"), ("anthropic", "anthropic"),
    ]  # fmt: skip
    assert len({one.price.id for one in (target, *target.fallbacks)}) == 3
    assert all(other.fallbacks == () for other in target.fallbacks)


def test_names_that_are_spelled_in_another_way_in_the_settings_are_the_same_models(book: PriceBook) -> None:
    assert order(catalog(book), "google/gemini-2.5-flash")[1:] == ["openai/gpt-4o-mini"]
    assert order(catalog(book), "openrouter/mistralai/mistral-medium-3.1")[1:] == ["openai/gpt-4o-mini"]


def test_a_native_route_and_a_model_without_any_have_none(book: PriceBook) -> None:
    assert order(catalog(book), "gpt-4o", provider="openai") == ["openai/gpt-4o"]
    assert order(catalog(book), "openai/gpt-4o-mini") == ["openai/gpt-4o-mini"]


def test_a_model_that_cannot_do_what_is_asked_is_passed_over(book: PriceBook) -> None:
    speech = catalog(book, fallbacks={"openai/tts-1": ("openai/gpt-4o", "openai/tts-1-hd")})
    target = speech.resolve("speech", "openai_speech", "openai/tts-1", None)
    assert [other.name for other in target.fallbacks] == ["openai/tts-1-hd"]
    with pytest.raises(UnknownModel):
        catalog(book).resolve("speech", "openai_speech", "openai/gpt-4o", None)


def test_a_provider_that_is_switched_off_is_passed_over_and_comes_back(book: PriceBook) -> None:
    switched = catalog(book)
    switched.switch({"openai": False})
    assert order(switched, "openai/gpt-4o") == ["openrouter/openai/gpt-4o", "anthropic/claude-sonnet-4-5"]
    switched.switch({"openai": False, "openrouter": False, "anthropic": False})
    with pytest.raises(UnknownModel):
        order(switched, "openai/gpt-4o")
    switched.switch({})
    assert order(switched, "openai/gpt-4o")[0] == "openai/gpt-4o"


def test_the_sandbox_never_answers_where_a_real_provider_could(book: PriceBook) -> None:
    keys = {"openrouter": ProviderConfig(key="k")}
    assert order(catalog(book, keys | SANDBOX), "openai/gpt-4o") == ["openrouter/openai/gpt-4o"]
    assert order(catalog(book, {"openai": ProviderConfig(key="k")} | SANDBOX), "openai/gpt-4o") == ["openai/gpt-4o"]
    assert order(catalog(book, keys), "openai/gpt-4o") == ["openrouter/openai/gpt-4o"]
    nobody = catalog(book, SANDBOX).resolve("chat", "openai_chat", "openai/gpt-4o", None)
    assert [one.provider.name for one in (nobody, *nobody.fallbacks)] == ["sandbox"] * 3


def test_the_sandboxs_own_models_can_have_fallbacks_to_try_them_with(book: PriceBook) -> None:
    assert order(catalog(book, SANDBOX), "sandbox/fail-503") == ["sandbox/fail-503", "sandbox/echo"]


def test_effort_and_functions_go_to_responses_for_those_that_take_them_nowhere_else(book: PriceBook) -> None:
    call = Call(operation="chat", dialect="openai_chat", model="anthropic/claude-sonnet-4-5", effort_and_tools=True)
    target = catalog(book, fallbacks={call.model: ("openai/gpt-5.6",)}).choose(call, None)
    assert [one.dialect for one in (target, *target.fallbacks)] == ["anthropic", "openai_responses"]


def test_the_list_of_models_names_them_on_the_unified_api_only(book: PriceBook) -> None:
    listed = {listing.name: listing.fallbacks for listing in catalog(book).models()}
    assert listed["openai/gpt-4o"] == FALLBACKS["openai/gpt-4o"]
    assert listed["openai/gpt-4o-mini"] == ()
    assert all(listing.fallbacks == () for listing in catalog(book).models("openai"))


@pytest.mark.parametrize("wrong", ["openai/gpt-4p", "nobody/gpt-4o", "openrouter/openai/gpt-4p"])
def test_a_name_that_nobody_sells_is_an_error_that_names_it(book: PriceBook, wrong: str) -> None:
    for fallbacks in ({wrong: ("openai/gpt-4o",)}, {"openai/gpt-4o": ("openai/gpt-4o-mini", wrong)}):
        with pytest.raises(SettingsError, match=rf"\[fallbacks\] '{wrong}' is not on sale"):
            catalog(book, fallbacks=fallbacks).check_fallbacks()


def test_a_model_of_an_own_provider_may_get_its_price_later(book: PriceBook) -> None:
    later = catalog(book, fallbacks={"openai/gpt-4o": ("acme/m",)})
    later.check_fallbacks()
    assert order(later, "openai/gpt-4o") == ["openai/gpt-4o"]
    later.set_overrides({"acme/m": {Unit.INPUT: 1, Unit.OUTPUT: 1}})
    assert order(later, "openai/gpt-4o") == ["openai/gpt-4o", "acme/m"]


def test_every_name_in_use_is_on_sale(book: PriceBook) -> None:
    catalog(book).check_fallbacks()
