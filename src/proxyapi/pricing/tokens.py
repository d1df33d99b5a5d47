"""Counts o200k_base tokens, from our own copy of the ranks: tiktoken by itself would download them at run time.

The ranks are OpenAI's `o200k_base.tiktoken` as published (MIT), gzipped: 1.69 MB, unpacked in 0.03 s (as .xz it would
have 1.15 MB and take 0.08 s).
"""

from __future__ import annotations

import gzip
import threading
from binascii import a2b_base64
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tiktoken

RANKS = Path(__file__).parent / "data" / "o200k_base.tiktoken.gz"
RANKS_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
"""Of the unpacked file: the digest that tiktoken itself expects."""

PIECE_CHARACTERS = 65_536
"""Longer texts are counted in pieces: adds at most 0.01 %, and spares the regex engine texts that make it panic."""
TOKENIZED_CHARACTERS_MAX = 4 * 2**20
"""Beyond this nothing is tokenized: no text has more tokens than UTF-8 bytes."""
KEPT_CHARACTERS = 4 * 2**20
"""Texts whose counts are remembered, all together: agents send their history again and again."""
KEPT_OVERHEAD = 128
"""Characters that the memory of a text takes besides its own: many short ones must not add up to much."""

_PATTERN = "|".join(
    [
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    ]
)
"""How tiktoken splits a text before it merges bytes."""
_SPECIAL = {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}


class WrongRanks(Exception):
    """The rank file is not the published one."""


class Tokenizer:
    """One per process; safe to share between threads. `load()` takes 0.3 s; `count` waits for it, or does it itself."""

    def __init__(self, *, kept_characters: int = KEPT_CHARACTERS) -> None:
        self._encoding: tiktoken.Encoding | None = None
        self._loading = threading.Lock()
        self._lock = threading.Lock()
        self._kept_characters = kept_characters
        self._kept: OrderedDict[str, int] = OrderedDict()
        self._size = 0

    @property
    def loaded(self) -> bool:
        return self._encoding is not None

    def load(self) -> None:
        """Read the ranks, once. To be called in a thread at the start."""
        with self._loading:
            if self._encoding is None:
                self._encoding = _read_encoding()

    def count(self, text: str) -> int:
        """Tokens of a text. Never too few; for texts above 4 M characters their UTF-8 bytes."""
        kept = self._kept
        known = kept.get(text)
        if known is not None:
            try:
                kept.move_to_end(text)
            except KeyError:
                # Without the lock: another thread has just dropped it.
                return known
            return known
        number = self._count(text)
        if text and len(text) <= self._kept_characters // 4:
            self._keep(text, number)
        return number

    def count_all(self, texts: Iterable[str]) -> int:
        """The sum of their counts. What is remembered, as nearly all of a conversation is, costs two calls of C."""
        kept = self._kept
        total = 0
        for text in texts:
            known = kept.get(text)
            if known is None:
                total += self.count(text)
                continue
            total += known
            try:
                kept.move_to_end(text)
            except KeyError:
                # Without the lock: another thread has just dropped it.
                continue
        return total

    def _keep(self, text: str, number: int) -> None:
        with self._lock:
            if text not in self._kept:
                self._size += len(text) + KEPT_OVERHEAD
            self._kept[text] = number
            while self._size > self._kept_characters:
                dropped, _ = self._kept.popitem(last=False)
                self._size -= len(dropped) + KEPT_OVERHEAD

    def _count(self, text: str) -> int:
        if len(text) > TOKENIZED_CHARACTERS_MAX:
            return _utf8_bytes(text)
        encoding = self._encoding
        if encoding is None:
            self.load()
            encoding = self._encoding
            assert encoding is not None, "loaded above"
        total = 0
        for start in range(0, len(text), PIECE_CHARACTERS):
            total += _piece(encoding, text[start : start + PIECE_CHARACTERS])
        return total


def _piece(encoding: tiktoken.Encoding, piece: str) -> int:
    try:
        return len(encoding.encode_ordinary(piece))
    except BaseException as error:
        # pyo3's PanicException is no Exception: the regex engine gave up on a hostile text. Bytes bound its tokens.
        if type(error).__name__ != "PanicException":
            raise
        return _utf8_bytes(piece)


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _read_encoding() -> tiktoken.Encoding:
    import tiktoken

    raw = gzip.decompress(RANKS.read_bytes())
    if sha256(raw).hexdigest() != RANKS_SHA256:
        raise WrongRanks(f"{RANKS.name} is not OpenAI's o200k_base: reinstall proxyapi")
    words = raw.split()
    # Every line is a token and its rank; the digest says that ranks count up from 0.
    ranks = {token: rank for rank, token in enumerate(map(a2b_base64, words[::2]))}
    encoding = tiktoken.Encoding("o200k_base", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens=_SPECIAL)
    # The Python side keeps the ranks for methods that nothing here calls: 25 MB.
    ranks.clear()
    return encoding
