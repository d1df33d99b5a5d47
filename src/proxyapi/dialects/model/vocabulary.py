"""The closed sets of words."""

from __future__ import annotations

from typing import Literal

DialectName = Literal["openai_chat", "openai_responses", "anthropic", "gemini"]
Role = Literal["system", "developer", "user", "assistant"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Tier = Literal["auto", "standard", "flex", "priority", "fast", "ultrafast", "batch", "scale"]
Detail = Literal["auto", "low", "medium", "high", "original"]
Lifetime = Literal["5m", "30m", "1h", "12h", "24h"]
StopReason = Literal[
    "end",
    "length",
    "context_window",
    "stop_sequence",
    "tool_use",
    "pause",
    "refusal",
    "content_filter",
    "recitation",
    "malformed",
    "compacted",
    "cancelled",
    "other",
]
ErrorKind = Literal[
    "invalid_request",
    "unauthenticated",
    "forbidden",
    "insufficient_balance",
    "not_found",
    "conflict",
    "too_large",
    "context_length",
    "rate_limited",
    "overloaded",
    "timeout",
    "content_policy",
    "unsupported",
    "internal",
]
StateKind = Literal[
    "anthropic_signature", "anthropic_redacted", "openai_encrypted", "xai_encrypted", "google_signature", "other"
]
ServerToolKind = Literal[
    "web_search",
    "web_fetch",
    "code_execution",
    "computer",
    "file_search",
    "mcp",
    "image_generation",
    "shell",
    "local_shell",
    "apply_patch",
    "bash",
    "text_editor",
    "memory",
    "browser",
    "tool_search",
    "programmatic",
    "advisor",
    "maps",
]
