"""Messages as a provider takes them."""

import json

import pytest
from msgspec import Raw

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.model import (
    Audio,
    CacheMark,
    Compaction,
    CustomTool,
    Document,
    DocumentCitation,
    FileRef,
    FunctionTool,
    Image,
    Inline,
    Link,
    Message,
    Native,
    NativeTool,
    ReasoningState,
    Refusal,
    Request,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolChange,
    ToolReference,
    ToolResult,
    ToolUse,
    UrlCitation,
    Video,
)

PNG = Inline("iVBORw0KGgoAAAANSUhEUg==", "image/png")
ORIGIN = "anthropic_claude"


def said(role, *parts, **fields):
    texts = (Text(part) if isinstance(part, str) else part for part in parts)
    return Message(role=role, parts=tuple(texts), **fields)


@pytest.fixture
def messages(sent):
    """What is sent of these messages."""

    def run(*messages, **options):
        return sent(Request(model="m", messages=messages, output_tokens_max=9_000), **options)["messages"]

    return run


@pytest.fixture
def block(messages):
    """The one block that a part of a user's message becomes."""

    def run(part, **options):
        (message,) = messages(said("user", "first", part), **options)
        _, found = message["content"]
        return found

    return run


CALL = ToolUse("t", "f", '{"a": 1}')
ANSWER = ToolResult("t", (Text("42"),))


# --- turns --------------------------------------------------------------------------------------------------------


def test_one_plain_text_is_a_string(messages):
    assert messages(said("user", "Hi")) == [{"role": "user", "content": "Hi"}]


def test_a_conversation_of_instructions_only_gets_a_legal_user_turn(sent):
    wire = sent(Request(model="m", system=(said("system", "Be brief."),)))
    assert wire["system"] == "Be brief."
    assert wire["messages"] == [{"role": "user", "content": "Begin."}]


def test_neighbours_of_one_role_merge_and_keep_their_marks(messages):
    (message,) = messages(said("user", Text("a", cache=CacheMark("1h"))), said("user", "b"))
    assert message["content"] == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "b"},
    ]


def test_several_results_are_one_user_message_with_the_results_first(messages):
    calls = said("assistant", ToolUse("t1", "f", "{}"), ToolUse("t2", "g", "{}"))
    wire = messages(
        said("user", "Hi"),
        calls,
        said("user", ToolResult("t2", (Text("2"),))),
        said("user", "and", ToolResult("t1", (Text("1"),))),
    )
    assert [message["role"] for message in wire] == ["user", "assistant", "user"]
    assert [(block["type"], block.get("tool_use_id")) for block in wire[2]["content"]] == [
        ("tool_result", "t2"), ("tool_result", "t1"), ("text", None),
    ]  # fmt: skip


def test_a_result_without_a_call_is_refused_by_its_id(messages):
    with pytest.raises(Untranslatable, match="nobody"):
        messages(said("user", ToolResult("nobody", (Text("42"),))))


def test_a_second_result_of_one_call_is_refused_by_its_id(messages):
    with pytest.raises(Untranslatable, match="'t'"):
        messages(said("assistant", CALL), said("user", ANSWER, ANSWER))


@pytest.mark.parametrize("after", [(said("user", "never mind"),), ()])
def test_a_call_without_a_result_gets_one_that_says_so(messages, after):
    wire = messages(said("user", "Hi"), said("assistant", CALL), *after)
    assert wire[2]["content"][0] == {"type": "tool_result", "tool_use_id": "t", "content": "No result."}


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_blank_texts_are_not_sent_and_their_marks_move_to_the_part_before(messages, text):
    (message,) = messages(said("user", "a", Text(text or " ", cache=CacheMark())))
    assert message["content"] == [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]


def test_a_mark_on_thinking_moves_to_the_part_before(messages):
    wire = messages(
        said("user", "a"), said("assistant", "b", Thinking("hm", cache=CacheMark()), CALL), said("user", ANSWER)
    )
    assert [block.get("cache_control") for block in wire[1]["content"]] == [{"type": "ephemeral"}, None]


def test_the_order_of_texts_and_calls_is_kept(messages):
    wire = messages(said("user", "Hi"), said("assistant", "a", CALL, "b"), said("user", ANSWER))
    assert [block["type"] for block in wire[1]["content"]] == ["text", "tool_use", "text"]


