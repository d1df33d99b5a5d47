"""Vectors of texts between OpenAI's embeddings and Gemini's batchEmbedContents: requests, and answers back.

The numbers are handed on as the provider wrote them. https://platform.openai.com/docs/api-reference/embeddings,
https://ai.google.dev/api/embeddings. Texts only: token ids are of one tokenizer, and pictures of one model.
"""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.call import WireName
from proxyapi.dialects.fields import decode
from proxyapi.dialects.model import ABSENT, given
from proxyapi.errors import InvalidRequest

GEMINI_INPUTS_MAX = 100
"""Of one batchEmbedContents. OpenAI takes 2,048."""
_FLOAT_BYTES = 4


class Question(Struct, frozen=True, kw_only=True):
    """A request in the provider's dialect, and what its answer's translation has to know."""

    client: WireName
    provider: WireName
    body: bytes
    texts: int
    """So many vectors are expected."""
    model: str
    """As the client named it."""
    base64: bool = False
    """OpenAI's `encoding_format`."""
    single: bool = False
    """Gemini's embedContent: one vector, not a list."""
    dropped: tuple[str, ...] = ()
    """Fields of the client that the provider lacks."""


class _OpenAIRequest(Struct):
    input: str | list[str | int | list[int]]
    model: str | None = None
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None
    task_type: str | None = None
    """Not OpenAI's own: Gemini's, for those who know that they talk to it."""
    title: str | None = None


class _Part(Struct):
    text: str | None = None


class _Content(Struct):
    parts: list[_Part] | _Part = []


class _GeminiRequest(Struct):
    content: _Content | str | None = None
    taskType: str | None = None
    task_type: str | None = None
    title: str | None = None
    outputDimensionality: int | None = None
    output_dimensionality: int | None = None


class _GeminiRequests(_GeminiRequest):
    requests: list[_GeminiRequest] | None = None


class _Values(Struct):
    values: Raw = ABSENT


class _GeminiAnswer(Struct):
    embedding: _Values | None = None
    embeddings: list[_Values] | None = None


class _Datum(Struct):
    embedding: Raw = ABSENT
    index: int = 0


class _OpenAIAnswer(Struct):
    data: list[_Datum] = []


_OPENAI_REQUEST = msgspec.json.Decoder(_OpenAIRequest)
_GEMINI_REQUEST = msgspec.json.Decoder(_GeminiRequests)
_OPENAI_ANSWER = msgspec.json.Decoder(_OpenAIAnswer)
_GEMINI_ANSWER = msgspec.json.Decoder(_GeminiAnswer)
_FLOATS = msgspec.json.Decoder(list[float])
_encode = msgspec.json.Encoder().encode


# --- requests ---------------------------------------------------------------------------------------------------------


def question(client: str, body: bytes, *, model: str, asked_as: str, single: bool) -> Question:
    """A client's request for the provider of the other dialect. `model`: as the provider names it. InvalidRequest."""
    return _QUESTIONS[client](body, model, asked_as, single)


def _for_gemini(body: bytes, model: str, asked_as: str, _single: bool) -> Question:
    wire = decode(_OPENAI_REQUEST, body)
    texts = [wire.input] if isinstance(wire.input, str) else wire.input
    if not texts or not all(isinstance(text, str) for text in texts):
        why = "it is empty" if not texts else f"{asked_as} has another tokenizer; send the texts instead of token ids"
        raise InvalidRequest(f"input cannot be embedded: {why}", param="input")
    if len(texts) > GEMINI_INPUTS_MAX:
        raise InvalidRequest(f"input: {asked_as} takes {GEMINI_INPUTS_MAX} texts at most", param="input")
    settings = {"taskType": wire.task_type, "title": wire.title, "outputDimensionality": wire.dimensions}
    given_settings = {name: value for name, value in settings.items() if value is not None}
    requests = [
        {"model": f"models/{model}", "content": {"parts": [{"text": text}]}, **given_settings} for text in texts
    ]
    return Question(
        client="openai_embeddings",
        provider="gemini_embed",
        body=_encode({"requests": requests}),
        texts=len(texts),
        model=asked_as,
        base64=wire.encoding_format == "base64",
    )


