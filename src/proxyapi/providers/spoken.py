"""Which dialect is spoken to a provider: the client's own wherever it is served, else one that it is translated to."""

from __future__ import annotations

from proxyapi.errors import UnknownModel
from proxyapi.pricing.facts import ModelFacts
from proxyapi.providers.provider import Provider
from proxyapi.providers.quirks import Nature

CONVERSATIONS = frozenset({"chat", "responses", "messages", "generate"})
"""Operations that are translated into each other."""
ESTIMATED = ""
"""Instead of a dialect: the provider counts no tokens, so the gateway does."""

_COUNTING = {"openai_responses": "openai_count", "anthropic": "anthropic_count", "gemini": "gemini_count"}
"""Where a prompt is counted, by the dialect in which it would be sent."""
_EMBEDDING = ("openai_embeddings", "gemini_embed")
_TALKING: frozenset[str] = frozenset({"chat", "request"})
_MODES: dict[str, frozenset[str]] = {
    **dict.fromkeys(("chat", "responses", "messages", "completions"), _TALKING),
    "count_tokens": _TALKING | {"embedding"},
    # Gemini speaks, draws and transcribes by generateContent.
    "generate": _TALKING | {"audio_speech", "image_generation", "audio_transcription"},
    "embeddings": frozenset({"embedding"}),
    "moderations": frozenset({"moderation"}),
    "speech": frozenset({"audio_speech"}),
    "transcription": frozenset({"audio_transcription"}),
    "translation": frozenset({"audio_transcription"}),
    "image_generation": frozenset({"image_generation"}),
    "image_edit": frozenset({"image_generation"}),
    "image_variation": frozenset({"image_generation"}),
}
"""What a model has to be for an operation."""
_BY_GENERATING: dict[str, frozenset[str]] = {
    "chat": frozenset({"audio_speech", "image_generation", "audio_transcription"}),
    "responses": frozenset({"image_generation"}),
}
"""What else it may be where the operation is translated to generateContent: what the client's dialect can show."""


def spoken(owner: Provider, nature: Nature, dialect: str, operation: str, *, native: bool) -> str | None:
    """What to speak to `owner` for a model of this `nature`; None: it has nothing for the operation.

    `native`: the client chose the provider's own address; what the provider says of a model there is right.
    """
    if owner.serves(dialect, operation) and (native or dialect not in nature.lacks):
        return dialect
    if native:
        return None
    usual = nature.chat_dialect or owner.chat_dialect
    if operation in CONVERSATIONS:
        return usual
    if operation == "count_tokens":
        names = (_COUNTING.get(usual, ESTIMATED), *_COUNTING.values())
        return next((name for name in names if owner.serves(name, operation)), ESTIMATED)
    if operation == "embeddings":
        return next((name for name in _EMBEDDING if owner.serves(name, operation)), None)
    return None


def dialect_for(owner: Provider, facts: ModelFacts, dialect: str, operation: str, *, native: bool) -> str:
    """As `spoken`, for a model that serves the operation. UnknownModel: it does not."""
    what = operation.replace("_", " ")
    speaks = spoken(owner, owner.rules.nature(owner.name, facts.model), dialect, operation, native=native)
    if speaks not in (None, dialect) and operation in CONVERSATIONS:
        generates = speaks == "gemini" and facts.mode in _BY_GENERATING.get(operation, ())
        if not generates and facts.mode not in _TALKING:
            raise UnknownModel(facts.name, f"it holds no conversation, so that {what} cannot be translated to it")
    elif facts.mode not in _MODES[operation]:
        raise UnknownModel(facts.name, f"it does not serve {what}")
    if speaks is None:
        raise UnknownModel(facts.name, f"{owner.title} has no {what} in this dialect")
    return speaks
