"""What an answer says, in the same values whether recorded or read by an SDK, and what words for its end mean."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

DIALECTS = {
    "chat.completions": "openai_chat",
    "responses": "openai_responses",
    "messages": "anthropic",
    "gemini.generateContent": "gemini",
    "gemini.streamGenerateContent": "gemini",
}
"""Of a row's endpoint."""

WORDS = {
    "openai_chat": {
        "stop": "end", "length": "length", "tool_calls": "tool_use", "function_call": "tool_use",
        "content_filter": "content_filter",
    },
    "openai_responses": {
        "completed": "end", "complete": "end", "max_output_tokens": "length", "content_filter": "content_filter",
        "max_messages": "pause", "failed": "malformed", "cancelled": "cancelled",
    },
    "anthropic": {
        "end_turn": "end", "max_tokens": "length", "stop_sequence": "stop_sequence", "tool_use": "tool_use",
        "pause_turn": "pause", "refusal": "refusal", "model_context_window_exceeded": "context_window",
        "compaction": "compacted",
    },
    "gemini": {
        "STOP": "end", "MAX_TOKENS": "length", "CONTINUATION": "pause", "PROHIBITED_CONTENT": "refusal",
        **dict.fromkeys(
            ("SAFETY", "BLOCKLIST", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "MODEL_ARMOR", "LANGUAGE"),
            "content_filter",
        ),
        **dict.fromkeys(("RECITATION", "IMAGE_RECITATION"), "recitation"),
        **dict.fromkeys(
            ("MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
             "MISSING_THOUGHT_SIGNATURE"),
            "malformed",
        ),
    },
}  # fmt: skip
"""A provider's word for the end -> what it means."""


@dataclass(frozen=True)
class Call:
    name: str
    arguments: Any
    """As a JSON value; free text where it is none."""
    whole: bool = field(default=True, compare=False)
    """Its arguments are an object: nothing of them is missing."""


@dataclass(frozen=True)
class Used:
    prompt: int
    """All of it, with what was read from and written to caches."""
    cached: int
    """Of it, read from a cache."""
    output: int
    """All of it, with thinking."""
    thinking: int
    """Of it."""


@dataclass
class Said:
    texts: list[str] = field(default_factory=list)
    """Of the answer; more than one where other parts stand between."""
    refusal: str = ""
    explanation: str = ""
    """Of a refusal, beside the answer."""
    spoken: str = ""
    """Words of a sound."""
    thoughts: list[str] = field(default_factory=list)
    """One for each piece of thinking that has words."""
    calls: list[Call] = field(default_factory=list)
    """What the client is to execute."""
    ending: str = ""
    """A meaning of `WORDS`; empty: the provider told none."""
    used: Used | None = None
    choices: int = 1
    failed: str = ""
    """The provider reported an error inside an answer that began with 200."""
    media: list[str] = field(default_factory=list)
    """`image` or `audio`, for each that is in the answer."""
    signed: bool = False
    """It has what only its provider reads and the client is to send back: proofs of thinking, a compacted history."""
    sources: set[str] = field(default_factory=set)
    """Addresses that the answer cites."""
    mentioned: str = ""
    """All that was recorded: it may list sources that it does not cite."""
    others: bool = False
    """Other models spent something on top of `used`: an advisor, a compaction, a picture."""
    besides: set[str] = field(default_factory=set)
    """Kinds of other parts: sound, pictures, hosted tools."""


def call(name: str, arguments: Any) -> Call:
    """`arguments`: an object, or its text."""
    found = value(arguments)
    return Call(name, found, whole=isinstance(found, dict) and arguments != "")


def value(arguments: Any) -> Any:
    """Arguments as a JSON value: objects as they are, texts read; nothing is an empty object."""
    if not isinstance(arguments, str):
        return arguments
    try:
        found = json.loads(arguments.strip() or "{}")
        return {} if found is None else found
    except ValueError:
        return arguments


def number(found: Any) -> int:
    return int(found) if isinstance(found, int | float) and not isinstance(found, bool) else 0
