"""Canonical settings and tools as Chat providers take them, quirk by quirk; what is dropped, and what refused."""

import json

import pytest
from msgspec import Raw
from msgspec.structs import replace

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.model import (
    AudioOut,
    CacheMark,
    CacheOptions,
    CustomTool,
    FileSearch,
    FunctionTool,
    JsonObject,
    JsonSchema,
    Location,
    Mcp,
    Message,
    NativeTool,
    Reasoning,
    Request,
    Sampling,
    Storage,
    Text,
    ToolChange,
    ToolChoice,
    WebSearch,
)

HELLO = Message(role="user", parts=(Text(text="Hello"),))
F = FunctionTool(name="f")
G = FunctionTool(name="g")
OPEN = Raw(b'{"type":"object","properties":{"a":{"type":"string"}}}')
CLOSED = Raw(b'{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}')


def asks(**fields):
    return Request(model="m", messages=(HELLO,), **fields)


def without_messages(wire):
    return {name: value for name, value in wire.items() if name not in ("model", "messages")}


@pytest.fixture
def settings(sent):
    """What a request with these canonical fields sends beside its messages."""

    def run(*, quirks=None, **fields):
        return without_messages(sent(asks(**fields), **(quirks or {})))

    return run


# --- settings -----------------------------------------------------------------------------------------------------


