"""Names of models to targets: nothing is guessed, everything on sale has a price."""

from __future__ import annotations

import re
import time

import pytest

from proxyapi.dialects.call import Call, ServerTool
from proxyapi.dialects.model import ModelUsage
from proxyapi.errors import UnknownModel
from proxyapi.money import parse_amount
from proxyapi.pricing.book import PriceBook
from proxyapi.pricing.charge import charge
from proxyapi.pricing.snapshot import load_snapshot
from proxyapi.providers.catalog import RESOLVED_MAX, Catalog
from proxyapi.providers.provider import NAMES, ProviderConfig, load_providers
from proxyapi.usage import Unit

NOW = 1_795_000_000.0
SANDBOX = {"sandbox": ProviderConfig(base_url="http://127.0.0.1:9")}
KEYS = {name: ProviderConfig(key="k") for name in NAMES}


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook(load_snapshot())


@pytest.fixture
def catalog(book: PriceBook) -> Catalog:
    """Every provider has a key, and there is a sandbox."""
    return Catalog(load_providers(KEYS | SANDBOX), book, clock=lambda: NOW)


@pytest.fixture
def keyless(book: PriceBook) -> Catalog:
    return Catalog(load_providers(SANDBOX), book, clock=lambda: NOW)


@pytest.mark.parametrize(
    ("operation", "dialect", "name", "provider", "native"),
    [
        ("chat", "openai_chat", "gpt-4o", "openai", "gpt-4o"),
        ("chat", "openai_chat", "openai/gpt-4o", "openai", "gpt-4o"),
        ("responses", "openai_responses", "gpt-5", "openai", "gpt-5"),
        ("messages", "anthropic", "claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
        ("generate", "gemini", "gemini-2.5-flash", "google", "gemini-2.5-flash"),
        ("generate", "gemini", "models/gemini-2.5-flash", "google", "gemini-2.5-flash"),
        ("chat", "openai_chat", "gemini/gemini-2.5-flash", "google", "gemini-2.5-flash"),
        ("chat", "openai_chat", "google/gemini-2.5-flash", "google", "gemini-2.5-flash"),
        ("chat", "openai_chat", "deepseek/deepseek-chat", "deepseek", "deepseek-chat"),
        ("chat", "openai_chat", "mistralai/mistral-medium-3.1", "openrouter", "mistralai/mistral-medium-3.1"),
        ("chat", "openai_chat", "meta-llama/llama-3.2-3b-instruct", "openrouter", "meta-llama/llama-3.2-3b-instruct"),
        ("chat", "openai_chat", "openrouter/openai/gpt-4o", "openrouter", "openai/gpt-4o"),
        ("embeddings", "openai_embeddings", "text-embedding-3-small", "openai", "text-embedding-3-small"),
    ],
)
def test_unified_names(catalog: Catalog, operation: str, dialect: str, name: str, provider: str, native: str) -> None:
    target = catalog.resolve(operation, dialect, name, None)
    assert (target.provider.name, target.model) == (provider, native)


def test_a_native_route_fixes_the_provider(catalog: Catalog) -> None:
    assert catalog.resolve("chat", "openai_chat", "openai/gpt-4o", "openrouter").name == "openrouter/openai/gpt-4o"
    with pytest.raises(UnknownModel):
        catalog.resolve("chat", "openai_chat", "openai/gpt-4o", "openai")
    with pytest.raises(UnknownModel):
        catalog.resolve("messages", "anthropic", "gpt-4o", "anthropic")


def test_a_name_without_a_vendor_is_never_guessed(catalog: Catalog) -> None:
    for dialect, name in (("openai_chat", "claude-sonnet-4-5"), ("anthropic", "gpt-4o"), ("gemini", "gpt-4o")):
        with pytest.raises(UnknownModel):
            catalog.resolve("chat", dialect, name, None)


def test_the_clients_dialect_is_spoken_wherever_it_is_served(catalog: Catalog) -> None:
    assert catalog.resolve("messages", "anthropic", "mistralai/mistral-medium-3.1", None).dialect == "anthropic"
    assert catalog.resolve("chat", "openai_chat", "anthropic/claude-sonnet-4-5", None).dialect == "anthropic"
    assert catalog.resolve("messages", "anthropic", "google/gemini-2.5-flash", None).dialect == "gemini"


def test_what_no_provider_has_is_refused_in_words(catalog: Catalog) -> None:
    for operation, dialect, name, why in (
        ("chat", "openai_chat", "whisper-1", "openai/whisper-1 (it does not serve chat)"),
        ("completions", "openai_completions", "anthropic/claude-sonnet-4-5", "Anthropic has no completions"),
        ("speech", "openai_speech", "google/gemini-2.5-flash-preview-tts", "Google has no speech"),
        ("generate", "gemini", "openai/tts-1", "it holds no conversation"),
        ("messages", "anthropic", "google/gemini-2.5-flash-image", "it holds no conversation"),
        ("responses", "openai_responses", "google/gemini-2.5-flash-preview-tts", "it holds no conversation"),
    ):
        with pytest.raises(UnknownModel, match=re.escape(why)):
            catalog.resolve(operation, dialect, name, None)


def test_models_that_draw_or_speak_by_generating_are_asked_in_dialects_that_can_show_it(catalog: Catalog) -> None:
    for operation, dialect, name in (
        ("chat", "openai_chat", "google/gemini-2.5-flash-image"),
        ("chat", "openai_chat", "google/gemini-2.5-flash-preview-tts"),
        ("responses", "openai_responses", "google/gemini-2.5-flash-image"),
    ):
        assert catalog.resolve(operation, dialect, name, None).dialect == "gemini"


@pytest.mark.parametrize(
    ("dialect", "name", "speaks"),
    [
        ("anthropic_count", "anthropic/claude-sonnet-4-5", "anthropic_count"),
        ("anthropic_count", "openai/gpt-4o", "openai_count"),
        ("anthropic_count", "google/gemini-2.5-flash", "gemini_count"),
        ("gemini_count", "anthropic/claude-sonnet-4-5", "anthropic_count"),
        ("openai_count", "google/gemini-2.5-flash", "gemini_count"),
        ("openai_count", "deepseek/deepseek-chat", ""),
    ],
)
def test_a_prompt_is_counted_where_its_provider_counts(catalog: Catalog, dialect: str, name: str, speaks: str) -> None:
    assert catalog.resolve("count_tokens", dialect, name, None).dialect == speaks


def test_vectors_are_asked_for_in_the_providers_dialect(catalog: Catalog) -> None:
    google = catalog.resolve("embeddings", "openai_embeddings", "google/gemini-embedding-001", None)
    openai = catalog.resolve("embeddings", "gemini_embed", "openai/text-embedding-3-small", None)
    assert (google.dialect, openai.dialect) == ("gemini_embed", "openai_embeddings")


def test_a_native_route_never_translates(catalog: Catalog) -> None:
    assert catalog.resolve("chat", "openai_chat", "gpt-5-pro", "openai").dialect == "openai_chat"
    assert catalog.resolve("chat", "openai_chat", "gpt-5-pro", None).dialect == "openai_responses"
    effort = Call(operation="chat", dialect="openai_chat", model="gpt-5.6-sol", effort_and_tools=True)
    assert catalog.choose(effort, "openai").dialect == "openai_chat"


def test_effort_and_tools_together_go_to_responses_where_chat_refuses_them(catalog: Catalog) -> None:
    def speaks(model: str, effort_and_tools: bool) -> str:
        call = Call(operation="chat", dialect="openai_chat", model=model, effort_and_tools=effort_and_tools)
        return catalog.choose(call, None).dialect

    assert speaks("openai/gpt-5.6-sol", True) == "openai_responses"
    assert speaks("openai/gpt-5.6-sol", False) == "openai_chat"
    assert speaks("openai/gpt-4o", True) == "openai_chat"


def test_an_unknown_model_says_where_it_is(catalog: Catalog) -> None:
    with pytest.raises(UnknownModel, match=r"openrouter/openai/gpt-oss-120b"):
        catalog.resolve("chat", "openai_chat", "openai/gpt-oss-120b", None)
    with pytest.raises(UnknownModel):
        catalog.resolve("chat", "openai_chat", "x" * 10_000, None)


def test_without_a_key_the_sandbox_answers_at_the_models_price(catalog: Catalog, keyless: Catalog) -> None:
    real = catalog.resolve("chat", "openai_chat", "gpt-4o", "openai")
    stand_in = keyless.resolve("chat", "openai_chat", "gpt-4o", "openai")
    assert stand_in.provider.name == "sandbox"
    assert stand_in.price == real.price
    assert stand_in.provider.path("openai_chat", "chat") == "/openai/v1/chat/completions"
    claude = keyless.resolve("chat", "openai_chat", "anthropic/claude-sonnet-4-5", None)
    assert (claude.dialect, claude.provider.stands_for) == ("anthropic", "anthropic")
    assert claude.origin != catalog.resolve("chat", "openai_chat", "anthropic/claude-sonnet-4-5", None).origin


def test_without_key_and_sandbox_nothing_is_on_sale(book: PriceBook) -> None:
    bare = Catalog(load_providers({}), book, clock=lambda: NOW)
    with pytest.raises(UnknownModel, match="not connected OpenAI"):
        bare.resolve("chat", "openai_chat", "gpt-4o", None)
    assert bare.models() == []


def test_a_provider_that_is_switched_off_sells_nothing(book: PriceBook) -> None:
    configs = SANDBOX | {"openai": ProviderConfig(key="k", enabled=False)}
    catalog = Catalog(load_providers(configs), book, clock=lambda: NOW)
    with pytest.raises(UnknownModel):
        catalog.resolve("chat", "openai_chat", "gpt-4o", None)


def test_magic_models_on_native_and_unified_routes(catalog: Catalog) -> None:
    native = catalog.resolve("messages", "anthropic", "slow-100", "anthropic")
    assert (native.name, native.provider.stands_for) == ("sandbox/slow-100", "anthropic")
    assert catalog.resolve("chat", "openai_chat", "sandbox/echo", None).price.rates[Unit.INPUT] == 10**12
    foreign = catalog.resolve("chat", "openai_chat", "sandbox/google/tool", None)
    assert (foreign.dialect, foreign.provider.stands_for, foreign.model) == ("gemini", "google", "tool")
    for wrong in ("sandbox/nothing", "sandbox/fail-1", "echo", "sandbox/nobody/echo", "sandbox/sandbox/echo"):
        with pytest.raises(UnknownModel):
            catalog.resolve("chat", "openai_chat", wrong, None)


def test_the_operators_aliases(book: PriceBook) -> None:
    aliases = {"best": "anthropic/claude-sonnet-4-5", "loop": "loop2", "loop2": "loop"}
    catalog = Catalog(load_providers(KEYS | SANDBOX), book, clock=lambda: NOW, aliases=aliases)
    assert catalog.resolve("chat", "openai_chat", "best", None).name == "anthropic/claude-sonnet-4-5"
    with pytest.raises(UnknownModel):
        catalog.resolve("chat", "openai_chat", "loop", None)


def test_the_operators_prices_act_at_once(catalog: Catalog) -> None:
    before = catalog.resolve("chat", "openai_chat", "gpt-4o", None)
    catalog.set_overrides({"openai/gpt-4o": {Unit.INPUT: parse_amount("1"), Unit.OUTPUT: parse_amount("2")}})
    after = catalog.resolve("chat", "openai_chat", "gpt-4o", None)
    assert after.price.rates[Unit.INPUT] == parse_amount("1") != before.price.rates[Unit.INPUT]
    catalog.set_overrides({})
    assert catalog.resolve("chat", "openai_chat", "gpt-4o", None).price == before.price


def test_a_provider_of_the_operators_own_sells_what_he_priced(book: PriceBook) -> None:
    configs = SANDBOX | {"acme": ProviderConfig(base_url="http://llm.local/v1")}
    catalog = Catalog(load_providers(configs), book, clock=lambda: NOW)
    with pytest.raises(UnknownModel):
        catalog.resolve("chat", "openai_chat", "acme/Llama-3", None)
    catalog.set_overrides({"acme/Llama-3": {Unit.INPUT: 1, Unit.OUTPUT: 2}})
    target = catalog.resolve("chat", "openai_chat", "acme/Llama-3", None)
    assert (target.provider.name, target.model, target.name) == ("acme", "Llama-3", "acme/Llama-3")
    assert "acme/Llama-3" in {listing.name for listing in catalog.models()}


def test_a_price_is_asked_anew_when_its_time_is_over(book: PriceBook) -> None:
    now = [1_795_478_400.0 - 3 * 3_600]
    catalog = Catalog(load_providers(KEYS), book, clock=lambda: now[0])

    def rate() -> int:
        return catalog.resolve("chat", "openai_chat", "deepseek-chat", "deepseek").price.rates[Unit.INPUT]

    def peak() -> int:
        return catalog.resolve("chat", "openai_chat", "deepseek-v4-flash", "deepseek").price.rates[Unit.INPUT]

    constant, low = rate(), peak()
    now[0] += 3.5 * 3_600
    assert peak() == 2 * low
    assert rate() == constant


def test_the_list_of_models(catalog: Catalog) -> None:
    listings = {listing.name: listing for listing in catalog.models()}
    gpt = listings["openai/gpt-4o"]
    assert (gpt.native_name, gpt.vendor, gpt.context_tokens_max, gpt.output_tokens_max) == (
        "gpt-4o", "openai", 128_000, 16_384,
    )  # fmt: skip
    assert gpt.pricing["input_tokens"] == parse_amount("2.5")
    assert gpt.pricing["web_searches"] == parse_amount("10000")
    assert "audio_seconds" not in gpt.pricing
    assert listings["openai/whisper-1"].pricing == {"audio_seconds": parse_amount("100")}
    assert "mistralai/mistral-medium-3.1" in listings
    assert "openrouter/openai/gpt-4o" in listings
    assert listings["openai/omni-moderation-latest"].free
    assert [listing.name for listing in catalog.models()] == sorted(listings)


def test_retired_models_are_sold_but_not_listed(catalog: Catalog) -> None:
    assert catalog.resolve("responses", "openai_responses", "computer-use-preview", None)
    assert "openai/computer-use-preview" not in {listing.name for listing in catalog.models()}
    assert catalog.find("openai/computer-use-preview") is not None


def test_a_providers_own_list_has_its_own_names(catalog: Catalog) -> None:
    names = {listing.native_name for listing in catalog.models("openrouter")}
    assert "openai/gpt-4o" in names
    assert "gpt-4o" in {listing.native_name for listing in catalog.models("openai")}


def test_one_model_is_found_by_its_name(catalog: Catalog) -> None:
    found = catalog.find("mistralai/mistral-medium-3.1")
    assert found is not None
    assert found.name == "mistralai/mistral-medium-3.1"
    assert catalog.find("gemini-2.5-flash", "google") is not None
    assert catalog.find("no/such") is None


def test_every_listed_model_can_be_resolved(catalog: Catalog) -> None:
    for listing in catalog.models():
        assert catalog.find(listing.name) == listing


def test_names_that_nobody_sells_do_not_fill_the_memory(catalog: Catalog) -> None:
    for number in range(300):
        with pytest.raises(UnknownModel):
            catalog.resolve("chat", "openai_chat", f"nobody/{number}", None)
    assert len(catalog._resolved) == 0
    for number in range(RESOLVED_MAX + 50):
        catalog.resolve("chat", "openai_chat", f"sandbox/slow-{number}", None)
    assert len(catalog._resolved) <= RESOLVED_MAX


def test_a_known_name_is_looked_up_in_microseconds(catalog: Catalog) -> None:
    catalog.resolve("chat", "openai_chat", "gpt-4o", None)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(1_000):
            catalog.resolve("chat", "openai_chat", "gpt-4o", None)
        best = min(best, time.perf_counter() - started)
    assert best < 0.010, "ten times what it takes"


# --- other models inside one reply ------------------------------------------------------------------------------------

SPENT = {Unit.INPUT: 823, Unit.CACHE_READ: 10, Unit.OUTPUT: 1612}


def test_an_advisor_is_charged_at_its_own_price(catalog: Catalog) -> None:
    target = catalog.resolve("messages", "anthropic", "claude-haiku-4-5", "anthropic")
    opus = catalog.resolve("messages", "anthropic", "claude-opus-4-5", "anthropic").price
    others = [ModelUsage("claude-opus-4-5", SPENT), ModelUsage("claude-opus-4-5", SPENT)]
    charged = catalog.charge_others(target, others)
    assert (charged.amount, charged.rest) == (2 * charge(SPENT, opus), [])
    assert charge(SPENT, opus) > charge(SPENT, target.price)


def test_a_sandbox_in_place_of_a_provider_charges_advisors_alike(catalog: Catalog, keyless: Catalog) -> None:
    others = [ModelUsage("claude-opus-4-5", SPENT)]
    real, stood_for = (
        c.charge_others(c.resolve("messages", "anthropic", "claude-haiku-4-5", "anthropic"), others)
        for c in (catalog, keyless)
    )
    assert real == stood_for


@pytest.mark.parametrize("model", ["", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "nobody-knows-it", "x" * 300])
def test_the_same_model_and_unknown_ones_are_left_to_the_price_that_was_held(catalog: Catalog, model: str) -> None:
    target = catalog.resolve("messages", "anthropic", "claude-sonnet-4-5", "anthropic")
    assert catalog.charge_others(target, [ModelUsage(model, SPENT)]) == (0, [SPENT])


@pytest.mark.parametrize("usage", [{Unit.IMAGES: 1}, {Unit.INPUT: 5, Unit.OUTPUT_IMAGE: 272}])
def test_pictures_of_a_hosted_tool_stay_with_the_tool(catalog: Catalog, usage: dict[Unit, int]) -> None:
    target = catalog.resolve("responses", "openai_responses", "gpt-5", "openai")
    assert catalog.charge_others(target, [ModelUsage("gpt-image-1", usage)]) == (0, [usage])


def test_the_advisor_of_a_request_is_found_by_its_name(catalog: Catalog) -> None:
    target = catalog.resolve("messages", "anthropic", "claude-haiku-4-5", "anthropic")

    def advisor(model: str, kind: str = "advisor") -> object:
        tool = ServerTool(kind, options=(("model", model),))
        return catalog.advisor(target, Call(operation="messages", dialect="anthropic", model="m", server_tools=(tool,)))

    opus = catalog.resolve("messages", "anthropic", "claude-opus-4-5", "anthropic")
    assert advisor("claude-opus-4-5") == opus
    assert advisor("nobody") is None
    assert advisor("claude-opus-4-5", "other") is None
