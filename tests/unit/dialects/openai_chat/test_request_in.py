"""Settings and tools of Chat requests to canonical ones, with what other speakers of the dialect add."""

import json

import pytest
from msgspec import Raw

from proxyapi.dialects.codec import sealed_nothing
from proxyapi.dialects.model import (
    ABSENT,
    AudioOut,
    CacheMark,
    CacheOptions,
    CustomTool,
    FunctionTool,
    JsonObject,
    JsonSchema,
    Location,
    NativeTool,
    PlainText,
    Reasoning,
    Sampling,
    ToolChoice,
    WebSearch,
)
from proxyapi.dialects.openai_chat.codec import ChatCodec
from proxyapi.errors import InvalidRequest

SCHEMA = '{"type": "object", "properties": {"b": {}, "a": {}}}'
F = {"type": "function", "function": {"name": "f"}}


def test_the_model_of_the_path_wins():
    body = b'{"model": "m", "messages": []}'
    assert ChatCodec().decode(body, model="other", unseal=sealed_nothing).model == "other"


def test_a_request_of_nothing_but_messages_says_nothing_else(decoded):
    request = decoded()
    assert (request.tools, request.tool_choice, request.stop, request.choices) == ((), None, (), 1)
    assert (request.sampling, request.reasoning, request.format, request.extra) == (Sampling(), None, None, {})


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
        ({}, None),
    ],
)
def test_both_names_of_the_ceiling_are_read(decoded, fields, most):
    assert decoded(**fields).output_tokens_max == most


@pytest.mark.parametrize(("stop", "read"), [("a", ("a",)), (["a", "b"], ("a", "b")), (None, ()), ("", ())])
def test_stop_is_a_word_or_a_list(decoded, stop, read):
    assert decoded(stop=stop).stop == read


def test_zeros_are_kept_and_nulls_say_nothing(decoded):
    asked = decoded(temperature=0, top_p=0.0, frequency_penalty=None, seed=0).sampling
    assert asked == Sampling(temperature=0, top_p=0, seed=0)


def test_mistrals_seed_is_the_seed(decoded):
    assert decoded(random_seed=7).sampling.seed == 7


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 3}, 3),
        ({"logprobs": False, "top_logprobs": 3}, None),
        ({}, None),
    ],
)
def test_logprobs_and_their_alternatives_are_one_number(decoded, fields, read):
    assert decoded(**fields).logprobs == read


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({"reasoning_effort": "high"}, Reasoning(effort="high")),
        ({"reasoning_effort": "default"}, None),
        ({"reasoning": {"effort": "low"}}, Reasoning(effort="low")),
        ({"reasoning": {"max_tokens": 2_000}}, Reasoning(budget_tokens=2_000)),
        ({"reasoning": {"enabled": True}}, Reasoning(adaptive=True)),
        ({"reasoning": {"enabled": False}}, Reasoning(effort="none")),
        ({"reasoning": {"effort": "high", "exclude": True}}, Reasoning(effort="high", show="none")),
        ({"thinking": {"type": "disabled"}}, Reasoning(effort="none")),
        ({"thinking": {"type": "enabled"}}, Reasoning(adaptive=True)),
        ({"thinking": {"type": "enabled", "budget_tokens": 1_024}}, Reasoning(budget_tokens=1_024)),
        ({"include_reasoning": False}, Reasoning(show="none")),
        ({"include_reasoning": True}, Reasoning(show="auto")),
        ({"reasoning_format": "hidden"}, Reasoning(show="none")),
        ({"reasoning_format": "parsed"}, Reasoning(show="auto")),
        ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, Reasoning(effort="low")),
    ],
)
def test_reasoning_is_read_in_every_spelling(decoded, fields, read):
    assert decoded(**fields).reasoning == read


def test_an_effort_that_nobody_knows_is_refused(decoded):
    with pytest.raises(InvalidRequest, match="reasoning_effort: 'huge'"):
        decoded(reasoning_effort="huge")


@pytest.mark.parametrize(
    ("wire", "read"),
    [
        ({"type": "text"}, PlainText()),
        ({"type": "json_object"}, JsonObject()),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True, "description": "d"}},
            JsonSchema(schema=Raw(b"{}"), name="n", strict=True, description="d"),
        ),
        ({"type": "json_schema", "json_schema": {"schema": {}}}, JsonSchema(schema=Raw(b"{}"), name="response")),
    ],
)
def test_formats_of_the_answer_are_read(decoded, wire, read):
    assert decoded(response_format=wire).format == read


