"""OpenAI Responses: replies. https://platform.openai.com/docs/api-reference/responses-streaming

The terminal event (`response.completed`, `.incomplete`, `.failed`) holds the whole reply with its usage. Hosted tools
that are billed by the call are counted from `tool_usage`, else from the items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects import faults
from proxyapi.dialects.frames import Frame
from proxyapi.dialects.model import ABSENT, Event, Finish, KeepAlive, PartDelta, Start, StopReason, given
from proxyapi.dialects.openai_responses.items_in import is_client_call
from proxyapi.dialects.openai_responses.reply_items import ItemReader, refused
from proxyapi.dialects.openai_responses.reply_usage import metered
from proxyapi.dialects.openai_responses.wire import (
    ANNOTATION,
    CONTENT,
    ITEM,
    Item,
    Logprob,
    logprobs,
    token_logprobs,
)
from proxyapi.dialects.stream import EventStream, WholeBody, anything, lenient, moment

_STOP: dict[str, StopReason] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
    "max_messages": "pause",
}
_ENDINGS = ("completed", "incomplete", "failed", "cancelled")


class _Response(Struct, gc=False):
    id: str | None = None
    object: str | None = None
    model: str | None = None
    created_at: int | float | None = None
    service_tier: str | None = None
    status: str | None = None
    output: list[Raw] | None = None
    usage: Raw = ABSENT
    tool_usage: Raw = ABSENT
    tools: Raw = ABSENT
    error: Raw = ABSENT
    incomplete_details: dict[str, Any] | None = None


class _Delta(Struct, gc=False):
    """All that is to be known of an event by whose name a part grows."""

    delta: str | dict[str, Any] | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    item_id: str | None = None


class _Event(_Delta, gc=False):
    type: str | None = None
    item: Raw = ABSENT
    part: Raw = ABSENT
    response: Raw = ABSENT
    annotation: Raw = ABSENT
    logprobs: Raw = ABSENT
    error: Raw = ABSENT
    code: str | int | None = None
    message: str | None = None
    param: str | None = None


class _More(_Delta, kw_only=True, gc=False):
    """Such an event that tells more text of a part, and says which by its position."""

    delta: str
    output_index: int


class _MoreText(_More, kw_only=True, gc=False):
    """More of an answer's text, without probabilities."""

    type: Literal["response.output_text.delta"]
    content_index: int
    logprobs: tuple[()] | None = None


class _Growth(Struct, gc=False):
    """More of an answer's text. Its other fields say nothing here."""

    type: Literal["response.output_text.delta"]
    content_index: int
    delta: str
    output_index: int
    logprobs: list[Logprob] | None = None


_TEXT = "response.output_text.delta"
_USUAL = b"event: response.output_text.delta\ndata: "
_USUAL_BYTES = len(_USUAL)
_DATA = b"\ndata: "
_UNCITED = b'"annotations":[]'
_EVENT = msgspec.json.Decoder(_Event)
_DELTA = msgspec.json.Decoder(_Delta)
_decode_more = msgspec.json.Decoder(_More).decode
_decode_more_text = msgspec.json.Decoder(_MoreText).decode
_GROWTH = msgspec.json.Decoder(_Growth)
_RESPONSE = msgspec.json.Decoder(_Response)
_RESCUE = msgspec.json.Decoder(dict[str, Raw])


class _Reader:
    """Beginning and end of one response, from a stream or from a body."""

    __slots__ = ("_started", "finished", "items")

    def __init__(self) -> None:
        self.items = ItemReader()
        self.finished = False
        self._started = False

    def start(self, response: _Response, events: list[Event]) -> None:
        if not self._started:
            self._started = True
            created = moment(response.created_at)
            tier = response.service_tier or ""
            events.append(Start(id=response.id or "", model=response.model or "", created_at=created, tier=tier))

    def output(self, response: _Response, events: list[Event]) -> None:
        """The items of a body, or of a terminal event that is all that a provider streams."""
        for index, raw in enumerate(response.output or ()):
            if item := lenient(ITEM, raw):
                self.items.done(index, item, raw, events)

    def end(self, response: _Response, events: list[Event]) -> None:
        """The terminal event, or a body: usage, and why it ended."""
        if self.items.idle:
            self.output(response, events)
        self.items.close(events)
        items = self.items.items
        if len(items) < len(response.output or ()):
            items = [item for raw in response.output or () if (item := lenient(ITEM, raw))]
        usage = metered(response.usage, response.tool_usage, response.tools, items)
        if usage is not None:
            events.append(usage)
        error = anything(response.error) if given(response.error) else None
        # OpenRouter leaves the status out of some bodies; output or usage says that it was served.
        status = response.status or ("completed" if items or usage is not None else None)
        if error or status == "failed":
            events.append(faults.failed(error or {"message": "The response failed"}, 502))
        elif status in _ENDINGS:
            events.append(_finish(status, response, items))
        self.finished = status in _ENDINGS