def test_trailing_blanks_of_a_begun_answer_are_cut(messages):
    wire = messages(said("user", "Hi"), said("assistant", "Answer: {\n ", incomplete=True))
    assert wire[1] == {"role": "assistant", "content": "Answer: {"}


def test_a_begun_answer_is_refused_where_the_model_does_not_go_on_with_it(messages):
    with pytest.raises(Untranslatable, match="messages"):
        messages(said("user", "Hi"), said("assistant", "{"), no_prefill=True)


def test_names_of_participants_are_told_where_there_are_several(messages):
    (message,) = messages(said("user", "a", name="Ann"), said("user", "b", name="Bob"))
    assert [block["text"] for block in message["content"]] == ["Ann: a", "Bob: b"]


# --- instructions -------------------------------------------------------------------------------------------------


def test_several_instructions_are_system_blocks_in_order_each_with_its_mark(sent):
    system = (
        said("system", "a", Text("b", cache=CacheMark("5m"))),
        said("developer", Text("c", cache=CacheMark())),
    )
    wire = sent(Request(model="m", system=system, messages=(said("user", "Hi"),)))
    assert wire["system"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "5m"}},
        {"type": "text", "text": "c", "cache_control": {"type": "ephemeral"}},
    ]


def test_instructions_in_the_middle_stay_in_place_where_the_model_takes_them_there(messages):
    wire = messages(
        said("user", "a"), said("developer", "s"), said("assistant", "b"), said("user", "c"), mid_system=True
    )
    assert [(message["role"], message["content"]) for message in wire] == [
        ("user", "a"), ("system", "s"), ("assistant", "b"), ("user", "c"),
    ]  # fmt: skip


@pytest.mark.parametrize("mid_system", [False, True])
def test_instructions_that_cannot_stand_there_are_marked_words_of_the_user_at_the_same_place(messages, mid_system):
    wire = messages(
        said("user", "a"),
        said("assistant", "b"),
        said("system", Text("s", cache=CacheMark())),
        said("user", "c"),
        mid_system=mid_system,
    )
    assert wire[2]["content"] == [
        {
            "type": "text",
            "text": "<system-reminder>\ns\n</system-reminder>",
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "text", "text": "c"},
    ]


def test_instructions_stand_after_a_hosted_call_but_not_after_words_of_the_assistant(messages):
    searched = messages(said("user", "a"), said("assistant", SEARCH, FOUND), said("system", "s"), mid_system=True)
    assert [message["role"] for message in searched] == ["user", "assistant", "system"]
    spoken = messages(said("user", "a"), said("assistant", "b"), said("system", "s"), mid_system=True)
    assert [message["role"] for message in spoken] == ["user", "assistant", "user"]


def test_instructions_with_a_picture_are_words_of_the_user(messages):
    wire = messages(said("user", "a"), said("developer", "s", Image(PNG)), mid_system=True)
    (message,) = wire
    assert [block["type"] for block in message["content"]] == ["text", "text", "image"]


def test_the_prefix_before_an_instruction_in_the_middle_is_the_same_with_it_and_without(messages):
    turns = [said("user", "a"), said("assistant", "b"), said("user", "c")]
    without = messages(*turns)
    with_it = messages(*turns, said("system", "s"))
    assert with_it[:2] == without[:2]
    assert with_it[2]["content"][0] == {"type": "text", "text": "c"}


# --- media --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (PNG, {"type": "base64", "media_type": "image/png", "data": PNG.data}),
        (Inline(PNG.data, "image/jpeg"), {"type": "base64", "media_type": "image/png", "data": PNG.data}),
        (Link("https://a.example/x"), {"type": "url", "url": "https://a.example/x"}),
        (FileRef("file_1", ORIGIN), {"type": "file", "file_id": "file_1"}),
    ],
)
def test_an_image_goes_to_three_sources(block, source, expected):
    assert block(Image(source)) == {"type": "image", "source": expected}


