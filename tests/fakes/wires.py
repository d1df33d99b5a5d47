"""What is on the wire between clients and providers of the four dialects: what providers say, in one body or as a
stream, and what clients make of a stream.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from proxyapi.dialects.frames import FrameDecoder

Wire = dict[str, Any]

# --- bytes --------------------------------------------------------------------------------------------------------


def encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def framed(dialect: str, events: Iterable[Any]) -> bytes:
    """A stream of these events, as a provider of the dialect sends it."""
    named = dialect in ("anthropic", "openai_responses")
    data = b""
    for event in events:
        head = f"event: {event['type']}\n".encode() if named else b""
        data += head + b"data: " + encode(event) + b"\n\n"
    return data + (b"data: [DONE]\n\n" if dialect == "openai_chat" else b"")


def read_events(data: bytes) -> Iterator[Any]:
    """Data of events; a last one without its blank line is a mistake."""
    decoder = FrameDecoder()
    for frame in decoder.feed(data):
        if frame.data:
            yield "[DONE]" if frame.data == b"[DONE]" else json.loads(frame.data)
    assert not decoder.pending, "a frame is cut"


# --- bodies as streams --------------------------------------------------------------------------------------------


def streamed(dialect: str, body: Wire) -> list[Wire]:
    """The events in which a provider tells what it could have said in one body."""
    return list(_STREAMED[dialect](body))


def _halves(text: str) -> list[str]:
    """Pieces of a text that are not empty."""
    cut = len(text) // 2
    return [piece for piece in (text[:cut], text[cut:]) if piece]


def _chat(body: Wire) -> Iterator[Wire]:
    top = {name: value for name, value in body.items() if name not in ("choices", "usage")}
    for choice in body["choices"]:
        index, message = choice.get("index", 0), choice["message"]

        def delta(index: int = index, **fields: Any) -> Wire:
            return top | {"choices": [{"index": index, "delta": fields, "finish_reason": None}]}

        yield delta(role="assistant")
        for name, value in message.items():
            if name == "tool_calls":
                for number, call in enumerate(value):
                    kind = call.get("type", "function")
                    field = "input" if kind == "custom" else "arguments"
                    yield delta(tool_calls=[{"index": number} | call | {kind: call[kind] | {field: ""}}])
                    for piece in _halves(call[kind][field]):
                        yield delta(tool_calls=[{"index": number, kind: {field: piece}}])
            elif isinstance(value, str) and name != "role":
                for piece in _halves(value):
                    yield delta(**{name: piece})
            elif value and name != "role":
                yield delta(**{name: value})
        yield top | {"choices": [{"index": index, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    if "usage" in body:
        yield top | {"choices": [], "usage": body["usage"]}


def _messages(body: Wire) -> Iterator[Wire]:
    usage = body.get("usage", {"input_tokens": 0, "output_tokens": 0})
    start = body | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(body["content"]):
        yield from block_events(index, block)
    delta = {"stop_reason": body["stop_reason"], "stop_sequence": body.get("stop_sequence")}
    yield {"type": "message_delta", "delta": delta, "usage": usage}
    yield {"type": "message_stop"}


def block_events(index: int, block: Wire) -> Iterator[Wire]:
    """Of a block of Messages: its start, its deltas and its stop."""
    begun, deltas = dict(block), list[Wire]()
    if "text" in block:
        begun["text"] = ""
        deltas += [{"type": "text_delta", "text": piece} for piece in _halves(block["text"])]
    if "thinking" in block:
        begun |= {"thinking": "", "signature": ""}
        deltas += [{"type": "thinking_delta", "thinking": piece} for piece in _halves(block["thinking"])]
        if "signature" in block:
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
    if "input" in block:
        begun["input"] = {}
        pieces = _halves(encode(block["input"]).decode())
        deltas += [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    if "citations" in block:
        begun["citations"] = []
        deltas += [{"type": "citations_delta", "citation": citation} for citation in block["citations"]]
    yield {"type": "content_block_start", "index": index, "content_block": begun}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _responses(body: Wire) -> Iterator[Wire]:
    begun = body | {"status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    for index, item in enumerate(body["output"]):
        yield from item_events(index, item)
    yield {"type": f"response.{body['status']}", "response": body}


def item_events(index: int, item: Wire) -> Iterator[Wire]:
    """Of an item of Responses, from its beginning to its end."""
    place = {"output_index": index, "item_id": item.get("id", f"item_{index}")}
    empty = {"message": {"content": []}, "reasoning": {"summary": []}, "function_call": {"arguments": ""}}
    empty["custom_tool_call"] = {"input": ""}
    begun = item | {"status": "in_progress"} | empty.get(item["type"], {})
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    yield from _ITEM_EVENTS.get(item["type"], _nothing)(item, place)
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _nothing(item: Wire, place: Wire) -> Iterator[Wire]:
    yield from ()


def _message_events(item: Wire, place: Wire) -> Iterator[Wire]:
    for number, part in enumerate(item["content"]):
        here = place | {"content_index": number}
        name, field = ("output_text", "text") if part["type"] == "output_text" else ("refusal", "refusal")
        empty = part | {field: ""} | ({"annotations": []} if field == "text" else {})
        yield {"type": "response.content_part.added", "part": empty} | here
        for piece in _halves(part[field]):
            yield {"type": f"response.{name}.delta", "delta": piece} | here
        for at, note in enumerate(part.get("annotations", ())):
            added = {"type": "response.output_text.annotation.added", "annotation_index": at}
            yield added | {"annotation": note} | here
        yield {"type": f"response.{name}.done", field: part[field]} | here
        yield {"type": "response.content_part.done", "part": part} | here


def _reasoning_events(item: Wire, place: Wire) -> Iterator[Wire]:
    for number, summary in enumerate(item.get("summary", ())):
        here = place | {"summary_index": number}
        yield {"type": "response.reasoning_summary_part.added", "part": {"type": "summary_text", "text": ""}} | here
        for piece in _halves(summary["text"]):
            yield {"type": "response.reasoning_summary_text.delta", "delta": piece} | here
        yield {"type": "response.reasoning_summary_text.done", "text": summary["text"]} | here
        yield {"type": "response.reasoning_summary_part.done", "part": summary} | here
    for number, content in enumerate(item.get("content") or ()):
        for piece in _halves(content["text"]):
            yield {"type": "response.reasoning_text.delta", "delta": piece, "content_index": number} | place
        yield {"type": "response.reasoning_text.done", "text": content["text"], "content_index": number} | place


def _call_events(item: Wire, place: Wire) -> Iterator[Wire]:
    custom = item["type"] == "custom_tool_call"
    name, field = ("custom_tool_call_input", "input") if custom else ("function_call_arguments", "arguments")
    for piece in _halves(item[field]):
        yield {"type": f"response.{name}.delta", "delta": piece} | place
    yield {"type": f"response.{name}.done", field: item[field]} | place


_ITEM_EVENTS = {
    "message": _message_events,
    "reasoning": _reasoning_events,
    "function_call": _call_events,
    "custom_tool_call": _call_events,
}


def _gemini(body: Wire) -> Iterator[Wire]:
    """A chunk for each part; the last one has what stands beside the parts."""
    top = {name: value for name, value in body.items() if name not in ("candidates", "usageMetadata")}
    for candidate in body.get("candidates", ()):
        index = {"index": candidate.get("index", 0)}
        parts = candidate.get("content", {}).get("parts", ())
        for part in parts:
            yield top | {"candidates": [index | {"content": {"role": "model", "parts": [part]}}]}
        beside = {name: value for name, value in candidate.items() if name != "content"}
        yield top | {"candidates": [index | beside]}
    if "usageMetadata" in body:
        yield top | {"usageMetadata": body["usageMetadata"]}


_STREAMED = {"openai_chat": _chat, "openai_responses": _responses, "anthropic": _messages, "gemini": _gemini}


# --- streams as bodies --------------------------------------------------------------------------------------------


def folded(dialect: str, events: Sequence[Any]) -> Wire:
    """What a client has in the end of a stream, folded as the vendors' own clients do; the first alternative."""
    return _FOLDED[dialect](events)


