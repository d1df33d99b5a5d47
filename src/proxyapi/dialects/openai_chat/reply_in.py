"""OpenAI Chat Completions: replies. One reader of usage, one of choices; a body is a stream of one chunk.

https://platform.openai.com/docs/api-reference/chat/streaming. The oddities of the dialect's other speakers that are
seen in traffic: usage beside the last choice (DeepSeek, Mistral, OpenRouter), in `x_groq` (Groq), in every chunk
(Perplexity); the finish twice (OpenRouter); content as a list with thinking (Mistral). Legacy completions are read here
too: their choices have `text`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects import faults
from proxyapi.dialects.dialect import Report
from proxyapi.dialects.frames import Frame
from proxyapi.dialects.model import (
    ABSENT,
    Audio,
    Event,
    Finish,
    Image,
    Inline,
    Link,
    Metered,
    Part,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    ReasoningState,
    Refusal,
    Start,
    StopReason,
    Text,
    Thinking,
    ToolUse,
    UrlCitation,
)
from proxyapi.dialects.openai_usage import chat_usage, token_usage
from proxyapi.dialects.stream import EventStream, WholeBody, anything, lenient, moment
from proxyapi.dialects.units import inner, wire_object

_STOP: dict[str, StopReason] = {
    "stop": "end",
    "length": "length",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
    "eos": "end",
    "model_length": "length",
}


class _Function(Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None
    input: str | None = None


class _Call(Struct):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: _Function | None = None
    custom: _Function | None = None


class _Piece(Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | list[_Piece] | None = None


class _Audio(Struct):
    id: str | None = None
    data: str | None = None
    transcript: str | None = None
    expires_at: int | None = None


class _Delta(Struct):
    content: str | list[_Piece] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None
    refusal: str | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    function_call: _Function | None = None
    audio: _Audio | None = None
    images: list[dict[str, Any]] | None = None
    annotations: list[dict[str, Any]] | None = None


class _Choice(Struct):
    index: int | None = None
    delta: _Delta | None = None
    message: _Delta | None = None
    text: str | None = None
    """Of a legacy completion."""
    finish_reason: str | None = None
    error: Raw = ABSENT


class _Chunk(Struct):
    choices: list[_Choice] | None = None
    id: str | None = None
    model: str | None = None
    created: int | float | None = None
    service_tier: str | None = None
    usage: Raw = ABSENT
    x_groq: Raw = ABSENT
    error: Raw = ABSENT


class _Rescue(Struct):
    """What money needs of a chunk whose other fields are odd."""

    usage: Raw = ABSENT
    error: Raw = ABSENT


class _Report(Struct):
    """All that metering needs of a whole reply whose provider counted."""

    id: str = ""
    model: str = ""
    service_tier: str | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT


_NOTHING = b"null"
"""No `usage` as short as this says anything: most chunks have it."""
_REPORT = msgspec.json.Decoder(_Report)
_CHUNK = msgspec.json.Decoder(_Chunk)
_CHUNKS = msgspec.json.Decoder(list[_Chunk])
_RESCUE = msgspec.json.Decoder(_Rescue)


def report(body: bytes) -> Report | None:
    """The usage of a chat or a legacy completion. None: there is none, or an error."""
    try:
        wire = _REPORT.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    usage = chat_usage(wire.usage) if wire.usage is not ABSENT and wire.error is ABSENT else None
    return None if usage is None else Report(usage, wire.id, wire.model, wire.service_tier or "")


class _State:
    """One alternative: which parts are open."""

    __slots__ = ("calls", "done", "open", "part")

    def __init__(self) -> None:
        self.open = ""
        """Kind of the part that grows: text, thinking, refusal, audio."""
        self.part = 0
        self.calls: dict[int, int] = {}
        """Part of each tool call, by the wire's index."""
        self.done = False


