"""What a provider was told, read from its own wire format into the same words for all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Body = dict[str, Any]


class Told(NamedTuple):
    """The essentials of a request; what a scenario does not say is empty."""

    tools: dict[str, Any]
    """Schema by name."""
    results: list[tuple[str, Any, str]]
    """Of every call in the history: name, arguments and the text of its result, joined by id."""
    images: list[tuple[str, str]]
    """Media type and base64."""
    schema: Any
    """Of the structured output."""
    thinks: bool
    """Thinking is asked for."""
    marked: list[str]
    """Texts that end with a cache mark."""


Calls = list[tuple[str, str, Any]]
"""Id, name and arguments of calls."""


def paired(calls: Calls, results: dict[str, str]) -> list[tuple[str, Any, str]]:
    """Each id is unique and has its result; a result without a call fails."""
    assert sorted(id for id, *_ in calls) == sorted(results), (calls, results)
    return [(name, arguments, results[id]) for id, name, arguments in calls]


def data_url(url: str) -> tuple[str, str]:
    head, _, data = url.partition(";base64,")
    return head.removeprefix("data:"), data


def as_text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def told_chat(body: Body) -> Told:
    messages = body["messages"]
    parts = [part for message in messages if isinstance(message.get("content"), list) for part in message["content"]]
    calls = [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for message in messages
        for call in message.get("tool_calls", ())
    ]
    results = {m["tool_call_id"]: as_text(m["content"]) for m in messages if m["role"] == "tool"}
    return Told(
        {tool["function"]["name"]: tool["function"]["parameters"] for tool in body.get("tools", ())},
        paired(calls, results),
        [data_url(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"],
        body.get("response_format", {}).get("json_schema", {}).get("schema"),
        "reasoning_effort" in body,
        [part["text"] for part in parts if "cache_control" in part or "prompt_cache_breakpoint" in part],
    )


def told_responses(body: Body) -> Told:
    items = body["input"] if isinstance(body["input"], list) else []
    parts = [part for item in items if isinstance(item.get("content"), list) for part in item["content"]]
    calls = [
        (item["call_id"], item["name"], json.loads(item["arguments"]))
        for item in items
        if item.get("type") == "function_call"
    ]
    results = {i["call_id"]: as_text(i["output"]) for i in items if i.get("type") == "function_call_output"}
    return Told(
        {tool["name"]: tool["parameters"] for tool in body.get("tools", ())},
        paired(calls, results),
        [data_url(part["image_url"]) for part in parts if part["type"] == "input_image"],
        body.get("text", {}).get("format", {}).get("schema"),
        bool(body.get("reasoning", {}).get("effort")),
        [part["text"] for part in parts if "prompt_cache_breakpoint" in part],
    )


def told_messages(body: Body) -> Told:
    def blocks() -> Iterator[Any]:
        yield from body["system"] if isinstance(body.get("system"), list) else ()
        for message in body["messages"]:
            yield from message["content"] if isinstance(message["content"], list) else ()

    every = list(blocks())
    calls = [(block["id"], block["name"], block["input"]) for block in every if block["type"] == "tool_use"]
    results = {b["tool_use_id"]: as_text(b["content"]) for b in every if b["type"] == "tool_result"}
    images = [block["source"] for block in every if block["type"] == "image"]
    return Told(
        {tool["name"]: tool["input_schema"] for tool in body.get("tools", ())},
        paired(calls, results),
        [(source["media_type"], source["data"]) for source in images],
        body.get("output_config", {}).get("format", {}).get("schema"),
        body.get("thinking", {}).get("type") in {"enabled", "adaptive"},
        [block["text"] for block in every if block.get("cache_control") and block["type"] == "text"],
    )


def told_gemini(body: Body) -> Told:
    """Its calls and results have no ids here: they belong together by order and name."""
    parts = [part for content in body["contents"] for part in content["parts"]]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
    assert [call["name"] for call in calls] == [answer["name"] for answer in answers]
    results = [answer["response"].get("result", answer["response"]) for answer in answers]
    config = body.get("generationConfig", {})
    declared = [function for tool in body.get("tools", ()) for function in tool["functionDeclarations"]]
    return Told(
        {function["name"]: function["parametersJsonSchema"] for function in declared},
        [(call["name"], call["args"], result) for call, result in zip(calls, results, strict=True)],
        [(part["inlineData"]["mimeType"], part["inlineData"]["data"]) for part in parts if "inlineData" in part],
        config.get("responseJsonSchema"),
        "thinkingConfig" in config,
        [],
    )


TOLD: dict[str, Callable[[Body], Told]] = {
    "openai_chat": told_chat,
    "openai_responses": told_responses,
    "anthropic": told_messages,
    "gemini": told_gemini,
}
