"""Replies of Chat providers to events: what translation needs of them beyond texts and counts."""

import json

import pytest

from proxyapi.dialects.codec import TargetModel
from proxyapi.dialects.model import (
    Audio,
    DocumentCitation,
    Finish,
    Image,
    Inline,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    ReasoningState,
    Refusal,
    Start,
    Text,
    Thinking,
    TokenLogprob,
    ToolUse,
    UrlCitation,
)
from proxyapi.dialects.openai_chat.codec import ChatCodec
from proxyapi.dialects.quirks import Quirks

STOP = {"index": 0, "delta": {}, "finish_reason": "stop"}


def chunk(delta, **choice):
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta} | choice]}


def call(index, identity=None, name=None, arguments=None):
    function = {"name": name, "arguments": arguments}
    return {
        "index": index,
        "id": identity,
        "function": {key: value for key, value in function.items() if value is not None},
    }


@pytest.fixture
def streamed():
    """Events of chunks, without the start and the finish."""

    def run(*chunks, **quirks):
        decoder = ChatCodec().decoder(stream=True, target=TargetModel(model="m", quirks=Quirks(**quirks)))
        events = []
        for one in (*chunks, {"choices": [STOP]}):
            events += decoder.feed(b"data: " + json.dumps(one).encode() + b"\n\n")
        events += decoder.feed(b"data: [DONE]\n\n")
        assert decoder.finished
        return [event for event in (*events, *decoder.close()) if not isinstance(event, Start | Finish)]

    return run


@pytest.fixture
def whole():
    """Events of one body with this message, without the start and the finish."""

    def run(message, *, quirks=None, top=None, **choice):
        decoder = ChatCodec().decoder(stream=False, target=TargetModel(model="m", quirks=Quirks(**(quirks or {}))))
        choices = [{"index": 0, "message": message, "finish_reason": "stop"} | choice]
        decoder.feed(json.dumps({"id": "c", "model": "m", "choices": choices} | (top or {})).encode())
        return [event for event in decoder.close() if not isinstance(event, Start | Finish)]

    return run


# --- endings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("native", ["length", "max_tokens", "max_output_tokens", "MAX_TOKENS"])
def test_a_call_that_ended_at_the_limit_is_cut_although_an_aggregator_says_tool_calls(native):
    decoder = ChatCodec().decoder(stream=True, target=TargetModel(model="m"))
    ending = {"finish_reason": "tool_calls", "native_finish_reason": native}
    started = chunk({"tool_calls": [call(0, "a", "f", '{"x"')]})
    events = [
        event
        for one in (started, chunk({}, **ending))
        for event in decoder.feed(b"data: %b\n\n" % json.dumps(one).encode())
    ]
    assert [event.reason for event in events if isinstance(event, Finish)] == ["length"]


# --- text and sources -------------------------------------------------------------------------------------------------


def test_the_message_of_a_body_counts_and_not_an_empty_delta_beside_it(whole):
    events = whole({"content": "4"}, delta={"role": "assistant", "content": ""})
    assert events == [PartStart(0, Text("")), PartDelta(0, "4"), PartEnd(0)]


def test_the_deltas_of_a_stream_count_and_not_the_message_so_far_beside_them(streamed):
    events = streamed(
        chunk({"content": "a"}, message={"content": "a"}), chunk({"content": "b"}, message={"content": "ab"})
    )
    assert events == [PartStart(0, Text("")), PartDelta(0, "a"), PartDelta(0, "b"), PartEnd(0)]


@pytest.mark.parametrize(("told", "meant"), [((0, 0), (None, None)), ((0, 1), (0, 1)), ((1, 2), (1, 2))])
def test_a_source_of_no_passage_is_one_of_the_whole_text(whole, told, meant):
    page = {"url": "https://a.example", "title": "A", "start_index": told[0], "end_index": told[1]}
    events = whole({"content": "abc", "annotations": [{"type": "url_citation", "url_citation": page}]})
    assert PartCitation(0, UrlCitation("https://a.example", "A", *meant)) in events


