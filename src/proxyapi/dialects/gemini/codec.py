"""Gemini generateContent in translation: requests of its clients and for its providers, and replies to its clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from proxyapi.dialects.codec import Asked, Encoded, Encoder, TargetModel, Unseal
from proxyapi.dialects.dialect import Decoder
from proxyapi.dialects.gemini.reply_in import GeminiBody, GeminiStream
from proxyapi.dialects.gemini.reply_out import GeminiBodyEncoder, GeminiStreamEncoder
from proxyapi.dialects.gemini.request_in import decode_request
from proxyapi.dialects.gemini.request_out import encode_request
from proxyapi.dialects.model import DialectName, Request

_CONFIG = {
    "output_tokens_max": "maxOutputTokens",
    "choices": "candidateCount",
    "stop": "stopSequences",
    "sampling.temperature": "temperature",
    "sampling.top_p": "topP",
    "sampling.top_k": "topK",
    "sampling.frequency_penalty": "frequencyPenalty",
    "sampling.presence_penalty": "presencePenalty",
    "sampling.seed": "seed",
    "logprobs": "responseLogprobs",
    "reasoning": "thinkingConfig",
    "reasoning.effort": "thinkingConfig.thinkingLevel",
    "reasoning.budget_tokens": "thinkingConfig.thinkingBudget",
    "reasoning.show": "thinkingConfig.includeThoughts",
    "format": "responseSchema",
    "modalities": "responseModalities",
    "audio": "speechConfig",
    "media_detail": "mediaResolution",
}


class GeminiCodec:
    name: ClassVar[DialectName] = "gemini"
    title: ClassVar[str] = "Gemini generateContent"
    fields: ClassVar[Mapping[str, str]] = {
        "system": "systemInstruction",
        "messages": "contents",
        "tool_choice": "toolConfig.functionCallingConfig",
        "cache.content": "cachedContent",
        "storage.store": "store",
        "metadata": "labels",
        "tier": "serviceTier",
        **{field: f"generationConfig.{name}" for field, name in _CONFIG.items()},
    }

    def decode(self, body: bytes, *, model: str | None = None, stream: bool = False, unseal: Unseal) -> Request:
        return decode_request(body, model=model, stream=stream, unseal=unseal)

    def encode(self, request: Request, target: TargetModel) -> Encoded:
        return encode_request(request, target)

    def decoder(self, *, stream: bool, target: TargetModel) -> Decoder:
        return GeminiStream(target.model) if stream else GeminiBody(target.model)

    def encoder(self, *, stream: bool, asked: Asked) -> Encoder:
        return GeminiStreamEncoder(asked) if stream else GeminiBodyEncoder(asked)
