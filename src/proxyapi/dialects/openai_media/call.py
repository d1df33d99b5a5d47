"""OpenAI's other endpoints: embeddings, moderation, speech, transcription, pictures, legacy completions. Requests.

https://platform.openai.com/docs/api-reference. They are read and metered, not translated.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from proxyapi.dialects import patching
from proxyapi.dialects.call import Call, ImageInput, MediaInput, Prompt, WireName
from proxyapi.dialects.dialect import Decoder, Unreported
from proxyapi.dialects.fields import CHOICES_MAX, TOKENS_MAX, data_url, decode, named, once, whole
from proxyapi.dialects.openai_chat.reply_in import ChatBody, ChatStream
from proxyapi.dialects.openai_media.reply_in import (
    EmbeddingBody,
    ImagesBody,
    ImageStream,
    ModerationBody,
    SpeechStream,
    TranscriptionBody,
    TranscriptionStream,
)
from proxyapi.dialects.stream import Opaque
from proxyapi.errors import InvalidRequest, UnsupportedMedia

IMAGE_MODEL_DEFAULT = "dall-e-2"
MODERATION_MODEL_DEFAULT = "omni-moderation-latest"
TRANSCRIPTION_FORMATS = ("json", "verbose_json", "diarized_json", "text", "srt", "vtt")

Tokens = str | list[str | int | list[int]] | None
"""Texts, or the token ids of one text or of several."""


class _Embedding(Struct):
    input: Tokens
    model: str | None = None
    user: str | None = None


class _Url(Struct):
    url: str = ""


class _ModerationPart(Struct):
    type: str | None = None
    text: str | None = None
    image_url: str | _Url | None = None


class _Moderation(Struct):
    input: str | list[str | _ModerationPart]
    model: str | None = None


class _Speech(Struct):
    input: str
    model: str | None = None
    instructions: str | None = None
    response_format: str | None = None
    stream_format: str | None = None
    voice: str | dict[str, Any] | None = None


class _Picture(Struct):
    image_url: str | None = None
    file_id: str | None = None


class _Images(Struct):
    prompt: str
    model: str | None = None
    n: int | float | None = None
    size: str | None = None
    quality: str | None = None
    stream: bool | None = None
    partial_images: int | float | None = None
    response_format: str | None = None
    output_format: str | None = None
    input_fidelity: str | None = None
    user: str | None = None
    images: list[_Picture] | None = None
    mask: _Picture | None = None


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Completion(Struct):
    prompt: Tokens = None
    suffix: str | None = None
    model: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | float | None = None
    n: int | float | None = None
    best_of: int | float | None = None
    echo: bool | None = None
    user: str | None = None


_EMBEDDING = msgspec.json.Decoder(_Embedding)
_MODERATION = msgspec.json.Decoder(_Moderation)
_SPEECH = msgspec.json.Decoder(_Speech)
_IMAGES = msgspec.json.Decoder(_Images)
_COMPLETION = msgspec.json.Decoder(_Completion)


def _tokenised(value: Tokens) -> tuple[tuple[str, ...], int]:
    """Texts, and how many tokens came ready-made."""
    if isinstance(value, str):
        return (value,), 0
    texts: list[str] = []
    tokens = 0
    for item in value or ():
        if isinstance(item, str):
            texts.append(item)
        else:
            tokens += 1 if isinstance(item, int) else len(item)
    return tuple(texts), tokens


class _Renamed(Unreported):
    """Dialects whose bodies change in nothing but the model's name."""

    def patch(self, body: bytes, call: Call, *, model: str) -> bytes:
        return patching.renamed(body, call.model, model)


class OpenAIEmbeddings(_Renamed):
    name: ClassVar[WireName] = "openai_embeddings"

    def read(self, body: bytes, *, model: str | None = None, stream: bool = False, ours: bool = False) -> Call:
        wire = decode(_EMBEDDING, body)
        once(body, frozenset(_Embedding.__struct_fields__))
        texts, tokens = _tokenised(wire.input)
        return Call(
            operation="embeddings",
            dialect=self.name,
            model=named(model or wire.model),
            prompt=Prompt(texts=texts, tokens=tokens),
            prompt_bytes=len(body),
            end_user=wire.user or "",
        )

    def decoder(self, *, stream: bool, call: Call) -> Decoder:
        return EmbeddingBody()


class OpenAIModerations(_Renamed):
    name: ClassVar[WireName] = "openai_moderations"

    def read(self, body: bytes, *, model: str | None = None, stream: bool = False, ours: bool = False) -> Call:
        wire = decode(_MODERATION, body)
        once(body, frozenset(_Moderation.__struct_fields__))
        texts: list[str] = []
        media: list[MediaInput] = []
        for part in [wire.input] if isinstance(wire.input, str) else wire.input:
            if isinstance(part, str):
                texts.append(part)
            elif part.image_url is not None:
                url = part.image_url if isinstance(part.image_url, str) else part.image_url.url
                media.append(ImageInput(data_url(url)[0]))
            elif part.text:
                texts.append(part.text)
        return Call(
            operation="moderations",
            dialect=self.name,
            model=model or wire.model or MODERATION_MODEL_DEFAULT,
            prompt=Prompt(texts=tuple(texts), media=tuple(media)),
            prompt_bytes=len(body),
        )

    def decoder(self, *, stream: bool, call: Call) -> Decoder:
        return ModerationBody()


