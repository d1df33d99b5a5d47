"""Gemini: the parts of a reply as a client reads them, whole or in fragments: what body and stream have in common.

A part leaves when it ends, but for texts, thoughts and sounds, which a stream tells as they come. Sources, the reason
for the end and usage wait for the end. https://ai.google.dev/api/generate-content#v1beta.Candidate
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.codec import Asked, Encoder
from proxyapi.dialects.functions import as_object, spoken
from proxyapi.dialects.gemini import hosted
from proxyapi.dialects.gemini.chunks_in import STOP
from proxyapi.dialects.gemini.grounding import Grounds
from proxyapi.dialects.gemini.usage import written
from proxyapi.dialects.media import UNKNOWN, sniffed
from proxyapi.dialects.model import (
    Audio,
    Document,
    Event,
    FileRef,
    Finish,
    Image,
    Inline,
    JsonSchema,
    KeepAlive,
    Link,
    Metered,
    Native,
    Notice,
    Part,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    PartSummary,
    ReasoningState,
    Refusal,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Source,
    Start,
    StopReason,
    Text,
    Thinking,
    TokenLogprob,
    ToolUse,
    Video,
)
from proxyapi.dialects.stream import anything, lenient
from proxyapi.dialects.wording import as_text

Wire = dict[str, Any]

SAMPLES = "audio/L16;codec=pcm;rate=24000"
"""What Google's models speak, and OpenAI's `pcm16` too."""
_APART = "\n\n"
_REASONS: dict[StopReason, str] = {
    "length": "MAX_TOKENS",
    "context_window": "MAX_TOKENS",
    "pause": "CONTINUATION",
    "refusal": "SAFETY",
    "content_filter": "SAFETY",
    "recitation": "RECITATION",
    "malformed": "MALFORMED_FUNCTION_CALL",
    "cancelled": "OTHER",
    "other": "OTHER",
}
"""Any other is STOP."""
_OF_REPLY = frozenset({"turnToken", "modelStatus"})
"""Side values of the whole reply; others are of its candidate."""

encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode


class _Search(Struct):
    """What a search was asked for, in every dialect."""

    query: str | None = None
    queries: list[str] | None = None


_QUERIES = msgspec.json.Decoder(_Search)


class Growing:
    """An open part."""

    __slots__ = ("choice", "data", "index", "kept", "part", "source", "state", "suffix", "texts")

    def __init__(self, index: int, part: Part, choice: int) -> None:
        self.index = index
        self.part = part
        self.choice = choice
        self.texts: list[str] = []
        """What is not told yet."""
        self.data: list[str] = []
        self.kept: list[str] = []
        """Of a text, all of it: its sources are told at the end."""
        self.suffix = b""
        """Of a stream's frame for more of it, where its text only has to be put in."""
        self.source: int | None = None
        """Of thoughts: -1 raw ones, else the number of the summary that grows."""
        self.state = part.state


class Choice:
    """One alternative."""

    def __init__(self) -> None:
        self.grounds = Grounds()
        self.finish: Finish | None = None
        self.notices: Wire = {}
        self.logprobs: list[TokenLogprob] = []


