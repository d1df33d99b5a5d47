"""Embeddings across vendors with the real SDKs: their vectors, and what they cost."""

from __future__ import annotations

import json
import math
from typing import Any

import openai
import pytest
from google import genai
from google.genai import types

GOOGLE, OPENAI = "google/gemini-embedding-001", "openai/text-embedding-3-small"


def openai_client(gateway: Any, key: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=0)


def google_client(gateway: Any, key: str) -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=gateway.url))


@pytest.mark.parametrize("encoding", [None, "float", "base64"], ids=["sdk's own", "float", "base64"])
def test_openais_sdk_embeds_with_a_model_of_google(sandboxed: Any, rich_key: str, encoding: Any) -> None:
    client = openai_client(sandboxed, rich_key)
    more: dict[str, Any] = {"encoding_format": encoding} if encoding else {}
    answer = client.embeddings.create(model=GOOGLE, input=["one", "two"], dimensions=256, **more)
    assert [datum.index for datum in answer.data] == [0, 1]
    assert answer.model == GOOGLE
    vector: Any = answer.data[0].embedding
    if encoding != "base64":
        assert len(vector) == 256
        assert math.isclose(sum(number * number for number in vector), 1, rel_tol=1e-3)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0


def test_the_formats_tell_the_same_numbers(sandboxed: Any, rich_key: str) -> None:
    client = openai_client(sandboxed, rich_key)
    plain, packed = (
        client.embeddings.create(model=GOOGLE, input="same", dimensions=64, **more).data[0].embedding
        for more in ({"encoding_format": "float"}, {})
    )
    assert all(math.isclose(one, other, abs_tol=1e-6) for one, other in zip(plain, packed, strict=True))


def test_googles_sdk_embeds_with_a_model_of_openai(sandboxed: Any, rich_key: str) -> None:
    client = google_client(sandboxed, rich_key)
    config = types.EmbedContentConfig(output_dimensionality=64, task_type="RETRIEVAL_QUERY")
    answer = client.models.embed_content(model=OPENAI, contents=["one", "two"], config=config)
    assert answer.embeddings is not None
    assert [len(embedding.values or ()) for embedding in answer.embeddings] == [64, 64]


def test_what_the_provider_counted_is_charged_at_its_models_price(sandboxed: Any) -> None:
    account, key = sandboxed.customer()
    body = {"model": GOOGLE, "input": ["Rust values memory safety.", "Streams arrive in pieces."]}
    status, headers, answer = sandboxed.request("POST", "/v1/embeddings", key=key, body=body)
    usage = json.loads(answer)["usage"]
    assert (status, headers["x-proxyapi-translation"]) == (200, "exact")
    entry = sandboxed.last_entry(account)
    assert (entry["model"], entry["operation"], entry["source"]) == (GOOGLE, "embeddings", "reported")
    assert json.loads(entry["units"]) == {"input_tokens": usage["prompt_tokens"]}
    assert headers["x-proxyapi-cost"] == str(usage["cost"])
    assert usage["cost_currency"] == "RUB"
    native = sandboxed.request(
        "POST",
        "/google/v1beta/models/gemini-embedding-001:batchEmbedContents",
        key=key,
        body={"requests": [{"content": {"parts": [{"text": text}]}} for text in body["input"]]},
    )
    assert sandboxed.last_entry(account, 2)["charged"] == entry["charged"], native


def test_what_is_lost_is_told_and_refused_on_demand(sandboxed: Any, rich_key: str) -> None:
    path = f"/v1beta/models/{OPENAI}:embedContent"
    body = {"content": {"parts": [{"text": "x"}]}, "taskType": "CLUSTERING"}
    status, headers, _ = sandboxed.request("POST", path, key=rich_key, body=body)
    assert (status, headers["x-proxyapi-dropped"]) == (200, "taskType")
    status, _, answer = sandboxed.request("POST", path, key=rich_key, body=body, headers={"x-proxyapi-strict": "1"})
    assert (status, json.loads(answer)["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_what_cannot_be_said_names_the_clients_field(sandboxed: Any, rich_key: str) -> None:
    with pytest.raises(openai.BadRequestError, match="token ids") as caught:
        openai_client(sandboxed, rich_key).embeddings.create(model=GOOGLE, input=[[1, 2, 3]])
    assert caught.value.param == "input"


def test_a_refusal_of_the_provider_is_told_in_the_clients_words(sandboxed: Any) -> None:
    account, key = sandboxed.customer()
    with pytest.raises(openai.BadRequestError) as caught:
        openai_client(sandboxed, key).embeddings.create(model=GOOGLE, input="x", dimensions=99_999)
    assert "outputDimensionality" in str(caught.value)
    entry = sandboxed.last_entry(account)
    assert (entry["kind"], entry["charged"]) == ("release", 0)
    sandboxed.assert_clean()


@pytest.mark.parametrize(
    ("path", "model", "why"),
    [
        ("/v1/embeddings", "anthropic/claude-sonnet-4-5", "does not serve embeddings"),
        ("/v1/audio/speech", "google/gemini-2.5-flash-preview-tts", "Google has no speech in this dialect"),
        ("/v1/images/generations", "google/gemini-2.5-flash-image", "Google has no image generation in this dialect"),
        ("/v1/moderations", "anthropic/claude-sonnet-4-5", "does not serve moderations"),
    ],
)
def test_what_a_provider_does_not_have_is_refused_in_words(
    sandboxed: Any, rich_key: str, path: str, model: str, why: str
) -> None:
    body = {"model": model, "input": "x", "prompt": "x", "voice": "alloy"}
    status, _, answer = sandboxed.request("POST", path, key=rich_key, body=body)
    assert status == 400
    assert why in json.loads(answer)["detail"]
