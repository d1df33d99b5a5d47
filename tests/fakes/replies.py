"""What providers answer, in each dialect: bodies and lists of events, as small as they may be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

Usage = tuple[int, int] | None
"""Input and output tokens; None: the provider reports none."""

USED: Usage = (850, 120)
"""At 100 and 500 per million these cost 0.145."""


def encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event(value: Any, name: str = "") -> bytes:
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + encode(value) + b"\n\n"


DONE = b"data: [DONE]\n\n"


# --- chat ------------------------------------------------------------------------------------------------------------


def chat_usage(used: tuple[int, int]) -> dict[str, int]:
    return {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)}


def chat(text: str = "ok", used: Usage = USED, **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [choice]}
    return encode(body | ({"usage": chat_usage(used)} if used else {}) | more)


def chat_chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    return event(chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def chat_usage_chunk(used: tuple[int, int]) -> bytes:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": []}
    return event(chunk | {"usage": chat_usage(used)})


def chat_events(texts: Sequence[str] = ("one", " two", " three"), used: Usage = USED) -> list[bytes]:
    events = [chat_chunk({"role": "assistant", "content": ""}), *(chat_chunk({"content": text}) for text in texts)]
    return [*events, chat_chunk({}, "stop"), *([chat_usage_chunk(used)] if used else []), DONE]


# --- messages --------------------------------------------------------------------------------------------------------


def message(text: str = "ok", used: Usage = USED, **more: Any) -> bytes:
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn"}
    body |= {"stop_sequence": None, "content": [{"type": "text", "text": text}]}
    return encode(body | ({"usage": {"input_tokens": used[0], "output_tokens": used[1]}} if used else {}) | more)


def message_events(texts: Sequence[str] = ("one", " two", " three"), used: Usage = USED) -> list[bytes]:
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": []}
    start |= {"stop_reason": None, "stop_sequence": None}
    start |= {"usage": {"input_tokens": used[0], "output_tokens": min(1, used[1])}} if used else {}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}}
    end |= {"usage": {"output_tokens": used[1]}} if used else {}
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in texts
    ]
    events = [{"type": "message_start", "message": start}, block, *deltas, {"type": "content_block_stop", "index": 0}]
    return [event(item, str(item["type"])) for item in (*events, end, {"type": "message_stop"})]


# --- responses -------------------------------------------------------------------------------------------------------


def response_object(text: str, used: Usage, status: str = "completed", id: str = "resp_1") -> dict[str, Any]:
    content = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": [content]}
    body: dict[str, Any] = {"id": id, "object": "response", "created_at": 1, "model": "gpt-4o", "status": status}
    body |= {"output": [item] if status == "completed" else [], "error": None, "parallel_tool_calls": True}
    body |= {"tool_choice": "auto", "tools": [], "usage": None}
    if used and status == "completed":
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        body["usage"] = {"input_tokens": used[0], "output_tokens": used[1], "total_tokens": sum(used)} | details
    return body


def response(text: str = "ok", used: Usage = USED, id: str = "resp_1") -> bytes:
    return encode(response_object(text, used, id=id))


def response_events(
    texts: Sequence[str] = ("one", " two", " three"), used: Usage = USED, id: str = "resp_1"
) -> list[bytes]:
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    whole = "".join(texts)
    done = response_object(whole, used, id=id)
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response_object("", None, "in_progress", id)},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", "part": part} | place,
        *({"type": "response.output_text.delta", "delta": text, "logprobs": []} | place for text in texts),
        {"type": "response.output_text.done", "text": whole, "logprobs": []} | place,
        {"type": "response.output_item.done", "output_index": 0, "item": done["output"][0]},
        {"type": "response.completed", "response": done},
    ]
    return [event(item | {"sequence_number": n}, str(item["type"])) for n, item in enumerate(events)]


# --- Gemini ----------------------------------------------------------------------------------------------------------


def generated_object(text: str, used: Usage, finish: str | None = "STOP") -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    body: dict[str, Any] = {"candidates": [candidate | ({"finishReason": finish} if finish else {})]}
    body |= {"modelVersion": "gemini-2.0-flash", "responseId": "r1"}
    if used:
        counts = {"promptTokenCount": used[0], "candidatesTokenCount": used[1], "totalTokenCount": sum(used)}
        body["usageMetadata"] = counts
    return body


def generated(text: str = "ok", used: Usage = USED) -> bytes:
    return encode(generated_object(text, used))


def generated_events(texts: Sequence[str] = ("one", " two", " three"), used: Usage = USED) -> list[bytes]:
    last = len(texts) - 1
    return [
        event(generated_object(text, used if n == last else None, "STOP" if n == last else None))
        for n, text in enumerate(texts)
    ]
