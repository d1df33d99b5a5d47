"""Counting o200k_base tokens with our own ranks."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path

import pytest

from proxyapi.pricing import tokens
from proxyapi.pricing.tokens import PIECE_CHARACTERS, TOKENIZED_CHARACTERS_MAX, Tokenizer, WrongRanks


def test_known_texts_have_known_counts(tokenizer: Tokenizer) -> None:
    assert tokenizer.count("") == 0
    assert tokenizer.count("hello world") == 2
    assert tokenizer.count("Привет! Расскажи про то, как устроена солнечная система") == 15


def test_the_users_text_may_contain_special_tokens(tokenizer: Tokenizer) -> None:
    assert tokenizer.count("<|endoftext|>") == 7


def test_lone_surrogates_are_counted(tokenizer: Tokenizer) -> None:
    assert tokenizer.count("\ud800 half a pair") > 0


def test_a_million_spaces_do_not_panic(tokenizer: Tokenizer) -> None:
    assert 0 < tokenizer.count(" " * 1_000_000) <= 1_000_000


def test_pieces_add_hardly_anything(tokenizer: Tokenizer) -> None:
    sentence = " The quick brown fox jumps over the lazy dog."
    text = sentence * (3 * PIECE_CHARACTERS // len(sentence))
    whole = tokenizer.count(sentence) * (len(text) // len(sentence))
    assert abs(tokenizer.count(text) - whole) <= whole // 1_000


def test_a_huge_text_counts_by_its_bytes(tokenizer: Tokenizer) -> None:
    assert tokenizer.count("я" * (TOKENIZED_CHARACTERS_MAX + 1)) == 2 * (TOKENIZED_CHARACTERS_MAX + 1)


def test_an_engine_that_gives_up_is_bounded_by_bytes() -> None:
    class PanicException(BaseException):
        pass

    class Broken:
        def encode_ordinary(self, text: str) -> list[int]:
            raise PanicException("stack overflow")

    broken = Tokenizer()
    broken._encoding = Broken()  # type: ignore[assignment]
    assert broken.count("привет") == 12


def test_other_base_exceptions_pass() -> None:
    class Interrupted:
        def encode_ordinary(self, text: str) -> list[int]:
            raise KeyboardInterrupt

    broken = Tokenizer()
    broken._encoding = Interrupted()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        broken.count("x")


def test_a_repeated_text_is_remembered_and_memory_stays_bounded() -> None:
    calls = 0

    class Counting:
        def encode_ordinary(self, text: str) -> list[int]:
            nonlocal calls
            calls += 1
            return [0] * len(text)

    small = Tokenizer(kept_characters=10_000)
    small._encoding = Counting()  # type: ignore[assignment]
    text = "a" * 1_000
    assert [small.count(text) for _ in range(3)] == [1_000] * 3
    assert calls == 1
    for letter in "bcdefghijklmno":
        small.count(letter * 1_000)
    assert small._size <= 10_000
    small.count(text)
    assert calls == 16, "the oldest was forgotten"


def test_many_threads_may_count_before_it_is_loaded() -> None:
    fresh = Tokenizer()
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(fresh.count("hello world"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2, 2, 2, 2]
    assert fresh.loaded


def test_ranks_that_are_not_the_published_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = tmp_path / "o200k_base.tiktoken.gz"
    forged.write_bytes(gzip.compress(b"IQ== 0\n"))
    monkeypatch.setattr(tokens, "RANKS", forged)
    with pytest.raises(WrongRanks):
        Tokenizer().load()
