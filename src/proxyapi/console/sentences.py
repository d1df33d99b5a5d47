"""Sentences of the functions underneath in the reader's language: refusals, and what an audit found.

The functions say them in English, to the admin API and to the command line too, each as a text or as an f-string. A
catalogue has them with a name in braces for each value, `codes are good for 1 to {DAYS_MAX} days`: a sentence is told
again by the one that it was made by. `.ci/languages.py` reads them out of the sources, so that none is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

PLACE: Final = re.compile(r"\{(\w+)\}")
"""Where a value stands."""
SENTENCE_CHARACTERS_MAX: Final = 2_000
"""Longer ones are shown as they are: matching is not for texts of others."""
_DECIMAL: Final = re.compile(r"(?<![\w.])(-?\d+)\.(\d+)(?![\w.])")


class _Pattern(NamedTuple):
    said: re.Pattern[str]
    names: tuple[str, ...]
    told: str

    def tell(self, values: Iterable[str]) -> str:
        named = dict(zip(self.names, values, strict=True))
        return PLACE.sub(lambda place: named[place[1]], self.told)


class Sentences:
    """One language's."""

    def __init__(self, texts: Iterable[tuple[str, str]], *, decimal: str = ".") -> None:
        """`texts`: what is said and its translation. `decimal`: what parts the decimals of a sum."""
        pairs = dict(texts)
        self._whole: Mapping[str, str] = pairs
        templates = sorted((said for said in pairs if PLACE.search(said)), key=_letters, reverse=True)
        self._patterns = tuple(
            _Pattern(_pattern_of(said), tuple(PLACE.findall(said)), pairs[said]) for said in templates
        )
        self._decimal = decimal

    def retell(self, sentence: str) -> str:
        """With a capital letter and a full stop, as on a page. What no catalogue knows stays as it is."""
        sentence = sentence.removesuffix(".")
        if len(sentence) <= SENTENCE_CHARACTERS_MAX:
            sentence = self._told(sentence) or sentence
        sentence = sentence.removesuffix(".")
        return f"{sentence[:1].upper()}{sentence[1:]}."

    def _told(self, sentence: str) -> str:
        """Empty: it is unknown."""
        for whole in (sentence, sentence[:1].lower() + sentence[1:]):
            if whole in self._whole:
                return self._whole[whole]
        for pattern in self._patterns:
            if found := pattern.said.fullmatch(sentence):
                return pattern.tell(map(self._value, found.groups()))
        return ""

    def _value(self, value: str) -> str:
        """A value may be a piece of a sentence itself, or a list of them."""
        pieces = [self._told(piece) for piece in value.split(", ")]
        if all(pieces):
            return ", ".join(pieces)
        return self._told(value) or _DECIMAL.sub(rf"\1{self._decimal}\2", value)


def _letters(template: str) -> int:
    """Of two templates that both match, the one that says more is meant."""
    return len(PLACE.sub("", template))


def _pattern_of(template: str) -> re.Pattern[str]:
    """The first letter may have become a capital."""
    first, *others = map(re.escape, re.split(r"\{\w+\}", template))
    first = f"(?i:{first[:1]}){first[1:]}" if first[:1].isalpha() else first
    return re.compile("(.+?)".join([first, *others]), re.DOTALL)
