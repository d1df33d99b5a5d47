"""OpenAI's other endpoints: replies.

Speech: https://platform.openai.com/docs/api-reference/audio/speech-audio-done-event. Transcription:
https://platform.openai.com/docs/api-reference/audio/transcript-text-done-event. Pictures:
https://platform.openai.com/docs/api-reference/images-streaming.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects import faults
from proxyapi.dialects.frames import Frame
from proxyapi.dialects.model import (
    ABSENT,
    Audio,
    Event,
    Image,
    Inline,
    Metered,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    Start,
    Text,
)
from proxyapi.dialects.openai_usage import (
    embedding_usage,
    image_usage,
    speech_usage,
    transcription_usage,
    whole_seconds,
)
from proxyapi.dialects.stream import EventStream, WholeBody, anything, lenient
from proxyapi.dialects.units import wire_object
from proxyapi.usage import Unit, Usage


class _Reply(Struct):
    id: str | None = None
    model: str | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT
    data: list[Raw] | None = None


class _Event(Struct):
    type: str | None = None
    audio: str | None = None
    delta: str | None = None
    text: str | None = None
    b64_json: str | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT


_REPLY = msgspec.json.Decoder(_Reply)
_EVENT = msgspec.json.Decoder(_Event)
_RESCUE = msgspec.json.Decoder(dict[str, Raw])


class _JsonBody(WholeBody):
    """One JSON object: an error, or an answer that `_answer` meters."""

    __slots__ = ()

    def _body(self, body: bytes, events: list[Event]) -> None:
        reply = lenient(_REPLY, body)
        if reply is None:
            members = lenient(_RESCUE, body)
            if members is None:
                return
            reply = _Reply(usage=members.get("usage", ABSENT), error=members.get("error", ABSENT))
        if reply.error is not ABSENT and (error := anything(reply.error)):
            events.append(faults.failed(error, 502))
            return
        self.finished = True
        if reply.id or reply.model:
            events.append(Start(id=reply.id or "", model=reply.model or ""))
        self._answer(reply, wire_object(reply.usage), events)

    def _answer(self, reply: _Reply, usage: dict[str, Any] | None, events: list[Event]) -> None:
        raise NotImplementedError


class EmbeddingBody(_JsonBody):
    __slots__ = ()

    def _answer(self, reply: _Reply, usage: dict[str, Any] | None, events: list[Event]) -> None:
        if usage is not None:
            events.append(Metered(embedding_usage(usage)))


class ModerationBody(EmbeddingBody):
    """It reports no usage: moderation is free."""

    __slots__ = ()


class ImagesBody(_JsonBody):
    __slots__ = ()

    def _answer(self, reply: _Reply, usage: dict[str, Any] | None, events: list[Event]) -> None:
        events.append(Metered((image_usage(usage) if usage else None) or {Unit.IMAGES: len(reply.data or ())}))


class TranscriptionBody(WholeBody):
    """JSON, or with `response_format` text, srt or vtt the words themselves."""

    __slots__ = ()

    def _body(self, body: bytes, events: list[Event]) -> None:
        wire = wire_object(body)
        if wire is None:
            self.finished = bool(body)
            _say(body.decode("utf-8", "replace"), events)
            return
        if wire.get("error"):
            events.append(faults.failed(wire["error"], 502))
            return
        self.finished = True
        text = wire.get("text")
        _say(text if isinstance(text, str) else "", events)
        units: Usage | None = transcription_usage(wire["usage"]) if isinstance(wire.get("usage"), dict) else None
        if units is None and (seconds := whole_seconds(wire.get("duration"))) is not None:
            units = {Unit.AUDIO_SECONDS: seconds}
        if units is not None:
            events.append(Metered(units))


def _say(text: str, events: list[Event]) -> None:
    if text:
        events += [PartStart(0, Text("")), PartDelta(0, text), PartEnd(0)]


Handlers = dict[str, Callable[[Any, _Event, list[Event]], None]]


class _MediaStream(EventStream):
    """Events told apart by their type, each handled by a method named in `handlers`."""

    __slots__ = ("_part",)

    handlers: ClassVar[Handlers]

    def __init__(self) -> None:
        super().__init__()
        self._part = False

    def _frame(self, frame: Frame, events: list[Event]) -> None:
        if frame.data == b"[DONE]":
            return
        event = lenient(_EVENT, frame.data)
        if event is None:
            members = lenient(_RESCUE, frame.data) or {}
            event = _Event(type=anything(members.get("type", ABSENT)), usage=members.get("usage", ABSENT))
        if event.error is not ABSENT and (error := anything(event.error)):
            events.append(faults.failed(error, 502))
            return
        handle = self.handlers.get(event.type or frame.event)
        if handle:
            handle(self, event, events)
            if self.finished and self.ending is None:
                self.ending = frame.start

    def _body(self, body: bytes, events: list[Event]) -> None:
        self._frame(Frame("", body, 0, 0), events)


class SpeechStream(_MediaStream):
    __slots__ = ()

    def _delta(self, event: _Event, events: list[Event]) -> None:
        if not self._part:
            self._part = True
            events.append(PartStart(0, Audio(Inline("", ""))))
        if event.audio:
            events.append(PartData(0, event.audio))

    def _done(self, event: _Event, events: list[Event]) -> None:
        self.finished = True
        if self._part:
            events.append(PartEnd(0))
        usage = wire_object(event.usage)
        if usage is not None:
            events.append(Metered(speech_usage(usage)))

    handlers: ClassVar[Handlers] = {"speech.audio.delta": _delta, "speech.audio.done": _done}


class TranscriptionStream(_MediaStream):
    """Segments (`transcript.text.segment`) repeat the deltas, or stand for them where there are none."""

    __slots__ = ()

    def _delta(self, event: _Event, events: list[Event]) -> None:
        if not self._part:
            self._part = True
            events.append(PartStart(0, Text("")))
        if event.delta:
            events.append(PartDelta(0, event.delta))

    def _done(self, event: _Event, events: list[Event]) -> None:
        self.finished = True
        if self._part:
            events.append(PartEnd(0))
        else:
            _say(event.text or "", events)
        usage = wire_object(event.usage)
        units = transcription_usage(usage) if usage is not None else None
        if units is not None:
            events.append(Metered(units))

    handlers: ClassVar[Handlers] = {"transcript.text.delta": _delta, "transcript.text.done": _done}

    def _body(self, body: bytes, events: list[Event]) -> None:
        whole = TranscriptionBody()
        whole.feed(body)
        events += whole.close()
        self.finished = whole.finished


class ImageStream(_MediaStream):
    """One `completed` event for each picture; partial pictures cost output tokens inside its usage."""

    __slots__ = ("_units",)

    def __init__(self) -> None:
        super().__init__()
        self._units: dict[Unit, int] = {}

    def _completed(self, event: _Event, events: list[Event]) -> None:
        self.finished = True
        events += [PartStart(0, Image(Inline("", ""))), PartData(0, event.b64_json or ""), PartEnd(0)]
        usage = wire_object(event.usage)
        for unit, quantity in ((image_usage(usage) if usage else None) or {Unit.IMAGES: 1}).items():
            self._units[unit] = self._units.get(unit, 0) + quantity
        events.append(Metered(dict(self._units)))

    handlers: ClassVar[Handlers] = {
        "image_generation.completed": _completed,
        "image_edit.completed": _completed,
    }

    def _body(self, body: bytes, events: list[Event]) -> None:
        whole = ImagesBody()
        whole.feed(body)
        events += whole.close()
        self.finished = whole.finished
