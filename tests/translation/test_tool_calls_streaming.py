"""Statements 1-17: tool calls as they stream from a provider of one dialect to a client of another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from proxyapi_fakes_pairs import WAYS, Pair
from proxyapi_fakes_wires import (
    CALLS,
    call_chunk,
    call_item,
    chunk,
    completion,
    function_call,
    generated,
    item_events,
    message,
    output_text,
    response,
    text,
    tool_use,
)

TO_CHAT = ("C->R", "C->M", "C->G")
FROM_CHAT = ("R->C", "M->C", "G->C")
TO_MESSAGES = ("M->C", "M->R", "M->G")


def blocks(events: Sequence[Any]) -> list[list[Any]]:
    """Events of each block of a stream of Messages, by its index."""
    found: dict[int, list[Any]] = {}
    for event in events:
        if event["type"].startswith("content_block"):
            found.setdefault(event["index"], []).append(event)
    return list(found.values())


def deltas(events: Sequence[Any]) -> list[Any]:
    """Deltas of calls in a stream of Chat."""
    choices = [choice for event in events if event != "[DONE]" for choice in event["choices"]]
    return [call for choice in choices for call in choice["delta"].get("tool_calls", ())]


def opened(events: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Those that begin a call: index, id and name."""
    return [(call["index"], call["id"], call["function"]["name"]) for call in deltas(events) if "id" in call]


def arguments(events: Sequence[Any]) -> dict[int, str]:
    joined: dict[int, str] = {}
    for call in deltas(events):
        joined[call["index"]] = joined.get(call["index"], "") + call["function"].get("arguments", "")
    return joined


INTERLEAVED = [
    call_chunk(0, id="call_a", name="f"),
    call_chunk(1, id="call_b", name="g"),
    call_chunk(0, '{"a":'),
    call_chunk(1, '{"b"'),
    call_chunk(0, "1}"),
    call_chunk(1, ":2}"),
    chunk({}, "tool_calls"),
]


def test_parallel_calls_with_interleaved_deltas_are_whole_blocks_one_after_another() -> None:
    """Statement 1. C upstream, M client: one start, one stop, no delta after it."""
    events = Pair("M->C").reply(INTERLEAVED).events
    assert len(blocks(events)) == 2
    position = 0
    for index, (name, wanted) in enumerate((("f", {"a": 1}), ("g", {"b": 2}))):
        own = [event for event in events if event.get("index") == index]
        kinds = [event["type"] for event in own]
        assert kinds == ["content_block_start", *["content_block_delta"] * (len(own) - 2), "content_block_stop"]
        assert own[0]["content_block"]["name"] == name
        assert json.loads("".join(event["delta"]["partial_json"] for event in own[1:-1])) == wanted
        assert events.index(own[0]) > position
        position = events.index(own[-1])


def test_parallel_calls_of_responses_get_indexes_of_their_own_and_are_named_once() -> None:
    """Statement 2. R upstream, C client: indexes 0 and 1; id and name on the first delta only."""
    items = [call_item("f", '{"a":1}', "call_a"), call_item("g", '{"b":2}', "call_b")]
    events = Pair("C->R").reply(response(*items), sse=True).events
    assert opened(events) == [(0, "call_a", "f"), (1, "call_b", "g")]
    assert arguments(events) == {0: '{"a":1}', 1: '{"b":2}'}
    later = [call for call in deltas(events) if "id" not in call]
    assert later and all("name" not in call["function"] for call in later)


def test_calls_are_counted_by_themselves_and_not_by_the_blocks_before_them() -> None:
    """Statement 3. M upstream with a text first, C client: the first tool has index 0."""
    said = message(text("Let me look."), tool_use(id="toolu_a"), tool_use(id="toolu_b"), stop="tool_use")
    events = Pair("C->M").reply(said, sse=True).events
    assert [index for index, *_ in opened(events)] == [0, 1]


