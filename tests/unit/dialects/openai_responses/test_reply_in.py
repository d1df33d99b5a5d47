"""OpenAI Responses: replies of a provider as events. How they are metered is in `test_openai_responses`."""

import json

import pytest

from proxyapi.dialects.codec import Encoded, TargetModel, Terms
from proxyapi.dialects.model import (
    Compaction,
    DocumentCitation,
    Failed,
    Finish,
    Image,
    Inline,
    Metered,
    Native,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    PartSummary,
    ReasoningState,
    Refusal,
    SearchResult,
    ServerToolUse,
    Start,
    Text,
    Thinking,
    TokenLogprob,
    ToolUse,
    UrlCitation,
)
from proxyapi.dialects.openai_responses.codec import ResponsesCodec
from proxyapi.dialects.reshape import Reshape
from proxyapi.usage import Unit

TARGET = TargetModel(model="m")
USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


@pytest.fixture
def stream():
    """Events of a stream of the given wire events, between its first and its last one."""

    def run(*wire, output=(), status="completed", **response):
        head = {"id": "resp_1", "model": "m", "object": "response"}
        final = head | {"status": status, "output": list(output), "usage": USAGE} | response
        events = [
            {"type": "response.created", "response": head | {"status": "in_progress", "output": []}},
            *wire,
            {"type": f"response.{status}", "response": final},
        ]
        decoder = ResponsesCodec().decoder(stream=True, target=TARGET)
        found = []
        for event in events:
            found += decoder.feed(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        assert decoder.finished
        return [event for event in found + decoder.close() if not isinstance(event, Start | Metered)]

    return run


@pytest.fixture
def body():
    """Events of one body with the given items."""

    def run(*items, status="completed", **fields):
        wire = {"id": "resp_1", "model": "m", "object": "response", "status": status, "output": items, "usage": USAGE}
        decoder = ResponsesCodec().decoder(stream=False, target=TARGET)
        decoder.feed(json.dumps(wire | fields).encode())
        return [event for event in decoder.close() if not isinstance(event, Start | Metered)]

    return run


def added(index, **item):
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index, **item):
    return {"type": "response.output_item.done", "output_index": index, "item": {"status": "completed", **item}}


def delta(kind, index, text, **fields):
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": text, **fields}


def call(number, **fields):
    return {"type": "function_call", "id": f"fc_{number}", "call_id": f"c{number}", "name": f"f{number}", **fields}


def test_parallel_calls_are_parts_of_their_own_wherever_their_pieces_come(stream):
    events = stream(
        added(0, **call(0, arguments="")),
        added(1, **call(1, arguments="")),
        delta("function_call_arguments", 1, '{"b":'),
        delta("function_call_arguments", 0, '{"a":1}'),
        delta("function_call_arguments", 1, "2}"),
        done(1, **call(1, arguments='{"b":2}')),
        done(0, **call(0, arguments='{"a":1}')),
    )
    assert events == [
        PartStart(0, ToolUse("c0", "f0", "", item_id="fc_0")),
        PartStart(1, ToolUse("c1", "f1", "", item_id="fc_1")),
        PartDelta(1, '{"b":'),
        PartDelta(0, '{"a":1}'),
        PartDelta(1, "2}"),
        PartEnd(1),
        PartEnd(0),
        Finish(reason="tool_use", native="completed"),
    ]


def test_an_item_that_came_in_pieces_is_not_told_again_and_one_that_did_not_is_told_at_its_end(stream):
    text = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "hi", "annotations": []}]}
    events = stream(added(0, **call(0, arguments="")), done(0, **call(0, arguments='{"a":1}')), done(1, **text))
    assert [event.text for event in events if isinstance(event, PartDelta)] == ['{"a":1}', "hi"]


def test_a_stream_of_nothing_but_its_end_is_read_from_it(stream):
    text = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "hi"}]}
    assert [type(event) for event in stream(output=[text])] == [PartStart, PartDelta, PartEnd, Finish]


def test_a_call_without_arguments_has_an_empty_object(body):
    events = body(call(0, arguments=""))
    assert events[1] == PartDelta(0, "{}")


def test_free_text_calls_and_namespaces_are_known(stream, body):
    item = {"type": "custom_tool_call", "id": "ctc", "call_id": "c", "name": "patch", "namespace": "n", "input": "x"}
    use = ToolUse("c", "patch", "", "custom", namespace="n", item_id="ctc")
    pieces = stream(added(0, **item | {"input": ""}), delta("custom_tool_call_input", 0, "x"), done(0, **item))
    assert pieces == body(item)
    assert pieces[:2] == [PartStart(0, use), PartDelta(0, "x")]


