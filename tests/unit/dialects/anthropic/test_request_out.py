"""Fields of a request for a provider."""

import pytest
from msgspec import Raw

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.model import (
    AudioOut,
    CacheMark,
    CacheOptions,
    FunctionTool,
    Image,
    JsonObject,
    JsonSchema,
    Link,
    Message,
    PlainText,
    Reasoning,
    Request,
    Sampling,
    Storage,
    Text,
)

ASKED = (Message(role="user", parts=(Text("Hi"),)),)
SCHEMA = Raw(b'{"type":"object","properties":{"a":{"type":"integer","minimum":1}},"required":["a"]}')


def request(**fields):
    return Request(**({"model": "client-name", "messages": ASKED} | fields))


def test_the_target_names_the_model(sent):
    assert sent(request())["model"] == "m"


@pytest.mark.parametrize(
    ("asked", "ceiling", "expected"),
    [(None, 64_000, 64_000), (None, None, 8_192), (500, 64_000, 500), (99_000, 64_000, 64_000), (0, 64_000, 0)],
)
def test_a_ceiling_is_always_told_the_models_own_by_default_and_bounded_by_it(sent, asked, ceiling, expected):
    assert sent(request(output_tokens_max=asked), output_tokens_max=ceiling)["max_tokens"] == expected


def test_a_lowered_ceiling_is_named(encoded):
    assert encoded(request(output_tokens_max=9), output_tokens_max=5).approximated == ("output_tokens_max",)


def test_stop_sequences_are_always_a_list_and_blank_ones_are_cut_by_the_gateway(encoded, sent):
    wanted = request(stop=("END", "\n"))
    assert sent(wanted)["stop_sequences"] == ["END"]
    assert encoded(wanted).stop == ("\n",)


def test_a_model_without_stop_sequences_gets_none(encoded, sent):
    assert "stop_sequences" not in sent(request(stop=("END",)), no_stop=True)
    assert encoded(request(stop=("END",)), no_stop=True).stop == ("END",)


@pytest.mark.parametrize(("stream", "expected"), [(True, True), (False, None)])
def test_a_stream_is_asked_for_only_by_those_who_want_one(sent, stream, expected):
    assert sent(request(stream=stream)).get("stream") is expected


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"choices": 2}, "choices"),
        ({"logprobs": 0}, "logprobs"),
        ({"modalities": ("text", "audio")}, "modalities"),
        ({"modalities": ("image",)}, "modalities"),
        ({"storage": Storage(background=True)}, "storage.background"),
        ({"storage": Storage(previous_response_id="resp_1")}, "storage.previous_response_id"),
        ({"storage": Storage(conversation="conv_1")}, "storage.previous_response_id"),
        ({"cache": CacheOptions(content="cachedContents/1")}, "cache.content"),
    ],
)
def test_what_would_change_the_answer_is_refused_by_name(sent, fields, field):
    with pytest.raises(Untranslatable) as refused:
        sent(request(**fields))
    assert refused.value.field == field


def test_what_only_tunes_is_dropped_and_named_and_never_sent(encoded, sent):
    tuned = request(
        verbosity="low",
        prediction="x",
        media_detail="low",
        truncation="auto",
        storage=Storage(store=True),
        metadata={"a": "b"},
        cache=CacheOptions(key="k", explicit=True, lifetime="24h"),
        sampling=Sampling(seed=1),
        audio=AudioOut(voice="alloy"),
        extra={"logit_processor": Raw(b"{}")},
    )
    assert set(encoded(tuned).dropped) == {
        "verbosity", "prediction", "media_detail", "truncation", "storage.store", "metadata", "cache.key",
        "cache.explicit", "cache.lifetime", "sampling.seed", "logit_processor",
    }  # fmt: skip
    assert set(sent(tuned)) == {"model", "max_tokens", "messages"}


def test_one_answer_and_text_are_what_there_is_anyway(encoded):
    assert encoded(request(choices=1, modalities=("text",), format=PlainText(), stream_usage=True)).dropped == ()


@pytest.mark.parametrize(
    ("tier", "expected", "dropped"),
    [
        ("auto", {"service_tier": "auto"}, ()),
        ("standard", {"service_tier": "standard_only"}, ()),
        ("priority", {"service_tier": "auto"}, ("tier",)),
        ("scale", {"service_tier": "auto"}, ("tier",)),
        ("fast", {"speed": "fast"}, ()),
        ("flex", {}, ("tier",)),
        (None, {}, ()),
    ],
)
def test_tiers(encoded, sent, tier, expected, dropped):
    wire = sent(request(tier=tier))
    assert {name: wire[name] for name in ("service_tier", "speed") if name in wire} == expected
    assert encoded(request(tier=tier)).dropped == dropped


def test_an_end_user_is_told_and_a_long_one_by_a_hash(sent):
    assert sent(request(user="u"))["metadata"] == {"user_id": "u"}
    assert len(sent(request(user="u" * 300))["metadata"]["user_id"]) == 64