class Reply(Encoder):
    """Events to parts. `_tell` and `_grow` say what becomes of them."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._start = Start(id="", model="")
        self._metered: Metered | None = None
        self._open: dict[int, Growing] = {}
        self._choices: dict[int, Choice] = {}
        self._notices: Wire = {}
        shape = asked.request.format
        self._is_unquoted = isinstance(shape, JsonSchema) and shape.media_type == "text/x.enum"
        """The answer is one word of an enum, which other dialects tell as JSON."""

    def _tell(self, choice: int, part: Wire) -> None:
        """A part, whole."""
        raise NotImplementedError

    def _grow(self, part: Growing, event: PartDelta) -> None:
        """More of a text or a thought."""
        raise NotImplementedError

    def _sound(self, part: Growing, data: str) -> None:
        """More of a sound."""
        raise NotImplementedError

    def _choice(self, number: int) -> Choice:
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = Choice()
        return choice

    # --- parts ---------------------------------------------------------------------------------------------------

    def _on_part_start(self, event: PartStart) -> None:
        self._choice(event.choice)
        part = self._open[event.index] = Growing(event.index, event.part, event.choice)
        if isinstance(event.part, Text):
            part.kept = self._choices[event.choice].grounds.begin(event.index)
        if text := _TEXT[type(event.part)](event.part) if type(event.part) in _TEXT else "":
            self._on_delta(PartDelta(event.index, text))
        if isinstance(event.part, Audio | Image) and isinstance(event.part.source, Inline) and event.part.source.data:
            self._on_data(PartData(part.index, event.part.source.data))

    def _on_delta(self, event: PartDelta) -> None:
        part = self._open.get(event.index)
        if part is None:
            return
        if isinstance(part.part, Text) and not self._is_unquoted:
            part.kept.append(event.text)
            self._grow(part, event)
            return
        match part.part:
            case Thinking():
                self._think(part, event.text, -1)
            case Refusal():
                self._grow(part, event)
            case _:
                part.texts.append(event.text)

    def _on_summary(self, event: PartSummary) -> None:
        if event.index in self._open:
            self._think(self._open[event.index], event.text, event.number)

    def _think(self, part: Growing, text: str, source: int) -> None:
        """Raw thoughts and their summaries say the same: only what comes first is shown."""
        if part.source is not None and part.source != source:
            if min(part.source, source) < 0:
                return
            text = _APART + text
        part.source = source
        self._grow(part, PartDelta(part.index, text))

    def _on_data(self, event: PartData) -> None:
        part = self._open.get(event.index)
        if part is None:
            return
        if isinstance(part.part, Audio):
            self._sound(part, event.data)
        else:
            part.data.append(event.data)

    def _on_citation(self, event: PartCitation) -> None:
        if event.index in self._open:
            self._choices[self._open[event.index].choice].grounds.cite(event.index, event.citation)

    def _on_state(self, event: PartState) -> None:
        if event.index in self._open:
            self._open[event.index].state = event.state

    def _on_part_end(self, event: PartEnd) -> None:
        part = self._open.pop(event.index, None)
        if part is None or (event.incomplete and isinstance(part.part, ToolUse)):
            # A call that was cut must not be executed: there is no other place for it.
            return
        wires = _WRITE.get(type(part.part), Reply._in_words)(self, part)
        if event.result is not None:
            wires += self._result(part, event.result)
        if part.state is not None:
            wires = wires or [{"text": ""} | ({"thought": True} if isinstance(part.part, Thinking) else {})]
            wires[-1]["thoughtSignature"] = self._signature(part.state)
        for wire in wires:
            self._tell(part.choice, wire)

    def _signature(self, state: ReasoningState) -> str:
        return b64encode(self._asked.seal(state).encode()).decode()

    # --- whole parts ---------------------------------------------------------------------------------------------

    def _text(self, part: Growing) -> list[Wire]:
        """What of a text was not told as it came."""
        text = "".join(part.texts)
        if self._is_unquoted and isinstance(part.part, Text):
            text = _unquoted(text)
            part.kept.append(text)
        return [{"text": text}] if text else []

    def _thinking(self, part: Growing) -> list[Wire]:
        text = "".join(part.texts)
        return [{"text": text, "thought": True}] if text else []

    def _tool_use(self, part: Growing) -> list[Wire]:
        call = part.part
        assert isinstance(call, ToolUse)
        arguments = as_object(msgspec.structs.replace(call, arguments="".join(part.texts)))
        name = spoken(call.name, call.namespace)
        return [{"functionCall": {"id": call.id, "name": name, "args": Raw(arguments.encode())}}]

    def _server_tool_use(self, part: Growing) -> list[Wire]:
        use = part.part
        assert isinstance(use, ServerToolUse)
        use = msgspec.structs.replace(use, arguments="".join(part.texts))
        if use.kind == "web_search":
            asked = lenient(_QUERIES, use.arguments.encode()) or _Search()
            queries = asked.queries or ([asked.query] if asked.query else [])
            self._choices[part.choice].grounds.search(queries, ())
            if use.name == hosted.GROUNDED:
                return []
        if use.kind in hosted.CODE_KINDS:
            return [{"executableCode": hosted.write_code(use)}]
        return [] if use.kind == "image_generation" else [{"toolCall": hosted.write_call(use)}]

    def _server_tool_result(self, part: Growing) -> list[Wire]:
        assert isinstance(part.part, ServerToolResult)
        return self._result(part, part.part)

    def _result(self, part: Growing, result: ServerToolResult) -> list[Wire]:
        if result.kind == "web_search":
            pages = (page for page in result.parts if isinstance(page, SearchResult))
            self._choices[part.choice].grounds.search((), pages)
            if isinstance(part.part, ServerToolUse) and part.part.name == hosted.GROUNDED:
                return []
        pictures = [_blob(image.source, "") for image in result.parts if isinstance(image, Image)]
        if field := hosted.native_field(result):
            return [{field: result.native}, *pictures]
        if result.kind in hosted.CODE_KINDS:
            return [{"codeExecutionResult": hosted.write_output(result)}, *pictures]
        told = [] if result.kind == "image_generation" else [{"toolResponse": hosted.write_response(result)}]
        return [*told, *pictures]

    def _image(self, part: Growing) -> list[Wire]:
        image = part.part
        assert isinstance(image, Image | Video | Document)
        if isinstance(image, Document) and image.source is None:
            return self._in_words(part)
        assert image.source is not None
        return [_blob(image.source, "".join(part.data))]

    def _audio(self, part: Growing) -> list[Wire]:
        """What was said follows the sound: no field beside it is for that."""
        sounds = [sound(part.part, "".join(part.data))] if part.data else []
        text = "".join(part.texts)
        return [*sounds, {"text": text}] if text else sounds

    def _in_words(self, part: Growing) -> list[Wire]:
        text = as_text(part.part)
        return [{"text": text}] if text else []

    def _native(self, part: Growing) -> list[Wire]:
        native = part.part
        assert isinstance(native, Native)
        return [{native.wire_type: native.body}] if native.dialect == "gemini" else []

    # --- the reply -----------------------------------------------------------------------------------------------

    def _on_start(self, event: Start) -> None:
        self._start = event

    def _on_metered(self, event: Metered) -> None:
        self._metered = event

    def _on_finish(self, event: Finish) -> None:
        self._choice(event.choice).finish = event

    def _on_notice(self, event: Notice) -> None:
        if event.dialect == "gemini":
            target = self._notices if event.name in _OF_REPLY else self._choice(0).notices
            target[event.name] = event.body

    def _on_nothing(self, event: Event) -> None:
        """What a client of this dialect has no use for."""

    def _ending(self, number: int) -> Wire:
        """Members of a candidate that come last."""
        choice = self._choices[number]
        wire: Wire = {}
        if (end := choice.finish) is not None:
            own = end.native if STOP.get(end.native) == end.reason else ""
            wire["finishReason"] = own or _REASONS.get(end.reason, "STOP")
            if words := end.message or end.category:
                wire["finishMessage"] = words
        wire["index"] = number
        grounding = choice.grounds.metadata()
        for name, body in choice.notices.items():
            (grounding if name == "searchEntryPoint" else wire)[name] = body
        if grounding:
            wire["groundingMetadata"] = grounding
        return wire

    def _head(self, *, final: bool) -> Wire:
        """Members of every chunk beside its candidates. `final`: of the last one, which tells the cost."""
        wire: Wire = dict(self._notices) if final else {}
        if self._metered is not None:
            wire["usageMetadata"] = written(
                self._metered.usage,
                searched=final and any(choice.grounds.queries for choice in self._choices.values()),
                tier=self._start.tier,
                cost=self._asked.cost(self._metered.usage) if final else "",
                currency=self._asked.currency,
            )
        wire |= {"modelVersion": self._asked.model, "responseId": self._start.id}
        if self._start.created_at is not None:
            wire["createTime"] = datetime.fromtimestamp(self._start.created_at, UTC)
        return wire


def _blob(source: Source, data: str) -> Wire:
    match source:
        case Inline(known, media_type):
            data = known or data
            return {"inlineData": {"mimeType": sniffed(data, media_type), "data": data}}
        case FileRef(uri, _, media_type) | Link(uri, media_type):
            return {"fileData": {"mimeType": media_type or UNKNOWN, "fileUri": uri}}


def sound(part: Part, data: str) -> Wire:
    """A piece of a sound, or all of it."""
    media_type = part.source.media_type if isinstance(part, Audio) else ""
    media_type = media_type or sniffed(data)
    return {"inlineData": {"mimeType": SAMPLES if media_type == UNKNOWN else media_type, "data": data}}


def logprobs(found: Sequence[TokenLogprob]) -> Wire:
    """`logprobsResult`."""
    return {
        "chosenCandidates": [{"token": one.token, "logProbability": one.logprob} for one in found],
        "topCandidates": [
            {"candidates": [{"token": top.token, "logProbability": top.logprob} for top in one.top]} for one in found
        ],
    }


def _unquoted(text: str) -> str:
    """The word of an enum, from JSON that is that word or an object of nothing else."""
    value = anything(text.encode())
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    return value if isinstance(value, str) else text


_TEXT: dict[type, Callable[[Any], str]] = {
    Text: lambda part: part.text,
    Refusal: lambda part: part.text,
    Thinking: lambda part: part.text,
    Audio: lambda part: part.transcript,
    ToolUse: lambda part: part.arguments,
    ServerToolUse: lambda part: part.arguments,
}
"""What a part already holds as it starts: nothing, of most providers."""

_WRITE: dict[type, Callable[[Any, Growing], list[Wire]]] = {
    Text: Reply._text,
    Refusal: Reply._text,
    Thinking: Reply._thinking,
    ToolUse: Reply._tool_use,
    ServerToolUse: Reply._server_tool_use,
    ServerToolResult: Reply._server_tool_result,
    Image: Reply._image,
    Video: Reply._image,
    Document: Reply._image,
    Audio: Reply._audio,
    Native: Reply._native,
}

HANDLERS: dict[type, Callable[[Any, Any], None]] = {
    PartDelta: Reply._on_delta,
    PartStart: Reply._on_part_start,
    PartSummary: Reply._on_summary,
    PartData: Reply._on_data,
    PartCitation: Reply._on_citation,
    PartState: Reply._on_state,
    PartEnd: Reply._on_part_end,
    Start: Reply._on_start,
    Metered: Reply._on_metered,
    Finish: Reply._on_finish,
    Notice: Reply._on_notice,
    KeepAlive: Reply._on_nothing,
}
