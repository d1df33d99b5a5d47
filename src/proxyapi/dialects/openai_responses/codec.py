"""OpenAI Responses as one of the dialects that are translated into each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from proxyapi.dialects.codec import Asked, Encoded, Encoder, TargetModel, Unseal
from proxyapi.dialects.dialect import Decoder
from proxyapi.dialects.model import DialectName, Request
from proxyapi.dialects.openai_responses.reply_in import ResponseBody, ResponseStream
from proxyapi.dialects.openai_responses.reply_out import BodyEncoder, StreamEncoder
from proxyapi.dialects.openai_responses.request_in import read_request
from proxyapi.dialects.openai_responses.request_out import write_request


class ResponsesCodec:
    name: ClassVar[DialectName] = "openai_responses"
    title: ClassVar[str] = "OpenAI Responses"
    fields: ClassVar[Mapping[str, str]] = {
        "system": "instructions",
        "messages": "input",
        "messages.system": "input",
        "messages.tool_result": "input.call_id",
        "messages.cache": "input.content.prompt_cache_breakpoint",
        "output_tokens_max": "max_output_tokens",
        "server_tool_calls_max": "max_tool_calls",
        "sampling.temperature": "temperature",
        "sampling.top_p": "top_p",
        "logprobs": "top_logprobs",
        "reasoning.show": "reasoning.summary",
        "format": "text.format",
        "verbosity": "text.verbosity",
        "cache.key": "prompt_cache_key",
        "cache.explicit": "prompt_cache_options.mode",
        "cache.lifetime": "prompt_cache_options.ttl",
        "storage.store": "store",
        "storage.previous_response_id": "previous_response_id",
        "storage.conversation": "conversation",
        "storage.background": "background",
        "compaction_threshold": "context_management",
        "tools.web_search.live": "tools.external_web_access",
        "tool_choice.parallel": "parallel_tool_calls",
        "tool_choice.names": "tool_choice.tools",
        "user": "safety_identifier",
        "tier": "service_tier",
    }
    """`spelled` also knows the fields below one that stands here: `format.strict` is `text.format.strict`."""

    def decode(self, body: bytes, *, model: str | None = None, stream: bool = False, unseal: Unseal) -> Request:
        return read_request(body, model=model, stream=stream, unseal=unseal)

    def encode(self, request: Request, target: TargetModel) -> Encoded:
        return write_request(request, target)

    def decoder(self, *, stream: bool, target: TargetModel) -> Decoder:
        return ResponseStream() if stream else ResponseBody()

    def encoder(self, *, stream: bool, asked: Asked) -> Encoder:
        return StreamEncoder(asked) if stream else BodyEncoder(asked)
