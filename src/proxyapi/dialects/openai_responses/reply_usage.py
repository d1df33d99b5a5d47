"""What a response costs: its token counts, and the hosted tools that are billed by the call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.dialect import Report
from proxyapi.dialects.model import Metered, ModelUsage, given
from proxyapi.dialects.openai_responses.wire import Item, kind_of
from proxyapi.dialects.openai_usage import image_usage, response_usage, token_usage
from proxyapi.dialects.stream import lenient
from proxyapi.dialects.units import add, count, inner, wire_object
from proxyapi.usage import Unit, Usage, tells_half


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


class _ImageTool(Struct):
    type: str | None = None
    model: str | None = None


_REPORT = msgspec.json.Decoder(_Report)
_TOOLS = msgspec.json.Decoder(list[_ImageTool])


def report(body: bytes) -> Report | None:
    """Usage of a whole response. None: it is not the usual one."""
    try:
        wire = _REPORT.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    units = response_usage(wire.usage) if wire.id else None
    if not units or tells_half(units):
        return None
    return Report(units, wire.id, wire.model, wire.service_tier or "")


def metered(usage: Raw, tool_usage: Raw, declared: Raw, items: Sequence[Item]) -> Metered | None:
    """Of the raw fields `usage`, `tool_usage` and `tools` of a response, and its items. None: it names no usage."""
    wire = wire_object(usage)
    if wire is None:
        return None
    tools = wire_object(tool_usage) or {}
    units = dict(token_usage(wire))
    _count_tools(units, tools, items)
    return Metered(units, _image_models(declared, tools, items))


def _count_tools(units: dict[Unit, int], tools: dict[str, Any], items: Sequence[Item]) -> None:
    """Calls that are billed one by one, unless the usage itself lists them (xAI)."""
    done = [item for item in items if item.status != "failed"]
    if "web_search" in tools:
        units[Unit.WEB_SEARCH] = count(inner(tools, "web_search"), "num_requests")
    elif Unit.WEB_SEARCH not in units:
        # Opening a page and searching in it are not billed: https://platform.openai.com/docs/guides/tools-web-search
        searches = [i for i in done if i.type == "web_search_call" and kind_of(i.action) in ("", "search")]
        add(units, Unit.WEB_SEARCH, len(searches))
    if Unit.FILE_SEARCH not in units:
        add(units, Unit.FILE_SEARCH, sum(item.type == "file_search_call" for item in done))
    if Unit.CODE_SESSION not in units:
        boxes = {item.container_id or item.id for item in done if item.type == "code_interpreter_call"}
        add(units, Unit.CODE_SESSION, len(boxes))
    if not units.get(Unit.WEB_SEARCH, 1):
        del units[Unit.WEB_SEARCH]


def _image_models(declared: Raw, tools: dict[str, Any], items: Sequence[Item]) -> tuple[ModelUsage, ...]:
    """Pictures made inside a reply are another model's: by tokens if reported, else by the piece."""
    made = sum(item.type == "image_generation_call" and item.status != "failed" for item in items)
    tokens = inner(tools, "image_gen")
    units: Usage | None = image_usage(tokens) if count(tokens, "total_tokens") else None
    if units is None:
        if not made:
            return ()
        units = {Unit.IMAGES: made}
    offered = (lenient(_TOOLS, declared) if given(declared) else None) or []
    model = next((tool.model for tool in offered if tool.type == "image_generation" and tool.model), "")
    return (ModelUsage(model, units),)
