"""Messages of a client's request."""

import json

import pytest
from msgspec import Raw

from proxyapi.dialects.anthropic.codec import AnthropicCodec
from proxyapi.dialects.model import (
    CacheMark,
    Compaction,
    Document,
    DocumentCitation,
    FileRef,
    FunctionTool,
    Image,
    Inline,
    Link,
    Message,
    Native,
    ReasoningState,
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
)
from proxyapi.errors import InvalidRequest

PNG = "iVBORw0KGgoAAAANSUhEUg=="
MARK = {"type": "ephemeral", "ttl": "1h"}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


@pytest.fixture
def part(decoded):
    """The one part of a user's message with one block."""

    def run(block, **options):
        (message,) = decoded(messages=[user(block)], **options).messages
        (found,) = message.parts
        return found

    return run


@pytest.fixture
def answer(decoded):
    """The parts of an assistant's message."""

    def run(*blocks, **options):
        messages = [{"role": "user", "content": "Hello"}, assistant(*blocks)]
        return decoded(messages=messages, **options).messages[1].parts

    return run


def test_a_string_is_one_text_and_an_empty_one_is_none(decoded):
    messages = [{"role": "user", "content": "Hi"}, {"role": "user", "content": ""}]
    assert decoded(messages=messages).messages == (Message(role="user", parts=(Text("Hi"),)),)


def test_neighbours_of_one_role_are_one_message(decoded):
    messages = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    assert decoded(messages=messages).messages == (Message(role="user", parts=(Text("a"), Text("b"))),)


def test_a_text_keeps_its_mark_and_its_citations(part):
    location = {
        "type": "web_search_result_location",
        "url": "u",
        "title": "t",
        "cited_text": "q",
        "encrypted_index": "e",
    }
    page = {"type": "page_location", "document_index": 1, "start_page_number": 2, "end_page_number": 3,
            "cited_text": "q", "document_title": None}  # fmt: skip
    block = {"type": "text", "text": "Hi", "cache_control": MARK, "citations": [location, page]}
    assert part(block) == Text(
        "Hi",
        cache=CacheMark("1h"),
        citations=(UrlCitation("u", "t", quote="q", token="e"), DocumentCitation("page", 1, 2, 3, "q")),
    )


def test_a_mark_on_an_empty_text_moves_to_the_part_before(decoded):
    messages = [user({"type": "text", "text": "a"}, {"type": "text", "text": "", "cache_control": MARK})]
    assert decoded(messages=messages).messages[0].parts == (Text("a", cache=CacheMark("1h")),)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"type": "base64", "media_type": "image/jpeg", "data": PNG}, Inline(PNG, "image/png")),
        ({"type": "base64", "data": PNG}, Inline(PNG, "image/png")),
        ({"type": "url", "url": "https://a.example/x"}, Link("https://a.example/x")),
        ({"type": "file", "file_id": "file_1"}, FileRef("file_1")),
    ],
)
def test_an_image_comes_from_three_sources_and_its_bytes_tell_its_type(part, source, expected):
    assert part({"type": "image", "source": source}) == Image(expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
         Document(Inline("JVBERi0=", "application/pdf"))),
        ({"type": "url", "url": "https://a.example/x.pdf"},
         Document(Link("https://a.example/x.pdf", "application/pdf"))),
        ({"type": "file", "file_id": "file_1"}, Document(FileRef("file_1"))),
        ({"type": "text", "media_type": "text/plain", "data": "words"}, Document(None, text="words")),
        ({"type": "content", "content": "words"}, Document(None, parts=(Text("words"),))),
        ({"type": "content", "content": [{"type": "text", "text": "words"}]}, Document(None, parts=(Text("words"),))),
    ],
)  # fmt: skip
def test_a_document_comes_from_five_sources(part, source, expected):
    assert part({"type": "document", "source": source}) == expected


def test_a_document_keeps_title_context_and_whether_it_may_be_cited(part):
    block = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "words"},
        "title": "T",
        "context": "C",
        "citations": {"enabled": True},
        "cache_control": {"type": "ephemeral"},
    }
    expected = Document(None, text="words", title="T", context="C", citations=True, cache=CacheMark())
    assert part(block) == expected


def test_a_source_that_is_none_is_refused_by_its_place(decoded):
    with pytest.raises(InvalidRequest) as refused:
        decoded(messages=[user({"type": "image", "source": {"type": "base64"}})])
    assert refused.value.param == "messages[0].content[0].source"


def test_a_search_result_has_passages(part):
    block = {
        "type": "search_result",
        "source": "https://a.example",
        "title": "T",
        "content": [{"type": "text", "text": "passage"}],
        "citations": {"enabled": False},
    }
    assert part(block) == SearchResult("https://a.example", "T", (Text("passage"),), citations=False)


