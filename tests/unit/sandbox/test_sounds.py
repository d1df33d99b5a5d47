"""Sound files: the length that was asked for, and frames that a decoder takes."""

import io
import wave

import pytest
from tinytag import TinyTag

from proxyapi.sandbox import sounds

LENGTHS = (0.2, 1.0, 3.57, 12.345, 61.0)


def spoken(kind: str, seconds: float) -> bytes:
    return b"".join(sounds.speak(kind, seconds))


@pytest.mark.parametrize("seconds", LENGTHS)
def test_a_wav_is_as_long_as_asked_to_the_sample(seconds: float) -> None:
    with wave.open(io.BytesIO(spoken("wav", seconds))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert file.getnframes() == round(seconds * 24_000)
        assert len(file.readframes(file.getnframes())) == 2 * file.getnframes()


@pytest.mark.parametrize("seconds", LENGTHS)
def test_pcm_is_48_000_bytes_a_second_and_is_a_tone(seconds: float) -> None:
    data = spoken("pcm", seconds)
    assert len(data) == 2 * round(seconds * 24_000)
    assert max(data) > 0


@pytest.mark.parametrize("kind", ["mp3", "flac", "opus"])
@pytest.mark.parametrize("seconds", LENGTHS)
def test_compressed_files_have_the_length_that_a_tag_reader_finds(kind: str, seconds: float) -> None:
    tag = TinyTag.get(filename=f"speech.{kind}", file_obj=io.BytesIO(spoken(kind, seconds)))
    assert tag.duration == pytest.approx(seconds, abs=0.024)


@pytest.mark.parametrize("seconds", LENGTHS)
def test_aac_frames_follow_each_other_and_sum_up_to_the_length(seconds: float) -> None:
    data, frames, at = spoken("aac", seconds), 0, 0
    while at < len(data):
        assert data[at : at + 2] == b"\xff\xf1"
        at += (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        frames += 1
    assert at == len(data)
    assert frames * 1_024 / 24_000 == pytest.approx(seconds, abs=1_024 / 24_000)


def test_an_empty_text_is_still_a_sound_and_speed_shortens_it() -> None:
    assert sounds.seconds_of("") > 0
    assert sounds.seconds_of("a" * 140) == 10
    assert sounds.seconds_of("a" * 140, 2.0) == 5
