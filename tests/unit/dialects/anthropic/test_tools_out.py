"""Tools, and which of them has to be called, for a provider."""

import json
import re

import pytest
from msgspec import Raw

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.model import (
    CacheMark,
    Computer,
    CustomTool,
    FileSearch,
    FunctionTool,
    Location,
    Mcp,
    Message,
    NativeTool,
    Reasoning,
    Request,
    Text,
    ToolChoice,
    ToolUse,
    WebSearch,
)

SCHEMA = b'{"type": "object",  "properties": {"b": {"type": "string"}, "a": {"type": "string"}}}'
LEGAL = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def request(*tools, **fields):
    fields = {"messages": (Message(role="user", parts=(Text("Hi"),)),)} | fields
    return Request(model="m", tools=tools, **fields)


def native(kind, wire_type, body=None, dialect="anthropic"):
    return NativeTool(kind=kind, dialect=dialect, wire_type=wire_type, body=Raw(json.dumps(body or {}).encode()))


def test_a_function_is_told_with_its_schema_byte_for_byte(encoded):
    body = encoded(request(FunctionTool(name="f", description="D", parameters=Raw(SCHEMA)))).body
    assert b'{"name":"f","description":"D","input_schema":' + SCHEMA + b"}" in body


def test_the_same_tools_are_the_same_bytes(encoded):
    tools = (FunctionTool(name="f", parameters=Raw(b'{"anyOf":[{"type":"object"}]}')), CustomTool(name="g"))
    assert encoded(request(*tools)).body == encoded(request(*tools)).body


@pytest.mark.parametrize("parameters", [Raw(b"null"), Raw(b"{}"), Raw(b'{"properties":{}}')])
def test_a_schema_without_type_object_gets_it(sent, parameters):
    (tool,) = sent(request(FunctionTool(name="f", parameters=parameters)))["tools"]
    assert tool["input_schema"] == {"type": "object", "properties": {}}


def test_a_union_at_the_root_of_a_schema_becomes_one_object(sent):
    union = Raw(b'{"anyOf":[{"type":"object","properties":{"a":{}}},{"type":"object","properties":{"b":{}}}]}')
    (tool,) = sent(request(FunctionTool(name="f", parameters=union)))["tools"]
    assert tool["input_schema"] == {"type": "object", "properties": {"a": {}, "b": {}}}


def test_no_tools_and_empty_descriptions_are_not_sent(sent):
    assert "tools" not in sent(request())
    assert "description" not in sent(request(FunctionTool(name="f")))["tools"][0]


def test_a_strict_tool_is_closed_and_only_where_it_is_known(encoded, sent):
    tool = FunctionTool(name="f", parameters=Raw(SCHEMA), strict=True)
    (wire,) = sent(request(tool))["tools"]
    assert (wire["strict"], wire["input_schema"]["additionalProperties"]) == (True, False)
    (wire,) = sent(request(tool), no_strict=True)["tools"]
    assert "strict" not in wire
    assert encoded(request(tool), no_strict=True).dropped == ("tools.strict",)


def test_a_strict_tool_that_contains_itself_is_not_strict(encoded):
    itself = Raw(b'{"type":"object","properties":{"a":{"$ref":"#"}}}')
    assert encoded(request(FunctionTool(name="f", parameters=itself, strict=True))).dropped == ("tools.strict",)


def test_options_of_a_function_are_told(sent):
    tool = FunctionTool(
        name="f",
        parameters=Raw(SCHEMA),
        defer_loading=True,
        allowed_callers=("direct",),
        examples=(Raw(b'{"a": 1}'),),
        stream_arguments_eagerly=False,
        cache=CacheMark("12h"),
    )
    (wire,) = sent(request(tool))["tools"]
    assert {name: wire[name] for name in wire if name not in ("name", "input_schema")} == {
        "defer_loading": True,
        "allowed_callers": ["direct"],
        "input_examples": [{"a": 1}],
        "eager_input_streaming": False,
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }


def test_what_the_dialect_lacks_of_a_function_is_named(encoded):
    tool = FunctionTool(name="f", result=Raw(b"{}"), asynchronous=True)
    assert encoded(request(tool)).dropped == ("tools.result", "tools.asynchronous")


@pytest.mark.parametrize("name", ["a.b/c", "x" * 65, "имя"])
def test_a_name_that_is_not_legal_gets_an_alias_that_maps_back(encoded, sent, name):
    call = Message(role="assistant", parts=(ToolUse("call." + "1" * 80, name, "{}"),))
    wanted = request(FunctionTool(name=name), tool_choice=ToolChoice(mode="required", names=(name,)), messages=(call,))
    wire = sent(wanted)
    alias = wire["tools"][0]["name"]
    assert LEGAL.fullmatch(alias)
    assert encoded(wanted).names == {alias: name}
    use, result = wire["messages"][0]["content"][0], wire["messages"][1]["content"][0]
    assert wire["tool_choice"]["name"] == use["name"] == alias
    assert LEGAL.fullmatch(use["id"])
    assert use["id"] == result["tool_use_id"]