def test_a_call_keeps_its_arguments_byte_for_byte(decoded):
    body = (
        b'{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f",'
        b'"input":{"b": 1.0,  "a": "\\u00e9"}}]}]}'
    )
    (message,) = AnthropicCodec().decode(body, unseal=lambda text: None).messages
    assert message.parts == (ToolUse("t", "f", '{"b": 1.0,  "a": "\\u00e9"}'),)


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (None, ""),
        ({"type": "direct"}, ""),
        ({"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}, "srvtoolu_1"),
    ],
)
def test_a_call_says_which_code_made_it(answer, caller, expected):
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": caller}
    assert answer(block) == (ToolUse("t", "f", "{}", caller=expected),)


def test_a_result_knows_the_name_of_the_call_it_answers(decoded):
    messages = [
        assistant({"type": "tool_use", "id": "t", "name": "f", "input": {}}),
        user(
            {"type": "text", "text": "and"},
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "is_error": True,
                "cache_control": {"type": "ephemeral"},
                "content": [
                    {"type": "text", "text": "42"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    {"type": "tool_reference", "tool_name": "g"},
                ],
            },
        ),
    ]
    result = ToolResult(
        "t",
        (Text("42"), Image(Inline(PNG, "image/png")), ToolReference("g")),
        name="f",
        is_error=True,
        cache=CacheMark(),
    )
    assert decoded(messages=messages).messages[1].parts == (result, Text("and"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [("42", (Text("42"),)), ("", ()), ([], ()), (None, ()), ([{"type": "text", "text": ""}], ())],
)
def test_a_result_may_be_a_string_or_nothing(part, content, expected):
    assert part({"type": "tool_result", "tool_use_id": "t", "content": content}) == ToolResult("t", expected)


def test_a_block_that_cannot_stand_in_a_result_is_refused_by_its_place(part):
    with pytest.raises(InvalidRequest) as refused:
        part({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "browser_state"}]})
    assert refused.value.param == "messages[0].content[0].content[0].type"


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"type": "tool_use", "name": "f", "input": {}}, "messages[0].content[0].id"),
        ({"type": "tool_use", "id": "t", "input": {}}, "messages[0].content[0].name"),
        ({"type": "tool_result", "content": "x"}, "messages[0].content[0].tool_use_id"),
        ({"text": "x"}, "messages[0].content[0].type"),
        ({"type": "text", "text": 5}, "messages[0].content[0].text"),
    ],
)
def test_a_wrong_block_is_refused_by_its_place(part, block, param):
    with pytest.raises(InvalidRequest) as refused:
        part(block)
    assert refused.value.param == param


def test_an_unknown_role_is_refused(decoded):
    with pytest.raises(InvalidRequest) as refused:
        decoded(messages=[{"role": "tool", "content": "x"}])
    assert refused.value.param == "messages[0].role"


# --- hosted tools -------------------------------------------------------------------------------------------------


