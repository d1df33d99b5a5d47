"""A reply as a client of Messages reads it, as one body and as a stream."""

import json

import pytest
from msgspec import Raw
from msgspec.structs import replace

from proxyapi.dialects.anthropic.codec import AnthropicCodec
from proxyapi.dialects.model import (
    Audio,
    Compaction,
    DocumentCitation,
    Failed,
    Finish,
    Image,
    Inline,
    KeepAlive,
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
    ReasoningState,
    Refusal,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Start,
    Text,
    Thinking,
    ToolUse,
    UrlCitation,
)
from proxyapi.usage import Unit

START = Start(id="reply-1", model="provider-model")
GOOGLE = ReasoningState("google_signature", "sig", "google")
OPENAI = ReasoningState("openai_encrypted", "enc", "openai")
UNSIGNED = "gw1.other.."
"""The proof of thinking that has none, as the tests' `seal` writes it."""


def part(index, what, *deltas):
    return [PartStart(index, what), *(PartDelta(index, delta) for delta in deltas), PartEnd(index)]


def reply(*events, reason="end", **end):
    flat = [event for group in events for event in (group if isinstance(group, list) else [group])]
    return [START, *flat, Finish(reason=reason, **end), Metered({Unit.INPUT: 7, Unit.OUTPUT: 5})]


def blocks_of(events):
    """The blocks that the events of a stream add up to."""
    found = []
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert event["index"] == len(found)
                found.append(dict(event["content_block"]))
            case "content_block_delta":
                delta, block = event["delta"], found[-1]
                for name, value in delta.items():
                    if name in ("text", "thinking"):
                        block[name] += value
                    elif name == "partial_json":
                        block["input"] = (block["input"] or "") + value
                    elif name == "citation":
                        block.setdefault("citations", []).append(value)
                    elif name != "type":
                        block[name] = value
            case "content_block_stop" if isinstance(found[-1].get("input"), str):
                found[-1]["input"] = json.loads(found[-1]["input"])
            case _:
                pass
    return found


@pytest.fixture
def both(streamed, whole):
    """The blocks of a reply, the same in both forms."""

    def run(events):
        found = blocks_of(streamed(events))
        assert found == whole(events)["content"]
        return found

    return run


# --- grammar ------------------------------------------------------------------------------------------------------


def test_a_stream_is_start_blocks_delta_stop_in_this_order(streamed):
    events = streamed(reply(part(0, Text(""), "Hel", "lo"), part(1, ToolUse("t", "f", ""), "{}"), reason="tool_use"))
    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
        "content_block_start", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    assert [event["index"] for event in events[1:-2]] == [0, 0, 0, 0, 1, 1, 1]
    assert events[0]["message"] == {
        "id": "reply-1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 0,
        },
    }
    assert events[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert (events[-2]["usage"]["input_tokens"], events[-2]["usage"]["output_tokens"]) == (7, 5)


def test_every_delta_leaves_at_once(asked):
    encoder = AnthropicCodec().encoder(stream=True, asked=asked)
    for event in reply(part(0, Text(""), "a", "b", "c"))[:5]:
        data = encoder.feed([event])
        if isinstance(event, PartDelta):
            assert json.dumps(event.text).encode() in data


def test_usage_that_is_known_at_the_beginning_is_told_there_too(streamed):
    events = [START, Metered({Unit.INPUT: 7}), *part(0, Text(""), "a"), Finish(reason="end")]
    started = streamed(events, one_piece=True)[0]
    assert started["message"]["usage"]["input_tokens"] == 7


def test_the_last_usage_counts_also_after_the_end(streamed):
    events = [START, Metered({Unit.OUTPUT: 1}), Finish(reason="end"), Metered({Unit.INPUT: 3, Unit.OUTPUT: 9})]
    usage = streamed(events)[-2]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (3, 9)


def test_an_empty_reply_is_still_a_whole_stream(streamed):
    kinds = [event["type"] for event in streamed([START, Finish(reason="end")])]
    assert kinds == ["message_start", "message_delta", "message_stop"]


def test_a_sign_of_life_is_a_ping_between_the_others(streamed):
    events = streamed([START, KeepAlive(), *part(0, Text(""), "a"), KeepAlive(), Finish(reason="end")])
    assert [event["type"] for event in events][:2] == ["message_start", "ping"]
    assert events[5] == {"type": "ping"}


def test_an_error_is_an_event_of_its_own_and_nothing_looks_like_success(asked):
    encoder = AnthropicCodec().encoder(stream=True, asked=asked)
    encoder.feed([START, PartStart(0, Text("")), PartDelta(0, "Hel")])
    data = encoder.fail(Failed(kind="overloaded", message="Too much."), "req_1")
    assert data == (
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Too much."},'
        b'"request_id":"req_1"}\n\n'
    )


def test_a_body_is_one_message(whole):
    body = whole(reply(part(0, Text(""), "Hello"), stop_sequence="END", reason="stop_sequence"))
    assert {name: body[name] for name in body if name != "usage"} == {
        "id": "reply-1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "stop_sequence",
        "stop_sequence": "END",
    }


# --- ends ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end", "end_turn"),
        ("stop_sequence", "stop_sequence"),
        ("length", "max_tokens"),
        ("context_window", "model_context_window_exceeded"),
        ("tool_use", "tool_use"),
        ("pause", "pause_turn"),
        ("refusal", "refusal"),
        ("content_filter", "refusal"),
        ("recitation", "refusal"),
        ("malformed", "end_turn"),
        ("compacted", "compaction"),
        ("cancelled", "end_turn"),
        ("other", "end_turn"),
    ],
)
def test_stop_reasons(whole, streamed, reason, expected):
    events = reply(part(0, Text(""), "a"), reason=reason)
    assert whole(events)["stop_reason"] == streamed(events)[-2]["delta"]["stop_reason"] == expected