def test_a_plain_request_is_a_model_and_messages(sent):
    assert sent(asks()) == {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


def test_a_stream_always_asks_for_usage(settings):
    assert settings(stream=True) == {"stream": True, "stream_options": {"include_usage": True}}


def test_the_ceiling_goes_into_the_field_that_the_provider_knows(settings):
    assert settings(output_tokens_max=5) == {"max_completion_tokens": 5}
    assert settings(output_tokens_max=5, quirks={"max_tokens_field": "max_tokens"}) == {"max_tokens": 5}


def test_zero_temperature_and_top_p_are_sent(settings):
    assert settings(sampling=Sampling(temperature=0, top_p=0)) == {"temperature": 0, "top_p": 0}


def test_knobs_that_the_model_refuses_are_dropped_and_named(encoded):
    asked = asks(sampling=Sampling(temperature=1, top_p=0.5, top_k=5, seed=7, presence_penalty=1))
    found = encoded(asked, no_sampling=True, no_seed=True)
    assert without_messages(json.loads(found.body)) == {"presence_penalty": 1}
    assert set(found.dropped) == {f"sampling.{name}" for name in ("temperature", "top_p", "top_k", "seed")}


def test_a_temperature_that_is_too_high_is_the_highest(encoded):
    found = encoded(asks(sampling=Sampling(temperature=1.8)), temperature_max=1.5)
    assert json.loads(found.body)["temperature"] == 1.5
    assert found.approximated == ("sampling.temperature",)


def test_of_temperature_and_top_p_the_temperature_is_kept_where_both_are_refused(encoded):
    found = encoded(asks(sampling=Sampling(temperature=1, top_p=0.5)), no_temperature_with_top_p=True)
    assert without_messages(json.loads(found.body)) == {"temperature": 1}
    assert found.dropped == ("sampling.top_p",)


def test_the_seed_has_another_name_at_some(settings):
    assert settings(sampling=Sampling(seed=7), quirks={"seed_field": "random_seed"}) == {"random_seed": 7}


def test_stop_sequences_are_a_list_and_the_gateway_cuts_what_the_provider_does_not_know(encoded):
    found = encoded(asks(stop=("a", "b")))
    assert (json.loads(found.body)["stop"], found.stop) == (["a", "b"], ())
    found = encoded(asks(stop=("a",)), no_stop=True)
    assert ("stop" in json.loads(found.body), found.stop) == (False, ("a",))
    found = encoded(asks(stop=tuple("abcdef")))
    assert (json.loads(found.body)["stop"], found.stop) == (list("abcd"), ("e", "f"))


def test_several_choices_are_asked_for_and_one_is_not_worth_a_field(settings):
    assert settings(choices=3) == {"n": 3}
    assert settings(choices=1) == {}


def test_logprobs_are_asked_for_or_refused_but_never_dropped(settings):
    assert settings(logprobs=0) == {"logprobs": True}
    assert settings(logprobs=2) == {"logprobs": True, "top_logprobs": 2}
    with pytest.raises(Untranslatable) as caught:
        settings(logprobs=0, quirks={"no_logprobs": True})
    assert caught.value.field == "logprobs"


@pytest.mark.parametrize(
    ("asked", "quirks", "wire", "changed"),
    [
        (Reasoning(effort="medium"), {}, {"reasoning_effort": "medium"}, ()),
        (Reasoning(effort="xhigh"), {}, {"reasoning_effort": "high"}, ("reasoning.effort",)),
        (Reasoning(effort="none"), {}, {"reasoning_effort": "low"}, ("reasoning.effort",)),
        (Reasoning(effort="none"), {"efforts": ("none", "low")}, {"reasoning_effort": "none"}, ()),
        (Reasoning(budget_tokens=8_000), {}, {"reasoning_effort": "medium"}, ("reasoning.budget_tokens",)),
        (Reasoning(budget_tokens=-1), {}, {}, ()),
        (Reasoning(adaptive=True), {}, {}, ()),
        (Reasoning(adaptive=False), {"efforts": ("none", "low")}, {"reasoning_effort": "none"}, ()),
        (Reasoning(show="auto"), {}, {}, ()),
        (Reasoning(effort="none"), {"thinking_form": "none"}, {}, ()),
        (Reasoning(effort="none"), {"thinking_switch": True}, {"thinking": {"type": "disabled"}}, ()),
        (Reasoning(adaptive=True), {"thinking_switch": True}, {"thinking": {"type": "enabled"}}, ()),
        (
            Reasoning(effort="high"),
            {"thinking_switch": True},
            {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
            (),
        ),
    ],
)
def test_effort_is_told_as_the_model_takes_it(encoded, asked, quirks, wire, changed):
    found = encoded(asks(reasoning=asked), **quirks)
    assert without_messages(json.loads(found.body)) == wire
    assert (found.approximated, found.dropped) == (changed, ())


@pytest.mark.parametrize("quirks", [{"thinking_form": "none"}, {"chat_tools_no_effort": True}])
def test_an_effort_that_cannot_be_told_is_dropped_and_named(encoded, quirks):
    found = encoded(asks(reasoning=Reasoning(effort="high"), tools=(F,)), **quirks)
    assert "reasoning_effort" not in json.loads(found.body)
    assert found.dropped == ("reasoning.effort",)


def test_sound_is_asked_for_with_a_voice_and_a_format(settings):
    asked = {"modalities": ("text", "audio"), "audio": AudioOut(voice="ash", format="mp3")}
    assert settings(**asked) == {"modalities": ["text", "audio"], "audio": {"voice": "ash", "format": "mp3"}}
    asked = {"modalities": ("audio",), "audio": AudioOut(voice="Kore")}
    assert settings(**asked) == {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
    assert settings(**asked, stream=True)["audio"]["format"] == "pcm16"


def test_a_prediction_is_sent(settings):
    assert settings(prediction="x") == {"prediction": {"type": "content", "content": "x"}}


@pytest.mark.parametrize(
    ("asked", "wire"),
    [
        (
            CacheOptions(key="k", explicit=True, lifetime="1h"),
            {"prompt_cache_key": "k", "prompt_cache_options": {"mode": "explicit", "ttl": "12h"}},
        ),
        (CacheOptions(lifetime="24h"), {"prompt_cache_retention": "24h"}),
        (CacheOptions(automatic=CacheMark()), {}),
    ],
)
def test_caching_is_asked_for(settings, asked, wire):
    assert settings(cache=asked) == wire


def test_metadata_are_sent_only_with_what_is_stored(encoded):
    stored = encoded(asks(storage=Storage(store=True), metadata={"a": "b"}))
    assert json.loads(stored.body)["metadata"] == {"a": "b"}
    found = encoded(asks(metadata={"a": "b"}))
    assert ("metadata" in json.loads(found.body), found.dropped) == (False, ("metadata",))


def test_the_end_user_is_named_as_the_provider_wants_it_and_never_at_length(settings):
    assert settings(user="u") == {"safety_identifier": "u"}
    assert settings(user="u", quirks={"user_field": "user"}) == {"user": "u"}
    assert len(settings(user="u" * 200)["safety_identifier"]) == 64


@pytest.mark.parametrize(("tier", "word"), [("standard", "default"), ("flex", "flex"), ("priority", "priority")])
def test_tiers_are_asked_for_by_openais_words(settings, tier, word):
    assert settings(tier=tier) == {"service_tier": word}


def test_a_tier_that_chat_lacks_is_dropped_and_named(encoded):
    assert encoded(asks(tier="ultrafast")).dropped == ("tier",)


def test_knobs_that_a_provider_answers_with_an_error_are_left_out_and_named(encoded):
    asked = asks(user="u", verbosity="low", choices=2)
    found = encoded(asked, user_field="user", refused_fields=("user", "verbosity", "n", "service_tier"))
    assert without_messages(json.loads(found.body)) == {"n": 2}
    assert found.dropped == ("user", "verbosity")


def test_fields_of_chat_that_other_clients_add_are_copied_and_others_dropped(encoded):
    extra = {"seed": Raw(b"7"), "n": Raw(b"5"), "fancy": Raw(b"true")}
    found = encoded(asks(extra=extra))
    assert without_messages(json.loads(found.body)) == {"seed": 7}
    assert found.dropped == ("n", "fancy")


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("storage.previous_response_id", {"storage": Storage(previous_response_id="resp_1")}),
        ("storage.conversation", {"storage": Storage(conversation="conv_1")}),
        ("storage.background", {"storage": Storage(background=True)}),
        ("cache.content", {"cache": CacheOptions(content="cachedContents/1")}),
        ("container", {"container": "container_1"}),
        ("reasoning.mode", {"reasoning": Reasoning(mode="pro")}),
        ("output_tokens_max", {"output_tokens_max": 0}),
    ],
)
def test_what_chat_cannot_say_is_refused_by_its_field(encoded, field, fields):
    with pytest.raises(Untranslatable) as caught:
        encoded(asks(**fields))
    assert caught.value.field == field


def test_knobs_of_other_dialects_are_dropped_and_named(encoded):
    asked = asks(
        truncation="auto", compaction_threshold=5, server_tool_calls_max=2, reasoning=Reasoning(context="auto")
    )
    found = encoded(asked)
    assert found.dropped == ("truncation", "compaction_threshold", "server_tool_calls_max", "reasoning.context")


# --- the format of the answer -------------------------------------------------------------------------------------


def test_a_schema_is_sent_byte_for_byte(encoded):
    schema = Raw(b'{ "type":"object", "properties" : {} }')
    body = encoded(asks(format=JsonSchema(schema=schema, name="n", description="d"))).body
    assert bytes(schema) in body
    assert json.loads(body)["response_format"]["json_schema"] == {
        "name": "n",
        "description": "d",
        "schema": json.loads(bytes(schema)),
    }


def test_strict_is_kept_for_a_schema_that_is_bound_and_taken_back_from_one_that_is_not(settings, encoded):
    def strict(schema):
        wire = settings(format=JsonSchema(schema=schema, strict=True))
        return wire["response_format"]["json_schema"]["strict"]

    assert strict(CLOSED) is True
    assert strict(OPEN) is False
    assert encoded(asks(format=JsonSchema(schema=OPEN, strict=True))).dropped == ("format.strict",)


def test_a_model_without_schemas_is_told_the_schema_in_words(encoded):
    found = encoded(replace(asks(format=JsonSchema(schema=CLOSED)), system=()), no_json_schema=True)
    wire = json.loads(found.body)
    assert wire["response_format"] == {"type": "json_object"}
    assert wire["messages"][0]["role"] == "system"
    assert bytes(CLOSED).decode() in wire["messages"][0]["content"]
    assert found.approximated == ("format",)


def test_json_is_spoken_of_where_it_is_asked_for(sent):
    silent = sent(asks(format=JsonObject()))
    assert "JSON" in silent["messages"][0]["content"]
    spoken = Message(role="user", parts=(Text(text="Some json, please"),))
    assert len(sent(replace(asks(format=JsonObject()), messages=(spoken,)))["messages"]) == 1


def test_a_sentence_for_the_model_joins_its_instructions(sent):
    system = (Message(role="system", parts=(Text(text="Be brief."),)),)
    wire = sent(replace(asks(format=JsonObject()), system=system))
    assert wire["messages"][0]["content"].startswith("Be brief.\n\nAnswer with one JSON")


# --- tools --------------------------------------------------------------------------------------------------------


def test_a_function_is_sent_with_what_is_known_of_it(settings):
    tool = FunctionTool(name="f", description="d", parameters=CLOSED, strict=True)
    assert settings(tools=(tool,)) == {
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": json.loads(bytes(CLOSED)), "strict": True},
            }
        ]
    }


