"""OpenAI Responses: replies. https://platform.openai.com/docs/api-reference/responses-streaming

The terminal event (`response.completed`, `.incomplete`, `.failed`) holds the whole reply with its usage. Hosted tools
that are billed by the call are counted from `tool_usage`, else from the items.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects import faults
from proxyapi.dialects.dialect import Report
from proxyapi.dialects.frames import Frame
from proxyapi.dialects.model import (
    ABSENT,
    DocumentCitation,
    Event,
    Finish,
    KeepAlive,
    Metered,
    ModelUsage,
    Native,
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
    ServerToolKind,
    ServerToolUse,
    Start,
    StopReason,
    Text,
    Thinking,
    ToolUse,
    UrlCitation,
    given,
)
from proxyapi.dialects.openai_usage import image_usage, response_usage, token_usage
from proxyapi.dialects.stream import EventStream, WholeBody, anything, lenient, moment
from proxyapi.dialects.units import add, count, inner, wire_object
from proxyapi.usage import Unit, Usage

_SERVER_TOOLS: dict[str, ServerToolKind] = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_execution",
    "image_generation_call": "image_generation",
    "mcp_call": "mcp",
}
_STOP: dict[str, StopReason] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
    "max_messages": "pause",
}


class _Content(Struct):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    annotations: list[dict[str, Any]] | None = None


class _Item(Struct):
    type: str | None = None
    id: str | None = None
    status: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    code: str | None = None
    server_label: str | None = None
    container_id: str | None = None
    content: list[_Content] | None = None
    summary: list[_Content] | None = None
    encrypted_content: str | None = None
    result: str | dict[str, Any] | None = None
    action: dict[str, Any] | None = None


class _Response(Struct):
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


class _Event(Struct):
    type: str | None = None
    delta: str | dict[str, Any] | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    item_id: str | None = None
    item: Raw = ABSENT
    part: Raw = ABSENT
    response: Raw = ABSENT
    annotation: dict[str, Any] | None = None
    error: Raw = ABSENT
    code: str | int | None = None
    message: str | None = None
    param: str | None = None


class _Growth(Struct):
    """The event that streams are made of. Its other fields say nothing here."""

    type: Literal["response.output_text.delta"]
    delta: str
    output_index: int
    content_index: int


class _ImageTool(Struct):
    type: str | None = None
    model: str | None = None


_EVENT = msgspec.json.Decoder(_Event)
_GROWTH = msgspec.json.Decoder(_Growth)
_RESPONSE = msgspec.json.Decoder(_Response)
_ITEM = msgspec.json.Decoder(_Item)
_CONTENT = msgspec.json.Decoder(_Content)
_TOOLS = msgspec.json.Decoder(list[_ImageTool])
_RESCUE = msgspec.json.Decoder(dict[str, Raw])


class _Output(Struct):
    type: Literal["message", "reasoning", "function_call", "custom_tool_call"]


class _Report(Struct):
    """All that metering needs of a whole reply whose provider counted, and in which no hosted tool ran."""

    usage: Raw
    status: Literal["completed", "incomplete"]
    output: list[_Output]
    id: str = ""
    model: str = ""
    service_tier: str | None = None
    error: None = None
    tool_usage: None = None


_REPORT = msgspec.json.Decoder(_Report)


def report(body: bytes) -> Report | None:
    """Usage of a whole response. None: it is not the usual one."""
    try:
        wire = _REPORT.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    units = response_usage(wire.usage) if wire.id else None
    return None if not units else Report(units, wire.id, wire.model, wire.service_tier or "")


class ResponseReader:
    """Events of one response, from a stream or from a body."""

    def __init__(self) -> None:
        self.finished = False
        self._started = False
        self._parts: dict[tuple[int | str, int], int] = {}
        """Open parts by item and content index; -1: the item itself."""
        self._next = 0
        self._items: list[_Item] = []
        """Whole items so far, for providers whose terminal event leaves them out."""

    def start(self, response: _Response, events: list[Event]) -> None:
        if not self._started:
            self._started = True
            created = moment(response.created_at)
            tier = response.service_tier or ""
            events.append(Start(id=response.id or "", model=response.model or "", created_at=created, tier=tier))

    def open(self, key: tuple[int | str, int], part: Part, events: list[Event]) -> int:
        number = self._parts[key] = self._next
        self._next += 1
        events.append(PartStart(number, part))
        return number

    def shut(self, key: tuple[int | str, int], events: list[Event], *, incomplete: bool = False) -> None:
        number = self._parts.pop(key, None)
        if number is not None:
            events.append(PartEnd(number, incomplete=incomplete))

    def part(self, key: tuple[int | str, int], events: list[Event]) -> int:
        """The open part of that place; text, if nothing announced it."""
        number = self._parts.get(key)
        return self.open(key, Text(""), events) if number is None else number

    def content(self, key: tuple[int | str, int], content: _Content, events: list[Event]) -> None:
        if content.type == "refusal":
            self.open(key, Refusal(""), events)
        elif content.type != "reasoning_text":
            self.open(key, Text(""), events)

    def item(self, key: tuple[int | str, int], item: _Item, raw: Raw, events: list[Event]) -> None:
        if item.type != "message":
            self.open(key, _part(item, raw), events)

    def item_done(self, key: tuple[int | str, int], item: _Item, events: list[Event]) -> None:
        self._items.append(item)
        number = self._parts.get(key)
        if number is not None:
            if item.type == "reasoning" and item.encrypted_content:
                state = ReasoningState("openai_encrypted", item.encrypted_content, id=item.id or "")
                events.append(PartState(number, state))
            if item.type == "image_generation_call" and isinstance(item.result, str):
                events.append(PartData(number, item.result))
        for open_key in [k for k in self._parts if k[0] == key[0]]:
            self.shut(open_key, events, incomplete=item.status == "incomplete")

    def whole_item(self, index: int, item: _Item, raw: Raw, events: list[Event]) -> None:
        """An item of a body."""
        key = (index, -1)
        self.item(key, item, raw, events)
        for text in (item.arguments, item.input, item.code):
            if text and key in self._parts:
                events.append(PartDelta(self._parts[key], text))
        for number, summary in enumerate(item.summary or ()):
            if summary.text and key in self._parts:
                events.append(PartSummary(self._parts[key], number, summary.text))
        for position, content in enumerate(item.content or ()):
            place = key if item.type == "reasoning" else (index, position)
            if place != key:
                self.content(place, content, events)
            if text := content.text or content.refusal:
                events.append(PartDelta(self.part(place, events), text))
            for note in content.annotations or ():
                events.append(PartCitation(self.part(place, events), _citation(note)))
        self.item_done(key, item, events)

    def end(self, response: _Response, events: list[Event]) -> None:
        """The terminal event, or a body: usage, and why it ended."""
        for key in list(self._parts):
            self.shut(key, events, incomplete=True)
        wire = wire_object(response.usage)
        tools = wire_object(response.tool_usage) or {}
        items = [item for raw in response.output or () if (item := lenient(_ITEM, raw))] or self._items
        if wire is not None:
            units = dict(token_usage(wire))
            _count_tools(units, tools, items)
            events.append(Metered(units, _image_models(response, tools, items)))
        error = anything(response.error) if given(response.error) else None
        # OpenRouter leaves the status out of some bodies; output or usage says that it was served.
        status = response.status or ("completed" if items or wire is not None else None)
        if error or status == "failed":
            events.append(faults.failed(error or {"message": "The response failed"}, 502))
        elif status in ("completed", "incomplete", "cancelled"):
            events.append(_finish(status, response, items))
        self.finished = status in ("completed", "incomplete", "failed", "cancelled")


class ResponseStream(EventStream):
    __slots__ = ("_reader",)

    usual = b"event: response.output_text.delta\ndata: "
    usual_lines = 3

    def __init__(self) -> None:
        super().__init__()
        self._reader = ResponseReader()

    def _frame(self, frame: Frame, events: list[Event]) -> None:
        event = lenient(_EVENT, frame.data)
        if event is None:
            self._rescue(frame.data, events)
        else:
            handle = _HANDLERS.get(event.type or frame.event)
            if handle:
                handle(self, event, events)
            elif given(event.error) and anything(event.error):
                self._fail(event, events)
        if self._reader.finished and not self.finished:
            self.finished, self.ending = True, frame.start

    def _usual_frame(self, data: bytes, start: int, events: list[Event]) -> None:
        try:
            wire = _GROWTH.decode(data[len(self.usual) :])
        except (msgspec.MsgspecError, ValueError, RecursionError):
            end = start + len(data)
            self._frame(Frame("response.output_text.delta", data[len(self.usual) : -2], start, end), events)
        else:
            if wire.delta:
                events.append(PartDelta(self._reader.part((wire.output_index, wire.content_index), events), wire.delta))

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
        if item := lenient(_ITEM, event.item):
            self._reader.item((_place(event), -1), item, event.item, events)

    def _item_done(self, event: _Event, events: list[Event]) -> None:
        if item := lenient(_ITEM, event.item):
            self._reader.item_done((_place(event), -1), item, events)

    def _content_added(self, event: _Event, events: list[Event]) -> None:
        if content := lenient(_CONTENT, event.part):
            self._reader.content((_place(event), event.content_index or 0), content, events)

    def _content_done(self, event: _Event, events: list[Event]) -> None:
        self._reader.shut((_place(event), event.content_index or 0), events)

    def _text(self, event: _Event, events: list[Event]) -> None:
        if isinstance(event.delta, str) and event.delta:
            number = self._reader.part((_place(event), event.content_index or 0), events)
            events.append(PartDelta(number, event.delta))

    def _item_text(self, event: _Event, events: list[Event]) -> None:
        if isinstance(event.delta, str) and event.delta:
            events.append(PartDelta(self._reader.part((_place(event), -1), events), event.delta))

    def _summary(self, event: _Event, events: list[Event]) -> None:
        if isinstance(event.delta, str) and event.delta:
            number = self._reader.part((_place(event), -1), events)
            events.append(PartSummary(number, event.summary_index or 0, event.delta))

    def _annotation(self, event: _Event, events: list[Event]) -> None:
        if event.annotation:
            number = self._reader.part((_place(event), event.content_index or 0), events)
            events.append(PartCitation(number, _citation(event.annotation)))

    def _fail(self, event: _Event, events: list[Event]) -> None:
        wire = anything(event.error) if given(event.error) else None
        flat = {"code": event.code, "message": event.message, "param": event.param}
        events.append(faults.failed(wire or flat, 502))

    def _ping(self, event: _Event, events: list[Event]) -> None:
        events.append(KeepAlive())


_HANDLERS = {
    "response.created": ResponseStream._created,
    "response.in_progress": ResponseStream._created,
    "response.queued": ResponseStream._created,
    "response.output_item.added": ResponseStream._item_added,
    "response.output_item.done": ResponseStream._item_done,
    "response.content_part.added": ResponseStream._content_added,
    "response.content_part.done": ResponseStream._content_done,
    "response.output_text.delta": ResponseStream._text,
    "response.refusal.delta": ResponseStream._text,
    "response.output_text.annotation.added": ResponseStream._annotation,
    "response.reasoning_text.delta": ResponseStream._item_text,
    "response.reasoning_summary_text.delta": ResponseStream._summary,
    "response.function_call_arguments.delta": ResponseStream._item_text,
    "response.custom_tool_call_input.delta": ResponseStream._item_text,
    "response.mcp_call_arguments.delta": ResponseStream._item_text,
    "response.code_interpreter_call_code.delta": ResponseStream._item_text,
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
        self.finished = _whole(ResponseReader(), body, events)


def _whole(reader: ResponseReader, body: bytes, events: list[Event]) -> bool:
    response = lenient(_RESPONSE, body)
    if response is None:
        members = lenient(_RESCUE, body) or {}
        response = _Response(usage=members.get("usage", ABSENT), error=members.get("error", ABSENT))
    if response.id:
        reader.start(response, events)
    for index, raw in enumerate(response.output or ()):
        item = lenient(_ITEM, raw)
        if item is not None:
            reader.whole_item(index, item, raw, events)
    reader.end(response, events)
    # A queued or running background response is a proper answer too: it is fetched later.
    return reader.finished or response.status in ("queued", "in_progress")


def _place(event: _Event) -> int | str:
    return event.output_index if event.output_index is not None else event.item_id or 0


def _count_tools(units: dict[Unit, int], tools: dict[str, Any], items: list[_Item]) -> None:
    """Calls that are billed one by one, unless the usage itself lists them (xAI)."""
    done = [item for item in items if item.status != "failed"]
    if "web_search" in tools:
        units[Unit.WEB_SEARCH] = count(inner(tools, "web_search"), "num_requests")
    elif Unit.WEB_SEARCH not in units:
        # Opening a page and searching in it are not billed: https://platform.openai.com/docs/guides/tools-web-search
        searches = [i for i in done if i.type == "web_search_call" and _action(i) in ("", "search")]
        add(units, Unit.WEB_SEARCH, len(searches))
    if Unit.FILE_SEARCH not in units:
        add(units, Unit.FILE_SEARCH, sum(item.type == "file_search_call" for item in done))
    if Unit.CODE_SESSION not in units:
        boxes = {item.container_id or item.id for item in done if item.type == "code_interpreter_call"}
        add(units, Unit.CODE_SESSION, len(boxes))
    if not units.get(Unit.WEB_SEARCH, 1):
        del units[Unit.WEB_SEARCH]


def _action(item: _Item) -> str:
    return str((item.action or {}).get("type") or "")


def _image_models(response: _Response, tools: dict[str, Any], items: list[_Item]) -> tuple[ModelUsage, ...]:
    """Pictures made inside a reply are another model's: by tokens if reported, else by the piece."""
    made = sum(item.type == "image_generation_call" and item.status != "failed" for item in items)
    tokens = inner(tools, "image_gen")
    units: Usage | None = image_usage(tokens) if count(tokens, "total_tokens") else None
    if units is None:
        if not made:
            return ()
        units = {Unit.IMAGES: made}
    declared = (lenient(_TOOLS, response.tools) if given(response.tools) else None) or []
    model = next((tool.model for tool in declared if tool.type == "image_generation" and tool.model), "")
    return (ModelUsage(model, units),)


