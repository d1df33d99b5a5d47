"""OpenAI Chat Completions: what is read of a chunk, or of a whole completion, with the additions of other speakers.

Only what is needed, since most replies are only metered. Fields of odd speakers are loose: nothing depends on them.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Raw, Struct

from proxyapi.dialects.model import ABSENT


class Logprobs(Struct):
    """Of the tokens of one chunk, or of a whole body."""

    content: Raw = ABSENT
    refusal: Raw = ABSENT
    reasoning_content: Raw = ABSENT
    """DeepSeek."""


class Function(Struct):
    name: str | None = None
    arguments: str | dict[str, Raw] | None = None
    """A text; an object at some speakers, whose members stay as they are written."""
    input: str | None = None


class Call(Struct):
    index: int | None = None
    id: str | None = None
    function: Function | None = None
    custom: Function | None = None
    extra_content: dict[str, Any] | None = None


class Piece(Struct):
    text: str | None = None
    thinking: str | list[Piece] | None = None


class WireAudio(Struct):
    id: str | None = None
    data: str | None = None
    transcript: str | None = None
    expires_at: int | None = None


class Delta(Struct, gc=False):
    content: str | list[Piece] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[Call] | None = None
    refusal: str | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    function_call: Function | None = None
    audio: WireAudio | None = None
    images: list[dict[str, Any]] | None = None
    annotations: list[dict[str, Any]] | None = None
    extra_content: dict[str, Any] | None = None


class WireChoice(Struct, gc=False):
    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    text: str | None = None
    """Of a legacy completion."""
    logprobs: Logprobs | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    """OpenRouter: the word of the provider behind it."""
    error: Raw = ABSENT


class Chunk(Struct, gc=False):
    choices: list[WireChoice] | None = None
    id: str | None = None
    model: str | None = None
    created: int | float | None = None
    service_tier: str | None = None
    usage: Raw = ABSENT
    x_groq: Raw = ABSENT
    error: Raw = ABSENT
    citations: Raw = ABSENT
    """Perplexity: addresses of the sources of the whole answer, in every chunk."""
    search_results: Raw = ABSENT


class TextDelta(Struct, gc=False):
    """A delta of text alone: each other field that `Delta` reads is null, or not there."""

    content: str
    reasoning_content: None = None
    reasoning: None = None
    tool_calls: None = None
    refusal: None = None
    reasoning_details: None = None
    function_call: None = None
    audio: None = None
    images: None = None
    annotations: None = None
    extra_content: None = None


class TextChoice(Struct, gc=False):
    delta: TextDelta
    index: Literal[0] = 0
    logprobs: None = None
    finish_reason: None = None
    error: None = None


class TextChunk(Struct, gc=False):
    """A chunk that tells more text of the first choice, and nothing else that matters behind the first chunk."""

    choices: tuple[TextChoice]
    usage: None = None
    x_groq: None = None
    error: None = None