def _for_openai(body: bytes, model: str, asked_as: str, single: bool) -> Question:
    wire = decode(_GEMINI_REQUEST, body)
    requests: Sequence[_GeminiRequest] = [wire] if single else wire.requests or ()
    if not requests:
        raise InvalidRequest("requests: there is nothing to embed", param="requests")
    sizes = {request.outputDimensionality or request.output_dimensionality for request in requests}
    if len(sizes) > 1:
        raise InvalidRequest(
            f"outputDimensionality has to be the same in all requests to {asked_as}", param="outputDimensionality"
        )
    fields: dict[str, Any] = {"model": model, "input": [_text(request, asked_as) for request in requests]}
    if size := sizes.pop():
        fields["dimensions"] = size
    dropped = {
        "taskType": any(request.taskType or request.task_type for request in requests),
        "title": any(request.title for request in requests),
    }
    return Question(
        client="gemini_embed",
        provider="openai_embeddings",
        body=_encode({**fields, "encoding_format": "float"}),
        texts=len(requests),
        model=asked_as,
        single=single,
        dropped=tuple(name for name, lost in dropped.items() if lost),
    )


def _text(request: _GeminiRequest, asked_as: str) -> str:
    """One text of a content, whose parts are embedded together."""
    if isinstance(request.content, str):
        return request.content
    parts = request.content.parts if request.content is not None else []
    texts = [part.text for part in ([parts] if isinstance(parts, _Part) else parts)]
    if not texts or None in texts:
        raise InvalidRequest(f"content: {asked_as} embeds texts only", param="content")
    return "\n".join(text for text in texts if text is not None)


_QUESTIONS: dict[str, Callable[[bytes, str, str, bool], Question]] = {
    "openai_embeddings": _for_gemini,
    "gemini_embed": _for_openai,
}


# --- answers ----------------------------------------------------------------------------------------------------------


def vectors(asked: Question, body: bytes) -> list[Raw] | None:
    """JSON arrays of numbers in the order of the texts. None: the answer is none, or has another number of them."""
    try:
        found = _gemini_vectors(body) if asked.provider == "gemini_embed" else _openai_vectors(body)
    except (msgspec.DecodeError, ValueError, struct.error):
        return None
    return found if len(found) == asked.texts and all(map(given, found)) else None


def _gemini_vectors(body: bytes) -> list[Raw]:
    wire = _GEMINI_ANSWER.decode(body)
    return [one.values for one in wire.embeddings or ([wire.embedding] if wire.embedding is not None else [])]


def _openai_vectors(body: bytes) -> list[Raw]:
    data = sorted(_OPENAI_ANSWER.decode(body).data, key=lambda datum: datum.index)
    # Some servers answer in base64 whatever they are asked for.
    return [_unpacked(datum.embedding) for datum in data]


def _unpacked(embedding: Raw) -> Raw:
    if not bytes(embedding).startswith(b'"'):
        return embedding
    data = b64decode(msgspec.json.decode(embedding, type=str))
    return Raw(_encode(list(struct.unpack(f"<{len(data) // _FLOAT_BYTES}f", data))))


def _packed(values: Raw) -> str:
    """32-bit floats, the lowest byte first, in base64: what OpenAI's SDKs ask for."""
    numbers = _FLOATS.decode(values)
    return b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def answer(asked: Question, found: Sequence[Raw], *, tokens: int, cost: str, currency: str) -> bytes:
    """The client's answer. `cost`: decimal text."""
    paid = {"cost": Raw(cost.encode()), "cost_currency": currency}
    if asked.client == "gemini_embed":
        details = [{"modality": "TEXT", "tokenCount": tokens}]
        metadata = {"promptTokenCount": tokens, "promptTokensDetails": details, **paid}
        embeddings = [{"values": values} for values in found]
        shown: dict[str, Any] = {"embedding": embeddings[0]} if asked.single else {"embeddings": embeddings}
        return _encode({**shown, "usageMetadata": metadata})
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(values) if asked.base64 else values}
        for index, values in enumerate(found)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens, **paid}
    return _encode({"object": "list", "data": data, "model": asked.model, "usage": usage})
