"""Gemini generateContent: a reply as a client reads it."""

from __future__ import annotations

import json
from base64 import b64decode

import pytest
from google.genai import types
from msgspec import Raw

from proxyapi.dialects.codec import Asked
from proxyapi.dialects.gemini.array import ArrayEncoder
from proxyapi.dialects.gemini.codec import GeminiCodec
from proxyapi.dialects.model import (
    Audio,
    DocumentCitation,
    Failed,
    Finish,
    Image,
    Inline,
    JsonSchema,
    KeepAlive,
    Metered,
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
    Request,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Start,
    Text,
    Thinking,
    TokenLogprob,
    ToolUse,
    UrlCitation,
)
from proxyapi.usage import Unit

START = Start(id="msg_1", model="claude", created_at=1_795_428_000, tier="standard")
END = Finish(reason="end", native="end_turn")
USED = Metered({Unit.INPUT: 10, Unit.CACHE_READ: 5, Unit.OUTPUT: 7, Unit.REASONING: 3})
STATE = ReasoningState("anthropic_signature", "abc", "anthropic_x")


def part(index, kind, *deltas, end=None, choice=0):
    return [PartStart(index, kind, choice), *(PartDelta(index, text) for text in deltas), end or PartEnd(index)]


def stream_encoder():
    request = Request(model="m")
    asked = Asked(request=request, model="shown", reply_id="r", created_at=1, seal=lambda state: state.data)
    return GeminiCodec().encoder(stream=True, asked=asked)


def fragments(chunks):
    """All parts of a stream's candidates, but for those that say nothing."""
    found = [part for chunk in chunks for one in chunk["candidates"] for part in one["content"]["parts"]]
    return [part for part in found if part != {"text": ""}]


# --- frames -------------------------------------------------------------------------------------------------------


def test_a_stream_is_made_of_frames_as_the_sdk_takes_them(chunks, response):
    events = [START, USED, *part(0, Text(""), "При", "вет\n"), *part(1, ToolUse("c1", "f", ""), '{\n "a": 1}'), END]
    frames = chunks(events)
    assert fragments(frames) == [
        {"text": "При"},
        {"text": "вет\n"},
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
    ]
    assert all((frame["responseId"], frame["modelVersion"]) == ("msg_1", "shown") for frame in frames)
    assert [frame["candidates"][0].get("finishReason") for frame in frames] == [None, None, None, "STOP"]
    assert "".join(response(frame).text or "" for frame in frames) == "Привет\n"


def test_every_chunk_tells_the_usage_so_far(chunks):
    begun = [START, Metered({Unit.INPUT: 9}), PartStart(0, Text("")), PartDelta(0, "a")]
    first, second, last = chunks([*begun, USED, PartDelta(0, "b"), PartEnd(0), END])
    assert first["usageMetadata"]["promptTokenCount"] == 9
    meant = {
        "promptTokenCount": 15,
        "candidatesTokenCount": 7,
        "totalTokenCount": 25,
        "thoughtsTokenCount": 3,
        "cachedContentTokenCount": 5,
    }
    for frame in (second, last):
        assert {name: frame["usageMetadata"].get(name) for name in meant} == meant


def test_an_event_leaves_at_once(chunks):
    encoder = stream_encoder()
    assert encoder.feed([START]) == b""
    encoder.feed([PartStart(0, Text(""))])
    assert b'"text":"a"' in encoder.feed([PartDelta(0, "a")])
    assert b'"text":"b"' in encoder.feed([PartDelta(0, "b")])


def test_usage_that_comes_after_the_end_is_told_with_it(chunks, body):
    events = [START, *part(0, Text(""), "a"), END, USED]
    *_, last = chunks(events)
    assert (last["candidates"][0]["finishReason"], last["usageMetadata"]["totalTokenCount"]) == ("STOP", 25)
    assert body(events)["usageMetadata"]["totalTokenCount"] == 25


