"""Vectors between OpenAI's and Gemini's embeddings: every text once and in order, numbers as they were written."""

from __future__ import annotations

import json
import struct
from base64 import b64decode, b64encode
from typing import Any

import pytest

from proxyapi.dialects.embeddings import GEMINI_INPUTS_MAX, Question, answer, question, vectors
from proxyapi.errors import InvalidRequest


def to_gemini(**fields: Any) -> Question:
    body = json.dumps({"model": "google/g", **fields}).encode()
    return question("openai_embeddings", body, model="g", asked_as="google/g", single=False)


def to_openai(single: bool = False, **fields: Any) -> Question:
    body = json.dumps(fields).encode()
    return question("gemini_embed", body, model="t", asked_as="openai/t", single=single)


def content(*texts: str) -> dict[str, Any]:
    return {"parts": [{"text": text} for text in texts]}


def told(asked: Question, body: bytes, tokens: int = 7) -> Any:
    found = vectors(asked, body)
    assert found is not None
    return json.loads(answer(asked, found, tokens=tokens, cost="0.5", currency="RUB"))


def test_each_text_becomes_a_request_of_the_batch() -> None:
    asked = to_gemini(input=["one", "two"], dimensions=256, user="u")
    request = {"model": "models/g", "outputDimensionality": 256}
    assert json.loads(asked.body) == {
        "requests": [{**request, "content": content("one")}, {**request, "content": content("two")}]
    }
    assert (asked.texts, asked.dropped) == (2, ())


def test_one_text_is_a_batch_of_one() -> None:
    assert json.loads(to_gemini(input="one").body) == {"requests": [{"model": "models/g", "content": content("one")}]}


def test_a_task_type_may_be_said_by_those_who_know_the_model() -> None:
    body = json.loads(to_gemini(input="one", task_type="RETRIEVAL_QUERY", title="T").body)
    assert body["requests"][0]["taskType"] == "RETRIEVAL_QUERY"
    assert body["requests"][0]["title"] == "T"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([1, 2, 3], "another tokenizer"),
        ([[1, 2], [3]], "another tokenizer"),
        (["text", [1]], "another tokenizer"),
        ([], "it is empty"),
        (["x"] * (GEMINI_INPUTS_MAX + 1), "100 texts at most"),
    ],
    ids=["token ids", "lists of token ids", "mixed", "nothing", "too many"],
)
def test_what_gemini_cannot_embed_is_refused_by_name(value: Any, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as caught:
        to_gemini(input=value)
    assert caught.value.param == "input"


def test_a_batch_becomes_one_request() -> None:
    requests = [
        {"model": "models/other", "content": content("one"), "outputDimensionality": 256},
        {"content": content("two", "three"), "output_dimensionality": 256},
        {"content": "four", "outputDimensionality": 256},
    ]
    assert json.loads(to_openai(requests=requests).body) == {
        "model": "t", "input": ["one", "two\nthree", "four"], "dimensions": 256, "encoding_format": "float",
    }  # fmt: skip


def test_a_single_content_is_one_text() -> None:
    asked = to_openai(single=True, content={"role": "user", "parts": {"text": "one"}})
    assert json.loads(asked.body)["input"] == ["one"]


def test_knobs_that_openai_lacks_are_named() -> None:
    assert to_openai(single=True, content=content("x"), taskType="CLUSTERING", title="T").dropped == (
        "taskType",
        "title",
    )
    assert to_openai(requests=[{"content": content("x"), "task_type": "CLUSTERING"}]).dropped == ("taskType",)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"requests": []}, "requests"),
        ({"requests": [{"content": content("x"), "outputDimensionality": n} for n in (1, 2)]}, "outputDimensionality"),
        ({"requests": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}}]}, "content"),
        ({"requests": [{}]}, "content"),
    ],
    ids=["nothing", "two sizes", "a picture", "no content"],
)
def test_what_openai_cannot_embed_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        to_openai(**fields)
    assert caught.value.param == param


def test_geminis_vectors_as_openai_tells_them() -> None:
    body = b'{"embeddings":[{"values":[0.10,-2e-3]},{"values":[1,0]}],"usageMetadata":{"promptTokenCount":7}}'
    asked = to_gemini(input=["one", "two"])
    assert told(asked, body) == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.1, -0.002]},
            {"object": "embedding", "index": 1, "embedding": [1, 0]},
        ],
        "model": "google/g",
        "usage": {"prompt_tokens": 7, "total_tokens": 7, "cost": 0.5, "cost_currency": "RUB"},
    }
    found = vectors(asked, body)
    assert found is not None
    assert bytes(found[0]) == b"[0.10,-2e-3]", "not printed again"


def test_base64_has_the_floats_of_openais_sdk() -> None:
    asked = to_gemini(input="one", encoding_format="base64")
    packed = told(asked, b'{"embeddings":[{"values":[0.25,-1,3.5]}]}')["data"][0]["embedding"]
    assert struct.unpack("<3f", b64decode(packed)) == (0.25, -1.0, 3.5)


def test_openais_vectors_as_gemini_tells_them() -> None:
    body = b'{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}],"usage":{"prompt_tokens":7}}'
    batch = told(to_openai(requests=[{"content": content("a")}, {"content": content("b")}]), body)
    assert batch["embeddings"] == [{"values": [1]}, {"values": [2]}], "in the order of the texts"
    assert batch["usageMetadata"]["promptTokenCount"] == 7
    single = told(to_openai(single=True, content=content("a")), b'{"data":[{"index":0,"embedding":[1]}]}')
    assert single["embedding"] == {"values": [1]}


def test_base64_that_nobody_asked_for_is_unpacked() -> None:
    packed = b64encode(struct.pack("<2f", 0.5, -1.0)).decode()
    body = json.dumps({"data": [{"index": 0, "embedding": packed}]}).encode()
    assert told(to_openai(single=True, content=content("a")), body)["embedding"]["values"] == [0.5, -1.0]


@pytest.mark.parametrize("body", [b"{}", b"not json", b'{"embeddings":[{"values":[1]}]}', b'{"embeddings":[{},{}]}'])
def test_another_number_of_vectors_is_no_answer(body: bytes) -> None:
    assert vectors(to_gemini(input=["one", "two"]), body) is None