def test_a_refusal_says_why(whole):
    body = whole(reply(part(0, Refusal(""), "No."), reason="refusal", category="cyber", message="Because."))
    assert body["content"] == [{"type": "text", "text": "No."}]
    assert body["stop_details"] == {"type": "refusal", "category": "cyber", "explanation": "Because."}


def test_the_price_is_told_where_it_is_asked_for(asked):
    paid = replace(asked, cost=lambda usage: f"0.{usage[Unit.INPUT]}", currency="RUB")
    stream = AnthropicCodec().encoder(stream=True, asked=paid)
    data = stream.feed(reply(part(0, Text(""), "a")))
    assert b"cost" not in data
    assert b'"cost":0.7,"cost_currency":"RUB"' in stream.close()
    body = AnthropicCodec().encoder(stream=False, asked=paid)
    body.feed(reply(part(0, Text(""), "a")))
    assert b'"cost":0.7,"cost_currency":"RUB"' in body.close()


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        ("default", {"service_tier": "standard"}),
        ("priority", {"service_tier": "priority"}),
        ("fast", {"service_tier": "standard", "speed": "fast"}),
        ("", {}),
    ],
)
def test_the_tier_is_told_in_the_dialects_words(whole, streamed, tier, expected):
    events = [replace(START, tier=tier), Finish(reason="end")]
    for usage in (whole(events)["usage"], streamed(events)[0]["message"]["usage"]):
        assert {name: usage[name] for name in ("service_tier", "speed") if name in usage} == expected


def test_side_values_of_the_dialect_are_passed_on_and_others_are_not(whole, streamed):
    events = [
        START,
        Notice("anthropic", "container", Raw(b'{"id":"c"}')),
        Notice("anthropic", "context_management", Raw(b'{"applied_edits":[]}')),
        Notice("gemini", "safetyRatings", Raw(b"[]")),
        Finish(reason="end"),
    ]
    body, delta = whole(events), streamed(events)[-2]
    assert (body["container"], body["context_management"]) == ({"id": "c"}, {"applied_edits": []})
    assert (delta["delta"]["container"], delta["context_management"]) == ({"id": "c"}, {"applied_edits": []})
    assert "safetyRatings" not in body


# --- calls --------------------------------------------------------------------------------------------------------


def test_arguments_grow_and_are_an_object_in_the_end(both):
    assert both(reply(part(0, ToolUse("t", "f", ""), '{"b": 1,', ' "a": "é"}'))) == [
        {"type": "tool_use", "id": "t", "name": "f", "input": {"b": 1, "a": "é"}}
    ]


def test_arguments_of_a_body_are_byte_for_byte_what_the_provider_sent(asked):
    encoder = AnthropicCodec().encoder(stream=False, asked=asked)
    encoder.feed(reply(part(0, ToolUse("t", "f", ""), '{"b": 1.0,  "a": 2}')))
    assert b'"input":{"b": 1.0,  "a": 2}' in encoder.close()


def test_arguments_that_come_with_the_start_are_not_lost(both):
    assert both(reply(part(0, ToolUse("t", "f", '{"a": 1}'))))[0]["input"] == {"a": 1}