@pytest.mark.parametrize("way", ["C->M", "R->M", "G->M"])
def test_calls_that_follow_each_other_without_a_text_between_are_calls_of_their_own(way: str) -> None:
    """Statement 4. Back-to-back tool_use blocks."""
    uses = [tool_use("f", {"a": 1}, "toolu_a"), tool_use("g", {"b": 2}, "toolu_b"), tool_use("f", {"a": 3}, "toolu_c")]
    calls = Pair(way).reply(message(*uses, stop="tool_use"), sse=True).said.calls
    assert [(call.id, call.name, json.loads(call.arguments)) for call in calls] == [
        ("toolu_a", "f", {"a": 1}),
        ("toolu_b", "g", {"b": 2}),
        ("toolu_c", "f", {"a": 3}),
    ]


@pytest.mark.parametrize("way", ["M->G", "M->C"])
def test_arguments_that_come_in_one_piece_with_the_name_are_not_lost_as_the_block_changes(way: str) -> None:
    """Statement 5. Name and full arguments in one chunk: never an empty input."""
    if way == "M->G":
        said = [
            generated({"text": "Looking."}, finish=""),
            generated({"functionCall": {"name": "f", "args": {"a": 1}}}, finish=""),
            generated({"functionCall": {"name": "g", "args": {"b": 2}}}),
        ]
    else:
        said = [
            chunk({"content": "Looking."}),
            call_chunk(0, '{"a":1}', id="call_a", name="f"),
            call_chunk(1, '{"b":2}', id="call_b", name="g"),
            chunk({}, "tool_calls"),
        ]
    found = [block for block in blocks(Pair(way).reply(said).events) if block[0]["content_block"]["type"] == "tool_use"]
    inputs = ["".join(event["delta"]["partial_json"] for event in block[1:-1]) for block in found]
    assert [json.loads(one) for one in inputs] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("way", FROM_CHAT)
def test_calls_that_all_have_index_0_are_told_apart_by_their_ids(way: str) -> None:
    """Statement 6. Ollama and some vLLM repeat `index: 0`."""
    said = [
        call_chunk(0, '{"a":1}', id="call_a", name="f"),
        call_chunk(0, '{"b":', id="call_b", name="g"),
        call_chunk(0, "2}"),
        chunk({}, "tool_calls"),
    ]
    calls = Pair(way).reply(said).said.calls
    assert [(call.id, call.name, call.arguments) for call in calls] == [
        ("call_a", "f", '{"a":1}'),
        ("call_b", "g", '{"b":2}'),
    ]


@pytest.mark.parametrize("way", FROM_CHAT)
def test_arguments_go_to_the_call_of_their_index_and_not_to_the_one_opened_last(way: str) -> None:
    """Statement 7. Argument deltas are routed by the chunk's `index`."""
    calls = Pair(way).reply(INTERLEAVED).said.calls
    assert [(call.name, call.arguments) for call in calls] == [("f", '{"a":1}'), ("g", '{"b":2}')]


@pytest.mark.parametrize("way", TO_CHAT)
@pytest.mark.parametrize("kind", ["text", "call"])
def test_a_stream_has_one_choice_and_no_empty_calls(way: str, kind: str) -> None:
    """Statement 8. No empty tool-call objects; one choice only, with n = 1."""
    pair = Pair(way)
    said = CALLS[pair.provider.name]("f", '{"a":1}')
    if kind == "text":
        said = {"M": message(text("Hi")), "R": response(output_text("Hi")), "G": generated({"text": "Hi"})}[way[-1]]
    events = pair.reply(said, sse=True).events
    for event in events[:-1]:
        assert len(event["choices"]) == (0 if "usage" in event else 1)
        assert all(choice["index"] == 0 for choice in event["choices"])
        assert event["choices"] == [] or event["choices"][0]["delta"].get("tool_calls") != []
    for call in deltas(events):
        assert call["function"].get("name") or call["function"]["arguments"]
    assert bool(deltas(events)) == (kind == "call")


