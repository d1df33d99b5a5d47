"""Anthropic Messages: replies. https://docs.anthropic.com/en/docs/build-with-claude/streaming

Usage comes in `message_start` and again, cumulative, in `message_delta`: the last value of each field wins.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects import faults
from proxyapi.dialects.anthropic import citations, hosted
from proxyapi.dialects.anthropic.usage import others, usage
from proxyapi.dialects.frames import Frame
from proxyapi.dialects.model import (
    ABSENT,
    Compaction,
    Event,
    Finish,
    KeepAlive,
    Metered,
    Native,
    Notice,
    Part,
    PartCitation,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    ReasoningState,
    ServerToolUse,
    Start,
    StopReason,
    Text,
    Thinking,
    ToolUse,
    given,
)
from proxyapi.dialects.stream import EventStream, WholeBody, anything, lenient
from proxyapi.dialects.units import inner, wire_object

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
_NOTICES = ("container", "context_management", "diagnostics", "input_transformations")
"""Side values of a whole message, or of its `message_delta`."""


class _Delta(Struct):
    """More of a block."""

    type: str | None = None
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: dict[str, Any] | None = None
    content: str | None = None
    encrypted_content: str | None = None


class _Ending(_Delta):
    """More of a block, or the end of the message."""

    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: dict[str, Any] | None = None
    container: Raw = ABSENT


class _Caller(Struct):
    tool_id: str = ""


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
    citations: list[dict[str, Any]] | None = None
    caller: _Caller | None = None


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
    container: Raw = ABSENT
    context_management: Raw = ABSENT
    diagnostics: Raw = ABSENT
    input_transformations: Raw = ABSENT


class _Frame(Struct):
    type: str | None = None
    index: int | None = None
    delta: _Ending | None = None
    content_block: Raw = ABSENT
    message: _Message | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT
    context_management: Raw = ABSENT
    input_transformations: Raw = ABSENT


class _More(Struct, forbid_unknown_fields=True, gc=False):
    """More of a block's text, and nothing else."""

    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""


class _Growth(Struct, forbid_unknown_fields=True, gc=False):
    """The event that streams are made of."""

    type: Literal["content_block_delta"]
    index: int
    delta: _More


class _Rescue(Struct):
    """What money needs of an event whose other fields are odd."""

    type: str | None = None
    usage: Raw = ABSENT
    message: Raw = ABSENT
    error: Raw = ABSENT


_FRAME = msgspec.json.Decoder(_Frame)
_decode_growth = msgspec.json.Decoder(_Growth).decode
_RESCUE = msgspec.json.Decoder(_Rescue)
_MESSAGE = msgspec.json.Decoder(_Message)
_BLOCK = msgspec.json.Decoder(_Block)
_ENCODER = msgspec.json.Encoder()


