"""Gemini generateContent: replies. https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse

A stream is a sequence of whole reply objects: as server-sent events with `alt=sse`, else as one JSON array that grows.
Parts are fragments: neighbours of one kind join. Of usage the last value of each field counts.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from proxyapi.dialects import faults
from proxyapi.dialects.dialect import Report
from proxyapi.dialects.frames import FRAME_BYTES_MAX, FrameDecoder
from proxyapi.dialects.model import (
    ABSENT,
    Audio,
    Event,
    Finish,
    Image,
    Inline,
    Metered,
    Native,
    Part,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    ReasoningState,
    ServerToolResult,
    ServerToolUse,
    Start,
    StopReason,
    Text,
    Thinking,
    ToolUse,
)
from proxyapi.dialects.stream import WholeBody, anything, lenient
from proxyapi.dialects.units import QUANTITY_MAX, add, count, split, wire_object
from proxyapi.usage import Unit, Usage

_STOP: dict[str, StopReason] = {
    "STOP": "end",
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
    "PROHIBITED_CONTENT": "refusal",
    "SAFETY": "content_filter",
    "BLOCKLIST": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "LANGUAGE": "content_filter",
    "RECITATION": "recitation",
    "IMAGE_RECITATION": "recitation",
    "MALFORMED_FUNCTION_CALL": "malformed",
    "MALFORMED_RESPONSE": "malformed",
    "UNEXPECTED_TOOL_CALL": "malformed",
    "TOO_MANY_TOOL_CALLS": "malformed",
    "MISSING_THOUGHT_SIGNATURE": "malformed",
}
_PER_PROMPT = ("gemini-1", "gemini-2")
"""Generations whose search is billed by the grounded prompt; later ones pay for every query.
https://ai.google.dev/gemini-api/docs/google-search#pricing"""


class _Call(Struct):
    id: str | None = None
    name: str | None = None
    args: Raw = ABSENT


class _Blob(Struct):
    data: str | None = None
    mimeType: str | None = None


class _Part(Struct):
    text: str | None = None
    thought: bool | None = None
    thoughtSignature: str | None = None
    functionCall: _Call | None = None
    inlineData: _Blob | None = None
    executableCode: Raw = ABSENT
    codeExecutionResult: Raw = ABSENT
    toolCall: Raw = ABSENT
    toolResponse: Raw = ABSENT


class _Content(Struct):
    parts: list[_Part] | None = None


class _Grounding(Struct):
    webSearchQueries: list[str] | None = None


class _Candidate(Struct):
    index: int | None = None
    content: _Content | None = None
    finishReason: str | None = None
    finishMessage: str | None = None
    groundingMetadata: _Grounding | None = None


class _Feedback(Struct):
    blockReason: str | None = None
    blockReasonMessage: str | None = None


class _Chunk(Struct):
    candidates: list[_Candidate] | None = None
    usageMetadata: Raw = ABSENT
    modelVersion: str | None = None
    responseId: str | None = None
    promptFeedback: _Feedback | None = None
    error: Raw = ABSENT


class _Rescue(Struct):
    usageMetadata: Raw = ABSENT
    error: Raw = ABSENT


_CHUNK = msgspec.json.Decoder(_Chunk)
_CHUNKS = msgspec.json.Decoder(list[Raw])
_RESCUE = msgspec.json.Decoder(_Rescue)
_OPEN = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')


_Count = Annotated[int, Meta(ge=0, le=QUANTITY_MAX)]


class _Texts(Struct, gc=False):
    modality: Literal["TEXT", "DOCUMENT"]


