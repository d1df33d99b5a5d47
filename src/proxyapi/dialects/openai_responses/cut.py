"""OpenAI Responses: the end of a stream that is broken off at a length. Every open part and item is told as done, and
the last event holds all that was told. https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from proxyapi.dialects import frames

Wire = dict[str, Any]

_encode = msgspec.json.Encoder().encode


class _Told:
    """The response as a client has put it together."""

    def __init__(self) -> None:
        self.response: Wire = {"object": "response", "output": []}
        self.items: dict[int, Wire] = {}
        """By output index."""
        self.open_items: set[int] = set()
        self.open_parts: list[tuple[str, int, int]] = []
        """Field of the item, its output index, and index of the part."""
        self.number = -1
        """Of the last event."""

    def read(self, wire: Wire) -> None:
        self.number = max(self.number, int(wire.get("sequence_number") or 0))
        kind = str(wire.get("type"))
        if isinstance(wire.get("response"), dict):
            self.response = wire["response"]
        elif handle := _EVENTS.get(kind):
            handle(self, wire)
        elif kind.endswith(".delta"):
            self._grow(kind.removesuffix(".delta").removeprefix("response."), wire)

    def item(self, wire: Wire) -> Wire:
        return self.items.setdefault(int(wire.get("output_index") or 0), {"id": wire.get("item_id")})

    def _added(self, wire: Wire) -> None:
        index = int(wire.get("output_index") or 0)
        self.items[index] = wire["item"] if isinstance(wire.get("item"), dict) else {}
        self.open_items.add(index)

    def _done(self, wire: Wire) -> None:
        index = int(wire.get("output_index") or 0)
        if isinstance(wire.get("item"), dict):
            self.items[index] = wire["item"]
        self.open_items.discard(index)
        self.open_parts = [part for part in self.open_parts if part[1] != index]

    def _part(self, field: str, wire: Wire) -> Wire:
        """The part that an event is about, made if nothing announced it."""
        item = self.item(wire)
        if not isinstance(item.get(field), list):
            item[field] = []
        parts: list[Wire] = item[field]
        at = int(wire.get("content_index" if field == "content" else "summary_index") or 0)
        while len(parts) <= at:
            parts.append({})
        if not isinstance(parts[at], dict):
            parts[at] = {}
        return parts[at]

    def _place(self, field: str, wire: Wire) -> tuple[str, int, int]:
        at = int(wire.get("content_index" if field == "content" else "summary_index") or 0)
        return field, int(wire.get("output_index") or 0), at

    def _part_added(self, wire: Wire) -> None:
        field = "content" if "content_part" in str(wire.get("type")) else "summary"
        part = self._part(field, wire)
        part.clear()
        part.update(wire["part"] if isinstance(wire.get("part"), dict) else {})
        self.open_parts.append(self._place(field, wire))

    def _part_done(self, wire: Wire) -> None:
        field = "content" if "content_part" in str(wire.get("type")) else "summary"
        if isinstance(wire.get("part"), dict):
            self._part(field, wire).update(wire["part"])
        place = self._place(field, wire)
        self.open_parts = [part for part in self.open_parts if part != place]

    def _cited(self, wire: Wire) -> None:
        self._part("content", wire).setdefault("annotations", []).append(wire.get("annotation"))

    def _grow(self, kind: str, wire: Wire) -> None:
        growth = _GROWTHS.get(kind)
        delta = wire.get("delta")
        if growth is None or not isinstance(delta, str):
            return
        field, name = growth
        grown = self._part(field, wire) if field else self.item(wire)
        grown[name] = str(grown.get(name) or "") + delta


_EVENTS: dict[str, Callable[[_Told, Wire], None]] = {
    "response.output_item.added": _Told._added,
    "response.output_item.done": _Told._done,
    "response.content_part.added": _Told._part_added,
    "response.content_part.done": _Told._part_done,
    "response.reasoning_summary_part.added": _Told._part_added,
    "response.reasoning_summary_part.done": _Told._part_done,
    "response.output_text.annotation.added": _Told._cited,
}
_GROWTHS: dict[str, tuple[str, str]] = {
    "output_text": ("content", "text"),
    "refusal": ("content", "refusal"),
    "reasoning_text": ("content", "text"),
    "reasoning_summary_text": ("summary", "text"),
    "function_call_arguments": ("", "arguments"),
    "custom_tool_call_input": ("", "input"),
    "mcp_call_arguments": ("", "arguments"),
    "code_interpreter_call_code": ("", "code"),
}
"""What grows by the deltas of an event: a field of a part, or of the item itself."""
_WHOLES = {"function_call": "function_call_arguments", "custom_tool_call": "custom_tool_call_input"}
"""By type of the item: the event that ends its growth."""


def response_end(events: Sequence[Wire], usage: Raw) -> bytes:
    """What follows `events`, the last of them `response.incomplete`."""
    told = _Told()
    for wire in events:
        told.read(wire)
    out: list[Wire] = [_part_end(told, *place) for place in told.open_parts]
    for index in sorted(told.open_items):
        item = told.items[index]
        place = {"item_id": item.get("id"), "output_index": index}
        if growth := _WHOLES.get(str(item.get("type"))):
            name = _GROWTHS[growth][1]
            out.append({"type": f"response.{growth}.done", **place, name: item.get(name) or ""})
        item["status"] = "incomplete"
        out.append({"type": "response.output_item.done", "output_index": index, "item": item})
    ended = {
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [told.items[index] for index in sorted(told.items)],
        "usage": usage,
    }
    out.append({"type": "response.incomplete", "response": told.response | ended})
    numbered = [event | {"sequence_number": told.number + place} for place, event in enumerate(out, 1)]
    return b"".join(frames.encode(_encode(event), str(event["type"])) for event in numbered)


def _part_end(told: _Told, field: str, index: int, at: int) -> Wire:
    item = told.items[index]
    about = {"item_id": item.get("id"), "output_index": index}
    if field == "content":
        return {"type": "response.content_part.done", **about, "content_index": at, "part": item[field][at]}
    return {"type": "response.reasoning_summary_part.done", **about, "summary_index": at, "part": item[field][at]}
