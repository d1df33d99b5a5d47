"""Anthropic Messages: what is read of a request, and what a reply costs."""

import json

import pytest

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.call import DocumentInput, ImageInput
from proxyapi.errors import InvalidRequest
from proxyapi.usage import Unit


def body(**fields):
    return {"model": "claude", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}], **fields}


def test_system_text_media_tools_and_results_are_sorted(read):
    call = read(
        "anthropic",
        body(
            system=[{"type": "text", "text": "Be brief."}],
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Look"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                        {
                            "type": "document",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                        },
                        {"type": "document", "title": "T", "source": {"type": "text", "data": "plain"}},
                        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "xxxx"},
                        {"type": "redacted_thinking", "data": "y" * 40},
                        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t",
                            "content": [
                                {"type": "text", "text": "sunny"},
                                {
                                    "type": "image",
                                    "source": {"type": "base64", "media_type": "image/png", "data": "BBBB"},
                                },
                            ],
                        }
                    ],
                },
            ],
            tools=[
                {"name": "f", "input_schema": {"enum": ["a"]}},
                {"type": "web_search_20250305", "name": "web_search", "max_uses": 4},
            ],
            tool_choice={"type": "any"},
            service_tier="standard_only",
            speed="fast",
            metadata={"user_id": "u"},
        ),
    )
    assert call.prompt.messages == 4
    assert call.prompt.texts == (
        "Be brief.",
        "Look",
        "T",
        "plain",
        "hm",
        '{"name":"f","input":{"a":1}}',
        "sunny",
    )
    assert call.prompt.tokens == 10
    assert call.prompt.media == (
        ImageInput("AAAA"),
        DocumentInput("JVBE", "application/pdf"),
        ImageInput(),
        ImageInput("BBBB"),
    )
    assert call.item_references == ("file_1",)
    (search,) = call.server_tools
    assert (search.kind, search.uses_max) == ("web_search", 4)
    assert (call.prompt.tool_enum_items, call.prompt.tool_choice_forced) == (1, True)
    assert (call.output_tokens_max, call.service_tier, call.speed, call.end_user) == (100, "standard_only", "fast", "u")


def test_results_of_the_providers_own_tools_are_read_in_any_shape(read):
    call = read(
        "anthropic",
        body(
            messages=[
                {
                    "role": "assistant",
                    "content": [
                        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
                        {
                            "type": "web_search_tool_result",
                            "tool_use_id": "s",
                            "content": [
                                {"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "z" * 400}
                            ],
                        },
                        {
                            "type": "code_execution_tool_result",
                            "tool_use_id": "s",
                            "content": {
                                "type": "code_execution_result",
                                "stdout": "1",
                                "stderr": "",
                                "return_code": 0,
                                "content": [],
                            },
                        },
                        {
                            "type": "web_search_tool_result",
                            "tool_use_id": "s",
                            "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
                        },
                    ],
                }
            ]
        ),
    )
    assert call.prompt.tokens == 100


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "x"}, "max_tokens"),
        ({"messages": None}, "messages"),
    ],
)
def test_a_wrong_field_is_refused_by_name(read, fields, param):
    with pytest.raises(InvalidRequest) as refused:
        read("anthropic", body(**fields))
    assert refused.value.param == param


def test_counting_tokens_needs_no_ceiling(read):
    call = read("anthropic_count", {"model": "m", "messages": []})
    assert (call.operation, call.dialect) == ("count_tokens", "anthropic_count")


def test_a_duplicate_ceiling_is_refused(read):
    with pytest.raises(InvalidRequest, match="max_tokens is given twice"):
        read("anthropic", b'{"model":"m","max_tokens":1,"messages":[],"max_tokens":9999}')


def test_only_the_model_is_patched():
    dialect = DIALECTS["anthropic"]
    text = json.dumps(body(stream=True)).encode()
    call = dialect.read(text)
    assert dialect.patch(text, call, model="claude") is text
    assert dialect.patch(text, call, model="x") == text.replace(b'"claude"', b'"x"')


USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 20,
    "cache_creation_input_tokens": 9,
    "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 5},
    "output_tokens": 30,
    "output_tokens_details": {"thinking_tokens": 12},
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
    "service_tier": "standard",
}
UNITS = {
    Unit.INPUT: 10,
    Unit.CACHE_READ: 20,
    Unit.CACHE_WRITE_5M: 4,
    Unit.CACHE_WRITE_1H: 5,
    Unit.OUTPUT: 18,
    Unit.REASONING: 12,
    Unit.WEB_SEARCH: 2,
    Unit.WEB_FETCH: 1,
}


