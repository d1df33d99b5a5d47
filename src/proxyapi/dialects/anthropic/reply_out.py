"""Anthropic Messages: a reply as a client reads it, as one body or as a stream.

A stream is `message_start (content_block_start content_block_delta* content_block_stop)* message_delta message_stop`:
blocks never overlap and are counted from 0, each event is named twice, and usage comes last. A body is the same blocks
as one list. https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from proxyapi.dialects import faults, frames
from proxyapi.dialects.answer import Answer
from proxyapi.dialects.anthropic import citations
from proxyapi.dialects.anthropic.reply_blocks import HANDLERS, Block, Reply, empty_text
from proxyapi.dialects.codec import Asked
from proxyapi.dialects.functions import as_object
from proxyapi.dialects.model import (
    Citation,
    Event,
    Failed,
    KeepAlive,
    PartDelta,
    PartEnd,
    PartStart,
    PartSummary,
    ToolUse,
    UrlCitation,
)

_encode = msgspec.json.Encoder().encode


# --- a stream -----------------------------------------------------------------------------------------------------

_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
_DELTA_END = b"}}\n\n"
_PING = frames.encode(b'{"type":"ping"}', "ping")


class MessageStreamEncoder(Reply):
    """Every event leaves at once, but for the last two, which wait for the last word about usage."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        self._out: list[bytes] = []
        self._is_begun = False
        self._block = -1
        """Number of the last block."""
        self._prefix = b""
        """Of a delta of the open part, where its text only has to be put in."""
        self._is_cited = False
        """The open text was cited: what follows is another block."""

    def feed(self, events: Iterable[Event]) -> bytes:
        out = self._out
        self._piece = events = events if isinstance(events, list) else list(events)
        self._ahead = None
        for event in events:
            if type(event) is PartDelta:
                if self._prefix:
                    out += (self._prefix, _encode(event.text), _DELTA_END)
                else:
                    self._on_text(event.text)
            else:
                self._STREAMED[type(event)](self, event)
        if not self._is_begun:
            self._begin_message()
        data = b"".join(out)
        out.clear()
        return data

    def close(self) -> bytes:
        self._begin_message()
        self._sign(None)
        self._shut()
        delta = {"type": "message_delta", "delta": self._ending(), "usage": self._usage(final=True)}
        self._put("message_delta", delta | self._besides())
        self._put("message_stop", {"type": "message_stop"})
        data = b"".join(self._out)
        self._out.clear()
        return data

    def fail(self, failed: Failed, request_id: str) -> bytes:
        return frames.encode(_encode(faults.told("anthropic", failed, request_id)), "error")

    def _put(self, event: str, wire: dict[str, Any]) -> None:
        data = _encode(wire)
        if b"\n" in data or b"\r" in data:
            # Only what is sent as received can have line ends, and an event has none.
            data = msgspec.json.format(data, indent=-1)
        self._out.append(frames.encode(data, event))

    def _begin_message(self) -> None:
        if self._is_begun:
            return
        self._is_begun = True
        message: dict[str, Any] = {
            "id": self._start.id,
            "type": "message",
            "role": "assistant",
            "model": self._asked.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._usage(final=False) | self._tier(),
        }
        self._put("message_start", {"type": "message_start", "message": message})

    def _begin(self, block: Block | Raw) -> None:
        self._block += 1
        self._is_cited = False
        start = {"type": "content_block_start", "index": self._block, "content_block": block}
        self._put("content_block_start", start)

    def _grow(self, kind: str, **fields: Any) -> None:
        if self._is_cited and kind == "text_delta":
            self._shut()
            self._open(empty_text())
        delta = {"type": "content_block_delta", "index": self._block, "delta": {"type": kind} | fields}
        self._put("content_block_delta", delta)

    def _flow(self, kind: str, field: str) -> None:
        self._prefix = _DELTA % (self._block, kind.encode(), field.encode())

    def _end(self, *, incomplete: bool) -> None:
        self._prefix = b""
        self._put("content_block_stop", {"type": "content_block_stop", "index": self._block})

    def _cite(self, citation: Citation) -> None:
        if (wire := citations.write(citation)) is not None:
            self._prefix = b""
            self._grow("citations_delta", citation=wire)
            self._is_cited = self._grown

    def _on_part_start(self, event: PartStart) -> None:
        self._begin_message()
        super()._on_part_start(event)

    def _on_summary(self, event: PartSummary) -> None:
        self._prefix = b""
        super()._on_summary(event)

    def _on_part_end(self, event: PartEnd) -> None:
        self._prefix = b""
        super()._on_part_end(event)

    def _on_keep_alive(self, event: KeepAlive) -> None:
        self._begin_message()
        self._out.append(_PING)

    _STREAMED: ClassVar[dict[type, Callable[[Any, Any], None]]] = HANDLERS | {
        PartStart: _on_part_start,
        PartSummary: _on_summary,
        PartEnd: _on_part_end,
        KeepAlive: _on_keep_alive,
    }


