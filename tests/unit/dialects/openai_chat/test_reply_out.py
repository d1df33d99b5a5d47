"""Events to replies of Chat, as a stream and as one body, and what clients of the dialect rely on."""

import json

import pytest
from msgspec import Raw

from proxyapi.dialects.codec import Asked
from proxyapi.dialects.model import (
    Audio,
    AudioOut,
    DocumentCitation,
    Failed,
    Finish,
    Image,
    Inline,
    KeepAlive,
    Link,
    Metered,
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
from proxyapi.dialects.openai_chat.codec import ChatCodec
from proxyapi.usage import Unit

START = Start(id="msg_1", model="maker-model", created_at=1_700_000_000, tier="standard")
USED = Metered({Unit.INPUT: 10, Unit.CACHE_READ: 4, Unit.OUTPUT: 5, Unit.REASONING: 2})
END = Finish(reason="end", native="end_turn")
MARK = {
    "id": "msg_1",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "asked",
    "service_tier": "default",
}


def asked(*, request=None, **fields):
    return Asked(
        request=request or Request(model="asked"),
        model="asked",
        reply_id="r",
        created_at=1_600_000_000,
        seal=lambda state: f"gw1.{state.data}",
        **fields,
    )


def text(index, *deltas, choice=0):
    return [PartStart(index, Text(""), choice), *(PartDelta(index, delta) for delta in deltas), PartEnd(index)]


def call(index, identity="a", name="f", *arguments, kind="function", choice=0):
    start = PartStart(index, ToolUse(identity, name, "", kind), choice)
    return [start, *(PartDelta(index, piece) for piece in arguments or ("{}",)), PartEnd(index)]


@pytest.fixture
def frames():
    """Chunks of a stream as objects; `[DONE]` and comments as they are."""

    def run(*events, close=True, **fields):
        encoder = ChatCodec().encoder(stream=True, asked=asked(**fields))
        out = encoder.feed([START, *events]) + (encoder.close() if close else b"")
        assert out.endswith(b"\n\n")
        lines = out.decode().split("\n\n")[:-1]
        return [json.loads(line[6:]) if line.startswith("data: {") else line for line in lines]

    return run


@pytest.fixture
def deltas(frames):
    """What the chunks before the finish add to the message, without the role."""

    def run(*events, **fields):
        found = frames(*events, close=False, **fields)
        assert found[0]["choices"][0]["delta"] == {"role": "assistant"}
        return [one["choices"][0]["delta"] for one in found[1:]]

    return run


@pytest.fixture
def body():
    def run(*events, **fields):
        encoder = ChatCodec().encoder(stream=False, asked=asked(**fields))
        assert encoder.feed([START, *events]) == b""
        return json.loads(encoder.close())

    return run


@pytest.fixture
def message(body):
    """The message of a body with one choice."""

    def run(*events, **fields):
        (choice,) = body(*events, END, **fields)["choices"]
        return choice["message"]

    return run


# --- the frame ----------------------------------------------------------------------------------------------------


def test_a_stream_has_the_role_once_the_finish_once_a_usage_chunk_and_done_last(frames):
    assert frames(*text(0, "Hel", "lo"), USED, END) == [
        MARK | {"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]},
        MARK | {"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}]},
        MARK | {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": None}]},
        MARK | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "native_finish_reason": "end_turn"}]},
        MARK
        | {
            "choices": [],
            "usage": {
                "prompt_tokens": 14,
                "completion_tokens": 7,
                "total_tokens": 21,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
        },
        "data: [DONE]",
    ]


def test_a_body_is_one_completion(body):
    assert body(*text(0, "Hel", "lo"), USED, END) == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "asked",
        "service_tier": "default",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
                "native_finish_reason": "end_turn",
            }
        ],
        "usage": {
            "prompt_tokens": 14,
            "completion_tokens": 7,
            "total_tokens": 21,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }


def test_every_event_leaves_at_once():
    encoder = ChatCodec().encoder(stream=True, asked=asked())
    encoder.feed([START, PartStart(0, Text(""))])
    for word in ("k-th", "k+1-th"):
        assert word.encode() in encoder.feed([PartDelta(0, word)])


def test_a_client_that_wants_no_usage_gets_none(frames):
    request = Request(model="asked", stream_usage=False)
    assert "usage" not in json.dumps(frames(*text(0, "Hi"), USED, END, request=request))


def test_the_last_usage_counts_even_after_the_finish(frames, body):
    events = (Metered({Unit.INPUT: 1}), *text(0, "Hi"), END, Metered({Unit.INPUT: 2}))
    assert frames(*events)[-2]["usage"]["prompt_tokens"] == 2
    assert body(*events)["usage"]["prompt_tokens"] == 2


def test_the_cost_is_told_with_its_currency(frames, body):
    told = {"cost": lambda usage: f"0.{sum(usage.values())}", "currency": "RUB"}
    usage = frames(USED, END, **told)[-2]["usage"]
    assert (usage["cost"], usage["cost_currency"]) == (0.21, "RUB")
    assert body(USED, END, **told)["usage"]["cost"] == 0.21


def test_a_reply_without_a_time_of_its_own_has_that_of_the_request():
    encoder = ChatCodec().encoder(stream=False, asked=asked())
    encoder.feed([Start(id="x", model="m"), END])
    assert json.loads(encoder.close())["created"] == 1_600_000_000


def test_a_keep_alive_is_a_comment_and_side_values_of_others_are_nothing(frames):
    notice = Notice("gemini", "safetyRatings", Raw(b"[]"))
    assert frames(KeepAlive(), notice, END)[1] == ": "


def test_an_error_after_the_first_byte_is_an_event_and_no_done_follows():
    encoder = ChatCodec().encoder(stream=True, asked=asked())
    encoder.feed([START, PartStart(0, Text("")), PartDelta(0, "Hi")])
    out = encoder.fail(Failed(kind="overloaded", message="Busy.", code="overloaded_error"), "req")
    assert out.startswith(b"data: ") and out.endswith(b"\n\n")
    assert json.loads(out[6:])["error"]["message"] == "Busy."
    assert b"[DONE]" not in out


def test_alternatives_have_a_role_and_an_end_each(frames, body):
    events = [*text(0, "a"), *text(1, "b", choice=1), END, Finish(reason="length", choice=1)]
    found = [one["choices"][0] for one in frames(*events, close=False)]
    assert [choice["index"] for choice in found if choice["delta"].get("role")] == [0, 1]
    assert [choice["finish_reason"] for choice in found if choice["finish_reason"]] == ["stop", "length"]
    assert [choice["message"]["content"] for choice in body(*events)["choices"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("end", "stop"),
        ("stop_sequence", "stop"),
        ("length", "length"),
        ("context_window", "length"),
        ("tool_use", "tool_calls"),
        ("pause", "stop"),
        ("refusal", "content_filter"),
        ("content_filter", "content_filter"),
        ("recitation", "content_filter"),
        ("malformed", "stop"),
        ("compacted", "stop"),
        ("cancelled", "stop"),
        ("other", "stop"),
    ],
)
def test_every_reason_has_a_word_of_chats(body, reason, word):
    assert body(Finish(reason=reason))["choices"][0]["finish_reason"] == word


def test_a_stop_sequence_that_is_known_is_told(body):
    assert body(Finish(reason="stop_sequence", stop_sequence="END"))["choices"][0]["stop_reason"] == "END"


def test_words_about_a_refusal_are_its_text(body, deltas):
    end = Finish(reason="refusal", message="I can't help with that.")
    (choice,) = body(end)["choices"]
    assert (choice["finish_reason"], choice["message"]["refusal"]) == ("content_filter", "I can't help with that.")
    assert deltas(end)[0] == {"refusal": "I can't help with that."}


