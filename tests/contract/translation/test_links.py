"""Files by address for a provider that fetches nothing: the gateway does, but never in the operator's own network."""

from __future__ import annotations

from typing import Any

import pytest

ASKING = {
    "openai_chat": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "{url}"}}]}]},
    "openai_responses": {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "{url}"}]}]},
    "anthropic": {
        "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "{url}"}}]}]
    },
}


def with_address(value: Any, url: str) -> Any:
    if isinstance(value, dict):
        return {name: with_address(inner, url) for name, inner in value.items()}
    if isinstance(value, list):
        return [with_address(inner, url) for inner in value]
    return url if value == "{url}" else value


@pytest.mark.parametrize("asking", ASKING)
def test_a_picture_in_the_operators_own_network_is_refused_and_nobody_is_asked(
    usual: Any, customer: tuple[str, str], asking: str
) -> None:
    account, key = customer
    before = len(usual.asked)
    url = f"{usual.upstream.url}/secret.png"
    status, _, answer = usual.post(asking, "gemini", key, **with_address(ASKING[asking], url))
    assert status == 400
    assert "nobody answers at a public address" in answer["detail"]
    assert len(usual.asked) == before
    assert usual.gateway.balance(account) == "100000"


@pytest.mark.parametrize("asking", ASKING)
def test_the_sandbox_answers_about_a_picture_that_nobody_fetches(sandboxed: Any, rich_key: str, asking: str) -> None:
    body = with_address(ASKING[asking], "https://example.com/a.png")
    body |= {"model": "google/gemini-2.5-flash"} | ({"max_tokens": 100} if asking == "anthropic" else {})
    paths = {"openai_chat": "/v1/chat/completions", "openai_responses": "/v1/responses", "anthropic": "/v1/messages"}
    status, _, text = sandboxed.request("POST", paths[asking], key=rich_key, body=body)
    assert status == 200, text
