"""Canonical messages as Chat providers take them: roles, media, results, reasoning, and what has no place there."""

import json
from base64 import b64encode

import pytest
from msgspec import Raw

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.model import (
    Audio,
    CacheMark,
    Compaction,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Message,
    Native,
    ReasoningState,
    Refusal,
    Request,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolReference,
    ToolResult,
    ToolUse,
    Video,
)

PNG = Inline("iVBORw0KGgoAAAAN", "image/png")
PDF = Inline("JVBERi0xLjQK", "application/pdf")
ORIGIN = "maker_model"
OPENAI = {"format": "openai-responses-v1", "id": "rs_1"}
HELLO, YES = Text(text="Hello"), Text(text="Yes.")
CALL = ToolUse(id="a", name="f", arguments='{"x": 1}')
WIRE_CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}


def user(*parts, **fields):
    return Message(role="user", parts=parts, **fields)


def assistant(*parts, **fields):
    return Message(role="assistant", parts=parts, **fields)


def system(*texts):
    return Message(role="system", parts=tuple(Text(text=text) for text in texts))


def result(*parts, **fields):
    return ToolResult(tool_use_id="a", name="f", parts=parts, **fields)


@pytest.fixture
def wire(sent):
    def run(*messages, leading=(), quirks=None, **fields):
        return sent(Request(model="m", system=leading, messages=messages, **fields), **(quirks or {}))["messages"]

    return run


@pytest.fixture
def refusal(encoded):
    """The field that is refused."""

    def run(*messages, **quirks):
        with pytest.raises(Untranslatable) as caught:
            encoded(Request(model="m", messages=messages), **quirks)
        return caught.value.field

    return run


# --- instructions -------------------------------------------------------------------------------------------------


def test_instructions_of_one_block_are_one_string(wire):
    assert wire(user(HELLO), leading=(system("Be brief."),))[0] == {"role": "system", "content": "Be brief."}


def test_instructions_of_several_blocks_are_one_message(wire):
    content = wire(user(HELLO), leading=(system("Be brief.", "Be kind."),))[0]["content"]
    assert content == [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]


def test_a_provider_of_plain_strings_gets_blocks_as_paragraphs(wire):
    found = wire(user(HELLO), leading=(system("Be brief.", "Be kind."),), quirks={"no_content_lists": True})
    assert found[0]["content"] == "Be brief.\n\nBe kind."


def test_instructions_have_the_role_that_the_model_knows(wire):
    leading = (system("Be brief."), Message(role="developer", parts=(HELLO,)))
    found = wire(user(HELLO), system("Now."), leading=leading, quirks={"system_role": "developer"})
    assert [message["role"] for message in found] == ["developer", "developer", "user", "developer"]


def test_a_model_without_instructions_hears_them_from_the_user(wire):
    found = wire(
        user(YES), assistant(YES), system("Now."), leading=(system("Be brief."),), quirks={"system_role": "user"}
    )
    assert found[0] == {
        "role": "user",
        "content": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Yes."}],
    }
    assert found[2] == {"role": "user", "content": "<system-reminder>\nNow.\n</system-reminder>"}


def test_an_instruction_in_the_middle_stays_there(wire):
    assert [message["role"] for message in wire(user(HELLO), assistant(YES), system("Now."), user(HELLO))] == [
        "user",
        "assistant",
        "system",
        "user",
    ]


# --- content ------------------------------------------------------------------------------------------------------


def test_a_name_of_a_participant_is_kept(wire):
    assert wire(user(HELLO, name="ann")) == [{"role": "user", "content": "Hello", "name": "ann"}]