# --- calls --------------------------------------------------------------------------------------------------------


def test_argument_deltas_are_routed_by_the_index_of_their_call(streamed):
    assert streamed(
        chunk({"tool_calls": [call(0, "a", "f", "")]}),
        chunk({"tool_calls": [call(1, "b", "g", "")]}),
        chunk({"tool_calls": [call(0, arguments='{"x"')]}),
        chunk({"tool_calls": [call(1, arguments="{}")]}),
        chunk({"tool_calls": [call(0, arguments=":1}")]}),
    ) == [
        PartStart(0, ToolUse("a", "f", "")),
        PartStart(1, ToolUse("b", "g", "")),
        PartDelta(0, '{"x"'),
        PartDelta(1, "{}"),
        PartDelta(0, ":1}"),
        PartEnd(0),
        PartEnd(1),
    ]


def test_calls_that_all_say_index_0_are_told_apart_by_their_ids(streamed):
    events = streamed(
        chunk({"tool_calls": [call(0, "a", "f", "{}")]}),
        chunk({"tool_calls": [call(0, "b", "g", "[]")]}),
        chunk({"tool_calls": [call(0, "b", arguments=" ")]}),
    )
    assert [event for event in events if isinstance(event, PartDelta)] == [
        PartDelta(0, "{}"),
        PartDelta(1, "[]"),
        PartDelta(1, " "),
    ]


def test_calls_without_an_index_are_told_apart_by_their_place(streamed):
    nameless = [{"id": None, "function": {"name": name, "arguments": "{}"}} for name in "fg"]
    events = streamed(chunk({"tool_calls": nameless}))
    assert [event.part.name for event in events if isinstance(event, PartStart)] == ["f", "g"]


def test_a_call_whose_name_comes_late_waits_for_it_with_its_arguments(streamed):
    assert streamed(
        chunk({"tool_calls": [call(0, "a", "", "{")]}),
        chunk({"tool_calls": [call(0, arguments='"x"')]}),
        chunk({"tool_calls": [call(0, name="f", arguments=":1}")]}),
    ) == [PartStart(0, ToolUse("a", "f", "")), PartDelta(0, '{"x":1}'), PartEnd(0)]


def test_a_call_whose_name_never_comes_is_not_lost(streamed):
    assert streamed(chunk({"tool_calls": [call(0, "a", arguments="{}")]})) == [
        PartStart(0, ToolUse("a", "", "")),
        PartDelta(0, "{}"),
        PartEnd(0),
    ]


def test_a_whole_call_in_one_chunk_keeps_its_arguments(streamed):
    assert streamed(chunk({"tool_calls": [call(0, "a", "f", '{"x": 1}')]})) == [
        PartStart(0, ToolUse("a", "f", "")),
        PartDelta(0, '{"x": 1}'),
        PartEnd(0),
    ]


def test_arguments_that_are_an_object_are_serialised_once_with_their_keys_in_order(streamed):
    events = streamed(chunk({"tool_calls": [call(0, "a", "f", {"b": 1, "a": 2})]}))
    assert events[1] == PartDelta(0, '{"b":1,"a":2}')


def test_a_free_text_call_and_a_legacy_call_are_calls(whole):
    assert whole({"tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "c", "input": "ls"}}]}) == [
        PartStart(0, ToolUse("a", "c", "", "custom")),
        PartDelta(0, "ls"),
        PartEnd(0),
    ]
    assert whole({"function_call": {"name": "f", "arguments": "{}"}}) == [
        PartStart(0, ToolUse("", "f", "")),
        PartDelta(0, "{}"),
        PartEnd(0),
    ]


# --- reasoning ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "Hm.", "content": "Yes."},
        {"reasoning": "Hm.", "content": "Yes."},
        {"reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}], "content": "Yes."},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "Hm."}], "content": "Yes."},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                {"type": "text", "text": "Yes."},
            ]
        },
    ],
)
def test_a_thought_comes_once_and_before_what_it_led_to(whole, streamed, message):
    told = [
        PartStart(0, Thinking()),
        PartDelta(0, "Hm."),
        PartEnd(0),
        PartStart(1, Text("")),
        PartDelta(1, "Yes."),
        PartEnd(1),
    ]
    assert whole(message) == told
    assert streamed(chunk(message)) == told