class ChatReader:
    """Chunks to events."""

    __slots__ = ("_ids", "_parts", "_started", "_states")

    def __init__(self) -> None:
        self._started = False
        self._parts = 0
        self._states: dict[int, _State] = {}
        self._ids: dict[tuple[int, int], str] = {}

    def read(self, data: bytes, events: list[Event]) -> bool:
        """Appends the events of one chunk. True: it carries nothing but usage."""
        try:
            chunk = _CHUNK.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            rescue = lenient(_RESCUE, data)
            if rescue is None:
                return False
            chunk = _Chunk(usage=rescue.usage, error=rescue.error)
        return self.take(chunk, events)

    def take(self, chunk: _Chunk, events: list[Event]) -> bool:
        """As `read`, of a chunk that is decoded."""
        if not self._started and (chunk.id or chunk.choices):
            self._started = True
            created = moment(chunk.created)
            tier = chunk.service_tier or ""
            events.append(Start(id=chunk.id or "", model=chunk.model or "", created_at=created, tier=tier))
        if chunk.choices:
            for choice in chunk.choices:
                delta = choice.delta or choice.message
                number = choice.index or 0
                state = self._states.get(number)
                if state is None:
                    state = self._states[number] = _State()
                if delta is not None:
                    self._delta(number, state, delta, events)
                elif choice.text:
                    self._grow(number, state, "text", choice.text, events)
                if choice.finish_reason and not state.done:
                    self._finish(number, state, choice.finish_reason, events)
                if choice.error is not ABSENT:
                    self._error(choice.error, events)
        if chunk.error is not ABSENT:
            self._error(chunk.error, events)
        if len(chunk.usage) <= len(_NOTHING) and chunk.x_groq is ABSENT:
            return False
        return self._usage(chunk, events)

    def _usage(self, chunk: _Chunk, events: list[Event]) -> bool:
        wire = wire_object(chunk.usage) or {}
        if not wire and chunk.x_groq is not ABSENT:
            groq = wire_object(chunk.x_groq) or {}
            wire = inner(groq, "usage")
            if groq.get("error"):
                events.append(faults.failed(groq["error"], 502))
        if not wire:
            return False
        events.append(Metered(token_usage(wire)))
        return chunk.choices == [] and chunk.usage is not ABSENT

    def _error(self, raw: Raw, events: list[Event]) -> None:
        error = anything(raw)
        if error:
            events.append(faults.failed(error, 502))

    def all_done(self) -> bool:
        return bool(self._states) and all(state.done for state in self._states.values())

    def has_choices(self) -> bool:
        return bool(self._states)

    def _delta(self, choice: int, state: _State, delta: _Delta, events: list[Event]) -> None:
        # Thinking comes before what it led to, also where one chunk or one body has both.
        if thought := delta.reasoning_content or delta.reasoning:
            self._grow(choice, state, "thinking", thought, events)
        content = delta.content
        if content:
            if type(content) is str:
                if state.open == "text":
                    events.append(PartDelta(state.part, content))
                else:
                    self._grow(choice, state, "text", content, events)
            elif not isinstance(content, str):
                self._pieces(choice, state, content, events)
        if delta.tool_calls:
            for position, call in enumerate(delta.tool_calls):
                self._call(choice, state, position, call, events)
        if delta.refusal:
            self._grow(choice, state, "refusal", delta.refusal, events)
        if delta.function_call:
            self._call(choice, state, 0, _Call(function=delta.function_call), events)
        if delta.audio or delta.images or delta.annotations or delta.reasoning_details:
            self._rare(choice, state, delta, events)

    def _pieces(self, choice: int, state: _State, pieces: list[_Piece], events: list[Event]) -> None:
        for piece in pieces:
            if piece.text:
                self._grow(choice, state, "text", piece.text, events)
            elif isinstance(piece.thinking, str):
                self._grow(choice, state, "thinking", piece.thinking, events)
            else:
                for thought in piece.thinking or ():
                    self._grow(choice, state, "thinking", thought.text or "", events)

    def _rare(self, choice: int, state: _State, delta: _Delta, events: list[Event]) -> None:
        for detail in delta.reasoning_details or ():
            self._detail(choice, state, detail, events)
        for note in delta.annotations or ():
            citation = note.get("url_citation")
            if isinstance(citation, dict) and state.open == "text":
                events.append(PartCitation(state.part, _citation(citation)))
        for image in delta.images or ():
            part = self._open(choice, state, "image", Image(_source(image)), events)
            if data := _image_data(image):
                events.append(PartData(part, data))
            self._shut(state, events)
        if audio := delta.audio:
            if state.open != "audio":
                sound = Audio(Inline("", ""), id=audio.id or "", expires_at=audio.expires_at)
                self._open(choice, state, "audio", sound, events)
            if audio.data:
                events.append(PartData(state.part, audio.data))
            if audio.transcript:
                events.append(PartDelta(state.part, audio.transcript))

    def _detail(self, choice: int, state: _State, detail: dict[str, Any], events: list[Event]) -> None:
        """OpenRouter's `reasoning_details`: proof of reasoning, whole. Their text repeats `reasoning`."""
        data, kind = detail.get("signature") or detail.get("data"), str(detail.get("format") or "")
        if not isinstance(data, str) or not data:
            return
        if state.open != "thinking":
            self._open(choice, state, "thinking", Thinking(), events)
        identity = detail.get("id")
        redacted = detail.get("type") == "reasoning.encrypted"
        proof = ReasoningState(
            "openai_encrypted"
            if kind.startswith("openai")
            else "google_signature"
            if kind.startswith("google")
            else "anthropic_redacted"
            if redacted and kind.startswith("anthropic")
            else "anthropic_signature"
            if kind.startswith("anthropic")
            else "other",
            data,
            id=identity if isinstance(identity, str) else "",
        )
        events.append(PartState(state.part, proof))

    def _grow(self, choice: int, state: _State, kind: str, text: str, events: list[Event]) -> None:
        if not text:
            return
        if state.open != kind:
            part = Text("") if kind == "text" else Thinking() if kind == "thinking" else Refusal("")
            self._open(choice, state, kind, part, events)
        events.append(PartDelta(state.part, text))

    def _open(self, choice: int, state: _State, kind: str, part: Part, events: list[Event]) -> int:
        self._shut(state, events)
        state.open, state.part = kind, self._parts
        self._parts += 1
        events.append(PartStart(state.part, part, choice))
        return state.part

    def _shut(self, state: _State, events: list[Event]) -> None:
        if state.open:
            events.append(PartEnd(state.part))
            state.open = ""

    def _call(self, choice: int, state: _State, position: int, call: _Call, events: list[Event]) -> None:
        """Calls are told apart by index; a new id at a known index is a new call (Ollama sends 0 for all)."""
        index = position if call.index is None else call.index
        known = state.calls.get(index)
        if known is not None and call.id and self._ids.get((choice, known), call.id) != call.id:
            known = None
        function = call.function or call.custom
        if known is None:
            self._shut(state, events)
            known = state.calls[index] = self._parts
            self._parts += 1
            if call.id:
                self._ids[choice, known] = call.id
            name = (function.name if function else None) or ""
            part = ToolUse(call.id or "", name, "", "custom" if call.custom is not None else "function")
            events.append(PartStart(known, part, choice))
        if function:
            arguments = function.arguments if function.arguments is not None else function.input
            if arguments:
                text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
                events.append(PartDelta(known, text))

    def _finish(self, choice: int, state: _State, reason: str, events: list[Event]) -> None:
        state.done = True
        self._shut(state, events)
        events += [PartEnd(part) for part in sorted(set(state.calls.values()))]
        events.append(Finish(reason=_STOP.get(reason, "other"), choice=choice, native=reason))