def _finish(status: str, response: _Response, items: list[_Item]) -> Finish:
    if status == "cancelled":
        return Finish(reason="cancelled", native=status)
    if status == "incomplete":
        native = str((response.incomplete_details or {}).get("reason") or status)
        return Finish(reason=_STOP.get(native, "other"), native=native)
    called = any(item.type in ("function_call", "custom_tool_call") for item in items)
    return Finish(reason="tool_use" if called else "end", native=status)


def _part(item: _Item, raw: Raw) -> Part:
    kind = item.type or ""
    match kind:
        case "function_call":
            return ToolUse(
                item.call_id or "", item.name or "", "", namespace=item.namespace or "", item_id=item.id or ""
            )
        case "custom_tool_call":
            return ToolUse(item.call_id or "", item.name or "", "", "custom", item_id=item.id or "")
        case "reasoning":
            return Thinking(id=item.id or "")
        case _ if kind in _SERVER_TOOLS:
            return ServerToolUse(
                item.id or "",
                _SERVER_TOOLS[kind],
                item.name or kind.removesuffix("_call"),
                server=item.server_label or "",
            )
        case _:
            return Native("openai_responses", kind, raw.copy())


def _citation(wire: dict[str, Any]) -> UrlCitation | DocumentCitation:
    def number(name: str) -> int | None:
        value = wire.get(name)
        return value if isinstance(value, int) else None

    if wire.get("type") == "url_citation":
        start, end = number("start_index"), number("end_index")
        return UrlCitation(str(wire.get("url") or ""), str(wire.get("title") or ""), start, end)
    return DocumentCitation(
        "file",
        number("index") or number("start_index") or 0,
        title=str(wire.get("filename") or ""),
        file_id=str(wire.get("file_id") or ""),
        container_id=str(wire.get("container_id") or ""),
    )
