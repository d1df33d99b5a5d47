"""How many tokens a prompt has: asked for in any dialect, for any model. Free.

Where the provider counts, the prompt is translated as a request would be and the provider's own number told. Where it
does not, or can't just now, the gateway's estimate is. `x-proxyapi-count: provider | estimated` says which.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.codecs import CODECS
from proxyapi.dialects.model import ABSENT, DialectName, given
from proxyapi.gateway.entrance import JSON_HEADERS
from proxyapi.pricing.forecast import counted
from proxyapi.usage import INPUT_TOKENS
from proxyapi.wire.errors import WireError

if TYPE_CHECKING:
    from proxyapi.dialects.call import Call
    from proxyapi.gateway.translate import Translated, Translator
    from proxyapi.gateway.upstream import Upstream
    from proxyapi.gateway.visit import Visit
    from proxyapi.pricing.tokens import Tokenizer
    from proxyapi.providers.catalog import Target

COUNT_HEADER = b"x-proxyapi-count: %b\r\n"
INLINE_BYTES_MAX = 100_000
"""Larger prompts are counted in a thread."""
REPLY_BYTES_MAX = 65_536
"""A number and a few words."""

_CONVERSATIONS: dict[str, DialectName] = {
    "openai_count": "openai_responses",
    "anthropic_count": "anthropic",
    "gemini_count": "gemini",
}
"""The dialect of the conversation that is counted."""
_COUNTED: dict[str, frozenset[str]] = {
    "openai_count": frozenset(
        {
            "conversation",
            "input",
            "instructions",
            "model",
            "parallel_tool_calls",
            "reasoning",
            "text",
            "tool_choice",
            "tools",
            "truncation",
        }
    ),
    "anthropic_count": frozenset(
        {
            "cache_control",
            "context_management",
            "mcp_servers",
            "messages",
            "model",
            "output_config",
            "system",
            "thinking",
            "tool_choice",
            "tools",
        }
    ),
}
"""The fields of a request that counting takes; others are refused there. API references of both, 2026-11-23."""


class _Number(Struct):
    input_tokens: int | None = None
    totalTokens: int | None = None


class _Wrapped(Struct, rename="camel"):
    generate_content_request: Raw = ABSENT


_NUMBER = msgspec.json.Decoder(_Number)
_WRAPPED = msgspec.json.Decoder(_Wrapped)
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_encode = msgspec.json.Encoder().encode

_ANSWERS: dict[str, Callable[[int], object]] = {
    "openai_count": lambda tokens: {"object": "response.input_tokens", "input_tokens": tokens},
    "anthropic_count": lambda tokens: {"input_tokens": tokens},
    "gemini_count": lambda tokens: {
        "totalTokens": tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
    },
}


class Counting:
    def __init__(self, *, translator: Translator, upstream: Upstream, tokenizer: Tokenizer) -> None:
        self._translator = translator
        self._upstream = upstream
        self._tokenizer = tokenizer

    async def answer(self, visit: Visit, call: Call, body: bytes, target: Target) -> None:
        """The number in the client's dialect. InvalidRequest: the prompt can't be said to that model."""
        tokens = await self._asked(visit, call, body, target) if target.dialect else None
        source = b"estimated" if tokens is None else b"provider"
        if tokens is None:
            large = call.prompt_bytes > INLINE_BYTES_MAX
            tokens = await asyncio.to_thread(self._estimate, call, target) if large else self._estimate(call, target)
        visit.ending = "counted"
        visit.respond(200, JSON_HEADERS + COUNT_HEADER % source, _encode(_ANSWERS[call.dialect](tokens)))

    async def _asked(self, visit: Visit, call: Call, body: bytes, target: Target) -> int | None:
        """The provider's number. None: it has none for this model, or does not answer."""
        route, client, provider = visit.route, _CONVERSATIONS[call.dialect], _CONVERSATIONS[target.dialect]
        assert route is not None, "the entrance found it"
        if client not in CODECS or provider not in CODECS:
            return None
        translated = await self._translator.translate(
            visit,
            msgspec.structs.replace(route, dialect=client),
            call,
            _conversation(call.dialect, body),
            msgspec.structs.replace(target, dialect=provider),
        )
        path = target.provider.path(target.dialect, "count_tokens", model=target.model, action="countTokens")
        try:
            response = await self._upstream.send_as(
                target.provider, path, translated.lines, count_body(target.dialect, translated, target)
            )
            try:
                answer = await response.read(REPLY_BYTES_MAX)
            finally:
                response.close()
            number = _NUMBER.decode(answer) if response.status == 200 else _Number()
        except (WireError, msgspec.DecodeError):
            return None
        return number.totalTokens if target.dialect == "gemini_count" else number.input_tokens

    def _estimate(self, call: Call, target: Target) -> int:
        """As the gateway counts where a provider reports no usage: without the factors of a hold."""
        operation = "embeddings" if target.facts.mode == "embedding" else "chat"
        usage = counted(msgspec.structs.replace(call, operation=operation), target.facts, self._tokenizer, ())
        return sum(quantity for unit, quantity in usage.items() if unit in INPUT_TOKENS)


def _conversation(dialect: str, body: bytes) -> bytes:
    """The request whose prompt is counted: Gemini may wrap it."""
    if dialect == "gemini_count":
        wrapped = _WRAPPED.decode(body).generate_content_request
        return bytes(wrapped) if given(wrapped) else body
    return body


def count_body(dialect: str, translated: Translated, target: Target) -> bytes:
    """A request as its provider counts it."""
    body = translated.encoded.body
    if dialect == "gemini_count":
        return _encode({"generateContentRequest": {"model": f"models/{target.model}", **_MEMBERS.decode(body)}})
    return _encode({name: value for name, value in _MEMBERS.decode(body).items() if name in _COUNTED[dialect]})