@pytest.mark.parametrize(
    "source", [Inline("Qk0AAA==", "image/bmp"), Inline("AAAA", "image/tiff"), FileRef("f", "openai")]
)
def test_an_image_that_the_dialect_does_not_take_is_refused(block, source):
    with pytest.raises(Untranslatable) as refused:
        block(Image(source))
    assert refused.value.field == "messages.image"


def test_the_detail_of_an_image_is_named_as_lost(encoded):
    request = Request(model="m", messages=(said("user", Image(PNG, detail="high")),))
    assert encoded(request).dropped == ("messages.detail",)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Document(Inline("JVBERi0=", "application/pdf"), title="T", citations=True, context="C"),
         {"source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
          "title": "T", "citations": {"enabled": True}, "context": "C"}),
        (Document(Inline("SGVsbG8=", "text/markdown"), title="a.md"),
         {"source": {"type": "text", "media_type": "text/plain", "data": "Hello"}, "title": "a.md"}),
        (Document(None, text="words"), {"source": {"type": "text", "media_type": "text/plain", "data": "words"}}),
        (Document(None, parts=(Text("words"), Image(PNG))),
         {"source": {"type": "content", "content": [
             {"type": "text", "text": "words"},
             {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG.data}}]}}),
        (Document(Link("https://a.example/x.pdf")), {"source": {"type": "url", "url": "https://a.example/x.pdf"}}),
        (Document(FileRef("f", ORIGIN)), {"source": {"type": "file", "file_id": "f"}}),
    ],
)  # fmt: skip
def test_a_document_goes_to_five_sources_with_title_context_and_citations(block, part, expected):
    assert block(part) == {"type": "document"} | expected


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (Document(Inline("UEsDBA==", "application/zip")), "messages.document"),
        (Document(FileRef("f", "openai")), "messages.document"),
        (Audio(Inline("UklGRg==", "audio/wav")), "messages.audio"),
        (Video(Link("https://a.example/v")), "messages.video"),
        (Native("gemini", "mediaProcessing", Raw(b"{}")), "messages.mediaProcessing"),
    ],
)
def test_what_the_dialect_cannot_carry_is_refused_not_dropped(block, part, field):
    with pytest.raises(Untranslatable) as refused:
        block(part)
    assert refused.value.field == field


def test_a_picture_that_an_assistant_made_is_refused(messages):
    with pytest.raises(Untranslatable) as refused:
        messages(said("user", "a"), said("assistant", Image(PNG)))
    assert refused.value.field == "messages.image"


def test_a_sound_of_an_earlier_answer_is_its_words(messages):
    spoken = Audio(Inline("UklGRg==", "audio/wav"), transcript="Hello")
    assert messages(said("user", "a"), said("assistant", spoken))[1]["content"] == "Hello"


def test_a_search_result_keeps_its_passages(block):
    part = SearchResult("https://a.example", "T", (Text("passage"),), citations=True)
    assert block(part) == {
        "type": "search_result",
        "source": "https://a.example",
        "title": "T",
        "content": [{"type": "text", "text": "passage"}],
        "citations": {"enabled": True},
    }


# --- calls and results --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (ToolUse("t", "f", '{"b": 1.0,  "a": 2}'), b'"input":{"b": 1.0,  "a": 2}'),
        (ToolUse("t", "f", ""), b'"input":{}'),
        (ToolUse("t", "f", "[1]"), b'"input":{"input":"[1]"}'),
        (ToolUse("t", "f", "free text", "custom"), b'"input":{"input":"free text"}'),
    ],
)
def test_arguments_are_an_object_byte_for_byte_where_they_are_one(encoded, call, expected):
    request = Request(
        model="m", tools=(CustomTool(name="f"),), messages=(said("assistant", call), said("user", ANSWER))
    )
    assert expected in encoded(request).body


@pytest.mark.parametrize(
    ("is_error", "expected"), [(None, {}), (True, {"is_error": True}), (False, {"is_error": False})]
)
def test_a_result_says_whether_it_failed(messages, is_error, expected):
    wire = messages(said("assistant", CALL), said("user", ToolResult("t", (Text("42"),), is_error=is_error)))
    assert wire[1]["content"] == [{"type": "tool_result", "tool_use_id": "t", "content": "42"} | expected]


