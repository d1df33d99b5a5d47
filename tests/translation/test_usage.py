"""Statements 86-96: what a reply cost, why it ended, and what is worth caching."""

from __future__ import annotations

import json
from typing import Any

import pytest
from proxyapi_fakes_pairs import WAYS, Pair
from proxyapi_fakes_wires import (
    chunk,
    completion,
    function_call,
    generated,
    message,
    output_text,
    response,
    streamed,
    text,
)

from proxyapi.dialects import DIALECTS as WIRES
from proxyapi.usage import Unit

both = pytest.mark.parametrize("sse", [True, False], ids=["stream", "body"])

USED: dict[str, Any] = {
    "C": {
        "prompt_tokens": 1_000, "completion_tokens": 50, "total_tokens": 1_050,
        "prompt_tokens_details": {"cached_tokens": 700, "cache_write_tokens": 200},
        "completion_tokens_details": {"reasoning_tokens": 20},
    },
    "R": {
        "input_tokens": 1_000, "output_tokens": 50, "total_tokens": 1_050,
        "input_tokens_details": {"cached_tokens": 700, "cache_write_tokens": 200},
        "output_tokens_details": {"reasoning_tokens": 20},
    },
    "M": {
        "input_tokens": 100, "cache_read_input_tokens": 700, "cache_creation_input_tokens": 200,
        "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 20},
    },
    "G": {
        "promptTokenCount": 1_000, "cachedContentTokenCount": 700, "candidatesTokenCount": 30,
        "thoughtsTokenCount": 20, "totalTokenCount": 1_050,
    },
}  # fmt: skip
"""The same in each dialect: 1,000 in, of which 700 were read from a cache and 200 written to one; 50 out, 20 thought.
Gemini writes no caches: there the 200 are plain input."""


def spent(provider: str, usage: Any = None) -> Any:
    """A text with that usage."""
    usage = usage or USED[provider]
    return {
        "C": lambda: completion({"content": "Hi"}, usage=usage),
        "R": lambda: response(output_text("Hi"), usage=usage),
        "M": lambda: message(text("Hi"), usage=usage),
        "G": lambda: generated({"text": "Hi"}, usageMetadata=usage),
    }[provider]()


def told(client: str, reply: Any, *, sse: bool) -> Any:
    """The usage that the client reads: of a stream, the last one."""
    field = "usageMetadata" if client == "G" else "usage"
    if not sse:
        return reply.body[field]
    found: dict[str, Any] = {}
    for event in reply.events:
        if event != "[DONE]":
            inner = event.get("response") or event.get("message") or event
            found |= inner.get(field) or {}
    return found


@pytest.mark.parametrize("way", WAYS)
@both
def test_each_dialect_counts_caches_in_its_own_way_and_all_mean_the_same(way: str, sse: bool) -> None:
    """Statement 86. M excludes caches, C and R include them; totals are consistent, there and back."""
    usage = told(way[0], Pair(way).reply(spent(way[-1]), sse=sse), sse=sse)
    writes = 0 if way.endswith("G") else 200
    match way[0]:
        case "C" | "R":
            into, out = ("prompt", "completion") if way[0] == "C" else ("input", "output")
            assert (usage[f"{into}_tokens"], usage[f"{out}_tokens"], usage["total_tokens"]) == (1_000, 50, 1_050)
            assert usage[f"{into}_tokens_details"]["cached_tokens"] == 700
            assert usage[f"{into}_tokens_details"]["cache_write_tokens"] == writes
            assert usage[f"{out}_tokens_details"]["reasoning_tokens"] == 20
        case "M":
            assert usage["input_tokens"] == 300 - writes
            assert (usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (700, writes)
            assert usage["output_tokens"] == 50
        case _:
            assert (usage["promptTokenCount"], usage["cachedContentTokenCount"]) == (1_000, 700)
            assert (usage["candidatesTokenCount"], usage["thoughtsTokenCount"]) == (30, 20)
            assert usage["totalTokenCount"] == 1_050


@pytest.mark.parametrize("way", ["C->M", "R->M", "G->M"])
@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        ({"input_tokens": 100, "output_tokens": 1}, {"output_tokens": 50}, {Unit.INPUT: 100, Unit.OUTPUT: 50}),
        ({"input_tokens": 100, "output_tokens": 9}, {"input_tokens": 100, "output_tokens": 50},
         {Unit.INPUT: 100, Unit.OUTPUT: 50}),
        ({"input_tokens": 100, "output_tokens": 1}, {"input_tokens": 900, "output_tokens": 50},
         {Unit.INPUT: 900, Unit.OUTPUT: 50}),
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 100, "cache_read_input_tokens": 700,
         "output_tokens": 50}, {Unit.INPUT: 100, Unit.CACHE_READ: 700, Unit.OUTPUT: 50}),
        ({"input_tokens": 100, "cache_read_input_tokens": 700, "output_tokens": 1},
         {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 50},
         {Unit.INPUT: 100, Unit.CACHE_READ: 700, Unit.OUTPUT: 50}),
    ],
    ids=["usual", "cumulative", "grown", "late", "zeros"],
)  # fmt: skip
def test_of_a_stream_of_messages_the_last_value_counts_and_none_counts_twice(
    way: str, start: Any, end: Any, wanted: Any
) -> None:
    """Statement 87. The last non-zero value wins; delta-only cache counts are taken."""
    events = streamed("anthropic", message(text("Hi"), usage=end))
    events[0]["message"]["usage"] = start
    reply = Pair(way).reply(events)
    assert reply.said.usage == wanted