@pytest.mark.parametrize(
    ("item", "kind", "arguments"),
    [
        (
            {"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"]}},
            "local_shell",
            '{"type": "exec", "command": ["ls"]}',
        ),
        ({"type": "shell_call", "action": {"commands": ["ls"]}}, "shell", '{"commands": ["ls"]}'),
        (
            {"type": "apply_patch_call", "operation": {"type": "delete_file"}},
            "apply_patch",
            '{"type": "delete_file"}',
        ),
        ({"type": "computer_call", "action": {"type": "wait"}}, "computer", '{"type": "wait"}'),
        ({"type": "tool_search_call", "execution": "client", "arguments": {"q": 1}}, "tool_search", '{"q": 1}'),
    ],
)
def test_calls_of_typed_tools_are_calls_that_the_client_runs(stream, body, item, kind, arguments):
    item |= {"id": "i", "call_id": "c"}
    events = stream(added(0, type=item["type"], id="i", status="in_progress"), done(0, **item))
    assert events == body(item)
    assert events == [
        PartStart(0, ToolUse("c", kind, "", kind, item_id="i")),
        PartDelta(0, arguments),
        PartEnd(0),
        Finish(reason="tool_use", native="completed"),
    ]


def test_thoughts_and_summaries_are_told_once_with_their_state(stream, body):
    item = {
        "type": "reasoning",
        "id": "rs",
        "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}],
        "content": [{"type": "reasoning_text", "text": "raw"}],
        "encrypted_content": "gAAA",
    }
    events = stream(
        added(0, type="reasoning", id="rs", summary=[]),
        delta("reasoning_summary_text", 0, "one", summary_index=0),
        delta("reasoning_summary_text", 0, "two", summary_index=1),
        {"type": "response.content_part.added", "output_index": 0, "part": {"type": "reasoning_text", "text": ""}},
        delta("reasoning_text", 0, "raw", content_index=0),
        done(0, **item),
    )
    assert events == body(item)
    assert events == [
        PartStart(0, Thinking(id="rs")),
        PartSummary(0, 0, "one"),
        PartSummary(0, 1, "two"),
        PartDelta(0, "raw"),
        PartState(0, ReasoningState("openai_encrypted", "gAAA", id="rs")),
        PartEnd(0),
        Finish(reason="end", native="completed"),
    ]


def test_citations_are_told_once_whether_they_have_events_of_their_own_or_not(stream, body):
    notes = [
        {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1},
        {"type": "file_path", "file_id": "f", "index": 2},
    ]
    item = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "a", "annotations": notes}]}
    place = {"output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": []}
    events = stream(
        added(0, type="message", id="m", content=[]),
        {"type": "response.content_part.added", **place, "part": empty},
        delta("output_text", 0, "a", content_index=0),
        {"type": "response.output_text.annotation.added", **place, "annotation": notes[0]},
        {"type": "response.content_part.done", **place, "part": item["content"][0]},
        done(0, **item),
    )
    assert events == body(item)
    assert [event.citation for event in events if isinstance(event, PartCitation)] == [
        UrlCitation("u", "t", 0, 1),
        DocumentCitation("file", 2, file_id="f"),
    ]


def test_logprobs_come_with_their_text(stream):
    logprob = {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1.0}]}
    place = {"output_index": 0, "content_index": 0}
    events = stream(
        {"type": "response.content_part.added", **place, "part": {"type": "output_text", "text": ""}},
        delta("output_text", 0, "a", content_index=0, logprobs=[logprob]),
        delta("output_text", 0, "c", content_index=0, logprobs=[]),
    )
    with_tokens, without = (event for event in events if isinstance(event, PartDelta))
    assert with_tokens.logprobs == (TokenLogprob("a", -0.5, None, (TokenLogprob("b", -1.0),)),)
    assert without.logprobs == ()


def test_a_refusal_is_why_it_ended(stream, body):
    item = {"type": "message", "id": "m", "content": [{"type": "refusal", "refusal": "No."}]}
    place = {"output_index": 0, "content_index": 0}
    events = stream(
        {"type": "response.content_part.added", **place, "part": {"type": "refusal", "refusal": ""}},
        delta("refusal", 0, "No.", content_index=0),
        done(0, **item),
    )
    assert events == body(item)
    assert events == [
        PartStart(0, Refusal("")),
        PartDelta(0, "No."),
        PartEnd(0),
        Finish(reason="refusal", native="completed"),
    ]


def test_code_is_told_as_arguments_in_json(stream, body):
    item = {"type": "code_interpreter_call", "id": "ci", "container_id": "c", "code": 'print("é")\n', "outputs": None}
    pieces = [delta("code_interpreter_call_code", 0, piece) for piece in ('print("', 'é")\n')]
    events = stream(added(0, **item | {"code": ""}), *pieces, done(0, **item))
    arguments = "".join(event.text for event in events if isinstance(event, PartDelta))
    assert json.loads(arguments) == {"code": 'print("é")\n'}
    (whole,) = (event.text for event in body(item) if isinstance(event, PartDelta))
    assert json.loads(whole) == json.loads(arguments)