def _fold_chat(events: Sequence[Any]) -> Wire:
    message: Wire = {"role": "assistant", "content": None}
    calls: dict[int, Wire] = {}
    for event in events:
        choices = [] if event == "[DONE]" else event["choices"]
        for choice in (choice for choice in choices if not choice["index"]):
            for name, value in choice["delta"].items():
                if name == "tool_calls":
                    for piece in value:
                        call = calls.setdefault(piece["index"], {"function": {"name": "", "arguments": ""}})
                        call["function"]["name"] += piece["function"].get("name", "")
                        call["function"]["arguments"] += piece["function"].get("arguments", "")
                        call |= {key: piece[key] for key in ("id", "type", "extra_content") if key in piece}
                elif isinstance(value, str) and name != "role":
                    message[name] = (message.get(name) or "") + value
                elif isinstance(value, list):
                    message[name] = [*message.get(name, ()), *value]
                else:
                    message[name] = value
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return {"choices": [{"message": message}]}


def _fold_messages(events: Sequence[Any]) -> Wire:
    content: list[Wire] = []
    for event in events:
        if event["type"] == "content_block_start":
            content.append(dict(event["content_block"]))
        elif event["type"] == "content_block_delta":
            block, delta = content[event["index"]], event["delta"]
            match delta["type"]:
                case "text_delta":
                    block["text"] += delta["text"]
                case "thinking_delta":
                    block["thinking"] += delta["thinking"]
                case "signature_delta":
                    block["signature"] = delta["signature"]
                case "input_json_delta":
                    block["json"] = block.get("json", "") + delta["partial_json"]
                case "citations_delta":
                    block["citations"] = [*block.get("citations", ()), delta["citation"]]
    for block in content:
        if text := block.pop("json", ""):
            block["input"] = json.loads(text)
    return {"content": content}


