"""OpenAI Chat Completions as one of the dialects that are translated into each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from proxyapi.dialects.codec import Asked, Encoded, Encoder, TargetModel, Unseal
from proxyapi.dialects.dialect import Decoder
from proxyapi.dialects.model import DialectName, Request
from proxyapi.dialects.openai_chat.reply_in import ChatBody, ChatStream
from proxyapi.dialects.openai_chat.reply_out import ChatBodyEncoder, ChatStreamEncoder
from proxyapi.dialects.openai_chat.request_in import decode_request
from proxyapi.dialects.openai_chat.request_out import encode_request
from proxyapi.dialects.openai_chat.think_tags import ThinkTagReader


class ChatCodec:
    name: ClassVar[DialectName] = "openai_chat"
    title: ClassVar[str] = "OpenAI Chat Completions"
    fields: ClassVar[Mapping[str, str]] = {
        "system": "messages",
        "choices": "n",
        "output_tokens_max": "max_completion_tokens",
        "format": "response_format",
        "format.strict": "response_format.json_schema.strict",
        "reasoning": "reasoning_effort",
        "reasoning.effort": "reasoning_effort",
        "reasoning.budget_tokens": "reasoning.max_tokens",
        "reasoning.show": "reasoning.exclude",
        "sampling.temperature": "temperature",
        "sampling.top_p": "top_p",
        "sampling.top_k": "top_k",
        "sampling.frequency_penalty": "frequency_penalty",
        "sampling.presence_penalty": "presence_penalty",
        "sampling.seed": "seed",
        "sampling.logit_bias": "logit_bias",
        "cache.key": "prompt_cache_key",
        "cache.lifetime": "prompt_cache_options.ttl",
        "cache.explicit": "prompt_cache_options.mode",
        "cache.automatic": "cache_control",
        "messages.cache": "messages.cache_control",
        "tools.cache": "tools.cache_control",
        "messages.tool_result": "messages.tool_call_id",
        "storage.store": "store",
        "tool_choice.parallel": "parallel_tool_calls",
        "tool_choice.names": "tool_choice.allowed_tools",
        "tier": "service_tier",
        "user": "safety_identifier",
    }

    def decode(self, body: bytes, *, model: str | None = None, stream: bool = False, unseal: Unseal) -> Request:
        return decode_request(body, model=model, stream=stream, unseal=unseal)

    def encode(self, request: Request, target: TargetModel) -> Encoded:
        return encode_request(request, target)

    def decoder(self, *, stream: bool, target: TargetModel) -> Decoder:
        reader = ThinkTagReader() if target.quirks.reasoning_field == "think_tags" else None
        return ChatStream(reader) if stream else ChatBody(reader)

    def encoder(self, *, stream: bool, asked: Asked) -> Encoder:
        return ChatStreamEncoder(asked) if stream else ChatBodyEncoder(asked)