def test_a_refusal_that_was_told_is_not_told_again(message):
    events = [PartStart(0, Refusal("")), PartDelta(0, "No."), PartEnd(0)]
    assert message(*events, Finish(reason="refusal", message="No."))["refusal"] == "No."


# --- calls --------------------------------------------------------------------------------------------------------


def test_parallel_calls_have_indexes_of_their_own_and_tell_id_and_name_once(deltas):
    found = deltas(*text(0, "Wait."), *call(1, "a", "f", '{"x"', ":1}"), *call(2, "b", "g"))
    assert found == [
        {"content": "Wait."},
        {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
    ]


def test_the_first_tool_has_index_0_whatever_came_before(deltas):
    thought = [PartStart(0, Thinking()), PartDelta(0, "Hm."), PartEnd(0)]
    found = deltas(*thought, *text(1, "Wait."), *call(2))
    assert found[2]["tool_calls"][0]["index"] == 0


def test_interleaved_arguments_stay_with_their_call(message):
    events = [
        PartStart(0, ToolUse("a", "f", "")),
        PartStart(1, ToolUse("b", "g", "")),
        PartDelta(1, "["),
        PartDelta(0, "{"),
        PartDelta(1, "]"),
        PartDelta(0, "}"),
        PartEnd(1),
        PartEnd(0),
    ]
    assert [one["function"] for one in message(*events)["tool_calls"]] == [
        {"name": "f", "arguments": "{}"},
        {"name": "g", "arguments": "[]"},
    ]


def test_content_is_null_in_a_message_of_calls_alone_and_empty_in_one_of_nothing(message, deltas):
    assert message(*call(0))["content"] is None
    assert message()["content"] == ""
    assert all("content" not in delta for delta in deltas(*call(0)))


def test_there_are_no_empty_call_objects(frames, body):
    assert "tool_calls" not in json.dumps(frames(*text(0, "Hi"), END))
    assert "tool_calls" not in json.dumps(body(*text(0, "Hi"), END))


def test_a_call_that_was_cut_is_not_in_the_body(body):
    cut = [PartStart(0, ToolUse("a", "f", "")), PartDelta(0, '{"x"'), PartEnd(0, incomplete=True)]
    (choice,) = body(*cut, *call(1, "b"), Finish(reason="length"))["choices"]
    assert [one["id"] for one in choice["message"]["tool_calls"]] == ["b"]
    (choice,) = body(*cut, Finish(reason="length"))["choices"]
    assert "tool_calls" not in choice["message"]


def test_a_free_text_call_is_one_in_a_body_and_a_function_in_a_stream(message, deltas):
    events = call(0, "a", "c", "ls", kind="custom")
    assert message(*events)["tool_calls"] == [{"id": "a", "type": "custom", "custom": {"name": "c", "input": "ls"}}]
    assert deltas(*events)[0]["tool_calls"][0]["type"] == "function"


def test_a_client_of_the_legacy_functions_gets_a_function_call(body, frames):
    request = Request(model="asked", legacy_calls=True)
    events = [*call(0), Finish(reason="tool_use")]
    (choice,) = body(*events, request=request)["choices"]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert choice["finish_reason"] == "function_call"
    found = [one["choices"][0] for one in frames(*events, close=False, request=request)]
    assert [one["delta"] for one in found[1:3]] == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
    ]
    assert found[-1]["finish_reason"] == "function_call"


def test_a_second_call_of_a_legacy_client_is_not_lost(message):
    found = message(*call(0), *call(1, "b"), request=Request(model="asked", legacy_calls=True))
    assert found["function_call"]["name"] == "f"
    assert [one["id"] for one in found["tool_calls"]] == ["b"]


# --- reasoning ----------------------------------------------------------------------------------------------------