class MessageReader:
    """Events of one message, from a stream or from a body."""

    def __init__(self) -> None:
        self.usage: dict[str, Any] = {}
        self.finished = False
        self._parts: dict[int, int] = {}
        self._summaries: dict[int, dict[str, Any]] = {}
        """Open compaction blocks: each of their deltas replaces what was there."""
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

    def open(self, index: int, raw: Raw, events: list[Event], *, input_too: bool) -> None:
        """A block begins, with what it already holds. In a stream that is nothing, but for finished results.

        `input_too`: an empty input is all the input there is.
        """
        block = lenient(_BLOCK, raw)
        if block is None:
            return
        self.close(index, events)
        number = self._parts[index] = self._next
        self._next += 1
        part = _part(block, raw)
        events.append(PartStart(number, part))
        if isinstance(part, Compaction):
            self._summaries[number] = anything(raw) or {}
        elif block.text or block.thinking:
            events.append(PartDelta(number, block.text or block.thinking or ""))
        for wire in block.citations or ():
            events.append(PartCitation(number, citations.read(wire)))
        if block.signature and not isinstance(part, Compaction):
            events.append(PartState(number, ReasoningState("anthropic_signature", block.signature)))
        if given(block.input) and (input_too or len(block.input) > len(b"{}")):
            events.append(PartDelta(number, bytes(block.input).decode("utf-8", "replace")))

    def close(self, index: int, events: list[Event]) -> None:
        number = self._parts.pop(index, None)
        if number is None:
            return
        if (summary := self._summaries.pop(number, None)) is not None:
            if text := summary.get("content"):
                events.append(PartDelta(number, str(text)))
            # What proves a summary stands in several fields: the whole block is the proof.
            proof = _ENCODER.encode(summary).decode()
            events.append(PartState(number, ReasoningState("other", proof)))
        events.append(PartEnd(number))

    def more(self, index: int, text: str, events: list[Event]) -> None:
        """In place of `grow`, for a block that grows by nothing but text."""
        number = self._parts.get(index)
        if number is not None and text:
            events.append(PartDelta(number, text))

    def grow(self, index: int, delta: _Delta, events: list[Event]) -> None:
        number = self._parts.get(index)
        if number is None:
            return
        if text := delta.text or delta.partial_json or delta.thinking:
            events.append(PartDelta(number, text))
        elif number in self._summaries:
            told = {"content": delta.content, "encrypted_content": delta.encrypted_content}
            self._summaries[number] |= {name: value for name, value in told.items() if value is not None}
        if delta.signature:
            events.append(PartState(number, ReasoningState("anthropic_signature", delta.signature)))
        if delta.citation:
            events.append(PartCitation(number, citations.read(delta.citation)))

    def notice(self, events: list[Event], **values: Raw) -> None:
        events += [Notice("anthropic", name, raw.copy()) for name, raw in values.items() if given(raw)]

    def finish(self, end: _Ending | _Message, events: list[Event]) -> None:
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
            self.open(index, raw, events, input_too=True)
            self.close(index, events)
        self.notice(events, **{name: getattr(message, name) for name in _NOTICES})
        self.finish(message, events)
        self.finished = self._ended


class MessageStream(EventStream):
    __slots__ = ("_reader",)

    usual = beginning = b"event: content_block_delta\ndata: "

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
            wire = _decode_growth(data[len(self.usual) :])
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self._frame(Frame("content_block_delta", data[len(self.usual) : -2], start, start + len(data)), events)
        else:
            delta = wire.delta
            self._reader.more(wire.index, delta.text or delta.partial_json or delta.thinking, events)

    def _run(self, texts: list[bytes], at: int, events: list[Event]) -> int:
        """More of one block."""
        block: int | None = None
        told: list[str] = []
        try:
            for number in range(at, len(texts)):
                wire = _decode_growth(texts[number])
                if wire.index != block:
                    if block is not None:
                        break
                    block = wire.index
                delta = wire.delta
                told.append(delta.text or delta.partial_json or delta.thinking)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass  # the first that tells something else
        if block is not None:
            self._reader.more(block, "".join(told), events)
        return at + len(told)

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
        self._reader.open(wire.index or 0, wire.content_block, events, input_too=False)

    def _grow(self, wire: _Frame, events: list[Event]) -> None:
        if wire.delta:
            self._reader.grow(wire.index or 0, wire.delta, events)

    def _close(self, wire: _Frame, events: list[Event]) -> None:
        self._reader.close(wire.index or 0, events)

    def _finish(self, wire: _Frame, events: list[Event]) -> None:
        self._reader.meter(wire_object(wire.usage) or {}, events)
        if wire.delta:
            told = {"context_management": wire.context_management, "input_transformations": wire.input_transformations}
            self._reader.notice(events, container=wire.delta.container, **told)
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
    name, caller = block.name or "", block.caller.tool_id if block.caller else ""
    match kind:
        case "text":
            return Text("")
        case "thinking":
            return Thinking()
        case "redacted_thinking":
            return Thinking(state=ReasoningState("anthropic_redacted", block.data or ""))
        case "tool_use":
            return ToolUse(block.id or "", name, "", caller=caller)
        case "server_tool_use":
            return ServerToolUse(hosted.read_id(block.id), hosted.kind_of(name), name, caller=caller)
        case "mcp_tool_use":
            return ServerToolUse(hosted.read_id(block.id), "mcp", name, server=block.server_name or "")
        case "compaction":
            return Compaction()
        case _ if kind.endswith("_tool_result"):
            return hosted.read_result(raw)
        case _:
            return Native("anthropic", kind, raw.copy())
