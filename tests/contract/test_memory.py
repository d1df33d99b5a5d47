"""Reasoning of other providers' models survives clients of Chat that send back standard fields only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
THOUGHT = {"type": "thinking", "thinking": "I should look.", "signature": "c2lnbmVkIGJ5IG1l"}
SIGNATURE = "c2lnbmVkIGJ5IGdvb2dsZQ=="
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-5", "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 9},
}  # fmt: skip


def called(name: str = "weather") -> dict[str, Any]:
    use = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {"city": "Oslo"}}
    return MESSAGE | {"content": [THOUGHT, use], "stop_reason": "tool_use"}


def told(text: str) -> dict[str, Any]:
    return MESSAGE | {"content": [THOUGHT, {"type": "text", "text": text}], "stop_reason": "end_turn"}


def events(message: dict[str, Any]) -> list[bytes]:
    """The same message as a stream."""

    def event(kind: str, **fields: Any) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()

    out = [event("message_start", message=message | {"content": [], "stop_reason": None})]
    for index, block in enumerate(message["content"]):
        empty = {"thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}, "text": {"text": ""}}
        out.append(event("content_block_start", index=index, content_block=block | empty[block["type"]]))
        deltas: list[dict[str, Any]] = {
            "thinking": lambda b: [
                {"type": "thinking_delta", "thinking": b["thinking"]},
                {"type": "signature_delta", "signature": b["signature"]},
            ],
            "tool_use": lambda b: [{"type": "input_json_delta", "partial_json": json.dumps(b["input"])}],
            "text": lambda b: [{"type": "text_delta", "text": b["text"]}],
        }[block["type"]](block)
        out += [event("content_block_delta", index=index, delta=delta) for delta in deltas]
        out.append(event("content_block_stop", index=index))
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    return [*out, event("message_delta", delta=stop, usage=message["usage"]), event("message_stop")]


@pytest.fixture(scope="module")
def upstream(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        yield fake


@pytest.fixture(scope="module")
def gateway(gateways: Any, upstream: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two workers: what one remembers the other knows."""
    config = "".join(
        f'[providers.{name}]\nbase_url = "{upstream.url}/{name}"\napi_key = "sk-upstream"\n'
        for name in ("anthropic", "google")
    )
    with gateways.Gateway(tmp_path_factory.mktemp("memory"), config, workers=2) as running:
        yield running
        running.assert_clean()


def answer(upstreams: Any, upstream: Any, message: dict[str, Any], *, stream: bool) -> None:
    if stream:
        reply = upstreams.Reply(headers={"content-type": "text/event-stream"}, chunks=events(message))
    else:
        reply = upstreams.Reply(body=json.dumps(message).encode())
    upstream.reply = lambda _asked: reply


def standard(client: openai.OpenAI, *, stream: bool, **request: Any) -> dict[str, Any]:
    """The assistant's message as a client that knows OpenAI's own fields alone keeps it."""
    if not stream:
        message = client.chat.completions.create(**request).choices[0].message
        content, calls = message.content, message.tool_calls
    else:
        with client.chat.completions.stream(**request) as chunks:
            for _ in chunks:
                pass
            final = chunks.get_final_completion().choices[0].message
        content, calls = final.content, final.tool_calls  # type: ignore[assignment]
    kept: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        kept["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in calls
            if call.type == "function"
        ]
    return kept


both = pytest.mark.parametrize("stream", [False, True], ids=["body", "stream"])