def test_thoughts_never_leak_into_content_nor_the_answer_into_reasoning(message, deltas):
    events = [PartStart(0, Thinking()), PartDelta(0, "H"), PartDelta(0, "m."), PartEnd(0), *text(1, "Yes.")]
    assert deltas(*events) == [{"reasoning_content": "H"}, {"reasoning_content": "m."}, {"content": "Yes."}]
    found = message(*events)
    assert (found["reasoning_content"], found["content"]) == ("Hm.", "Yes.")


def test_of_raw_reasoning_and_its_summary_the_first_is_told_once(message, deltas):
    raw_first = [
        PartStart(0, Thinking()),
        PartDelta(0, "Raw"),
        PartSummary(0, 0, "Short"),
        PartDelta(0, "."),
        PartEnd(0),
    ]
    assert message(*raw_first)["reasoning_content"] == "Raw."
    assert deltas(*raw_first) == [{"reasoning_content": "Raw"}, {"reasoning_content": "."}]
    summary_first = [PartStart(0, Thinking()), PartSummary(0, 0, "Short"), PartDelta(0, "Raw"), PartEnd(0)]
    assert message(*summary_first)["reasoning_content"] == "Short"
    assert deltas(*summary_first) == [{"reasoning_content": "Short"}]


def test_summaries_and_thoughts_are_paragraphs(message):
    events = [
        PartStart(0, Thinking()),
        PartSummary(0, 0, "A"),
        PartSummary(0, 0, "."),
        PartSummary(0, 1, "B."),
        PartEnd(0),
        PartStart(1, Thinking()),
        PartDelta(1, "C."),
        PartEnd(1),
    ]
    assert message(*events)["reasoning_content"] == "A.\n\nB.\n\nC."


def test_a_client_that_wants_no_thoughts_gets_their_proof_only(message, deltas):
    state = ReasoningState("anthropic_signature", "AAAA", "maker")
    events = [PartStart(0, Thinking()), PartDelta(0, "Hm."), PartState(0, state), PartEnd(0), *text(1, "Yes.")]
    request = Request(model="asked", reasoning=Reasoning(show="none"))
    assert "Hm." not in json.dumps(message(*events, request=request))
    assert "Hm." not in json.dumps(deltas(*events, request=request))
    assert message(*events, request=request)["reasoning_details"][0]["signature"] == "gw1.AAAA"


@pytest.mark.parametrize(
    ("state", "grown", "details"),
    [
        (
            ReasoningState("anthropic_signature", "AAAA"),
            [PartDelta(0, "Hm.")],
            [
                {
                    "type": "reasoning.text",
                    "text": "Hm.",
                    "signature": "gw1.AAAA",
                    "format": "anthropic-claude-v1",
                    "index": 0,
                }
            ],
        ),
        (
            ReasoningState("anthropic_redacted", "AAAA"),
            [],
            [{"type": "reasoning.encrypted", "data": "gw1.AAAA", "format": "anthropic-claude-v1", "index": 0}],
        ),
        (
            ReasoningState("openai_encrypted", "AAAA", id="rs_1"),
            [PartSummary(0, 0, "Hm.")],
            [
                {
                    "type": "reasoning.summary",
                    "summary": "Hm.",
                    "format": "openai-responses-v1",
                    "id": "rs_1",
                    "index": 0,
                },
                {
                    "type": "reasoning.encrypted",
                    "data": "gw1.AAAA",
                    "format": "openai-responses-v1",
                    "id": "rs_1",
                    "index": 1,
                },
            ],
        ),
    ],
)
def test_a_proof_is_sealed_into_reasoning_details(message, deltas, state, grown, details):
    events = [PartStart(0, Thinking()), *grown, PartState(0, state), PartEnd(0)]
    assert message(*events)["reasoning_details"] == details
    assert deltas(*events)[-1] == {"reasoning_details": details}


def test_proofs_are_numbered_through_the_message(message):
    state = ReasoningState("anthropic_redacted", "AAAA")
    events = [one for at in range(2) for one in (PartStart(at, Thinking()), PartState(at, state), PartEnd(at))]
    assert [detail["index"] for detail in message(*events)["reasoning_details"]] == [0, 1]


