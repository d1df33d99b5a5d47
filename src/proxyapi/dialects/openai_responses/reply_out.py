"""OpenAI Responses: events of a reply as the stream, or the one body, that a client reads.

A body is a stream of which only the last event's response is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from proxyapi.dialects.codec import Asked, Encoder
from proxyapi.dialects.faults import told
from proxyapi.dialects.model import (
    Audio,
    Compaction,
    Event,
    Failed,
    Finish,
    Image,
    KeepAlive,
    Metered,
    Notice,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    PartSummary,
    ReasoningState,
    Refusal,
    ServerToolResult,
    ServerToolUse,
    Start,
    StopReason,
    Text,
    Thinking,
    ToolUse,
)
from proxyapi.dialects.openai_responses.echo import ResponseObject
from proxyapi.dialects.openai_responses.hosted_out import hosted
from proxyapi.dialects.openai_responses.output import Output, Wire, encode
from proxyapi.dialects.openai_responses.reply_parts import (
    Action,
    Call,
    Growing,
    Picture,
    Ran,
    Said,
    Summed,
    Thought,
    Unseen,
)
from proxyapi.dialects.openai_usage import written
from proxyapi.usage import Unit

_KEEP_ALIVE = b": \n\n"
_INCOMPLETE: dict[StopReason, str] = {
    "length": "max_output_tokens",
    "context_window": "max_output_tokens",
    "pause": "max_messages",
    "content_filter": "content_filter",
    "recitation": "content_filter",
}
"""Any other reason is a completed response, but for these two:"""
_MALFORMED, _CANCELLED = "malformed", "cancelled"
_CODES = {
    "rate_limited": "rate_limit_exceeded",
    "invalid_request": "invalid_prompt",
    "context_length": "invalid_prompt",
}
"""Codes of a response's error; others are `server_error`."""
_REFUSED = "The model refused to answer."


