"""Statements 74-85: how streams begin, go on and end, and what a client gets of errors."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from proxyapi_fakes_gateway import read_until  # loaded by conftest.py
from proxyapi_fakes_pairs import DIALECTS, WAYS, Pair
from proxyapi_fakes_replies import chat, chat_events
from proxyapi_fakes_wires import (
    ANSWERS,
    call_item,
    chunk,
    encode,
    framed,
    function_call,
    generated,
    message,
    output_text,
    read_events,
    response,
    streamed,
    text,
    tool_use,
)

from proxyapi.errors import UpstreamBroken

ANSWER: dict[str, Any] = {
    "C": lambda words: {
        "id": "chatcmpl-1", "created": 1, "model": "gpt",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": words, "tool_calls": [function_call("f", '{"a":1}')]}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    },
    "R": lambda words: response(output_text(words), call_item("f", '{"a":1}')),
    "M": lambda words: message(text(words), tool_use("f", {"a": 1}), stop="tool_use"),
    "G": lambda words: generated({"text": words}, {"functionCall": {"name": "f", "args": {"a": 1}}}),
}  # fmt: skip
"""A text and a call."""
FAILURES: dict[str, Any] = {
    "C": [{"error": {"message": "not now", "type": "rate_limit_error", "code": None}}],
    "R": [{"type": "error", "code": "rate_limit_exceeded", "message": "not now", "param": None}],
    "M": [{"type": "error", "error": {"type": "rate_limit_error", "message": "not now"}}],
    "G": [{"error": {"code": 429, "message": "not now", "status": "RESOURCE_EXHAUSTED"}}],
}
"""In the middle of a provider's stream."""


DONE = b"data: [DONE]\n\n"


