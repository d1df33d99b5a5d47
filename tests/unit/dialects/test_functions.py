"""Functions that stand for tools which a dialect does not know."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from proxyapi.dialects.functions import as_function, as_object, is_hosted_search, spoken
from proxyapi.dialects.model import CustomTool, FunctionTool, Mcp, NativeTool, ToolUse, WebSearch


def typed(wire_type: str, kind: str, body: bytes = b"{}", dialect: str = "anthropic") -> NativeTool:
    return NativeTool(kind=kind, dialect=dialect, wire_type=wire_type, body=Raw(body))


def test_a_plain_function_stands_for_itself():
    tool = FunctionTool(name="f", description="D", parameters=Raw(b"{}"), strict=True)
    assert as_function(tool) is tool


def test_a_namespace_becomes_part_of_the_name_and_its_description_stands_before_the_functions():
    tool = FunctionTool(name="f", description="D", namespace="ns", namespace_description="N")
    function = as_function(tool)
    assert (function.name, function.description) == (spoken("f", "ns"), "N\n\nD") == ("ns__f", "N\n\nD")


def test_a_free_text_tool_becomes_a_function_of_one_string_that_tells_the_grammar():
    function = as_function(CustomTool(name="sql", description="D", syntax="lark", grammar="start: /a/"))
    assert function.name == "sql"
    assert function.description == "D\n\nThe input has to match a Lark grammar:\nstart: /a/"
    assert msgspec.json.decode(function.parameters)["properties"] == {"input": {"type": "string"}}
    assert as_function(CustomTool(name="t")).description == ""


@pytest.mark.parametrize(
    "tool, name, properties",
    [
        (typed("bash_20250124", "bash", b'{"name":"bash"}'), "bash", {"command", "restart"}),
        (
            typed("text_editor_20250728", "text_editor", b'{"name":"str_replace_based_edit_tool"}'),
            "str_replace_based_edit_tool",
            {"command", "path", "file_text", "old_str", "new_str", "insert_line", "insert_text", "view_range"},
        ),
        (typed("shell", "shell", dialect="openai_responses"), "shell", {"commands", "timeout_ms", "max_output_length"}),
        (typed("apply_patch", "apply_patch", dialect="openai_responses"), "apply_patch", {"type", "path", "diff"}),
        (
            typed("local_shell", "local_shell", dialect="openai_responses"),
            "local_shell",
            {"type", "command", "env", "timeout_ms", "user", "working_directory"},
        ),
    ],
)
def test_a_typed_tool_keeps_its_name_and_takes_what_its_vendor_publishes(tool, name, properties):
    function = as_function(tool)
    schema = msgspec.json.decode(function.parameters)
    assert (function.name, set(schema["properties"])) == (name, properties)
    assert set(schema.get("required", ())) <= properties


def test_a_search_among_tools_is_a_function_where_the_client_runs_it():
    schema = b'{"type":"object","properties":{"query":{"type":"string"}}}'
    body = b'{"execution":"client","description":"Finds tools.","parameters":%b}' % schema
    search = typed("tool_search", "tool_search", body, "openai_responses")
    assert as_function(search) == FunctionTool(name="tool_search", description="Finds tools.", parameters=Raw(schema))
    assert not is_hosted_search(search)
    hosted = typed("tool_search", "tool_search", b'{"execution":"server"}', "openai_responses")
    assert as_function(hosted) is None
    assert is_hosted_search(hosted)


def test_only_older_text_editors_undo():
    old, new = (as_function(typed(f"text_editor_{date}", "text_editor")) for date in ("20250124", "20250429"))
    assert b"undo_edit" in bytes(old.parameters) and b"undo_edit" not in bytes(new.parameters)


@pytest.mark.parametrize(
    "tool",
    [
        WebSearch(),
        Mcp(label="m"),
        typed("browser_toolset_20260801", "browser"),
        typed("shell", "shell", b'{"environment":{"type":"container_auto"}}'),
    ],
)
def test_what_the_provider_itself_runs_or_understands_is_no_function(tool):
    assert as_function(tool) is None


@pytest.mark.parametrize(
    "arguments, kind, meant",
    [
        ('{ "a": 1 }', "function", '{ "a": 1 }'),
        ("", "function", "{}"),
        ("null", "function", "{}"),
        ("[1]", "function", '{"input":"[1]"}'),
        ("no JSON", "function", '{"input":"no JSON"}'),
        ('{"a":1}', "custom", '{"input":"{\\"a\\":1}"}'),
        ("", "custom", '{"input":""}'),
        ('{"commands":["ls"]}', "shell", '{"commands":["ls"]}'),
    ],
)
def test_arguments_of_a_call_become_an_object_only_where_they_are_none(arguments, kind, meant):
    assert as_object(ToolUse("1", "f", arguments, kind=kind)) == meant
