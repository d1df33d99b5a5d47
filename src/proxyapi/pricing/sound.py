"""Speech: what a text will cost to be spoken, and what the delivered sound did cost."""

from __future__ import annotations

from proxyapi.dialects.call import Call
from proxyapi.pricing.audio import duration_seconds
from proxyapi.pricing.facts import ModelFacts
from proxyapi.pricing.tokens import Tokenizer
from proxyapi.usage import Unit, Usage

PCM_BYTES_PER_SECOND = 48_000
"""24 kHz, 16 bits, one channel: OpenAI's `pcm`."""
CHARACTERS_PER_SECOND = 8
"""Slow speech; normal is 11 to 13."""
KEPT_BYTES_MAX = 32 * 2**20
"""Sound that is kept to be measured: 4,096 characters, OpenAI's limit, make 25 MB as WAV. More is extrapolated."""


def speech_tokens(call: Call, facts: ModelFacts, tokenizer: Tokenizer) -> dict[Unit, int]:
    """The most that a text costs to be spoken."""
    if facts.speech.characters:
        return {Unit.CHARACTERS: len(call.text)}
    seconds = -(-len(call.text) // CHARACTERS_PER_SECOND)
    return {Unit.INPUT: _text_tokens(call, tokenizer), Unit.OUTPUT_AUDIO: _sound_tokens(seconds, facts)}


def spoken(call: Call, facts: ModelFacts, tokenizer: Tokenizer, seconds: int) -> Usage:
    """What so much delivered sound costs; text that is billed by the character is billed whole."""
    if facts.speech.characters:
        return {Unit.CHARACTERS: len(call.text)}
    return {Unit.INPUT: _text_tokens(call, tokenizer), Unit.OUTPUT_AUDIO: _sound_tokens(seconds, facts)}


def _text_tokens(call: Call, tokenizer: Tokenizer) -> int:
    return tokenizer.count(call.text) + tokenizer.count(call.instructions)


def _sound_tokens(seconds: int, facts: ModelFacts) -> int:
    return -(-seconds * facts.speech.tokens_per_10_seconds // 10)


class SoundMeter:
    """Measures a sound on its way to the client. A plain speech answer carries no usage: its duration is billed."""

    def __init__(self, call: Call, facts: ModelFacts, tokenizer: Tokenizer) -> None:
        self._call = call
        self._facts = facts
        self._tokenizer = tokenizer
        self._kept = bytearray()
        self.bytes = 0
        """Delivered so far."""
        self._measures = not facts.speech.characters and call.response_format != "pcm"

    def feed(self, data: bytes) -> None:
        self.bytes += len(data)
        if self._measures and len(self._kept) < KEPT_BYTES_MAX:
            self._kept += data

    def usage(self) -> Usage | None:
        """What the delivered sound costs; None if there was none."""
        if not self.bytes:
            return None
        return spoken(self._call, self._facts, self._tokenizer, self.seconds())

    def seconds(self) -> int:
        """Of the delivered sound, rounded up."""
        if not self._measures:
            return -(-self.bytes // PCM_BYTES_PER_SECOND)
        kept = len(self._kept)
        seconds = duration_seconds(bytes(self._kept), self._call.response_format) or 0
        return seconds if self.bytes <= kept else -(-seconds * self.bytes // kept)
