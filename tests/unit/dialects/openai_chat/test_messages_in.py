"""Chat messages of clients to canonical ones: roles, content, calls, results, reasoning, cache marks."""

import pytest

from proxyapi.dialects.model import (
    Audio,
    CacheMark,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Message,
    ReasoningState,
    Refusal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Video,
)
from proxyapi.errors import InvalidRequest

PNG = "iVBORw0KGgoAAAAN"
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEA"
PDF = "JVBERi0xLjQK"
HELLO = {"role": "user", "content": "Hello"}
SIGNATURE = ReasoningState("google_signature", "c2ln", "elsewhere")
THOUGHT = ReasoningState("anthropic_signature", "dGhvdWdodA==", "elsewhere")
SEALED = {"gw1.sig": SIGNATURE, "gw1.thought": THOUGHT}


def user(*parts, **fields):
    return Message(role="user", parts=parts, **fields)


def assistant(*parts, **fields):
    return Message(role="assistant", parts=parts, **fields)


def call(identity, name="f", arguments="{}"):
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.fixture
def messages(decoded):
    def run(*wire, **fields):
        return decoded(messages=list(wire), unseal=SEALED.get, **fields).messages

    return run


# --- roles --------------------------------------------------------------------------------------------------------


def test_leading_instructions_stand_apart_in_order_and_later_ones_stay_in_place(decoded):
    request = decoded(
        messages=[
            {"role": "system", "content": "One"},
            {"role": "system", "content": "Two"},
            {"role": "developer", "content": "Three"},
            HELLO,
            {"role": "system", "content": "Four"},
        ]
    )
    assert request.system == (
        Message(role="system", parts=(Text(text="One"), Text(text="Two"))),
        Message(role="developer", parts=(Text(text="Three"),)),
    )
    assert request.messages == (user(Text(text="Hello")), Message(role="system", parts=(Text(text="Four"),)))


def test_neighbours_of_one_role_and_name_are_one_message(messages):
    found = messages(HELLO, {"role": "user", "content": "again"}, {"role": "user", "name": "ann", "content": "Me too"})
    assert found == (user(Text(text="Hello"), Text(text="again")), user(Text(text="Me too"), name="ann"))


@pytest.mark.parametrize("content", [None, "", []])
def test_content_that_is_null_absent_or_empty_is_the_same(messages, content):
    found = messages(HELLO, {"role": "assistant", "content": content, "tool_calls": [call("a")]})
    assert found[1] == assistant(ToolUse(id="a", name="f", arguments="{}"))
    assert messages({"role": "user", "content": content}) == ()


def test_an_assistant_that_said_nothing_is_still_a_turn(messages):
    assert messages(HELLO, {"role": "assistant", "content": ""}, HELLO)[1] == assistant()


def test_a_prefix_is_a_turn_to_go_on_with(messages):
    assert messages(HELLO, {"role": "assistant", "content": "Once", "prefix": True})[1].incomplete


def test_a_role_that_nobody_knows_is_refused_by_its_place(messages):
    with pytest.raises(InvalidRequest, match=r"messages\[1\]\.role") as caught:
        messages(HELLO, {"role": "narrator", "content": "x"})
    assert caught.value.param == "messages[1].role"


# --- content ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("piece", "part"),
    [
        ({"type": "text", "text": "Hi"}, Text(text="Hi")),
        ({"type": "image_url", "image_url": "https://a.example/b.png"}, Image(source=Link("https://a.example/b.png"))),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{PNG}", "detail": "low"}},
            Image(source=Inline(PNG, "image/png"), detail="low"),
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "auto"}},
            Image(source=Link("https://a.example/b.png")),
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": ""}},
            Image(source=Link("https://a.example/b.png")),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": WAV, "format": "mp3"}},
            Audio(source=Inline(WAV, "audio/wav")),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            Audio(source=Inline("AAAA", "audio/mpeg")),
        ),
        ({"type": "input_audio", "input_audio": WAV}, Audio(source=Inline(WAV, "audio/wav"))),
        (
            {"type": "input_audio", "input_audio": "https://a.example/b.mp3"},
            Audio(source=Link("https://a.example/b.mp3")),
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
            Document(source=Inline(PDF, "application/pdf"), title="a.pdf"),
        ),
        ({"type": "file", "file": {"file_data": PDF}}, Document(source=Inline(PDF, "application/pdf"))),
        ({"type": "file", "file": {"file_id": "file-1"}}, Document(source=FileRef("file-1"))),
        (
            {"type": "document_url", "document_url": "https://a.example/a.pdf", "document_name": "a.pdf"},
            Document(source=Link("https://a.example/a.pdf"), title="a.pdf"),
        ),
        (
            {"type": "file_url", "file_url": {"url": "https://a.example/a.pdf"}},
            Document(source=Link("https://a.example/a.pdf")),
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://a.example/a.mp4"}},
            Video(source=Link("https://a.example/a.mp4")),
        ),
    ],
)
def test_a_part_of_content_is_read_in_every_spelling(messages, piece, part):
    assert messages({"role": "user", "content": [piece]}) == (user(part),)