@pytest.mark.parametrize(
    ("part", "piece"),
    [
        (Image(source=PNG), {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAAN"}}),
        (
            Image(source=Link("https://a.example"), detail="low"),
            {"type": "image_url", "image_url": {"url": "https://a.example", "detail": "low"}},
        ),
        (
            Image(source=Link("https://a.example"), detail="original"),
            {"type": "image_url", "image_url": {"url": "https://a.example", "detail": "high"}},
        ),
        (
            Audio(source=Inline("AAAA", "audio/wav")),
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        ),
        (Video(source=Link("https://a.example")), {"type": "video_url", "video_url": {"url": "https://a.example"}}),
        (
            Document(source=PDF, title="a.pdf"),
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}},
        ),
        (
            Document(source=PDF),
            {
                "type": "file",
                "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"},
            },
        ),
        (
            Document(source=Inline(b64encode(b"Milk").decode(), "text/plain"), title="list.txt"),
            {"type": "text", "text": "list.txt\nMilk"},
        ),
        (Document(source=None, text="Milk", title="list.txt"), {"type": "text", "text": "list.txt\nMilk"}),
        (Document(source=FileRef("file-1", origin=ORIGIN)), {"type": "file", "file": {"file_id": "file-1"}}),
        (
            SearchResult(source="https://a.example", title="A", parts=(HELLO,)),
            {"type": "text", "text": "A: https://a.example\nHello"},
        ),
    ],
)
def test_a_part_is_written_as_chat_spells_it(wire, part, piece):
    assert wire(user(HELLO, part))[0]["content"] == [{"type": "text", "text": "Hello"}, piece]


def test_the_detail_of_a_request_is_that_of_its_pictures(wire):
    found = wire(user(Image(source=PNG), Image(source=PNG, detail="low")), media_detail="high")
    assert [piece["image_url"]["detail"] for piece in found[0]["content"]] == ["high", "low"]


def test_words_about_a_document_stand_before_it(wire):
    content = wire(user(Document(source=PDF, context="From Monday")))[0]["content"]
    assert content[0] == {"type": "text", "text": "From Monday"}
    assert content[1]["type"] == "file"


@pytest.mark.parametrize(
    ("field", "piece"),
    [
        ("file_data", {"type": "file", "file": {"filename": "a", "file_data": "https://a.example"}}),
        ("document_url", {"type": "document_url", "document_url": "https://a.example", "document_name": "a"}),
        ("file_url", {"type": "file_url", "file_url": {"url": "https://a.example"}}),
    ],
)
def test_an_address_of_a_document_goes_where_the_provider_takes_it(wire, field, piece):
    document = Document(source=Link("https://a.example"), title="a")
    assert wire(user(document), quirks={"file_link_field": field})[0]["content"] == [piece]


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (Image(source=FileRef("file-1")), "messages.image"),
        (Audio(source=Link("https://a.example")), "messages.audio"),
        (Audio(source=Inline("AAAA", "audio/x-strange")), "messages.audio"),
        (Document(source=FileRef("file-1", origin="elsewhere")), "messages.document"),
        (Document(source=Link("https://a.example")), "messages.document"),
        (Compaction(state=ReasoningState("openai_encrypted", "AAAA")), "messages.compaction"),
        (
            Native(dialect="anthropic", wire_type="container_upload", body=Raw(b"{}")),
            "messages.container_upload",
        ),
    ],
)
def test_what_chat_cannot_carry_is_refused_by_its_field(refusal, part, field):
    assert refusal(user(part)) == field


def test_a_native_part_that_nobody_needs_is_dropped(wire):
    part = Native(dialect="openai_responses", wire_type="mcp_list_tools", body=Raw(b"{}"), optional=True)
    assert wire(user(HELLO, part)) == [{"role": "user", "content": "Hello"}]


def test_a_summary_of_older_turns_is_told_by_the_user(wire):
    found = wire(assistant(Compaction(text="We met."), YES), user(HELLO))
    assert found[0] == {"role": "user", "content": "Summary so far: We met."}
    assert found[1] == {"role": "assistant", "content": "Yes."}


# --- an assistant's turn ------------------------------------------------------------------------------------------


def test_a_turn_of_calls_alone_has_no_content(wire):
    found = wire(user(HELLO), assistant(CALL), user(result(YES)))
    assert found[1] == {"role": "assistant", "content": None, "tool_calls": [WIRE_CALL]}


def test_a_turn_of_nothing_has_empty_content(wire):
    assert wire(user(HELLO), assistant(), user(HELLO))[1] == {"role": "assistant", "content": ""}


def test_text_and_calls_are_one_message(wire):
    found = wire(user(HELLO), assistant(YES, CALL), user(result(YES)))
    assert found[1] == {"role": "assistant", "content": "Yes.", "tool_calls": [WIRE_CALL]}


