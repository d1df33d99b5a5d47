"""Declared tools of a client's request."""

import json

import pytest
from msgspec import Raw

from proxyapi.dialects.model import CacheMark, Computer, FunctionTool, Location, Mcp, NativeTool, WebSearch
from proxyapi.errors import InvalidRequest


def raw(value):
    return Raw(json.dumps(value).encode())


@pytest.fixture
def tool(decoded):
    def run(wire):
        (found,) = decoded(tools=[wire]).tools
        return found

    return run


@pytest.mark.parametrize("kind", [{}, {"type": "custom"}, {"type": None}])
def test_a_function_has_a_type_or_none(tool, kind):
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    wire = {"name": "f", "description": "D", "input_schema": schema, "strict": True} | kind
    assert tool(wire) == FunctionTool(name="f", description="D", parameters=raw(schema), strict=True)


def test_a_function_keeps_everything_it_says(tool):
    wire = {
        "name": "f",
        "input_schema": {},
        "defer_loading": True,
        "allowed_callers": ["direct", "code_execution_20260120"],
        "input_examples": [{"a": 1}],
        "eager_input_streaming": True,
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }
    assert tool(wire) == FunctionTool(
        name="f",
        parameters=Raw(b"{}"),
        defer_loading=True,
        allowed_callers=("direct", "code_execution_20260120"),
        examples=(raw({"a": 1}),),
        stream_arguments_eagerly=True,
        cache=CacheMark("1h"),
    )


def test_a_function_without_a_name_is_refused_by_its_place(decoded):
    with pytest.raises(InvalidRequest) as refused:
        decoded(tools=[{"name": "f", "input_schema": {}}, {"input_schema": {}}])
    assert refused.value.param == "tools[1].name"


def test_a_web_search_keeps_its_limits(tool):
    wire = {
        "type": "web_search_20260318",
        "name": "web_search",
        "max_uses": 3,
        "allowed_domains": ["a.example"],
        "user_location": {"type": "approximate", "city": "Omsk", "country": "RU"},
    }
    assert tool(wire) == WebSearch(
        wire_type="web_search_20260318",
        uses_max=3,
        allowed_domains=("a.example",),
        location=Location(city="Omsk", country="RU"),
        native=raw(wire),
    )


def test_a_computer_keeps_its_size(tool):
    wire = {"type": "computer_20251124", "name": "computer", "display_width_px": 800, "display_height_px": 600}
    assert tool(wire) == Computer(wire_type="computer_20251124", width=800, height=600, native=raw(wire))


@pytest.mark.parametrize(
    ("wire_type", "kind"),
    [
        ("web_fetch_20250910", "web_fetch"),
        ("code_execution_20260521", "code_execution"),
        ("tool_search_tool_bm25_20251119", "tool_search"),
        ("advisor_20260301", "advisor"),
        ("bash_20250124", "bash"),
        ("text_editor_20250728", "text_editor"),
        ("memory_20250818", "memory"),
        ("browser_toolset_20260801", "browser"),
        ("next_year_20271231", "unknown"),
    ],
)
def test_typed_tools_are_known_by_the_beginning_of_their_type(tool, wire_type, kind):
    wire = {"type": wire_type, "name": "x"}
    assert tool(wire) == NativeTool(kind=kind, dialect="anthropic", wire_type=wire_type, body=raw(wire))


SERVER = {"type": "url", "name": "wiki", "url": "https://a.example/mcp", "authorization_token": "t"}


def test_an_mcp_server_stands_where_its_toolset_does(decoded):
    toolset = {
        "type": "mcp_toolset",
        "mcp_server_name": "wiki",
        "default_config": {"enabled": False},
        "configs": {"ask": {"enabled": True}, "tell": {"enabled": False}},
    }
    tools = decoded(tools=[toolset, {"name": "f", "input_schema": {}}], mcp_servers=[SERVER]).tools
    assert tools[0] == Mcp(
        label="wiki", url="https://a.example/mcp", authorization="t", allowed_tools=("ask",), native=raw(toolset)
    )
    assert len(tools) == 2


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        (None, [Mcp(label="wiki", url="https://a.example/mcp", authorization="t")]),
        (
            {"enabled": True, "allowed_tools": ["ask"]},
            [Mcp(label="wiki", url="https://a.example/mcp", authorization="t", allowed_tools=("ask",))],
        ),
        ({"enabled": False}, []),
    ],
)
def test_an_mcp_server_of_the_first_beta_says_itself_what_it_offers(decoded, configuration, expected):
    assert list(decoded(mcp_servers=[SERVER | {"tool_configuration": configuration}]).tools) == expected