def test_no_tools_are_not_sent_and_an_empty_description_neither(settings):
    assert settings(tools=()) == {}
    assert settings(tools=(F,)) == {"tools": [{"type": "function", "function": {"name": "f"}}]}


def test_strict_is_dropped_where_it_is_unknown(encoded):
    found = encoded(asks(tools=(FunctionTool(name="f", parameters=CLOSED, strict=True),)), no_strict=True)
    assert "strict" not in json.loads(found.body)["tools"][0]["function"]
    assert found.dropped == ("tools.strict",)


def test_where_all_calls_have_to_follow_their_schemas_those_that_can_are_strict(settings):
    tools = (FunctionTool(name="f", parameters=CLOSED), FunctionTool(name="g", parameters=OPEN))
    wire = settings(tools=tools, tool_choice=ToolChoice(mode="validated"))
    assert [tool["function"].get("strict") for tool in wire["tools"]] == [True, None]


def test_a_strict_schema_that_openai_would_refuse_is_not_strict_there(settings, encoded):
    tool = FunctionTool(name="f", parameters=OPEN, strict=True)
    assert settings(tools=(tool,))["tools"][0]["function"]["strict"] is False
    assert encoded(asks(tools=(tool,))).dropped == ("tools.strict",)


def test_a_name_that_chat_refuses_gets_an_alias_that_maps_back(encoded):
    name = "files.read" + "x" * 80
    found = encoded(asks(tools=(FunctionTool(name=name),), tool_choice=ToolChoice(mode="required", names=(name,))))
    wire = json.loads(found.body)
    alias = wire["tools"][0]["function"]["name"]
    assert len(alias) <= 64 and "." not in alias
    assert wire["tool_choice"]["function"]["name"] == alias
    assert found.names == {alias: name}


