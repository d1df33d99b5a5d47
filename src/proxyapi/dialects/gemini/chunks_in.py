"""Gemini: reply objects to events. https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse

A body is one such object, a stream a sequence of them. Parts are fragments: neighbours of one kind join. Of usage the
last value of each field counts. Sources come last.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects import faults
from proxyapi.dialects.gemini import grounding, hosted
from proxyapi.dialects.gemini.partial import Arguments, PartialArg
from proxyapi.dialects.gemini.usage import Total
from proxyapi.dialects.model import (
    ABSENT,
    Audio,
    Document,
    Event,
    FileRef,
    Finish,
    Image,
    Inline,
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
    ReasoningState,
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
    given,
)
from proxyapi.dialects.stream import anything, lenient, moment
from proxyapi.dialects.units import wire_object

STOP: dict[str, StopReason] = {
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


# --- wire ---------------------------------------------------------------------------------------------------------


class _Call(Struct, rename="camel"):
    id: str | None = None
    name: str | None = None
    args: Raw = ABSENT
    partial_args: list[PartialArg] | None = None
    will_continue: bool | None = None


class _Blob(Struct, rename="camel"):
    data: str | None = None
    mime_type: str | None = None


class _File(Struct, rename="camel"):
    file_uri: str | None = None
    mime_type: str | None = None


class _Part(Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _Call | None = None
    inline_data: _Blob | None = None
    file_data: _File | None = None
    executable_code: Raw = ABSENT
    code_execution_result: Raw = ABSENT
    tool_call: Raw = ABSENT
    tool_response: Raw = ABSENT


class _Content(Struct):
    parts: list[_Part] | None = None


class _Logprob(Struct, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _Alternatives(Struct):
    candidates: list[_Logprob] | None = None


class _Logprobs(Struct, rename="camel"):
    chosen_candidates: list[_Logprob] | None = None
    top_candidates: list[_Alternatives] | None = None


class _Candidate(Struct, rename="camel"):
    index: int | None = None
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    grounding_metadata: Raw = ABSENT
    citation_metadata: Raw = ABSENT
    logprobs_result: Raw = ABSENT
    safety_ratings: Raw = ABSENT
    url_context_metadata: Raw = ABSENT
    avg_logprobs: Raw = ABSENT


class _Feedback(Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class _Chunk(Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    usage_metadata: Raw = ABSENT
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None
    prompt_feedback: _Feedback | None = None
    turn_token: Raw = ABSENT
    model_status: Raw = ABSENT
    error: Raw = ABSENT


class Rescue(Struct, rename="camel"):
    """What money needs of a chunk whose other fields are odd."""

    usage_metadata: Raw = ABSENT
    error: Raw = ABSENT


class _EntryPoint(Struct, rename="camel"):
    search_entry_point: Raw = ABSENT


_CHUNK = msgspec.json.Decoder(_Chunk)
RESCUE = msgspec.json.Decoder(Rescue)
_LOGPROBS = msgspec.json.Decoder(_Logprobs)
_ENTRY_POINT = msgspec.json.Decoder(_EntryPoint)


# --- chunks to events ---------------------------------------------------------------------------------------------


class _State:
    """One candidate: the part that grows, and what its end needs."""

    __slots__ = ("arguments", "before", "done", "earlier", "open", "part", "proven", "queries", "searched", "supports",
                 "texts", "told")  # fmt: skip

    def __init__(self) -> None:
        self.open = ""
        """Kind of the part that grows: text, thinking, audio, call."""
        self.part = 0
        self.proven = -1
        """The last part that has a signature."""
        self.done = False
        self.arguments: Arguments | None = None
        """Of a call that comes in pieces."""
        self.texts: list[str] = []
        """Of the text part that grows."""
        self.earlier: list[str] = []
        """Of the text parts before it, as far as they are not in `before`."""
        self.before = 0
        """UTF-8 bytes of the text parts before those."""
        self.supports: list[grounding.Support] = []
        """Sources that are not told yet."""
        self.told: set[grounding.Support] = set()
        self.queries = 0
        """Searches that grounding tells."""
        self.searched = False
        """A search was told as a part of its own."""


class GeminiReader:
    """Reply objects to events."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._started = False
        self._parts = 0
        self._states: dict[int, _State] = {}
        self._searches = 0
        """That grounding tells, of all candidates."""
        self._usage = Total()
        self._blocked = False

    @property
    def finished(self) -> bool:
        return self._blocked or (bool(self._states) and all(state.done for state in self._states.values()))

    def read(self, data: bytes | Raw, events: list[Event]) -> None:
        try:
            chunk = _CHUNK.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            rescue = lenient(RESCUE, data)
            if rescue is None:
                return
            chunk = _Chunk(usage_metadata=rescue.usage_metadata, error=rescue.error)
        if not self._started and (chunk.candidates or chunk.response_id or chunk.model_version):
            self._start(chunk, events)
        if chunk.candidates:
            for position, candidate in enumerate(chunk.candidates):
                number = candidate.index if candidate.index is not None else position
                state = self._states.get(number)
                if state is None:
                    state = self._states[number] = _State()
                self._candidate(number, state, candidate, events)
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason and not self._blocked:
            self._block(chunk.prompt_feedback, events)
        if chunk.usage_metadata is not ABSENT:
            self._meter(chunk.usage_metadata, events)
        if chunk.turn_token is not ABSENT or chunk.model_status is not ABSENT:
            _notice(events, turnToken=chunk.turn_token, modelStatus=chunk.model_status)
        if chunk.error is not ABSENT and (error := anything(chunk.error)):
            events.append(faults.failed(error, 502))

    def _start(self, chunk: _Chunk, events: list[Event]) -> None:
        self._started = True
        tier = (wire_object(chunk.usage_metadata) or {}).get("serviceTier")
        events.append(
            Start(
                id=chunk.response_id or "",
                model=chunk.model_version or "",
                created_at=_seconds(chunk.create_time) if chunk.create_time else None,
                tier=tier if isinstance(tier, str) else "",
            )
        )

    def _block(self, feedback: _Feedback, events: list[Event]) -> None:
        """The prompt was refused: there is no candidate."""
        self._blocked = True
        word, message = feedback.block_reason or "", feedback.block_reason_message or ""
        events.append(Finish(reason="content_filter", native=word, message=message))

    def _meter(self, raw: Raw, events: list[Event]) -> None:
        searches = self._searches
        if searches and self._model.rpartition("/")[2].startswith(_PER_PROMPT):
            searches = 1
        usage = self._usage.add(raw, searches)
        if usage is not None:
            events.append(Metered(usage))

    # --- candidates ----------------------------------------------------------------------------------------------

    def _candidate(self, number: int, state: _State, candidate: _Candidate, events: list[Event]) -> None:
        sources = None
        if candidate.grounding_metadata is not ABSENT:
            sources = grounding.read(candidate.grounding_metadata)
            # An empty query is not billed. The metadata grows: the longest list holds the others.
            more = max(0, len(sources.queries) - state.queries)
            state.queries += more
            self._searches += more
            state.supports = [support for support in sources.supports if support not in state.told] or state.supports
        if candidate.citation_metadata is not ABSENT:
            state.supports += grounding.read_citations(candidate.citation_metadata)
        before = len(events)
        if candidate.content is not None and candidate.content.parts:
            for part in candidate.content.parts:
                self._part(number, state, part, events)
        if candidate.logprobs_result is not ABSENT:
            _add_logprobs(events, before, candidate.logprobs_result)
        if candidate.finish_reason and not state.done:
            self._finish(number, state, candidate, sources, events)
        if not (candidate.safety_ratings is candidate.url_context_metadata is candidate.avg_logprobs is ABSENT):
            _notice(
                events,
                safetyRatings=candidate.safety_ratings,
                urlContextMetadata=candidate.url_context_metadata,
                avgLogprobs=candidate.avg_logprobs,
            )

    def _finish(
        self,
        number: int,
        state: _State,
        candidate: _Candidate,
        sources: grounding.Sources | None,
        events: list[Event],
    ) -> None:
        state.done = True
        if state.supports and state.open != "text":
            # The texts that these sources speak of have ended: nothing can be added to them.
            self._open(number, state, "text", Text(""), events)
        self._shut(state, events, last=True)
        if sources is not None:
            if sources.queries and not state.searched:
                self._search(number, state, sources, events)
            entry = lenient(_ENTRY_POINT, candidate.grounding_metadata) or _EntryPoint()
            _notice(events, searchEntryPoint=entry.search_entry_point)
        word = candidate.finish_reason or ""
        reason, message = STOP.get(word, "other"), candidate.finish_message or ""
        events.append(Finish(reason=reason, choice=number, native=word, message=message))

    def _search(self, number: int, state: _State, sources: grounding.Sources, events: list[Event]) -> None:
        """A search that is told by its sources only."""
        self._open(number, state, "search", ServerToolUse("", "web_search", hosted.GROUNDED), events)
        events.append(PartDelta(state.part, msgspec.json.encode({"queries": sources.queries}).decode()))
        state.open = ""
        events.append(PartEnd(state.part, ServerToolResult("", "web_search", sources.pages)))

    # --- parts ---------------------------------------------------------------------------------------------------

    def _part(self, number: int, state: _State, part: _Part, events: list[Event]) -> None:
        text = part.text
        if text:
            kind = "thinking" if part.thought else "text"
            if state.open != kind or (part.thought and state.proven == state.part):
                # A signature ends a thought.
                self._open(number, state, kind, Thinking() if part.thought else Text(""), events)
            if kind == "text":
                state.texts.append(text)
            events.append(PartDelta(state.part, text))
        elif text is None:
            self._other(number, state, part, events)
        if part.thought_signature:
            if part.thought and not text and (state.open != "thinking" or state.proven == state.part):
                # Of thoughts that nobody is shown.
                self._open(number, state, "proof", Thinking(), events)
            elif not state.open:
                self._open(number, state, "text", Text(""), events)
            state.proven = state.part
            events.append(PartState(state.part, ReasoningState("google_signature", part.thought_signature)))
        if state.open not in _GROWING:
            self._shut(state, events)

    def _other(self, number: int, state: _State, part: _Part, events: list[Event]) -> None:
        """Anything but text."""
        if part.function_call is not None:
            self._call(number, state, part.function_call, events)
        elif part.inline_data is not None or part.file_data is not None:
            self._medium(number, state, part, events)
        elif part.executable_code is not ABSENT:
            self._server_call(number, state, hosted.read_code(part.executable_code), events)
        elif part.code_execution_result is not ABSENT:
            self._open(number, state, "result", hosted.read_output(part.code_execution_result), events)
        elif part.tool_call is not ABSENT:
            use = hosted.read_call(part.tool_call)
            if use is not None:
                state.searched = state.searched or use.kind == "web_search"
                self._server_call(number, state, use, events)
            else:
                self._native(number, state, "toolCall", part.tool_call, events)
        elif part.tool_response is not ABSENT:
            if (result := hosted.read_response(part.tool_response)) is not None:
                self._open(number, state, "result", result, events)
            else:
                self._native(number, state, "toolResponse", part.tool_response, events)

    def _native(self, number: int, state: _State, field: str, raw: Raw, events: list[Event]) -> None:
        self._open(number, state, field, Native("gemini", field, raw.copy(), optional=True), events)

    def _server_call(self, number: int, state: _State, use: ServerToolUse, events: list[Event]) -> None:
        self._open(number, state, "server", msgspec.structs.replace(use, arguments=""), events)
        events.append(PartDelta(state.part, use.arguments))

    def _call(self, number: int, state: _State, call: _Call, events: list[Event]) -> None:
        """Whole, or a piece of one: the last has no `willContinue`."""
        if state.arguments is None:
            self._open(number, state, "call", ToolUse(call.id or "", call.name or "", ""), events)
            if given(call.args):
                events.append(PartDelta(state.part, bytes(call.args).decode("utf-8", "replace")))
            if not call.will_continue and not call.partial_args:
                return
            state.arguments, state.open = Arguments(), "pieces"
        state.arguments.feed(call.partial_args or ())
        if not call.will_continue:
            events.append(PartDelta(state.part, state.arguments.text()))
            state.arguments, state.open = None, "call"

    def _medium(self, number: int, state: _State, part: _Part, events: list[Event]) -> None:
        blob, file = part.inline_data or _Blob(), part.file_data or _File()
        media_type = blob.mime_type or file.mime_type or ""
        source: Source = FileRef(file.file_uri, media_type=media_type) if file.file_uri else Inline("", media_type)
        family = media_type.partition("/")[0]
        kind = "audio" if family == "audio" and not file.file_uri else "file"
        if state.open != kind or kind != "audio":
            make = _MEDIA.get(family, Document)
            self._open(number, state, kind, make(source), events)
        if blob.data:
            events.append(PartData(state.part, blob.data))

    def _open(self, number: int, state: _State, kind: str, part: Part, events: list[Event]) -> None:
        self._shut(state, events)
        state.open, state.part = kind, self._parts
        self._parts += 1
        events.append(PartStart(state.part, part, number))

    def _shut(self, state: _State, events: list[Event], *, last: bool = False) -> None:
        if not state.open:
            return
        if state.open == "text":
            self._cite(state, events, last=last)
        cut, state.arguments = state.arguments, None
        if cut is not None:
            events.append(PartDelta(state.part, cut.text()))
        state.open = ""
        events.append(PartEnd(state.part, incomplete=cut is not None))

    def _cite(self, state: _State, events: list[Event], *, last: bool) -> None:
        """The sources of a text part that ends. Those that are left at the last one are told there."""
        if state.supports:
            text = "".join(state.texts)
            known = state.supports
            state.before += len("".join(state.earlier).encode())
            state.earlier = []
            citations, state.supports = grounding.place(known, text, state.before)
            state.told.update(support for support in known if support not in state.supports)
            if last:
                citations += map(grounding.unplaced, state.supports)
                state.supports = []
            events += [PartCitation(state.part, citation) for citation in citations]
        state.earlier += state.texts
        state.texts = []


