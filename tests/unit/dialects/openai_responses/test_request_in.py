"""OpenAI Responses: a client's request as a canonical one, but for its messages and tools."""

import pytest
from msgspec import Raw

from proxyapi.dialects.model import (
    CacheOptions,
    JsonObject,
    JsonSchema,
    PlainText,
    Reasoning,
    Sampling,
    Storage,
)
from proxyapi.errors import InvalidRequest


def test_what_is_not_said_stays_unsaid(decode):
    request = decode()
    assert request.sampling == Sampling()
    assert request.storage == Storage()
    assert request.cache == CacheOptions()
    assert (request.reasoning, request.format, request.output_tokens_max, request.stream) == (None, None, None, False)


def test_zeros_and_falses_are_said(decode):
    request = decode(temperature=0, top_p=0, store=False, parallel_tool_calls=False)
    assert request.sampling == Sampling(temperature=0, top_p=0)
    assert request.storage.store is False


def test_limits_are_whole_numbers(decode):
    request = decode(max_output_tokens=20.0, max_tool_calls=3)
    assert (request.output_tokens_max, request.server_tool_calls_max) == (20, 3)
    with pytest.raises(InvalidRequest, match="max_output_tokens"):
        decode(max_output_tokens=1.5)


@pytest.mark.parametrize(
    ("wire", "reasoning"),
    [
        (
            {"effort": "minimal", "summary": "auto", "context": "all_turns", "mode": "pro"},
            Reasoning(effort="minimal", show="auto", context="all_turns", mode="pro"),
        ),
        ({"generate_summary": "concise"}, Reasoning(show="concise")),
        ({"effort": None}, None),
        ({}, None),
    ],
)
def test_reasoning_has_a_level_and_a_summary(decode, wire, reasoning):
    assert decode(reasoning=wire).reasoning == reasoning


def test_an_unknown_level_is_refused(decode):
    with pytest.raises(InvalidRequest) as refused:
        decode(reasoning={"effort": "enormous"})
    assert refused.value.param == "reasoning.effort"


@pytest.mark.parametrize(
    ("wire", "form"),
    [
        ({"type": "text"}, PlainText()),
        ({"type": "json_object"}, JsonObject()),
        (
            {"type": "json_schema", "name": "n", "description": "d", "schema": {"b": 1, "a": 2}, "strict": True},
            JsonSchema(schema=Raw(b'{"b": 1, "a": 2}'), name="n", description="d", strict=True),
        ),
    ],
)
def test_the_answer_has_a_shape(decode, wire, form):
    assert decode(text={"format": wire, "verbosity": "low"}).format == form
    assert decode(text={"format": wire, "verbosity": "low"}).verbosity == "low"


@pytest.mark.parametrize("wire", [{"type": "json_schema", "name": "n"}, {"type": "xml"}])
def test_a_shape_without_a_schema_or_of_an_unknown_kind_is_refused(decode, wire):
    with pytest.raises(InvalidRequest, match=r"text\.format"):
        decode(text={"format": wire})


@pytest.mark.parametrize(
    ("fields", "logprobs"),
    [
        ({"include": ["message.output_text.logprobs"]}, 0),
        ({"include": ["message.output_text.logprobs"], "top_logprobs": 4}, 4),
        ({"top_logprobs": 2}, 2),
        ({"top_logprobs": 0}, None),
        ({}, None),
    ],
)
def test_logprobs_come_where_they_are_included(decode, fields, logprobs):
    assert decode(**fields).logprobs == logprobs


def test_caching_has_a_key_a_mode_and_a_lifetime(decode):
    request = decode(prompt_cache_key="k", prompt_cache_options={"mode": "explicit", "ttl": "30m"})
    assert request.cache == CacheOptions(key="k", explicit=True, lifetime="30m")
    assert decode(prompt_cache_retention="24h").cache.lifetime == "24h"
    assert decode(prompt_cache_options={"prewarm": True}).output_tokens_max == 0


def test_what_is_kept_at_the_provider_is_named(decode):
    request = decode(previous_response_id="resp_1", store=True, background=True, conversation={"id": "conv_1"})
    assert request.storage == Storage(store=True, previous_response_id="resp_1", conversation="conv_1", background=True)
    assert decode(conversation="conv_2").storage.conversation == "conv_2"


def test_account_fields_have_one_spelling(decode):
    assert decode(user="a").user == "a"
    assert decode(user="a", safety_identifier="b").user == "b"
    assert decode(metadata={"k": "v"}).metadata == {"k": "v"}
    assert [decode(service_tier=t).tier for t in ("default", "flex", "priority", "new")] == [
        "standard",
        "flex",
        "priority",
        None,
    ]


def test_long_conversations_may_be_cut_or_compacted(decode):
    request = decode(truncation="auto", context_management=[{"type": "compaction", "compact_threshold": 9000}])
    assert (request.truncation, request.compaction_threshold) == ("auto", 9000)


def test_other_fields_are_kept_under_their_names(decode):
    request = decode(stream_options={"include_obfuscation": False}, moderation={"model": "m"}, nothing=None)
    assert set(request.extra) == {"stream_options", "moderation"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"moderation": {"model": "m", "policy": {"output": {"mode": "block"}}}}, "moderation.policy.output.mode"),
        ({"truncation": "some"}, "truncation"),
        ({"model": ""}, "model"),
        ({"include": "x"}, "include"),
    ],
)
def test_what_no_other_provider_can_do_and_what_is_odd_is_refused_by_name(decode, fields, param):
    with pytest.raises(InvalidRequest) as refused:
        decode(**fields)
    assert refused.value.param == param