def test_a_namespace_becomes_a_part_of_the_name(settings):
    tool = FunctionTool(name="f", namespace="ns", namespace_description="Of ns.", description="Does f.")
    assert settings(tools=(tool,))["tools"][0]["function"] == {"name": "ns__f", "description": "Of ns.\n\nDoes f."}


def test_a_free_text_tool_is_sent_as_one_or_as_a_function_of_a_string(settings, encoded):
    tool = CustomTool(name="c", description="d", syntax="lark", grammar="start: A")
    choice = ToolChoice(mode="required", names=("c",))
    wire = settings(tools=(tool,), tool_choice=choice)
    form = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}}
    assert wire["tools"] == [{"type": "custom", "custom": {"name": "c", "description": "d", "format": form}}]
    assert wire["tool_choice"] == {"type": "custom", "custom": {"name": "c"}}
    wire = settings(tools=(tool,), tool_choice=choice, quirks={"no_custom_tools": True})
    assert "start: A" in wire["tools"][0]["function"]["description"]
    assert list(wire["tools"][0]["function"]["parameters"]["properties"]) == ["input"]
    assert wire["tool_choice"] == {"type": "function", "function": {"name": "c"}}
    assert encoded(asks(tools=(tool,)), no_custom_tools=True).approximated == ("tools",)


@pytest.mark.parametrize(
    ("wire_type", "kind", "dialect", "body", "name"),
    [
        ("bash_20250124", "bash", "anthropic", b'{"type":"bash_20250124","name":"bash"}', "bash"),
        ("apply_patch", "apply_patch", "openai_responses", b'{"type":"apply_patch"}', "apply_patch"),
        ("local_shell", "local_shell", "openai_responses", b'{"type":"local_shell"}', "local_shell"),
    ],
)
def test_tools_that_a_vendor_has_typed_become_functions(encoded, wire_type, kind, dialect, body, name):
    found = encoded(asks(tools=(NativeTool(kind=kind, dialect=dialect, wire_type=wire_type, body=Raw(body)),)))
    function = json.loads(found.body)["tools"][0]["function"]
    assert function["name"] == name
    assert function["parameters"]["type"] == "object"
    assert found.approximated == ("tools",)


@pytest.mark.parametrize(
    ("tool", "word"),
    [
        (FileSearch(stores=("s",)), "file_search"),
        (Mcp(label="wiki"), "mcp"),
        (WebSearch(wire_type="web_search_20250305"), "web_search"),
        (
            NativeTool(kind="code_execution", dialect="gemini", wire_type="codeExecution", body=Raw(b"{}")),
            "codeExecution",
        ),
    ],
)
def test_server_tools_that_chat_lacks_are_refused_by_name(encoded, tool, word):
    with pytest.raises(Untranslatable, match=word) as caught:
        encoded(asks(tools=(tool,)))
    assert caught.value.field == "tools"