def begun(way: str, words: str = "one two") -> list[Any]:
    """The events of a provider's text up to its first words."""
    name = DIALECTS[way[-1]]
    events = streamed(name, ANSWERS[name](words))
    first = next(at for at, event in enumerate(events) if words[: len(words) // 2] in encode(event).decode())
    return events[: first + 1]


def head(way: str) -> bytes:
    """Their bytes."""
    return framed(DIALECTS[way[-1]], begun(way)).removesuffix(DONE)


# --- frames -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["M->C", "M->R", "M->G"])
def test_a_stream_of_messages_has_its_events_in_order_and_always_stops(way: str) -> None:
    """Statement 74. message_start, (block start, deltas, stop)*, message_delta, message_stop."""
    events = Pair(way).reply(ANSWER[way[-1]]("one two"), sse=True).events
    kinds = [event["type"] for event in events if event["type"] != "ping"]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    inner, open_block = kinds[1:-2], False
    for kind in inner:
        assert kind in ("content_block_start", "content_block_delta", "content_block_stop")
        assert open_block == (kind != "content_block_start")
        open_block = kind != "content_block_stop"
    assert not open_block
    assert inner.count("content_block_start") == 2
    assert [event["index"] for event in events if event["type"] == "content_block_start"] == [0, 1]


@pytest.mark.parametrize("way", ["C->R", "C->M", "C->G"])
@pytest.mark.parametrize("asks", [True, False])
def test_a_stream_of_chat_names_role_and_end_once_and_ends_with_done(way: str, asks: bool) -> None:
    """Statement 75. A usage chunk with `choices: []` only if asked, `[DONE]` last, nothing after it."""
    asked = {"stream_options": {"include_usage": asks}}
    events = Pair(way).reply(ANSWER[way[-1]]("one two"), asked, sse=True).events
    assert events[-1] == "[DONE]" and events.count("[DONE]") == 1
    choices = [choice for event in events[:-1] for choice in event["choices"]]
    assert [choice["delta"].get("role") for choice in choices].count("assistant") == 1
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["tool_calls"]
    with_usage = [event for event in events[:-1] if event.get("usage")]
    assert [event["choices"] for event in with_usage] == ([[]] if asks else [])
    if asks:
        assert events[-2] is with_usage[0]


@pytest.mark.parametrize("way", ["R->C", "R->M", "R->G"])
def test_a_stream_of_responses_counts_its_events_and_is_closed_properly(way: str) -> None:
    """Statement 76. `sequence_number` monotone; created … completed, incomplete or failed; also without a reason."""
    events = Pair(way).reply(ANSWER[way[-1]]("one two"), sse=True).events
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in (*events[:2], events[-1])] == [
        "response.created",
        "response.in_progress",
        "response.completed",
    ]
    assert len({event["response"]["id"] for event in events if "response" in event}) == 1
    # The provider breaks off without a word for the end.
    events = Pair(way).reply(head(way)).events
    assert events[-1]["type"] == "response.failed"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_a_chat_stream_that_ends_without_a_reason_but_with_done_is_complete() -> None:
    events = Pair("R->C").reply([chunk({"content": "Hi"})]).events
    assert (events[-1]["type"], events[-1]["response"]["output"][0]["content"][0]["text"]) == (
        "response.completed",
        "Hi",
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_characters_that_the_network_cuts_are_not_corrupted(way: str, size: int) -> None:
    """Statement 77. UTF-8 characters split across TCP reads."""
    words = "Grüße, 世界 🌍 \u2028 end"
    reply = Pair(way).reply(ANSWER[way[-1]](words), sse=True, size=size)
    assert reply.said.text == words
    assert "\ufffd" not in reply.data.decode()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", ["tight", "crlf", "comments", "lines", "long"])
def test_every_legal_shape_of_an_event_is_read(way: str, shape: str) -> None:
    """Statement 78. `data:` without space, CRLF, comments, multi-line data, events above 64 KB and 1 MB."""
    words = "x" * 1_200_000 if shape == "long" else "one two"
    pair = Pair(way)
    data = pair.spoken(ANSWER[way[-1]](words), sse=True)
    match shape:
        case "tight":
            data = data.replace(b"data: ", b"data:").replace(b"event: ", b"event:")
        case "crlf":
            data = data.replace(b"\n", b"\r\n")
        case "comments":
            data = b": hello\n\n" + data.replace(b"data: ", b": ping\nid: 7\ndata: ")
        case "lines":
            data = data.replace(b'"model"', b'\ndata: "model"')
    reply = pair.reply(data, sse=True, size=65_536 if shape == "long" else 7)
    assert (reply.said.text, len(reply.said.calls)) == (words, 1)


PINGS: dict[str, bytes] = {
    "C": b": OPENROUTER PROCESSING\n\n",
    "R": b'event: keepalive\ndata: {"type":"keepalive"}\n\n',
    "M": b'event: ping\ndata: {"type":"ping"}\n\n',
}


@pytest.mark.parametrize("way", [way for way in WAYS if way[-1] in PINGS])
def test_signs_of_life_reach_the_client_in_its_own_dialect(way: str) -> None:
    """Statement 79. Upstream ping and comments become keep-alives in the client's dialect."""
    pair = Pair(way)
    channel = pair.channel()
    channel.feed(head(way))
    told = channel.feed(PINGS[way[-1]])
    match way[0]:
        case "C" | "R":
            assert told.startswith(b":") and told.endswith(b"\n\n")
        case "M":
            assert told == b'event: ping\ndata: {"type":"ping"}\n\n'
        case "G":
            sign = json.loads(told.removeprefix(b"data: "))
            assert sign["candidates"][0]["content"]["parts"] == [{"text": ""}]
            assert "finishReason" not in sign["candidates"][0]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["text", "thought"])
def test_every_delta_leaves_before_the_next_one_arrives(way: str, kind: str) -> None:
    """Statement 80. Streams are not buffered."""
    words = ["alpha", "beta", "gamma"]
    pair = Pair(way)
    channel = pair.channel()
    for event in _deltas(way[-1], kind, words):
        told = channel.feed(framed(pair.provider.name, [event]).removesuffix(DONE))
        for word in words:
            assert (word in told.decode()) == (word in json.dumps(event))


def _deltas(provider: str, kind: str, words: list[str]) -> list[Any]:
    """One event for each word, after what a stream begins with."""
    field = {"text": "content", "thought": "reasoning_content"}[kind]
    match provider:
        case "C":
            return [chunk({"role": "assistant"}), *(chunk({field: word}) for word in words)]
        case "M":
            block: dict[str, Any] = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": ""}
            if kind == "thought":
                block = {"type": "thinking", "thinking": "", "signature": ""}
                delta = {"type": "thinking_delta", "thinking": ""}
            name = list(delta)[1]
            return [
                {"type": "message_start", "message": message() | {"content": []}},
                {"type": "content_block_start", "index": 0, "content_block": block},
                *({"type": "content_block_delta", "index": 0, "delta": delta | {name: word}} for word in words),
            ]
        case "R":
            place = {"output_index": 0, "item_id": "i"}
            if kind == "thought":
                item: dict[str, Any] = {"type": "reasoning", "id": "i", "summary": []}
                deltas = [
                    {"type": "response.reasoning_summary_text.delta", "summary_index": 0, "delta": word} | place
                    for word in words
                ]
            else:
                item = {"type": "message", "id": "i", "role": "assistant", "content": []}
                deltas = [
                    {"type": "response.output_text.delta", "content_index": 0, "delta": word} | place for word in words
                ]
            created = {"type": "response.created", "response": response(status="in_progress")}
            return [created, {"type": "response.output_item.added", "output_index": 0, "item": item}, *deltas]
        case _:
            thought = {"thought": True} if kind == "thought" else {}
            return [generated({"text": word} | thought, finish="") for word in words]


# --- errors -------------------------------------------------------------------------------------------------------


def errors(client: str, events: list[Any]) -> list[Any]:
    """Events that the client's SDK takes for an error."""
    match client:
        case "M":
            return [event for event in events if event["type"] == "error"]
        case "R":
            return [event["response"] for event in events if event["type"] == "response.failed"]
        case _:
            return [event for event in events if event != "[DONE]" and "error" in event]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["event", "broken"])