def test_a_sign_of_life_is_a_chunk_that_says_nothing(chunks, response):
    first, *_ = chunks([START, *part(0, Text(""), "a")[:1], KeepAlive(), *part(0, Text(""), "a")[1:], END])
    assert first["candidates"] == [{"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0}]
    assert response(first).text == ""


def test_an_error_is_a_frame_that_begins_with_its_key():
    encoder = stream_encoder()
    encoder.feed([START, *part(0, Text(""), "a")])
    frame = encoder.fail(Failed(kind="overloaded", message="busy", status=529), "req")
    assert frame.startswith(b'data: {"error":{') and frame.endswith(b"}\n\n")
    assert json.loads(frame[6:])["error"]["status"] == "UNAVAILABLE"


def test_a_stream_without_events_is_one_array_that_is_always_valid_json():
    for fails in (False, True):
        encoder = ArrayEncoder(stream_encoder())
        out = encoder.feed([START, USED, *part(0, Text(""), "a", "b"), KeepAlive()])
        failed = Failed(kind="internal", message="x")
        out += encoder.fail(failed, "") if fails else encoder.feed([END]) + encoder.close()
        elements = json.loads(out)
        assert [one["candidates"][0]["content"]["parts"][0]["text"] for one in elements[:2]] == ["a", "b"]
        assert ("error" in elements[-1]) is fails


def test_the_cost_is_told_with_the_last_usage_when_it_is_asked_for(chunks, body, response):
    asked = {"cost": lambda usage: "0.0123", "currency": "EUR"}
    events = [START, USED, *part(0, Text(""), "a"), END]
    first, last = chunks(events, **asked)
    assert "cost" not in first["usageMetadata"]
    for wire in (last, body(events, **asked)):
        assert (wire["usageMetadata"]["cost"], wire["usageMetadata"]["costCurrency"]) == (0.0123, "EUR")
        assert response(wire).usage_metadata.prompt_token_count == 15


# --- a body -------------------------------------------------------------------------------------------------------


def test_a_body_is_one_response_of_whole_parts(body, response):
    events = [
        START, USED, *part(0, Thinking(), "h", "m"), *part(1, Text(""), "a", "b"),
        *part(2, ToolUse("c1", "f", ""), '{"a"', ":1}"), Finish(reason="tool_use"),
    ]  # fmt: skip
    wire = body(events)
    assert wire["candidates"] == [
        {
            "content": {
                "parts": [
                    {"text": "hm", "thought": True},
                    {"text": "ab"},
                    {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
                ],
                "role": "model",
            },
            "finishReason": "STOP",
            "index": 0,
        }
    ]
    assert wire["createTime"] == "2026-11-23T10:00:00Z"
    answer = response(wire)
    assert (answer.text, answer.function_calls[0].args) == ("ab", {"a": 1})


def test_alternatives_are_candidates(body, chunks):
    events = [START, *part(0, Text(""), "a"), *part(1, Text(""), "b", choice=1), END, Finish(reason="length", choice=1)]
    wire = body(events)
    assert [(one["index"], one["finishReason"]) for one in wire["candidates"]] == [(0, "STOP"), (1, "MAX_TOKENS")]
    frames = chunks(events)
    assert [one["candidates"][0]["index"] for one in frames] == [0, 1, 0, 1]


@pytest.mark.parametrize(
    "finish, word, message",
    [
        (Finish(reason="end"), "STOP", None),
        (Finish(reason="stop_sequence", stop_sequence="X"), "STOP", None),
        (Finish(reason="tool_use"), "STOP", None),
        (Finish(reason="length"), "MAX_TOKENS", None),
        (Finish(reason="context_window"), "MAX_TOKENS", None),
        (Finish(reason="refusal", category="cyber"), "SAFETY", "cyber"),
        (Finish(reason="content_filter", message="no"), "SAFETY", "no"),
        (Finish(reason="recitation"), "RECITATION", None),
        (Finish(reason="pause"), "CONTINUATION", None),
        (Finish(reason="cancelled"), "OTHER", None),
        (Finish(reason="malformed", native="UNEXPECTED_TOOL_CALL"), "UNEXPECTED_TOOL_CALL", None),
        (Finish(reason="content_filter", native="content_filter"), "SAFETY", None),
    ],
)
def test_reasons_are_told_in_google_s_words(body, finish, word, message):
    (candidate,) = body([START, *part(0, Text(""), "a"), finish])["candidates"]
    assert (candidate["finishReason"], candidate.get("finishMessage")) == (word, message)
    types.FinishReason(word)


# --- parts --------------------------------------------------------------------------------------------------------


def test_thoughts_are_marked_and_never_shown_twice(body, chunks):
    both = [PartStart(0, Thinking()), PartDelta(0, "raw"), PartSummary(0, 0, "sum"), PartEnd(0)]
    told = PartSummary(0, 0, "one"), PartSummary(0, 1, "two"), PartDelta(0, "raw")
    summaries = [PartStart(0, Thinking()), *told, PartEnd(0)]
    assert fragments(chunks([START, *both, END])) == [{"text": "raw", "thought": True}]
    assert body([START, *summaries, END])["candidates"][0]["content"]["parts"] == [
        {"text": "one\n\ntwo", "thought": True}
    ]
    assert [one["text"] for one in fragments(chunks([START, *summaries, END]))] == ["one", "\n\ntwo"]


def test_a_state_is_a_sealed_signature_on_its_part_or_in_an_empty_one(body, chunks):
    def signed(*deltas, kind):
        return [*part(0, kind, *deltas)[:-1], PartState(0, STATE), PartEnd(0)]

    envelope = "gw1.anthropic_signature.anthropic_x.abc"
    for kind, deltas, whole, last in (
        (Thinking(), ("hm",), {"text": "hm", "thought": True}, {"text": "", "thought": True}),
        (Thinking(), (), {"text": "", "thought": True}, {"text": "", "thought": True}),
        (Text(""), ("a",), {"text": "a"}, {"text": ""}),
        (
            ToolUse("c1", "f", ""),
            ("{}",),
            {"functionCall": {"id": "c1", "name": "f", "args": {}}},
            {"functionCall": {"id": "c1", "name": "f", "args": {}}},
        ),
    ):
        events = [START, *signed(*deltas, kind=kind), END]
        (found,) = body(events)["candidates"][0]["content"]["parts"]
        assert b64decode(found.pop("thoughtSignature")).decode() == envelope
        assert found == whole
        *_, trailing = fragments(chunks(events))
        assert b64decode(trailing.pop("thoughtSignature")).decode() == envelope
        assert trailing == last


def test_a_call_that_was_cut_is_left_out(body, chunks):
    events = [START, *part(0, Text(""), "a"), *part(1, ToolUse("c", "f", ""), '{"a', end=PartEnd(1, incomplete=True)),
              Finish(reason="length")]  # fmt: skip
    assert body(events)["candidates"][0]["content"]["parts"] == [{"text": "a"}]
    assert fragments(chunks(events)) == [{"text": "a"}]


@pytest.mark.parametrize("arguments, args", [("", {}), ("no JSON", {"input": "no JSON"})])
def test_arguments_are_an_object_whatever_they_were(body, arguments, args):
    (found,) = body([START, *part(0, ToolUse("c", "f", ""), arguments), END])["candidates"][0]["content"]["parts"]
    assert found["functionCall"]["args"] == args


def test_words_of_a_refusal_are_text(chunks):
    assert fragments(chunks([START, *part(0, Refusal(""), "N", "o"), END])) == [{"text": "N"}, {"text": "o"}]


def test_a_picture_is_whole_and_a_sound_comes_in_pieces(body, chunks):
    picture = [PartStart(0, Image(Inline("", ""))), PartData(0, "iVBORw0K"), PartData(0, "GgoAAAAA"), PartEnd(0)]
    spoken = PartData(1, "AAAA"), PartDelta(1, "Hi"), PartData(1, "AAAA")
    sound = [PartStart(1, Audio(Inline("", ""))), *spoken, PartEnd(1)]
    events = [START, *picture, *sound, END]
    samples = "audio/L16;codec=pcm;rate=24000"
    drawn = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgoAAAAA"}}
    piece = {"inlineData": {"mimeType": samples, "data": "AAAA"}}
    assert fragments(chunks(events)) == [drawn, piece, piece, {"text": "Hi"}]
    whole = {"inlineData": {"mimeType": samples, "data": "AAAAAAAA"}}
    assert body(events)["candidates"][0]["content"]["parts"] == [drawn, whole, {"text": "Hi"}]


def test_hosted_tools_of_others_are_told_in_parts_of_google_s(body):
    pages = SearchResult("https://a", "A", (Text("P"),)), SearchResult("https://b", "B", ())
    events = [
        START,
        *part(0, ServerToolUse("s1", "web_search", "web_search"), '{"query":"q"}'),
        PartStart(1, ServerToolResult("s1", "web_search", pages)), PartEnd(1),
        *part(2, ServerToolUse("s2", "code_execution", "bash_code_execution"), '{"command":"ls"}'),
        PartStart(3, ServerToolResult("s2", "code_execution", (Text("a.txt"),))), PartEnd(3),
        *part(4, ServerToolUse("s3", "mcp", "ask", server="m"), '{"x":1}',
              end=PartEnd(4, ServerToolResult("s3", "mcp", (), is_error=True, error_code="down"))),
        *part(5, Text(""), "done"), END,
    ]  # fmt: skip
    (candidate,) = body(events)["candidates"]
    assert candidate["content"]["parts"] == [
        {"toolCall": {"id": "s1", "toolType": "GOOGLE_SEARCH_WEB", "args": {"query": "q"}}},
        {
            "toolResponse": {
                "id": "s1",
                "toolType": "GOOGLE_SEARCH_WEB",
                "response": {
                    "result": [{"title": "A", "uri": "https://a", "text": "P"}, {"title": "B", "uri": "https://b"}]
                },
            }
        },
        {"executableCode": {"id": "s2", "language": "LANGUAGE_UNSPECIFIED", "code": "ls"}},
        {"codeExecutionResult": {"id": "s2", "outcome": "OUTCOME_OK", "output": "a.txt"}},
        {
            "toolCall": {
                "id": "s3",
                "toolType": "TOOL_TYPE_UNSPECIFIED",
                "args": {"name": "ask", "server": "m", "args": {"x": 1}},
            }
        },
        {"toolResponse": {"id": "s3", "toolType": "TOOL_TYPE_UNSPECIFIED", "response": {"error": "down"}}},
        {"text": "done"},
    ]
    assert candidate["groundingMetadata"] == {
        "webSearchQueries": ["q"],
        "groundingChunks": [
            {"web": {"uri": "https://a", "title": "A"}},
            {"web": {"uri": "https://b", "title": "B"}},
        ],
    }
    types.Candidate.model_validate(candidate)


def test_a_drawn_picture_of_a_hosted_tool_is_a_picture(body):
    drawn = ServerToolResult("i", "image_generation", (Image(Inline("iVBORw0KGgo=", "image/png")),))
    events = [START, *part(0, ServerToolUse("i", "image_generation", "image_generation"), end=PartEnd(0, drawn)), END]
    assert body(events)["candidates"][0]["content"]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    ]


def test_citations_are_grounding_in_bytes_in_the_last_chunk(body, chunks):
    events = [
        START,
        *part(0, Text(""), "Да. "),
        PartStart(1, Text("")), PartDelta(1, "Привет, "), PartDelta(1, "мир!"),
        PartCitation(1, UrlCitation("https://a", "A", 8, 12)),
        PartCitation(1, UrlCitation("https://b", "B", 8, 12)),
        PartCitation(1, UrlCitation("https://a", "A", 0, 6)),
        PartCitation(1, UrlCitation("https://c", "C", quote="words of the page")),
        PartCitation(1, UrlCitation("https://d", "D")),
        PartCitation(1, DocumentCitation("file", 12, title="T", file_id="f", quote="Q")),
        PartEnd(1), END,
    ]  # fmt: skip
    whole = {"startIndex": 6, "endIndex": 27, "text": "Привет, мир!"}
    meant = {
        "groundingChunks": [
            {"web": {"uri": "https://a", "title": "A"}},
            {"web": {"uri": "https://b", "title": "B"}},
            {"web": {"uri": "https://c", "title": "C"}},
            {"web": {"uri": "https://d", "title": "D"}},
            {"retrievedContext": {"uri": "f", "title": "T", "text": "Q"}},
        ],
        "groundingSupports": [
            {"segment": {"startIndex": 20, "endIndex": 27, "text": "мир!"}, "groundingChunkIndices": [0, 1]},
            {"segment": {"startIndex": 6, "endIndex": 18, "text": "Привет"}, "groundingChunkIndices": [0]},
            {"segment": whole, "groundingChunkIndices": [2, 4]},
        ],
    }
    assert body(events)["candidates"][0]["groundingMetadata"] == meant
    *before, last = chunks(events)
    assert last["candidates"][0]["groundingMetadata"] == meant
    assert not any("groundingMetadata" in frame["candidates"][0] for frame in before)


def test_logprobs_go_with_their_text(body, chunks):
    found = (TokenLogprob("a", -0.5, top=(TokenLogprob("b", -2.0),)),)
    events = [START, PartStart(0, Text("")), PartDelta(0, "a", found), PartDelta(0, "c"), PartEnd(0), END]
    meant = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -2.0}]}],
    }
    assert body(events)["candidates"][0]["logprobsResult"] == meant
    first, second, _ = chunks(events)
    assert first["candidates"][0]["logprobsResult"] == meant
    assert "logprobsResult" not in second["candidates"][0]


