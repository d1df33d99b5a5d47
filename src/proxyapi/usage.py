"""What a provider bills for: quantities by unit. Units are disjoint, so that a bill is a plain sum of lines."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Unit(StrEnum):
    """What is metered. The value is the name that customers see and the journal keeps."""

    INPUT = "input_tokens"
    """Fresh input: text, documents, video and tool results; neither read from nor written to a cache."""
    INPUT_AUDIO = "input_audio_tokens"
    """Fresh audio input."""
    INPUT_IMAGE = "input_image_tokens"
    """Only where the provider says so; otherwise images are part of INPUT."""
    CACHE_READ = "cache_read_tokens"
    """Input served from a cache, audio apart."""
    CACHE_READ_AUDIO = "cache_read_audio_tokens"
    """Audio input served from a cache."""
    CACHE_WRITE_5M = "cache_write_5m_tokens"
    """Also every write whose lifetime the provider does not name."""
    CACHE_WRITE_30M = "cache_write_30m_tokens"
    CACHE_WRITE_1H = "cache_write_1h_tokens"
    CACHE_WRITE_12H = "cache_write_12h_tokens"
    OUTPUT = "output_tokens"
    """Visible text, tool arguments and whatever else is not named below."""
    REASONING = "reasoning_tokens"
    """Generated thinking, billed as output unless the price book says otherwise."""
    OUTPUT_AUDIO = "output_audio_tokens"
    OUTPUT_IMAGE = "output_image_tokens"
    """Generated images, where counted in tokens."""
    IMAGES = "images"
    """Generated images, where counted in pieces."""
    CHARACTERS = "characters"
    """Unicode code points of a text to be spoken."""
    AUDIO_SECONDS = "audio_seconds"
    """Sound to be transcribed, in whole seconds."""
    WEB_SEARCH = "web_searches"
    """Calls of a hosted web search."""
    WEB_FETCH = "web_fetches"
    FILE_SEARCH = "file_searches"
    CODE_SESSION = "code_sessions"
    """Containers opened for hosted code execution."""
    REQUESTS = "requests"
    """Answers of a model that is priced per request."""
    REPORTED_COST = "reported_cost_nanousd"
    """The provider's own bill in 10^-9 US dollars. Where present it alone is charged; the other units inform."""
    OTHER_MODELS = "other_models_nanos"
    """What other models spent inside the same reply (an advisor), each at its own price: nanos of the currency."""


Usage = Mapping[Unit, int]
"""Quantity by unit. A missing unit is zero."""

INPUT_TOKENS = frozenset(
    {
        Unit.INPUT,
        Unit.INPUT_AUDIO,
        Unit.INPUT_IMAGE,
        Unit.CACHE_READ,
        Unit.CACHE_READ_AUDIO,
        Unit.CACHE_WRITE_5M,
        Unit.CACHE_WRITE_30M,
        Unit.CACHE_WRITE_1H,
        Unit.CACHE_WRITE_12H,
    }
)
"""Everything that counts towards the length of the prompt."""

OUTPUT_TOKENS = frozenset({Unit.OUTPUT, Unit.REASONING, Unit.OUTPUT_AUDIO, Unit.OUTPUT_IMAGE})

_INPUT, _OUTPUT = Unit.INPUT, Unit.OUTPUT


def tells_half(usage: Usage) -> bool:
    """Whether a report knows the prompt and nothing of the answer, or the reverse: the other half is not zero, but
    unknown. Zeros that are said are known."""
    if _INPUT in usage and _OUTPUT in usage:
        return False
    return INPUT_TOKENS.isdisjoint(usage) != OUTPUT_TOKENS.isdisjoint(usage) and Unit.REPORTED_COST not in usage