def usage(wire: dict[str, Any], searches: int = 0) -> Usage:
    """`usageMetadata`: the prompt holds what came from a cache; thoughts stand beside the candidates."""
    units: dict[Unit, int] = {}
    tools, prompt = count(wire, "toolUsePromptTokenCount"), count(wire, "promptTokenCount")
    cached, cached_audio = count(wire, "cachedContentTokenCount"), _of(wire, "cacheTokensDetails", "AUDIO")
    cached_audio = min(cached, cached_audio)
    audio = _of(wire, "promptTokensDetails", "AUDIO") + _of(wire, "toolUsePromptTokensDetails", "AUDIO")
    split(
        units,
        prompt + tools,
        Unit.INPUT,
        (Unit.CACHE_READ_AUDIO, cached_audio),
        (Unit.CACHE_READ, cached - cached_audio),
        (Unit.INPUT_AUDIO, max(0, audio - cached_audio)),
    )
    output, thoughts = count(wire, "candidatesTokenCount", "responseTokenCount"), count(wire, "thoughtsTokenCount")
    output += max(0, count(wire, "totalTokenCount") - prompt - tools - output - thoughts)
    name = "candidatesTokensDetails" if "candidatesTokensDetails" in wire else "responseTokensDetails"
    split(
        units,
        output,
        Unit.OUTPUT,
        (Unit.OUTPUT_AUDIO, _of(wire, name, "AUDIO")),
        (Unit.OUTPUT_IMAGE, _of(wire, name, "IMAGE")),
    )
    add(units, Unit.REASONING, thoughts)
    add(units, Unit.WEB_SEARCH, searches)
    return units


def _of(wire: dict[str, Any], name: str, modality: str) -> int:
    details = wire.get(name)
    if not isinstance(details, list):
        return 0
    return sum(count(d, "tokenCount") for d in details if isinstance(d, dict) and d.get("modality") == modality)


class _Plain(Struct, forbid_unknown_fields=True, gc=False):
    """The usual `usageMetadata`: whole numbers, and nothing but text."""

    promptTokenCount: _Count
    totalTokenCount: _Count
    candidatesTokenCount: _Count = 0
    thoughtsTokenCount: _Count = 0
    cachedContentTokenCount: _Count = 0
    promptTokensDetails: list[_Texts] | None = None
    candidatesTokensDetails: list[_Texts] | None = None
    cacheTokensDetails: list[_Texts] | None = None
    serviceTier: str | None = None


class _Ungrounded(Struct, forbid_unknown_fields=True, gc=False):
    """A candidate that ended, and that no search is billed with."""

    finishReason: Annotated[str, Meta(min_length=1)]
    content: Raw = ABSENT
    index: Raw = ABSENT
    finishMessage: Raw = ABSENT
    safetyRatings: Raw = ABSENT
    avgLogprobs: Raw = ABSENT
    logprobsResult: Raw = ABSENT
    citationMetadata: Raw = ABSENT
    tokenCount: Raw = ABSENT


class _Report(Struct):
    """All that metering needs of a whole reply whose provider counted."""

    usageMetadata: Raw
    candidates: Annotated[list[_Ungrounded], Meta(min_length=1)]
    modelVersion: str = ""
    responseId: str = ""
    error: Raw = ABSENT


_PLAIN = msgspec.json.Decoder(_Plain)
_REPORT = msgspec.json.Decoder(_Report)


def report(body: bytes) -> Report | None:
    """Usage of a whole reply. None: it is not the usual one."""
    try:
        wire = _REPORT.decode(body)
        spent = _PLAIN.decode(wire.usageMetadata)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    prompt, cached, thoughts = spent.promptTokenCount, spent.cachedContentTokenCount, spent.thoughtsTokenCount
    output = max(spent.candidatesTokenCount, spent.totalTokenCount - prompt - thoughts)
    if wire.error is not ABSENT or cached > prompt:
        return None
    units = {Unit.CACHE_READ: cached, Unit.INPUT: prompt - cached} if cached else {Unit.INPUT: prompt}
    units[Unit.OUTPUT] = output
    if thoughts:
        units[Unit.REASONING] = thoughts
    return Report(units, wire.responseId, wire.modelVersion, spent.serviceTier or "")


class _State:
    """One candidate: the part that grows."""

    __slots__ = ("done", "open", "part")

    def __init__(self) -> None:
        self.open = ""
        self.part = 0
        self.done = False


