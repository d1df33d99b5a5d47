"""Anthropic Messages: text, thinking, tools, web search, prompt caching; bodies and streams.

Caching has no memory, so that the same request has the same answer: what is marked with `cache_control` is written by
the first turn of a conversation and read by every later one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from proxyapi.sandbox.reading import (
    JsonObject,
    Refused,
    as_int,
    as_list,
    as_object,
    as_objects,
    as_strings,
    as_text,
    encode_text,
)
from proxyapi.sandbox.reply import Reply, event_stream, json_reply, named_event
from proxyapi.sandbox.request import Request
from proxyapi.sandbox.script import SOURCES, Script, pieces, write
from proxyapi.sandbox.turn import Prompt, Result, Tool, Turn, asked_text, wants_search

_ENDS = {"end": "end_turn", "stop": "stop_sequence", "length": "max_tokens", "tool": "tool_use"}
_SIGNATURE_BYTES = 240
_TOKENS_PER_PICTURE = 64
"""A small one: Anthropic counts (width × height) / 750."""

_TYPED_TOOLS: dict[str, JsonObject] = {
    "bash": {"command": {"const": "echo sandbox"}},
    "text_editor": {"command": {"const": "view"}, "path": {"const": "/tmp/sandbox.txt"}},
    "computer": {"action": {"const": "screenshot"}},
    "memory": {"command": {"const": "view"}, "path": {"const": "/memories"}},
}
"""Anthropic's own client tools, by the beginning of their type: arguments that do no harm."""


class _Marks(NamedTuple):
    """How much of the prompt is to be cached."""

    tokens: int = 0
    hour: bool = False


class _Read(NamedTuple):
    turn: Turn
    marks: _Marks
    later_turn: bool


def reply(request: Request) -> Reply:
    """Answers `messages` and `messages/count_tokens`."""
    if not request.model:
        raise Refused(400, "model: Field required")
    read = _read(request)
    if request.path == "messages/count_tokens":
        return json_reply({"input_tokens": read.turn.prompt_tokens})
    ceiling = as_int(request.body.get("max_tokens"))
    if ceiling is None or ceiling < 1:
        raise Refused(400, "max_tokens: Field required" if ceiling is None else "max_tokens: must be at least 1")
    message = _message(request, read, write(read.turn, request.count))
    return event_stream(_events(message)) if request.body.get("stream") is True else json_reply(message)


# ---- reading


def _read(request: Request) -> _Read:
    body = request.body
    messages = as_objects(body.get("messages"))
    if not messages:
        raise Refused(400, "messages: at least one message is required")
    prompt = Prompt(request.count, tokens_per_picture=_TOKENS_PER_PICTURE)
    marks = _Marks()

    def mark(block: JsonObject) -> None:
        nonlocal marks
        control = as_object(block.get("cache_control"))
        if control:
            marks = _Marks(prompt.tokens, marks.hour or control.get("ttl") == "1h")

    tools = as_objects(body.get("tools"))
    for tool in tools:
        prompt.text(encode_text(tool))
        mark(tool)
    system = body.get("system")
    prompt.text(as_text(system))
    for block in as_objects(system):
        prompt.text(as_text(block.get("text")))
        mark(block)
    asked, names, results = "", dict[str, str](), list[Result]()
    for message in messages:
        role = message.get("role")
        if role not in ("user", "assistant", "system"):
            raise Refused(400, "messages.0.role: Input should be 'user' or 'assistant'")
        prompt.message()
        content = message.get("content")
        whole: JsonObject = {"type": "text", "text": content}
        blocks = [whole] if isinstance(content, str) else as_objects(content)
        results = []
        for block in blocks:
            text = _block(block, prompt, names, results)
            if role == "user" and text:
                asked = text
            mark(block)
    mark(body)
    functions = _tools(tools)
    choice = as_object(body.get("tool_choice"))
    mode = _choice(choice)
    searchable = any(as_text(tool.get("type")).startswith("web_search") for tool in tools) and mode != "none"
    search = searchable and (mode == "web_search" or not functions or wants_search(asked))
    thinking = as_object(body.get("thinking"))
    output = as_object(as_object(body.get("output_config")).get("format")) or as_object(body.get("output_format"))
    turn = Turn(
        model=request.model,
        asked=asked_text(asked),
        prompt_tokens=prompt.tokens,
        pictures=prompt.pictures,
        results=tuple(results),
        tools=functions,
        choice="auto" if mode == "web_search" else mode,
        parallel=choice.get("disable_parallel_tool_use") is False,
        schema=as_object(output.get("schema")) if output.get("type") == "json_schema" else None,
        thinks=thinking.get("type") in ("enabled", "adaptive"),
        search="block" if search and not results else "",
        output_tokens_max=as_int(body.get("max_tokens")),
        stop=as_strings(body.get("stop_sequences")),
        magic=request.magic,
    )
    return _Read(turn, marks, any(message.get("role") == "assistant" for message in messages))


def _block(block: JsonObject, prompt: Prompt, names: dict[str, str], results: list[Result]) -> str:
    """Counts one block; the text of a text block."""
    match block.get("type"):
        case "text":
            text = as_text(block.get("text"))
            prompt.text(text)
            return text
        case "image":
            prompt.picture()
        case "tool_use" | "server_tool_use":
            names[as_text(block.get("id"))] = as_text(block.get("name"))
            prompt.text(encode_text(block.get("input")))
        case "tool_result":
            content = block.get("content")
            texts = [content] if isinstance(content, str) else []
            for part in as_objects(content):
                texts.append(as_text(part.get("text")))
                if part.get("type") == "image":
                    prompt.picture()
            text = "\n".join(texts)
            prompt.text(text)
            results.append(Result(names.get(as_text(block.get("tool_use_id")), "tool"), text))
        case "document":
            prompt.text(as_text(as_object(block.get("source")).get("data"))[:4_096])
    return ""


