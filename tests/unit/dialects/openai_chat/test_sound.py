"""Bare samples as WAV files, in one piece and in a stream."""

import io
import wave
from base64 import b64decode, b64encode

import pytest

from proxyapi.dialects.openai_chat.sound import base64_bytes, is_raw, wav_head

SAMPLES = bytes(range(200))


@pytest.mark.parametrize(("media_type", "rate"), [("audio/L16;codec=pcm;rate=16000", 16_000), ("audio/pcm", 24_000)])
def test_the_head_and_the_samples_are_a_wav_file(media_type, rate):
    data = b64encode(SAMPLES).decode()
    file = b64decode(wav_head(media_type, len(SAMPLES)) + data, validate=True)
    with wave.open(io.BytesIO(file)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, rate)
        assert sound.readframes(sound.getnframes()) == SAMPLES


def test_a_head_of_unknown_length_has_the_same_size_and_no_padding():
    assert len(wav_head("audio/pcm")) == len(wav_head("audio/pcm", 5)) == 72
    assert "=" not in wav_head("audio/pcm")


@pytest.mark.parametrize("size", range(5))
def test_the_size_of_base64_is_that_of_its_bytes(size):
    assert base64_bytes(b64encode(bytes(size)).decode()) == size


@pytest.mark.parametrize(("media_type", "raw"), [("audio/L16;rate=24000", True), ("audio/wav", False), ("", False)])
def test_only_bare_samples_need_a_head(media_type, raw):
    assert is_raw(media_type) is raw
