"""Counting tokens: any dialect asks, any model answers, nobody pays."""

from __future__ import annotations

import json
from typing import Any

import pytest

TEXT = "The quick brown fox jumps over the lazy dog. " * 20

ASKED: dict[str, tuple[str, dict[str, Any], str]] = {
    "anthropic": ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": TEXT}]}, "input_tokens"),
    "openai": ("/v1/responses/input_tokens", {"input": TEXT}, "input_tokens"),
    "google": ("/v1beta/models/{model}:countTokens", {"contents": [{"parts": [{"text": TEXT}]}]}, "totalTokens"),
    "google, wrapped": (
        "/v1/models/{model}:countTokens",
        {"generateContentRequest": {"model": "m", "contents": [{"role": "user", "parts": [{"text": TEXT}]}]}},
        "totalTokens",
    ),
}
every_client = pytest.mark.parametrize("client", ASKED)


def count(gateway: Any, key: str, client: str, model: str) -> tuple[int, str]:
    """The number and who counted."""
    path, body, field = ASKED[client]
    named = body if "{model}" in path else body | {"model": model}
    status, headers, answer = gateway.request("POST", path.replace("{model}", model), key=key, body=named)
    assert status == 200, answer
    return json.loads(answer)[field], headers["x-proxyapi-count"]


@every_client
def test_a_model_whose_provider_does_not_count_is_estimated(sandboxed: Any, client: str) -> None:
    tokens, source = count(sandboxed, sandboxed.customer()[1], client, "deepseek/deepseek-chat")
    assert source == "estimated"
    assert 190 <= tokens <= 260


@every_client
@pytest.mark.parametrize("model", ["anthropic/claude-sonnet-4-5", "openai/gpt-4o", "google/gemini-2.5-flash"])
def test_a_providers_own_number_is_told_where_it_has_one(sandboxed: Any, client: str, model: str) -> None:
    tokens, source = count(sandboxed, sandboxed.customer()[1], client, model)
    assert source == "provider"
    assert 190 <= tokens <= 260


def test_counting_is_free_and_needs_no_money(sandboxed: Any) -> None:
    account, key = sandboxed.customer("0.0001")
    for client in ASKED:
        for model in ("deepseek/deepseek-chat", "openai/gpt-4o"):
            count(sandboxed, key, client, model)
    assert sandboxed.balance(account) == "0.0001"


def test_a_provider_that_does_not_answer_is_stood_for_by_an_estimate(
    gateways: Any, upstreams: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with upstreams.FakeUpstream(upstreams.Reply(status=404, body=b'{"error":{"message":"no such endpoint"}}')) as fake:
        config = f'[providers.anthropic]\nbase_url = "{fake.url}"\napi_key = "sk-upstream"\n'
        with gateways.Gateway(tmp_path_factory.mktemp("counting"), config) as gateway:
            key = gateway.customer()[1]
            for body in (b"{}", b"not json", b'{"input_tokens":"many"}'):
                fake.reply = lambda _asked, body=body: upstreams.Reply(body=body)
                assert count(gateway, key, "openai", "anthropic/claude-sonnet-4-5")[1] == "estimated"


def test_what_is_counted_is_what_would_be_sent(
    gateways: Any, upstreams: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with upstreams.FakeUpstream(upstreams.Reply(body=b'{"input_tokens":17,"totalTokens":17}')) as fake:
        config = "".join(
            f'[providers.{name}]\nbase_url = "{fake.url}"\napi_key = "sk-upstream"\n'
            for name in ("anthropic", "google", "openai")
        )
        with gateways.Gateway(tmp_path_factory.mktemp("counting"), config) as gateway:
            key = gateway.customer()[1]
            assert count(gateway, key, "openai", "anthropic/claude-sonnet-4-5") == (17, "provider")
            asked = fake.asked[-1]
            assert asked.path == "/v1/messages/count_tokens"
            assert json.loads(asked.body).keys() <= {"model", "messages", "system", "tools"}
            assert json.loads(asked.body)["model"] == "claude-sonnet-4-5"
            assert count(gateway, key, "anthropic", "google/gemini-2.5-flash") == (17, "provider")
            inner = json.loads(fake.asked[-1].body)["generateContentRequest"]
            assert inner["model"] == "models/gemini-2.5-flash"
            assert inner["contents"][0]["parts"][0]["text"] == TEXT
            assert count(gateway, key, "google", "openai/gpt-4o") == (17, "provider")
            assert fake.asked[-1].path == "/responses/input_tokens"
            assert "max_output_tokens" not in json.loads(fake.asked[-1].body)
            gateway.assert_clean()