def test_a_schema_format_without_a_schema_is_refused(decoded):
    with pytest.raises(InvalidRequest, match=r"response_format\.json_schema\.schema"):
        decoded(response_format={"type": "json_schema", "json_schema": {"name": "n"}})


def test_schemas_stay_the_bytes_that_they_are():
    tool = '{"type":"function","function":{"name":"f","parameters":' + SCHEMA + "}}"
    form = '{"type":"json_schema","json_schema":{"name":"n","schema":' + SCHEMA + "}}"
    body = f'{{"model":"m","messages":[],"tools":[{tool}],"response_format":{form}}}'
    request = ChatCodec().decode(body.encode(), unseal=sealed_nothing)
    assert bytes(request.tools[0].parameters).decode() == SCHEMA
    assert bytes(request.format.schema).decode() == SCHEMA


# --- tools --------------------------------------------------------------------------------------------------------


def test_a_function_is_read_nested_and_flat(decoded):
    function = {"name": "f", "description": "d", "parameters": {}, "strict": False}
    nested, flat = decoded(tools=[{"type": "function", "function": function}, {"type": "function"} | function]).tools
    assert nested == flat == FunctionTool(name="f", description="d", parameters=Raw(b"{}"), strict=False)


def test_a_function_without_parameters_takes_nothing(decoded):
    without, null = decoded(tools=[F, {"type": "function", "function": {"name": "f", "parameters": None}}]).tools
    assert without.parameters is null.parameters is ABSENT


def test_no_tools_are_the_same_as_an_empty_list(decoded):
    assert decoded(tools=[]).tools == decoded(tools=None).tools == ()


def test_a_free_text_tool_is_read_with_its_grammar(decoded):
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}}
    tools = decoded(tools=[{"type": "custom", "custom": {"name": "c", "format": grammar}}]).tools
    assert tools == (CustomTool(name="c", syntax="lark", grammar="start: A"),)


def test_the_legacy_functions_are_tools_of_which_one_is_called(decoded):
    request = decoded(functions=[{"name": "f", "parameters": {}}], function_call={"name": "f"})
    assert request.tools == (FunctionTool(name="f", parameters=Raw(b"{}")),)
    assert request.tool_choice == ToolChoice(mode="required", names=("f",), parallel=False)
    assert request.legacy_calls


def test_a_cache_mark_on_a_tool_is_read(decoded):
    tools = decoded(tools=[F | {"cache_control": {"type": "ephemeral"}}]).tools
    assert tools[0].cache == CacheMark()


def test_web_search_options_are_a_tool(decoded):
    place = {"type": "approximate", "approximate": {"city": "Oslo", "country": "NO"}}
    options = {"search_context_size": "low", "user_location": place}
    assert decoded(web_search_options=options).tools == (
        WebSearch(context_size="low", location=Location(city="Oslo", country="NO")),
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"plugins": [{"id": "web"}]},
        {"search_parameters": {"mode": "auto"}},
        {"web_search_options": {}},
        {"web_search_options": {}, "plugins": [{"id": "web"}]},
    ],
)
def test_a_search_that_is_asked_for_elsewhere_is_one_tool(decoded, fields):
    assert decoded(**fields).tools == (WebSearch(),)


@pytest.mark.parametrize(
    "fields", [{"plugins": [{"id": "web", "enabled": False}]}, {"search_parameters": {"mode": "off"}}]
)
def test_a_search_that_is_switched_off_is_none(decoded, fields):
    assert decoded(**fields).tools == ()


def test_hosted_tools_keep_their_bytes_and_bear_their_kind(decoded):
    advisor = {"type": "openrouter:advisor", "parameters": {"model": "x"}}
    (tool,) = decoded(tools=[advisor]).tools
    assert (tool.kind, tool.wire_type, json.loads(bytes(tool.body))) == ("advisor", "openrouter:advisor", advisor)
    assert isinstance(tool, NativeTool)


def test_a_hosted_search_is_a_search_with_its_domains(decoded):
    (tool,) = decoded(tools=[{"type": "openrouter:web_search", "parameters": {"allowed_domains": ["a.example"]}}]).tools
    assert (tool.wire_type, tool.allowed_domains) == ("openrouter:web_search", ("a.example",))


def test_a_tool_without_a_name_is_refused_by_its_place(decoded):
    with pytest.raises(InvalidRequest, match=r"tools\[1\]\.function\.name"):
        decoded(tools=[F, {"type": "function", "function": {"description": "d"}}])