@pytest.mark.parametrize("way", ["C->M", "R->M", "G->M"])
@both
def test_the_lifetimes_of_written_caches_are_kept_apart_end_to_end(way: str, sse: bool) -> None:
    """Statement 88. Cache write split 5m/1h."""
    lifetimes = {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 50}
    reply = Pair(way).reply(spent("M", USED["M"] | {"cache_creation": lifetimes}), sse=sse)
    usage = reply.said.usage
    assert (usage[Unit.CACHE_WRITE_5M], usage[Unit.CACHE_WRITE_1H]) == (150, 50)
    assert reply.channel.meter.usage == usage


@pytest.mark.parametrize("way", ["C->M", "R->M", "G->M"])
@both
def test_searches_and_fetches_that_are_billed_by_the_call_are_told_as_well(way: str, sse: bool) -> None:
    tools = {"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 3}}
    usage = Pair(way).reply(spent("M", USED["M"] | tools), sse=sse).said.usage
    assert (usage[Unit.WEB_SEARCH], usage[Unit.WEB_FETCH]) == (2, 3)


@pytest.mark.parametrize("way", ["R->C", "M->C", "G->C"])
def test_the_gateway_asks_chat_for_usage_itself_and_hides_it_from_those_who_did_not(way: str) -> None:
    """Statement 89. `stream_options.include_usage`; without translation: `tests/contract/test_passthrough.py`."""
    asked = {} if way.startswith("G") else {"stream": True}
    assert Pair(way).sent(asked, stream=True)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in Pair(way).sent()
    for wants in (True, False):
        options = {"stream_options": {"include_usage": wants}}
        data = Pair(f"C->{way[0]}").reply(spent(way[0]), options, sse=True).data
        assert (b'"usage":{' in data) == wants


@pytest.mark.parametrize("way", ["C->G", "R->G", "M->G"])
@both
def test_thoughts_of_gemini_are_output_and_prompts_of_its_tools_are_input(way: str, sse: bool) -> None:
    """Statement 90. thoughtsTokenCount into completion and `reasoning_tokens`; toolUsePrompt into input."""
    used = {"promptTokenCount": 10, "toolUsePromptTokenCount": 90, "candidatesTokenCount": 30}
    used |= {"thoughtsTokenCount": 20, "totalTokenCount": 150}
    reply = Pair(way).reply(spent("G", used), sse=sse)
    usage = told(way[0], reply, sse=sse)
    into, out = {"C": ("prompt_tokens", "completion_tokens")}.get(way[0], ("input_tokens", "output_tokens"))
    assert (usage[into], usage[out]) == (100, 50)
    details = usage[f"{out}_details"]
    assert details["thinking_tokens" if way[0] == "M" else "reasoning_tokens"] == 20


@pytest.mark.parametrize("way", ["C->R", "M->R", "G->R"])
@pytest.mark.parametrize("status", ["incomplete", "failed"])
def test_usage_comes_also_with_an_incomplete_or_failed_response(way: str, status: str) -> None:
    """Statement 91. `response.incomplete` and `response.failed`."""
    details = {"incomplete_details": {"reason": "max_output_tokens"}} if status == "incomplete" else {}
    details |= {"error": {"code": "server_error", "message": "gone"}} if status == "failed" else {}
    events = streamed("openai_responses", response(output_text("Hi"), status=status, usage=USED["R"], **details))
    reply = Pair(way).reply(events)
    wanted = {Unit.INPUT: 100, Unit.CACHE_READ: 700, Unit.CACHE_WRITE_30M: 200, Unit.OUTPUT: 30, Unit.REASONING: 20}
    assert reply.channel.meter.usage == wanted
    assert (reply.channel.failed is not None) == (status == "failed")
    if status == "incomplete":
        assert reply.said.usage == wanted


@pytest.mark.parametrize("way", ["R->C", "R->M", "R->G"])
@both
def test_usage_of_responses_always_has_both_details(way: str, sse: bool) -> None:
    """Statement 92. `input_tokens_details` and `output_tokens_details`; also with a failed response."""
    plain = {"C": {"prompt_tokens": 3, "completion_tokens": 4}, "M": {"input_tokens": 3, "output_tokens": 4}}
    plain["G"] = {"promptTokenCount": 3, "candidatesTokenCount": 4}
    usage = told("R", Pair(way).reply(spent(way[-1], plain[way[-1]]), sse=sse), sse=sse)
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (3, 4, 7)
    assert usage["input_tokens_details"]["cached_tokens"] == 0
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}


