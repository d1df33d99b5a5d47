"""What a translation loses is told, or refused, in the client's own words."""

from __future__ import annotations

import json
from typing import Any

import pytest

STRICT = {"x-proxyapi-strict": "1"}


def test_a_plain_request_is_translated_exactly(usual: Any, key: str, client: str, provider: str) -> None:
    limits = {"openai_chat": "max_tokens", "openai_responses": "max_output_tokens", "anthropic": "max_tokens"}
    more = {limits[client]: 100} if client in limits else {"generationConfig": {"maxOutputTokens": 100}}
    status, headers, answer = usual.post(client, provider, key, STRICT, **more)
    assert status == 200, answer
    assert headers["x-proxyapi-translation"] == "exact"
    assert not {"x-proxyapi-dropped", "x-proxyapi-approximated"} & headers.keys()


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_passes_untranslated_says_so(usual: Any, key: str, stream: bool) -> None:
    body = usual.body("openai_chat", "openai_chat", stream=stream)
    _, headers, _ = usual.gateway.request("POST", "/v1/chat/completions", key=key, body=body)
    assert headers["x-proxyapi-translation"] == "none"


def test_knobs_that_the_provider_lacks_are_named_as_the_client_spells_them(usual: Any, key: str) -> None:
    knobs = {"seed": 7, "logit_bias": {"50256": -100}, "max_tokens": 100}
    _, headers, _ = usual.post("openai_chat", "anthropic", key, **knobs)
    assert headers["x-proxyapi-translation"] == "lossy"
    assert sorted(headers["x-proxyapi-dropped"].split(", ")) == ["logit_bias", "seed"]
    assert not {"seed", "logit_bias"} & json.loads(usual.asked[-1].body).keys()


def test_a_strict_client_has_a_loss_refused_before_anybody_is_asked(usual: Any, customer: tuple[str, str]) -> None:
    account, key = customer
    before = len(usual.asked)
    status, _, answer = usual.post("openai_chat", "anthropic", key, STRICT, max_tokens=100, seed=7)
    assert status == 400
    assert answer["error"]["param"] == "seed"
    assert "drop seed" in answer["detail"]
    assert len(usual.asked) == before
    assert usual.gateway.balance(account) == "100000"


@pytest.mark.parametrize(
    ("asking", "more", "field"),
    [
        ("openai_chat", {"n": 2}, "n"),
        ("gemini", {"generationConfig": {"candidateCount": 2}}, "candidateCount"),
        ("openai_responses", {"background": True}, "background"),
    ],
)
def test_what_cannot_be_said_is_refused_in_the_clients_words(
    usual: Any, key: str, asking: str, more: dict[str, Any], field: str
) -> None:
    before = len(usual.asked)
    status, _, answer = usual.post(asking, "anthropic", key, **more)
    assert status == 400
    assert field in answer["detail"]
    assert len(usual.asked) == before