def test_empty_arguments_are_an_empty_object(wire):
    found = wire(user(HELLO), assistant(ToolUse(id="a", name="f", arguments="")), user(result(YES)))
    assert found[1]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_a_free_text_call_is_one_or_a_function_of_a_string(wire):
    call = ToolUse(id="a", name="c", arguments="ls", kind="custom")
    talk = (user(HELLO), assistant(call), user(result(YES)))
    assert wire(*talk)[1]["tool_calls"] == [{"id": "a", "type": "custom", "custom": {"name": "c", "input": "ls"}}]
    found = wire(*talk, quirks={"no_custom_tools": True})
    assert found[1]["tool_calls"][0]["function"] == {"name": "c", "arguments": '{"input":"ls"}'}


def test_a_typed_call_is_a_function_of_that_name(wire):
    call = ToolUse(id="a", name="apply_patch", arguments='{"type":"delete_file"}', kind="apply_patch")
    found = wire(user(HELLO), assistant(call), user(result(YES)))
    assert found[1]["tool_calls"][0]["function"] == {"name": "apply_patch", "arguments": '{"type":"delete_file"}'}


def test_a_namespace_of_a_call_is_a_part_of_its_name(wire):
    found = wire(user(HELLO), assistant(ToolUse(id="a", name="f", arguments="{}", namespace="ns")), user(result(YES)))
    assert found[1]["tool_calls"][0]["function"]["name"] == "ns__f"


def test_a_refusal_has_a_field_of_its_own(wire):
    assert wire(user(HELLO), assistant(Refusal(text="No.")), user(HELLO))[1] == {
        "role": "assistant",
        "content": "",
        "refusal": "No.",
    }


def test_what_hosted_tools_did_is_told_in_words_between_the_texts(wire):
    search = ServerToolUse(id="s", kind="web_search", name="web_search", arguments='{"query":"rain"}')
    page = SearchResult(source="https://a.example", title="A", parts=())
    found = wire(
        user(HELLO),
        assistant(
            Text(text="Let me"),
            Text(text=" see."),
            search,
            ServerToolResult(tool_use_id="s", kind="web_search", parts=(page,)),
            YES,
        ),
        user(HELLO),
    )
    assert found[1]["content"] == "Let me see.\n\nSearched: rain\n\nA: https://a.example\n\nYes."


def test_a_picture_of_the_assistant_is_refused(refusal):
    assert refusal(user(HELLO), assistant(Image(source=PNG)), user(HELLO)) == "messages.image"


def test_a_sound_of_the_assistant_is_its_id_where_it_was_made_and_its_transcript_elsewhere(wire, refusal):
    made_here = Audio(source=FileRef("audio_1", origin=ORIGIN), id="audio_1", transcript="Hi")
    assert wire(user(HELLO), assistant(made_here), user(HELLO))[1]["audio"] == {"id": "audio_1"}
    elsewhere = Audio(source=FileRef("audio_1"), id="audio_1", transcript="Hi")
    assert wire(user(HELLO), assistant(elsewhere), user(HELLO))[1]["content"] == "Hi"
    silent = Audio(source=FileRef("audio_1"), id="audio_1")
    assert refusal(user(HELLO), assistant(silent), user(HELLO)) == "messages.audio"


def test_a_last_turn_of_the_assistant_is_sent_marked_or_refused(wire, refusal):
    talk = (user(HELLO), assistant(Text(text="Once")))
    assert wire(*talk)[-1] == {"role": "assistant", "content": "Once"}
    assert wire(*talk, quirks={"prefix_prefill": True})[-1] == {"role": "assistant", "content": "Once", "prefix": True}
    assert refusal(*talk, no_prefill=True) == "messages"


# --- results ------------------------------------------------------------------------------------------------------


def test_each_result_is_a_message_before_what_the_user_says(wire):
    other = ToolUse(id="b", name="g", arguments="{}")
    found = wire(
        user(HELLO),
        assistant(CALL, other),
        user(result(YES), ToolResult(tool_use_id="b", parts=(), name="g"), HELLO),
    )
    assert found[2:] == [
        {"role": "tool", "tool_call_id": "a", "content": "Yes."},
        {"role": "tool", "tool_call_id": "b", "content": ""},
        {"role": "user", "content": "Hello"},
    ]


