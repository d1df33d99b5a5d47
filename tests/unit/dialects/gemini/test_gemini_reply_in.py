"""Gemini generateContent: a provider's reply as events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxyapi.dialects.gemini.reply_in import GeminiStream
from proxyapi.dialects.gemini.usage import Total, usage, written
from proxyapi.dialects.model import (
    Audio,
    DocumentCitation,
    Failed,
    FileRef,
    Finish,
    Image,
    Inline,
    Metered,
    Native,
    Notice,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    ReasoningState,
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
from proxyapi.dialects.units import wire_object
from proxyapi.usage import Unit


def chunk(*parts, reason="", index=0, head=None, **candidate):
    content = {"content": {"parts": list(parts), "role": "model"}} if parts else {}
    candidate = content | {"index": index} | ({"finishReason": reason} if reason else {}) | candidate
    return {"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r1"} | (head or {})


def only(events, *kinds):
    return [event for event in events if isinstance(event, kinds)]


def parts_of(events):
    """The parts with their text, in the order of opening."""
    found = {event.index: [event.part, ""] for event in events if isinstance(event, PartStart)}
    for event in events:
        if isinstance(event, PartDelta):
            found[event.index][1] += event.text
    return [(part, text) for part, text in found.values()]


# --- the reply ----------------------------------------------------------------------------------------------------


def test_names_time_and_tier_are_told_once_and_first(read):
    head = {"createTime": "2026-11-23T10:00:00.123456789Z", "usageMetadata": {"serviceTier": "flex"}}
    events = read(chunk({"text": "a"}, head=head), chunk({"text": "b"}, reason="STOP"))
    assert events[0] == Start(id="r1", model="gemini-x", created_at=1_795_428_000, tier="flex")
    assert len(only(events, Start)) == 1


def test_fragments_of_one_kind_join_and_another_kind_ends_them(read):
    events = read(
        chunk({"text": "hm", "thought": True}),
        chunk({"text": "m", "thought": True}, {"text": "a"}),
        chunk({"text": "b"}),
        chunk(reason="STOP"),
    )
    assert parts_of(events) == [(Thinking(), "hmm"), (Text(""), "ab")]
    assert [type(event) for event in events] == [
        Start, PartStart, PartDelta, PartDelta, PartEnd, PartStart, PartDelta, PartDelta, PartEnd, Finish,
    ]  # fmt: skip


def test_alternatives_are_told_apart(read):
    both = chunk({"text": "a"}, index=0)
    both["candidates"] += chunk({"text": "b"}, index=1)["candidates"]
    events = read(both, chunk(reason="STOP"), chunk(reason="MAX_TOKENS", index=1))
    assert [event.choice for event in only(events, PartStart)] == [0, 1]
    assert [(event.choice, event.reason) for event in only(events, Finish)] == [(0, "end"), (1, "length")]


@pytest.mark.parametrize(
    "word, reason",
    [
        ("STOP", "end"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("PROHIBITED_CONTENT", "refusal"),
        ("RECITATION", "recitation"),
        ("CONTINUATION", "pause"),
        ("MALFORMED_FUNCTION_CALL", "malformed"),
        ("UNEXPECTED_TOOL_CALL", "malformed"),
        ("NO_IMAGE", "other"),
        ("SOMETHING_NEW", "other"),
    ],
)
def test_reasons_are_told_with_google_s_word_and_message(read, word, reason):
    events = read(chunk({"text": "a"}, reason=word, finishMessage="because"))
    assert only(events, Finish) == [Finish(reason=reason, native=word, message="because")]


def test_a_refused_prompt_is_an_end_without_an_answer(read):
    feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "no"}
    events = read({"promptFeedback": feedback, "responseId": "r1", "usageMetadata": {"promptTokenCount": 5}})
    assert only(events, Finish) == [Finish(reason="content_filter", native="PROHIBITED_CONTENT", message="no")]
    assert not only(events, PartStart)


def test_a_reason_that_comes_twice_is_told_once(read):
    events = read(chunk({"text": "a"}, reason="STOP"), chunk(reason="STOP"))
    assert len(only(events, Finish)) == 1


def test_an_error_inside_a_stream_is_a_failure(read):
    events = read(chunk({"text": "a"}), {"error": {"code": 503, "message": "boom", "status": "UNAVAILABLE"}})
    assert only(events, Failed)[0].kind == "overloaded"


def test_a_chunk_that_is_odd_still_tells_its_usage(read):
    events = read(
        {"candidates": "?", "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}, chunk(reason="STOP")
    )
    assert only(events, Metered)[0].usage[Unit.INPUT] == 3


# --- signatures ---------------------------------------------------------------------------------------------------


def test_a_signature_hangs_on_the_part_that_has_it(read):
    events = read(
        chunk({"text": "hm", "thought": True}),
        chunk({"text": "a", "thoughtSignature": "c2ln"}),
        chunk(
            {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2lnMg=="}, {"functionCall": {"name": "g"}}
        ),
        chunk(reason="STOP"),
    )
    states = {event.index: event.state.data for event in only(events, PartState)}
    assert states == {1: "c2ln", 2: "c2lnMg=="}
    ends = [event.index for event in only(events, PartEnd)]
    for index in states:
        at = next(at for at, event in enumerate(events) if isinstance(event, PartState) and event.index == index)
        assert index in [event.index for event in events[at:] if isinstance(event, PartEnd)], (
            "before the end of its part"
        )
    assert ends == [0, 1, 2, 3]


def test_a_signature_in_a_trailing_empty_part_is_kept(read):
    for last in ({"text": "", "thoughtSignature": "c2ln"}, {"thoughtSignature": "c2ln"}):
        events = read(chunk({"text": "a"}), chunk(last, reason="STOP"))
        assert only(events, PartState) == [PartState(0, ReasoningState("google_signature", "c2ln"))]
        assert len(only(events, PartStart)) == 1
    alone = read(chunk({"functionCall": {"name": "f"}}), chunk({"text": "", "thoughtSignature": "c2ln"}, reason="STOP"))
    assert parts_of(alone) == [(ToolUse("", "f", ""), ""), (Text(""), "")]
    assert only(alone, PartState)[0].index == 1


# --- calls --------------------------------------------------------------------------------------------------------


def test_a_call_comes_whole_and_its_arguments_keep_their_bytes():
    part = b'{"functionCall":{"id":"c1","name":"f","args":{ "b": 1.0 }}}'
    events = GeminiStream("m").feed(b'data: {"candidates":[{"content":{"parts":[%b]}}]}\n\n' % part)
    assert list(events[1:]) == [PartStart(0, ToolUse("c1", "f", "")), PartDelta(0, '{ "b": 1.0 }'), PartEnd(0)]


def test_arguments_that_come_in_pieces_are_put_together(read):
    def piece(*args, more=True, **call):
        return chunk({"functionCall": call | {"partialArgs": list(args)} | ({"willContinue": True} if more else {})})

    events = read(
        chunk({"functionCall": {"name": "f", "id": "c1", "willContinue": True}}),
        piece({"jsonPath": "$.city", "stringValue": "New ", "willContinue": True}),
        piece({"jsonPath": "$.city", "stringValue": "Delhi"}, {"jsonPath": "$.days[1].n", "numberValue": 2}),
        piece({"jsonPath": "$.days[0]", "boolValue": True}, {"jsonPath": "$['a b']", "nullValue": "NULL_VALUE"}),
        chunk({"functionCall": {}}),
        chunk({"text": "ok"}, reason="STOP"),
    )
    (call, arguments), (text, words) = parts_of(events)
    assert (call, text, words) == (ToolUse("c1", "f", ""), Text(""), "ok")
    assert json.loads(arguments) == {"city": "New Delhi", "days": [True, {"n": 2}], "a b": None}
    assert not any(event.incomplete for event in only(events, PartEnd))


def test_a_call_that_was_cut_between_its_pieces_is_incomplete(read):
    cut = {
        "functionCall": {"name": "f", "partialArgs": [{"jsonPath": "$.a", "stringValue": "x"}], "willContinue": True}
    }
    events = read(chunk(cut), chunk(reason="MAX_TOKENS"))
    assert [event.incomplete for event in only(events, PartEnd)] == [True]


# --- hosted tools, media, sources ---------------------------------------------------------------------------------


def test_code_and_its_output_are_told_with_what_others_can_show(read):
    output = {"outcome": "OUTCOME_OK", "output": "4\n"}
    code = {"executableCode": {"language": "PYTHON", "code": "print(2+2)"}}
    events = read(chunk(code, {"codeExecutionResult": output}, reason="STOP"))
    (use, arguments), (result, _) = parts_of(events)
    assert use == ServerToolUse("", "code_execution", "code_execution")
    assert json.loads(arguments) == {"language": "PYTHON", "code": "print(2+2)"}
    assert isinstance(result, ServerToolResult) and (result.parts, result.is_error) == ((Text("4\n"),), False)
    assert json.loads(bytes(result.native)) == output


def test_calls_of_hosted_tools_are_known_by_their_type_and_a_new_one_is_kept(read):
    parts = (
        {
            "toolCall": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["q"]}},
            "thoughtSignature": "c2ln",
        },
        {"toolResponse": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB"}},
        {"toolCall": {"id": "n", "toolType": "NEW"}},
    )
    events = read(chunk(*parts, reason="STOP"))
    (use, arguments), (result, _), (odd, _) = parts_of(events)
    assert (use, arguments) == (ServerToolUse("t", "web_search", "GOOGLE_SEARCH_WEB"), '{"queries": ["q"]}')
    assert isinstance(result, ServerToolResult) and (result.tool_use_id, result.kind) == ("t", "web_search")
    assert isinstance(odd, Native) and odd.optional
    assert [event.index for event in only(events, PartState)] == [0]


def test_pictures_come_one_by_one_and_a_sound_is_one(read):
    def sound(data):
        return {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": data}}

    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    file = {"fileData": {"mimeType": "image/png", "fileUri": "gs://b/a"}}
    events = read(chunk(sound("AAAA")), chunk(sound("BBBB"), picture, picture, file), chunk(reason="STOP"))
    assert [part for part, _ in parts_of(events)] == [
        Audio(Inline("", "audio/L16;rate=24000")),
        Image(Inline("", "image/png")),
        Image(Inline("", "image/png")),
        Image(FileRef("gs://b/a", media_type="image/png")),
    ]
    assert [(event.index, event.data) for event in only(events, PartData)] == [
        (0, "AAAA"), (0, "BBBB"), (1, "AAAA"), (2, "AAAA"),
    ]  # fmt: skip


def grounded(*supports, chunks=None, queries=("q",)):
    chunks = chunks or [{"web": {"uri": "https://a", "title": "A"}}, {"web": {"uri": "https://b", "title": "B"}}]
    return {"groundingChunks": chunks, "groundingSupports": list(supports), "webSearchQueries": list(queries)}


def support(start, end, text, *indices):
    segment = {"endIndex": end, "text": text} | ({"startIndex": start} if start else {})
    return {"segment": segment, "groundingChunkIndices": list(indices)}


ANSWER = "Привет, мир! Hi 🌍."


@pytest.mark.parametrize("stream", [False, True])
def test_sources_are_citations_in_code_points_and_the_search_is_told(read, stream):
    end = len(ANSWER.encode())
    grounding = grounded(support(0, 21, "Привет, мир!", 0), support(22, end, "Hi 🌍.", 0, 1))
    last = {"reason": "STOP", "groundingMetadata": grounding | {"searchEntryPoint": {"renderedContent": "<a>"}}}
    if stream:
        events = read(chunk({"text": ANSWER[:9]}), chunk({"text": ANSWER[9:]}, **last))
    else:
        events = read(chunk({"text": ANSWER}, **last))
    assert only(events, PartCitation) == [
        PartCitation(0, UrlCitation("https://a", "A", 0, 12, "Привет, мир!")),
        PartCitation(0, UrlCitation("https://a", "A", 13, len(ANSWER), "Hi 🌍.")),
        PartCitation(0, UrlCitation("https://b", "B", 13, len(ANSWER), "Hi 🌍.")),
    ]
    kinds = [type(event) for event in events]
    assert kinds.index(PartCitation) < kinds.index(PartEnd) < kinds.index(Finish)
    search, arguments = parts_of(events)[1]
    assert (search.kind, arguments) == ("web_search", '{"queries":["q"]}')
    result = next(event.result for event in only(events, PartEnd) if event.result)
    assert result.parts == (SearchResult("https://a", "A", ()), SearchResult("https://b", "B", ()))
    assert only(events, Notice) == [Notice("gemini", "searchEntryPoint", only(events, Notice)[0].body)]


def test_offsets_count_from_the_answer_or_from_the_part_whichever_fits_the_text(read):
    parts = {"text": "one. "}, {"executableCode": {"code": "1"}}, {"text": "two. three."}
    for start in (0, 5):
        grounding = grounded(support(start, start + 4, "two.", 0), queries=())
        events = read(chunk(*parts, reason="STOP", groundingMetadata=grounding))
        assert only(events, PartCitation)[0] == PartCitation(2, UrlCitation("https://a", "A", 0, 4, "two."))


def test_a_source_without_a_place_is_told_without_a_span(read):
    grounding = grounded(support(0, 4, "gone", 0))
    events = read(chunk({"text": "here"}, reason="STOP", groundingMetadata=grounding))
    assert [event.citation for event in only(events, PartCitation)] == [
        UrlCitation("https://a", "A", quote="gone"),
        UrlCitation("https://b", "B"),
    ]


def test_files_and_repeated_texts_are_citations_too(read):
    context = {"retrievedContext": {"uri": "u", "title": "T", "text": "P", "fileSearchStore": "s"}}
    grounding = grounded(support(0, 4, "here", 0), chunks=[context], queries=())
    repeated = {
        "citations": [
            {},
            {"uri": "https://c", "startIndex": 1, "endIndex": 3},
            {"uri": "https://c"},
            {"uri": "https://c"},
        ]
    }
    events = read(chunk({"text": "here"}, reason="STOP", groundingMetadata=grounding, citationMetadata=repeated))
    assert [event.citation for event in only(events, PartCitation)] == [
        DocumentCitation("file", 4, quote="P", title="T", file_id="u", source="s"),
        UrlCitation("https://c", "", 1, 3),
        UrlCitation("https://c"),
    ]


def test_grounding_that_grows_is_told_once(read):
    one = grounded(support(0, 4, "one.", 0))
    two = grounded(support(0, 4, "one.", 0), support(4, 8, "two.", 1))
    events = read(
        chunk({"text": "one."}, groundingMetadata=one),
        chunk({"executableCode": {"code": "1"}}, {"text": "two."}, reason="STOP", groundingMetadata=two),
    )
    assert [(event.index, event.citation.quote) for event in only(events, PartCitation)] == [(0, "one."), (2, "two.")]


def test_a_search_that_has_parts_of_its_own_is_not_told_again(read):
    call = {"toolCall": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB", "args": {}}}
    events = read(chunk(call, {"text": "a"}, reason="STOP", groundingMetadata=grounded()))
    assert [part.kind for part, _ in parts_of(events) if isinstance(part, ServerToolUse)] == ["web_search"]


def test_logprobs_go_with_the_text_of_their_chunk(read):
    found = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5, "tokenId": 7}],
        "topCandidates": [
            {"candidates": [{"token": "a", "logProbability": -0.5}, {"token": "b", "logProbability": -2}]}
        ],
    }
    events = read(chunk({"text": "a"}, reason="STOP", logprobsResult=found))
    (delta,) = only(events, PartDelta)
    top = TokenLogprob("a", -0.5), TokenLogprob("b", -2)
    assert delta.logprobs == (TokenLogprob("a", -0.5, top=top),)


def test_side_values_are_notices(read):
    rating = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}]
    events = read(chunk({"text": "a"}, reason="STOP", safetyRatings=rating, avgLogprobs=-1, head={"turnToken": "t"}))
    assert {event.name: json.loads(bytes(event.body)) for event in only(events, Notice)} == {
        "safetyRatings": rating,
        "avgLogprobs": -1,
        "turnToken": "t",
    }


# --- usage --------------------------------------------------------------------------------------------------------

counts = st.integers(0, 1000)
details = st.lists(
    st.builds(lambda kind, n: {"modality": kind, "tokenCount": n}, st.sampled_from(["TEXT", "AUDIO", "IMAGE"]), counts),
    max_size=2,
)
metadata = st.fixed_dictionaries(
    {},
    optional={
        "promptTokenCount": counts,
        "totalTokenCount": counts | st.just(9_999),
        "candidatesTokenCount": counts | st.none(),
        "thoughtsTokenCount": counts,
        "cachedContentTokenCount": counts,
        "toolUsePromptTokenCount": counts,
        "promptTokensDetails": details,
        "candidatesTokensDetails": details,
        "cacheTokensDetails": details,
        "serviceTier": st.just("standard"),
    },
)


@given(st.lists(metadata, min_size=1, max_size=4), st.integers(0, 2))
def test_usage_of_a_stream_is_that_of_its_last_values(chunks: list[dict[str, Any]], searches: int) -> None:
    total, merged, last = Total(), dict[str, Any](), None
    for wire in chunks:
        raw = Raw(json.dumps(wire).encode())
        last = total.add(raw, searches)
        merged |= {name: value for name, value in (wire_object(raw) or {}).items() if value is not None}
    assert last == usage(merged, searches)


units = st.dictionaries(
    st.sampled_from([unit for unit in Unit if unit not in (Unit.REPORTED_COST, Unit.OTHER_MODELS)]),
    st.integers(1, 10_000),
)


@given(units, st.booleans())
def test_written_usage_is_read_back_to_the_same_units(spent: dict[Unit, int], searched: bool) -> None:
    wire = json.loads(json.dumps(written(spent, searched=searched)))
    back = usage(wire, searches=7 if searched else 0)
    assert {unit: n for unit, n in back.items() if n} == spent
    four = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    assert wire["totalTokenCount"] == sum(wire.get(name, 0) for name in four)
