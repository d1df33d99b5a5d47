"""What providers answer, in each dialect: bodies and lists of events, as small as they may be."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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


# --- one reply in every dialect --------------------------------------------------------------------------------------


class Call(NamedTuple):
    """A client's tool that the model calls; `arguments` are JSON text."""

    id: str
    name: str
    arguments: str


class Said(NamedTuple):
    """What a model says, whatever its dialect."""

    thinking: str = ""
    text: str = ""
    calls: tuple[Call, ...] = ()
    cached: int = 600
    """Of the 850 input tokens; 40 of the 120 output tokens are always thinking."""


THOUGHT = 40
SIGNATURE = "c2lnbmVkIGJ5IG1l"


def halves(text: str) -> tuple[str, str]:
    """As two deltas of a stream."""
    return text[: len(text) // 2], text[len(text) // 2 :]


def said_chat_usage(said: Said) -> dict[str, Any]:
    details = {"prompt_tokens_details": {"cached_tokens": said.cached}}
    return chat_usage((850, 120)) | details | {"completion_tokens_details": {"reasoning_tokens": THOUGHT}}


def said_chat(said: Said) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None}
    message |= {"reasoning_content": said.thinking} if said.thinking else {}
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in said.calls
    ]
    choice = {"index": 0, "message": message | ({"tool_calls": calls} if calls else {})}
    choice["finish_reason"] = "tool_calls" if calls else "stop"
    return chat(used=None, choices=[choice], usage=said_chat_usage(said))