def _tools(tools: list[JsonObject]) -> tuple[Tool, ...]:
    found = []
    for tool in tools:
        name, kind = as_text(tool.get("name")), as_text(tool.get("type"), "custom")
        if kind == "custom":
            found.append(Tool(name, as_object(tool.get("input_schema"))))
            continue
        for prefix, properties in _TYPED_TOOLS.items():
            if kind.startswith(prefix + "_"):
                found.append(Tool(name, {"type": "object", "properties": properties}))
    return tuple(found)


def _choice(choice: JsonObject) -> str:
    match choice.get("type"):
        case "any":
            return "required"
        case "tool":
            return as_text(choice.get("name"), "required")
        case "none":
            return "none"
        case _:
            return "auto"


# ---- answering


def _message(request: Request, read: _Read, script: Script) -> JsonObject:
    message: JsonObject = {
        "id": "msg_01" + request.ids.word("reply", 22),
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": _content(request, script),
        "stop_reason": _ENDS[script.end],
        "stop_sequence": script.stop,
        "stop_details": None,
    }
    if request.magic.kind != "nousage":
        message["usage"] = _usage(read, script)
    return message


def _content(request: Request, script: Script) -> list[JsonObject]:
    ids, content = request.ids, list[JsonObject]()
    if script.thoughts:
        hidden = as_object(request.body.get("thinking")).get("display") == "omitted"
        signature = ids.opaque("signature", _SIGNATURE_BYTES)
        content.append({"type": "thinking", "thinking": "" if hidden else script.thoughts, "signature": signature})
    if script.query:
        search_id = "srvtoolu_01" + ids.word("search", 22)
        asked = {"query": script.query}
        content.append({"type": "server_tool_use", "id": search_id, "name": "web_search", "input": asked})
        found = [
            {
                "type": "web_search_result",
                "title": source.title,
                "url": source.url,
                "encrypted_content": ids.opaque(f"found {at}", 120),
                "page_age": None,
            }
            for at, source in enumerate(SOURCES)
        ]
        content.append(
            {"type": "web_search_tool_result", "tool_use_id": search_id, "content": found, "caller": {"type": "direct"}}
        )
    if script.text:
        block: JsonObject = {"type": "text", "text": script.text}
        if script.citations:
            block["citations"] = [
                {
                    "type": "web_search_result_location",
                    "cited_text": citation.source.text,
                    "url": citation.source.url,
                    "title": citation.source.title,
                    "encrypted_index": ids.opaque("index", 48),
                }
                for citation in script.citations
            ]
        content.append(block)
    for number, call in enumerate(script.calls):
        call_id = "toolu_01" + ids.word(f"call {number}", 22)
        content.append({"type": "tool_use", "id": call_id, "name": call.tool.name, "input": call.arguments})
    return content


def _usage(read: _Read, script: Script) -> JsonObject:
    tokens, hour = read.marks
    written = 0 if read.later_turn else tokens
    usage: JsonObject = {
        "input_tokens": read.turn.prompt_tokens - tokens,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": tokens - written,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 0 if hour else written,
            "ephemeral_1h_input_tokens": written if hour else 0,
        },
        "output_tokens": script.output_tokens,
        "service_tier": "standard",
    }
    if script.thoughts:
        usage["output_tokens_details"] = {"thinking_tokens": script.thought_tokens}
    if script.query:
        usage["server_tool_use"] = {"web_search_requests": 1, "web_fetch_requests": 0}
    return usage


def _events(message: JsonObject) -> Iterator[bytes]:
    usage = as_object(message.get("usage"))
    begun: JsonObject = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    if usage:
        left_out = ("output_tokens_details", "server_tool_use")
        known = {name: value for name, value in usage.items() if name not in left_out}
        begun["usage"] = {**known, "output_tokens": 1}
    yield _event("message_start", message=begun)
    for index, block in enumerate(as_objects(message["content"])):
        start, deltas = _parts(block)
        yield _event("content_block_start", index=index, content_block=start)
        if index == 0:
            yield _event("ping")
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    ended: JsonObject = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    if usage:
        final = {name: value for name, value in usage.items() if name not in ("cache_creation", "service_tier")}
        yield _event("message_delta", delta=ended, usage=final)
    else:
        yield _event("message_delta", delta=ended)
    yield _event("message_stop")


def _event(name: str, **fields: object) -> bytes:
    return named_event(name, {"type": name, **fields})


def _parts(block: JsonObject) -> tuple[JsonObject, list[JsonObject]]:
    """What a block starts with, and its deltas."""
    match block["type"]:
        case "thinking":
            deltas: list[JsonObject] = [
                {"type": "thinking_delta", "thinking": word} for word in pieces(as_text(block["thinking"]))
            ]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {"type": "thinking", "thinking": "", "signature": ""}, deltas
        case "text":
            start: JsonObject = {"type": "text", "text": ""}
            if "citations" in block:
                start["citations"] = []
            text = as_text(block["text"])
            words = pieces(text, json=text.startswith(("{", "[")))
            cited: list[JsonObject] = [
                {"type": "citations_delta", "citation": citation} for citation in as_list(block.get("citations"))
            ]
            said: list[JsonObject] = [{"type": "text_delta", "text": word} for word in words]
            return start, cited + said
        case "tool_use" | "server_tool_use":
            written = ["", *pieces(encode_text(block["input"]), json=True)]
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": text} for text in written]
        case _:
            return block, []
