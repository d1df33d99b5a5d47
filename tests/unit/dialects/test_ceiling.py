"""A lower ceiling in the body as it came: one field, in the words that its sender used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxyapi.dialects.call import WireName
from proxyapi.dialects.ceiling import lowered
from proxyapi.dialects.quirks import Quirks

OLD = Quirks(max_tokens_field="max_tokens")


def lower(dialect: WireName, body: Any, ceiling: int = 100, quirks: Quirks | None = None) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lowered(dialect, raw, quirks or Quirks(), ceiling)


@pytest.mark.parametrize(
    ("dialect", "body", "expected", "told"),
    [
        ("openai_chat", b'{"model":"m"}', b'{"max_completion_tokens":100,"model":"m"}', "max_completion_tokens=100"),
        ("openai_chat", b'{"max_tokens": 900 , "x":1}', b'{"max_tokens": 100 , "x":1}', "max_tokens=100"),
        ("openai_chat", b'{"max_tokens":null,"x":1}', None, "max_completion_tokens=100"),
        ("openai_completions", b'{"max_tokens":900}', b'{"max_tokens":100}', "max_tokens=100"),
        ("openai_responses", b'{"x":1}', b'{"max_output_tokens":100,"x":1}', "max_output_tokens=100"),
        ("anthropic", b'{"max_tokens":9e2,"x":{}}', b'{"max_tokens":100,"x":{}}', "max_tokens=100"),
        (
            "gemini", b'{"contents":[]}', b'{"generationConfig":{"maxOutputTokens":100},"contents":[]}',
            "generationConfig.maxOutputTokens=100",
        ),
        (
            "gemini", b'{"generationConfig":{}}', b'{"generationConfig":{"maxOutputTokens":100}}',
            "generationConfig.maxOutputTokens=100",
        ),
        (
            "gemini", b'{"generationConfig":null}', b'{"generationConfig":{"maxOutputTokens":100}}',
            "generationConfig.maxOutputTokens=100",
        ),
        (
            "gemini", b'{"generation_config":{"temperature":1}}',
            b'{"generation_config":{"max_output_tokens":100,"temperature":1}}',
            "generation_config.max_output_tokens=100",
        ),
        (
            "gemini", b'{"generationConfig":{"max_output_tokens":"900"}}',
            b'{"generationConfig":{"max_output_tokens":100}}', "generationConfig.max_output_tokens=100",
        ),
    ],
)  # fmt: skip
def test_the_field_that_the_client_used_is_lowered_or_the_usual_one_added(
    dialect: WireName, body: bytes, expected: bytes | None, told: str
) -> None:
    found = lower(dialect, body)
    assert expected is None or found.body == expected
    assert [f"{name}={value}" for name, value in found.told] == [told]


def test_a_model_of_the_old_word_gets_the_old_word() -> None:
    assert json.loads(lower("openai_chat", {"model": "m"}, quirks=OLD).body) == {"max_tokens": 100, "model": "m"}


def test_both_words_of_chat_are_lowered_and_none_is_raised() -> None:
    found = lower("openai_chat", {"max_completion_tokens": 500, "max_tokens": 40})
    assert json.loads(found.body) == {"max_completion_tokens": 100, "max_tokens": 40}


@pytest.mark.parametrize("dialect", ["openai_embeddings", "openai_speech", "openai_images", "anthropic_count"])
def test_what_has_no_ceiling_cannot_be_lowered(dialect: WireName) -> None:
    assert lower(dialect, {"max_tokens": 900}) is None


def test_a_budget_of_thinking_keeps_its_share_of_the_ceiling() -> None:
    body = {"max_tokens": 32_000, "thinking": {"type": "enabled", "budget_tokens": 16_000}}
    found = lower("anthropic", body, 4_000)
    assert json.loads(found.body) == {"max_tokens": 4_000, "thinking": {"type": "enabled", "budget_tokens": 2_000}}
    assert found.told == (("max_tokens", "4000"), ("thinking.budget_tokens", "2000"))


def test_a_budget_is_never_raised_and_never_below_what_the_provider_takes() -> None:
    body = {"max_tokens": 32_000, "thinking": {"type": "enabled", "budget_tokens": 1_024}}
    assert json.loads(lower("anthropic", body, 2_000).body)["thinking"]["budget_tokens"] == 1_024


def test_where_no_budget_fits_thinking_is_turned_off() -> None:
    body = {"max_tokens": 32_000, "thinking": {"type": "enabled", "budget_tokens": 16_000}}
    found = lower("anthropic", body, 1_030)
    assert json.loads(found.body) == {"max_tokens": 1_030, "thinking": {"type": "disabled"}}
    assert found.told == (("max_tokens", "1030"), ("thinking.type", "disabled"))


def test_a_model_that_always_thinks_cannot_be_lowered_below_its_least_budget() -> None:
    body = {"max_tokens": 32_000, "thinking": {"type": "enabled", "budget_tokens": 16_000}}
    assert lower("anthropic", body, 1_030, Quirks(thinking_can_be_off=False)) is None


def test_openrouters_budget_stays_below_the_ceiling() -> None:
    body = {"max_tokens": 32_000, "reasoning": {"max_tokens": 16_000}}
    assert json.loads(lower("openai_chat", body, 4_000).body) == {
        "max_tokens": 4_000,
        "reasoning": {"max_tokens": 2000},
    }
    assert lower("openai_chat", body, 1_030) is None


@pytest.mark.parametrize(
    "thinking", [None, True, "high", {"type": "adaptive"}, {"type": "enabled", "budget_tokens": "x"}]
)
def test_thinking_without_a_budget_is_left_alone(thinking: Any) -> None:
    found = lower("anthropic", {"max_tokens": 900, "thinking": thinking})
    assert json.loads(found.body) == {"max_tokens": 100, "thinking": thinking}
    assert lower("openai_chat", {"reasoning": thinking}) is not None