@pytest.mark.parametrize("way", ["R->C", "M->C", "G->C"])
def test_a_last_chunk_of_usage_counts_and_zeros_that_hold_a_place_do_not(way: str) -> None:
    """Statement 93. MiniMax: usage-only last chunk; placeholder zeros do not overwrite."""
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    real = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    empty = {"choices": []}
    first = [chunk({"content": "Hi"}, usage=zeros), chunk({}, "stop", usage=zeros)]
    for last in ([chunk({}) | empty | {"usage": real}], [chunk({}) | empty | {"usage": u} for u in (real, zeros)]):
        reply = Pair(way).reply([*first, *last])
        assert reply.said.usage == {Unit.INPUT: 3, Unit.OUTPUT: 4}
        assert {u: n for u, n in reply.channel.meter.usage.items() if n} == reply.said.usage


# --- reasons ------------------------------------------------------------------------------------------------------

REASONS: dict[str, dict[str, Any]] = {
    # what the provider says -> C, R (status or incomplete reason), M, G
    "C stop": completion({"content": "Hi"}, "stop"),
    "C length": completion({"content": "Hi"}, "length"),
    "C content_filter": completion({"content": "Hi"}, "content_filter"),
    "R completed": response(output_text("Hi")),
    "R max_output_tokens": response(
        output_text("Hi"), status="incomplete", incomplete_details={"reason": "max_output_tokens"}
    ),
    "R content_filter": response(
        output_text("Hi"), status="incomplete", incomplete_details={"reason": "content_filter"}
    ),
    "M end_turn": message(text("Hi")),
    "M max_tokens": message(text("Hi"), stop="max_tokens"),
    "M refusal": message(text("Hi"), stop="refusal"),
    "M pause_turn": message(text("Hi"), stop="pause_turn"),
    "M model_context_window_exceeded": message(text("Hi"), stop="model_context_window_exceeded"),
    "G STOP": generated({"text": "Hi"}),
    "G MAX_TOKENS": generated({"text": "Hi"}, finish="MAX_TOKENS"),
    "G SAFETY": generated({"text": "Hi"}, finish="SAFETY"),
    "G RECITATION": generated({"text": "Hi"}, finish="RECITATION"),
}
ENDS: dict[str, dict[str, str]] = {
    "end": {"C": "stop", "R": "completed", "M": "end_turn", "G": "STOP"},
    "length": {"C": "length", "R": "max_output_tokens", "M": "max_tokens", "G": "MAX_TOKENS"},
    "filter": {"C": "content_filter", "R": "content_filter", "M": "refusal", "G": "SAFETY"},
    "recitation": {"C": "content_filter", "R": "content_filter", "M": "refusal", "G": "RECITATION"},
    "refusal": {"C": "content_filter", "R": "completed", "M": "refusal", "G": "SAFETY"},
    "window": {"C": "length", "R": "max_output_tokens", "M": "model_context_window_exceeded", "G": "MAX_TOKENS"},
    "pause": {"C": "stop", "R": "max_messages", "M": "pause_turn", "G": "CONTINUATION"},
}
MEANT = {
    "C stop": "end", "R completed": "end", "M end_turn": "end", "G STOP": "end",
    "C length": "length", "R max_output_tokens": "length", "M max_tokens": "length", "G MAX_TOKENS": "length",
    "C content_filter": "filter", "R content_filter": "filter", "G SAFETY": "filter", "G RECITATION": "recitation",
    "M refusal": "refusal", "M pause_turn": "pause", "M model_context_window_exceeded": "window",
}  # fmt: skip


