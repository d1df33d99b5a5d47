"""Anthropic Messages: replies. https://docs.anthropic.com/en/docs/build-with-claude/streaming

Usage comes in `message_start` and again, cumulative, in `message_delta`: the last value of each field wins.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from proxyapi.dialects import faults
from proxyapi.dialects.dialect import Report
from proxyapi.dialects.frames import Frame
from proxyapi.dialects.model import (
    ABSENT,
    Citation,
    DocumentCitation,
    Event,
    Finish,
    KeepAlive,
    Metered,
    ModelUsage,
    Native,
    Part,
    PartCitation,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    ReasoningState,
    ServerToolKind,
    ServerToolResult,
    ServerToolUse,
    Start,
    StopReason,
    Text,
    Thinking,
    ToolUse,
    UrlCitation,
    given,
)
from proxyapi.dialects.stream import EventStream, WholeBody, anything, lenient
from proxyapi.dialects.units import QUANTITY_MAX, add, count, inner, reported_cost, split, wire_object
from proxyapi.usage import Unit, Usage

_STOP: dict[str, StopReason] = {
    "end_turn": "end",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_window",
    "compaction": "compacted",
}
_TOOLS: tuple[tuple[str, ServerToolKind], ...] = (
    ("web_search", "web_search"),
    ("web_fetch", "web_fetch"),
    ("tool_search", "tool_search"),
    ("advisor", "advisor"),
    ("mcp", "mcp"),
    ("bash_code_execution", "code_execution"),
    ("text_editor_code_execution", "code_execution"),
    ("code_execution", "code_execution"),
    ("computer", "computer"),
    ("browser", "browser"),
)
_OTHER_MODEL = ("advisor", "compaction", "fallback")
"""Kinds of `usage.iterations[]` that are not in the totals: another model, or another prompt."""


class _Delta(Struct):
    type: str | None = None
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: dict[str, Any] | None = None
    citation: dict[str, Any] | None = None


class _Block(Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = ABSENT
    server_name: str | None = None
    tool_use_id: str | None = None
    is_error: bool | None = None
    citations: list[dict[str, Any]] | None = None


class _Message(Struct):
    id: str | None = None
    model: str | None = None
    usage: Raw = ABSENT
    content: list[Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: dict[str, Any] | None = None
    type: str | None = None
    error: Raw = ABSENT


class _Frame(Struct):
    type: str | None = None
    index: int | None = None
    delta: _Delta | None = None
    content_block: Raw = ABSENT
    message: _Message | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT


class _Growth(Struct, forbid_unknown_fields=True):
    """The event that streams are made of."""

    type: Literal["content_block_delta"]
    index: int
    delta: _Delta


class _Rescue(Struct):
    """What money needs of an event whose other fields are odd."""

    type: str | None = None
    usage: Raw = ABSENT
    message: Raw = ABSENT
    error: Raw = ABSENT


_INPUT, _OUTPUT, _CACHE_READ = Unit.INPUT, Unit.OUTPUT, Unit.CACHE_READ
_FRAME = msgspec.json.Decoder(_Frame)
_GROWTH = msgspec.json.Decoder(_Growth)
_RESCUE = msgspec.json.Decoder(_Rescue)
_MESSAGE = msgspec.json.Decoder(_Message)
_BLOCK = msgspec.json.Decoder(_Block)


_Count = Annotated[int, Meta(ge=0, le=QUANTITY_MAX)]


class _Creation(Struct, forbid_unknown_fields=True, gc=False):
    ephemeral_5m_input_tokens: _Count = 0
    ephemeral_1h_input_tokens: _Count = 0


class _PlainUsage(Struct, forbid_unknown_fields=True, gc=False):
    """The usual `usage`: whole numbers, no hosted tools, no other models."""

    input_tokens: _Count
    output_tokens: _Count
    cache_creation_input_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_creation: _Creation | None = None
    service_tier: str | None = None
    server_tool_use: None = None
    inference_geo: str | None = None


class _Report(Struct):
    """All that metering needs of a whole reply whose provider counted."""

    usage: Raw
    stop_reason: str
    type: Literal["message"]
    id: str = ""
    model: str = ""
    error: Raw = ABSENT


_USAGE = msgspec.json.Decoder(_PlainUsage)
_REPORT = msgspec.json.Decoder(_Report)


def report(body: bytes) -> Report | None:
    """Usage of a whole message. None: it is not the usual one."""
    try:
        wire = _REPORT.decode(body)
        spent = _USAGE.decode(wire.usage)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if wire.error is not ABSENT or not wire.stop_reason:
        return None
    units = {_INPUT: spent.input_tokens}
    if spent.cache_read_input_tokens:
        units[_CACHE_READ] = spent.cache_read_input_tokens
    written, hour = spent.cache_creation_input_tokens or 0, 0
    if spent.cache_creation is not None:
        hour = spent.cache_creation.ephemeral_1h_input_tokens
        written = max(written, hour + spent.cache_creation.ephemeral_5m_input_tokens)
    if written:
        add(units, Unit.CACHE_WRITE_1H, hour)
        add(units, Unit.CACHE_WRITE_5M, written - hour)
    units[_OUTPUT] = spent.output_tokens
    return Report(units, wire.id, wire.model, spent.service_tier or "")


def usage(wire: dict[str, Any]) -> Usage:
    """One `usage` object, or the merge of those of a stream. `input_tokens` has neither cache in it."""
    units: dict[Unit, int] = {Unit.INPUT: count(wire, "input_tokens")}
    add(units, Unit.CACHE_READ, count(wire, "cache_read_input_tokens"))
    lifetimes = inner(wire, "cache_creation")
    hour, minutes = count(lifetimes, "ephemeral_1h_input_tokens"), count(lifetimes, "ephemeral_5m_input_tokens")
    # The split can fall short of the total; what it leaves out has the default lifetime.
    written = max(count(wire, "cache_creation_input_tokens"), hour + minutes)
    add(units, Unit.CACHE_WRITE_1H, hour)
    add(units, Unit.CACHE_WRITE_5M, written - hour)
    thinking = count(inner(wire, "output_tokens_details"), "thinking_tokens")
    split(units, count(wire, "output_tokens"), Unit.OUTPUT, (Unit.REASONING, thinking))
    tools = inner(wire, "server_tool_use")
    add(units, Unit.WEB_SEARCH, count(tools, "web_search_requests"))
    add(units, Unit.WEB_FETCH, count(tools, "web_fetch_requests"))
    cost = reported_cost(wire)
    if cost is not None:
        units[Unit.REPORTED_COST] = cost
    return units


def others(wire: dict[str, Any]) -> tuple[ModelUsage, ...]:
    """Iterations of other models, which the totals leave out."""
    found: list[ModelUsage] = []
    iterations = wire.get("iterations")
    for iteration in iterations if isinstance(iterations, list) else ():
        if isinstance(iteration, dict) and str(iteration.get("type") or "").startswith(_OTHER_MODEL):
            found.append(ModelUsage(str(iteration.get("model") or ""), usage(iteration)))
    return tuple(found)


class MessageReader:
    """Events of one message, from a stream or from a body."""

    def __init__(self) -> None:
        self.usage: dict[str, Any] = {}
        self.finished = False
        self._parts: dict[int, int] = {}
        self._next = 0
        self._ended = False

    def start(self, message: _Message, events: list[Event]) -> None:
        wire = wire_object(message.usage) or {}
        tier = wire.get("service_tier")
        speed = wire.get("speed")
        told = speed if speed and speed != "standard" else tier
        events.append(Start(id=message.id or "", model=message.model or "", tier=told if isinstance(told, str) else ""))
        self.meter(wire, events)

    def meter(self, wire: dict[str, Any], events: list[Event]) -> None:
        if wire:
            for name, value in wire.items():
                # Counters only grow: a zero or null that follows a number is a placeholder.
                if value or name not in self.usage:
                    self.usage[name] = value
            events.append(Metered(usage(self.usage), others(self.usage)))

    def open(self, index: int, raw: Raw, events: list[Event]) -> _Block | None:
        """A block begins; also gives what it already holds. In a stream that is nothing, but for finished results."""
        block = lenient(_BLOCK, raw)
        if block is None:
            return None
        number = self._parts[index] = self._next
        self._next += 1
        events.append(PartStart(number, _part(block, raw)))
        if block.text or block.thinking:
            events.append(PartDelta(number, block.text or block.thinking or ""))
        for wire in block.citations or ():
            events.append(PartCitation(number, _citation(wire)))
        if block.signature:
            events.append(PartState(number, ReasoningState("anthropic_signature", block.signature)))
        return block

    def close(self, index: int, events: list[Event]) -> None:
        number = self._parts.pop(index, None)
        if number is not None:
            events.append(PartEnd(number))

    def grow(self, index: int, delta: _Delta, events: list[Event]) -> None:
        number = self._parts.get(index)
        if number is None:
            return
        if text := delta.text or delta.partial_json or delta.thinking:
            events.append(PartDelta(number, text))
        if delta.signature:
            events.append(PartState(number, ReasoningState("anthropic_signature", delta.signature)))
        if delta.citation:
            events.append(PartCitation(number, _citation(delta.citation)))

    def finish(self, end: _Delta | _Message, events: list[Event]) -> None:
        if not end.stop_reason or self._ended:
            return
        self._ended = True
        for index in list(self._parts):
            self.close(index, events)
        details = end.stop_details or {}
        events.append(
            Finish(
                reason=_STOP.get(end.stop_reason, "other"),
                native=end.stop_reason,
                stop_sequence=end.stop_sequence or "",
                category=str(details.get("category") or ""),
                message=str(details.get("explanation") or ""),
            )
        )

    def whole(self, message: _Message, events: list[Event]) -> None:
        self.start(message, events)
        for index, raw in enumerate(message.content or ()):
            block = self.open(index, raw, events)
            if block is not None and given(block.input):
                events.append(PartDelta(self._parts[index], bytes(block.input).decode("utf-8", "replace")))
            self.close(index, events)
        self.finish(message, events)
        self.finished = self._ended


class MessageStream(EventStream):
    __slots__ = ("_reader",)

    usual = b"event: content_block_delta\ndata: "
    usual_lines = 3

    def __init__(self) -> None:
        super().__init__()
        self._reader = MessageReader()

    def _frame(self, frame: Frame, events: list[Event]) -> None:
        wire = lenient(_FRAME, frame.data)
        if wire is None:
            self._rescue(frame.data, events)
            return
        handle = _HANDLERS.get(wire.type or frame.event)
        if handle:
            handle(self, wire, events)
        elif given(wire.error):
            self._error(wire, events)
        if wire.type == "message_stop" and self.ending is None:
            self.ending = frame.start

    def _usual_frame(self, data: bytes, start: int, events: list[Event]) -> None:
        try:
            wire = _GROWTH.decode(data[len(self.usual) :])
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self._frame(Frame("content_block_delta", data[len(self.usual) : -2], start, start + len(data)), events)
        else:
            self._reader.grow(wire.index, wire.delta, events)

    def _body(self, body: bytes, events: list[Event]) -> None:
        self.finished = _whole(self._reader, body, events)

    def _rescue(self, data: bytes, events: list[Event]) -> None:
        rescue = lenient(_RESCUE, data)
        if rescue is None:
            return
        if given(rescue.usage):
            self._reader.meter(wire_object(rescue.usage) or {}, events)
        elif rescue.type == "message_start":
            self._reader.meter(inner(wire_object(rescue.message) or {}, "usage"), events)

    def _start(self, wire: _Frame, events: list[Event]) -> None:
        if wire.message:
            self._reader.start(wire.message, events)

    def _open(self, wire: _Frame, events: list[Event]) -> None:
        self._reader.open(wire.index or 0, wire.content_block, events)

    def _grow(self, wire: _Frame, events: list[Event]) -> None:
        if wire.delta:
            self._reader.grow(wire.index or 0, wire.delta, events)

    def _close(self, wire: _Frame, events: list[Event]) -> None:
        self._reader.close(wire.index or 0, events)

    def _finish(self, wire: _Frame, events: list[Event]) -> None:
        self._reader.meter(wire_object(wire.usage) or {}, events)
        if wire.delta:
            self._reader.finish(wire.delta, events)

    def _stop(self, wire: _Frame, events: list[Event]) -> None:
        self.finished = True

    def _ping(self, wire: _Frame, events: list[Event]) -> None:
        events.append(KeepAlive())

    def _error(self, wire: _Frame, events: list[Event]) -> None:
        events.append(faults.failed(anything(wire.error), 502))


_HANDLERS = {
    "message_start": MessageStream._start,
    "content_block_start": MessageStream._open,
    "content_block_delta": MessageStream._grow,
    "content_block_stop": MessageStream._close,
    "message_delta": MessageStream._finish,
    "message_stop": MessageStream._stop,
    "ping": MessageStream._ping,
    "error": MessageStream._error,
}


class MessageBody(WholeBody):
    __slots__ = ()

    def _body(self, body: bytes, events: list[Event]) -> None:
        self.finished = _whole(MessageReader(), body, events)


def _whole(reader: MessageReader, body: bytes, events: list[Event]) -> bool:
    message = lenient(_MESSAGE, body)
    if message is None:
        rescue = lenient(_RESCUE, body)
        if rescue is None:
            return False
        message = _Message(usage=rescue.usage, error=rescue.error)
    error = anything(message.error) if given(message.error) else None
    if error:
        events.append(faults.failed(error, 502))
        return False
    reader.whole(message, events)
    return reader.finished


def _part(block: _Block, raw: Raw) -> Part:
    kind = block.type or ""
    match kind:
        case "text":
            return Text("")
        case "thinking":
            return Thinking()
        case "redacted_thinking":
            return Thinking(state=ReasoningState("anthropic_redacted", block.data or ""))
        case "tool_use":
            return ToolUse(block.id or "", block.name or "", "")
        case "server_tool_use" | "mcp_tool_use":
            name = block.name or ""
            kind = "mcp" if kind == "mcp_tool_use" else name
            return ServerToolUse(block.id or "", _tool(kind), name, server=block.server_name or "")
        case _ if kind.endswith("_tool_result"):
            failed = bool(block.is_error) or b'_tool_result_error"' in bytes(raw)
            return ServerToolResult(block.tool_use_id or "", _tool(kind), is_error=failed, native=raw.copy())
        case _:
            return Native("anthropic", kind, raw.copy())


def _tool(name: str) -> ServerToolKind:
    return next((kind for prefix, kind in _TOOLS if name.startswith(prefix)), "programmatic")


def _citation(wire: dict[str, Any]) -> Citation:
    quote, title = str(wire.get("cited_text") or ""), str(wire.get("title") or wire.get("document_title") or "")
    unit: Literal["char", "page", "block", "search_result"]
    match wire.get("type"):
        case "char_location":
            unit, start, end = "char", wire.get("start_char_index"), wire.get("end_char_index")
        case "page_location":
            unit, start, end = "page", wire.get("start_page_number"), wire.get("end_page_number")
        case "content_block_location":
            unit, start, end = "block", wire.get("start_block_index"), wire.get("end_block_index")
        case "search_result_location":
            unit, start, end = "search_result", wire.get("start_block_index"), wire.get("end_block_index")
        case _:
            return UrlCitation(
                str(wire.get("url") or ""), title, quote=quote, token=str(wire.get("encrypted_index") or "")
            )
    index = wire.get("document_index", wire.get("search_result_index"))
    return DocumentCitation(
        unit,
        index if isinstance(index, int) else 0,
        start if isinstance(start, int) else 0,
        end if isinstance(end, int) else 0,
        quote,
        title,
        file_id=str(wire.get("file_id") or ""),
        source=str(wire.get("source") or ""),
    )
