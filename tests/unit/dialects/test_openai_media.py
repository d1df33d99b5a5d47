"""Embeddings, moderation, speech, transcription and pictures: requests and what their replies cost."""

import json

import pytest

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.call import ImageInput
from proxyapi.errors import InvalidRequest, UnsupportedMedia
from proxyapi.usage import Unit


def test_an_embedding_takes_texts_or_tokens(read):
    assert read("openai_embeddings", {"model": "m", "input": ["a", "b"]}).prompt.texts == ("a", "b")
    assert read("openai_embeddings", {"model": "m", "input": [1, 2, 3]}).prompt.tokens == 3
    assert read("openai_embeddings", {"model": "m", "input": [[1, 2], [3]]}).prompt.tokens == 3


def test_speech_is_read_for_its_characters(read):
    call = read(
        "openai_speech",
        {
            "model": "tts-1",
            "input": "Привет",
            "voice": "alloy",
            "instructions": "slowly",
            "response_format": "wav",
            "stream_format": "sse",
        },
    )
    assert (call.text, call.instructions, call.response_format, call.stream) == ("Привет", "slowly", "wav", True)
    with pytest.raises(InvalidRequest, match="stream_format"):
        read("openai_speech", {"model": "m", "input": "x", "stream_format": "mp3"})


def test_pictures_are_read_for_their_number_and_size(read):
    call = read(
        "openai_images",
        {"prompt": "a cat", "n": 2, "size": "1024x1024", "quality": "high", "stream": True, "partial_images": 3},
    )
    assert (call.model, call.choices, call.size, call.quality) == ("dall-e-2", 2, "1024x1024", "high")
    assert (call.operation, call.stream, call.partial_images) == ("image_generation", True, 3)
    edit = read("openai_images", {"model": "gpt-image-1", "prompt": "x", "images": [{"image_url": "https://a/b"}]})
    assert (edit.operation, edit.prompt.media) == ("image_edit", (ImageInput(),))


def test_a_model_that_was_left_out_can_be_named_for_the_provider():
    dialect = DIALECTS["openai_images"]
    text = b'{"prompt": "a"}'
    call = dialect.read(text)
    assert dialect.patch(text, call, model=call.model) is text
    assert json.loads(dialect.patch(text, call, model="x")) == {"prompt": "a", "model": "x"}


def test_moderation_takes_texts_and_pictures(read):
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]
    call = read("openai_moderations", {"input": parts})
    assert (call.model, call.prompt.texts, call.prompt.media) == ("omni-moderation-latest", ("a",), (ImageInput(),))


def test_a_transcription_is_a_form_and_nothing_else(read):
    with pytest.raises(UnsupportedMedia):
        read("openai_transcription", {"model": "whisper-1"})


TOKENS = {
    "type": "tokens",
    "input_tokens": 26,
    "output_tokens": 5,
    "total_tokens": 31,
    "input_token_details": {"text_tokens": 5, "audio_tokens": 21},
}
IMAGE = {
    "input_tokens": 14,
    "input_tokens_details": {"image_tokens": 4, "text_tokens": 10},
    "output_tokens": 272,
    "total_tokens": 286,
}


@pytest.mark.parametrize(
    ("dialect", "wire", "units"),
    [
        ("openai_embeddings", {"data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}, {Unit.INPUT: 8}),
        ("openai_embeddings", {"data": []}, None),
        ("openai_embeddings", {"data": [], "usage": {"prompt_tokens": 0}}, {Unit.INPUT: 0}),
        ("openai_moderations", {"id": "modr-1", "results": []}, None),
        ("openai_transcription", {"text": "a", "usage": TOKENS}, {Unit.INPUT: 5, Unit.INPUT_AUDIO: 21, Unit.OUTPUT: 5}),
        ("openai_transcription", {"text": "a", "usage": {"type": "duration", "seconds": 6.2}}, {Unit.AUDIO_SECONDS: 7}),
        ("openai_transcription", {"text": "a", "duration": 8.470000267028809}, {Unit.AUDIO_SECONDS: 9}),
        ("openai_transcription", {"text": "a"}, None),
        (
            "openai_images",
            {"created": 1, "data": [{"b64_json": "AA"}], "usage": IMAGE},
            {Unit.INPUT: 10, Unit.INPUT_IMAGE: 4, Unit.OUTPUT_IMAGE: 272},
        ),
        ("openai_images", {"created": 1, "data": [{"url": "a"}, {"url": "b"}]}, {Unit.IMAGES: 2}),
        ("gemini_embed", {"embedding": {}, "usageMetadata": {"promptTokenCount": 3}}, {Unit.INPUT: 3}),
        ("gemini_embed", {"embedding": {}}, None),
        ("gemini_count", {"totalTokens": 3}, {}),
        ("openai_count", {"object": "response.input_tokens", "input_tokens": 3}, {}),
    ],
)
def test_a_body_is_metered_by_what_it_reports(metered, dialect, wire, units):
    meter = metered(dialect, json.dumps(wire).encode(), body=True)
    assert meter.usage == units
    assert meter.finished


@pytest.mark.parametrize(
    "dialect", ["openai_embeddings", "openai_images", "openai_transcription", "openai_moderations", "gemini_embed"]
)
def test_an_error_inside_a_200_is_a_failure_and_not_an_answer(metered, dialect):
    meter = metered(dialect, b'{"error": {"message": "boom"}}', body=True)
    assert (meter.failed.message, meter.usage, meter.finished) == ("boom", None, False)


def test_subtitles_are_delivered_text(metered):
    meter = metered("openai_transcription", "1\n00:00 --> 00:01\nПривет\n".encode(), body=True)
    assert (meter.usage, meter.finished) == (None, True)
    assert "Привет" in meter.texts[0]


@pytest.mark.parametrize("size", [1 << 20, 7, 1])
def test_media_streams_are_metered_however_they_are_cut(metered, events, size):
    speech = events(
        {"type": "speech.audio.delta", "audio": "AAAA"},
        {"type": "speech.audio.delta", "audio": "BBBB"},
        {"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101}},
    )
    meter = metered("openai_speech", speech, size=size, stream_format="sse")
    assert (meter.usage, meter.data_characters) == ({Unit.INPUT: 14, Unit.OUTPUT_AUDIO: 101}, 8)
    words = events(
        {"type": "transcript.text.delta", "delta": "При"},
        {"type": "transcript.text.delta", "delta": "вет"},
        {"type": "transcript.text.done", "text": "Привет", "usage": TOKENS},
        done=True,
    )
    meter = metered("openai_transcription", words, size=size)
    assert (meter.usage[Unit.INPUT_AUDIO], meter.texts, meter.finished) == (21, ["При", "вет"], True)
    images = events(
        {"type": "image_generation.partial_image", "b64_json": "AA", "partial_image_index": 0},
        {"type": "image_generation.completed", "b64_json": "BBBB", "usage": IMAGE},
        names=True,
    )
    meter = metered("openai_images", images, size=size)
    assert (meter.usage[Unit.OUTPUT_IMAGE], meter.finished) == (272, True)


def test_a_sound_is_kept_by_its_size_and_its_head(metered):
    data = b"RIFF" + bytes(100_000)
    meter = metered("openai_speech", data, size=1000)
    assert (meter.body_bytes, meter.head, meter.finished) == (100_004, data[:65_536], True)