class ResponseStream(EventStream):
    __slots__ = ("_items", "_places", "_reader")

    usual = _USUAL
    beginning = b"event: response."

    def __init__(self) -> None:
        super().__init__()
        self._reader = _Reader()
        self._items = self._reader.items
        self._places = self._items.places

    def _frame(self, frame: Frame, events: list[Event]) -> None:
        name = frame.event
        if name == _TEXT and self._grown(frame.data, events):
            return
        if grow := _GROWERS.get(name):
            delta = lenient(_DELTA, frame.data)
            if delta is not None and isinstance(delta.delta, str) and delta.delta:
                grow(self, delta, delta.delta, events)
            return
        event = lenient(_EVENT, frame.data)
        if event is None:
            self._rescue(frame.data, events)
        else:
            self._event(event, name, events)
        if self._reader.finished and not self.finished:
            self.finished, self.ending = True, frame.start

    def _event(self, event: _Event, name: str, events: list[Event]) -> None:
        name = event.type or name
        if handle := _HANDLERS.get(name):
            handle(self, event, events)
        elif grow := _GROWERS.get(name):
            if isinstance(event.delta, str) and event.delta:
                grow(self, event, event.delta, events)
        elif given(event.error) and anything(event.error):
            self._fail(event, events)

    def _usual_frame(self, data: bytes, start: int, events: list[Event]) -> None:
        if not self._grown(data[_USUAL_BYTES:], events):
            self._frame(Frame(_TEXT, data[_USUAL_BYTES:-2], start, start + len(data)), events)

    def _run(self, texts: list[bytes], at: int, events: list[Event]) -> int:
        """More of one part, told by events of one name."""
        name, data, _ = texts[at].partition(_DATA)
        if name not in _RUNS:
            return at
        decode, grow = _RUNS[name]
        beginning = name + data
        first: _More | None = None
        told: list[str] = []
        try:
            for number in range(at, len(texts)):
                text = texts[number]
                if not text.startswith(beginning):
                    break
                more = decode(text[len(beginning) :])
                if first is None:
                    first = more
                elif (
                    more.output_index != first.output_index
                    or more.content_index != first.content_index
                    or more.summary_index != first.summary_index
                ):
                    break
                told.append(more.delta)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass  # the first that tells something else
        if first is not None and (whole := "".join(told)):
            grow(self, first, whole, events)
        return at + len(told)

    def _grown(self, data: bytes, events: list[Event]) -> bool:
        """More of a text. False: the event is not the usual one."""
        try:
            wire = _GROWTH.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False
        if wire.delta:
            place = (wire.output_index, wire.content_index)
            number = self._places.get(place)
            if number is None:
                number = self._items.part(place, events)
            if wire.logprobs:
                events.append(PartDelta(number, wire.delta, token_logprobs(wire.logprobs)))
            else:
                events.append(PartDelta(number, wire.delta))
        return True

    def _body(self, body: bytes, events: list[Event]) -> None:
        self.finished = _whole(self._reader, body, events)

    def _rescue(self, data: bytes, events: list[Event]) -> None:
        """An event with a field that is odd: its response, if it has one, still counts."""
        members = lenient(_RESCUE, data) or {}
        if "response" in members:
            self._terminal(_Event(response=members["response"]), events)

    def _created(self, event: _Event, events: list[Event]) -> None:
        if response := lenient(_RESPONSE, event.response):
            self._reader.start(response, events)

    def _terminal(self, event: _Event, events: list[Event]) -> None:
        response = lenient(_RESPONSE, event.response)
        if response is None:
            members = lenient(_RESCUE, event.response) or {}
            response = _Response(usage=members.get("usage", ABSENT), status="completed")
        self._reader.start(response, events)
        self._reader.end(response, events)

    def _item_added(self, event: _Event, events: list[Event]) -> None:
        if item := lenient(ITEM, event.item):
            self._items.added(_place(event), item, event.item, events)

    def _item_done(self, event: _Event, events: list[Event]) -> None:
        if item := lenient(ITEM, event.item):
            self._items.done(_place(event), item, event.item, events)

    def _content_added(self, event: _Event, events: list[Event]) -> None:
        if content := lenient(CONTENT, event.part):
            self._items.content_added((_place(event), event.content_index or 0), content, events)

    def _content_done(self, event: _Event, events: list[Event]) -> None:
        content = None if _UNCITED in bytes(event.part) else lenient(CONTENT, event.part)
        self._items.content_done((_place(event), event.content_index or 0), content, events)

    def _text(self, event: _Event, events: list[Event]) -> None:
        if isinstance(event.delta, str) and event.delta:
            place = (_place(event), event.content_index or 0)
            self._items.text(place, event.delta, logprobs(event.logprobs), events)

    def _content(self, event: _Delta, text: str, events: list[Event]) -> None:
        self._items.text((_place(event), event.content_index or 0), text, (), events)

    def _item_text(self, event: _Delta, text: str, events: list[Event]) -> None:
        self._items.grown(_place(event), text, events)

    def _code(self, event: _Delta, text: str, events: list[Event]) -> None:
        self._items.code(_place(event), text, events)

    def _summary(self, event: _Delta, text: str, events: list[Event]) -> None:
        self._items.summary(_place(event), event.summary_index or 0, text, events)

    def _annotation(self, event: _Event, events: list[Event]) -> None:
        if wire := lenient(ANNOTATION, event.annotation):
            self._items.cited((_place(event), event.content_index or 0), wire, events)

    def _fail(self, event: _Event, events: list[Event]) -> None:
        wire = anything(event.error) if given(event.error) else None
        flat = {"code": event.code, "message": event.message, "param": event.param}
        events.append(faults.failed(wire or flat, 502))

    def _ping(self, event: _Event, events: list[Event]) -> None:
        events.append(KeepAlive())


