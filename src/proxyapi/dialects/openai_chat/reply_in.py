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
from msgspec.structs import replace

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
)
from proxyapi.dialects.openai_chat.messages_in import CallKind
from proxyapi.dialects.openai_chat.reply_parts import (
    citation,
    image_data,
    image_source,
    proof_of,
    signature,
    token_logprobs,
    web_sources,
)
from proxyapi.dialects.openai_chat.reply_wire import Call, Chunk, Delta, Function, Logprobs, Piece, TextChunk
from proxyapi.dialects.openai_usage import chat_usage, token_usage
from proxyapi.dialects.stream import EventStream, WholeBody, anything, lenient, moment
from proxyapi.dialects.units import inner, wire_object
from proxyapi.usage import tells_half

_STOP: dict[str, StopReason] = {
    "stop": "end",
    "length": "length",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
    "eos": "end",
    "model_length": "length",
}
_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "MAX_TOKENS"})
"""What providers behind OpenRouter say where it says `tool_calls`, whether the last call is whole or not."""


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


_NOTHING_BYTES = len(b"null")
"""No `usage` as short as this says anything: most chunks have it."""
_REPORT = msgspec.json.Decoder(_Report)
_decode_chunk = msgspec.json.Decoder(Chunk).decode
_decode_text = msgspec.json.Decoder(TextChunk).decode
_RESCUE = msgspec.json.Decoder(_Rescue)


def report(body: bytes) -> Report | None:
    """The usage of a chat or a legacy completion. None: there is none, or half of one, or an error."""
    try:
        wire = _REPORT.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    usage = chat_usage(wire.usage) if wire.usage is not ABSENT and wire.error is ABSENT else None
    if usage is None or tells_half(usage):
        return None
    return Report(usage, wire.id, wire.model, wire.service_tier or "")


class _Held(Struct):
    """A call whose name has not come yet."""

    id: str
    arguments: list[str]


class State:
    """One alternative: which parts are open."""

    __slots__ = ("calls", "done", "held", "open", "part", "plain", "proven", "shown", "unplaced")

    def __init__(self) -> None:
        self.open = ""
        """Kind of the part that grows: text, thinking, refusal, audio."""
        self.part = 0
        self.plain = False
        """Thoughts were told by themselves: details that come alone only repeat them."""
        self.proven = False
        """The thought that grows has its proof: what follows is another one."""
        self.unplaced: ReasoningState | None = None
        """A signature whose call follows."""
        self.shown: dict[str, int] = {}
        """The last part of each kind."""
        self.calls: dict[int, int] = {}
        """Part of each tool call, by the wire's index."""
        self.held: dict[int, _Held] = {}
        """By the same index."""
        self.done = False