def test_a_call_without_arguments_gets_an_empty_object_and_one_valid_json(both, streamed):
    events = reply(part(0, ToolUse("t", "f", "")))
    assert both(events)[0]["input"] == {}
    deltas = [event["delta"] for event in streamed(events) if event["type"] == "content_block_delta"]
    assert deltas == [{"type": "input_json_delta", "partial_json": "{}"}]


def test_calls_one_after_another_are_blocks_of_their_own(both):
    found = both(reply(part(0, ToolUse("t1", "f", ""), "{}"), part(1, ToolUse("t2", "g", ""), "{}")))
    assert [block["id"] for block in found] == ["t1", "t2"]


def test_a_call_of_free_text_is_an_object_of_one_text(both):
    assert both(reply(part(0, ToolUse("t", "f", "", "custom"), "free ", "text")))[0]["input"] == {"input": "free text"}


def test_a_call_that_was_cut_is_not_shown_as_a_finished_one(whole, streamed):
    cut = [PartStart(0, ToolUse("t", "f", "")), PartDelta(0, '{"a'), PartEnd(0, incomplete=True)]
    events = reply(part(1, Text(""), "a"), cut, reason="length")
    assert [block["type"] for block in whole(events)["content"]] == ["text"]
    told = streamed(events)
    assert told[-2]["delta"]["stop_reason"] == "max_tokens"
    assert [event["type"] for event in told].count("content_block_stop") == 2


# --- thinking -----------------------------------------------------------------------------------------------------


def test_a_proof_is_told_whole_and_once_before_the_end_of_its_block(both, streamed):
    thought = [PartStart(0, Thinking()), PartDelta(0, "h"), PartState(0, GOOGLE), PartDelta(0, "m"),
               PartState(0, OPENAI), PartEnd(0)]  # fmt: skip
    events = reply(thought, part(1, Text(""), "a"))
    assert both(events)[0] == {"type": "thinking", "thinking": "hm", "signature": "gw1.openai_encrypted.openai.enc"}
    kinds = [event.get("delta", event)["type"] for event in streamed(events)[1:6]]
    assert kinds == ["content_block_start", "thinking_delta", "thinking_delta", "signature_delta", "content_block_stop"]


def test_a_proof_without_words_is_redacted_thinking(both):
    found = both(reply([PartStart(0, Thinking()), PartState(0, OPENAI), PartEnd(0)], part(1, Text(""), "a")))
    assert found[0] == {"type": "redacted_thinking", "data": "gw1.openai_encrypted.openai.enc"}
    assert both(reply(part(0, Thinking(state=OPENAI)))) == found[:1]


def test_thinking_without_words_and_without_proof_is_nothing(both):
    assert [block["type"] for block in both(reply(part(0, Thinking()), part(1, Text(""), "a")))] == ["text"]


def test_thinking_without_a_proof_is_signed_for_nothing_so_that_clients_send_it_back(both):
    found = both(reply(part(0, Thinking(), "hm"), part(1, Text(""), "a")))
    assert found == [{"type": "thinking", "thinking": "hm", "signature": UNSIGNED}, {"type": "text", "text": "a"}]
    assert both(reply(part(0, Thinking(), "hm")))[0]["signature"] == UNSIGNED


def test_no_thought_is_told_as_an_answer_and_no_answer_as_a_thought(both):
    found = both(
        reply(part(0, Thinking(), "hm"), part(1, Text(""), "a"), part(2, Thinking(), "ah"), part(3, Text(""), "b"))
    )
    assert [block.get("thinking", block.get("text")) for block in found] == ["hm", "a", "ah", "b"]
    assert [block["type"] for block in found] == ["thinking", "text", "thinking", "text"]


def test_summaries_are_one_thought_in_paragraphs(both):
    thought = [
        PartStart(0, Thinking()),
        PartSummary(0, 0, "a"),
        PartSummary(0, 0, "b"),
        PartSummary(0, 1, "c"),
        PartEnd(0),
    ]
    assert both(reply(thought))[0]["thinking"] == "ab\n\nc"


def test_raw_thoughts_and_their_summary_are_not_told_twice(both):
    thought = [PartStart(0, Thinking()), PartDelta(0, "raw"), PartSummary(0, 0, "short"), PartEnd(0)]
    assert both(reply(thought))[0]["thinking"] == "raw"
    thought = [PartStart(0, Thinking()), PartSummary(0, 0, "short"), PartDelta(0, "raw"), PartEnd(0)]
    assert both(reply(thought))[0]["thinking"] == "short"


