"""Anthropic Messages in translation: requests of its clients and for its providers, and replies to its clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from proxyapi.dialects.anthropic.reply_in import MessageBody, MessageStream
from proxyapi.dialects.anthropic.reply_out import MessageBodyEncoder, MessageStreamEncoder
from proxyapi.dialects.anthropic.request_in import read_request
from proxyapi.dialects.anthropic.request_out import write_request
from proxyapi.dialects.codec import Asked, Encoded, Encoder, TargetModel, Unseal
from proxyapi.dialects.dialect import Decoder
from proxyapi.dialects.model import DialectName, Request


class AnthropicCodec:
    name: ClassVar[DialectName] = "anthropic"
    title: ClassVar[str] = "Anthropic Messages"
    fields: ClassVar[Mapping[str, str]] = {
        "output_tokens_max": "max_tokens",
        "stop": "stop_sequences",
        "sampling.temperature": "temperature",
        "sampling.top_p": "top_p",
        "sampling.top_k": "top_k",
        "reasoning": "thinking",
        "reasoning.adaptive": "thinking.type",
        "reasoning.between_tools": "thinking.type",
        "reasoning.effort": "output_config.effort",
        "reasoning.show": "thinking.display",
        "format": "output_config.format",
        "format.schema": "output_config.format.schema",
        "tool_choice.names": "tool_choice.name",
        "tool_choice.parallel": "tool_choice.disable_parallel_tool_use",
        "tools.parameters": "tools.input_schema",
        "tools.examples": "tools.input_examples",
        "tools.stream_arguments_eagerly": "tools.eager_input_streaming",
        "cache.automatic": "cache_control",
        "compaction_threshold": "context_management",
        "user": "metadata.user_id",
        "tier": "service_tier",
        "messages.cache": "messages.cache_control",
        "tools.cache": "tools.cache_control",
        "system.cache": "system.cache_control",
    }

    def decode(self, body: bytes, *, model: str | None = None, stream: bool = False, unseal: Unseal) -> Request:
        return read_request(body, model=model, stream=stream, unseal=unseal)

    def encode(self, request: Request, target: TargetModel) -> Encoded:
        return write_request(request, target)

    def decoder(self, *, stream: bool, target: TargetModel) -> Decoder:
        return MessageStream() if stream else MessageBody()

    def encoder(self, *, stream: bool, asked: Asked) -> Encoder:
        return MessageStreamEncoder(asked) if stream else MessageBodyEncoder(asked)