_GROWERS = {
    "response.refusal.delta": ResponseStream._content,
    "response.reasoning_text.delta": ResponseStream._item_text,
    "response.reasoning_summary_text.delta": ResponseStream._summary,
    "response.function_call_arguments.delta": ResponseStream._item_text,
    "response.custom_tool_call_input.delta": ResponseStream._item_text,
    "response.mcp_call_arguments.delta": ResponseStream._item_text,
    "response.code_interpreter_call_code.delta": ResponseStream._code,
}
_RUNS = {
    name.removeprefix("response.").encode(): (_decode_more, grow)
    for name, grow in _GROWERS.items()
    if grow is not ResponseStream._code
} | {b"output_text.delta": (_decode_more_text, ResponseStream._content)}
"""Events whose texts join. Pieces of code don't: the first is told in another way."""
_HANDLERS = {
    "response.created": ResponseStream._created,
    "response.in_progress": ResponseStream._created,
    "response.queued": ResponseStream._created,
    "response.output_item.added": ResponseStream._item_added,
    "response.output_item.done": ResponseStream._item_done,
    "response.content_part.added": ResponseStream._content_added,
    "response.content_part.done": ResponseStream._content_done,
    "response.output_text.delta": ResponseStream._text,
    "response.output_text.annotation.added": ResponseStream._annotation,
    "response.completed": ResponseStream._terminal,
    "response.incomplete": ResponseStream._terminal,
    "response.failed": ResponseStream._terminal,
    "response.cancelled": ResponseStream._terminal,
    "error": ResponseStream._fail,
    "keepalive": ResponseStream._ping,
}


class ResponseBody(WholeBody):
    __slots__ = ()

    def _body(self, body: bytes, events: list[Event]) -> None:
        self.finished = _whole(_Reader(), body, events)


def _whole(reader: _Reader, body: bytes, events: list[Event]) -> bool:
    response = lenient(_RESPONSE, body)
    if response is None:
        members = lenient(_RESCUE, body) or {}
        response = _Response(usage=members.get("usage", ABSENT), error=members.get("error", ABSENT))
    if response.id:
        reader.start(response, events)
    reader.end(response, events)
    # A queued or running background response is a proper answer too: it is fetched later.
    return reader.finished or response.status in ("queued", "in_progress")


def _place(event: _Delta) -> int | str:
    return event.output_index if event.output_index is not None else event.item_id or 0


def _finish(status: str, response: _Response, items: Sequence[Item]) -> Finish:
    if status == "cancelled":
        return Finish(reason="cancelled", native=status)
    if status == "incomplete":
        native = str((response.incomplete_details or {}).get("reason") or status)
        return Finish(reason=_STOP.get(native, "other"), native=native)
    if any(is_client_call(item) for item in items):
        return Finish(reason="tool_use", native=status)
    return Finish(reason="refusal" if refused(items) else "end", native=status)