# --- states of other providers --------------------------------------------------------------------------------------

CALL = {"type": "tool_use", "id": "t", "name": "f", "input": {}}


def call_with_state(index):
    return [PartStart(index, ToolUse("t", "f", "")), PartDelta(index, "{}"), PartState(index, GOOGLE), PartEnd(index)]


def test_a_state_that_comes_with_its_call_is_carried_by_the_thinking_before_it(streamed, whole):
    events = reply(part(0, Thinking(), "hm"), call_with_state(1))
    expected = [
        {"type": "thinking", "thinking": "hm", "signature": "gw1.google_signature.google.sig/next"},
        CALL,
    ]
    assert whole(events)["content"] == expected
    pieces = [events[:4], events[4:]]
    assert blocks_of(streamed([event for piece in pieces for event in piece], one_piece=True)) == expected


def test_without_thinking_it_is_carried_by_a_block_of_its_own_directly_before_the_call(streamed, whole):
    events = reply(part(0, Text(""), "a"), call_with_state(1))
    expected = [
        {"type": "text", "text": "a"},
        {"type": "redacted_thinking", "data": "gw1.google_signature.google.sig/next"},
        CALL,
    ]
    assert whole(events)["content"] == blocks_of(streamed(events, one_piece=True)) == expected


def test_a_state_that_comes_after_its_text_is_carried_behind_it(streamed):
    late = [PartStart(0, Text("")), PartDelta(0, "a"), PartState(0, GOOGLE), PartEnd(0)]
    assert blocks_of(streamed(reply(late))) == [
        {"type": "text", "text": "a"},
        {"type": "redacted_thinking", "data": "gw1.google_signature.google.sig/before"},
    ]


def test_of_parallel_calls_only_the_one_that_had_a_state_gets_it_back(whole):
    events = reply(call_with_state(0), part(1, ToolUse("t2", "g", ""), "{}"))
    assert [block["type"] for block in whole(events)["content"]] == ["redacted_thinking", "tool_use", "tool_use"]


def test_states_are_where_they_were_when_a_client_sends_its_answer_back(whole, streamed, decoded, unsealed):
    events = reply(
        [PartStart(0, Thinking()), PartDelta(0, "hm"), PartState(0, OPENAI), PartEnd(0)],
        part(1, Thinking(), "ah"),
        [PartStart(2, Text("")), PartDelta(2, "a"), PartState(2, GOOGLE), PartEnd(2)],
        call_with_state(3),
        reason="tool_use",
    )
    expected = (
        Thinking(summaries=("hm",), state=OPENAI),
        Thinking("ah"),
        Text("a", state=GOOGLE),
        ToolUse("t", "f", "{}", state=GOOGLE),
    )
    for content in (whole(events)["content"], blocks_of(streamed(events)), blocks_of(streamed(events, one_piece=True))):
        messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": content}]
        messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]})
        found = decoded(messages=messages, unseal=unsealed).messages[1].parts
        assert found == expected


# --- citations ----------------------------------------------------------------------------------------------------

CITED = UrlCitation("https://a.example", "T", 6, 11, "words")
WIRE = {
    "type": "web_search_result_location",
    "url": "https://a.example",
    "title": "T",
    "cited_text": "words",
    "encrypted_index": "",
}


def test_a_body_is_cut_where_what_is_cited_begins_and_ends(whole):
    text = [PartStart(0, Text("")), PartDelta(0, "Hello world, bye"), PartCitation(0, CITED), PartEnd(0)]
    assert whole(reply(text))["content"] == [
        {"type": "text", "text": "Hello "},
        {"type": "text", "text": "world", "citations": [WIRE]},
        {"type": "text", "text": ", bye"},
    ]


def test_a_citation_beyond_the_text_cites_what_there_is(whole):
    beyond = replace(CITED, start=3, end=99)
    text = [PartStart(0, Text("")), PartDelta(0, "Hello"), PartCitation(0, beyond), PartEnd(0)]
    assert [block["text"] for block in whole(reply(text))["content"]] == ["Hel", "lo"]


@pytest.mark.parametrize("span", [(0, 0), (3, 3), (9, 12)])
def test_a_citation_of_no_passage_cites_all_of_the_text(whole, span):
    nowhere = replace(CITED, start=span[0], end=span[1])
    text = [PartStart(0, Text("")), PartDelta(0, "Hello"), PartCitation(0, nowhere), PartEnd(0)]
    assert whole(reply(text))["content"] == [{"type": "text", "text": "Hello", "citations": [WIRE]}]


