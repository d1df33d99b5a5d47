"""OpenAI Responses: declared tools of a client's request, and which of them has to be called."""

import pytest
from msgspec import Raw

from proxyapi.dialects.model import (
    Computer,
    CustomTool,
    FileSearch,
    FunctionTool,
    Location,
    Mcp,
    NativeTool,
    ToolChoice,
    WebSearch,
)
from proxyapi.errors import InvalidRequest


def test_no_tools_and_an_empty_list_are_the_same(decode):
    assert decode(tools=[]).tools == decode().tools == decode(tools=None).tools == ()


def test_a_function_keeps_its_schema_byte_for_byte(decode):
    (tool,) = decode(
        tools=[
            {
                "type": "function",
                "name": "f",
                "description": None,
                "parameters": {"b": 1, "a": [2]},
                "strict": True,
                "output_schema": {"type": "string"},
                "defer_loading": True,
                "async": True,
                "allowed_callers": ["direct"],
            }
        ]
    ).tools
    assert tool == FunctionTool(
        name="f",
        parameters=Raw(b'{"b": 1, "a": [2]}'),
        strict=True,
        result=Raw(b'{"type": "string"}'),
        defer_loading=True,
        asynchronous=True,
        allowed_callers=("direct",),
    )


def test_strict_is_unsaid_where_it_is_not_said(decode):
    (tool,) = decode(tools=[{"type": "function", "name": "f", "parameters": None}]).tools
    assert tool.strict is None


def test_free_text_tools_have_a_grammar(decode):
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: A"}
    bound, free = decode(
        tools=[{"type": "custom", "name": "a", "format": grammar}, {"type": "custom", "name": "b"}]
    ).tools
    assert bound == CustomTool(name="a", syntax="lark", grammar="start: A")
    assert free == CustomTool(name="b")


def test_tools_of_a_namespace_know_it(decode):
    inner = [{"type": "function", "name": "f", "parameters": None}, {"type": "custom", "name": "g"}]
    tools = decode(tools=[{"type": "namespace", "name": "n", "description": "d", "tools": inner}]).tools
    assert [(tool.name, tool.namespace, tool.namespace_description) for tool in tools] == [
        ("f", "n", "d"),
        ("g", "n", "d"),
    ]


def test_hosted_tools_are_known_with_their_options(decode):
    tools = decode(
        tools=[
            {
                "type": "web_search_preview",
                "search_context_size": "low",
                "user_location": {"type": "approximate", "city": "Bern"},
            },
            {"type": "web_search", "filters": {"allowed_domains": ["a.b"]}, "external_web_access": False},
            {"type": "file_search", "vector_store_ids": ["vs"], "max_num_results": 3},
            {"type": "computer_use_preview", "display_width": 10, "display_height": 20, "environment": "browser"},
        ]
    ).tools
    searches = [tool for tool in tools if isinstance(tool, WebSearch)]
    assert [(s.wire_type, s.context_size, s.location, s.allowed_domains, s.live) for s in searches] == [
        ("web_search_preview", "low", Location(city="Bern"), (), None),
        ("web_search", None, None, ("a.b",), False),
    ]
    files, computer = tools[2:]
    assert isinstance(files, FileSearch)
    assert (files.stores, files.results_max) == (("vs",), 3)
    assert isinstance(computer, Computer)
    assert (computer.width, computer.height, computer.environment) == (10, 20, "browser")


@pytest.mark.parametrize(
    ("fields", "allowed", "approval"),
    [
        ({"require_approval": "never", "allowed_tools": ["a"]}, ("a",), "never"),
        ({"allowed_tools": {"tool_names": ["b"]}}, ("b",), "always"),
        ({"require_approval": {"never": {"tool_names": ["c"]}}}, None, "always"),
    ],
)
def test_an_mcp_server_that_does_not_say_never_wants_approvals(decode, fields, allowed, approval):
    wire = {"type": "mcp", "server_label": "l", "server_url": "https://u", "authorization": "t", "headers": {"h": "v"}}
    (tool,) = decode(tools=[wire | fields]).tools
    assert isinstance(tool, Mcp)
    assert (tool.label, tool.url, tool.authorization, tool.headers) == ("l", "https://u", "t", {"h": "v"})
    assert (tool.allowed_tools, tool.approval) == (allowed, approval)


@pytest.mark.parametrize(
    ("wire_type", "kind"),
    [
        ("code_interpreter", "code_execution"),
        ("image_generation", "image_generation"),
        ("local_shell", "local_shell"),
        ("shell", "shell"),
        ("apply_patch", "apply_patch"),
        ("tool_search", "tool_search"),
        ("programmatic_tool_calling", "programmatic"),
        ("openrouter:advisor", "advisor"),
        ("of_tomorrow", "unknown"),
    ],
)
def test_every_other_tool_is_kept_under_its_name(decode, wire_type, kind):
    (tool,) = decode(tools=[{"type": wire_type}]).tools
    assert isinstance(tool, NativeTool)
    assert (tool.kind, tool.wire_type, tool.dialect) == (kind, wire_type, "openai_responses")


@pytest.mark.parametrize(
    ("wire", "choice"),
    [
        ("auto", ToolChoice()),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        ({"type": "function", "name": "f"}, ToolChoice(mode="required", names=("f",))),
        ({"type": "custom", "name": "c"}, ToolChoice(mode="required", names=("c",))),
        ({"type": "apply_patch"}, ToolChoice(mode="required", names=("apply_patch",))),
        ({"type": "web_search_preview"}, ToolChoice(mode="required", server_tool="web_search_preview")),
        ({"type": "mcp", "server_label": "l"}, ToolChoice(mode="required", server_tool="mcp", names=("l",))),
        (
            {"type": "mcp", "server_label": "l", "name": "n"},
            ToolChoice(mode="required", server_tool="mcp", names=("l", "n")),
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}, {"type": "mcp", "server_label": "l"}, {"type": "shell"}],
            },
            ToolChoice(names=("f", "l", "shell")),
        ),
    ],
)
def test_every_form_of_tool_choice_is_read(decode, wire, choice):
    assert decode(tool_choice=wire).tool_choice == choice


def test_parallel_calls_alone_leave_the_choice_to_the_model(decode):
    assert decode(parallel_tool_calls=False).tool_choice == ToolChoice(mode="auto", parallel=False)
    assert decode().tool_choice is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "custom", "name": "a", "format": {"syntax": "yacc"}}]}, "tools[0].format.syntax"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function"}]}]}, "tools[0].tools[0].name"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        ({"tool_choice": "some"}, "tool_choice"),
    ],
)
def test_an_odd_tool_is_refused_by_its_place(decode, fields, param):
    with pytest.raises(InvalidRequest) as refused:
        decode(**fields)
    assert refused.value.param == param