def test_a_search_is_a_call_with_its_outcome(stream, body):
    action = {"type": "search", "query": "q", "sources": [{"type": "url", "url": "https://a"}]}
    item = {"status": "completed", "type": "web_search_call", "id": "ws", "action": action}
    events = stream(
        added(0, type="web_search_call", id="ws", status="in_progress"),
        {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws"},
        done(0, **item),
    )
    assert events == body(item)
    start, asked, end, _ = events
    assert start == PartStart(0, ServerToolUse("ws", "web_search", "web_search"))
    assert asked.text == '{"type":"search","query":"q"}'
    assert end.result.parts == (SearchResult("https://a", "", ()),)
    assert json.loads(bytes(end.result.native)) == item


def test_an_mcp_call_that_failed_says_why(body):
    item = {
        "type": "mcp_call",
        "id": "mcp",
        "name": "ask",
        "server_label": "wiki",
        "arguments": "{}",
        "error": {"type": "http_error", "code": 500, "message": "down"},
    }
    end = body(item)[2]
    assert (end.result.is_error, end.result.error_code, end.result.parts) == (True, "500", (Text("down"),))


def test_a_picture_is_a_part_and_an_attempt_is_a_call(body):
    drawn = {"type": "image_generation_call", "id": "ig", "output_format": "webp", "result": "AAAA"}
    assert body(drawn)[:3] == [PartStart(0, Image(Inline("", "image/webp"))), PartData(0, "AAAA"), PartEnd(0)]
    failed = {"type": "image_generation_call", "id": "ig", "status": "failed", "result": None}
    start, end, _ = body(failed)
    assert start.part.kind == "image_generation"
    assert end.result.is_error


def test_a_summary_of_the_conversation_has_a_state(body):
    events = body({"type": "compaction", "id": "cmp", "encrypted_content": "gAAA"})
    assert events[:2] == [
        PartStart(0, Compaction()),
        PartState(0, ReasoningState("openai_encrypted", "gAAA", id="cmp")),
    ]


def test_items_that_only_responses_knows_stay_whole(body):
    item = {"type": "mcp_list_tools", "id": "l", "server_label": "s", "tools": []}
    start = body(item)[0]
    assert isinstance(start.part, Native)
    assert (start.part.wire_type, start.part.optional) == ("mcp_list_tools", True)
    assert json.loads(bytes(start.part.body)) == item


@pytest.mark.parametrize(
    ("reason", "canonical"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("max_messages", "pause"), ("x", "other")],
)
def test_an_incomplete_response_says_why(body, reason, canonical):
    item = call(0, arguments='{"a', status="incomplete")
    events = body(item, status="incomplete", incomplete_details={"reason": reason})
    assert events[-2:] == [PartEnd(0, incomplete=True), Finish(reason=canonical, native=reason)]


def test_a_call_that_never_ended_was_cut(stream):
    events = stream(added(0, **call(0, arguments="")), delta("function_call_arguments", 0, '{"a'), status="incomplete")
    assert PartEnd(0, incomplete=True) in events


def test_usage_comes_before_a_failure():
    wire = {"id": "r", "model": "m", "status": "failed", "error": {"code": "server_error", "message": "boom"}}
    decoder = ResponsesCodec().decoder(stream=False, target=TARGET)
    decoder.feed(json.dumps(wire | {"output": [], "usage": USAGE}).encode())
    _, metered, failed = decoder.close()
    assert metered.usage[Unit.INPUT] == 3
    assert isinstance(failed, Failed)
    assert failed.message == "boom"


def test_tools_of_codex_that_went_as_functions_come_back_as_their_own_items(decode, reply):
    """A provider that knows functions only calls them by their function's name."""
    request = decode(
        tools=[
            {"type": "custom", "name": "apply", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
            {"type": "local_shell"},
            {"type": "apply_patch"},
            {
                "type": "namespace",
                "name": "mcp",
                "description": "d",
                "tools": [{"type": "function", "name": "look", "parameters": {}, "strict": False}],
            },
        ]
    )
    calls = {
        "apply": '{"input": "*** Begin"}',
        "local_shell": '{"type":"exec","command":["ls"],"env":{}}',
        "apply_patch": '{"type":"delete_file","path":"p"}',
        "mcp__look": '{"at":1}',
    }
    events = [Start(id="x", model="x")]
    for index, (name, arguments) in enumerate(calls.items()):
        events += [PartStart(index, ToolUse(f"c{index}", name, "")), PartDelta(index, arguments), PartEnd(index)]
    reshape = Reshape(
        Terms(request=request, encoded=Encoded(body=b""), reply_id="r", origin="o", provider="P", linear=False)
    )
    shaped = [*reshape.feed([*events, Finish(reason="end")]), *reshape.close(finished=True)]
    output = reply(*shaped, request=request)["output"]
    assert [item["type"] for item in output] == [
        "custom_tool_call",
        "local_shell_call",
        "apply_patch_call",
        "function_call",
    ]
    assert output[0]["input"] == "*** Begin"
    assert output[1]["action"]["command"] == ["ls"]
    assert output[2]["operation"]["path"] == "p"
    assert (output[3]["namespace"], output[3]["name"], output[3]["arguments"]) == ("mcp", "look", '{"at":1}')