def test_a_stream_cites_the_text_so_far_and_goes_on_in_another_block(streamed):
    text = [PartStart(0, Text("")), PartDelta(0, "Hello"), PartDelta(0, " world"), PartCitation(0, CITED),
            PartCitation(0, CITED), PartDelta(0, ", "), PartDelta(0, "bye"), PartEnd(0)]  # fmt: skip
    assert blocks_of(streamed(reply(text))) == [
        {"type": "text", "text": "Hello world", "citations": [WIRE, WIRE]},
        {"type": "text", "text": ", bye"},
    ]


def test_citations_that_come_before_their_text_stay_in_its_block(both):
    text = [
        PartStart(0, Text("")),
        PartCitation(0, replace(CITED, start=None, end=None)),
        PartDelta(0, "Hello"),
        PartEnd(0),
    ]
    assert both(reply(text)) == [{"type": "text", "text": "Hello", "citations": [WIRE]}]


def test_a_citation_of_a_file_elsewhere_has_no_form_and_the_text_is_whole(both):
    elsewhere = DocumentCitation("file", 0, file_id="f")
    text = [PartStart(0, Text("")), PartDelta(0, "Hello"), PartCitation(0, elsewhere), PartEnd(0)]
    assert both(reply(text)) == [{"type": "text", "text": "Hello"}]


# --- hosted tools and what else a provider may send -----------------------------------------------------------------

PAGES = ServerToolResult("ws_1", "web_search", (SearchResult("https://a.example", "T", ()),))
SEARCHED = [
    {"type": "server_tool_use", "id": "gw1.ws_1", "name": "web_search", "input": {"query": "q"}},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "gw1.ws_1",
        "content": [
            {"type": "web_search_result", "url": "https://a.example", "title": "T", "encrypted_content": "",
             "page_age": None}
        ],
    },
]  # fmt: skip


def test_a_search_of_another_provider_is_a_call_and_its_result(both):
    use = ServerToolUse("ws_1", "web_search", "web_search")
    as_parts = reply(part(0, use, '{"query":"q"}'), part(1, PAGES))
    assert both(as_parts) == SEARCHED
    as_one = reply([PartStart(0, use), PartDelta(0, '{"query":"q"}'), PartEnd(0, result=PAGES)])
    assert both(as_one) == SEARCHED


def test_a_result_of_the_dialect_is_told_as_received_in_one_line(streamed, whole):
    native = Raw(b'{\n "type": "web_search_tool_result",\n "tool_use_id": "srvtoolu_1",\n "content": []}')
    events = reply(
        part(0, ServerToolUse("srvtoolu_1", "web_search", "web_search")),
        part(1, ServerToolResult("srvtoolu_1", "web_search", native=native)),
    )
    for content in (blocks_of(streamed(events)), whole(events)["content"]):
        assert content[0]["id"] == "srvtoolu_1"
        assert content[1] == {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}


def test_a_summary_of_older_turns_is_a_block_with_its_proof(both):
    summary = [
        PartStart(0, Compaction()),
        PartDelta(0, "It was "),
        PartDelta(0, "long."),
        PartState(0, OPENAI),
        PartEnd(0),
    ]
    assert both(reply(summary)) == [
        {"type": "compaction", "content": "It was long.", "encrypted_content": "gw1.openai_encrypted.openai.enc"}
    ]


def test_a_sound_is_told_by_its_words_and_a_picture_by_a_sentence(both):
    sound = [PartStart(0, Audio(Inline("", ""))), PartData(0, "AAAA"), PartDelta(0, "Hello"), PartEnd(0)]
    picture = [PartStart(1, Image(Inline("", "image/png"))), PartData(1, "AAAA"), PartEnd(1)]
    texts = [block["text"] for block in both(reply(sound, picture))]
    assert texts == ["Hello", "(A picture that cannot be shown here.)"]


def test_blocks_of_other_dialects_are_left_out_and_those_of_this_one_kept(both):
    upload = {"type": "container_upload", "file_id": "f"}
    events = reply(
        part(0, Native("anthropic", "container_upload", Raw(json.dumps(upload).encode()))),
        part(1, Native("gemini", "toolCall", Raw(b"{}"))),
        part(2, Text(""), "a"),
    )
    assert both(events) == [upload, {"type": "text", "text": "a"}]
