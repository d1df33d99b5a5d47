"""OpenAI Responses: events of a reply as what a client reads, a stream or one body."""

import json

import pytest
from msgspec import Raw

from proxyapi.dialects.model import (
    Compaction,
    CustomTool,
    DocumentCitation,
    Failed,
    Finish,
    FunctionTool,
    Image,
    Inline,
    JsonSchema,
    KeepAlive,
    Message,
    Metered,
    Native,
    Notice,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    PartSummary,
    Reasoning,
    ReasoningState,
    Refusal,
    Request,
    Sampling,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Start,
    Storage,
    Text,
    Thinking,
    TokenLogprob,
    ToolChoice,
    ToolUse,
    UrlCitation,
)
from proxyapi.usage import Unit

START = Start(id="chatcmpl-1", model="provider-model", created_at=5, tier="standard")
END = Finish(reason="end")
GOOGLE = ReasoningState("google_signature", "QUJD")


def part(index, start, *growth):
    return [PartStart(index, start), *growth, PartEnd(index)]


def text(index, *pieces):
    return part(index, Text(""), *(PartDelta(index, piece) for piece in pieces))


def call(index, use, *pieces, incomplete=False):
    deltas = [PartDelta(index, piece) for piece in pieces]
    return [PartStart(index, use), *deltas, PartEnd(index, incomplete=incomplete)]


def types(events):
    return [event["type"].removeprefix("response.") for event in events]


# --- the stream ---------------------------------------------------------------------------------------------------


def test_a_text_is_told_in_the_whole_grammar_of_the_stream(sent):
    events = sent(START, *text(0, "Hel", "lo"), END, Metered({Unit.INPUT: 3, Unit.OUTPUT: 2}))
    assert types(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["delta"] for event in events if "delta" in event] == ["Hel", "lo"]
    assert events[6]["text"] == events[7]["part"]["text"] == "Hello"
    final = events[-1]["response"]
    assert final["output"] == [events[8]["item"]]
    assert final["output"][0]["content"] == [
        {"type": "output_text", "annotations": [], "logprobs": [], "text": "Hello"}
    ]


def test_ids_and_indexes_stay_the_same_from_the_first_event_to_the_last(sent):
    events = sent(
        START, *text(0, "a"), *call(1, ToolUse("c1", "f", ""), "{}"), *text(2, "b"), Finish(reason="tool_use")
    )
    ids = {}
    for event in events:
        if "output_index" in event:
            identity = event.get("item_id") or event["item"]["id"]
            assert ids.setdefault(event["output_index"], identity) == identity
    assert [item["id"] for item in events[-1]["response"]["output"]] == list(ids.values())
    assert len(set(ids.values())) == 3
    assert {event["response"]["id"] for event in events if "response" in event} == {"resp_r1"}


def test_neighbouring_texts_are_contents_of_one_message(reply):
    output = reply(START, *text(0, "a"), *text(1, "b"), END)["output"]
    assert [content["text"] for content in output[0]["content"]] == ["a", "b"]
    assert len(output) == 1


def test_every_delta_leaves_at_once(reply):
    whole = reply(START, *text(0, "a", "b"), END, stream=True)
    assert whole.count(b"event: response.output_text.delta\n") == 2


def test_signs_of_life_are_comments_and_other_dialects_side_values_are_nothing(reply):
    out = reply(START, KeepAlive(), Notice("gemini", "safetyRatings", Raw(b"[]")), *text(0, "a"), END, stream=True)
    assert b"\n\n: \n\nevent: " in out
    assert b"safetyRatings" not in out


def test_arguments_are_done_once_and_the_call_is_in_the_finished_response(sent):
    use = ToolUse("c1", "look", "", namespace="maps")
    events = sent(START, *call(0, use, '{"a"', ":1}"), Finish(reason="tool_use"))
    assert types(events)[2:] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert events[2]["item"]["arguments"] == ""
    assert (events[5]["arguments"], events[5]["name"]) == ('{"a":1}', "look")
    done = events[6]["item"]
    assert done == {
        "type": "function_call",
        "id": "fc_r1_0",
        "call_id": "c1",
        "name": "look",
        "namespace": "maps",
        "arguments": '{"a":1}',
        "status": "completed",
    }
    assert events[-1]["response"]["output"] == [done]


