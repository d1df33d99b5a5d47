"""How a stream of a client's own dialect ends that the gateway breaks off: at a length, as if the provider had said it.

What was passed on is read again, in the dialect's own JSON, so that every part which was opened there is ended, under
the provider's own ids. Streams that are translated end by their encoder: `Translation.cut`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects import frames
from proxyapi.dialects.anthropic import usage as anthropic_usage
from proxyapi.dialects.call import WireName
from proxyapi.dialects.frames import FrameDecoder
from proxyapi.dialects.gemini import usage as gemini_usage
from proxyapi.dialects.openai_responses.cut import response_end
from proxyapi.dialects.openai_usage import written
from proxyapi.dialects.stream import anything
from proxyapi.usage import Usage

Wire = dict[str, Any]

_encode = msgspec.json.Encoder().encode


class Sent(Struct, frozen=True, kw_only=True):
    """What a client has got of a stream."""

    events: Sequence[Wire]
    """In order. Empty for an array of Gemini, whose elements need no end."""
    usage: Usage
    """Of all of it."""
    reply_id: str
    model: str
    choices: int
    told: bytes = b""
    """Frames that stand before the end: the usage of Chat, a comment."""
    elements: int | None = None
    """Gemini without `alt=sse`: whole elements so far."""


def is_endable(dialect: WireName) -> bool:
    """Whether the dialect has a word for an answer that is as long as it may be."""
    return dialect in _ENDS


def events_of(sent: Iterable[bytes]) -> list[Wire]:
    """The JSON objects in whole frames of a stream."""
    decoder = FrameDecoder()
    found = [frame for piece in sent for frame in decoder.feed(piece)]
    return [wire for frame in found if isinstance(wire := anything(frame.data), dict)]


def length_end(dialect: WireName, sent: Sent) -> bytes:
    """Everything that is missing to a proper end, between two frames. KeyError: the dialect is not `is_endable`."""
    return _ENDS[dialect](sent)


def _chat(sent: Sent) -> bytes:
    head: Wire = {"id": sent.reply_id, "object": "chat.completion.chunk", "created": 0, "model": sent.model}
    ended: dict[int, bool] = {}
    for wire in sent.events:
        head |= {name: wire[name] for name in ("id", "created", "model", "system_fingerprint") if name in wire}
        for choice in wire.get("choices") or ():
            ended[int(choice.get("index") or 0)] = bool(choice.get("finish_reason"))
    out = b"".join(
        frames.encode(_encode(head | {"choices": [{"index": index, "delta": {}, "finish_reason": "length"}]}))
        for index, over in sorted(ended.items() or [(0, False)])
        if not over
    )
    return out + sent.told + frames.encode(b"[DONE]")


def _messages(sent: Sent) -> bytes:
    open_blocks: list[int] = []
    for wire in sent.events:
        index = int(wire.get("index") or 0)
        if wire.get("type") == "content_block_start":
            open_blocks.append(index)
        elif wire.get("type") == "content_block_stop" and index in open_blocks:
            open_blocks.remove(index)
    events: list[Wire] = [{"type": "content_block_stop", "index": index} for index in open_blocks]
    ending = {"stop_reason": "max_tokens", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": anthropic_usage.written(sent.usage)})
    events.append({"type": "message_stop"})
    return sent.told + b"".join(frames.encode(_encode(event), event["type"]) for event in events)


def _gemini(sent: Sent) -> bytes:
    candidates = [{"finishReason": "MAX_TOKENS", "index": index} for index in range(max(1, sent.choices))]
    last: Wire = {"candidates": candidates, "usageMetadata": gemini_usage.written(sent.usage)}
    if sent.model:
        last["modelVersion"] = sent.model
    if sent.reply_id:
        last["responseId"] = sent.reply_id
    if sent.elements is None:
        return sent.told + frames.encode(_encode(last))
    return (b",\r\n" if sent.elements else b"[") + _encode(last) + b"]"


def _responses(sent: Sent) -> bytes:
    return sent.told + response_end(sent.events, Raw(written(sent.usage, "responses")))


_ENDS: dict[WireName, Callable[[Sent], bytes]] = {
    "openai_chat": _chat,
    "openai_responses": _responses,
    "anthropic": _messages,
    "gemini": _gemini,
}