def said_chat_events(said: Said) -> list[bytes]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": text} for text in halves(said.thinking) if text]
    deltas += [{"content": text} for text in halves(said.text) if text]
    for index, call in enumerate(said.calls):
        function = {"name": call.name, "arguments": ""}
        deltas.append({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": text}}]} for text in halves(call.arguments)
        ]
    last = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": []}
    finish = chat_chunk({}, "tool_calls" if said.calls else "stop")
    return [*map(chat_chunk, deltas), finish, event(last | {"usage": said_chat_usage(said)}), DONE]


def said_blocks(said: Said) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if said.thinking:
        blocks.append({"type": "thinking", "thinking": said.thinking, "signature": SIGNATURE})
    if said.text:
        blocks.append({"type": "text", "text": said.text})
    uses = [{"type": "tool_use", "id": call.id, "name": call.name} for call in said.calls]
    return blocks + [use | {"input": json.loads(call.arguments)} for use, call in zip(uses, said.calls, strict=True)]


def said_message_usage(said: Said) -> dict[str, Any]:
    usage = {"input_tokens": 850 - said.cached, "cache_read_input_tokens": said.cached, "output_tokens": 120}
    return usage | {"cache_creation_input_tokens": 0, "output_tokens_details": {"thinking_tokens": THOUGHT}}


def said_message(said: Said) -> bytes:
    reason = "tool_use" if said.calls else "end_turn"
    return message(used=None, content=said_blocks(said), stop_reason=reason, usage=said_message_usage(said))


def said_message_events(said: Said) -> list[bytes]:
    usage = said_message_usage(said)
    start = json.loads(message(used=None, content=[], stop_reason=None, usage=usage | {"output_tokens": 1}))
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(said_blocks(said)):
        at: dict[str, Any] = {"index": index}
        if block["type"] == "thinking":
            empty: dict[str, Any] = {"thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": text} for text in halves(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": SIGNATURE})
        elif block["type"] == "text":
            empty, deltas = {"text": ""}, [{"type": "text_delta", "text": text} for text in halves(block["text"])]
        else:
            call = next(call for call in said.calls if call.id == block["id"])
            empty = {"input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": text} for text in halves(call.arguments)]
        events.append({"type": "content_block_start", "content_block": block | empty} | at)
        events += [{"type": "content_block_delta", "delta": delta} | at for delta in deltas]
        events.append({"type": "content_block_stop"} | at)
    reason = {"stop_reason": "tool_use" if said.calls else "end_turn", "stop_sequence": None}
    events += [{"type": "message_delta", "delta": reason, "usage": usage}, {"type": "message_stop"}]
    return [event(item, str(item["type"])) for item in events]


def said_items(said: Said) -> list[dict[str, Any]]:
    """Output items of Responses."""
    items: list[dict[str, Any]] = []
    if said.thinking:
        summary = [{"type": "summary_text", "text": said.thinking}]
        items.append({"type": "reasoning", "id": "rs_1", "summary": summary, "status": "completed"})
        items[-1]["encrypted_content"] = SIGNATURE
    if said.text:
        content = [{"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}]
        items.append({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content})
    for number, call in enumerate(said.calls):
        item = {"type": "function_call", "id": f"fc_{number}", "call_id": call.id, "name": call.name}
        items.append(item | {"arguments": call.arguments, "status": "completed"})
    return items


def said_response_object(said: Said) -> dict[str, Any]:
    usage: dict[str, Any] = {"input_tokens": 850, "output_tokens": 120, "total_tokens": 970}
    usage["input_tokens_details"] = {"cached_tokens": said.cached}
    usage["output_tokens_details"] = {"reasoning_tokens": THOUGHT}
    return response_object("", None) | {"output": said_items(said), "usage": usage}


def said_response(said: Said) -> bytes:
    return encode(said_response_object(said))


def _item_events(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Between the first and the last event of an item."""
    at = {"item_id": item["id"]}
    if item["type"] == "function_call":
        kind, name = "response.function_call_arguments", "arguments"
        deltas = [{"type": f"{kind}.delta", "delta": text} | at for text in halves(item["arguments"])]
        return [*deltas, {"type": f"{kind}.done", "name": item["name"], name: item["arguments"]} | at]
    if item["type"] == "reasoning":
        at |= {"summary_index": 0}
        kind, part = "response.reasoning_summary", item["summary"][0]
        inner = [{"type": f"{kind}_text.delta", "delta": text} | at for text in halves(part["text"])]
        inner.append({"type": f"{kind}_text.done", "text": part["text"]} | at)
    else:
        at |= {"content_index": 0}
        kind, part = "response.content", item["content"][0]
        inner = [
            {"type": "response.output_text.delta", "delta": text, "logprobs": []} | at for text in halves(part["text"])
        ]
        inner.append({"type": "response.output_text.done", "text": part["text"], "logprobs": []} | at)
    started = {"type": f"{kind}_part.added", "part": part | {"text": ""}} | at
    return [started, *inner, {"type": f"{kind}_part.done", "part": part} | at]


def said_response_events(said: Said) -> list[bytes]:
    done = said_response_object(said)
    events: list[dict[str, Any]] = [{"type": "response.created", "response": response_object("", None, "in_progress")}]
    empty = {"reasoning": {"summary": []}, "message": {"content": []}, "function_call": {"arguments": ""}}
    for index, item in enumerate(done["output"]):
        started = item | empty[item["type"]] | {"status": "in_progress"}
        inner = [
            {"type": "response.output_item.added", "item": started},
            *_item_events(item),
            {"type": "response.output_item.done", "item": item},
        ]
        events += [step | {"output_index": index} for step in inner]
    events.append({"type": "response.completed", "response": done})
    return [event(item | {"sequence_number": n}, str(item["type"])) for n, item in enumerate(events)]


def said_parts(said: Said) -> list[dict[str, Any]]:
    """As Gemini up to 2.5 says it: calls without ids, the first of them signed after thinking."""
    parts: list[dict[str, Any]] = [{"text": said.thinking, "thought": True}] if said.thinking else []
    parts += [{"text": said.text}] if said.text else []
    calls: list[dict[str, Any]] = [
        {"functionCall": {"name": call.name, "args": json.loads(call.arguments)}} for call in said.calls
    ]
    if said.thinking and calls:
        calls[0]["thoughtSignature"] = SIGNATURE
    return parts + calls


def said_generated_object(said: Said, parts: list[dict[str, Any]], finish: str | None = "STOP") -> dict[str, Any]:
    body = generated_object("", None, finish)
    body["candidates"][0]["content"]["parts"] = parts
    counts = {"promptTokenCount": 850, "candidatesTokenCount": 120 - THOUGHT, "thoughtsTokenCount": THOUGHT}
    return body | {"usageMetadata": counts | {"cachedContentTokenCount": said.cached, "totalTokenCount": 970}}


def said_generated(said: Said) -> bytes:
    return encode(said_generated_object(said, said_parts(said)))


def said_generated_events(said: Said) -> list[bytes]:
    pieces: list[dict[str, Any]] = []
    for part in said_parts(said):
        pieces += [part | {"text": text} for text in halves(part["text"])] if "text" in part else [part]
    last = len(pieces) - 1
    return [event(said_generated_object(said, [part], "STOP" if n == last else None)) for n, part in enumerate(pieces)]


SAID_BODIES: dict[str, Callable[[Said], bytes]] = {
    "openai_chat": said_chat,
    "openai_responses": said_response,
    "anthropic": said_message,
    "gemini": said_generated,
}
SAID_STREAMS: dict[str, Callable[[Said], list[bytes]]] = {
    "openai_chat": said_chat_events,
    "openai_responses": said_response_events,
    "anthropic": said_message_events,
    "gemini": said_generated_events,
}