def test_a_signature_of_a_call_or_a_text_is_sealed_beside_it(message, deltas):
    state = ReasoningState("google_signature", "AAAA")
    extra = {"google": {"thought_signature": "gw1.AAAA"}}
    events = [
        PartStart(0, Text("")),
        PartDelta(0, "Yes."),
        PartState(0, state),
        PartEnd(0),
        PartStart(1, ToolUse("a", "f", "")),
        PartDelta(1, "{}"),
        PartState(1, state),
        PartEnd(1),
    ]
    found = message(*events)
    assert (found["extra_content"], found["tool_calls"][0]["extra_content"]) == (extra, extra)
    assert {"extra_content": extra} in deltas(*events)
    signed = {"index": 0, "function": {"arguments": ""}, "extra_content": extra}
    assert {"tool_calls": [signed]} in deltas(*events)


# --- content ------------------------------------------------------------------------------------------------------


def test_texts_of_one_block_each_are_joined_as_they_are(message):
    assert message(*text(0, "One"), *text(1, " and two."))["content"] == "One and two."


def test_a_preamble_and_the_final_answer_are_one_choice_of_two_paragraphs(message, body):
    thought = [PartStart(1, Thinking()), PartDelta(1, "Hm."), PartEnd(1)]
    assert message(*text(0, "Let me see."), *thought, *text(2, "Yes."))["content"] == "Let me see.\n\nYes."
    assert len(body(*text(0, "Let me see."), *thought, *text(2, "Yes."), END)["choices"]) == 1


def test_citations_are_annotations_with_places_in_the_joined_text(message, deltas):
    events = [
        *text(0, "Oh! "),
        PartStart(1, Text("")),
        PartDelta(1, "It rains."),
        PartCitation(1, UrlCitation("https://a.example", "A", 3, 8, "rain")),
        PartCitation(1, UrlCitation("https://b.example", "B")),
        PartCitation(1, DocumentCitation("page", 2, 1, 3, "…", "a.pdf", "file-1")),
        PartCitation(1, DocumentCitation("search_result", 0, 0, 1, title="C", source="https://c.example")),
        PartEnd(1),
    ]
    notes = [
        {"url": "https://a.example", "title": "A", "start_index": 7, "end_index": 12, "content": "rain"},
        {"file_id": "file-1", "filename": "a.pdf", "index": 2, "quote": "…"},
        {"url": "https://c.example", "title": "C", "start_index": 4, "end_index": 13},
        {"url": "https://b.example", "title": "B", "start_index": 4, "end_index": 13},
    ]
    found = message(*events)["annotations"]
    assert [note["type"] for note in found] == ["url_citation", "file_citation", "url_citation", "url_citation"]
    assert [note[note["type"]] for note in found] == notes
    streamed = [delta["annotations"][0] for delta in deltas(*events) if "annotations" in delta]
    assert [note[note["type"]] for note in streamed] == notes
    assert [note["index"] for note in streamed] == [0, 1, 2, 3]


def test_probabilities_stand_beside_the_delta_and_beside_the_message(frames, body):
    token = TokenLogprob("Hi", -0.5, (72, 105), (TokenLogprob("Ho", -1.0),))
    wire = {
        "token": "Hi",
        "logprob": -0.5,
        "bytes": [72, 105],
        "top_logprobs": [{"token": "Ho", "logprob": -1.0, "bytes": None}],
    }
    events = [PartStart(0, Text("")), PartDelta(0, "Hi", (token,)), PartDelta(0, "!"), PartEnd(0), END]
    (choice,) = body(*events)["choices"]
    assert choice["logprobs"] == {"content": [wire], "refusal": None}
    first, second = [one["choices"][0] for one in frames(*events, close=False)][1:3]
    assert first["logprobs"] == {"content": [wire], "refusal": None}
    assert "logprobs" not in second


