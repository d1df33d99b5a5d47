"""The unified API where client and provider speak the same dialect; elsewhere a clear refusal, never a crash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def gateway(upstreams: Any, gateways: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as upstream:
        config = "".join(
            f'[providers.{name}]\nbase_url = "{upstream.url}/{name}"\napi_key = "sk-upstream"\n'
            for name in ("openai", "anthropic", "google")
        )
        with gateways.Gateway(tmp_path_factory.mktemp("unified"), config) as running:
            running.upstream = upstream
            yield running


@pytest.mark.parametrize(
    ("path", "model", "where"),
    [
        ("/v1/chat/completions", "anthropic/claude-sonnet-4-5", "use /v1/messages"),
        ("/v1/responses", "anthropic/claude-sonnet-4-5", "use /v1/messages"),
        ("/v1/messages", "openai/gpt-4o", "use /v1/chat/completions"),
        ("/v1/chat/completions", "google/gemini-2.5-flash", "use /v1beta/models/"),
    ],
)
def test_a_model_of_another_dialect_is_refused_and_the_text_says_where_it_is_reached(
    gateway: Any, path: str, model: str, where: str
) -> None:
    key = gateway.key(gateway.account(f"a{abs(hash((path, model)))}", "100"))
    before = len(gateway.upstream.asked)
    body = {"model": model, "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}], "input": "Hi"}
    status, _, text = gateway.request("POST", path, key=key, body=body)
    assert status == 400
    assert where in json.loads(text)["detail"]
    assert len(gateway.upstream.asked) == before


def test_the_vendor_is_cut_off_and_everything_else_of_the_body_stays(gateway: Any) -> None:
    key = gateway.key(gateway.account("cutter", "100"))
    raw = b'{ "messages":[{"role":"user","content":"Hi"}],\n "model" : "openai/gpt-4o","max_tokens":5, "later":[1.50] }'
    gateway.request("POST", "/v1/chat/completions", key=key, body=raw)
    asked = gateway.upstream.asked[-1]
    assert asked.path == "/openai/chat/completions"
    assert asked.body == raw.replace(b'"openai/gpt-4o"', b'"gpt-4o"')
    assert asked.headers["authorization"] == "Bearer sk-upstream"