def test_calls_may_overlap(sent):
    events = sent(
        START,
        PartStart(0, ToolUse("a", "f", "")),
        PartStart(1, ToolUse("b", "g", "")),
        PartDelta(1, '{"y":2}'),
        PartDelta(0, '{"x":1}'),
        PartEnd(1),
        PartEnd(0),
        Finish(reason="tool_use"),
    )
    deltas = [(event["output_index"], event["delta"]) for event in events if "delta" in event]
    assert deltas == [(1, '{"y":2}'), (0, '{"x":1}')]
    assert [item["arguments"] for item in events[-1]["response"]["output"]] == ['{"x":1}', '{"y":2}']


def test_a_text_that_outlasts_a_call_ends_its_message_later(sent):
    events = sent(
        START,
        PartStart(0, Text("")),
        PartDelta(0, "a"),
        *call(1, ToolUse("c", "f", ""), "{}"),
        PartDelta(0, "b"),
        PartEnd(0),
        Finish(reason="tool_use"),
    )
    done = [event["output_index"] for event in events if event["type"] == "response.output_item.done"]
    assert done == [1, 0]
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["message", "function_call"]


def test_a_call_that_was_cut_stays_incomplete_and_is_not_done(sent):
    events = sent(START, *call(0, ToolUse("c", "f", ""), '{"a', incomplete=True), Finish(reason="length"))
    assert "response.function_call_arguments.done" not in [event["type"] for event in events]
    final = events[-1]
    assert final["type"] == "response.incomplete"
    assert final["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert (final["response"]["output"][0]["status"], final["response"]["output"][0]["arguments"]) == (
        "incomplete",
        '{"a',
    )


def test_free_text_calls_have_events_of_their_own(sent):
    events = sent(START, *call(0, ToolUse("c", "patch", "", "custom"), "*** ", "End"), Finish(reason="tool_use"))
    assert types(events)[3:6] == ["custom_tool_call_input.delta"] * 2 + ["custom_tool_call_input.done"]
    assert events[5]["input"] == "*** End"
    assert events[-1]["response"]["output"][0]["type"] == "custom_tool_call"


@pytest.mark.parametrize(
    ("kind", "arguments", "item"),
    [
        (
            "local_shell",
            '{"command":["ls"]}',
            {"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"], "env": {}}},
        ),
        ("shell", '{"commands":["pwd"]}', {"type": "shell_call", "action": {"commands": ["pwd"]}}),
        (
            "apply_patch",
            '{"type":"delete_file","path":"p"}',
            {"type": "apply_patch_call", "operation": {"type": "delete_file", "path": "p"}},
        ),
    ],
)
def test_calls_of_typed_tools_are_items_of_their_own_kind(sent, kind, arguments, item):
    events = sent(START, *call(0, ToolUse("c", kind, "", kind), arguments), Finish(reason="tool_use"))
    assert types(events)[2:4] == ["output_item.added", "output_item.done"]
    done = events[3]["item"]
    assert done | item == done
    assert (done["call_id"], done["status"], events[2]["item"]["status"]) == ("c", "completed", "in_progress")


def test_raw_thoughts_and_summaries_are_told_apart(sent):
    events = sent(
        START,
        *part(
            0,
            Thinking(),
            PartSummary(0, 0, "first"),
            PartSummary(0, 1, "sec"),
            PartSummary(0, 1, "ond"),
            PartDelta(0, "raw"),
        ),
        *text(1, "x"),
        END,
    )
    assert types(events)[2:15] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "reasoning_text.done",
        "output_item.done",
    ]
    thought = events[-1]["response"]["output"][0]
    assert thought["summary"] == [{"type": "summary_text", "text": t} for t in ("first", "second")]
    assert thought["content"] == [{"type": "reasoning_text", "text": "raw"}]
    assert "encrypted_content" not in thought


def test_a_state_of_thoughts_is_sealed_into_their_item(reply):
    signed = part(0, Thinking(), PartDelta(0, "hm"), PartState(0, ReasoningState("anthropic_signature", "QUJD")))
    redacted = part(1, Thinking(state=ReasoningState("anthropic_redacted", "REVG")))
    first, second = reply(START, *signed, *redacted, END)["output"]
    assert first["encrypted_content"] == "sealed-anthropic_signature.QUJD"
    assert (second["encrypted_content"], second["summary"]) == ("sealed-anthropic_redacted.REVG", [])


def test_a_state_that_comes_with_its_call_stands_before_it(reply):
    events = (START, *part(0, ToolUse("c", "f", ""), PartDelta(0, "{}"), PartState(0, GOOGLE)), END)
    carrier, use = reply(*events, feed=tuple)["output"]
    assert (carrier["type"], carrier["encrypted_content"]) == ("reasoning", "sealed-google_signature.QUJD/next")
    assert use["type"] == "function_call"