@both
def test_signed_thinking_comes_back_before_its_call(gateway: Any, upstreams: Any, upstream: Any, stream: bool) -> None:
    client = openai.OpenAI(api_key=gateway.customer()[1], base_url=f"{gateway.url}/v1", max_retries=0)
    request: dict[str, Any] = {
        "model": "anthropic/claude-opus-4-5", "max_tokens": 4_000, "reasoning_effort": "low", "tools": TOOLS,
    }  # fmt: skip
    question = {"role": "user", "content": f"Weather? {stream}"}
    answer(upstreams, upstream, called(), stream=stream)
    turn = standard(client, stream=stream, messages=[question], **request)
    result = {"role": "tool", "tool_call_id": turn["tool_calls"][0]["id"], "content": "rain"}
    answer(upstreams, upstream, told("It rains."), stream=False)
    for _ in range(4):  # both workers
        client.chat.completions.create(messages=[question, turn, result], **request)
        blocks = json.loads(upstream.asked[-1].body)["messages"][1]["content"]
        assert blocks[0] == THOUGHT
        assert (blocks[1]["type"], blocks[1]["input"]) == ("tool_use", {"city": "Oslo"})


@both
def test_signed_thinking_comes_back_before_its_text(gateway: Any, upstreams: Any, upstream: Any, stream: bool) -> None:
    client = openai.OpenAI(api_key=gateway.customer()[1], base_url=f"{gateway.url}/v1", max_retries=0)
    request: dict[str, Any] = {
        "model": "anthropic/claude-opus-4-5", "max_tokens": 4_000, "reasoning_effort": "low",
    }  # fmt: skip
    question, more = {"role": "user", "content": f"Hi {stream}"}, {"role": "user", "content": "More"}
    answer(upstreams, upstream, told("Hello!"), stream=stream)
    turn = standard(client, stream=stream, messages=[question], **request)
    answer(upstreams, upstream, told("Bye!"), stream=False)
    client.chat.completions.create(messages=[question, turn, more], **request)
    blocks = json.loads(upstream.asked[-1].body)["messages"][1]["content"]
    assert blocks == [THOUGHT, {"type": "text", "text": "Hello!"}]
    client.chat.completions.create(messages=[question, turn, more], **request | {"model": "anthropic/claude-opus-4-6"})
    assert THOUGHT["signature"] not in upstream.asked[-1].body.decode(), "another model can't read it"


def test_another_account_gets_none_of_it(gateway: Any, upstreams: Any, upstream: Any) -> None:
    mine, other = (
        openai.OpenAI(api_key=gateway.customer()[1], base_url=f"{gateway.url}/v1", max_retries=0) for _ in range(2)
    )
    request: dict[str, Any] = {
        "model": "anthropic/claude-opus-4-5", "max_tokens": 4_000, "reasoning_effort": "low",
    }  # fmt: skip
    question, more = {"role": "user", "content": "Whose?"}, {"role": "user", "content": "More"}
    answer(upstreams, upstream, told("Mine."), stream=False)
    turn = standard(mine, stream=False, messages=[question], **request)
    other.chat.completions.create(messages=[question, turn, more], **request)
    assert THOUGHT["signature"] not in upstream.asked[-1].body.decode()


def test_a_signature_of_google_comes_back_on_its_call(gateway: Any, upstreams: Any, upstream: Any) -> None:
    client = openai.OpenAI(api_key=gateway.customer()[1], base_url=f"{gateway.url}/v1", max_retries=0)
    request: dict[str, Any] = {"model": "google/gemini-3-flash-preview", "max_tokens": 4_000, "tools": TOOLS}
    part = {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": SIGNATURE}
    reply = {
        "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 9, "totalTokenCount": 18},
        "modelVersion": "gemini-3-flash-preview", "responseId": "r1",
    }  # fmt: skip
    upstream.reply = lambda _asked: upstreams.Reply(body=json.dumps(reply).encode())
    question = {"role": "user", "content": "Weather?"}
    turn = standard(client, stream=False, messages=[question], **request)
    result = {"role": "tool", "tool_call_id": turn["tool_calls"][0]["id"], "content": "rain"}
    client.chat.completions.create(messages=[question, turn, result], **request)
    parts = json.loads(upstream.asked[-1].body)["contents"][1]["parts"]
    assert parts[0]["thoughtSignature"] == SIGNATURE