def test_a_result_keeps_its_pictures_documents_and_marks_in_order(messages):
    result = ToolResult(
        "t",
        (Text("a"), Image(PNG), Document(None, text="d"), SearchResult("s", "T", (Text("p"),)), ToolReference("f")),
        cache=CacheMark(),
    )
    wire = messages(said("assistant", CALL), said("user", result))
    (block,) = wire[1]["content"]
    kinds = ["text", "image", "document", "search_result", "tool_reference"]
    assert [inner["type"] for inner in block["content"]] == kinds
    assert block["cache_control"] == {"type": "ephemeral"}


def test_a_result_of_nothing_has_no_content(messages):
    wire = messages(said("assistant", CALL), said("user", ToolResult("t", ())))
    assert wire[1]["content"] == [{"type": "tool_result", "tool_use_id": "t"}]


def test_a_sound_in_a_result_is_refused(messages):
    result = ToolResult("t", (Audio(Inline("UklGRg==", "audio/wav")),))
    with pytest.raises(Untranslatable, match=r"messages\.audio"):
        messages(said("assistant", CALL), said("user", result))


def test_a_refusal_is_words(messages):
    assert messages(said("user", "a"), said("assistant", Refusal("No.")))[1]["content"] == "No."


@pytest.mark.parametrize(
    ("citation", "expected"),
    [
        (UrlCitation("u", "t", quote="q", token="e"),
         [{"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "q", "encrypted_index": "e"}]),
        (UrlCitation("u", "t"), None),
        (DocumentCitation("char", 0, 1, 2, "q", "T", file_id="f"),
         [{"type": "char_location", "document_index": 0, "start_char_index": 1, "end_char_index": 2,
           "cited_text": "q", "document_title": "T"}]),
        (DocumentCitation("file", 0, file_id="f"), None),
    ],
)  # fmt: skip
def test_citations_go_back_where_the_provider_can_have_made_them(messages, citation, expected):
    (_, answer) = messages(said("user", "a"), said("assistant", Text("b", citations=(citation,))))
    content = answer["content"]
    assert (content[0].get("citations") if isinstance(content, list) else None) == expected


# --- hosted tools -------------------------------------------------------------------------------------------------

RESULT = Raw(b'{"type":"web_search_tool_result", "tool_use_id":"srvtoolu_1","content":[]}')
SEARCH = ServerToolUse("srvtoolu_1", "web_search", "web_search", '{"query": "q"}')
FOUND = ServerToolResult("srvtoolu_1", "web_search", (SearchResult("u", "T", ()),), native=RESULT)


def test_a_hosted_call_and_its_result_go_back_as_received(encoded):
    request = Request(model="m", messages=(said("user", "a"), said("assistant", SEARCH, FOUND, "b")))
    body = encoded(request).body
    assert b'{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query": "q"}}' in body
    assert bytes(RESULT) in body


def test_a_hosted_call_of_another_provider_is_told_in_words(encoded, messages):
    turns = (
        said("user", "a"),
        said(
            "assistant",
            ServerToolUse("ws_1", "web_search", "web_search", '{"query":"q"}'),
            ServerToolResult("ws_1", "web_search", (SearchResult("https://a.example", "T", ()),), native=Raw(b"{}")),
            "b",
        ),
    )
    texts = [block["text"] for block in messages(*turns)[1]["content"]]
    assert texts == ["Searched: q", "T: https://a.example", "b"]
    assert encoded(Request(model="m", messages=turns)).approximated == ("messages.server_tool_use",)


def test_a_hosted_call_that_still_runs_goes_back_in_the_last_answer_only(messages):
    wire = messages(said("user", "a"), said("assistant", SEARCH, CALL), said("user", ANSWER))
    assert [block["type"] for block in wire[1]["content"]] == ["server_tool_use", "tool_use"]
    later = messages(said("user", "a"), said("assistant", SEARCH), said("user", "b"), said("assistant", "c"))
    assert later[1]["content"] == "Searched: q"


def test_code_that_calls_tools_is_named_as_their_caller(sent):
    code = NativeTool(
        kind="code_execution",
        dialect="anthropic",
        wire_type="code_execution_20260120",
        body=Raw(b'{"type":"code_execution_20260120","name":"code_execution"}'),
    )
    run = ServerToolUse("srvtoolu_1", "code_execution", "code_execution", "{}")
    ran = Raw(b'{"type":"code_execution_tool_result","tool_use_id":"srvtoolu_1","content":{}}')
    outcome = ServerToolResult("srvtoolu_1", "code_execution", native=ran)
    call = ToolUse("t", "f", "{}", caller="srvtoolu_1")
    request = Request(
        model="m",
        tools=(code, FunctionTool(name="f")),
        messages=(said("assistant", run, outcome, call), said("user", ANSWER)),
    )
    use = sent(request)["messages"][0]["content"][2]
    assert use["caller"] == {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}


# --- what few dialects know ---------------------------------------------------------------------------------------


def test_blocks_of_the_dialect_go_back_as_received_and_others_if_they_matter_are_refused(block, messages):
    upload = {"type": "container_upload", "file_id": "f"}
    assert block(Native("anthropic", "container_upload", Raw(json.dumps(upload).encode()))) == upload
    optional = Native("openai_responses", "mcp_list_tools", Raw(b"{}"), optional=True)
    assert messages(said("user", "a", optional)) == [{"role": "user", "content": "a"}]


def test_a_summary_of_the_dialect_goes_back_as_received(messages):
    summary = {"type": "compaction", "content": "It was long.", "signature": "s"}
    part = Compaction("It was long.", native=Raw(json.dumps(summary).encode()))
    assert messages(said("user", "a"), said("assistant", part))[1]["content"] == [summary]
    carried = Compaction(state=ReasoningState("other", json.dumps(summary), ORIGIN))
    assert messages(said("user", "a"), said("assistant", carried))[1]["content"] == [summary]


def test_a_summary_of_another_provider_is_told_by_the_user(messages):
    state = ReasoningState("openai_encrypted", "x", "openai_gpt")
    wire = messages(said("assistant", Compaction("It was long.", state=state), "b"), said("user", "c"))
    assert [(message["role"], message["content"]) for message in wire] == [
        ("user", "Summary so far: It was long."), ("assistant", "b"), ("user", "c"),
    ]  # fmt: skip


def test_a_summary_that_only_another_provider_can_read_is_refused(messages):
    state = ReasoningState("openai_encrypted", "x", "openai_gpt")
    with pytest.raises(Untranslatable, match=r"messages\.compaction"):
        messages(said("assistant", Compaction(state=state)), said("user", "c"))


SCHEMA = Raw(b'{"type":"object","properties":{}}')
F, HIDDEN = FunctionTool(name="f", parameters=SCHEMA), FunctionTool(name="g", parameters=SCHEMA, defer_loading=True)
CHANGE = said("system", ToolChange(added=(FunctionTool(name="g"),)), ToolChange(removed=("f",)))


def test_tools_come_and_go_in_place_where_the_model_takes_that(encoded, sent):
    request = Request(model="m", tools=(F, HIDDEN), messages=(said("user", "a"), CHANGE))
    wire = sent(request, mid_system=True)
    assert wire["messages"][1] == {
        "role": "system",
        "content": [
            {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "g"}},
            {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "f"}},
        ],
    }
    assert [tool["name"] for tool in wire["tools"]] == ["f", "g"]
    assert encoded(request, mid_system=True).headers == (
        (b"anthropic-beta", b"mid-conversation-tool-changes-2026-07-01"),
    )


def test_a_tool_that_comes_with_its_definition_is_defined_in_place(sent):
    change = said("system", ToolChange(added=(F,)))
    wire = sent(Request(model="m", messages=(said("user", "a"), change)), mid_system=True)
    (block,) = wire["messages"][1]["content"]
    definition = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
    assert block["tool"] == {"type": "tool_definition", "definition": definition}


def test_tools_that_come_and_go_are_one_list_elsewhere(encoded, sent):
    request = Request(model="m", tools=(F, HIDDEN), messages=(said("user", "a"), CHANGE))
    wire = sent(request)
    assert [tool["name"] for tool in wire["tools"]] == ["g"]
    assert "defer_loading" not in wire["tools"][0]
    assert wire["messages"] == [{"role": "user", "content": "a"}]
    assert encoded(request).approximated == ("messages.tool_change",)