def test_pictures_are_data_urls_or_addresses(message, deltas):
    events = [
        PartStart(0, Image(Inline("", "image/webp"))),
        PartData(0, "AAAA"),
        PartData(0, "BBBB"),
        PartEnd(0),
        PartStart(1, Image(Link("https://a.example"))),
        PartEnd(1),
    ]
    shown = [
        {"type": "image_url", "image_url": {"url": "data:image/webp;base64,AAAABBBB"}},
        {"type": "image_url", "image_url": {"url": "https://a.example"}},
    ]
    assert message(*events)["images"] == shown
    assert [delta["images"] for delta in deltas(*events)] == [[one | {"index": at}] for at, one in enumerate(shown)]


def test_a_sound_has_an_id_its_data_and_a_transcript(message, deltas):
    events = [
        PartStart(0, Audio(Inline("", "audio/wav"), id="audio_1", expires_at=5)),
        PartData(0, "AAAA"),
        PartDelta(0, "H"),
        PartData(0, "BBBB"),
        PartDelta(0, "i"),
        PartEnd(0),
    ]
    found = message(*events)
    assert found["audio"] == {"id": "audio_1", "data": "AAAABBBB", "transcript": "Hi", "expires_at": 5}
    assert found["content"] is None
    assert deltas(*events)[:3] == [
        {"audio": {"id": "audio_1", "expires_at": 5}},
        {"audio": {"data": "AAAA"}},
        {"audio": {"transcript": "H"}},
    ]


def test_bare_samples_become_a_wav_file_unless_they_were_asked_for(message, deltas):
    events = [PartStart(0, Audio(Inline("", "audio/L16;codec=pcm;rate=16000"))), PartData(0, "AAAA"), PartEnd(0)]
    wav = Request(model="asked", audio=AudioOut(voice="ash", format="wav"))
    assert message(*events, request=wav)["audio"]["data"].startswith("UklGR")
    assert deltas(*events, request=wav)[0]["audio"]["data"].startswith("UklGR")
    raw = Request(model="asked", audio=AudioOut(voice="ash", format="pcm16"))
    assert message(*events, request=raw)["audio"]["data"] == "AAAA"


def test_a_search_shows_in_citations_only(message):
    search = ServerToolUse(id="s", kind="web_search", name="web_search")
    page = SearchResult(source="https://a.example", title="A", parts=())
    found = ServerToolResult(tool_use_id="s", kind="web_search", parts=(page,))
    events = [
        *text(0, "Let me see."),
        PartStart(1, search),
        PartDelta(1, '{"query":"rain"}'),
        PartEnd(1),
        PartStart(2, found),
        PartEnd(2),
        *text(3, "It rains."),
    ]
    assert message(*events)["content"] == "Let me see.\n\nIt rains."


@pytest.mark.parametrize("reported_as_one", [True, False])
def test_a_code_run_is_a_paragraph_with_code_and_output(message, deltas, reported_as_one):
    use = ServerToolUse(id="s", kind="code_execution", name="python")
    result = ServerToolResult(tool_use_id="s", kind="code_execution", parts=(Text(text="1"),))
    ran = [PartStart(1, use), PartDelta(1, '{"code":'), PartDelta(1, '"print(1)"}')]
    ran += [PartEnd(1, result)] if reported_as_one else [PartEnd(1), PartStart(2, result), PartEnd(2)]
    events = [*text(0, "So:"), *ran, PartStart(3, Text("")), PartDelta(3, "One.")]
    events += [PartCitation(3, UrlCitation("https://a.example")), PartEnd(3)]
    found = message(*events)
    told = "".join(delta.get("content", "") for delta in deltas(*events))
    assert found["content"] == told
    assert found["content"].startswith("So:\n\nRan:\n```\nprint(1)\n```")
    assert found["content"].endswith("Output:\n```\n1\n```\n\nOne.")
    place = found["annotations"][0]["url_citation"]
    assert found["content"][place["start_index"] : place["end_index"]] == "One."
