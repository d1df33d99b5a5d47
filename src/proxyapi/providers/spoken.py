"""Which dialect is spoken to a provider: the client's own wherever it is served, else one that it is translated to."""

from __future__ import annotations

from proxyapi.providers.provider import Provider
from proxyapi.providers.quirks import Nature

CONVERSATIONS = frozenset({"chat", "responses", "messages", "generate"})
"""Operations that are translated into each other."""
ESTIMATED = ""
"""Instead of a dialect: the provider counts no tokens, so the gateway does."""

_COUNTING = {"openai_responses": "openai_count", "anthropic": "anthropic_count", "gemini": "gemini_count"}
"""Where a prompt is counted, by the dialect in which it would be sent."""
_EMBEDDING = ("openai_embeddings", "gemini_embed")


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