def test_a_tool_of_a_wrong_shape_is_refused_by_its_place(decoded):
    with pytest.raises(InvalidRequest, match=r"tools\[0\]\.function\.name"):
        decoded(tools=[{"type": "function", "function": {"name": 1}}])


@pytest.mark.parametrize(
    ("wire", "read"),
    [
        ("auto", ToolChoice()),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        ("any", ToolChoice(mode="required")),
        (F, ToolChoice(mode="required", names=("f",))),
        ({"type": "function", "name": "f"}, ToolChoice(mode="required", names=("f",))),
        ({"type": "custom", "custom": {"name": "c"}}, ToolChoice(mode="required", names=("c",))),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [F, {"type": "custom", "name": "c"}]}},
            ToolChoice(mode="auto", names=("f", "c")),
        ),
        ({"type": "web_search_preview"}, ToolChoice(mode="required", server_tool="web_search_preview")),
    ],
)
def test_choices_of_a_tool_are_read(decoded, wire, read):
    assert decoded(tools=[F], tool_choice=wire).tool_choice == read


def test_a_word_on_parallel_calls_alone_leaves_the_choice_to_the_model(decoded):
    assert decoded(tools=[F], parallel_tool_calls=False).tool_choice == ToolChoice(mode="auto", parallel=False)


@pytest.mark.parametrize("wire", ["perhaps", {"type": "function", "function": {}}])
def test_a_choice_that_says_nothing_is_refused(decoded, wire):
    with pytest.raises(InvalidRequest, match="tool_choice"):
        decoded(tools=[F], tool_choice=wire)


# --- the rest -----------------------------------------------------------------------------------------------------


def test_other_settings_are_read(decoded):
    request = decoded(
        n=2,
        stream=True,
        stream_options={"include_usage": True},
        verbosity="low",
        modalities=["text", "audio"],
        audio={"voice": "ash", "format": "wav"},
        prediction={"type": "content", "content": [{"type": "text", "text": "x"}]},
        store=True,
        metadata={"a": "b"},
        user="u",
        service_tier="flex",
    )
    assert (request.choices, request.stream, request.stream_usage) == (2, True, True)
    assert (request.verbosity, request.modalities) == ("low", ("text", "audio"))
    assert (request.audio, request.prediction) == (AudioOut(voice="ash", format="wav"), "x")
    assert (request.storage.store, request.metadata, request.user, request.tier) == (True, {"a": "b"}, "u", "flex")


def test_text_alone_is_no_modality_worth_asking_for(decoded):
    assert decoded(modalities=["text"]).modalities == ()


def test_the_newer_name_of_the_end_user_wins(decoded):
    assert decoded(user="old", safety_identifier="new").user == "new"


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({"prompt_cache_key": "k"}, CacheOptions(key="k")),
        (
            {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}},
            CacheOptions(explicit=True, lifetime="30m"),
        ),
        ({"prompt_cache_options": {"mode": "implicit"}}, CacheOptions(explicit=False)),
        ({"prompt_cache_retention": "24h"}, CacheOptions(lifetime="24h")),
        ({"prompt_cache_retention": "in_memory"}, CacheOptions()),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, CacheOptions(automatic=CacheMark("1h"))),
    ],
)
def test_caching_is_read(decoded, fields, read):
    assert decoded(**fields).cache == read


@pytest.mark.parametrize(("word", "tier"), [("default", "standard"), ("on_demand", "standard"), ("auto", "auto")])
def test_service_tiers_have_one_name_each(decoded, word, tier):
    assert decoded(service_tier=word).tier == tier


def test_a_service_tier_is_a_price_so_one_that_nobody_knows_is_refused(decoded):
    with pytest.raises(InvalidRequest, match="service_tier"):
        decoded(service_tier="gold")


def test_fields_that_only_their_provider_knows_are_kept_apart(decoded):
    request = decoded(provider={"order": ["a"]}, usage={"include": True})
    assert {name: bytes(raw) for name, raw in request.extra.items()} == {"provider": b'{"order": ["a"]}'}


def test_moderation_that_blocks_is_refused_and_a_mere_score_is_not(decoded):
    with pytest.raises(InvalidRequest, match="moderation"):
        decoded(moderation={"model": "m", "policy": {"input": {"mode": "block"}}})
    assert decoded(moderation={"model": "m", "policy": {"input": {"mode": "score"}, "output": None}}).extra == {}


def test_a_field_that_is_given_twice_is_refused():
    with pytest.raises(InvalidRequest, match="n is given twice"):
        ChatCodec().decode(b'{"model":"m","messages":[],"n":1,"n":2}', unseal=sealed_nothing)
