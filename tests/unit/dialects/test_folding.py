"""Events folded to the message that they tell."""

from msgspec import Raw

from proxyapi.dialects.folding import Fold
from proxyapi.dialects.model import (
    Audio,
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
    ServerToolResult,
    ServerToolUse,
    Start,
    Text,
    Thinking,
    TokenLogprob,
    ToolUse,
    UrlCitation,
)

STATE = ReasoningState("google_signature", "c2ln", "here")


def folded(*events):
    fold = Fold()
    for event in events:
        fold.feed([event])
    return fold.message().parts


def grown(part, *events):
    return folded(Start(id="r", model="m"), PartStart(0, part), *events, PartEnd(0), Finish(reason="end"))


def test_text_comes_with_its_sources_and_probabilities():
    citation, token = UrlCitation("https://a.example"), TokenLogprob("ab", -0.5)
    events = [PartDelta(0, "ab", (token,)), PartCitation(0, citation), PartDelta(0, "c"), PartState(0, STATE)]
    assert grown(Text(""), *events) == (Text("abc", citations=(citation,), logprobs=(token,), state=STATE),)


def test_every_kind_of_part_grows_by_what_comes_for_it():
    assert grown(Refusal(""), PartDelta(0, "no")) == (Refusal("no"),)
    assert grown(Thinking(), PartDelta(0, "hm"), PartState(0, STATE)) == (Thinking("hm", state=STATE),)
    summaries = [PartSummary(0, 1, "b"), PartSummary(0, 0, "a"), PartSummary(0, 1, "c")]
    assert grown(Thinking(id="rs"), *summaries) == (Thinking(summaries=("a", "bc"), id="rs"),)
    assert grown(ToolUse("c", "f", ""), PartDelta(0, '{"a"'), PartDelta(0, ":1}")) == (ToolUse("c", "f", '{"a":1}'),)
    sound = Audio(Inline("", "audio/wav"), id="a")
    spoken = grown(sound, PartData(0, "QUJD"), PartDelta(0, "hi"), PartData(0, "REVG"))
    assert spoken == (Audio(Inline("QUJDREVG", "audio/wav"), "hi", "a"),)
    assert grown(Image(Inline("", "image/png")), PartData(0, "QUJD")) == (Image(Inline("QUJD", "image/png")),)


def test_a_hosted_tool_has_its_result():
    use, result = ServerToolUse("s", "web_search", "web_search"), ServerToolResult("s", "web_search")
    told = folded(PartStart(0, use), PartDelta(0, "{}"), PartEnd(0, result))
    assert told == (ServerToolUse("s", "web_search", "web_search", "{}", result=result),)


def test_parts_that_only_one_dialect_knows_stay_as_they_are():
    part = Native("gemini", "partMetadata", Raw(b"{}"))
    assert grown(part) == (part,)


def test_parts_stand_in_the_order_of_their_opening_also_where_they_overlap():
    events = [
        PartStart(0, Text("")),
        PartStart(1, ToolUse("c", "f", "")),
        PartDelta(1, "{}"),
        PartDelta(0, "a"),
        Metered({}),
    ]
    assert folded(*events) == (Text("a"), ToolUse("c", "f", "{}"))


def test_empty_texts_cut_calls_and_other_choices_are_no_part_of_it():
    events = [
        *(PartStart(0, Text("")), PartEnd(0)),
        *(PartStart(1, ToolUse("c", "f", "")), PartDelta(1, '{"a'), PartEnd(1, incomplete=True)),
        *(PartStart(2, Text(""), 1), PartDelta(2, "other"), PartEnd(2)),
    ]
    assert folded(*events) == ()
