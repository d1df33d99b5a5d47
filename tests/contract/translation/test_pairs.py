"""Twelve pairs, body and stream: the SDKs of one dialect read answers of all others, and money stays exact."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

COST = "0.145"
"""Of 850 tokens in and 120 out, at 100 and 500 per million."""
ENDINGS = {"openai_chat": "stop", "openai_responses": "completed", "anthropic": "end_turn", "gemini": "STOP"}
FOREIGN = {
    "openai-beta": "assistants=v2",
    "anthropic-beta": "files-api-2025-04-14",
    "anthropic-version": "2023-01-01",
    "x-goog-api-client": "genai/1",
}


@pytest.mark.parametrize("stream", [False, True], ids=["body", "stream"])
def test_every_client_reaches_every_provider_at_the_providers_price(
    usual: Any, customer: tuple[str, str], client: str, provider: str, stream: bool
) -> None:
    account, key = customer
    told = usual.ask(client, provider, key, stream=stream)
    assert told.text == "one two three"
    assert (told.input_tokens, told.output_tokens, told.ending) == (850, 120, ENDINGS[client])
    # Google's SDK drops what it does not know.
    assert (Decimal(str(told.cost)) if client != "gemini" else Decimal(COST)) == Decimal(COST)
    assert usual.spoken(usual.asked[-1].path) == provider
    entry = usual.gateway.last_entry(account)
    assert (entry["charged"], entry["source"], entry["ending"]) == (145_000_000, "reported", "completed")
    assert json.loads(entry["units"]) == {"input_tokens": 850, "output_tokens": 120}


def test_a_client_of_gemini_is_told_the_cost_beside_the_numbers(usual: Any, key: str) -> None:
    _, headers, answer = usual.post("gemini", "anthropic", key)
    assert Decimal(str(answer["usageMetadata"]["cost"])) == Decimal(COST) == Decimal(headers["x-proxyapi-cost"])


# --- what the provider gets -------------------------------------------------------------------------------------------


def test_nothing_of_the_clients_dialect_reaches_a_provider_of_another(
    usual: Any, key: str, client: str, provider: str
) -> None:
    path = usual.paths[client].format(model=usual.models[provider]) + "?beta=true&key=" + key
    headers = FOREIGN | {"user-agent": "me/1.0", "x-title": "Mine"}
    status, _, text = usual.gateway.request("POST", path, body=usual.body(client, provider), headers=headers)
    assert status == 200, text
    asked = usual.asked[-1]
    assert "?" not in asked.path
    assert key not in str(asked.headers)
    assert (asked.headers["user-agent"], asked.headers["x-title"]) == ("me/1.0", "Mine")
    assert not {"openai-beta", "anthropic-beta", "x-goog-api-client"} & asked.headers.keys()
    assert asked.headers.get("anthropic-version") == ("2023-06-01" if provider == "anthropic" else None)
    assert usual.upstream_key in str(asked.headers)


def test_a_stream_of_gemini_is_asked_for_as_events(usual: Any, key: str) -> None:
    usual.ask("openai_chat", "gemini", key, stream=True)
    assert usual.asked[-1].path.endswith("/gemini-2.5-flash:streamGenerateContent?alt=sse")


def test_where_a_limit_is_required_the_models_ceiling_is_sent_and_held(usual: Any, customer: tuple[str, str]) -> None:
    account, key = customer
    status, headers, _ = usual.post("openai_chat", "anthropic", key)
    assert status == 200
    ceiling = json.loads(usual.asked[-1].body)["max_tokens"]
    assert ceiling >= 8_192
    assert Decimal(headers["x-proxyapi-estimate"]) > ceiling * Decimal(500) / 1_000_000
    assert usual.gateway.last_entry(account)["held"] > ceiling * 500_000


def test_an_estimate_of_a_translated_request_is_what_it_holds(usual: Any, key: str, client: str, provider: str) -> None:
    path, before = usual.paths[client].format(model=usual.models[provider]), len(usual.asked)
    body = usual.body(client, provider)
    status, _, text = usual.gateway.request("POST", f"/proxyapi/estimate?path={path}", key=key, body=body)
    assert status == 200, text
    assert len(usual.asked) == before
    estimate = json.loads(text)
    assert estimate["model"] == usual.models[provider]
    _, headers, _ = usual.post(client, provider, key)
    assert Decimal(str(estimate["estimate"])) == Decimal(headers["x-proxyapi-estimate"])


# --- body for stream, stream for body ---------------------------------------------------------------------------------


def test_a_body_in_answer_to_a_wish_for_a_stream_becomes_a_stream(
    world: Any, key: str, client: str, provider: str
) -> None:
    world.answer(body=world.bodies[provider]("whole"))
    assert world.ask(client, provider, key, stream=True).text == "whole"


def test_a_stream_in_answer_to_a_wish_for_a_body_is_folded(world: Any, key: str, client: str, provider: str) -> None:
    world.answer(headers=world.events, chunks=world.streams[provider]())
    assert world.ask(client, provider, key, stream=False).text == "one two three"


def test_a_gemini_stream_without_events_is_one_array(usual: Any, key: str) -> None:
    path = f"/v1beta/models/{usual.models['anthropic']}:streamGenerateContent"
    body = usual.body("gemini", "anthropic")
    status, headers, text = usual.gateway.request("POST", path, key=key, body=body)
    assert (status, headers["content-type"]) == (200, "application/json")
    chunks = json.loads(text)
    candidates = [chunk["candidates"][0] for chunk in chunks if chunk.get("candidates")]
    said = "".join(part["text"] for c in candidates for part in c.get("content", {}).get("parts", ()))
    assert said == "one two three"
    assert candidates[-1]["finishReason"] == "STOP"


def test_usage_that_no_provider_tells_is_counted_told_and_charged(
    world: Any, customer: tuple[str, str], client: str, provider: str
) -> None:
    account, key = customer
    world.answer(headers=world.events, chunks=world.streams[provider](used=None))
    told = world.ask(client, provider, key, stream=True)
    assert told.input_tokens > 0
    assert told.output_tokens > 0
    entry = world.gateway.last_entry(account)
    assert entry["source"] == "counted"
    assert entry["charged"] == told.input_tokens * 100_000 + told.output_tokens * 500_000


def test_a_chat_stream_of_the_unified_api_always_ends_with_its_usage(usual: Any, key: str) -> None:
    body = usual.body("openai_chat", "anthropic", stream=True)
    _, _, text = usual.gateway.request("POST", "/v1/chat/completions", key=key, body=body)
    *_, usage, done = text.decode().strip().split("\n\n")
    assert done == "data: [DONE]"
    chunk = json.loads(usage.removeprefix("data: "))
    assert chunk["choices"] == []
    assert chunk["usage"]["total_tokens"] == 970
    assert (Decimal(str(chunk["usage"]["cost"])), chunk["usage"]["cost_currency"]) == (Decimal(COST), "RUB")