def test_an_error_after_the_first_byte_is_an_event_and_nothing_looks_like_success(way: str, kind: str) -> None:
    """Statement 81. M `event: error`, R `response.failed`, C `data: {"error"}`; no half event, no fake `[DONE]`."""
    pair = Pair(way)
    channel = pair.channel()
    told = channel.feed(head(way))
    assert told
    if kind == "event":
        told += channel.feed(framed(pair.provider.name, FAILURES[way[-1]])) + channel.close()
    else:
        told += channel.feed(b'data: {"half')
        told += channel.fail(UpstreamBroken("Acme broke off its answer.")) + channel.close()
    assert channel.sent and channel.failed is not None
    events = list(read_events(told))
    (error,) = errors(way[0], events)
    assert error["error"]["message"] == ("not now" if kind == "event" else "Acme broke off its answer.")
    assert events[-1] == error or events[-1].get("response") == error
    for success in ("[DONE]", "message_stop", "response.completed", "finishReason", '"finish_reason":"stop"'):
        assert success not in told.decode()


BODIES_OF_ERRORS: dict[str, bytes] = {
    "C": b'{"error":{"message":"not now","type":"rate_limit_error","code":"rate_limit_exceeded"}}',
    "R": b'{"error":{"message":"not now","type":"rate_limit_error","code":"rate_limit_exceeded"}}',
    "M": b'{"type":"error","error":{"type":"rate_limit_error","message":"not now"}}',
    "G": b'{"error":{"code":429,"message":"not now","status":"RESOURCE_EXHAUSTED"}}',
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [True, False])
def test_an_error_behind_a_200_is_an_error_and_as_long_as_nothing_was_sent_somebody_else_is_asked(
    served: Any, key: str, way: str, stream: bool
) -> None:
    """Statement 82. HTTP 200 with an error body, or a raw JSON tail in the stream; else it is a status."""
    for said, sse in ((BODIES_OF_ERRORS[way[-1]], False), (FAILURES[way[-1]], True), (BODIES_OF_ERRORS[way[-1]], True)):
        spare = b"".join(chat_events(["Hi"])) if stream else chat("Hi")
        served.answer(way, said, sse=sse, fallback=spare)
        status, headers, data = served.post(way, key, stream=stream, spared=True)
        assert (status, headers["x-proxyapi-model"]) == (200, "acme/fallback")
        assert b"Hi" in data and b"not now" not in data
        entry = served.gateway.entry(headers["x-request-id"])
        assert (entry["kind"], entry["attempts"], entry["charged"]) == ("settle", 2, 145_000_000)
    pair = Pair(way)
    reply = pair.reply(BODIES_OF_ERRORS[way[-1]], sse=False, stream=stream)
    assert (reply.data, reply.channel.sent) == (b"", False)
    assert (reply.channel.failed.kind, reply.channel.failed.message) == ("rate_limited", "not now")
    reply = pair.reply(FAILURES[way[-1]], sse=True, stream=stream)
    assert (reply.data, reply.channel.sent, reply.channel.failed.message) == (b"", False, "not now")
    reply = pair.reply(head(way) + BODIES_OF_ERRORS[way[-1]], sse=True, stream=stream)
    assert reply.channel.failed.message == "not now"
    assert reply.channel.sent == stream


