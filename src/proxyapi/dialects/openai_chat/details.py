"""OpenRouter's `reasoning_details`: how Chat carries the proofs of reasoning of all vendors, both ways.

https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks
"""

from __future__ import annotations

from typing import Any

from proxyapi.dialects.model import ReasoningState, StateKind

_FORMATS: dict[StateKind, str] = {
    "anthropic_signature": "anthropic-claude-v1",
    "anthropic_redacted": "anthropic-claude-v1",
    "openai_encrypted": "openai-responses-v1",
    "xai_encrypted": "xai-responses-v1",
    "google_signature": "google-gemini-v1",
    "other": "unknown",
}
_KINDS: tuple[tuple[str, StateKind], ...] = (
    ("openai", "openai_encrypted"),
    ("xai", "xai_encrypted"),
    ("google", "google_signature"),
    ("anthropic", "anthropic_signature"),
)
"""By the beginning of `format`."""


def kind_of(form: str, *, is_encrypted: bool) -> StateKind:
    """Whose format the data of a detail has."""
    for prefix, kind in _KINDS:
        if form.startswith(prefix):
            return "anthropic_redacted" if is_encrypted and kind == "anthropic_signature" else kind
    return "other"


def details(state: ReasoningState, data: str, *, index: int, text: str = "", summary: str = "") -> list[dict[str, Any]]:
    """The elements for one thought, numbered from `index`. `data`: the state's own, or what it was sealed as.

    In a stream they need their numbers, since clients put equal ones together.
    """
    found: list[dict[str, Any]] = []
    if summary:
        found.append({"type": "reasoning.summary", "summary": summary})
    if state.kind == "anthropic_signature":
        found.append({"type": "reasoning.text", "text": text, "signature": data})
    else:
        if text:
            found.append({"type": "reasoning.text", "text": text})
        found.append({"type": "reasoning.encrypted", "data": data})
    shared = {"format": _FORMATS[state.kind]} | ({"id": state.id} if state.id else {})
    return [detail | shared | {"index": number} for number, detail in enumerate(found, index)]
