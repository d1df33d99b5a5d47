"""One request as the sandbox's dialects see it: parsed, with everything that an answer may depend on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from proxyapi.sandbox.multipart import Form
from proxyapi.sandbox.reading import Ids, JsonObject, Refused
from proxyapi.sandbox.turn import Count, Magic, bare

_REASONING = re.compile(r"o\d|gpt-5|gpt-oss|codex|computer-use|deepseek-reasoner|deepseek-v4|.*thinking")
_CACHE_STEP = 128
_CACHED_PROMPT_TOKENS_MIN = 1_024
"""OpenAI caches prompts from this length on, in steps of 128 tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    provider: str
    """Whom the sandbox stands for: the first segment of the path."""
    path: str
    """The provider's own path without its version: `chat/completions`, `models/m:generateContent`."""
    query: dict[str, str]
    body: JsonObject
    form: Form | None
    model: str
    """As the client named it; of a form, of the body, or of the path."""
    magic: Magic
    ids: Ids
    """Depend on the method, the path and the body only."""
    count: Count
    now: int
    """Seconds since 1970."""
    moment: bytes = field(default=b"")
    """Differs for every request: makes the ids of stored objects unique."""

    def required_model(self) -> str:
        if not self.model:
            raise Refused(400, "you must provide a model parameter", param="model")
        return self.model


def reasons(model: str) -> bool:
    """Whether a model of this name thinks before it answers."""
    return _REASONING.match(bare(model)) is not None


def cached_tokens(prompt_tokens: int) -> int:
    """What of a long prompt is taken as cached: half of it, in whole steps. No state, so always the same."""
    if prompt_tokens < _CACHED_PROMPT_TOKENS_MIN:
        return 0
    return prompt_tokens // 2 // _CACHE_STEP * _CACHE_STEP