@pytest.mark.parametrize("way", ["C->G", "R->G", "M->G", "R->C", "M->C", "G->C"])
def test_a_call_without_an_id_gets_one_that_is_the_same_wherever_it_is_told(way: str) -> None:
    """Statement 9. The same synthesised id in every event and in the final object."""
    calls = [{"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "g", "args": {}}}]
    said: Any = generated(*calls)
    if way.endswith("C"):
        said = completion({"tool_calls": [function_call("f", id=""), function_call("g", id="")]}, "tool_calls")
    pair = Pair(way)
    reply = pair.reply(said, sse=True)
    ids = [call.id for call in reply.said.calls]
    assert len(set(ids)) == 2 and all(ids)
    assert [call.id for call in pair.reply(said, sse=False).said.calls] == ids
    for event in reply.events:
        if way.startswith("R") and event["type"] in ("response.output_item.added", "response.output_item.done"):
            assert event["item"]["call_id"] in ids
        if way.startswith("R") and event["type"] == "response.completed":
            assert [item["call_id"] for item in event["response"]["output"]] == ids


@pytest.mark.parametrize("way", FROM_CHAT)
@pytest.mark.parametrize("name", [None, ""])
def test_a_call_begins_once_its_name_is_there(way: str, name: str | None) -> None:
    """Statement 10. Missing or empty function name in the first chunk."""
    first = {"index": 0, "id": "call_a", "type": "function", "function": {"arguments": ""}}
    first["function"] |= {} if name is None else {"name": name}
    said = [
        chunk({"tool_calls": [first]}),
        call_chunk(0, '{"a"'),
        call_chunk(0, name="f"),
        call_chunk(0, ":1}"),
        chunk({}, "tool_calls"),
    ]
    reply = Pair(way).reply(said)
    assert [(call.id, call.name, call.arguments) for call in reply.said.calls] == [("call_a", "f", '{"a":1}')]
    if way == "M->C":
        starts = [event["content_block"] for event in reply.events if event["type"] == "content_block_start"]
        assert [start["name"] for start in starts] == ["f"]


@pytest.mark.parametrize("way", [way for way in WAYS if way[-1] in "CMG" and way[0] in "CR"])
def test_arguments_that_are_an_object_become_one_text_with_the_same_bytes(way: str) -> None:
    """Statement 11. Serialised once; key order is kept byte for byte."""
    raw = '{"b": 1.0,"a":[1e2, "é"],  "c":null}'
    name = Pair(way).provider.name
    said = json.dumps(CALLS[name]("f", '{"x":"RAW"}'))
    for quoted in ('{"x": "RAW"}', json.dumps('{"x":"RAW"}')):
        said = said.replace(quoted, raw)
    assert raw in said
    reply = Pair(way).reply(said.encode(), sse=False)
    (call,) = reply.said.calls
    # Of an object where Chat has a text, the members are the same bytes.
    assert call.arguments == (raw if way[-1] != "C" else '{"b":1.0,"a":[1e2, "é"],"c":null}')


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sse", [True, False])
def test_a_call_without_arguments_has_an_empty_object_of_them(way: str, sse: bool) -> None:
    """Statement 12. C gets "{}", M `input: {}` and at least one valid JSON."""
    empty: dict[str, Any] = {
        "C": completion({"tool_calls": [function_call("f", "")]}, "tool_calls"),
        "R": response(call_item("f", "")),
        "M": message(tool_use("f", {}), stop="tool_use"),
        "G": generated({"functionCall": {"name": "f"}}),
    }
    reply = Pair(way).reply(empty[way[-1]], sse=sse)
    assert [call.arguments for call in reply.said.calls] == ["{}"]
    if way.startswith("M") and sse:
        (block,) = blocks(reply.events)
        assert block[0]["content_block"]["input"] == {}
        assert "".join(event["delta"]["partial_json"] for event in block[1:-1]) == "{}"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sse", [True, False])
def test_a_reply_with_a_call_ends_for_tools_even_if_the_provider_says_stop(way: str, sse: bool) -> None:
    """Statement 13. finish_reason `tool_calls`, stop_reason `tool_use` whenever a call was emitted."""
    said: dict[str, Any] = {
        "C": completion({"tool_calls": [function_call()]}, "stop"),
        "R": response(call_item()),
        "M": message(tool_use(), stop="end_turn"),
        "G": generated({"functionCall": {"name": "f", "args": {}}}, finish="STOP"),
    }
    reply = Pair(way).reply(said[way[-1]], sse=sse)
    assert reply.said.reasons == {0: "end" if way.startswith("G") else "tool_use"}
    word = {"C": '"tool_calls"', "R": '"completed"', "M": '"tool_use"', "G": '"STOP"'}[way[0]]
    assert word in reply.data.decode()


def test_a_text_and_a_call_in_one_turn_end_for_tools() -> None:
    """Statement 14. vLLM says `stop` after text and tools; M ends with `tool_use`."""
    said = [
        chunk({"role": "assistant", "content": "Let me look."}),
        call_chunk(0, "{}", id="call_a", name="f"),
        chunk({}, "stop"),
    ]
    events = Pair("M->C").reply(said).events
    assert [block[0]["content_block"]["type"] for block in blocks(events)] == ["text", "tool_use"]
    (end,) = [event for event in events if event["type"] == "message_delta"]
    assert end["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_was_cut_is_not_told_as_one_to_execute(way: str) -> None:
    """Statement 15. `length` and a partial call: R is `incomplete`, others have no finished call."""
    said: dict[str, Any] = {
        "C": [call_chunk(0, '{"a": "hal', id="call_a", name="f"), chunk({}, "length")],
        "R": [
            {"type": "response.created", "response": response(status="in_progress")},
            *list(item_events(0, call_item("f", '{"a": "hal', "call_a", status="incomplete")))[:-1],
            {"type": "response.incomplete", "response": response(
                call_item("f", '{"a": "hal', "call_a", status="incomplete"), status="incomplete",
                incomplete_details={"reason": "max_output_tokens"})},
        ],
        "M": [
            {"type": "message_start", "message": message(stop="")},
            {"type": "content_block_start", "index": 0, "content_block": tool_use(id="toolu_a")},
            {"type": "content_block_delta", "index": 0,
             "delta": {"type": "input_json_delta", "partial_json": '{"a": "hal'}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        ],
        "G": [
            generated({"functionCall": {"name": "f", "willContinue": True,
                                        "partialArgs": [{"jsonPath": "$.a", "stringValue": "hal"}]}}, finish=""),
            generated(finish="MAX_TOKENS"),
        ],
    }  # fmt: skip
    for stream in (True, False):
        reply = Pair(way).reply(said[way[-1]], stream=stream)
        assert reply.said.reasons == {0: "length"}
        if way.startswith("R"):
            (item,) = reply.final["output"]
            assert (reply.final["status"], item["status"]) == ("incomplete", "incomplete")
        elif not stream or way.startswith("G"):
            assert reply.said.calls == []


@pytest.mark.parametrize("way", ["R->C", "R->M", "R->G"])
def test_a_call_is_done_once_and_stands_in_the_finished_response(way: str) -> None:
    """Statement 16. `function_call_arguments.done`, `output_item.done`, and the item of `response.completed`."""
    pair = Pair(way)
    events = pair.reply(CALLS[pair.provider.name]("f", '{"a":1}'), sse=True).events
    (arguments_done,) = [e for e in events if e["type"] == "response.function_call_arguments.done"]
    (item_done,) = [e for e in events if e["type"] == "response.output_item.done"]
    (completed,) = [e for e in events if e["type"] == "response.completed"]
    assert events[-1] is completed
    assert json.loads(arguments_done["arguments"]) == {"a": 1}
    assert arguments_done["item_id"] == item_done["item"]["id"]
    assert completed["response"]["output"] == [item_done["item"]]


@pytest.mark.parametrize("way", TO_CHAT)
@pytest.mark.parametrize("sse", [True, False])
def test_a_message_of_nothing_but_calls_has_no_content(way: str, sse: bool) -> None:
    """Statement 17. `content` is null or absent, not ""; choices are never null."""
    pair = Pair(way)
    reply = pair.reply(CALLS[pair.provider.name]("f", "{}"), sse=sse)
    if sse:
        assert all(event == "[DONE]" or isinstance(event["choices"], list) for event in reply.events)
        choices = [choice for event in reply.events[:-1] for choice in event["choices"]]
        assert not any("content" in choice["delta"] for choice in choices)
    else:
        (choice,) = reply.body["choices"]
        assert choice["message"]["content"] is None