def test_a_state_that_comes_late_stands_after_its_part(reply):
    output = reply(START, *part(0, Text(""), PartDelta(0, "a"), PartState(0, GOOGLE)), *text(1, "b"), END)["output"]
    assert [item["type"] for item in output] == ["message", "reasoning", "message"]
    assert output[1]["encrypted_content"] == "sealed-google_signature.QUJD/before"


def test_a_refusal_is_a_content_of_its_own(sent):
    events = sent(START, *part(0, Refusal(""), PartDelta(0, "No.")), Finish(reason="refusal"))
    assert types(events)[3:7] == ["content_part.added", "refusal.delta", "refusal.done", "content_part.done"]
    final = events[-1]
    assert (final["type"], final["response"]["status"]) == ("response.completed", "completed")
    assert final["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


def test_a_refusal_without_words_gets_some(reply):
    output = reply(START, *text(0, "I"), Finish(reason="refusal", message="Harmful."))["output"]
    assert [content["type"] for content in output[0]["content"]] == ["output_text", "refusal"]
    assert output[0]["content"][1]["refusal"] == "Harmful."


def test_citations_are_told_as_they_come_and_span_the_text_where_nothing_else_is_known(sent):
    spanned, whole = UrlCitation("u", "t", 1, 2), UrlCitation("w", "v")
    filed = DocumentCitation("file", 4, title="n", file_id="f")
    growth = [PartDelta(0, "abc"), *(PartCitation(0, cited) for cited in (whole, spanned, filed))]
    events = sent(START, *part(0, Text(""), *growth), END)
    told = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    assert [event["annotation_index"] for event in told] == [0, 1, 2]
    annotations = events[-1]["response"]["output"][0]["content"][0]["annotations"]
    assert annotations == [event["annotation"] for event in told]
    assert annotations[0] == {"type": "url_citation", "start_index": 1, "end_index": 2, "url": "u", "title": "t"}
    assert annotations[1] == {"type": "file_citation", "file_id": "f", "filename": "n", "index": 4}
    assert annotations[2] == {"type": "url_citation", "start_index": 0, "end_index": 3, "url": "w", "title": "v"}


def test_logprobs_are_told_with_their_tokens(sent):
    token = TokenLogprob("hé", -0.5, None, (TokenLogprob("ho", -1.5),))
    events = sent(START, *part(0, Text(""), PartDelta(0, "hé", (token,))), END)
    delta = next(event for event in events if "delta" in event)
    assert delta["logprobs"][0]["token"] == "hé"
    (logprob,) = events[-1]["response"]["output"][0]["content"][0]["logprobs"]
    assert logprob["bytes"] == [104, 195, 169]
    assert logprob["top_logprobs"][0]["logprob"] == -1.5


def test_a_picture_is_an_item(sent):
    drawn = part(0, Image(Inline("", "image/webp")), PartData(0, "UklG"), PartData(0, "AAAA"))
    events = sent(START, *drawn, END)
    assert types(events)[2:7] == [
        "output_item.added",
        "image_generation_call.in_progress",
        "image_generation_call.generating",
        "image_generation_call.completed",
        "output_item.done",
    ]
    item = events[6]["item"]
    assert (item["result"], item["output_format"], item["status"]) == ("UklGAAAA", "webp", "completed")


def test_a_summary_travels_sealed(reply):
    (item,) = reply(START, *part(0, Compaction(), PartDelta(0, "so far")), END)["output"]
    assert item["type"] == "compaction"
    assert item["encrypted_content"].startswith("sealed-other.")


def test_parts_that_responses_lacks_are_left_out(reply):
    lacking = [
        *part(0, Native("gemini", "x", Raw(b"{}"))),
        *part(1, ServerToolUse("s", "memory", "memory"), PartDelta(1, "{}")),
        *part(2, ServerToolResult("s", "memory")),
    ]
    assert reply(START, *lacking, *text(3, "a"), END)["output"][0]["type"] == "message"


# --- hosted tools -------------------------------------------------------------------------------------------------

FOUND = (SearchResult("https://a", "A", ()),)


def test_a_search_whose_outcome_is_told_apart_stays_open_until_it_comes(sent):
    events = sent(
        START,
        *part(0, ServerToolUse("srv1", "web_search", "web_search"), PartDelta(0, '{"query":"q"}')),
        *part(1, ServerToolResult("srv1", "web_search", FOUND)),
        *text(2, "found"),
        END,
        include=("web_search_call.action.sources",),
    )
    assert types(events)[2:7] == [
        "output_item.added",
        "web_search_call.in_progress",
        "web_search_call.searching",
        "web_search_call.completed",
        "output_item.done",
    ]
    search = events[-1]["response"]["output"][0]
    assert search["action"] == {
        "type": "search",
        "query": "q",
        "queries": ["q"],
        "sources": [{"type": "url", "url": "https://a"}],
    }


def test_sources_are_told_to_those_who_include_them(reply):
    use = ServerToolUse("s", "web_search", "web_search")
    outcome = ServerToolResult("s", "web_search", FOUND)
    events = (START, PartStart(0, use), PartDelta(0, '{"query":"q"}'), PartEnd(0, outcome), END)
    assert "sources" not in reply(*events)["output"][0]["action"]


def test_a_call_without_outcome_ends_with_the_reply(reply):
    (item,) = reply(START, *part(0, ServerToolUse("s", "web_search", "web_search")), END)["output"]
    assert item["status"] == "completed"


def test_code_and_its_output_are_one_item(sent):
    use = ServerToolUse("s", "code_execution", "bash_code_execution")
    outcome = ServerToolResult("s", "code_execution", (Text("2"),))
    events = sent(
        START,
        *part(0, use, PartDelta(0, '{"command":"echo 2"}')),
        *part(1, outcome),
        END,
        include=("code_interpreter_call.outputs",),
    )
    assert types(events)[3:8] == [
        "code_interpreter_call.in_progress",
        "code_interpreter_call_code.delta",
        "code_interpreter_call_code.done",
        "code_interpreter_call.interpreting",
        "code_interpreter_call.completed",
    ]
    item = events[-1]["response"]["output"][0]
    assert (item["code"], item["outputs"]) == ("echo 2", [{"type": "logs", "logs": "2"}])


@pytest.mark.parametrize(("failed", "output", "word"), [(False, "fine", "completed"), (True, None, "failed")])
def test_an_mcp_call_tells_its_arguments_and_its_outcome(sent, failed, output, word):
    use = ServerToolUse("s", "mcp", "ask", server="wiki")
    outcome = ServerToolResult("s", "mcp", (Text("fine"),), is_error=failed)
    events = sent(START, PartStart(0, use), PartDelta(0, '{"q":1}'), PartEnd(0, outcome), END)
    assert types(events)[3:7] == [
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        f"mcp_call.{word}",
    ]
    item = events[-1]["response"]["output"][0]
    assert (item["arguments"], item["name"], item["server_label"]) == ('{"q":1}', "ask", "wiki")
    assert (item["output"], bool(item["error"])) == (output, failed)


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        ('{"url":"u"}', {"type": "open_page", "url": "u"}),
        ('{"url":"u","pattern":"p"}', {"type": "find_in_page", "url": "u", "pattern": "p"}),
        ('{"queries":["a","b"]}', {"type": "search", "query": "a", "queries": ["a", "b"]}),
    ],
)
def test_pages_are_opened_by_the_web_search(reply, arguments, action):
    events = part(0, ServerToolUse("s", "web_fetch", "web_fetch"), PartDelta(0, arguments))
    assert reply(START, *events, END)["output"][0]["action"] == action