def test_a_web_search_is_asked_for_where_the_model_has_one(settings):
    tool = WebSearch(context_size="high", location=Location(city="Oslo"))
    assert settings(tools=(tool,), quirks={"web_search": True}) == {
        "web_search_options": {
            "search_context_size": "high",
            "user_location": {"type": "approximate", "approximate": {"city": "Oslo"}},
        }
    }


def test_a_web_search_of_some_domains_only_is_refused(encoded):
    with pytest.raises(Untranslatable, match="domains"):
        encoded(asks(tools=(WebSearch(allowed_domains=("a.example",)),)), web_search=True)


def test_a_tool_search_is_left_out_and_what_it_would_find_is_declared(encoded):
    search = NativeTool(kind="tool_search", dialect="anthropic", wire_type="tool_search_tool_bm25", body=Raw(b"{}"))
    found = encoded(asks(tools=(search, FunctionTool(name="f", defer_loading=True))))
    assert [tool["function"]["name"] for tool in json.loads(found.body)["tools"]] == ["f"]
    assert found.approximated == ("tools", "tools.defer_loading")


def test_tools_that_the_conversation_adds_are_declared_from_the_beginning(encoded):
    change = Message(role="system", parts=(ToolChange(added=(G,), removed=("f",)),))
    found = encoded(Request(model="m", messages=(HELLO, change), tools=(F,)))
    wire = json.loads(found.body)
    assert len(wire["messages"]) == 1
    assert found.approximated == ("messages.tool_change",)


@pytest.mark.parametrize(
    ("choice", "quirks", "wire"),
    [
        (ToolChoice(), {}, "auto"),
        (ToolChoice(mode="none"), {}, "none"),
        (ToolChoice(mode="required"), {}, "required"),
        (ToolChoice(mode="required"), {"required_word": "any"}, "any"),
        (ToolChoice(mode="validated"), {}, "auto"),
        (ToolChoice(mode="required", names=("g",)), {}, {"type": "function", "function": {"name": "g"}}),
        (
            ToolChoice(names=("g",)),
            {},
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "g"}}]},
            },
        ),
    ],
)
def test_a_choice_is_told_in_chats_words(settings, choice, quirks, wire):
    assert settings(tools=(F, G), tool_choice=choice, quirks=quirks)["tool_choice"] == wire


def test_where_a_subset_cannot_be_named_the_others_are_not_declared(encoded):
    found = encoded(
        asks(tools=(F, G), tool_choice=ToolChoice(mode="required", names=("g", "g"))), no_allowed_tools=True
    )
    wire = json.loads(found.body)
    assert [tool["function"]["name"] for tool in wire["tools"]] == ["g"]
    assert (wire["tool_choice"], found.approximated) == ("required", ("tool_choice.names",))


def test_parallel_calls_are_switched_where_the_switch_is_known(encoded):
    off = ToolChoice(parallel=False)
    assert json.loads(encoded(asks(tools=(F,), tool_choice=off)).body)["parallel_tool_calls"] is False
    found = encoded(asks(tools=(F,), tool_choice=off), no_parallel_choice=True)
    assert ("parallel_tool_calls" in json.loads(found.body), found.dropped) == (False, ("tool_choice.parallel",))


def test_a_choice_without_tools_is_dropped_unless_it_demands_one(settings, encoded):
    assert settings(tool_choice=ToolChoice(mode="none")) == {}
    with pytest.raises(Untranslatable, match="no tools"):
        encoded(asks(tool_choice=ToolChoice(mode="required")))
    with pytest.raises(Untranslatable, match="'x'"):
        encoded(asks(tools=(F,), tool_choice=ToolChoice(mode="required", names=("x",))))


def test_a_cache_mark_on_a_tool_is_sent_where_that_is_known_and_else_named(settings, encoded):
    marked = FunctionTool(name="f", cache=CacheMark("12h"))
    wire = settings(tools=(marked,), quirks={"cache_mark_field": "cache_control"})
    assert wire["tools"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert encoded(asks(tools=(marked,)), cache_mark_field="prompt_cache_breakpoint").dropped == ("tools.cache",)
