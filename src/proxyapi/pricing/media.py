"""Tokens of the pictures, sounds, videos and documents in a prompt, by the rules of the model."""

from __future__ import annotations

from typing import NamedTuple

from proxyapi.dialects.call import AudioInput, Call, DocumentInput, ImageInput, VideoInput
from proxyapi.pricing.audio import duration_seconds
from proxyapi.pricing.documents import decoded, pages_of
from proxyapi.pricing.facts import ModelFacts
from proxyapi.pricing.images import picture_tokens, size_of_base64
from proxyapi.pricing.tokens import Tokenizer

UNKNOWN_TOKENS = 131_072
"""Held for a file that is only named, by address or id, where the model's window is not known."""

_LARGE_WINDOW = 200_000
"""Beyond it Anthropic takes 600 pages instead of 100."""
_TEXT_TYPES = ("text/", "application/json", "application/xml")


class MediaTokens(NamedTuple):
    general: int
    """Documents and video: plain input."""
    pictures: int
    sound: int


def media_tokens(call: Call, facts: ModelFacts, tokenizer: Tokenizer) -> MediaTokens:
    """What the media of a prompt count for, at most. A file that can't be read counts as the largest that is taken."""
    general = pictures = sound = 0
    for item in call.prompt.media:
        match item:
            case ImageInput():
                detail = item.detail or call.media_resolution
                pictures += picture_tokens(size_of_base64(item.data) if item.data else None, detail, facts.picture)
            case AudioInput():
                sound += _seconds_tokens(item, facts.media.sound, facts)
            case VideoInput():
                general += _seconds_tokens(item, facts.media.video, facts)
            case DocumentInput():
                general += _document_tokens(item, facts, tokenizer)
    return MediaTokens(general, pictures, sound)


def _seconds_tokens(item: AudioInput | VideoInput, per_second: int, facts: ModelFacts) -> int:
    data = decoded(item.data) if item.data else None
    if not data:
        return facts.input_tokens_max or UNKNOWN_TOKENS
    seconds = duration_seconds(data, item.media_type, video=isinstance(item, VideoInput)) or 1
    return seconds * per_second


def _document_tokens(item: DocumentInput, facts: ModelFacts, tokenizer: Tokenizer) -> int:
    if item.data and item.media_type.startswith(_TEXT_TYPES):
        # Plain text, or base64 of it, which has more tokens than what it stands for.
        return tokenizer.count(item.data)
    rule = facts.media
    pages_max = rule.pages[1 if (facts.context_tokens_max or 0) > _LARGE_WINDOW else 0]
    data = decoded(item.data) if item.data else None
    pages = pages_of(data, pages_max) if data else pages_max
    page = rule.page_text + (picture_tokens(None, "high", facts.picture) if rule.page_picture else 0)
    return pages * page