_GROWING = frozenset({"", "text", "thinking", "audio", "pieces"})
"""Parts that may go on in the next fragment."""
_MEDIA: dict[str, Callable[[Source], Image | Audio | Video]] = {"image": Image, "audio": Audio, "video": Video}


def _notice(events: list[Event], **values: Raw) -> None:
    for name, raw in values.items():
        if given(raw):
            events.append(Notice("gemini", name, raw.copy()))


def _seconds(moment_text: str) -> int | None:
    """`2026-11-23T10:00:00.123456789Z`"""
    try:
        return moment(datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", moment_text)).timestamp())
    except ValueError:
        return None


def _add_logprobs(events: list[Event], before: int, raw: Raw) -> None:
    """To the last text of this chunk."""
    wire = lenient(_LOGPROBS, raw) or _Logprobs()
    tops = wire.top_candidates or []
    logprobs = tuple(
        TokenLogprob(chosen.token, chosen.log_probability, top=_alternatives(tops, place))
        for place, chosen in enumerate(wire.chosen_candidates or ())
    )
    for place in range(len(events) - 1, before - 1, -1):
        event = events[place]
        if isinstance(event, PartDelta):
            events[place] = PartDelta(event.index, event.text, logprobs)
            return


def _alternatives(tops: list[_Alternatives], place: int) -> tuple[TokenLogprob, ...]:
    found = tops[place].candidates if place < len(tops) else None
    return tuple(TokenLogprob(one.token, one.log_probability) for one in found or ())