# --- ends ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "status", "detail"),
    [
        ("end", "completed", None),
        ("stop_sequence", "completed", None),
        ("tool_use", "completed", None),
        ("compacted", "completed", None),
        ("other", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("context_window", "incomplete", "max_output_tokens"),
        ("pause", "incomplete", "max_messages"),
        ("content_filter", "incomplete", "content_filter"),
        ("recitation", "incomplete", "content_filter"),
        ("cancelled", "cancelled", None),
        ("malformed", "failed", None),
    ],
)
def test_every_reason_has_a_status(reply, sent, reason, status, detail):
    events = (START, *text(0, "a"), Finish(reason=reason, message="why"))
    body = reply(*events)
    assert (body["status"], body["incomplete_details"]) == (status, detail and {"reason": detail})
    assert body["error"] == ({"code": "server_error", "message": "why"} if status == "failed" else None)
    final = sent(*events)[-1]
    word = status if status in ("completed", "failed") else "incomplete"
    assert (final["type"], final["response"]["status"]) == (f"response.{word}", status)


def test_an_answer_that_was_cut_has_an_incomplete_message(reply):
    output = reply(START, *text(0, "a"), *text(1, "b"), Finish(reason="length"))["output"]
    assert [item["status"] for item in output] == ["incomplete"]


def test_usage_that_comes_after_the_finish_is_told(sent):
    events = sent(START, *text(0, "a"), Metered({Unit.INPUT: 1}), END, Metered({Unit.INPUT: 9, Unit.CACHE_READ: 4}))
    usage = events[-1]["response"]["usage"]
    assert (usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"]) == (13, 4)
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}


