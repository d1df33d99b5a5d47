"""Results of hosted tools: what other dialects can show of them, and results of other providers in our shapes."""

import json

import pytest
from msgspec import Raw

from proxyapi.dialects.anthropic.hosted import is_native, kind_of, read_result, write_result, write_use
from proxyapi.dialects.model import Document, SearchResult, ServerToolResult, ServerToolUse, Text


def raw(**fields):
    return Raw(json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("kind", "content", "parts", "failed", "code"),
    [
        ("web_search", [{"type": "web_search_result", "url": "u", "title": "T", "encrypted_content": "x"}],
         (SearchResult("u", "T", ()),), False, ""),
        ("web_search", {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
         (), True, "max_uses_exceeded"),
        ("web_fetch", {"type": "web_fetch_result", "url": "u", "content": {
            "type": "document", "title": None, "source": {"type": "text", "data": "words"}}},
         (Document(None, text="words", title="u"),), False, ""),
        ("web_fetch", {"type": "web_fetch_result", "url": "u", "content": {
            "type": "document", "title": "T", "source": {"type": "base64", "data": "JVBERi0="}}},
         (SearchResult("u", "T", ()),), False, ""),
        ("code_execution", {"type": "code_execution_result", "stdout": "1\n", "stderr": "w", "return_code": 1},
         (Text("1\n"), Text("w")), False, ""),
        ("bash_code_execution", {"type": "bash_code_execution_result", "stdout": "1", "stderr": "", "return_code": 0,
                                 "content": [{"type": "bash_code_execution_output", "file_id": "f"}]},
         (Text("1"),), False, ""),
        ("text_editor_code_execution", {"type": "text_editor_code_execution_view_result", "content": "file"},
         (Text("file"),), False, ""),
        ("tool_search", {"type": "tool_search_tool_search_result",
                         "tool_references": [{"type": "tool_reference", "tool_name": "f"}]}, (Text("f"),), False, ""),
        ("advisor", {"type": "advisor_result", "text": "Ship it."}, (Text("Ship it."),), False, ""),
        ("advisor", {"type": "advisor_redacted_result", "encrypted_content": "x"}, (), False, ""),
        ("mcp", [{"type": "text", "text": "a"}], (Text("a"),), False, ""),
        ("mcp", "a", (Text("a"),), False, ""),
        ("web_search", None, (), False, ""),
        ("web_search", 5, (), False, ""),
        ("web_search", [5], (), False, ""),
    ],
)  # fmt: skip
def test_what_can_be_shown_of_a_result(kind, content, parts, failed, code):
    wire = raw(type=f"{kind}_tool_result", tool_use_id="srvtoolu_1", content=content)
    result = read_result(wire)
    assert result == ServerToolResult("srvtoolu_1", kind_of(kind), parts, is_error=failed, error_code=code, native=wire)
    assert is_native(result)


def test_a_failed_mcp_call_is_a_failure():
    assert read_result(raw(type="mcp_tool_result", tool_use_id="m", is_error=True, content="no")).is_error


@pytest.mark.parametrize(
    "native", [Raw(b"null"), Raw(b'{"type":"web_search_call"}'), Raw(b"[]"), Raw(b'{"outcome":1}')]
)
def test_bytes_of_other_dialects_are_not_native(native):
    assert not is_native(ServerToolResult("x", "web_search", native=native))


@pytest.mark.parametrize(
    "result",
    [
        ServerToolResult("ws_1", "web_search", (SearchResult("u", "T", ()),)),
        ServerToolResult("ws_1", "web_search", is_error=True, error_code="unavailable"),
        ServerToolResult("ws_1", "web_fetch", (Document(None, text="words", title="T"),)),
        ServerToolResult("ws_1", "code_execution", (Text("42"),)),
        ServerToolResult("ws_1", "mcp", (Text("a"), Text("b"))),
        ServerToolResult("ws_1", "mcp", (Text("a"),), is_error=True),
        ServerToolResult("ws_1", "file_search", (Text("a"),)),
    ],
)
def test_a_result_of_another_provider_comes_back_as_it_was(result):
    wire = write_result(result)
    assert wire["tool_use_id"] == "gw1.ws_1"
    assert read_result(raw(**wire)) == result


def test_code_that_failed_has_a_return_code_and_its_words_on_the_error_output():
    wire = write_result(ServerToolResult("c", "code_execution", (Text("Traceback"),), is_error=True))
    assert (wire["content"]["stderr"], wire["content"]["stdout"], wire["content"]["return_code"]) == (
        "Traceback",
        "",
        1,
    )


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (ServerToolUse("ws_1", "web_search", "web_search"),
         {"type": "server_tool_use", "id": "gw1.ws_1", "name": "web_search", "input": {}}),
        (ServerToolUse("m_1", "mcp", "ask", server="wiki"),
         {"type": "mcp_tool_use", "server_name": "wiki", "id": "gw1.m_1", "name": "ask", "input": {}}),
        (ServerToolUse("srvtoolu_1", "web_fetch", ""),
         {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_fetch", "input": {}}),
    ],
)  # fmt: skip
def test_a_call_of_another_provider_has_an_id_of_ours(use, expected):
    assert write_use(use) == expected