def test_a_tool_result_with_several_images_and_texts_keeps_the_text_and_moves_the_images_in_order(wire):
    first, second = Image(source=PNG), Image(source=Link("https://a.example"))
    found = wire(user(HELLO), assistant(CALL), user(result(YES, first, HELLO, second), Text(text="See?")))
    assert found[2]["content"] == [{"type": "text", "text": "Yes."}, {"type": "text", "text": "Hello"}]
    lead, one, two, own = found[3]["content"]
    assert (found[3]["role"], lead["text"], own["text"]) == ("user", "Result of f:", "See?")
    assert [one["image_url"]["url"], two["image_url"]["url"]] == [
        "data:image/png;base64,iVBORw0KGgoAAAAN",
        "https://a.example",
    ]


def test_a_result_of_nothing_but_a_picture_says_where_it_is(wire):
    found = wire(user(HELLO), assistant(CALL), user(result(Image(source=PNG))))
    assert found[2]["content"] == "The result is in the next message."


def test_a_failed_result_says_so(wire, encoded):
    talk = (user(HELLO), assistant(CALL), user(result(Text(text="No such file"), is_error=True)))
    assert wire(*talk)[2]["content"] == "Error: No such file"
    assert encoded(Request(model="m", messages=talk)).approximated == ("messages.tool_result.is_error",)
    silent = (user(HELLO), assistant(CALL), user(result(is_error=True)))
    assert wire(*silent)[2]["content"] == "Error: "


def test_a_found_tool_in_a_result_is_its_name(wire):
    found = wire(user(HELLO), assistant(CALL), user(result(ToolReference(name="weather"))))
    assert found[2]["content"] == "weather"


def test_a_call_without_a_result_gets_one_and_a_result_without_a_call_is_refused(wire, refusal):
    found = wire(user(HELLO), assistant(CALL), user(HELLO))
    assert found[2] == {"role": "tool", "tool_call_id": "a", "content": "No result."}
    assert refusal(user(HELLO), user(result(YES))) == "messages.tool_result"


def test_long_ids_of_calls_are_shortened_the_same_way_for_call_and_result(wire):
    identity = "call_" + "x" * 60
    call, answer = ToolUse(id=identity, name="f", arguments="{}"), ToolResult(tool_use_id=identity, parts=(YES,))
    found = wire(user(HELLO), assistant(call), user(answer))
    sent_id = found[1]["tool_calls"][0]["id"]
    assert len(sent_id) <= 40
    assert found[2]["tool_call_id"] == sent_id


def test_ids_of_nine_letters_are_made_where_the_provider_wants_them(wire):
    found = wire(user(HELLO), assistant(CALL), user(result(YES)), quirks={"call_ids_of_nine": True})
    sent_id = found[1]["tool_calls"][0]["id"]
    assert len(sent_id) == 9 and sent_id.isalnum()
    assert found[2]["tool_call_id"] == sent_id
    fitting = ToolUse(id="AbCdEf123", name="f", arguments="{}")
    found = wire(user(HELLO), assistant(fitting), quirks={"call_ids_of_nine": True})
    assert found[1]["tool_calls"][0]["id"] == "AbCdEf123"


# --- reasoning ----------------------------------------------------------------------------------------------------


def test_thoughts_of_another_model_are_not_told(wire):
    foreign = Thinking(text="Hm.", state=ReasoningState("anthropic_signature", "AAAA", "elsewhere"))
    found = wire(user(HELLO), assistant(foreign, Thinking(text="Well."), YES), user(HELLO))
    assert found[1] == {"role": "assistant", "content": "Yes."}


@pytest.mark.parametrize(
    ("thought", "details"),
    [
        (
            Thinking(text="Hm.", state=ReasoningState("anthropic_signature", "AAAA", ORIGIN)),
            [
                {
                    "type": "reasoning.text",
                    "text": "Hm.",
                    "signature": "AAAA",
                    "format": "anthropic-claude-v1",
                    "index": 0,
                }
            ],
        ),
        (
            Thinking(state=ReasoningState("anthropic_redacted", "AAAA", ORIGIN)),
            [{"type": "reasoning.encrypted", "data": "AAAA", "format": "anthropic-claude-v1", "index": 0}],
        ),
        (
            Thinking(summaries=("First.", "Then."), state=ReasoningState("openai_encrypted", "AAAA", ORIGIN, "rs_1")),
            [
                {"type": "reasoning.summary", "summary": "First.\n\nThen.", "index": 0} | OPENAI,
                {"type": "reasoning.encrypted", "data": "AAAA", "index": 1} | OPENAI,
            ],
        ),
    ],
)
def test_proofs_go_back_to_who_made_them(wire, thought, details):
    found = wire(user(HELLO), assistant(thought, YES), user(HELLO))
    assert found[1]["reasoning_details"] == details


