"""OpenAI Responses: canonical tools, and which of them the model has to call, for a provider."""

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
    Request,
    Text,
    ToolChange,
    ToolChoice,
    WebSearch,
)

BOUND = Raw(b'{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}')
F = FunctionTool(name="f")
HELLO = (Message(role="user", parts=(Text("Hello"),)),)


@pytest.fixture
def tools(encode):
    def run(*declared, **quirks):
        body, encoded = encode(Request(model="m", messages=HELLO, tools=declared), **quirks)
        return body.get("tools"), encoded

    return run


@pytest.fixture
def choose(encode):
    def run(choice, *declared, **quirks):
        body, encoded = encode(Request(model="m", messages=HELLO, tools=declared, tool_choice=choice), **quirks)
        return body, encoded

    return run


def test_no_tools_are_no_field(tools):
    assert tools()[0] is None


def test_a_schema_goes_byte_for_byte(encode):
    schema = Raw(b'{ "b": 1,\n "a": 2 }')
    _, encoded = encode(Request(model="m", messages=HELLO, tools=(FunctionTool(name="f", parameters=schema),)))
    assert b'"parameters":{ "b": 1,\n "a": 2 }' in encoded.body


def test_a_function_that_nobody_bound_is_not_bound(tools):
    (wire,), _ = tools(F)
    assert wire == {"type": "function", "name": "f", "parameters": None, "strict": False}
    (wire,), _ = tools(FunctionTool(name="f", parameters=BOUND, strict=True))
    assert wire["strict"] is True


def test_binding_is_given_up_where_the_target_would_refuse_it(tools):
    (wire,), encoded = tools(FunctionTool(name="f", parameters=Raw(b'{"type":"object"}'), strict=True))
    assert (wire["strict"], encoded.dropped) == (False, ("tools.strict",))
    (wire,), encoded = tools(FunctionTool(name="f", parameters=BOUND, strict=True), no_strict=True)
    assert ("strict" in wire, encoded.dropped) == (False, ("tools.strict",))


def test_options_that_responses_has_are_told_and_others_named(tools):
    tool = FunctionTool(
        name="f",
        description="d",
        result=Raw(b'{"type":"string"}'),
        asynchronous=True,
        allowed_callers=("direct", "code_execution_20250825"),
        examples=(Raw(b"{}"),),
        stream_arguments_eagerly=True,
        cache=CacheMark(),
    )
    (wire,), encoded = tools(tool)
    assert (wire["description"], wire["async"], wire["allowed_callers"]) == ("d", True, ["direct"])
    assert wire["output_schema"] == {"type": "string"}
    assert set(encoded.dropped) == {
        "tools.allowed_callers",
        "tools.examples",
        "tools.stream_arguments_eagerly",
        "tools.cache",
    }


def test_deferred_tools_are_shown_where_nothing_can_find_them(tools):
    deferred = FunctionTool(name="f", defer_loading=True)
    (wire,), encoded = tools(deferred)
    assert ("defer_loading" in wire, encoded.approximated) == (False, ("tools.defer_loading",))
    search = NativeTool(
        kind="tool_search", dialect="openai_responses", wire_type="tool_search", body=Raw(b'{"type":"tool_search"}')
    )
    (_, wire), encoded = tools(search, deferred)
    assert (wire["defer_loading"], encoded.approximated) == (True, ())


def test_neighbours_of_a_namespace_stand_in_it(tools):
    spaced = [FunctionTool(name=name, namespace="n", namespace_description="d") for name in "ab"]
    custom = CustomTool(name="c", namespace="n", namespace_description="d", syntax="regex", grammar="x+")
    (space, alone), _ = tools(*spaced, custom, F)
    assert (space["type"], space["name"], space["description"]) == ("namespace", "n", "d")
    assert [tool["name"] for tool in space["tools"]] == ["a", "b", "c"]
    assert space["tools"][2]["format"] == {"type": "grammar", "syntax": "regex", "definition": "x+"}
    assert alone["name"] == "f"


def test_a_web_search_is_told_in_own_words_or_as_received(tools):
    own = Raw(b'{"type":"web_search_preview","search_context_size":"low"}')
    foreign = WebSearch(
        wire_type="web_search_20250305",
        allowed_domains=("a.b",),
        uses_max=2,
        context_size="high",
        location=Location(city="Bern"),
        native=Raw(b'{"type":"web_search_20250305"}'),
    )
    (kept, told), encoded = tools(WebSearch(wire_type="web_search_preview", native=own), foreign)
    assert kept == {"type": "web_search_preview", "search_context_size": "low"}
    assert told == {
        "type": "web_search",
        "filters": {"allowed_domains": ["a.b"]},
        "search_context_size": "high",
        "user_location": {"type": "approximate", "city": "Bern"},
    }
    assert encoded.dropped == ("tools.uses_max",)


def test_an_mcp_server_of_others_is_never_asked_about(tools):
    (wire,), _ = tools(Mcp(label="l", url="https://u", authorization="t", headers={"h": "v"}, allowed_tools=("a",)))
    assert wire == {
        "type": "mcp",
        "server_label": "l",
        "server_url": "https://u",
        "require_approval": "never",
        "authorization": "t",
        "headers": {"h": "v"},
        "allowed_tools": ["a"],
    }


def test_code_runs_in_a_container_of_its_own(tools):
    foreign = NativeTool(kind="code_execution", dialect="gemini", wire_type="codeExecution", body=Raw(b"{}"))
    (wire,), encoded = tools(foreign)
    assert wire == {"type": "code_interpreter", "container": {"type": "auto"}}
    assert encoded.approximated == ("tools.code_execution",)


