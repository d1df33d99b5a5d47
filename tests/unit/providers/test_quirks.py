"""What differs from model to model: the reader, its errors, and the facts that ship with the program."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from proxyapi.dialects.quirks import Quirks
from proxyapi.errors import SettingsError
from proxyapi.providers.provider import NAMES, Provider, ProviderConfig, load_providers
from proxyapi.providers.quirks import Nature, read_rules

SPOKEN = ("openai_chat", "anthropic")


@pytest.fixture(scope="module")
def providers() -> dict[str, Provider]:
    return load_providers({})


def nature(quirks: object, models: object = (), model: str = "m-1") -> Nature:
    return read_rules(quirks, models, place="providers.acme", dialects=SPOKEN).nature("acme", model)


def test_later_rows_win_field_by_field() -> None:
    models = [
        {"match": "m-*", "no_stop": True, "no_seed": True},
        {"match": ["x", "m-1*"], "no_stop": False, "family": "m", "chat_dialect": "anthropic"},
        {"match": "n-*", "no_logprobs": True},
    ]
    found = nature({"no_strict": True, "no_seed": False}, models)
    assert found.quirks == Quirks(no_strict=True, no_seed=True)
    assert (found.origin, found.chat_dialect) == ("acme_m", "anthropic")


def test_names_match_whole_and_in_any_case() -> None:
    rows = [{"match": "M-1", "no_stop": True}]
    assert nature({}, rows, "m-1").quirks.no_stop
    assert nature({}, rows, "M-1").quirks.no_stop
    assert not nature({}, rows, "m-1-mini").quirks.no_stop


def test_numbers_of_a_settings_file_are_taken() -> None:
    assert nature({"temperature_max": Decimal("1.5")}).quirks.temperature_max == 1.5


@pytest.mark.parametrize(
    ("quirks", "models", "words"),
    [
        ({"max_token_field": "max_tokens"}, (), "[providers.acme.quirks] max_token_field is not a quirk; did you mean"),
        ({"no_stop": "yes"}, (), "[providers.acme.quirks] Expected `bool`, got `str` - at `$.no_stop`"),
        ({"efforts": ["huge"]}, (), "Invalid enum value 'huge' - at `$.efforts[0]`"),
        ([], (), "[providers.acme.quirks] has to be a table"),
        ({}, [{"no_stop": True}], "[[providers.acme.models]] number 1 Object missing required field `match`"),
        ({}, [{"match": "a"}, {"match": "b", "nothing": 1}], "number 2 nothing is not a quirk; known are: match"),
        ({}, [{"match": "a", "chat_dialect": "klingon"}], "Invalid enum value 'klingon' - at `$.chat_dialect`"),
        (
            {},
            [{"match": "a"}, {"match": "b", "chat_dialect": "openai_responses"}],
            "[[providers.acme.models]] number 2 chat_dialect: it has no address for openai_responses, "
            "only for openai_chat, anthropic",
        ),
        ({}, ["a"], "[[providers.acme.models]] number 1 has to be a table"),
        ({}, {"match": "a"}, "[[providers.acme.models]] has to be a list of tables"),
    ],
)
def test_a_mistake_is_named_with_its_place(quirks: object, models: object, words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        read_rules(quirks, models, place="providers.acme", dialects=SPOKEN)


def test_a_provider_of_the_operators_own_is_spoken_to_in_chat_completions_only() -> None:
    config = ProviderConfig(base_url="http://127.0.0.1:1", models=[{"match": "*", "chat_dialect": "gemini"}])
    with pytest.raises(SettingsError, match=r"\[\[providers\.acme\.models\]\] number 1 chat_dialect: .* gemini"):
        load_providers({"acme": config})


def test_an_operators_quirks_win_over_those_of_a_providers_models() -> None:
    config = ProviderConfig(
        base_url="http://127.0.0.1:1", quirks={"no_sampling": False}, models=[{"match": "gpt-5*", "no_seed": True}]
    )
    rules = load_providers({"openai": config})["openai"].rules
    found = rules.nature("openai", "gpt-5").quirks
    assert (found.no_sampling, found.no_seed) == (False, True)
    assert found.system_role == "developer", "what he doesn't say stays"


def test_snapshots_and_variants_of_a_model_read_each_others_reasoning(providers: dict[str, Provider]) -> None:
    def origin(provider: str, model: str) -> str:
        return providers[provider].rules.nature(provider, model).origin

    assert origin("openai", "gpt-5") == origin("openai", "gpt-5-2025-08-07") == "openai_gpt-5"
    assert origin("google", "gemini-2.5-flash-preview-05-20") == origin("google", "gemini-2.5-flash")
    assert origin("openrouter", "deepseek/deepseek-r1:free") == origin("openrouter", "deepseek/deepseek-r1")
    assert origin("anthropic", "claude-opus-4-5") != origin("anthropic", "claude-opus-4-6")
    assert origin("openai", "gpt-5") != origin("openrouter", "openai/gpt-5")
    assert re.fullmatch("[a-z0-9_-]+", origin("openrouter", "anthropic/claude-3.7-sonnet:thinking"))


FACTS: list[tuple[str, str, dict[str, object]]] = [
    ("openai", "gpt-4o", {"thinking_form": "none", "no_sampling": False, "system_role": "system"}),
    ("openai", "gpt-4-turbo", {"no_json_schema": True, "no_custom_tools": True, "cache_mark_field": ""}),
    ("openai", "o3-mini", {"efforts": ("low", "medium", "high"), "no_stop": False, "system_role": "developer"}),
    ("openai", "o4-mini", {"no_stop": True}),
    ("openai", "o1-mini", {"system_role": "user", "no_stop": True}),
    ("openai", "gpt-5-mini", {"efforts": ("minimal", "low", "medium", "high"), "thinking_can_be_off": False}),
    ("openai", "gpt-5.1", {"efforts": ("none", "low", "medium", "high"), "thinking_can_be_off": True}),
    ("openai", "gpt-5.4-nano", {"efforts": ("none", "low", "medium", "high", "xhigh"), "chat_tools_no_effort": False}),
    ("openai", "gpt-5.6-sol", {"efforts": ("none", "low", "medium", "high", "xhigh", "max")}),
    ("openai", "gpt-6-luna", {"chat_tools_no_effort": True, "cache_mark_field": "prompt_cache_breakpoint"}),
    ("openai", "gpt-5-search-api", {"cache_mark_field": "", "no_custom_tools": True}),
    ("openai", "gpt-4o-search-preview", {"web_search": True}),
    ("anthropic", "claude-3-5-haiku-20241022", {"thinking_form": "none", "no_output_format": True}),
    ("anthropic", "claude-3-7-sonnet-20250219", {"thinking_form": "budget", "no_strict": True}),
    ("anthropic", "claude-sonnet-4-20250514", {"no_temperature_with_top_p": False, "no_output_format": True}),
    ("anthropic", "claude-haiku-4-5-20251001", {"thinking_form": "budget", "no_temperature_with_top_p": True}),
    ("anthropic", "claude-sonnet-4-6", {"thinking_form": "adaptive", "budget_too": True, "no_sampling": False}),
    ("anthropic", "claude-opus-4-6", {"efforts": ("low", "medium", "high", "max")}),
    ("anthropic", "claude-opus-4-7", {"no_sampling": True, "budget_too": False, "mid_system": False}),
    ("anthropic", "claude-opus-4-8", {"mid_system": True, "off_effort_max": "max"}),
    ("anthropic", "claude-opus-5", {"off_effort_max": "high", "no_prefill": False, "no_forced_tool": False}),
    ("anthropic", "claude-opus-5-5", {"thinking_form": "adaptive_always", "no_prefill": True, "no_forced_tool": True}),
    ("anthropic", "claude-sonnet-5-5", {"thinking_form": "between_tools", "no_forced_tool": True}),
    ("anthropic", "claude-haiku-5-5", {"thinking_form": "adaptive", "no_prefill": True, "no_forced_tool": False}),
    ("anthropic", "claude-fable-5-1", {"thinking_form": "adaptive_always", "no_prefill": False}),
    ("google", "gemini-2.0-flash", {"thinking_form": "none", "openapi_schema": True, "no_mixed_tools": True}),
    ("google", "gemini-2.5-pro", {"thinking_budget_min": 128, "thinking_budget_max": 32_768, "openapi_schema": False}),
    ("google", "gemini-2.5-flash", {"thinking_budget_min": 0, "thinking_budget_max": 24_576, "call_ids": False}),
    ("google", "gemini-2.5-flash-lite", {"thinking_budget_min": 512, "thinking_can_be_off": True}),
    ("google", "gemini-3-pro-preview", {"efforts": ("low", "high"), "signature_required": True, "call_ids": True}),
    ("google", "gemini-3.1-pro-preview", {"efforts": ("low", "medium", "high")}),
    ("google", "gemini-3.5-flash", {"thinking_form": "level", "no_mixed_tools": False}),
    ("google", "gemini-2.5-flash-image", {"thinking_form": "none"}),
    (
        "deepseek",
        "deepseek-v4-pro",
        {"max_tokens_field": "max_tokens", "echo_reasoning": True, "thinking_switch": True},
    ),
    ("openrouter", "qwen/qwen3-32b", {"reasoning_field": "reasoning", "cache_mark_field": "cache_control"}),
]


@pytest.mark.parametrize(("provider", "model", "expected"), FACTS, ids=[f"{p}/{m}" for p, m, _ in FACTS])
def test_the_facts_of_a_model(
    providers: dict[str, Provider], provider: str, model: str, expected: dict[str, object]
) -> None:
    quirks = providers[provider].rules.nature(provider, model).quirks
    assert {name: getattr(quirks, name) for name in expected} == expected


@pytest.mark.parametrize("name", NAMES)
def test_what_ships_for_a_provider_can_be_read(name: str) -> None:
    assert load_providers({name: ProviderConfig(key="k")})[name].rules.nature(name, "a-model-of-tomorrow").origin


def test_reasoning_models_are_spoken_to_where_reasoning_is_kept(providers: dict[str, Provider]) -> None:
    rules = providers["openai"].rules
    assert rules.nature("openai", "gpt-5").chat_dialect == "openai_responses"
    assert rules.nature("openai", "gpt-4o").chat_dialect is None
    assert rules.nature("openai", "gpt-5-search-api").chat_dialect == "openai_chat"
    for model in ("gpt-5-pro", "gpt-5.2-pro-2025-12-11", "gpt-5.1-codex-mini", "o3-deep-research", "codex-mini-latest"):
        assert rules.nature("openai", model).lacks == {"openai_chat"}, model
    assert rules.nature("openai", "gpt-audio-mini").lacks == {"openai_responses"}