# --- a body -------------------------------------------------------------------------------------------------------


class MessageBodyEncoder(Reply):
    """The whole message leaves at its end."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        self._content: list[Block | Raw] = []
        self._pieces: list[str] = []
        """Text or arguments of the open block."""
        self._citations: list[Citation] = []
        """Of the open text."""

    def feed(self, events: Iterable[Event]) -> bytes:
        self._piece = events = events if isinstance(events, list) else list(events)
        self._ahead = None
        for event in events:
            if type(event) is PartDelta:
                self._on_text(event.text)
            else:
                HANDLERS[type(event)](self, event)
        return b""

    def answer(self, answer: Answer) -> bytes:
        self._start, self._metered, self._finish = answer.start, answer.metered, answer.finish
        self._content = [{"type": "text", "text": answer.text}]
        return self.close()

    def close(self) -> bytes:
        self._sign(None)
        self._shut()
        message: dict[str, Any] = {
            "id": self._start.id,
            "type": "message",
            "role": "assistant",
            "model": self._asked.model,
            "content": self._content,
            **self._ending(),
            **self._besides(),
            "usage": self._usage(final=True) | self._tier(),
        }
        return _encode(message)

    def fail(self, failed: Failed, request_id: str) -> bytes:
        """A body that was not sent is answered with a status instead."""
        return b""

    def _begin(self, block: Block | Raw) -> None:
        self._content.append(block)

    def _grow(self, kind: str, **fields: Any) -> None:
        block = self._content[-1]
        assert isinstance(block, dict), "blocks that are kept as received do not grow"
        if kind in _JOINED:
            self._pieces += fields.values()
        else:
            block |= fields

    def _end(self, *, incomplete: bool) -> None:
        text, self._pieces = "".join(self._pieces), []
        cited, self._citations = self._citations, []
        block = self._content[-1]
        if not isinstance(block, dict):
            return
        match block["type"]:
            case "text":
                self._content[-1:] = _cited(text, cited)
            case "thinking":
                block["thinking"] = text
            case "tool_use" | "server_tool_use" | "mcp_tool_use":
                block["input"] = Raw(as_object(ToolUse("", "", text)).encode())
                if incomplete:
                    del self._content[-1]
            case _:
                pass

    def _cite(self, citation: Citation) -> None:
        self._citations.append(citation)


_JOINED = frozenset({"text_delta", "thinking_delta", "input_json_delta"})


def _cited(text: str, found: Sequence[Citation]) -> list[Block | Raw]:
    """The text, cut where what is cited begins and ends: the dialect cites whole blocks."""
    if not found:
        return [{"type": "text", "text": text}] if text else []
    spans = [_span(citation, len(text)) for citation in found]
    wires = [citations.write(citation) for citation in found]
    begin: dict[int, list[int]] = {}
    end: dict[int, list[int]] = {}
    for number, (first, last) in enumerate(spans):
        begin.setdefault(first, []).append(number)
        end.setdefault(last, []).append(number)
    cuts = sorted({0, len(text), *begin, *end})
    blocks: list[Block | Raw] = []
    here: set[int] = set()
    # Sources that came after the answer's last text stand on a text of their own, which is empty.
    for start, stop in pairwise(cuts) if text else [(0, 0)]:
        here.difference_update(end.get(start, ()))
        here.update(begin.get(start, ()))
        block: Block = {"type": "text", "text": text[start:stop]}
        if told := [wire for number in sorted(here) if (wire := wires[number]) is not None]:
            block["citations"] = told
        blocks.append(block)
    return blocks


def _span(citation: Citation, size: int) -> tuple[int, int]:
    """What a citation is about: a part of the text, or all of it."""
    if not isinstance(citation, UrlCitation) or citation.start is None or citation.end is None:
        return 0, size
    start, end = max(citation.start, 0), min(citation.end, size)
    return (start, end) if start < end else (0, size)