def test_each_thought_has_its_own_proof(whole):
    details = [
        {"type": "reasoning.encrypted", "data": "AAAA", "format": "openai-responses-v1", "id": "rs_1", "index": 0},
        {"type": "reasoning.summary", "summary": "Then.", "index": 1},
        {"type": "reasoning.encrypted", "data": "BBBB", "format": "openai-responses-v1", "id": "rs_2", "index": 2},
    ]
    assert whole({"reasoning": "Then.", "reasoning_details": details}) == [
        PartStart(0, Thinking()),
        PartState(0, ReasoningState("openai_encrypted", "AAAA", id="rs_1")),
        PartEnd(0),
        PartStart(1, Thinking()),
        PartDelta(1, "Then."),
        PartState(1, ReasoningState("openai_encrypted", "BBBB", id="rs_2")),
        PartEnd(1),
    ]


@pytest.mark.parametrize(
    ("detail", "kind"),
    [
        ({"type": "reasoning.text", "signature": "AAAA", "format": "anthropic-claude-v1"}, "anthropic_signature"),
        ({"type": "reasoning.encrypted", "data": "AAAA", "format": "anthropic-claude-v1"}, "anthropic_redacted"),
        ({"type": "reasoning.encrypted", "data": "AAAA", "format": "google-gemini-v1"}, "google_signature"),
        ({"type": "reasoning.encrypted", "data": "AAAA", "format": "xai-responses-v1"}, "xai_encrypted"),
        ({"type": "reasoning.encrypted", "data": "AAAA"}, "other"),
    ],
)
def test_a_proof_bears_the_kind_of_its_maker(whole, detail, kind):
    assert whole({"reasoning_details": [detail]})[1] == PartState(0, ReasoningState(kind, "AAAA"))


def test_details_that_repeat_a_thought_are_not_told_twice(streamed):
    detail = {"type": "reasoning.text", "text": "Hm.", "signature": "AAAA", "format": "anthropic-claude-v1"}
    events = streamed(chunk({"reasoning_content": "Hm."}), chunk({"reasoning_details": [detail]}))
    assert [event.text for event in events if isinstance(event, PartDelta)] == ["Hm."]
    assert PartState(0, ReasoningState("anthropic_signature", "AAAA")) in events


def test_signatures_of_googles_are_read_on_calls_and_on_the_message(whole):
    extra = {"extra_content": {"google": {"thought_signature": "AAAA"}}}
    signature = ReasoningState("google_signature", "AAAA")
    assert whole({"content": "Yes."} | extra)[2] == PartState(0, signature)
    assert whole({"tool_calls": [call(0, "a", "f", "{}") | extra]})[2] == PartState(0, signature)


def test_a_signature_of_a_message_that_is_calls_alone_is_that_of_its_first_call(whole):
    extra = {"extra_content": {"google": {"thought_signature": "AAAA"}}}
    events = whole({"tool_calls": [call(0, "a", "f", "{}"), call(1, "b", "g", "{}")]} | extra)
    assert [event.index for event in events if isinstance(event, PartState)] == [0]


def test_what_stands_beside_a_text_belongs_to_it_though_calls_follow(whole):
    note = {"type": "url_citation", "url_citation": {"url": "https://a.example"}}
    extra = {"google": {"thought_signature": "AAAA"}}
    message = {
        "content": "Yes.",
        "annotations": [note],
        "extra_content": extra,
        "tool_calls": [call(0, "a", "f", "{}")],
    }
    assert [type(event) for event in whole(message)[:5]] == [PartStart, PartDelta, PartCitation, PartState, PartEnd]


