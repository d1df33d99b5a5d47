"""A provider's reply as events: what its meter does not look at."""

import json

import pytest
from msgspec import Raw

from proxyapi.dialects.anthropic.reply_in import MessageBody, MessageStream
from proxyapi.dialects.model import (
    Compaction,
    Finish,
    Notice,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Start,
    Text,
    Thinking,
    ToolUse,
    UrlCitation,
)


def of_body(*blocks, **fields):
    message = {"id": "m", "type": "message", "model": "c", "stop_reason": "end_turn", "content": list(blocks)} | fields
    decoder = MessageBody()
    decoder.feed(json.dumps(message).encode())
    return decoder.close()


def of_stream(*events):
    decoder = MessageStream()
    frames = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    return [event for frame in frames for event in decoder.feed(frame)] + decoder.close()


def begun(index, **block):
    return {"type": "content_block_start", "index": index, "content_block": block}


def grown(index, kind, **delta):
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind} | delta}


def ended(index):
    return {"type": "content_block_stop", "index": index}


END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}


def without_start(events):
    return [event for event in events if not isinstance(event, Start)]


def test_a_call_says_which_code_made_it():
    caller = {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}
    (_, start, *_) = of_body({"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": caller})
    assert start == PartStart(0, ToolUse("t", "f", "", caller="srvtoolu_1"))


def test_input_that_comes_with_the_start_of_a_streamed_block_is_not_lost():
    events = of_stream(begun(0, type="tool_use", id="t", name="f", input={"a": 1}), ended(0), END)
    assert PartDelta(0, '{"a": 1}') in events


def test_an_empty_input_at_the_start_of_a_streamed_block_is_no_input():
    events = of_stream(begun(0, type="tool_use", id="t", name="f", input={}), grown(0, "input_json_delta",
                       partial_json='{"a":1}'), ended(0), END)  # fmt: skip
    assert [event.text for event in events if isinstance(event, PartDelta)] == ['{"a":1}']


def test_a_hosted_tool_has_a_call_and_a_result_with_what_can_be_shown():
    result = {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [{"type": "web_search_result", "url": "u", "title": "T", "encrypted_content": "x"}],
    }
    use = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
    events = [event.part for event in of_body(use, result) if isinstance(event, PartStart)]
    assert events == [
        ServerToolUse("srvtoolu_1", "web_search", "web_search"),
        ServerToolResult(
            "srvtoolu_1", "web_search", (SearchResult("u", "T", ()),), native=Raw(json.dumps(result).encode())
        ),
    ]


def test_citations_come_before_or_after_their_text():
    wire = {"type": "web_search_result_location", "url": "u", "title": "T", "cited_text": "q", "encrypted_index": "e"}
    citation = UrlCitation("u", "T", quote="q", token="e")
    events = of_stream(begun(0, type="text", text=""), grown(0, "citations_delta", citation=wire),
                       grown(0, "text_delta", text="a"), ended(0), END)  # fmt: skip
    assert [getattr(event, "citation", None) for event in events if event.__class__.__name__ == "PartCitation"] == [
        citation
    ]
    assert PartStart(0, Text("")) in events


def test_a_summary_that_grows_is_told_at_its_end_with_the_whole_block_as_its_proof():
    events = of_stream(
        begun(0, type="compaction", content=None),
        grown(0, "compaction_delta", content="It was long.", encrypted_content="x"),
        ended(0),
        END,
    )
    start, delta, state, end = events[:4]
    assert (start, delta, end) == (PartStart(0, Compaction()), PartDelta(0, "It was long."), PartEnd(0))
    assert isinstance(state, PartState)
    assert state.state.kind == "other"
    assert json.loads(state.state.data) == {"type": "compaction", "content": "It was long.", "encrypted_content": "x"}


def test_a_summary_of_a_body_has_the_same_events_as_a_streamed_one():
    block = {"type": "compaction", "content": "It was long.", "encrypted_content": "x"}
    streamed = of_stream(begun(0, **block), ended(0), END)[:4]
    assert without_start(of_body(block))[:4] == streamed


def test_redacted_thinking_has_its_data_at_the_start():
    (_, start, *_) = of_body({"type": "redacted_thinking", "data": "x"})
    assert isinstance(start.part, Thinking)
    assert (start.part.state.kind, start.part.state.data) == ("anthropic_redacted", "x")


@pytest.mark.parametrize("name", ["container", "context_management"])
def test_side_values_are_told(name):
    value = {"id": "c"}
    notice = Notice("anthropic", name, Raw(json.dumps(value).encode()))
    assert notice in of_body(**{name: value})
    end = END | {name: value} if name != "container" else END | {"delta": END["delta"] | {name: value}}
    assert notice in of_stream(end)


def test_a_refusal_has_its_category_and_its_explanation():
    details = {"type": "refusal", "category": "cyber", "explanation": "Because."}
    (finish,) = [event for event in of_body(stop_reason="refusal", stop_details=details) if isinstance(event, Finish)]
    assert (finish.reason, finish.category, finish.message) == ("refusal", "cyber", "Because.")


def test_a_block_that_begins_at_an_open_place_ends_the_one_before():
    events = of_stream(begun(0, type="text", text=""), begun(0, type="text", text=""), ended(0), END)
    kinds = [event.__class__.__name__ for event in events if isinstance(event, PartStart | PartEnd)]
    assert kinds == ["PartStart", "PartEnd", "PartStart", "PartEnd"]