class OpenAISpeech(_Renamed):
    name: ClassVar[WireName] = "openai_speech"

    def read(self, body: bytes, *, model: str | None = None, stream: bool = False, ours: bool = False) -> Call:
        wire = decode(_SPEECH, body)
        once(body, frozenset(_Speech.__struct_fields__))
        if wire.stream_format not in (None, "audio", "sse"):
            raise InvalidRequest("Invalid value for stream_format: expected `audio` or `sse`", param="stream_format")
        return Call(
            operation="speech",
            dialect=self.name,
            model=named(model or wire.model),
            stream=wire.stream_format == "sse",
            prompt_bytes=len(body),
            text=wire.input,
            instructions=wire.instructions or "",
            response_format=wire.response_format or "",
            stream_format=wire.stream_format or "",
            output_modalities=("audio",),
        )

    def decoder(self, *, stream: bool, call: Call) -> Decoder:
        """Sound as it is, unless the client asked for events."""
        return SpeechStream() if stream and call.stream_format == "sse" else Opaque()


class OpenAIImages(_Renamed):
    """Generations, edits and variations. (Edits as JSON name their pictures by address or id.)"""

    name: ClassVar[WireName] = "openai_images"

    def read(self, body: bytes, *, model: str | None = None, stream: bool = False, ours: bool = False) -> Call:
        wire = decode(_IMAGES, body)
        once(body, frozenset(_Images.__struct_fields__))
        pictures = [*(wire.images or ()), *([wire.mask] if wire.mask else ())]
        return Call(
            operation="image_edit" if wire.images is not None else "image_generation",
            dialect=self.name,
            model=model or wire.model or IMAGE_MODEL_DEFAULT,
            stream=bool(wire.stream),
            prompt=Prompt(
                texts=(wire.prompt,), media=tuple(ImageInput(data_url(p.image_url or "")[0]) for p in pictures)
            ),
            prompt_bytes=len(body),
            choices=whole("n", wire.n, least=1, most=CHOICES_MAX) or 1,
            output_modalities=("image",),
            response_format=wire.response_format or wire.output_format or "",
            size=wire.size or "",
            quality=wire.quality or "",
            partial_images=whole("partial_images", wire.partial_images, most=100) or 0,
            input_fidelity=wire.input_fidelity or "",
            end_user=wire.user or "",
            item_references=tuple(p.file_id for p in pictures if p.file_id),
        )

    def decoder(self, *, stream: bool, call: Call) -> Decoder:
        return ImageStream() if stream else ImagesBody()


class OpenAITranscription(Unreported):
    """Transcriptions and translations: forms, read by `multipart.read_form`."""

    name: ClassVar[WireName] = "openai_transcription"

    def read(self, body: bytes, *, model: str | None = None, stream: bool = False, ours: bool = False) -> Call:
        raise UnsupportedMedia("The request body must be multipart/form-data with the parts file and model")

    def patch(self, body: bytes, call: Call, *, model: str) -> bytes:
        """The form is rewritten on its way, at `FormScan.model_span`."""
        return body

    def decoder(self, *, stream: bool, call: Call) -> Decoder:
        return TranscriptionStream() if stream else TranscriptionBody()


class OpenAICompletions(Unreported):
    """Legacy completions. https://platform.openai.com/docs/api-reference/completions"""

    name: ClassVar[WireName] = "openai_completions"

    def read(self, body: bytes, *, model: str | None = None, stream: bool = False, ours: bool = False) -> Call:
        wire = decode(_COMPLETION, body)
        top = once(body, frozenset(_Completion.__struct_fields__))
        if wire.stream_options is not None:
            once(top["stream_options"], frozenset({"include_usage"}), within="stream_options")
        texts, tokens = _tokenised(wire.prompt)
        prompts = len(wire.prompt) if isinstance(wire.prompt, list) and not _is_one(wire.prompt) else 1
        best = whole("best_of", wire.best_of, least=1, most=CHOICES_MAX) or 1
        # All of `best_of` are generated and billed, and a list of prompts is answered prompt by prompt.
        each = max(whole("n", wire.n, least=1, most=CHOICES_MAX) or 1, best)
        return Call(
            operation="completions",
            dialect=self.name,
            model=named(model or wire.model),
            stream=bool(wire.stream),
            usage_asked=wire.stream_options is not None and wire.stream_options.include_usage is True,
            prompt=Prompt(texts=(*texts, wire.suffix) if wire.suffix else texts, tokens=tokens),
            prompt_bytes=len(body),
            output_tokens_max=whole("max_tokens", wire.max_tokens, most=TOKENS_MAX),
            choices=each * max(1, prompts),
            end_user=wire.user or "",
        )

    def patch(self, body: bytes, call: Call, *, model: str) -> bytes:
        body = patching.renamed(body, call.model, model)
        edits: list[patching.Edit] = []
        if call.stream and not call.usage_asked:
            edits.append(patching.include_usage(body))
        return patching.apply(body, edits, model=model) if edits else body

    def decoder(self, *, stream: bool, call: Call) -> Decoder:
        return ChatStream() if stream else ChatBody()


def _is_one(prompt: list[str | int | list[int]]) -> bool:
    """Token ids of a single prompt."""
    return bool(prompt) and isinstance(prompt[0], int)
