"""The codecs of the conversational dialects: what can be translated into each other. This is the whole list."""

from __future__ import annotations

from proxyapi.dialects.anthropic.codec import AnthropicCodec
from proxyapi.dialects.codec import Codec
from proxyapi.dialects.gemini.codec import GeminiCodec
from proxyapi.dialects.openai_chat.codec import ChatCodec
from proxyapi.dialects.openai_responses.codec import ResponsesCodec

CODECS: dict[str, Codec] = {
    "openai_chat": ChatCodec(),
    "openai_responses": ResponsesCodec(),
    "anthropic": AnthropicCodec(),
    "gemini": GeminiCodec(),
}