class GeminiReader:
    """Reply objects to events."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._started = False
        self._parts = 0
        self._states: dict[int, _State] = {}
        self._usage: dict[str, Any] = {}
        self._searches: dict[int, int] = {}
        self._blocked = False

    @property
    def finished(self) -> bool:
        return self._blocked or (bool(self._states) and all(state.done for state in self._states.values()))

    def read(self, data: bytes | Raw, events: list[Event]) -> None:
        chunk = lenient(_CHUNK, data)
        if chunk is None:
            rescue = lenient(_RESCUE, data)
            if rescue is None:
                return
            chunk = _Chunk(usageMetadata=rescue.usageMetadata, error=rescue.error)
        if not self._started and (chunk.candidates or chunk.responseId or chunk.modelVersion):
            self._started = True
            tier = (wire_object(chunk.usageMetadata) or {}).get("serviceTier")
            events.append(
                Start(
                    id=chunk.responseId or "",
                    model=chunk.modelVersion or "",
                    tier=tier if isinstance(tier, str) else "",
                )
            )
        for position, candidate in enumerate(chunk.candidates or ()):
            number = candidate.index if candidate.index is not None else position
            state = self._states.get(number)
            if state is None:
                state = self._states[number] = _State()
            self._candidate(number, state, candidate, events)
        if chunk.promptFeedback and chunk.promptFeedback.blockReason and not self._blocked:
            self._blocked = True
            events.append(
                Finish(
                    reason="content_filter",
                    native=chunk.promptFeedback.blockReason,
                    message=chunk.promptFeedback.blockReasonMessage or "",
                )
            )
        if chunk.usageMetadata is not ABSENT:
            self._meter(chunk.usageMetadata, events)
        if chunk.error is not ABSENT and (error := anything(chunk.error)):
            events.append(faults.failed(error, 502))

    def _meter(self, raw: Raw, events: list[Event]) -> None:
        wire = wire_object(raw)
        if wire is None:
            return
        self._usage.update({name: value for name, value in wire.items() if value is not None})
        searches = sum(self._searches.values())
        if searches and self._model.rpartition("/")[2].startswith(_PER_PROMPT):
            searches = 1
        events.append(Metered(usage(self._usage, searches)))

    def _candidate(self, number: int, state: _State, candidate: _Candidate, events: list[Event]) -> None:
        grounding = candidate.groundingMetadata
        if grounding and grounding.webSearchQueries:
            # An empty query is not billed. The metadata grows: the longest list holds the others.
            queries = sum(1 for query in grounding.webSearchQueries if query)
            self._searches[number] = max(self._searches.get(number, 0), queries)
        for part in (candidate.content.parts or ()) if candidate.content else ():
            self._part(number, state, part, events)
        if candidate.finishReason and not state.done:
            state.done = True
            self._shut(state, events)
            events.append(
                Finish(
                    reason=_STOP.get(candidate.finishReason, "other"),
                    choice=number,
                    native=candidate.finishReason,
                    message=candidate.finishMessage or "",
                )
            )

    def _part(self, number: int, state: _State, part: _Part, events: list[Event]) -> None:
        if part.text:
            kind = "thinking" if part.thought else "text"
            if state.open != kind:
                self._open(number, state, kind, Thinking() if part.thought else Text(""), events)
            events.append(PartDelta(state.part, part.text))
        elif part.functionCall:
            call = part.functionCall
            self._open(number, state, "call", ToolUse(call.id or "", call.name or "", ""), events)
            if call.args is not ABSENT:
                events.append(PartDelta(state.part, bytes(call.args).decode("utf-8", "replace")))
        elif part.inlineData:
            media_type = part.inlineData.mimeType or ""
            source = Inline("", media_type)
            kind = "image" if media_type.startswith("image/") else "audio"
            if state.open != kind or kind == "image":
                self._open(number, state, kind, Image(source) if kind == "image" else Audio(source), events)
            events.append(PartData(state.part, part.inlineData.data or ""))
        elif part.executableCode is not ABSENT:
            arguments = bytes(part.executableCode).decode("utf-8", "replace")
            tool = ServerToolUse("", "code_execution", "code_execution", arguments)
            self._open(number, state, "code", tool, events)
        elif part.codeExecutionResult is not ABSENT:
            result = ServerToolResult("", "code_execution", native=part.codeExecutionResult.copy())
            self._open(number, state, "result", result, events)
        elif part.toolCall is not ABSENT or part.toolResponse is not ABSENT:
            name = "toolCall" if part.toolCall is not ABSENT else "toolResponse"
            body = part.toolCall if part.toolCall is not ABSENT else part.toolResponse
            self._open(number, state, name, Native("gemini", name, body.copy()), events)
        if part.thoughtSignature:
            if not state.open:
                self._open(number, state, "text", Text(""), events)
            events.append(PartState(state.part, ReasoningState("google_signature", part.thoughtSignature)))

    def _open(self, number: int, state: _State, kind: str, part: Part, events: list[Event]) -> None:
        self._shut(state, events)
        state.open, state.part = kind, self._parts
        self._parts += 1
        events.append(PartStart(state.part, part, number))

    def _shut(self, state: _State, events: list[Event]) -> None:
        if state.open:
            events.append(PartEnd(state.part))
            state.open = ""


class _ArrayCutter:
    """Cuts a JSON array into its elements as it grows."""

    def __init__(self) -> None:
        self.elements = 0
        self.closed = False
        self._pending = 0
        """Bytes after the last whole element."""
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._element = bytearray()

    @property
    def pending(self) -> int:
        # An element that is too large to be read is not held back either.
        return 0 if self.closed or len(self._element) > FRAME_BYTES_MAX else self._pending

    def feed(self, data: bytes) -> list[bytes]:
        found: list[bytes] = []
        at = start = 0
        if self._escaped:
            self._escaped, at = False, 1
        while match := (_IN_STRING if self._in_string else _OPEN).search(data, at):
            at, mark = match.end(), match.group()
            if mark == b"\\":
                self._escaped = at == len(data)
                at += 1
            elif mark == b'"':
                self._in_string = not self._in_string
            elif mark in b"{[":
                self._depth += 1
                if self._depth == 2:
                    start = at - 1
            else:
                self._depth -= 1
                if self._depth == 1:
                    self._element += data[start:at]
                    if len(self._element) <= FRAME_BYTES_MAX:
                        found.append(bytes(self._element))
                    self._element.clear()
                    self.elements += 1
                    self._pending = -at
                elif self._depth == 0:
                    self.closed = True
        if self._depth >= 2 and len(self._element) <= FRAME_BYTES_MAX:
            self._element += data[start:]
        self._pending += len(data)
        return found


class GeminiStream:
    """Both kinds of stream; which one it is shows its first byte."""

    ending: int | None = None
    usage_frame: tuple[int, int] | None = None
    opaque = False

    def __init__(self, model: str) -> None:
        self._reader = GeminiReader(model)
        self._frames = FrameDecoder()
        self._array: _ArrayCutter | None = None
        self._told = False

    @property
    def finished(self) -> bool:
        return self._reader.finished and (self._array is None or self._array.closed)

    @property
    def pending(self) -> int:
        return self._frames.pending if self._array is None else self._array.pending

    @property
    def elements(self) -> int | None:
        return None if self._array is None else -1 if self._array.closed else self._array.elements

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if not self._told and data.strip():
            self._told = True
            self._array = _ArrayCutter() if data.lstrip().startswith(b"[") else None
        if self._array is not None:
            for element in self._array.feed(data):
                self._reader.read(element, events)
            return events
        for frame in self._frames.feed(data):
            if frame.data:
                self._reader.read(frame.data, events)
        return events

    def close(self) -> list[Event]:
        events: list[Event] = []
        for frame in self._frames.close():
            if frame.data:
                self._reader.read(frame.data, events)
        return events


class GeminiBody(WholeBody):
    __slots__ = ("_model",)

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model

    def _body(self, body: bytes, events: list[Event]) -> None:
        reader = GeminiReader(self._model)
        if body.lstrip().startswith(b"["):
            for chunk in lenient(_CHUNKS, body) or []:
                reader.read(chunk, events)
        else:
            reader.read(body, events)
        self.finished = reader.finished


class EmbeddingBody(WholeBody):
    __slots__ = ()

    def _body(self, body: bytes, events: list[Event]) -> None:
        wire = lenient(_RESCUE, body)
        if wire is None:
            return
        if error := anything(wire.error):
            events.append(faults.failed(error, 502))
            return
        self.finished = True
        metadata = wire_object(wire.usageMetadata)
        if metadata is not None:
            events.append(Metered({Unit.INPUT: count(metadata, "promptTokenCount", "totalTokenCount")}))


__all__ = ["EmbeddingBody", "GeminiBody", "GeminiReader", "GeminiStream", "report", "usage"]
