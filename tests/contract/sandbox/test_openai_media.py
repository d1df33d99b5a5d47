"""Speech, transcription, images, embeddings, moderations and models through the openai SDK."""

import base64
import io
import json
import struct
import wave
from typing import Any

import openai
import pytest
from tinytag import TinyTag

from proxyapi.sandbox import sounds

TEXT = "Привет! Это проверка синтеза речи, в ней ровно столько знаков, сколько нужно."
WAV = b"".join(sounds.speak("wav", 12.0))
PNG = b"\x89PNG\r\n\x1a\n"


def test_speech_is_a_sound_as_long_as_the_text(openai_client: openai.OpenAI) -> None:
    create: Any = openai_client.audio.speech.create
    seconds = len(TEXT) / 14
    asked = {"model": "gpt-4o-mini-tts", "voice": "coral", "input": TEXT, "instructions": "весело"}
    data = create(**asked, response_format="wav").read()
    with wave.open(io.BytesIO(data)) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(seconds, abs=0.001)
    for kind in ("mp3", "flac", "opus"):
        data = create(model="tts-1", voice="alloy", input=TEXT, response_format=kind).read()
        assert TinyTag.get(filename=f"a.{kind}", file_obj=io.BytesIO(data)).duration == pytest.approx(seconds, abs=0.03)
    assert len(create(**asked, response_format="pcm").read()) == round(seconds * 24_000) * 2
    assert create(**asked, response_format="aac").read().startswith(b"\xff\xf1")


def test_speech_streams_as_chunks_and_as_events(openai_client: openai.OpenAI) -> None:
    streaming: Any = openai_client.audio.speech.with_streaming_response.create
    asked = {"model": "gpt-4o-mini-tts", "voice": "coral", "input": TEXT, "response_format": "wav"}
    with streaming(**asked) as response:
        whole = b"".join(response.iter_bytes())
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.headers["content-type"] == "audio/wav"
    with streaming(**asked, stream_format="sse") as response:
        events = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == whole
    assert events[-1]["type"] == "speech.audio.done" and events[-1]["usage"]["output_tokens"] > 0


def test_a_text_over_the_limit_is_refused(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="string too long"):
        openai_client.audio.speech.create(model="tts-1", voice="alloy", input="a" * 4_097)


def test_transcriptions_have_the_types_of_their_formats(openai_client: openai.OpenAI) -> None:
    create: Any = openai_client.audio.transcriptions.create
    file = ("speech.wav", WAV, "audio/wav")
    assert create(model="gpt-4o-transcribe", file=file).usage.input_token_details.audio_tokens == 120
    assert create(model="whisper-1", file=file).usage.seconds == 12
    assert "sandbox" in create(model="whisper-1", file=file, response_format="text")
    assert "-->" in create(model="whisper-1", file=file, response_format="srt")
    verbose = create(
        model="whisper-1", file=file, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert verbose.duration == 12 and verbose.words[-1].end == 12 and len(verbose.segments) == 2
    diarized = create(model="gpt-4o-transcribe-diarize", file=file, response_format="diarized_json")
    assert diarized.segments[0].speaker == "A"


def test_transcriptions_stream_and_translations_are_english(openai_client: openai.OpenAI) -> None:
    create: Any = openai_client.audio.transcriptions.create
    file = ("speech.wav", WAV, "audio/wav")
    events = list(create(model="gpt-4o-mini-transcribe", file=file, stream=True))
    assert {event.type for event in events[:-1]} == {"transcript.text.delta"}
    assert "".join(event.delta for event in events[:-1]) == events[-1].text
    assert events[-1].usage.total_tokens > 0
    translated: Any = openai_client.audio.translations.create
    assert "sandbox" in translated(model="whisper-1", file=file, prompt="Привет").text


def test_images_have_the_size_that_was_asked_for(openai_client: openai.OpenAI) -> None:
    generate: Any = openai_client.images.generate
    answer = generate(model="gpt-image-1", prompt="A cat", size="1024x1536", quality="low", n=2)
    assert len(answer.data) == 2
    assert answer.usage.output_tokens == 816
    for image in answer.data:
        assert struct.unpack_from(">II", base64.b64decode(image.b64_json), 16) == (1_024, 1_536)
    webp = generate(model="gpt-image-1", prompt="A cat", output_format="webp").data[0].b64_json
    assert base64.b64decode(webp)[8:12] == b"WEBP"
    assert generate(model="dall-e-3", prompt="A cat").data[0].url.startswith("data:image/png;base64,")


def test_images_stream_partial_pictures(openai_client: openai.OpenAI) -> None:
    generate: Any = openai_client.images.generate
    events = list(generate(model="gpt-image-1", prompt="A cat", stream=True, partial_images=2))
    assert [event.type.rpartition(".")[2] for event in events] == ["partial_image", "partial_image", "completed"]
    assert events[-1].usage.total_tokens > 0


def test_images_are_edited_and_varied(openai_client: openai.OpenAI) -> None:
    edit: Any = openai_client.images.edit
    pictures = [("a.png", PNG, "image/png"), ("b.png", PNG, "image/png")]
    assert edit(model="gpt-image-1", prompt="x", image=pictures).usage.input_tokens_details.image_tokens == 388
    events = list(edit(model="gpt-image-1", prompt="x", image=pictures[0], stream=True))
    assert [event.type for event in events] == ["image_edit.completed"]
    vary: Any = openai_client.images.create_variation
    assert len(vary(image=pictures[0], n=2, response_format="b64_json").data) == 2


def test_embeddings_moderations_and_models(openai_client: openai.OpenAI) -> None:
    embedded = openai_client.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=16)
    assert [len(entry.embedding) for entry in embedded.data] == [16, 16]
    assert embedded.usage.total_tokens > 0
    assert openai_client.moderations.create(input="I will kill you").results[0].categories.violence
    names = [model.id for model in openai_client.models.list()]
    assert "gpt-4o" in names and "echo" in names
    assert openai_client.models.retrieve("gpt-4o").owned_by == "openai"