class ChatReader:
    """Chunks to events."""

    __slots__ = ("_counted", "_ids", "_parts", "_started", "_states", "whole")

    def __init__(self) -> None:
        self.whole = False
        """It reads one body. Perplexity writes an empty delta beside its message, and in a stream the message so far
        beside each delta."""
        self._started = False
        self._counted = False
        """A usage was told that is not nothing."""
        self._parts = 0
        self._states: dict[int, State] = {}
        self._ids: dict[tuple[int, int], str] = {}

    def read(self, data: bytes, events: list[Event]) -> bool:
        """Appends the events of one chunk. True: it carries nothing but usage."""
        try:
            chunk = _decode_chunk(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            rescue = lenient(_RESCUE, data)
            if rescue is None:
                return False
            chunk = Chunk(usage=rescue.usage, error=rescue.error)
        return self.take(chunk, events)

    @property
    def in_text(self) -> bool:
        """The first choice tells its text; what follows may be for `tell`."""
        state = self._states.get(0)
        return state is not None and state.open == "text"

    def tell(self, chunks: list[bytes], at: int, events: list[Event]) -> int:
        """In place of `read`, for the chunks from `at` on that tell more of the open text: as one event.

        Returns the first that does not.
        """
        texts: list[str] = []
        try:
            for number in range(at, len(chunks)):
                texts.append(_decode_text(chunks[number]).choices[0].delta.content)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass  # the first that tells something else
        if text := "".join(texts):
            events.append(PartDelta(self._states[0].part, text))
        return at + len(texts)

    def take(self, chunk: Chunk, events: list[Event]) -> bool:
        """As `read`, of a chunk that is decoded."""
        choices = chunk.choices
        if not self._started and (chunk.id or choices):
            self._started = True
            created = moment(chunk.created)
            tier = chunk.service_tier or ""
            events.append(Start(id=chunk.id or "", model=chunk.model or "", created_at=created, tier=tier))
        if choices:
            for choice in choices:
                delta, message = choice.delta, choice.message
                if message is not None and (delta is None or self.whole):
                    delta = message
                number = choice.index or 0
                state = self._states.get(number)
                if state is None:
                    state = self._states[number] = State()
                if delta is not None:
                    if choice.logprobs is None:
                        self._delta(number, state, delta, events)
                    else:
                        self._with_logprobs(number, state, delta, choice.logprobs, events)
                elif choice.text:
                    self._grow(number, state, "text", choice.text, events)
                if choice.finish_reason and not state.done:
                    cut = choice.finish_reason == "tool_calls" and choice.native_finish_reason in _CUT
                    self._finish(number, state, "length" if cut else choice.finish_reason, chunk, events)
                if choice.error is not ABSENT:
                    self._error(choice.error, events)
        if chunk.error is not ABSENT:
            self._error(chunk.error, events)
        if len(chunk.usage) <= _NOTHING_BYTES and chunk.x_groq is ABSENT:
            return False
        return self._usage(chunk, events)

    def _usage(self, chunk: Chunk, events: list[Event]) -> bool:
        usage = None if chunk.usage is ABSENT else chat_usage(chunk.usage)
        if usage is None and chunk.x_groq is not ABSENT:
            groq = wire_object(chunk.x_groq) or {}
            wire = inner(groq, "usage")
            usage = token_usage(wire) if wire else None
            if groq.get("error"):
                events.append(faults.failed(groq["error"], 502))
        if usage is None:
            return False
        counts = any(usage.values())
        if counts or not self._counted:
            # Zeros behind numbers only hold their place.
            events.append(Metered(usage))
        self._counted = self._counted or counts
        return chunk.choices == [] and chunk.usage is not ABSENT

    def _error(self, raw: Raw, events: list[Event]) -> None:
        error = anything(raw)
        if error:
            events.append(faults.failed(error, 502))

    def all_done(self) -> bool:
        return bool(self._states) and all(state.done for state in self._states.values())

    def has_choices(self) -> bool:
        return bool(self._states)

    def _delta(self, choice: int, state: State, delta: Delta, events: list[Event]) -> None:
        # Thinking comes before what it led to, also where one chunk or one body has both.
        if delta.reasoning_details:
            self._details(choice, state, delta.reasoning_details, delta.reasoning_content or delta.reasoning, events)
        elif thought := delta.reasoning_content or delta.reasoning:
            state.plain = True
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
        if delta.annotations or delta.extra_content:
            self._beside_text(choice, state, delta, events)
        if delta.tool_calls:
            for position, call in enumerate(delta.tool_calls):
                self._call(choice, state, position, call, events)
        if delta.refusal:
            self._grow(choice, state, "refusal", delta.refusal, events)
        if delta.function_call:
            self._call(choice, state, 0, Call(function=delta.function_call), events)
        if delta.audio or delta.images:
            self._media(choice, state, delta, events)

    def _with_logprobs(self, choice: int, state: State, delta: Delta, logprobs: Logprobs, events: list[Event]) -> None:
        """The delta, and on each of its texts the probabilities of its tokens."""
        first = len(events)
        self._delta(choice, state, delta, events)
        found = {state.shown.get(kind): tokens for kind, tokens in token_logprobs(logprobs)}
        for at in range(first, len(events)):
            event = events[at]
            if isinstance(event, PartDelta) and (tokens := found.pop(event.index, None)):
                events[at] = replace(event, logprobs=tokens)

    def _pieces(self, choice: int, state: State, pieces: list[Piece], events: list[Event]) -> None:
        for piece in pieces:
            if piece.text:
                self._grow(choice, state, "text", piece.text, events)
            elif isinstance(piece.thinking, str):
                self._grow(choice, state, "thinking", piece.thinking, events)
            else:
                for thought in piece.thinking or ():
                    self._grow(choice, state, "thinking", thought.text or "", events)

    def _beside_text(self, choice: int, state: State, delta: Delta, events: list[Event]) -> None:
        for note in delta.annotations or ():
            if (source := citation(note)) is not None:
                if state.open != "text":
                    self._open(choice, state, "text", Text(""), events)
                events.append(PartCitation(state.part, source))
        proof = signature(delta.extra_content) if delta.extra_content else None
        if proof is not None and state.open not in ("text", "thinking"):
            if delta.tool_calls:
                # The message is its calls: the first one has the signature.
                state.unplaced = proof
                return
            self._open(choice, state, "text", Text(""), events)
        if proof is not None:
            events.append(PartState(state.part, proof))

    def _media(self, choice: int, state: State, delta: Delta, events: list[Event]) -> None:
        for image in delta.images or ():
            part = self._open(choice, state, "image", Image(image_source(image)), events)
            if data := image_data(image):
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

    def _details(
        self, choice: int, state: State, found: list[dict[str, Any]], thought: str | None, events: list[Event]
    ) -> None:
        """OpenRouter's `reasoning_details`: a thought, which `reasoning` repeats, and its proof, whole."""
        repeats = state.plain and not thought
        told = [None if repeats else detail.get("text") or detail.get("summary") for detail in found]
        if thought and not any(told):
            self._grow(choice, state, "thinking", thought, events)
        for detail, text in zip(found, told, strict=True):
            if isinstance(text, str):
                self._grow(choice, state, "thinking", text, events)
            if (proof := proof_of(detail)) is not None:
                if state.open != "thinking" or state.proven:
                    self._open(choice, state, "thinking", Thinking(), events)
                state.proven = True
                events.append(PartState(state.part, proof))

    def _grow(self, choice: int, state: State, kind: str, text: str, events: list[Event]) -> None:
        if not text:
            return
        if state.open != kind or (state.proven and kind == "thinking"):
            part = Text("") if kind == "text" else Thinking() if kind == "thinking" else Refusal("")
            self._open(choice, state, kind, part, events)
        events.append(PartDelta(state.part, text))

    def _open(self, choice: int, state: State, kind: str, part: Part, events: list[Event]) -> int:
        self._shut(state, events)
        state.open, state.part, state.proven = kind, self._parts, False
        state.shown[kind] = self._parts
        self._parts += 1
        events.append(PartStart(state.part, part, choice))
        return state.part

    def _shut(self, state: State, events: list[Event]) -> None:
        if state.open:
            events.append(PartEnd(state.part))
            state.open = ""

    def _call(self, choice: int, state: State, position: int, call: Call, events: list[Event]) -> None:
        """Calls are told apart by index; a new id at a known index is a new call (Ollama sends 0 for all)."""
        index = position if call.index is None else call.index
        known = state.calls.get(index)
        if known is not None and call.id and self._ids.get((choice, known), call.id) != call.id:
            known = None
        function = call.function or call.custom
        if known is None:
            known = self._start(choice, state, index, call, function, events)
        elif function is not None:
            arguments = function.arguments or function.input
            if arguments:
                events.append(PartDelta(known, arguments if isinstance(arguments, str) else _as_json(arguments)))
        if call.extra_content and known is not None:
            proof = signature(call.extra_content)
            if proof is not None:
                events.append(PartState(known, proof))

    def _start(
        self, choice: int, state: State, index: int, call: Call, function: Function | None, events: list[Event]
    ) -> int | None:
        """A call that was not known. None: its name has not come, and the start of a call has to tell it."""
        held = state.held.pop(index, None) or _Held("", [])
        identity = call.id or held.id
        pieces = held.arguments
        pieces.append(_arguments(function))
        if function is None or not function.name:
            state.held[index] = _Held(identity, pieces)
            return None
        kind: CallKind = "custom" if call.custom is not None else "function"
        return self._open_call(choice, state, index, ToolUse(identity, function.name, "", kind), pieces, events)

    def _open_call(
        self, choice: int, state: State, index: int, call: ToolUse, arguments: list[str], events: list[Event]
    ) -> int:
        self._shut(state, events)
        part = state.calls[index] = self._parts
        self._parts += 1
        if call.id:
            self._ids[choice, part] = call.id
        events.append(PartStart(part, call, choice))
        if state.unplaced is not None:
            events.append(PartState(part, state.unplaced))
            state.unplaced = None
        if text := "".join(arguments):
            events.append(PartDelta(part, text))
        return part

    def _finish(self, choice: int, state: State, reason: str, chunk: Chunk, events: list[Event]) -> None:
        state.done = True
        if chunk.citations is not ABSENT and state.open == "text":
            events += [
                PartCitation(state.part, source) for source in web_sources(chunk.citations, chunk.search_results)
            ]
        for index, held in state.held.items():
            self._open_call(choice, state, index, ToolUse(held.id, "", ""), held.arguments, events)
        self._shut(state, events)
        if state.calls:
            events += [PartEnd(part) for part in sorted(set(state.calls.values()))]
        events.append(Finish(reason=_STOP.get(reason, "other"), choice=choice, native=reason))


class ChatStream(EventStream):
    __slots__ = ("_reader",)

    usual = b"data: {"
    beginning = b"data: "

    def __init__(self, reader: ChatReader | None = None) -> None:
        super().__init__()
        self._reader = reader or ChatReader()

    def _frame(self, frame: Frame, events: list[Event]) -> None:
        if frame.data == b"[DONE]":
            self.finished = True
            self.ending = frame.start if self.ending is None else self.ending
        elif self._reader.read(frame.data, events):
            self.usage_frame = (frame.start, frame.end)

    def _usual_frame(self, data: bytes, start: int, events: list[Event]) -> None:
        if self._reader.read(data[6:], events):
            self.usage_frame = (start, start + len(data))

    def _run(self, texts: list[bytes], at: int, events: list[Event]) -> int:
        reader = self._reader
        in_text = reader.in_text
        if in_text and (end := reader.tell(texts, at, events)) > at:
            return end
        # Other chunks are read in full right here: a reply of calls has many.
        start = self._frames.position
        for number in range(at, len(texts)):
            text = texts[number]
            if text.find(b"\n") >= 0 or text == b"[DONE]":
                return number
            end = start + len(text) + 8
            if reader.read(text, events):
                self.usage_frame = (start, end)
            start = end
            if not in_text and reader.in_text:
                return number + 1
        return len(texts)

    def _body(self, body: bytes, events: list[Event]) -> None:
        self._reader.whole = True
        self._reader.read(body, events)

    def _end(self, events: list[Event]) -> None:
        # Some never send [DONE] (Perplexity); then the finish of every alternative is the proper end.
        self.finished = self.finished or self._reader.all_done()


class ChatBody(WholeBody):
    __slots__ = ("_reader",)

    def __init__(self, reader: ChatReader | None = None) -> None:
        super().__init__()
        self._reader = reader or ChatReader()

    def _body(self, body: bytes, events: list[Event]) -> None:
        self._reader.whole = True
        self._reader.read(body, events)
        self.finished = self._reader.has_choices()


def _arguments(function: Function | None) -> str:
    arguments = None if function is None else function.input if function.arguments is None else function.arguments
    return "" if not arguments else arguments if isinstance(arguments, str) else _as_json(arguments)


def _as_json(arguments: dict[str, Any]) -> str:
    return msgspec.json.encode(arguments).decode()
