"""When money is short: a lower ceiling where the account wants that or the request caps itself, else 402; in every
dialect, passed on and translated, and never more than there was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

DIALECTS = ("openai_chat", "openai_responses", "anthropic", "gemini")
WAYS = [(client, provider) for client in DIALECTS for provider in DIALECTS]
every_way = pytest.mark.parametrize("way", WAYS, ids=[f"{client}-{provider}" for client, provider in WAYS])
both = pytest.mark.parametrize("stream", [False, True], ids=["body", "stream"])
THERE_IS = 50_000_000
"""Nanos, `0.05`: a hundred tokens of output."""
SPELLED = {
    "openai_chat": "max_completion_tokens",
    "openai_responses": "max_output_tokens",
    "anthropic": "max_tokens",
    "gemini": "generationConfig.maxOutputTokens",
}
ASKED: dict[str, Any] = {
    "openai_chat": {"messages": [{"role": "user", "content": "Hello"}]},
    "openai_responses": {"input": "Hello"},
    "anthropic": {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8_000},
    "gemini": {"contents": "Hello"},
}
"""Arguments for the SDK."""


def ceiling_of(asked: Any) -> int:
    """What a provider was told."""
    body = json.loads(asked.body)
    body |= body.get("generationConfig", {})
    names = ("max_completion_tokens", "max_tokens", "max_output_tokens", "maxOutputTokens")
    return next(int(body[name]) for name in names if name in body)


def detailed(answer: bytes) -> bytes:
    """As OpenAI tells the usage of Chat."""
    zeros = b'"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0},'
    return answer.replace(b'"completion_tokens":', zeros + b'"completion_tokens":')


def writer(world: Any, tokens: int | None) -> None:
    """A provider that writes as much as it is allowed to; or always `tokens`, whatever it was told."""

    def reply(asked: Any) -> Any:
        dialect = world.spoken(asked.path.replace("/google/v1/", "/google/v1beta/"))
        used = (5, ceiling_of(asked) if tokens is None else tokens)
        if b'"stream":true' in asked.body.replace(b" ", b"") or "streamGenerateContent" in asked.path:
            return world.reply(headers=world.events, chunks=map(detailed, world.streams[dialect](used=used)))
        return world.reply(body=detailed(world.bodies[dialect]("one two three", used)))

    world.answer(reply)


@pytest.fixture
def short(world: Any) -> Iterator[tuple[str, str]]:
    """An account with `THERE_IS` that wants its requests shortened, and its key."""
    account, key = world.gateway.customer("0.05")
    assert world.gateway.cli("account", "edit", account, "--when-short", "shorten")["when_short"] == "shorten"
    yield account, key


@every_way
@both
def test_a_request_is_shortened_to_what_there_is(
    world: Any, short: tuple[str, str], way: tuple[str, str], stream: bool
) -> None:
    (account, key), (client, provider) = short, way
    writer(world, None)
    heard = world.sdks.ASK[client](world.gateway.url, key, world.models[provider], ASKED[client], stream=stream)
    assert heard.text == "one two three"
    ceiling = ceiling_of(world.asked[-1])
    assert 80 <= ceiling < 100
    entry = world.gateway.last_entry(account)
    assert THERE_IS - 500_000 < entry["held"] <= THERE_IS
    assert (entry["charged"], entry["loss"]) == (5 * 100_000 + ceiling * 500_000, 0)
    assert entry["charged"] <= entry["held"]


@every_way
@both
def test_a_provider_that_ignores_the_ceiling_is_the_operators_loss(
    world: Any, short: tuple[str, str], way: tuple[str, str], stream: bool
) -> None:
    (account, key), (client, provider) = short, way
    writer(world, 5_000)
    world.sdks.ASK[client](world.gateway.url, key, world.models[provider], ASKED[client], stream=stream)
    entry = world.gateway.last_entry(account)
    assert entry["actual"] == 5 * 100_000 + 5_000 * 500_000
    assert (entry["charged"], entry["loss"]) == (THERE_IS, entry["actual"] - THERE_IS)
    assert Decimal(world.gateway.balance(account)) == 0


@every_way
def test_the_client_is_told_in_its_own_words(world: Any, short: tuple[str, str], way: tuple[str, str]) -> None:
    client, provider = way
    writer(world, None)
    status, headers, answer = world.post(client, provider, short[1])
    assert status == 200, answer
    assert headers["x-proxyapi-shortened"] == f"{SPELLED[client]}={ceiling_of(world.asked[-1])}"
    assert Decimal(headers["x-proxyapi-estimate"]) <= Decimal("0.05")
    if client == "openai_responses" and provider != client:
        assert answer["max_output_tokens"] == ceiling_of(world.asked[-1])


def test_what_is_affordable_is_not_touched(world: Any) -> None:
    account, key = world.gateway.customer("1000")
    world.gateway.cli("account", "edit", account, "--when-short", "shorten")
    writer(world, 20)
    _, headers, _ = world.post("openai_chat", "openai_chat", key, max_tokens=700)
    assert "x-proxyapi-shortened" not in headers
    assert ceiling_of(world.asked[-1]) == 700


@every_way
def test_an_account_that_does_not_want_it_is_refused_as_ever(world: Any, way: tuple[str, str]) -> None:
    _, key = world.gateway.customer("0.05")
    before = len(world.asked)
    status, _, answer = world.post(*way, key)
    assert (status, answer["limit_source"], len(world.asked)) == (402, "account", before)


def test_an_answer_of_fewer_than_16_tokens_is_not_worth_asking_for(world: Any) -> None:
    account, key = world.gateway.customer("0.008")
    world.gateway.cli("account", "edit", account, "--when-short", "shorten")
    before = len(world.asked)
    status, _, answer = world.post("openai_chat", "openai_chat", key)
    assert (status, answer["limit_source"], answer["available"]) == (402, "account", 0.008)
    assert answer["required"] > 1
    assert len(world.asked) == before
    world.gateway.cli("deposit", account, "0.002")
    writer(world, 16)
    status, _, answer = world.post("openai_chat", "openai_chat", key)
    assert status == 200, answer


def test_a_keys_budget_shortens_too(world: Any) -> None:
    account, _ = world.gateway.customer("100")
    world.gateway.cli("account", "edit", account, "--when-short", "shorten")
    key = world.gateway.key(account, "--budget", "0.05")
    writer(world, 5_000)
    status, headers, _ = world.post("anthropic", "openai_chat", key, max_tokens=4_000)
    assert status == 200
    assert headers["x-proxyapi-shortened"].startswith("max_tokens=")
    assert world.gateway.last_entry(account)["charged"] == THERE_IS
    status, _, answer = world.post("anthropic", "openai_chat", key)
    assert (status, answer["limit_source"]) == (402, "key")


def test_every_alternative_counts(world: Any, short: tuple[str, str]) -> None:
    writer(world, 30)
    status, _, _ = world.post("openai_chat", "openai_chat", short[1], n=4)
    assert status == 200
    assert 20 <= ceiling_of(world.asked[-1]) <= 24


def test_thinking_shrinks_with_the_ceiling_or_is_turned_off(world: Any) -> None:
    account, key = world.gateway.customer("1")
    world.gateway.cli("account", "edit", account, "--when-short", "shorten")
    writer(world, 20)
    thinking = {"type": "enabled", "budget_tokens": 30_000}
    _, headers, _ = world.post("anthropic", "anthropic", key, max_tokens=40_000, thinking=thinking)
    told = json.loads(world.asked[-1].body)
    assert told["max_tokens"] > told["thinking"]["budget_tokens"] + 16
    assert headers["x-proxyapi-shortened"] == (
        f"max_tokens={told['max_tokens']}, thinking.budget_tokens={told['thinking']['budget_tokens']}"
    )
    poor, key = world.gateway.customer("0.2")
    world.gateway.cli("account", "edit", poor, "--when-short", "shorten")
    _, headers, _ = world.post("anthropic", "anthropic", key, max_tokens=40_000, thinking=thinking)
    assert json.loads(world.asked[-1].body)["thinking"] == {"type": "disabled"}
    assert headers["x-proxyapi-shortened"].endswith(", thinking.type=disabled")


def test_racing_requests_never_hold_more_than_there_is(world: Any) -> None:
    account, key = world.gateway.customer("0.5")
    world.gateway.cli("account", "edit", account, "--when-short", "shorten")
    writer(world, 5_000)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: world.post("openai_chat", "anthropic", key), range(48)))
    assert {status for status, _, _ in answers} <= {200, 402}
    assert any(status == 200 for status, _, _ in answers)
    world.gateway.assert_clean()
    assert Decimal(world.gateway.balance(account)) == 0


def test_a_second_try_without_refused_states_is_as_short_as_the_first(world: Any) -> None:
    """Both go out on one hold."""
    account, key = world.gateway.customer("1000")
    signed = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    first = json.dumps(json.loads(world.replies.message()) | {"content": [signed, use], "stop_reason": "tool_use"})
    refusal = b'{"type":"error","error":{"type":"invalid_request_error","message":"Invalid `signature` in `thinking`"}}'

    def reply(asked: Any) -> Any:
        if b"tool_result" not in asked.body:
            return world.reply(body=first.encode())
        if b"c2ln" in asked.body:
            return world.reply(status=400, body=refusal)
        return world.reply(body=world.replies.message("fine"))

    world.answer(reply)
    tool = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
    more: Any = {"tools": [tool], "reasoning": {"effort": "low"}}
    way = ("openai_responses", "anthropic")
    _, _, answer = world.post(*way, key, **more)
    call = next(item["call_id"] for item in answer["output"] if item["type"] == "function_call")
    more["input"] = [{"type": "function_call_output", "call_id": call, "output": "7"}]
    before = len(world.asked)
    status, _, answer = capped(world, way, key, "1", previous_response_id=answer["id"], **more)
    assert status == 200, answer
    tries = world.asked[before:]
    assert len(tries) == 2 and b"c2ln" in tries[0].body and b"c2ln" not in tries[1].body
    assert ceiling_of(tries[0]) == ceiling_of(tries[1]) < 2_000
    assert world.gateway.last_entry(account, 2)["held"] <= 10**9


# --- a request's own cap ----------------------------------------------------------------------------------------------


def capped(world: Any, way: tuple[str, str], key: str, cap: str, **more: Any) -> tuple[int, dict[str, str], Any]:
    answer: tuple[int, dict[str, str], Any] = world.post(*way, key, {"x-proxyapi-max-cost": cap}, **more)
    return answer


@every_way
def test_a_capped_request_is_shortened_whatever_the_account_wants(
    world: Any, customer: tuple[str, str], way: tuple[str, str]
) -> None:
    account, key = customer
    writer(world, 5_000)
    status, headers, answer = capped(world, way, key, "0.05")
    assert status == 200, answer
    assert headers["x-proxyapi-shortened"] == f"{SPELLED[way[0]]}={ceiling_of(world.asked[-1])}"
    entry = world.gateway.last_entry(account)
    assert (entry["charged"], entry["loss"]) == (THERE_IS, entry["actual"] - THERE_IS)
    assert Decimal(headers["x-proxyapi-cost"]) == Decimal("0.05")


@pytest.mark.parametrize("cap", ["", "much", "-1", "0.0000000001", "nan", "1,5"])
def test_a_cap_that_is_no_amount_is_refused(world: Any, customer: tuple[str, str], cap: str) -> None:
    status, _, answer = capped(world, ("openai_chat", "openai_chat"), customer[1], cap)
    assert status == 400
    assert "x-proxyapi-max-cost" in answer["detail"]
    assert answer["error"]["param"] == "x-proxyapi-max-cost"


@every_way
def test_a_cap_that_affords_no_answer_is_402(world: Any, customer: tuple[str, str], way: tuple[str, str]) -> None:
    before = len(world.asked)
    status, _, answer = capped(world, way, customer[1], "0.008")
    assert (status, answer["limit_source"], answer["available"], answer["held"]) == (402, "request", 0.008, 0)
    assert len(world.asked) == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "openai/text-embedding-3-small", "input": "Hello"}),
        ("/v1/audio/speech", {"model": "openai/tts-1", "input": "Hello", "voice": "alloy"}),
        ("/v1/images/generations", {"model": "openai/dall-e-3", "prompt": "a cat"}),
    ],
)
def test_what_has_no_ceiling_is_refused_above_its_cap(
    world: Any, customer: tuple[str, str], path: str, body: dict[str, str]
) -> None:
    headers = {"x-proxyapi-max-cost": "0.000000001"}
    status, _, text = world.gateway.request("POST", path, key=customer[1], body=body, headers=headers)
    assert (status, json.loads(text)["limit_source"]) == (402, "request")


def test_a_cap_above_the_estimate_changes_nothing(world: Any, customer: tuple[str, str]) -> None:
    writer(world, 20)
    status, headers, _ = capped(world, ("openai_chat", "openai_chat"), customer[1], "99", max_tokens=700)
    assert status == 200
    assert "x-proxyapi-shortened" not in headers


def test_a_capped_request_of_a_poor_account_is_refused_for_the_account(world: Any) -> None:
    _, key = world.gateway.customer("0.02")
    status, _, answer = capped(world, ("openai_chat", "openai_chat"), key, "0.05")
    assert (status, answer["limit_source"]) == (402, "account")
    assert 0.049 < answer["required"] <= 0.05
