"""Parts as words: what a dialect without a field for them tells its model."""

import pytest

from proxyapi.dialects.model import (
    Audio,
    Compaction,
    Document,
    Inline,
    Link,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolReference,
    ToolUse,
)
from proxyapi.dialects.wording import as_text, prefixed_error, reminder

PAGE = SearchResult(source="https://example.com", title="Example", parts=())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"query":"rain"}', "Searched: rain"),
        ('{"type":"search","queries":["rain","snow"]}', "Searched: rain; snow"),
        ('{"type":"open_page","url":"https://example.com"}', "Searched: https://example.com"),
        ("{}", "Searched."),
        ("", "Searched."),
        ('{"depth":2}', 'Searched: {"depth":2}'),
        ("half a {", "Searched: half a {"),
    ],
)
def test_a_search_says_what_it_looked_for(arguments, said):
    assert as_text(ServerToolUse(id="s1", kind="web_search", name="web_search", arguments=arguments)) == said


def test_a_search_with_its_outcome_names_titles_and_addresses():
    found = ServerToolResult(tool_use_id="s1", kind="web_search", parts=(PAGE, PAGE))
    part = ServerToolUse(id="s1", kind="web_search", name="web_search", arguments='{"query":"rain"}', result=found)
    assert as_text(part) == "Searched: rain\nExample: https://example.com\nExample: https://example.com"


def test_a_code_run_shows_code_and_output_in_fences():
    code = ServerToolUse(id="s1", kind="code_execution", name="python", arguments='{"code":"print(1)"}')
    assert as_text(code) == "Ran:\n```\nprint(1)\n```"
    output = ServerToolResult(tool_use_id="s1", kind="code_execution", parts=(Text(text="1"),))
    assert as_text(output) == "Output:\n```\n1\n```"


def test_a_code_run_whose_code_nobody_knows_says_nothing():
    assert as_text(ServerToolUse(id="s1", kind="code_execution", name="python")) is None


def test_a_fence_inside_the_code_does_not_end_the_fence():
    code = ServerToolUse(id="s1", kind="code_execution", name="python", arguments='{"code":"```"}')
    assert as_text(code) == "Ran:\n````\n```\n````"


def test_a_tool_of_an_mcp_server_is_named_with_its_server():
    assert as_text(ServerToolUse(id="s1", kind="mcp", name="ask", server="wiki")) == "Used wiki/ask."


def test_a_failed_server_tool_says_why():
    assert as_text(ServerToolResult(tool_use_id="s1", kind="web_search", is_error=True, error_code="busy")) == (
        "Error: busy"
    )


def test_a_failed_server_tool_says_what_it_printed():
    failed = ServerToolResult(tool_use_id="s1", kind="mcp", parts=(Text(text="no such page"),), is_error=True)
    assert as_text(failed) == "Error: no such page"


def test_a_search_result_of_the_client_keeps_its_passages():
    passages = (Text(text="It rains."), Text(text="It pours."))
    part = SearchResult(source="https://example.com", title="Rain", parts=passages)
    assert as_text(part) == "Rain: https://example.com\nIt rains.\nIt pours."


def test_a_text_document_is_its_title_its_context_and_its_text():
    part = Document(source=None, title="Notes", context="From Monday", text="Buy milk")
    assert as_text(part) == "Notes\nFrom Monday\nBuy milk"
    assert as_text(Document(source=None, title="Notes", parts=(Text(text="Buy milk"),))) == "Notes\nBuy milk"


def test_a_document_with_a_source_is_no_text():
    assert as_text(Document(source=Link("https://example.com/a.pdf"), title="a.pdf")) is None


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Compaction(text="We met."), "Summary so far: We met."),
        (Compaction(), None),
        (ToolReference(name="weather"), "weather"),
        (Audio(source=Inline("AAAA", "audio/wav"), transcript="Hello"), "Hello"),
        (Thinking(text="secret"), None),
        (ToolUse(id="c1", name="f", arguments="{}"), None),
        (Text(text="Hello"), None),
    ],
)
def test_what_else_has_words_and_what_has_none(part, said):
    assert as_text(part) == said


def test_an_error_is_said_once():
    assert prefixed_error("no such file") == "Error: no such file"
    assert prefixed_error("Error: no such file") == "Error: no such file"


def test_a_reminder_is_wrapped():
    assert reminder("Be brief.") == "<system-reminder>\nBe brief.\n</system-reminder>"