@pytest.mark.parametrize("reason", ["length", "malformed"])
def test_usage_is_told_with_a_bad_end_too(sent, reason):
    events = sent(START, *text(0, "a"), Metered({Unit.OUTPUT: 8}), Finish(reason=reason))
    assert events[-1]["response"]["usage"]["output_tokens"] == 8


def test_a_price_is_told_where_there_is_one(reply):
    events = (START, *text(0, "a"), Metered({Unit.INPUT: 2}), END)
    usage = reply(*events, cost=lambda usage: f"0.{usage[Unit.INPUT]:03}", currency="RUB")["usage"]
    assert (usage["cost"], usage["cost_currency"]) == (0.002, "RUB")
    assert "cost" not in reply(*events)["usage"]


def test_searches_are_counted_where_clients_look_for_them(reply):
    body = reply(START, *text(0, "a"), Metered({Unit.WEB_SEARCH: 3}), END)
    assert body["tool_usage"]["web_search"]["num_requests"] == 3
    assert "tool_usage" not in reply(START, *text(0, "a"), END)


def test_a_failure_in_the_middle_is_an_error_and_a_failed_response(sent):
    failed = Failed(kind="rate_limited", message="Slow down.", status=429)
    events = sent(START, PartStart(0, Text("")), PartDelta(0, "a"), Metered({Unit.INPUT: 5}), failed=failed)
    error, last = events[-2:]
    assert (error["type"], error["code"], error["message"], error["param"]) == (
        "error",
        "rate_limit_exceeded",
        "Slow down.",
        None,
    )
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": "rate_limit_exceeded", "message": "Slow down."}
    assert last["response"]["usage"]["input_tokens"] == 5
    assert "response.completed" not in [event["type"] for event in events]


def test_a_body_that_failed_is_no_body(reply):
    with pytest.raises(json.JSONDecodeError):
        reply(START, failed=Failed(kind="internal", message="x"))


def test_a_reply_that_only_ends_is_completed(sent):
    assert sent(START, *text(0, "a"))[-1]["type"] == "response.completed"


# --- the response object ------------------------------------------------------------------------------------------


def test_the_response_tells_the_request_again(reply):
    parameters = Raw(b'{"type":"object","properties":{},"additionalProperties":false}')
    request = Request(
        model="asked",
        system=(Message(role="system", parts=(Text("Be brief."),)),),
        tools=(FunctionTool(name="f", parameters=parameters, strict=True), CustomTool(name="c", namespace="n")),
        tool_choice=ToolChoice(mode="required", names=("f",), parallel=False),
        sampling=Sampling(temperature=0.0, top_p=0.5),
        reasoning=Reasoning(effort="high", show="detailed"),
        format=JsonSchema(schema=Raw(b'{"b":1,"a":2}'), name="n", strict=True),
        output_tokens_max=99,
        server_tool_calls_max=2,
        storage=Storage(store=False, previous_response_id="resp_0", background=False),
        truncation="auto",
        metadata={"k": "v"},
        user="u",
        verbosity="low",
    )
    body = reply(START, *text(0, "a"), END, request=request)
    expected = {
        "instructions": "Be brief.",
        "tool_choice": {"type": "function", "name": "f"},
        "parallel_tool_calls": False,
        "temperature": 0.0,
        "top_p": 0.5,
        "reasoning": {"effort": "high", "summary": "detailed"},
        "max_output_tokens": 99,
        "max_tool_calls": 2,
        "store": False,
        "previous_response_id": "resp_0",
        "background": False,
        "truncation": "auto",
        "metadata": {"k": "v"},
        "user": "u",
        "error": None,
        "incomplete_details": None,
        "model": "asked",
        "service_tier": "default",
        "object": "response",
        "created_at": 5,
        "created": 5,
    }
    assert {name: body[name] for name in expected} == expected
    assert body["text"] == {
        "format": {"type": "json_schema", "name": "n", "schema": {"b": 1, "a": 2}, "strict": True},
        "verbosity": "low",
    }
    assert [tool["type"] for tool in body["tools"]] == ["function", "namespace"]
    assert body["tools"][0]["strict"] is True


def test_defaults_are_told_where_nothing_was_said(reply):
    body = reply(Start(id="resp_own", model="x"), *text(0, "a"), END)
    assert (body["id"], body["created_at"], body["service_tier"]) == ("resp_own", 7, "default")
    assert (body["temperature"], body["top_p"], body["tool_choice"], body["tools"]) == (1.0, 1.0, "auto", [])
    assert (body["store"], body["truncation"], body["parallel_tool_calls"]) == (True, "disabled", True)
    assert body["instructions"] is None