def test_a_call_of_a_hosted_tool_and_its_result_keep_the_bytes_that_prove_it(answer):
    use = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
    pages = [{"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "xxx", "page_age": None}]
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": pages}
    assert answer(use, result) == (
        ServerToolUse("srvtoolu_1", "web_search", "web_search", '{"query": "q"}'),
        ServerToolResult(
            "srvtoolu_1", "web_search", (SearchResult("u", "t", ()),), native=Raw(json.dumps(result).encode())
        ),
    )


def test_a_hosted_tool_of_another_provider_comes_back_under_its_own_id_and_without_bytes(answer):
    use = {"type": "server_tool_use", "id": "gw1.ws_1", "name": "web_search", "input": {}}
    pages = [{"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "", "page_age": None}]
    result = {"type": "web_search_tool_result", "tool_use_id": "gw1.ws_1", "content": pages}
    assert answer(use, result) == (
        ServerToolUse("ws_1", "web_search", "web_search", "{}"),
        ServerToolResult("ws_1", "web_search", (SearchResult("u", "t", ()),)),
    )


def test_an_mcp_call_names_its_server(answer):
    use = {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "ask", "server_name": "wiki", "input": {"q": 1}}
    result = {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": True,
              "content": [{"type": "text", "text": "no"}]}  # fmt: skip
    call, outcome = answer(use, result)
    assert call == ServerToolUse("mcptoolu_1", "mcp", "ask", '{"q": 1}', server="wiki")
    assert (outcome.kind, outcome.parts, outcome.is_error) == ("mcp", (Text("no"),), True)


# --- thinking -----------------------------------------------------------------------------------------------------

GOOGLE = ReasoningState("google_signature", "sig", "google_gemini")
OPENAI = ReasoningState("openai_encrypted", "enc", "openai_gpt")


def unseal(text):
    return {"gw1.g": GOOGLE, "gw1.o": OPENAI, "gw1.empty": ReasoningState("other", "", "x")}.get(text)


def test_a_signature_that_is_none_of_ours_is_dropped_and_the_thought_stays(answer):
    assert answer({"type": "thinking", "thinking": "hm", "signature": "xyz"}) == (Thinking("hm"),)


def test_redacted_thinking_of_nobody_is_dropped_not_crashed_on(answer):
    assert answer({"type": "redacted_thinking", "data": "xyz"}, {"type": "text", "text": "a"}) == (Text("a"),)


def test_thinking_signed_for_nothing_has_no_state(answer):
    block = {"type": "thinking", "thinking": "hm", "signature": "gw1.empty"}
    assert answer(block, unseal=unseal) == (Thinking("hm"),)


def test_a_state_of_openai_belongs_to_its_own_thought_and_the_words_are_a_summary(answer):
    block = {"type": "thinking", "thinking": "hm", "signature": "gw1.o"}
    assert answer(block, unseal=unseal) == (Thinking(summaries=("hm",), state=OPENAI),)
    assert answer({"type": "redacted_thinking", "data": "gw1.o"}, unseal=unseal) == (Thinking(state=OPENAI),)


def test_a_state_of_google_belongs_to_the_part_after_the_thought_that_carried_it(answer):
    thought = {"type": "thinking", "thinking": "hm", "signature": "gw1.g/next"}
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    assert answer(thought, call, unseal=unseal) == (Thinking("hm"), ToolUse("t", "f", "{}", state=GOOGLE))


def test_a_state_that_came_after_its_text_goes_back_to_it(answer):
    late = {"type": "redacted_thinking", "data": "gw1.g/before"}
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    found = answer({"type": "text", "text": "a"}, late, call, unseal=unseal)
    assert found == (Text("a", state=GOOGLE), ToolUse("t", "f", "{}"))


# --- rare blocks --------------------------------------------------------------------------------------------------


def test_a_summary_of_older_turns_is_kept_as_it_is(answer):
    block = {"type": "compaction", "content": "It was long.", "signature": "s"}
    assert answer(block) == (Compaction("It was long.", native=Raw(json.dumps(block).encode())),)


def test_a_summary_of_another_provider_comes_back_with_its_state(answer):
    block = {"type": "compaction", "content": None, "encrypted_content": "gw1.o"}
    assert answer(block, unseal=unseal) == (Compaction(state=OPENAI),)


@pytest.mark.parametrize(("kind", "optional"), [("container_upload", False), ("fallback", True), ("next_year", False)])
def test_blocks_that_only_this_dialect_knows_are_kept(part, kind, optional):
    block = {"type": kind, "file_id": "file_1"}
    assert part(block) == Native("anthropic", kind, Raw(json.dumps(block).encode()), optional=optional)


def test_a_system_message_in_the_middle_stays_where_it_is(decoded):
    messages = [
        {"role": "user", "content": "a"},
        {"role": "system", "content": [{"type": "text", "text": "s"}]},
        {"role": "assistant", "content": "b"},
    ]
    roles = [(message.role, message.parts) for message in decoded(messages=messages).messages]
    assert roles == [("user", (Text("a"),)), ("system", (Text("s"),)), ("assistant", (Text("b"),))]


def test_a_system_message_at_the_beginning_is_a_leading_one(decoded):
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]
    request = decoded(messages=messages, system=[{"type": "text", "text": "t", "cache_control": MARK}])
    assert request.system == (Message(role="system", parts=(Text("t", cache=CacheMark("1h")), Text("s"))),)
    assert [message.role for message in request.messages] == ["user"]


def test_tools_come_and_go_by_name_or_by_definition(decoded):
    definition = {"type": "tool_definition", "definition": {"name": "h", "input_schema": {}}}
    content = [
        {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "f"}},
        {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "g"}},
        {"type": "tool_addition", "tool": definition},
    ]
    messages = [{"role": "user", "content": "a"}, {"role": "system", "content": content}]
    assert decoded(messages=messages).messages[1].parts == (
        ToolChange(added=(FunctionTool(name="f"),)),
        ToolChange(removed=("g",)),
        ToolChange(added=(FunctionTool(name="h", parameters=Raw(b"{}")),)),
    )


def test_a_last_answer_of_words_is_the_beginning_of_the_next_one(decoded):
    begun = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "{"}]
    assert decoded(messages=begun).messages[-1].incomplete
    paused = [begun[0], assistant({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}})]
    assert not decoded(messages=paused).messages[-1].incomplete