def test_a_part_without_a_type_is_what_its_field_says(messages):
    assert messages({"role": "user", "content": [{"text": "Hi"}, "you"]}) == (user(Text(text="Hi"), Text(text="you")),)


def test_a_type_of_part_that_nobody_knows_is_refused_by_its_place(messages):
    with pytest.raises(InvalidRequest, match=r"messages\[0\]\.content\[1\]\.type: 'hologram'"):
        messages({"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "hologram"}]})


def test_a_part_without_its_value_is_refused_by_its_place(messages):
    with pytest.raises(InvalidRequest, match=r"Missing required field: messages\[0\]\.content\[0\]\.image_url"):
        messages({"role": "user", "content": [{"type": "image_url"}]})


def test_empty_texts_are_left_out(messages):
    assert messages({"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "Hi"}]}) == (
        user(Text(text="Hi")),
    )


def test_a_refusal_is_read_as_a_field_and_as_a_part(messages):
    found = messages(HELLO, {"role": "assistant", "content": None, "refusal": "No."})
    assert found[1] == assistant(Refusal(text="No."))
    found = messages(HELLO, {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]})
    assert found[1] == assistant(Refusal(text="No."))


def test_a_sound_of_an_earlier_turn_is_its_id(messages):
    found = messages(HELLO, {"role": "assistant", "audio": {"id": "audio_1"}})
    assert found[1] == assistant(Audio(source=FileRef("audio_1"), id="audio_1"))


# --- calls and results --------------------------------------------------------------------------------------------


def test_results_stand_before_what_the_user_says_and_bear_the_name_of_their_call(messages):
    found = messages(
        HELLO,
        {"role": "assistant", "content": "Wait.", "tool_calls": [call("a", "f"), call("b", "g")]},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "user", "content": "And?"},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "1"}]},
    )
    assert found[1] == assistant(
        Text(text="Wait."), ToolUse(id="a", name="f", arguments="{}"), ToolUse(id="b", name="g", arguments="{}")
    )
    assert found[2] == user(
        ToolResult(tool_use_id="b", name="g", parts=(Text(text="2"),)),
        ToolResult(tool_use_id="a", name="f", parts=(Text(text="1"),)),
        Text(text="And?"),
    )


def test_arguments_stay_the_text_that_they_are(messages):
    text = '{ "b": 1.0,\n "a": [ ] }'
    found = messages(HELLO, {"role": "assistant", "tool_calls": [call("a", arguments=text)]})
    assert found[1].parts[0].arguments == text


def test_arguments_that_are_an_object_become_text_with_their_keys_in_order(messages):
    found = messages(HELLO, {"role": "assistant", "tool_calls": [call("a", arguments={"b": 1, "a": [2.0]})]})
    assert found[1].parts[0].arguments == '{"b": 1, "a": [2.0]}'


def test_a_custom_call_is_read_as_one_and_so_is_a_function_of_that_name(messages):
    tools = [{"type": "custom", "custom": {"name": "run"}}]
    custom = {"id": "a", "type": "custom", "custom": {"name": "run", "input": "ls"}}
    found = messages(
        HELLO,
        {"role": "assistant", "tool_calls": [custom, call("b", "run", "pwd")]},
        {"role": "tool", "tool_call_id": "b", "content": "/"},
        tools=tools,
    )
    assert found[1] == assistant(
        ToolUse(id="a", name="run", arguments="ls", kind="custom"),
        ToolUse(id="b", name="run", arguments="pwd", kind="custom"),
    )
    assert found[2].parts[0].kind == "custom"


def test_the_legacy_function_call_is_a_call_and_the_role_function_its_result(messages):
    found = messages(
        HELLO,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "2"},
    )
    calls = [message.parts[0].id for message in found[1::2]]
    assert calls[0] != calls[1]
    assert [message.parts[0].tool_use_id for message in found[2::2]] == calls


def test_calls_and_results_without_ids_find_each_other(messages):
    nameless = {"function": {"name": "f", "arguments": "{}"}}
    found = messages(HELLO, {"role": "assistant", "tool_calls": [nameless]}, {"role": "tool", "content": "1"})
    assert found[1].parts[0].id == found[2].parts[0].tool_use_id != ""