def test_a_namespace_is_a_part_of_the_name(sent):
    tool = FunctionTool(name="f", namespace="ns", namespace_description="N", description="D")
    call = Message(role="assistant", parts=(ToolUse("t", "f", "{}", namespace="ns"),))
    wire = sent(request(tool, messages=(call,)))
    assert (wire["tools"][0]["name"], wire["tools"][0]["description"]) == ("ns__f", "N\n\nD")
    assert wire["messages"][0]["content"][0]["name"] == "ns__f"


def test_a_tool_of_free_text_is_a_function_of_one_text(encoded, sent):
    wanted = request(CustomTool(name="patch", description="D"))
    assert sent(wanted)["tools"][0]["input_schema"]["properties"] == {"input": {"type": "string"}}
    assert encoded(wanted).approximated == ("tools.custom",)


# --- hosted tools -------------------------------------------------------------------------------------------------


def test_a_web_search_of_its_own_dialect_is_sent_as_received(encoded):
    wire = b'{"type":"web_search_20260318",  "name":"web_search"}'
    tool = WebSearch(wire_type="web_search_20260318", native=Raw(wire))
    assert wire in encoded(request(tool)).body


def test_a_web_search_of_another_dialect_keeps_its_limits(encoded, sent):
    tool = WebSearch(
        wire_type="web_search_2025_08_26",
        native=Raw(b'{"type":"web_search_2025_08_26"}'),
        allowed_domains=("a.example",),
        context_size="high",
        location=Location(city="Omsk"),
    )
    wanted = request(tool, server_tool_calls_max=2)
    assert sent(wanted)["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "max_uses": 2,
            "allowed_domains": ["a.example"],
            "user_location": {"type": "approximate", "city": "Omsk"},
        }
    ]
    assert encoded(wanted).dropped == ("tools.context_size",)


def test_a_search_of_an_index_only_becomes_one_of_the_web_and_that_is_told(encoded):
    assert encoded(request(WebSearch(live=False))).approximated == ("tools.web_search.live",)
    assert encoded(request(WebSearch(live=True))).approximated == ()


def test_the_smaller_limit_of_searches_counts(sent):
    (tool,) = sent(request(WebSearch(uses_max=1), server_tool_calls_max=5))["tools"]
    assert tool["max_uses"] == 1


def test_a_limit_of_calls_without_a_search_is_dropped(encoded):
    assert encoded(request(FunctionTool(name="f"), server_tool_calls_max=5)).dropped == ("server_tool_calls_max",)


def test_fetching_and_code_without_files_have_counterparts(sent):
    wanted = request(
        native("web_fetch", "urlContext", dialect="gemini"),
        native("code_execution", "code_interpreter", {"container": {"type": "auto"}}, "openai_responses"),
    )
    assert [tool["type"] for tool in sent(wanted)["tools"]] == ["web_fetch_20250910", "code_execution_20250825"]


@pytest.mark.parametrize(
    "tool",
    [
        FileSearch(stores=("vs_1",)),
        Computer(wire_type="computer_use_preview", native=Raw(b'{"type":"computer_use_preview"}')),
        native("code_execution", "code_interpreter", {"container": "cntr_1"}, "openai_responses"),
        native("code_execution", "code_interpreter", {"container": {"file_ids": ["f"]}}, "openai_responses"),
        native("image_generation", "image_generation", dialect="openai_responses"),
        native("local_shell", "local_shell", dialect="openai_responses"),
        native("maps", "googleMaps", dialect="gemini"),
        native("unknown", "exotic", dialect="openai_responses"),
        Mcp(label="wiki", url="https://a.example", approval="always"),
        Mcp(label="wiki", url="https://a.example", headers={"x": "y"}),
        Mcp(label="wiki"),
    ],
)  # fmt: skip
def test_a_hosted_tool_without_a_counterpart_is_refused_never_dropped(sent, tool):
    with pytest.raises(Untranslatable) as refused:
        sent(request(tool))
    assert refused.value.field == "tools"


def test_searching_for_tools_is_replaced_by_showing_them_all(encoded, sent):
    hidden = FunctionTool(name="f", defer_loading=True)
    wanted = request(hidden, native("tool_search", "tool_search", dialect="openai_responses"))
    assert [tool["name"] for tool in sent(wanted)["tools"]] == ["f"]
    assert "defer_loading" not in sent(wanted)["tools"][0]
    assert encoded(wanted).approximated == ("tools.tool_search",)


def test_a_search_that_the_client_runs_itself_is_a_function_and_finds_deferred_tools(sent):
    schema = {"type": "object", "properties": {"query": {"type": "string"}}}
    body = {"type": "tool_search", "execution": "client", "description": "Finds.", "parameters": schema}
    search = native("tool_search", "tool_search", body, dialect="openai_responses")
    found, function = sent(request(FunctionTool(name="f", defer_loading=True), search))["tools"]
    assert found["defer_loading"] is True
    assert function == {"name": "tool_search", "description": "Finds.", "input_schema": schema}