class StreamEncoder(Encoder):
    __slots__ = (
        "_ahead",
        "_asked",
        "_events",
        "_finish",
        "_metered",
        "_output",
        "_parts",
        "_ran",
        "_refused",
        "_response",
        "_told",
    )

    def __init__(self, asked: Asked, *, quiet: bool = False) -> None:
        """`quiet`: nobody sees the events."""
        self._asked = asked
        self._output = Output(asked, quiet=quiet)
        self._response: ResponseObject | None = None
        self._parts: dict[int, Growing] = {}
        self._ran: dict[str, Ran] = {}
        """Calls of hosted tools whose outcome is yet to come, by id."""
        self._metered = Metered({})
        self._finish: Finish | None = None
        self._refused = False
        """The refusal was told in words."""
        self._events: Sequence[Event] = ()
        """What came together: a part's state may be among it."""
        self._ahead: dict[int, ReasoningState] | None = None
        """The first states among it, by their parts. None: nobody has looked."""
        self._told: set[int] = set()
        """Parts whose states were told already."""

    def feed(self, events: Iterable[Event]) -> bytes:
        self._events = events if isinstance(events, Sequence) else tuple(events)
        self._ahead = None
        for event in self._events:
            _HANDLERS[type(event)](self, event)
        return self._taken()

    def close(self) -> bytes:
        self._settle()
        finish = self._finish or Finish(reason="end")
        status, details = "completed", None
        error: Wire | None = None
        if finish.reason in _INCOMPLETE:
            status, details = "incomplete", {"reason": _INCOMPLETE[finish.reason]}
        elif finish.reason == _CANCELLED:
            status = _CANCELLED
        elif finish.reason == _MALFORMED:
            status = "failed"
            error = {"code": "server_error", "message": finish.message or "The model made a call that can't be read."}
        self._terminal(status, error=error, incomplete_details=details)
        return self._taken()

    def fail(self, failed: Failed, request_id: str) -> bytes:
        self._output.finish(incomplete=True)
        wire = told("openai", failed, request_id)["error"]
        flat = {"code": wire["code"] or wire["type"], "message": wire["message"], "param": wire["param"]}
        self._output.event(b"error", encode(flat)[1:-1])
        code = _CODES.get(failed.kind, "server_error")
        self._terminal("failed", error={"code": code, "message": wire["message"]})
        return self._taken()

    def _terminal(self, status: str, **details: Wire | None) -> None:
        name = b"response.%b" % (status if status in ("completed", "failed") else "incomplete").encode()
        self._output.event(name, b'"response":%b' % self._whole(status, **details))

    def _whole(self, status: str, **details: Wire | None) -> bytes:
        """The response as it is in the end."""
        usage = self._metered.usage
        tools = b""
        if searches := usage.get(Unit.WEB_SEARCH):
            tools = encode({"image_gen": _NO_IMAGES, "web_search": {"num_requests": searches}})
        spent = written(usage, "responses", cost=self._asked.cost(usage), currency=self._asked.currency)
        response = self._response or ResponseObject(self._asked, Start(id="", model=""))
        return response.written(status, self._output.written(), usage=spent, tools=tools, **details)

    def _taken(self) -> bytes:
        written, self._output.frames = self._output.frames, []
        return b"".join(written)

    # --- the reply ---------------------------------------------------------------------------------------------------

    def _on_start(self, event: Start) -> None:
        self._response = ResponseObject(self._asked, event)
        response = b'"response":%b' % self._response.written("in_progress")
        self._output.event(b"response.created", response)
        self._output.event(b"response.in_progress", response)

    def _on_metered(self, event: Metered) -> None:
        self._metered = event

    def _on_keep_alive(self, event: KeepAlive) -> None:
        if not self._output.quiet:
            self._output.frames.append(_KEEP_ALIVE)

    def _on_notice(self, event: Notice) -> None:
        """A side value of another dialect."""

    def _on_finish(self, event: Finish) -> None:
        self._finish = event
        if event.reason == "refusal" and not self._refused:
            # Some providers refuse by a word of their own only: clients of Responses look for a refusal.
            refusal = Said(self._output, Refusal(""))
            refusal.delta(PartDelta(-1, event.message or _REFUSED))
            refusal.end(None, incomplete=False)
        self._settle()

    def _settle(self) -> None:
        for ran in self._ran.values():
            ran.settle(None)
        self._ran.clear()
        self._output.finish(incomplete=self._finish is not None and self._finish.reason in _INCOMPLETE)

    # --- parts -------------------------------------------------------------------------------------------------------

    def _on_part_start(self, event: PartStart) -> None:
        part = event.part
        if isinstance(part, ServerToolResult):
            self._outcome(part)
            return
        begin = _BEGINNINGS.get(type(part))
        if begin is None:
            self._parts[event.index] = Unseen(self._output)
            return
        if not isinstance(part, Thinking | Compaction):
            state = part.state or self._state_ahead(event.index)
            if state is not None:
                self._told.add(event.index)
                self._output.carry(state, "next")
        self._parts[event.index] = begin(self, part)

    def _state_ahead(self, index: int) -> ReasoningState | None:
        """A part's state that came together with its beginning stands before it."""
        if self._ahead is None:
            self._ahead = {e.index: e.state for e in reversed(self._events) if isinstance(e, PartState)}
        return self._ahead.get(index)

    def _said(self, part: Text | Refusal) -> Growing:
        self._refused = self._refused or isinstance(part, Refusal)
        return Said(self._output, part)

    def _spoken(self, part: Audio) -> Growing:
        """Of a sound only the words: Responses has none."""
        return Said(self._output, Text(""))

    def _thought(self, part: Thinking) -> Growing:
        return Thought(self._output, part)

    def _call(self, part: ToolUse) -> Growing:
        return (Call if part.kind in ("function", "custom") else Action)(self._output, part)

    def _hosted(self, part: ServerToolUse) -> Growing:
        about = hosted(part.kind)
        if about is None:
            return Unseen(self._output)
        ran = self._ran[part.id] = Ran(self._output, part, about)
        return ran

    def _outcome(self, part: ServerToolResult) -> None:
        """Of a call that was told apart from it."""
        ran = self._ran.pop(part.tool_use_id, None)
        if ran is not None:
            ran.settle(part)

    def _picture(self, part: Image) -> Growing:
        return Picture(self._output, part)

    def _summed(self, part: Compaction) -> Growing:
        return Summed(self._output, part)

    def _on_delta(self, event: PartDelta) -> None:
        part = self._parts.get(event.index)
        if part is not None:
            part.delta(event)

    def _on_summary(self, event: PartSummary) -> None:
        if part := self._parts.get(event.index):
            part.summary(event.number, event.text)

    def _on_data(self, event: PartData) -> None:
        if part := self._parts.get(event.index):
            part.data(event.data)

    def _on_citation(self, event: PartCitation) -> None:
        if part := self._parts.get(event.index):
            part.cite(event.citation)

    def _on_state(self, event: PartState) -> None:
        if event.index in self._told:
            self._told.discard(event.index)
        elif part := self._parts.get(event.index):
            part.sign(event.state)

    def _on_part_end(self, event: PartEnd) -> None:
        part = self._parts.pop(event.index, None)
        if part is None:
            return
        if event.result is not None:
            self._ran.pop(event.result.tool_use_id, None)
        part.end(event.result, incomplete=event.incomplete)


class BodyEncoder(StreamEncoder):
    __slots__ = ("_body",)

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked, quiet=True)
        self._body = b""

    def close(self) -> bytes:
        super().close()
        return self._body

    def fail(self, failed: Failed, request_id: str) -> bytes:
        """An error instead of a body has a status, and is written as `faults.refusal`."""
        return b""

    def _terminal(self, status: str, **details: Wire | None) -> None:
        self._body = self._whole(status, **details)


_NO_IMAGES = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "total_tokens": 0,
}
_BEGINNINGS: dict[type, Callable[[StreamEncoder, Any], Growing]] = {
    Text: StreamEncoder._said,
    Refusal: StreamEncoder._said,
    Audio: StreamEncoder._spoken,
    Thinking: StreamEncoder._thought,
    ToolUse: StreamEncoder._call,
    ServerToolUse: StreamEncoder._hosted,
    Image: StreamEncoder._picture,
    Compaction: StreamEncoder._summed,
}
_HANDLERS: dict[type, Callable[[StreamEncoder, Any], None]] = {
    Start: StreamEncoder._on_start,
    PartStart: StreamEncoder._on_part_start,
    PartDelta: StreamEncoder._on_delta,
    PartSummary: StreamEncoder._on_summary,
    PartData: StreamEncoder._on_data,
    PartCitation: StreamEncoder._on_citation,
    PartState: StreamEncoder._on_state,
    PartEnd: StreamEncoder._on_part_end,
    Metered: StreamEncoder._on_metered,
    Finish: StreamEncoder._on_finish,
    KeepAlive: StreamEncoder._on_keep_alive,
    Notice: StreamEncoder._on_notice,
    Failed: StreamEncoder._on_notice,
}