def test_signatures_of_calls_and_texts_go_back_to_who_made_them(wire):
    state = ReasoningState("google_signature", "AAAA", ORIGIN)
    call = ToolUse(id="a", name="f", arguments="{}", state=state)
    found = wire(user(HELLO), assistant(Text(text="Yes.", state=state), call), user(result(YES)))
    extra = {"google": {"thought_signature": "AAAA"}}
    assert (found[1]["extra_content"], found[1]["tool_calls"][0]["extra_content"]) == (extra, extra)


def test_reasoning_content_is_returned_on_tool_turns_where_it_has_to_be(wire):
    talk = (user(HELLO), assistant(Thinking(text="Hm."), CALL), user(result(YES)), assistant(Thinking(text="So."), YES))
    found = wire(*talk, user(HELLO), quirks={"echo_reasoning": True})
    assert found[1]["reasoning_content"] == "Hm."
    assert "reasoning_content" not in found[3]


def test_a_tool_turn_without_a_thought_gets_one_that_is_not_empty(wire):
    found = wire(user(HELLO), assistant(CALL), user(result(YES)), quirks={"echo_reasoning": True})
    assert found[1]["reasoning_content"] == " "


@pytest.mark.parametrize(
    ("field", "wire_fields"),
    [
        ("reasoning", {"content": "Yes.", "reasoning": "Hm."}),
        (
            "content_parts",
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                    {"type": "text", "text": "Yes."},
                ]
            },
        ),
        ("think_tags", {"content": "Yes."}),
    ],
)
def test_thoughts_come_back_in_the_field_of_the_provider(wire, field, wire_fields):
    talk = (user(HELLO), assistant(Thinking(text="Hm."), YES, CALL), user(result(YES)))
    found = wire(*talk, quirks={"echo_reasoning": True, "reasoning_field": field})
    assert found[1] == {"role": "assistant", "tool_calls": [WIRE_CALL]} | wire_fields


# --- cache marks --------------------------------------------------------------------------------------------------


def marked(text, lifetime=None):
    return Text(text=text, cache=CacheMark(lifetime))


def test_marks_are_written_in_the_spelling_of_the_provider(wire):
    talk = (user(marked("a", "5m"), HELLO),)
    own = wire(*talk, quirks={"cache_mark_field": "prompt_cache_breakpoint"})[0]["content"]
    assert own[0]["prompt_cache_breakpoint"] == {"mode": "explicit", "ttl": "30m"}
    other = wire(*talk, quirks={"cache_mark_field": "cache_control"})[0]["content"]
    assert other[0]["cache_control"] == {"type": "ephemeral", "ttl": "5m"}


def test_a_marked_text_alone_is_a_list_of_one(wire):
    content = wire(user(marked("a")), quirks={"cache_mark_field": "cache_control"})[0]["content"]
    assert content == [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]


def test_marks_that_the_provider_does_not_know_are_dropped_and_named(encoded):
    found = encoded(Request(model="m", messages=(user(marked("a")),)))
    assert json.loads(found.body)["messages"] == [{"role": "user", "content": "a"}]
    assert found.dropped == ("messages.cache",)


def test_of_more_than_four_marks_the_last_four_stay(wire):
    talk = (user(*(marked(text) for text in "abcdef")),)
    content = wire(*talk, quirks={"cache_mark_field": "cache_control"})[0]["content"]
    assert ["cache_control" in piece for piece in content] == [False, False, True, True, True, True]


def test_a_mark_on_a_result_stands_on_its_last_text(wire):
    talk = (user(HELLO), assistant(CALL), user(result(HELLO, YES, cache=CacheMark())))
    content = wire(*talk, quirks={"cache_mark_field": "cache_control"})[2]["content"]
    assert ["cache_control" in piece for piece in content] == [False, True]