def stream_of(events, start_usage, delta_usage):
    return events(
        {"type": "message_start", "message": {"id": "msg_1", "model": "claude-x", "content": [], "usage": start_usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Привет"}},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        },
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": delta_usage},
        {"type": "message_stop"},
        names=True,
    )


@pytest.mark.parametrize("size", [1 << 20, 7, 1])
def test_a_stream_and_a_body_meter_alike(metered, events, size):
    stream = stream_of(events, USAGE | {"output_tokens": 1}, {"output_tokens": 30})
    whole = json.dumps(
        {
            "id": "msg_1",
            "type": "message",
            "model": "claude-x",
            "stop_reason": "tool_use",
            "usage": USAGE,
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "text", "text": "Привет"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {}},
            ],
        }
    ).encode()
    billed = metered("anthropic", whole, body=True)
    assert (billed.usage, billed.reply_id, billed.tier, billed.finished) == (UNITS, "msg_1", "standard", True)
    for meter in (metered("anthropic", stream, size=size), metered("anthropic", whole, in_full=True)):
        assert meter.usage == UNITS
        assert "".join(meter.texts) == "hmПриветf{}"
        assert (meter.reply_id, meter.model, meter.tier) == ("msg_1", "claude-x", "standard")
        assert (meter.finished, meter.reason, meter.choices) == (True, "tool_use", 1)


def test_the_last_cumulative_value_of_each_field_wins(metered, events):
    start = {"input_tokens": 2060, "output_tokens": 1, "cache_read_input_tokens": 5}
    meter = metered(
        "anthropic",
        stream_of(
            events,
            start,
            {"input_tokens": 31772, "output_tokens": 40, "cache_read_input_tokens": 0, "server_tool_use": None},
        ),
    )
    assert meter.usage == {Unit.INPUT: 31772, Unit.CACHE_READ: 5, Unit.OUTPUT: 40}


def test_writes_beyond_the_split_have_the_default_lifetime(metered):
    usage = {
        "input_tokens": 1,
        "output_tokens": 1,
        "cache_creation_input_tokens": 8239,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    }
    text = json.dumps({"id": "m", "content": [], "stop_reason": "end_turn", "usage": usage}).encode()
    assert metered("anthropic", text, body=True).usage[Unit.CACHE_WRITE_5M] == 8239


def test_another_model_inside_the_reply_is_metered_apart(metered):
    usage = {
        "input_tokens": 1,
        "output_tokens": 1,
        "iterations": [
            {"type": "message", "input_tokens": 1, "output_tokens": 1},
            {"type": "advisor_message", "model": "opus", "input_tokens": 7, "output_tokens": 3},
        ],
    }
    text = json.dumps({"id": "m", "content": [], "stop_reason": "end_turn", "usage": usage}).encode()
    (other,) = metered("anthropic", text, body=True).others
    assert (other.model, other.usage) == ("opus", {Unit.INPUT: 7, Unit.OUTPUT: 3})


@pytest.mark.parametrize("odd", [5, "x", {"a": 1}, [7]])
def test_odd_iterations_do_no_harm(metered, odd):
    usage = {"input_tokens": 1, "output_tokens": 1, "iterations": odd}
    text = json.dumps({"type": "message", "content": [], "stop_reason": "end_turn", "usage": usage}).encode()
    assert metered("anthropic", text, body=True).usage == {Unit.INPUT: 1, Unit.OUTPUT: 1}


@pytest.mark.parametrize(
    ("text", "lifetime"),
    [
        (b'"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]', "5m"),
        (b'"cache_control": {"type": "ephemeral", "ttl": "1h"}', "1h"),
        (b'"tools":[{"name":"f","input_schema":{},"cache_control":{"ttl":"1h","type":"ephemeral"}}]', "1h"),
        (b'"\\u0063ache_control":{"type":"ephemeral"}', "5m"),
        (b'"cache_control":null', ""),
        (b'"stop_sequences":["\\"cache_control\\":{}"]', ""),
    ],
)
def test_the_lifetime_of_a_cache_is_known_wherever_it_is_asked_for(read, text, lifetime):
    body = b'{"model":"claude-x","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],%b}' % text
    assert read("anthropic", body).cache_writes == lifetime


def test_an_advisor_is_known_with_its_model_and_limit(read):
    tool = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-4-6", "max_uses": 3}
    body = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], "tools": [tool]}
    (advisor,) = read("anthropic", body).server_tools
    assert (advisor.kind, advisor.uses_max) == ("advisor", 3)
    assert dict(advisor.options) == {"type": "advisor_20260301", "model": "claude-opus-4-6"}


def test_an_error_event_is_a_failure(metered, events):
    stream = events({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, names=True)
    meter = metered("anthropic", stream)
    assert (meter.failed.kind, meter.failed.message, meter.finished) == ("overloaded", "Overloaded", False)


def test_a_count_is_an_answer_and_costs_nothing(metered):
    meter = metered("anthropic_count", b'{"input_tokens": 9}', body=True)
    assert (meter.usage, meter.finished) == ({}, True)


def test_a_container_its_files_and_uploaded_skills_are_objects_of_the_provider(read):
    skills = [{"type": "anthropic", "skill_id": "pptx"}, {"type": "custom", "skill_id": "skill_1"}]
    assert read("anthropic", body(container={"id": "box_1", "skills": skills})).item_references == ("box_1", "skill_1")
    assert read("anthropic", body(container="box_2")).item_references == ("box_2",)


@pytest.mark.parametrize(("sent", "region"), [("us", "us"), ("global", ""), (None, "")])
def test_where_a_model_has_to_run_is_read(read, sent, region):
    assert read("anthropic", body(inference_geo=sent)).region == region
