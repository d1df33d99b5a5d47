"""The documented arithmetic, to the last digit, through the door that customers use."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest

DOCUMENTED = "Привет! Расскажи про то, как устроена солнечная система"
"""15 tokens: with 3 for the message, 1 for the role and 3 for the answer it is the documented 22."""


def answer(prompt_tokens: int, completion_tokens: int) -> bytes:
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    choice = {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [choice]}
    return json.dumps({**body, "usage": usage}).encode()


@pytest.fixture(scope="module")
def upstream(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply(body=answer(850, 120))) as fake:
        yield fake


@pytest.fixture(scope="module")
def gateway(gateways: Any, upstream: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    config = f"""
[pause]
enabled = false
[providers.openai]
base_url = "{upstream.url}/v1"
api_key = "sk-upstream"
[providers.anthropic]
base_url = "{upstream.url}"
api_key = "sk-upstream"
"""
    prices = {
        "openai/gpt-4o": ("720", "2880"),
        "openai/gpt-4o-mini": ("100", "500"),
        "anthropic/claude-3-5-sonnet-20241022": ("720", "2880"),
    }
    with gateways.Gateway(tmp_path_factory.mktemp("money"), config, workers=2, prices=prices) as running:
        yield running


def documented_prompt() -> Any:
    return [{"role": "user", "content": DOCUMENTED}]


def chat(gateway: Any, key: str, **more: Any) -> openai.types.chat.ChatCompletion:
    client = openai.OpenAI(api_key=key, base_url=f"{gateway.url}/openai/v1", max_retries=0)
    return client.chat.completions.create(model="gpt-4o", messages=documented_prompt(), **more)


def test_rows_3_and_17_a_hundred_thousandth_below_the_estimate_is_refused_without_calling_the_provider(
    gateway: Any, upstream: Any
) -> None:
    key = gateway.key(gateway.account("short", "11.81231"))
    before = len(upstream.asked)
    with pytest.raises(openai.APIStatusError) as caught:
        chat(gateway, key, max_completion_tokens=4096)
    assert caught.value.status_code == 402
    body = json.loads(caught.value.response.text, parse_float=Decimal)
    assert body["detail"] == "Insufficient balance to run this request."
    assert body["required"] == Decimal("11.81232")
    assert body["available"] == Decimal("11.81231")
    assert body["held"] == 0
    assert body["limit_source"] == "account"
    assert len(upstream.asked) == before


def test_rows_3_and_17_exactly_the_estimate_passes(gateway: Any, upstream: Any) -> None:
    key = gateway.key(gateway.account("exact", "11.81232"))
    before = len(upstream.asked)
    assert chat(gateway, key, max_completion_tokens=4096).choices[0].message.content == "ok"
    assert len(upstream.asked) == before + 1


def test_the_estimate_endpoint_says_what_would_be_held(gateway: Any) -> None:
    key = gateway.key(gateway.account("asker", "1"))
    body = {"model": "openai/gpt-4o", "messages": documented_prompt(), "max_tokens": 4096}
    _, _, text = gateway.request("POST", "/proxyapi/estimate?path=/v1/chat/completions", key=key, body=body)
    estimate = json.loads(text, parse_float=Decimal)
    assert estimate["estimate"] == Decimal("11.81232")
    assert estimate["currency"] == "RUB"
    assert estimate["model"] == "openai/gpt-4o"
    assert estimate["units"] == {"input_tokens": 22, "output_tokens": 4096}


def test_850_and_120_tokens_cost_exactly_0_145(gateway: Any) -> None:
    account = gateway.account("payer", "10")
    client = openai.OpenAI(api_key=gateway.key(account), base_url=f"{gateway.url}/openai/v1", max_retries=0)
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}], max_tokens=200
    )
    assert raw.headers["x-proxyapi-cost"] == "0.145"
    assert gateway.balance(account) == "9.855"


def test_row_20_anthropic_max_tokens_bounds_the_hold(gateway: Any) -> None:
    key = gateway.key(gateway.account("bounded", "2.8"))
    client = anthropic.Anthropic(api_key=key, base_url=f"{gateway.url}/anthropic", max_retries=0)
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(
            model="claude-3-5-sonnet-20241022", max_tokens=1000, messages=[{"role": "user", "content": "Hello"}]
        )
    assert caught.value.status_code == 402
    body = json.loads(caught.value.response.text, parse_float=Decimal)
    prompt = body["required"] - Decimal("2.88")
    assert 0 < prompt < Decimal("0.1"), "the ceiling of 1,000 tokens costs 2.88, the short prompt next to nothing"
    assert body["error"]["type"] == "billing_error"


def test_1000_racing_requests_on_a_balance_for_137_admit_exactly_137(
    gateway: Any, upstreams: Any, upstream: Any
) -> None:
    """Over two workers. Every admitted request is charged its whole hold, so that nothing returns to the balance."""
    hold = Decimal("0.0058")  # 8 tokens at 100 and 10 at 500 per million
    account = gateway.account("racer", str(hold * 137 + hold - Decimal("0.000001")))
    key = gateway.key(account)
    plain, upstream.reply = upstream.reply, lambda _asked: upstreams.Reply(body=answer(8, 10))
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10}
    statuses: list[int] = []
    lock = threading.Lock()

    def one(_: int) -> None:
        status, _, text = gateway.request("POST", "/openai/v1/chat/completions", key=key, body=body)
        with lock:
            statuses.append(status)
        assert status in (200, 402), text

    try:
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(one, range(1000)))
    finally:
        upstream.reply = plain
    assert statuses.count(200) == 137
    assert statuses.count(402) == 863
    assert gateway.cli("audit")["ok"] is True