def test_fields_of_the_dialect_that_no_other_has_are_sent_as_written(encoded, sent):
    extra = {
        "inference_geo": Raw(b'"us"'),
        "output_config": Raw(b'{"task_budget":{"type":"tokens","total":9}}'),
        "anthropic_version": Raw(b'"vertex-2023-10-16"'),
        "models": Raw(b"[]"),
    }
    wire = sent(request(extra=extra, reasoning=Reasoning(effort="low")))
    assert (wire["inference_geo"], wire["anthropic_version"]) == ("us", "vertex-2023-10-16")
    assert wire["output_config"] == {"effort": "low", "task_budget": {"type": "tokens", "total": 9}}
    assert encoded(request(extra=extra)).dropped == ("models",)
    assert encoded(request(extra=extra)).headers == ((b"anthropic-beta", b"task-budgets-2026-03-13"),)


@pytest.mark.parametrize(("threshold", "expected"), [(80_000, 80_000), (1_000, 50_000)])
def test_a_compaction_threshold_is_an_edit_and_needs_a_beta(encoded, sent, threshold, expected):
    (edit,) = sent(request(compaction_threshold=threshold))["context_management"]["edits"]
    assert edit == {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": expected}}
    assert encoded(request(compaction_threshold=threshold)).headers == ((b"anthropic-beta", b"compact-2026-01-12"),)


def test_edits_of_a_client_of_the_dialect_are_sent_whole(sent):
    edits = b'{"edits":[{"type":"compact_20260112","instructions":"briefly"}]}'
    wire = sent(request(compaction_threshold=150_000, extra={"context_management": Raw(edits)}))
    assert wire["context_management"] == {"edits": [{"type": "compact_20260112", "instructions": "briefly"}]}


def test_automatic_caching_is_told_at_the_top(sent):
    wire = sent(request(cache=CacheOptions(automatic=CacheMark("1h"))))
    assert wire["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


# --- shape of the answer ------------------------------------------------------------------------------------------


def test_a_schema_is_closed_and_its_limits_are_told_in_words(sent):
    wire = sent(request(format=JsonSchema(schema=SCHEMA, name="n", strict=True)))
    form = wire["output_config"]["format"]
    assert form["type"] == "json_schema"
    assert form["schema"]["additionalProperties"] is False
    assert "minimum" not in form["schema"]["properties"]["a"]
    assert "minimum" in form["schema"]["properties"]["a"]["description"]


def test_a_schema_is_told_with_tools_and_thinking_too(sent):
    wire = sent(
        request(format=JsonSchema(schema=SCHEMA), tools=(FunctionTool(name="f"),), reasoning=Reasoning(effort="low"))
    )
    assert set(wire["output_config"]) == {"effort", "format"}
    assert "tool_choice" not in wire


def test_a_json_object_is_asked_for_in_words(encoded, sent):
    wanted = request(format=JsonObject(), system=(Message(role="system", parts=(Text("Be brief."),)),))
    assert [block["text"] for block in sent(wanted)["system"]] == ["Be brief.", "Answer with one JSON object only."]
    assert encoded(wanted).approximated == ("format",)


def test_without_a_format_field_a_forced_tool_is_the_answer(encoded, sent):
    wanted = request(format=JsonSchema(schema=SCHEMA, description="An a."))
    wire = sent(wanted, no_output_format=True)
    (tool,) = wire["tools"]
    assert (tool["name"], tool["description"]) == ("respond", "An a.")
    assert tool["input_schema"]["properties"] == {"a": {"type": "integer", "minimum": 1}}
    assert wire["tool_choice"] == {"type": "tool", "name": "respond", "disable_parallel_tool_use": True}
    assert encoded(wanted, no_output_format=True).json_tool == "respond"


@pytest.mark.parametrize(
    ("fields", "quirks"),
    [
        ({"tools": (FunctionTool(name="f"),)}, {}),
        ({"reasoning": Reasoning(effort="low")}, {}),
        ({}, {"no_forced_tool": True}),
        ({"format": JsonSchema(schema=Raw(b'{"type":"array"}'))}, {}),
    ],
)
def test_where_no_tool_can_be_forced_the_schema_is_told_in_words(encoded, sent, fields, quirks):
    wanted = request(**({"format": JsonSchema(schema=SCHEMA)} | fields))
    wire = sent(wanted, no_output_format=True, **quirks)
    assert wire["system"].startswith("Answer with JSON only")
    assert encoded(wanted, no_output_format=True, **quirks).json_tool == ""
    assert "format" not in wire.get("output_config", {})


def test_a_schema_that_contains_itself_is_told_in_another_way(encoded, sent):
    itself = Raw(b'{"type":"object","properties":{"next":{"$ref":"#"}}}')
    assert "format" not in sent(request(format=JsonSchema(schema=itself))).get("output_config", {})
    assert encoded(request(format=JsonSchema(schema=itself))).approximated == ("format",)


def test_only_texts_are_instructions(sent):
    system = (Message(role="system", parts=(Image(Link("https://a.example/x")),)),)
    with pytest.raises(Untranslatable) as refused:
        sent(request(system=system))
    assert refused.value.field == "system"
