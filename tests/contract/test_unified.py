"""The unified API where client and provider speak the same dialect; what has none is refused, never a crash."""

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


def test_what_is_never_translated_is_refused_before_anybody_is_asked(gateway: Any) -> None:
    key = gateway.key(gateway.account("refused", "100"))
    before = len(gateway.upstream.asked)
    body = {"model": "anthropic/claude-sonnet-4-5", "max_tokens": 10, "prompt": "Hi"}
    status, _, text = gateway.request("POST", "/v1/completions", key=key, body=body)
    assert status == 400
    assert "Anthropic has no completions in this dialect" in json.loads(text)["detail"]
    assert len(gateway.upstream.asked) == before


def test_the_vendor_is_cut_off_and_everything_else_of_the_body_stays(gateway: Any) -> None:
    key = gateway.key(gateway.account("cutter", "100"))
    raw = b'{ "messages":[{"role":"user","content":"Hi"}],\n "model" : "openai/gpt-4o","max_tokens":5, "later":[1.50] }'
    gateway.request("POST", "/v1/chat/completions", key=key, body=raw)
    asked = gateway.upstream.asked[-1]
    assert asked.path == "/openai/chat/completions"
    assert asked.body == raw.replace(b'"openai/gpt-4o"', b'"gpt-4o"')
    assert asked.headers["authorization"] == "Bearer sk-upstream"


def test_a_chat_stream_always_ends_with_its_usage_wherever_the_provider_tells_it(
    gateway: Any, upstreams: Any, replies: Any
) -> None:
    usage = {"prompt_tokens": 850, "completion_tokens": 120, "total_tokens": 970}
    last = replies.chat_chunk({}, "stop").removesuffix(b"}\n\n") + b',"usage":%b}\n\n' % json.dumps(usage).encode()
    chunks = [replies.chat_chunk({"content": "Hi"}), last, replies.DONE]
    gateway.upstream.reply = lambda _asked: upstreams.Reply(
        headers={"content-type": "text/event-stream"}, chunks=chunks
    )
    key = gateway.key(gateway.account("streamer", "100"))
    body = {"stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    native = gateway.request("POST", "/openai/v1/chat/completions", key=key, body=body | {"model": "gpt-4o"})[2]
    assert native == b"".join(chunks)
    unified = gateway.request("POST", "/v1/chat/completions", key=key, body=body | {"model": "openai/gpt-4o"})[2]
    assert unified.startswith(b"".join(chunks[:-1]))
    assert unified.endswith(chunks[-1])
    chunk = json.loads(unified[len(b"".join(chunks[:-1])) : -len(chunks[-1])].removeprefix(b"data: "))
    assert (chunk["id"], chunk["choices"]) == ("chatcmpl-1", [])
    assert chunk["usage"].items() >= usage.items()
    assert chunk["usage"]["cost_currency"] == "RUB"