def test_a_call_without_a_name_is_refused_by_its_place(messages):
    with pytest.raises(InvalidRequest, match=r"messages\[1\]\.tool_calls\[0\]\.function\.name"):
        messages(HELLO, {"role": "assistant", "tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]})


def test_pictures_in_a_result_are_kept(messages):
    found = messages(
        HELLO,
        {"role": "assistant", "tool_calls": [call("a")]},
        {
            "role": "tool",
            "tool_call_id": "a",
            "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
        },
    )
    assert found[2].parts[0].parts == (Image(source=Inline(PNG, "image/png")),)


# --- reasoning ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_what_the_assistant_thought_stands_before_what_it_said(messages, field):
    found = messages(HELLO, {"role": "assistant", field: "Hm.", "content": "Yes.", "tool_calls": [call("a")]})
    assert found[1] == assistant(Thinking(text="Hm."), Text(text="Yes."), ToolUse(id="a", name="f", arguments="{}"))


def test_thoughts_that_are_parts_of_the_content_are_read(messages):
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "H"}, {"type": "text", "text": "m."}]},
        {"type": "text", "text": "Yes."},
    ]
    assert messages(HELLO, {"role": "assistant", "content": content})[1] == assistant(
        Thinking(text="Hm."), Text(text="Yes.")
    )


def test_an_echoed_proof_of_reasoning_is_unsealed_with_its_text(messages):
    details = [
        {"type": "reasoning.text", "text": "H", "index": 0},
        {"type": "reasoning.text", "text": "m.", "signature": "gw1.thought", "index": 0},
        {"type": "reasoning.encrypted", "data": "gw1.sig", "index": 1},
    ]
    wire = {"role": "assistant", "reasoning_content": "Hm.", "reasoning_details": details, "content": "Yes."}
    assert messages(HELLO, wire)[1] == assistant(
        Thinking(text="Hm.", state=THOUGHT), Thinking(state=SIGNATURE), Text(text="Yes.")
    )


def test_an_echoed_summary_is_a_summary(messages):
    details = [
        {"type": "reasoning.summary", "summary": "First.", "index": 0, "id": "rs_1"},
        {"type": "reasoning.encrypted", "data": "foreign", "index": 0, "id": "rs_1"},
    ]
    assert messages(HELLO, {"role": "assistant", "reasoning_details": details})[1] == assistant(
        Thinking(summaries=("First.",), id="rs_1")
    )


def test_a_proof_that_is_not_ours_is_dropped_and_the_readable_thought_is_kept(messages):
    details = [{"type": "reasoning.encrypted", "data": "foreign", "index": 0}]
    found = messages(HELLO, {"role": "assistant", "reasoning": "Hm.", "reasoning_details": details, "content": "Yes."})
    assert found[1] == assistant(Thinking(text="Hm."), Text(text="Yes."))


def test_an_echoed_signature_of_a_call_and_of_a_text_is_unsealed(messages):
    extra = {"google": {"thought_signature": "gw1.sig"}}
    found = messages(
        HELLO,
        {
            "role": "assistant",
            "content": "Yes.",
            "extra_content": extra,
            "tool_calls": [call("a") | {"extra_content": extra}],
        },
    )
    assert found[1] == assistant(
        Text(text="Yes.", state=SIGNATURE), ToolUse(id="a", name="f", arguments="{}", state=SIGNATURE)
    )


# --- cache marks --------------------------------------------------------------------------------------------------

MARK = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def test_cache_marks_are_read_on_messages_parts_and_calls(messages):
    found = messages(
        {"role": "user", "content": [{"type": "text", "text": "a"} | MARK, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "c", "tool_calls": [call("a") | MARK]},
        {"role": "tool", "tool_call_id": "a", "content": "d"} | MARK,
        {"role": "user", "content": "e"} | MARK,
    )
    mark = CacheMark("1h")
    assert [part.cache for message in found for part in message.parts] == [mark, None, None, mark, mark, mark]


def test_openais_own_mark_is_read(messages):
    piece = {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}
    assert messages({"role": "user", "content": [piece]})[0].parts[0].cache == CacheMark()


def test_a_mark_on_an_empty_text_moves_to_the_part_before(messages):
    pieces = [{"type": "text", "text": "a"}, {"type": "text", "text": ""} | MARK]
    assert messages({"role": "user", "content": pieces})[0].parts == (Text(text="a", cache=CacheMark("1h")),)
