"""Embeddings and moderations."""

import base64
import json
import math
import struct

import pytest

from proxyapi.sandbox.server import Sandbox
from proxyapi.sandbox.vectors import vector


def post(path: str, body: dict[str, object]) -> dict[str, object]:
    reply = Sandbox().reply("POST", path, "", json.dumps(body).encode(), "application/json")
    answer = json.loads(reply.pieces[0])
    assert isinstance(answer, dict)
    return answer


def test_a_vector_has_length_one_and_belongs_to_its_text() -> None:
    assert math.hypot(*vector("a", 256)) == pytest.approx(1, abs=1e-6)
    assert vector("a", 64) == vector("a", 64) != vector("b", 64)


def test_the_base64_form_is_the_same_vector_in_32_bit_floats() -> None:
    body: dict[str, object] = {"model": "text-embedding-3-small", "input": "hello", "dimensions": 8}
    plain = post("/openai/v1/embeddings", body)["data"][0]["embedding"]  # type: ignore[index]
    packed = post("/openai/v1/embeddings", {**body, "encoding_format": "base64"})["data"][0]["embedding"]  # type: ignore[index]
    assert list(struct.unpack("<8f", base64.b64decode(packed))) == pytest.approx(plain, abs=1e-7)


@pytest.mark.parametrize(("value", "count"), [("a", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1], [2], [3]], 3)])
def test_texts_and_token_ids_are_embedded_one_by_one(value: object, count: int) -> None:
    answer = post("/openai/v1/embeddings", {"model": "text-embedding-3-large", "input": value})
    data = answer["data"]
    assert isinstance(data, list)
    assert [entry["index"] for entry in data] == list(range(count))
    assert len(data[0]["embedding"]) == 3_072


@pytest.mark.parametrize("value", [None, "", [], [""], 3])
def test_an_empty_input_is_refused(value: object) -> None:
    assert post("/openai/v1/embeddings", {"model": "m", "input": value})["error"]["param"] == "input"  # type: ignore[index]


def test_gemini_batches_take_both_spellings_of_the_dimensions() -> None:
    entry = {"content": {"parts": [{"text": "a"}]}}
    requests = [{**entry, "outputDimensionality": 5}, {**entry, "output_dimensionality": 6}, entry]
    answer = post("/google/v1beta/models/gemini-embedding-001:batchEmbedContents", {"requests": requests})
    assert [len(each["values"]) for each in answer["embeddings"]] == [5, 6, 3_072]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("text", "flagged"), [("I will kill you", True), ("Я тебя убью", True), ("skill", False)])
def test_only_violence_is_flagged(text: str, flagged: bool) -> None:
    (result,) = post("/openai/v1/moderations", {"input": text})["results"]  # type: ignore[misc]
    assert result["flagged"] is flagged  # type: ignore[has-type]