@pytest.mark.parametrize("text", ['"A"', '{"value":"A"}', "A"])
def test_the_word_of_an_enum_is_told_without_quotes(body, chunks, text):
    form = JsonSchema(schema=Raw(b'{"type":"string","enum":["A"]}'), media_type="text/x.enum")
    request = Request(model="m", format=form)
    events = [START, *part(0, Text(""), *text), END]
    assert body(events, request)["candidates"][0]["content"]["parts"] == [{"text": "A"}]
    assert fragments(chunks(events, request)) == [{"text": "A"}]


def test_side_values_of_google_s_come_back_and_those_of_others_do_not(body):
    events = [
        START, *part(0, Text(""), "a"),
        Notice("gemini", "safetyRatings", Raw(b"[]")), Notice("gemini", "turnToken", Raw(b'"t"')),
        Notice("gemini", "searchEntryPoint", Raw(b'{"renderedContent":"<a>"}')),
        Notice("anthropic", "container", Raw(b"{}")), END,
    ]  # fmt: skip
    wire = body(events)
    assert wire["turnToken"] == "t" and "container" not in json.dumps(wire)
    (candidate,) = wire["candidates"]
    assert candidate["safetyRatings"] == []
    assert candidate["groundingMetadata"] == {"searchEntryPoint": {"renderedContent": "<a>"}}