@pytest.mark.parametrize("said", REASONS)
@both
def test_a_reason_for_the_end_means_the_same_in_every_dialect(said: str, sse: bool) -> None:
    """Statement 95. end, length, refusal and filters, pause, window; MALFORMED_FUNCTION_CALL is an error signal."""
    for client in "CRMG".replace(said[0], ""):
        words = dict(REASONS[said])
        data = Pair(f"{client}->{said[0]}").reply(words, sse=sse).data.decode()
        word = ENDS[MEANT[said]][client]
        field = {"C": "finish_reason", "M": "stop_reason", "G": "finishReason"}.get(client, "reason")
        if client == "R" and word == "completed":
            assert '"status":"completed"' in data and '"incomplete_details":null' in data
        else:
            assert f'"{field}":"{word}"' in data


@pytest.mark.parametrize("way", ["C->G", "R->G", "M->G"])
@both
def test_a_malformed_call_in_place_of_an_answer_is_an_error(way: str, sse: bool) -> None:
    reply = Pair(way).reply(generated(finish="MALFORMED_FUNCTION_CALL"), sse=sse)
    assert (reply.data, reply.channel.failed.status) == (b"", 502)
    assert "could not read" in reply.channel.failed.message


# --- caches -------------------------------------------------------------------------------------------------------

MARK = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
SCHEMA = b'{"type":"object", "properties":{"b":{},\n"a":{"description":"\\u00e9"}}}'


def marked() -> bytes:
    """A request of Chat with marks on the system, a text, a call and a result, as OpenRouter's clients write."""
    body = {
        "model": "m",
        "messages": [
            {"role": "system", "content": [text("Rules.", **MARK)]},
            {"role": "user", "content": [text("Hello", **MARK)]},
            {"role": "assistant", "tool_calls": [function_call("f", "{}", "c1") | MARK]},
            {"role": "tool", "tool_call_id": "c1", "content": [text("7", **MARK)]},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": "SCHEMA"}}],
    }
    return json.dumps(body).encode().replace(b'"SCHEMA"', SCHEMA)


def test_marks_of_caches_survive_and_the_bytes_of_schemas_are_always_the_same() -> None:
    """Statement 96. cache_control on system, tools, text, tool_use, tool_result; deterministic tool schema bytes."""
    first, second = (Pair("C->M").encoded(marked()).body for _ in range(2))
    assert first == second
    assert SCHEMA in first
    wire = json.loads(first)
    (rules,), (hello,) = wire["system"], wire["messages"][0]["content"]
    (call,), (result,) = wire["messages"][1]["content"], wire["messages"][2]["content"]
    result = result if "cache_control" in result else result["content"][0]
    for block in (rules, hello, call, result):
        assert block["cache_control"] == MARK["cache_control"]
    tool = json.loads(marked())
    tool["tools"][0] |= MARK
    tool["messages"] = tool["messages"][1:2]
    (declared,) = Pair("C->M").sent(json.dumps(tool).encode())["tools"]
    assert declared["cache_control"] == MARK["cache_control"]
    # Messages to Messages, through whatever cloud: the bytes themselves.
    messages = WIRES["anthropic"]
    call_of = messages.read(first)
    assert messages.patch(first, call_of, model=call_of.model) == first
