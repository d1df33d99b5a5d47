"""Embeddings (OpenAI's and Gemini's) and moderations: numbers made of a hash of the text."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from collections.abc import Sequence

from proxyapi.sandbox.reading import (
    MISSING,
    JsonObject,
    Refused,
    as_int,
    as_list,
    as_object,
    as_objects,
    as_text,
    either,
)
from proxyapi.sandbox.reply import Reply, json_reply
from proxyapi.sandbox.request import Request
from proxyapi.sandbox.turn import bare

_INPUTS_MAX = 2_048
_DIMENSIONS_MAX = 4_096
_DIMENSIONS = {
    "text-embedding-3-large": 3_072, "gemini-embedding-001": 3_072, "gemini-embedding-2": 3_072,
    "text-embedding-004": 768, "embedding-001": 768,
}  # fmt: skip
_DIMENSIONS_DEFAULT = 1_536
_NANOS_PER_TOKEN = 20
"""Of OpenRouter's `usage.cost`, in 10^-9 USD."""

_CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
_IMAGE_CATEGORIES = {
    "self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence", "violence/graphic",
}  # fmt: skip
_VIOLENT = re.compile(r"\bkill|\bmurder|\bharm\b|\bубит|\bубью|\bубей|\bнасили", re.IGNORECASE)


def vector(text: str, dimensions: int) -> list[float]:
    """A vector of length 1; the same text has the same one."""
    raw = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(2 * dimensions)
    numbers = [number + 0.5 for number in struct.unpack(f"<{dimensions}h", raw)]
    length = math.sqrt(sum(number * number for number in numbers))
    return [round(number / length, 9) for number in numbers]


def openai_embeddings(request: Request) -> Reply:
    body = request.body
    model = request.required_model()
    inputs = _inputs(body.get("input"))
    dimensions = _dimensions(model, body.get("dimensions"), "dimensions")
    as_base64 = body.get("encoding_format") == "base64"
    tokens = sum(len(entry) if isinstance(entry, list) else request.count(entry) for entry in inputs)
    data = []
    for index, entry in enumerate(inputs):
        numbers = vector(entry if isinstance(entry, str) else repr(entry), dimensions)
        embedding = base64.b64encode(struct.pack(f"<{dimensions}f", *numbers)).decode() if as_base64 else numbers
        data.append({"object": "embedding", "index": index, "embedding": embedding})
    answer: JsonObject = {"object": "list", "data": data, "model": model}
    if request.magic.kind != "nousage":
        usage: JsonObject = {"prompt_tokens": tokens, "total_tokens": tokens}
        if request.provider == "openrouter":
            usage["cost"] = tokens * _NANOS_PER_TOKEN / 1e9
        answer["usage"] = usage
    return json_reply(answer)


def _inputs(value: object) -> Sequence[str | list[object]]:
    """A text, texts, token ids, or lists of token ids."""
    if isinstance(value, str):
        entries: list[str | list[object]] = [value]
    else:
        listed = as_list(value)
        if listed and all(isinstance(entry, int) for entry in listed):
            entries = [listed]
        else:
            entries = [entry if isinstance(entry, str) else as_list(entry) for entry in listed]
    if not entries or not all(entries):
        raise Refused(400, "'$.input' is invalid: an empty input cannot be embedded.", param="input")
    if len(entries) > _INPUTS_MAX:
        raise Refused(400, f"'$.input' is invalid: at most {_INPUTS_MAX} inputs.", param="input")
    return entries


def _dimensions(model: str, value: object, param: str) -> int:
    dimensions = as_int(value) if value is not None else _DIMENSIONS.get(bare(model), _DIMENSIONS_DEFAULT)
    if dimensions is None or not 1 <= dimensions <= _DIMENSIONS_MAX:
        raise Refused(400, f"Invalid '{param}': expected 1 to {_DIMENSIONS_MAX}.", param=param)
    return dimensions


def gemini_embeddings(request: Request) -> Reply:
    """`embedContent` and `batchEmbedContents`."""
    batch = request.path.endswith(":batchEmbedContents")
    entries = as_objects(request.body.get("requests")) if batch else [request.body]
    if not entries or len(entries) > _INPUTS_MAX:
        raise Refused(400, "* BatchEmbedContentsRequest.requests: must have 1 to 2048 entries")
    embeddings, tokens = [], 0
    for entry in entries:
        parts = as_objects(as_object(entry.get("content")).get("parts"))
        text = "\n".join(as_text(part.get("text")) for part in parts)
        if not parts:
            raise Refused(400, "* EmbedContentRequest.content: contents is not specified")
        config = as_object(either(entry, "embedContentConfig", "embed_content_config"))
        wanted = either(entry, "outputDimensionality", "output_dimensionality")
        wanted = wanted if wanted is not None else either(config, "outputDimensionality", "output_dimensionality")
        tokens += request.count(text) if text else 1
        embeddings.append({"values": vector(text, _dimensions(request.model, wanted, "outputDimensionality"))})
    answer: JsonObject = {"embeddings": embeddings} if batch else {"embedding": embeddings[0]}
    if request.magic.kind != "nousage":
        details = [{"modality": "TEXT", "tokenCount": tokens}]
        answer["usageMetadata"] = {"promptTokenCount": tokens, "promptTokensDetails": details}
    return json_reply(answer)


def moderations(request: Request) -> Reply:
    """A text that threatens somebody is flagged as violence; nothing else ever is."""
    value = request.body.get("input")
    parts = as_objects(value)
    texts = [value] if isinstance(value, str) else [entry for entry in as_list(value) if isinstance(entry, str)]
    if parts:
        texts = [" ".join(as_text(part.get("text")) for part in parts)]
    if not texts:
        raise Refused(400, "Missing required parameter: 'input'.", param="input", code=MISSING)
    pictures = any(part.get("type") == "image_url" for part in parts)
    results = []
    for text in texts:
        flagged = _VIOLENT.search(text) is not None
        seen = {name: pictures and name in _IMAGE_CATEGORIES for name in _CATEGORIES}
        results.append(
            {
                "flagged": flagged,
                "categories": {name: flagged and name == "violence" for name in _CATEGORIES},
                "category_scores": {name: 0.97 if flagged and name == "violence" else 0.0001 for name in _CATEGORIES},
                "category_applied_input_types": {name: ["text", "image"] if seen[name] else ["text"] for name in seen},
            }
        )
    model = request.model or "omni-moderation-latest"
    return json_reply({"id": "modr-" + request.ids.word("reply", 24), "model": model, "results": results})