class ChatStream(EventStream):
    __slots__ = ("_reader",)

    usual = b"data: {"

    def __init__(self) -> None:
        super().__init__()
        self._reader = ChatReader()

    def _frame(self, frame: Frame, events: list[Event]) -> None:
        if frame.data == b"[DONE]":
            self.finished = True
            self.ending = frame.start if self.ending is None else self.ending
        elif self._reader.read(frame.data, events):
            self.usage_frame = (frame.start, frame.end)

    def _usual_frame(self, data: bytes, start: int, events: list[Event]) -> None:
        if self._reader.read(data[6:], events):
            self.usage_frame = (start, start + len(data))

    def _usual_frames(self, data: bytes, start: int, events: list[Event]) -> bool:
        texts = data[6:-2].split(b"\n\ndata: ")
        if 2 * len(texts) != data.count(b"\n"):
            return False
        done = texts[-1] == b"[DONE]"
        chunks = lenient(_CHUNKS, b"[%b]" % b",".join(texts[:-1] if done else texts))
        if chunks is None or len(chunks) != len(texts) - done:
            return False
        take = self._reader.take
        for number, chunk in enumerate(chunks):
            if take(chunk, events):
                at = start + sum(map(len, texts[:number])) + 8 * number
                self.usage_frame = (at, at + len(texts[number]) + 8)
        if done:
            self.finished = True
            self.ending = start + len(data) - 14 if self.ending is None else self.ending
        return True

    def _body(self, body: bytes, events: list[Event]) -> None:
        self._reader.read(body, events)

    def _end(self, events: list[Event]) -> None:
        # Some never send [DONE] (Perplexity); then the finish of every alternative is the proper end.
        self.finished = self.finished or self._reader.all_done()


class ChatBody(WholeBody):
    __slots__ = ()

    def _body(self, body: bytes, events: list[Event]) -> None:
        reader = ChatReader()
        reader.read(body, events)
        self.finished = reader.has_choices()


def _citation(wire: dict[str, Any]) -> UrlCitation:
    start, end = wire.get("start_index"), wire.get("end_index")
    return UrlCitation(
        str(wire.get("url") or ""),
        str(wire.get("title") or ""),
        start if isinstance(start, int) else None,
        end if isinstance(end, int) else None,
        str(wire.get("content") or ""),
    )


def _image_url(wire: dict[str, Any]) -> str:
    address = wire.get("image_url")
    url = address.get("url") if isinstance(address, dict) else address
    return url if isinstance(url, str) else ""


def _image_data(wire: dict[str, Any]) -> str:
    url = _image_url(wire)
    return url.partition(",")[2] if url.startswith("data:") else ""


def _source(wire: dict[str, Any]) -> Inline | Link:
    url = _image_url(wire)
    return Inline("", url[5 : url.find(";")]) if url.startswith("data:") else Link(url)