def test_a_tool_search_of_others_is_left_out_as_all_tools_are_shown(tools):
    search = NativeTool(kind="tool_search", dialect="anthropic", wire_type="tool_search_tool_regex", body=Raw(b"{}"))
    (wire,), encoded = tools(search, F)
    assert wire["name"] == "f"
    assert encoded.approximated == ("tools.tool_search",)


@pytest.mark.parametrize(
    ("tool", "why"),
    [
        (WebSearch(blocked_domains=("a.b",)), "leave out domains"),
        (FileSearch(stores=("s",)), "another provider"),
        (Computer(wire_type="computer_20250124", native=Raw(b'{"type":"computer_20250124"}')), "computer_20250124"),
        (Mcp(label="l"), "'l' has no address"),
        (NativeTool(kind="bash", dialect="anthropic", wire_type="bash_20250124", body=Raw(b"{}")), "bash_20250124"),
        (NativeTool(kind="maps", dialect="gemini", wire_type="googleMaps", body=Raw(b"{}")), "googleMaps"),
        (
            NativeTool(
                kind="code_execution", dialect="x", wire_type="y", body=Raw(b'{"container":{"file_ids":["f"]}}')
            ),
            "no tool 'y'",
        ),
    ],
)
def test_tools_that_responses_lacks_are_refused_by_name(tools, tool, why):
    with pytest.raises(Untranslatable, match=why) as refused:
        tools(tool)
    assert refused.value.field == "tools"


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (ToolChoice(), "auto"),
        (ToolChoice(mode="none"), "none"),
        (ToolChoice(mode="required"), "required"),
        (ToolChoice(mode="validated"), "auto"),
        (ToolChoice(mode="required", names=("f",)), {"type": "function", "name": "f"}),
        (ToolChoice(mode="required", names=("c",)), {"type": "custom", "name": "c"}),
        (ToolChoice(mode="required", names=("apply_patch",)), {"type": "apply_patch"}),
        (ToolChoice(mode="required", names=("web_search",)), {"type": "web_search"}),
        (
            ToolChoice(names=("f", "c")),
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}],
            },
        ),
        (
            ToolChoice(mode="required", server_tool="mcp", names=("l", "n")),
            {"type": "mcp", "server_label": "l", "name": "n"},
        ),
        (ToolChoice(mode="required", server_tool="file_search"), {"type": "file_search"}),
    ],
)
def test_every_tool_choice_has_its_form(choose, choice, wire):
    patch = NativeTool(
        kind="apply_patch", dialect="openai_responses", wire_type="apply_patch", body=Raw(b'{"type":"apply_patch"}')
    )
    body, _ = choose(choice, F, CustomTool(name="c"), patch, WebSearch())
    assert body["tool_choice"] == wire


def test_calls_that_have_to_follow_their_schemas_are_bound_where_they_can_be(choose):
    bound, loose = (
        FunctionTool(name="f", parameters=BOUND),
        FunctionTool(name="g", parameters=Raw(b'{"type":"object"}')),
    )
    body, encoded = choose(ToolChoice(mode="validated"), bound, loose)
    assert [tool["strict"] for tool in body["tools"]] == [True, False]
    assert encoded.approximated == ("tool_choice.mode",)


def test_free_text_tools_are_functions_where_the_model_knows_no_others(choose):
    free = CustomTool(name="free", namespace="n", syntax="lark", grammar="start: x")
    choice = ToolChoice(mode="required", names=("free",))
    body, encoded = choose(choice, free, no_custom_tools=True)
    (tool,) = body["tools"]
    assert (tool["type"], tool["name"], list(tool["parameters"]["properties"])) == ("function", "n__free", ["input"])
    assert "start: x" in tool["description"]
    assert body["tool_choice"] == {"type": "function", "name": "n__free"}
    assert encoded.approximated == ("tools.custom",)


def test_a_subset_is_all_that_is_declared_where_it_cant_be_named(choose):
    body, encoded = choose(
        ToolChoice(names=("g", "l")), F, FunctionTool(name="g"), Mcp(label="l", url="https://u"), no_allowed_tools=True
    )
    assert [tool.get("name") or tool["server_label"] for tool in body["tools"]] == ["g", "l"]
    assert body["tool_choice"] == "auto"
    assert encoded.approximated == ("tool_choice.names",)
    body, _ = choose(ToolChoice(mode="required", names=("g",)), F, FunctionTool(name="g"), no_allowed_tools=True)
    assert len(body["tools"]) == 2


def test_parallel_calls_can_be_switched_where_there_is_a_switch(choose):
    body, _ = choose(ToolChoice(parallel=False), F)
    assert body["parallel_tool_calls"] is False
    body, encoded = choose(ToolChoice(parallel=False), F, no_parallel_choice=True)
    assert "parallel_tool_calls" not in body
    assert encoded.dropped == ("tool_choice.parallel",)


def test_a_choice_without_tools_is_nothing_unless_it_forces_one(choose, encode):
    body, _ = choose(ToolChoice())
    assert "tool_choice" not in body
    with pytest.raises(Untranslatable, match="no tools"):
        choose(ToolChoice(mode="required"))
    with pytest.raises(Untranslatable, match="'g'"):
        choose(ToolChoice(mode="required", names=("g",)), F)
    added = Message(role="developer", parts=(ToolChange((FunctionTool(name="f", description="d"),)),))
    body, _ = encode(Request(model="m", messages=(*HELLO, added), tool_choice=ToolChoice(mode="required")))
    assert body["tool_choice"] == "required"
