"""What an estimate must know of a model beyond its price. The rules are data: `data/rules.toml` gives their sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

Mode = Literal["chat", "embedding", "moderation", "audio_speech", "audio_transcription", "image_generation", "request"]


class Family(Struct, frozen=True):
    """How its tokenizer compares with o200k_base, which counts every prompt."""

    name: str = "o200k"
    percent: int = 100
    """Factor of a hold."""
    ascii: int | None = None
    """The same for prompts without any letter beyond ASCII; None: no difference."""


class Overhead(Struct, frozen=True):
    """What a provider adds to a prompt; in holds only."""

    request: int = 0
    tools: int = 0
    """Where there are any tools."""
    kinds: dict[str, int] = {}
    """More by the beginning of a tool's type."""


class PictureRule(Struct, frozen=True):
    """Tokens of a picture in the prompt, by its size in pixels."""

    rule: Literal["tiles", "patches", "claude", "gemini2", "gemini3", "flat"] = "flat"
    most: int = 4784
    """For a picture of unknown size."""
    base: int = 0
    tile: int = 0
    percent: int = 100
    details: dict[str, tuple[int, int]] = {}
    """By detail: budget and longest side; `auto` is what other words mean."""


class MediaRule(Struct, frozen=True):
    """Tokens of sound, video and documents in the prompt."""

    sound: int = 32
    """Per second."""
    video: int = 332
    """Per second, its sound included."""
    page_text: int = 3000
    page_picture: bool = False
    """A page counts as a picture too."""
    pages: tuple[int, int] = (1000, 1000)
    """Most pages of a document, in windows up to 200,000 tokens and in larger ones."""


class SearchRule(Struct, frozen=True):
    """Hosted tools: how often at most, and what a call brings into the prompt."""

    calls: int = 10
    content: int = 8000
    per_choice: bool = False
    """Every answer makes exactly one search, asked for or not."""
    per_request: bool = False
    """At most one is billed, however many were run."""


class SpeechRule(Struct, frozen=True):
    characters: bool = False
    """Billed by the character, not by tokens."""
    tokens_per_10_seconds: int = 250


class DrawingRule(Struct, frozen=True):
    """Tokens of a generated picture."""

    tokens: dict[str, int] = {}
    """By `quality size`, by quality, or by size alone."""
    formula: dict[str, int] = {}
    """Base by quality: `images.generated_tokens`."""
    most: int = 6250
    """For quality or size `auto`."""
    partial: int = 0
    """For each partial picture of a stream."""
    input: int = 2000
    """For each picture to edit."""


class ModelFacts(Struct, frozen=True, kw_only=True):
    """One model at one provider."""

    name: str
    """Unified: `vendor/name`."""
    provider: str
    model: str
    """As the provider names it."""
    vendor: str
    """Who made it."""
    mode: Mode = "chat"
    context_tokens_max: int | None = None
    """Prompt and answer together; None: not known."""
    input_tokens_max: int | None = None
    """Longest prompt that is accepted; None: not known."""
    output_tokens_max: int | None = None
    """Longest answer, thinking included; None: not known."""
    modalities_in: tuple[str, ...] = ("text",)
    modalities_out: tuple[str, ...] = ("text",)
    reasoning: bool = False
    created: int = 0
    """Unix seconds, of the date in its name; 0: not known."""
    ends: str = ""
    """Announced last day, such as `2027-01-14`. It is offered on; from that day on it is not listed."""
    listed: bool = True
    cost_reported: bool = False
    """The provider's answers carry its own bill, and that is charged."""
    billed_by_seconds: bool = False
    """Transcription: by the second of sound, not by tokens."""
    billed_by_pieces: bool = False
    """Pictures: by the piece, not by tokens."""
    cache_writes_automatic: bool = False
    """Prompts are written to a cache unasked, at a price of their own."""
    family: Family = Family()
    overhead: Overhead = Overhead()
    picture: PictureRule = PictureRule()
    media: MediaRule = MediaRule()
    search: SearchRule = SearchRule()
    speech: SpeechRule = SpeechRule()
    drawing: DrawingRule = DrawingRule()


R = TypeVar("R", Family, Overhead, PictureRule, MediaRule, SearchRule, SpeechRule, DrawingRule)


class Rules:
    """The tables of `data/rules.toml`, asked by model."""

    def __init__(self, tables: dict[str, list[dict[str, Any]]]) -> None:
        self._tables: dict[type[Struct], list[tuple[Names, bool, Struct]]] = {}
        for table, kind in _KINDS.items():
            self._tables[kind] = [
                (Names(entry["match"]), entry["match"] == ["*"], msgspec.convert(entry, kind))
                for entry in tables[table]
            ]

    def find(self, kind: type[R], *names: str) -> R:
        """The first entry that matches the first of the names, else the next name; `*` only for the last."""
        for name in names:
            for patterns, everything, rule in self._tables[kind]:
                if name in patterns and (not everything or name == names[-1]):
                    assert isinstance(rule, kind)
                    return rule
        return kind()


_KINDS: dict[str, type[Struct]] = {
    "family": Family,
    "overhead": Overhead,
    "picture": PictureRule,
    "media": MediaRule,
    "search": SearchRule,
    "speech": SpeechRule,
    "drawing": DrawingRule,
}


class Names:
    """Patterns of names: exact ones, a beginning and `*`, or both ends of a `*`."""

    __slots__ = ("_both", "_exact", "_heads")

    def __init__(self, patterns: Sequence[str]) -> None:
        parts = [(pattern, *pattern.partition("*")) for pattern in patterns]
        self._exact = frozenset(pattern for pattern, _, star, _ in parts if not star)
        self._heads = tuple(head for _, head, star, tail in parts if star and not tail)
        self._both = [(head, tail) for _, head, star, tail in parts if star and tail]

    def __contains__(self, name: str) -> bool:
        if name in self._exact or name.startswith(self._heads):
            return True
        return any(
            name.startswith(head) and name.endswith(tail) and len(name) >= len(head) + len(tail)
            for head, tail in self._both
        )