def _fold_responses(events: Sequence[Any]) -> Wire:
    whole: Wire = next(event["response"] for event in reversed(events) if "response" in event)
    return whole


def _fold_gemini(events: Sequence[Any]) -> Wire:
    parts = [
        part
        for event in events
        for candidate in event.get("candidates", ())
        if not candidate["index"]
        for part in candidate.get("content", {}).get("parts", ())
    ]
    return {"candidates": [{"content": {"role": "model", "parts": parts}}]}


_FOLDED = {
    "openai_chat": _fold_chat,
    "openai_responses": _fold_responses,
    "anthropic": _fold_messages,
    "gemini": _fold_gemini,
}


def turn_of(dialect: str, reply: Wire) -> list[Wire]:
    match dialect:
        case "openai_chat":
            return [reply["choices"][0]["message"]]
        case "openai_responses":
            return list(reply["output"])
        case "anthropic":
            return [{"role": "assistant", "content": reply["content"]}]
        case _:
            return [reply["candidates"][0]["content"]]


def conversation(dialect: str, messages: Sequence[Wire]) -> Wire:
    """The field of a request that holds these."""
    return {{"openai_responses": "input", "gemini": "contents"}.get(dialect, "messages"): list(messages)}


# --- what providers say -------------------------------------------------------------------------------------------


def completion(message: Wire, finish: str = "stop", **more: Any) -> Wire:
    """A body of Chat with one answer."""
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    top = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt", "choices": [choice]}
    return top | {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}} | more


def chunk(delta: Wire, finish: str | None = None, **more: Any) -> Wire:
    """Of a stream of Chat."""
    top = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt"}
    return top | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} | more


def call_chunk(index: int, arguments: str = "", *, id: str = "", name: str = "") -> Wire:
    """A delta of a tool call."""
    function = {"arguments": arguments} | ({"name": name} if name else {})
    call = {"index": index, "function": function} | ({"id": id, "type": "function"} if id else {})
    return chunk({"tool_calls": [call]})


def function_call(name: str = "f", arguments: str = "{}", id: str = "call_1", **more: Any) -> Wire:
    """Of a message of Chat."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}} | more


def message(*blocks: Wire, stop: str = "end_turn", **more: Any) -> Wire:
    """A body of Messages."""
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": list(blocks)}
    body |= {"stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 5}}
    return body | more


def tool_use(name: str = "f", arguments: Any = None, id: str = "toolu_1") -> Wire:
    return {"type": "tool_use", "id": id, "name": name, "input": arguments or {}}


def text(words: str, **more: Any) -> Wire:
    """A block of Messages."""
    return {"type": "text", "text": words} | more


def response(*items: Wire, status: str = "completed", **more: Any) -> Wire:
    """A body of Responses."""
    body: Wire = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt", "status": status}
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    return body | {"output": list(items), "usage": usage, "error": None} | more


def output_text(words: str, id: str = "msg_1", **more: Any) -> Wire:
    """An item of Responses with one text."""
    content = {"type": "output_text", "text": words, "annotations": []} | more
    return {"type": "message", "id": id, "role": "assistant", "status": "completed", "content": [content]}


def call_item(name: str = "f", arguments: str = "{}", id: str = "call_1", **more: Any) -> Wire:
    item = {"type": "function_call", "id": f"fc_{id}", "call_id": id, "name": name, "arguments": arguments}
    return item | {"status": "completed"} | more


def generated(*parts: Wire, finish: str = "STOP", **more: Any) -> Wire:
    """A body of Gemini. `more`: beside its one candidate."""
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish, "index": 0}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini", "responseId": "g1"} | more


ANSWERS: dict[str, Any] = {
    "openai_chat": lambda words: completion({"content": words}),
    "openai_responses": lambda words: response(output_text(words)),
    "anthropic": lambda words: message(text(words)),
    "gemini": lambda words: generated({"text": words}),
}
"""A text in each dialect."""
CALLS: dict[str, Any] = {
    "openai_chat": lambda name, arguments: completion({"tool_calls": [function_call(name, arguments)]}, "tool_calls"),
    "openai_responses": lambda name, arguments: response(call_item(name, arguments)),
    "anthropic": lambda name, arguments: message(tool_use(name, json.loads(arguments)), stop="tool_use"),
    "gemini": lambda name, arguments: generated({"functionCall": {"name": name, "args": json.loads(arguments)}}),
}
"""A call in each dialect."""
FUNCTIONS: dict[str, Any] = {
    "openai_chat": lambda name, schema: {"type": "function", "function": {"name": name, "parameters": schema}},
    "openai_responses": lambda name, schema: {"type": "function", "name": name, "parameters": schema, "strict": False},
    "anthropic": lambda name, schema: {"name": name, "input_schema": schema},
    "gemini": lambda name, schema: {"functionDeclarations": [{"name": name, "parametersJsonSchema": schema}]},
}
"""A declared tool in each dialect."""