REFUSALS: dict[str, Any] = {
    "C": {"error": {"message": "not now", "code": 429, "metadata": {"provider_name": "x"}}},
    "R": {"error": {"message": "not now", "type": "requests", "param": None, "code": "rate_limit_exceeded"}},
    "M": {"type": "error", "error": {"type": "rate_limit_error", "message": "not now"}, "request_id": "req_1"},
    "G": {"error": {"code": 429, "message": "not now", "status": "RESOURCE_EXHAUSTED"}},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_keeps_its_status_and_gets_the_shape_of_the_client(served: Any, key: str, way: str) -> None:
    """Statement 83. Also a numeric `code`, `Retry-After`, and no stale content-encoding or length."""
    served.answer(way, REFUSALS[way[-1]], status=429, retry_after="7", content_encoding="identity", x_served="a")
    status, headers, data = served.post(way, key)
    assert (status, headers["retry-after"], int(headers["content-length"])) == (429, "7", len(data))
    assert "content-encoding" not in headers
    body = json.loads(data)
    error = body["error"]
    assert error["message"] == "not now"
    match way[0]:
        case "M":
            assert (body["type"], error["type"]) == ("error", "rate_limit_error")
        case "G":
            assert (error["code"], error["status"]) == (429, "RESOURCE_EXHAUSTED")
        case _:
            assert (error["type"] and error["code"] is None) or isinstance(error["code"], str)


# --- connections --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["C->M", "M->C", "R->G", "G->R"])
def test_a_client_that_leaves_ends_the_request_at_the_provider_within_a_second(
    served: Any, key: str, eventually: Any, way: str
) -> None:
    """Statement 84. Client abort closes the upstream."""
    name = DIALECTS[way[-1]]
    events = [framed(name, [event]).removesuffix(DONE) for event in begun(way)]
    gone, pause, before = threading.Event(), threading.Event(), served.upstream.disconnects

    def chunks() -> Iterator[bytes]:
        yield from events
        assert gone.wait(10)
        for _ in range(1_000):  # until the gateway closes the connection
            yield events[-1]
            pause.wait(0.01)

    headers = {"content-type": "text/event-stream"}
    served.upstream.reply = lambda _asked: served.upstreams.Reply(headers=headers, chunks=chunks())
    path, body = served.request(way, stream=True)
    with served.gateway.send("POST", path, key=key, body=encode(body)) as connection:
        read_until(connection, b"one")
    left = time.monotonic()
    gone.set()
    eventually(lambda: served.upstream.disconnects > before)
    assert time.monotonic() - left < 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sse", [True, False])
def test_a_body_becomes_a_stream_and_a_stream_a_body_as_the_client_asked(way: str, sse: bool) -> None:
    """Statement 85. Non-SSE reply to `stream: true`, SSE reply to `stream: false`."""
    pair = Pair(way)
    said = ANSWER[way[-1]]("one two")
    as_asked = pair.reply(said, sse=not sse, stream=not sse).said
    reply = pair.reply(said, sse=sse, stream=not sse)
    assert (reply.said.parts, reply.said.usage, reply.said.reasons) == (
        as_asked.parts,
        as_asked.usage,
        as_asked.reasons,
    )
    assert (reply.said.text, len(reply.said.calls)) == ("one two", 1)