def test_typed_tools_of_the_dialect_are_sent_as_received_with_the_beta_they_need(encoded, sent):
    tools = (
        native("bash", "bash_20250124", {"type": "bash_20250124", "name": "bash"}),
        native("advisor", "advisor_20260301", {"type": "advisor_20260301", "name": "advisor", "model": "m"}),
        Computer(wire_type="computer_20251124", native=Raw(b'{"type":"computer_20251124","name":"computer"}')),
    )
    assert [tool["name"] for tool in sent(request(*tools))["tools"]] == ["bash", "advisor", "computer"]
    assert encoded(request(*tools)).headers == (
        (b"anthropic-beta", b"advisor-tool-2026-03-01,computer-use-2025-11-24"),
    )


def test_an_mcp_server_is_a_server_and_a_toolset(encoded, sent):
    tool = Mcp(label="wiki", url="https://a.example/mcp", authorization="t", allowed_tools=("ask",), approval="never")
    wire = sent(request(tool))
    assert wire["mcp_servers"] == [
        {"type": "url", "name": "wiki", "url": "https://a.example/mcp", "authorization_token": "t"}
    ]
    assert wire["tools"] == [
        {
            "type": "mcp_toolset",
            "mcp_server_name": "wiki",
            "default_config": {"enabled": False},
            "configs": {"ask": {"enabled": True}},
        }
    ]
    assert encoded(request(tool)).headers == ((b"anthropic-beta", b"mcp-client-2025-11-20"),)


# --- tool choice --------------------------------------------------------------------------------------------------

F, G = FunctionTool(name="f"), FunctionTool(name="g")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        (ToolChoice(), {"type": "auto"}),
        (ToolChoice(mode="none"), {"type": "none"}),
        (ToolChoice(mode="none", parallel=False), {"type": "none"}),
        (ToolChoice(mode="required"), {"type": "any"}),
        (ToolChoice(mode="required", names=("g",)), {"type": "tool", "name": "g"}),
        (ToolChoice(mode="validated"), {"type": "auto"}),
        (ToolChoice(parallel=False), {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(parallel=True), {"type": "auto", "disable_parallel_tool_use": False}),
        (ToolChoice(mode="required", parallel=False), {"type": "any", "disable_parallel_tool_use": True}),
    ],
)
def test_tool_choice_and_parallel_calls(sent, choice, expected):
    assert sent(request(F, G, tool_choice=choice)).get("tool_choice") == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(names=("g",)), {"type": "auto"}),
        (ToolChoice(mode="required", names=("g", "h")), {"type": "any"}),
    ],
)
def test_a_subset_of_tools_is_told_by_telling_only_those(encoded, sent, choice, expected):
    wanted = request(F, G, tool_choice=choice)
    assert [tool["name"] for tool in sent(wanted)["tools"]] == ["g"]
    assert sent(wanted)["tool_choice"] == expected
    assert encoded(wanted).approximated == ("tool_choice",)


def test_a_choice_without_tools_is_dropped_unless_it_forces_a_call(sent):
    assert "tool_choice" not in sent(request(tool_choice=ToolChoice()))
    assert "tool_choice" not in sent(request(tool_choice=ToolChoice(mode="none")))
    with pytest.raises(Untranslatable, match="tool_choice"):
        sent(request(tool_choice=ToolChoice(mode="required")))


def test_a_hosted_search_can_be_forced_by_its_type(sent):
    choice = ToolChoice(mode="required", server_tool="web_search_preview")
    assert sent(request(WebSearch(), tool_choice=choice))["tool_choice"] == {"type": "tool", "name": "web_search"}
    with pytest.raises(Untranslatable, match="tool_choice"):
        sent(request(F, tool_choice=choice))


FORCED = ToolChoice(mode="required", names=("g",))


def test_a_model_that_cannot_be_forced_while_it_thinks_is_forced_without_thinking(encoded, sent):
    wire = sent(request(F, G, tool_choice=FORCED), no_forced_tool=True)
    assert (wire["tool_choice"], wire["thinking"]) == ({"type": "tool", "name": "g"}, {"type": "disabled"})
    assert encoded(request(F, G, tool_choice=FORCED), no_forced_tool=True).approximated == ("tool_choice",)


def test_a_model_that_can_never_be_forced_is_asked_with_that_tool_alone(sent):
    flags = {"no_forced_tool": True, "thinking_form": "adaptive_always", "thinking_can_be_off": False}
    system = (Message(role="system", parts=(Text("Be brief."),)),)
    wire = sent(request(F, G, tool_choice=FORCED, system=system), **flags)
    assert wire["tool_choice"] == {"type": "auto"}
    assert [tool["name"] for tool in wire["tools"]] == ["g"]
    assert [block["text"] for block in wire["system"]] == ["Be brief.", "Call the tool g now."]


def test_a_client_that_wants_both_thinking_and_a_forced_call_is_told_that_it_cannot(sent):
    with pytest.raises(Untranslatable, match="tool_choice"):
        sent(request(F, G, tool_choice=FORCED, reasoning=Reasoning(effort="high")), no_forced_tool=True)
