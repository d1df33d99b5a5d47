"""Transcription without a network: lengths, timestamps, formats."""

import json

import pytest

from proxyapi.sandbox import sounds
from proxyapi.sandbox.multipart import Upload
from proxyapi.sandbox.server import Sandbox
from proxyapi.sandbox.transcription import UPLOAD_BYTES_MAX, duration_seconds

BOUNDARY = "----form"


def form(fields: list[tuple[str, str]], data: bytes, filename: str = "speech.wav") -> bytes:
    disposition = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    parts = [f'{disposition}"{name}"\r\n\r\n{value}\r\n' for name, value in fields]
    head = f'{disposition}"file"; filename="{filename}"\r\n\r\n'
    return "".join(parts).encode() + head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def transcribe(*fields: tuple[str, str], seconds: float = 12.0, path: str = "transcriptions") -> tuple[int, str]:
    data = b"".join(sounds.speak("wav", seconds))
    reply = Sandbox().reply(
        "POST", f"/openai/v1/audio/{path}", "", form(list(fields), data), f"multipart/form-data; boundary={BOUNDARY}"
    )
    return reply.status, b"".join(reply.pieces).decode() + reply.tail.decode()


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "opus"])
def test_the_length_of_an_upload_is_read_from_its_header(kind: str) -> None:
    upload = Upload(f"speech.{kind}", "audio/x", b"".join(sounds.speak(kind, 7.0)))
    assert duration_seconds(upload) == pytest.approx(7.0, abs=0.03)


def test_a_wav_header_is_not_believed_beyond_the_bytes_that_are_there() -> None:
    data = b"".join(sounds.speak("wav", 10.0))
    assert duration_seconds(Upload("a.wav", "", data[: 44 + 48_000])) == 1.0


def test_bytes_that_are_no_sound_have_a_guessed_length() -> None:
    assert duration_seconds(Upload("a.xyz", "", b"?" * 8_000)) == 2.0
    assert duration_seconds(Upload("a.wav", "", b"RIFF????WAVEfmt ")) > 0


def test_whisper_reports_seconds_and_the_gpt_models_tokens() -> None:
    _, text = transcribe(("model", "whisper-1"), seconds=11.2)
    assert json.loads(text)["usage"] == {"type": "duration", "seconds": 12}
    _, text = transcribe(("model", "gpt-4o-transcribe"), seconds=11.2)
    usage = json.loads(text)["usage"]
    assert usage["input_token_details"] == {"text_tokens": 0, "audio_tokens": 112}
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_words_and_segments_are_there_when_asked_for_and_cover_the_recording() -> None:
    asked = (("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment"))
    _, text = transcribe(("model", "whisper-1"), ("response_format", "verbose_json"), *asked)
    answer = json.loads(text)
    assert answer["duration"] == 12.0
    assert answer["words"][0]["start"] == 0 and answer["words"][-1]["end"] == 12.0
    assert [segment["start"] for segment in answer["segments"]] == [0.0, 6.0]
    _, text = transcribe(("model", "whisper-1"), ("response_format", "verbose_json"))
    assert "words" not in json.loads(text)


def test_subtitles_have_their_own_clocks() -> None:
    _, text = transcribe(("model", "whisper-1"), ("response_format", "srt"))
    assert text.startswith("1\n00:00:00,000 --> 00:00:06,000\nThis is")
    _, text = transcribe(("model", "whisper-1"), ("response_format", "vtt"))
    assert text.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:06.000\nThis is")


def test_a_russian_prompt_or_language_has_a_russian_answer_but_a_translation_is_english() -> None:
    assert "песочницы" in transcribe(("model", "whisper-1"), ("language", "ru"))[1]
    assert "песочницы" in transcribe(("model", "whisper-1"), ("prompt", "Привет"))[1]
    assert "sandbox" in transcribe(("model", "whisper-1"), ("prompt", "Привет"), path="translations")[1]


def test_a_format_that_the_model_does_not_have_is_refused() -> None:
    status, text = transcribe(("model", "gpt-4o-transcribe"), ("response_format", "srt"))
    assert status == 400
    assert json.loads(text)["error"]["param"] == "response_format"


def test_speakers_take_turns_in_a_diarized_transcript() -> None:
    _, text = transcribe(("model", "gpt-4o-transcribe-diarize"), ("response_format", "diarized_json"))
    assert [segment["speaker"] for segment in json.loads(text)["segments"]] == ["A", "B"]


def test_a_stream_says_the_text_word_by_word_and_ends_with_usage() -> None:
    _, text = transcribe(("model", "gpt-4o-transcribe"), ("stream", "True"))
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"]
    assert events[-1]["usage"]["type"] == "tokens"
    assert text.endswith("data: [DONE]\n\n")


def test_a_file_over_the_limit_is_413() -> None:
    body = form([("model", "whisper-1")], bytes(UPLOAD_BYTES_MAX + 1))
    reply = Sandbox().reply(
        "POST", "/openai/v1/audio/transcriptions", "", body, f"multipart/form-data; boundary={BOUNDARY}"
    )
    assert reply.status == 413