def test_thoughts_between_tags_are_told_apart_where_the_model_writes_them(whole, streamed):
    told = [
        PartStart(0, Thinking()),
        PartDelta(0, "Hm."),
        PartEnd(0),
        PartStart(1, Text("")),
        PartDelta(1, "Yes."),
        PartEnd(1),
    ]
    content = "<think>\nHm.\n</think>\n\nYes."
    assert whole({"content": content}, quirks={"reasoning_field": "think_tags"}) == told
    assert streamed(chunk({"content": content}), reasoning_field="think_tags") == told
    assert whole({"content": content})[1] == PartDelta(0, content)


# --- beside the text ----------------------------------------------------------------------------------------------

TOKEN = {
    "token": "Yes",
    "logprob": -0.5,
    "bytes": [89],
    "top_logprobs": [{"token": "No", "logprob": -1.0, "bytes": None}],
}
READ = TokenLogprob("Yes", -0.5, (89,), (TokenLogprob("No", -1.0),))


def test_probabilities_ride_on_the_text_of_their_tokens(streamed, whole):
    wire = {"content": [TOKEN], "refusal": None}
    assert streamed(chunk({"content": "Yes"}, logprobs=wire))[1] == PartDelta(0, "Yes", (READ,))
    events = whole(
        {"reasoning_content": "Hm.", "content": "Yes"}, logprobs=wire | {"reasoning_content": [TOKEN, TOKEN]}
    )
    assert [event for event in events if isinstance(event, PartDelta)] == [
        PartDelta(0, "Hm.", (READ, READ)),
        PartDelta(1, "Yes", (READ,)),
    ]


def test_odd_probabilities_are_none(streamed):
    assert streamed(chunk({"content": "Yes"}, logprobs={"content": "odd"}))[1] == PartDelta(0, "Yes")


def test_annotations_are_citations(whole):
    page = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 4, "content": "…"}
    file = {"file_id": "file-1", "filename": "a.pdf", "index": 3}
    notes = [
        {"type": "url_citation", "url_citation": page},
        {"type": "file_citation", "file_citation": file},
        {"type": "odd"},
    ]
    events = whole({"content": "Yes.", "annotations": notes})
    assert [event.citation for event in events if isinstance(event, PartCitation)] == [
        UrlCitation("https://a.example", "A", 0, 4, "…"),
        DocumentCitation("file", 3, title="a.pdf", file_id="file-1"),
    ]


def test_sources_of_a_whole_answer_are_citations_without_a_place(whole):
    top = {
        "citations": ["https://a.example", "https://b.example"],
        "search_results": [{"url": "https://a.example", "title": "A"}],
    }
    events = whole({"content": "Yes."}, top=top)
    assert events[2:4] == [
        PartCitation(0, UrlCitation("https://a.example", "A")),
        PartCitation(0, UrlCitation("https://b.example")),
    ]


def test_pictures_sounds_and_refusals_are_parts(whole):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    sound = {"id": "audio_1", "data": "BBBB", "transcript": "Hi", "expires_at": 5}
    assert whole({"refusal": "No.", "images": [image], "audio": sound}) == [
        PartStart(0, Refusal("")),
        PartDelta(0, "No."),
        PartEnd(0),
        PartStart(1, Image(Inline("", "image/png"))),
        PartData(1, "AAAA"),
        PartEnd(1),
        PartStart(2, Audio(Inline("", ""), id="audio_1", expires_at=5)),
        PartData(2, "BBBB"),
        PartDelta(2, "Hi"),
        PartEnd(2),
    ]


def test_alternatives_do_not_mix(streamed):
    events = streamed(
        {"id": "c", "choices": [{"index": 1, "delta": {"content": "b"}}]},
        {"id": "c", "choices": [{"index": 0, "delta": {"content": "a"}}]},
        {"id": "c", "choices": [{"index": 1, "delta": {"content": "B"}}]},
    )
    assert events[:5] == [
        PartStart(0, Text(""), 1),
        PartDelta(0, "b"),
        PartStart(1, Text(""), 0),
        PartDelta(1, "a"),
        PartDelta(0, "B"),
    ]
