"""Fields of a client's request."""

import pytest
from msgspec import Raw

from proxyapi.dialects.anthropic.codec import AnthropicCodec
from proxyapi.dialects.model import (
    CacheMark,
    JsonSchema,
    Message,
    Reasoning,
    Sampling,
    Text,
    Thinking,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from proxyapi.errors import InvalidRequest


def test_the_plain_fields_are_read(decoded):
    request = decoded(
        stream=True,
        stop_sequences=["a", "b"],
        temperature=0,
        top_p=0,
        top_k=5,
        metadata={"user_id": "u"},
        container="container_1",
        cache_control={"type": "ephemeral", "ttl": "1h"},
    )
    assert (request.model, request.output_tokens_max, request.stream) == ("m", 9_000, True)
    assert request.stop == ("a", "b")
    assert request.sampling == Sampling(temperature=0, top_p=0, top_k=5)
    assert (request.user, request.container) == ("u", "container_1")
    assert request.cache.automatic == CacheMark("1h")
    assert request.extra == {}


def test_what_is_not_said_is_none(decoded):
    request = decoded()
    assert (request.sampling, request.reasoning, request.format) == (Sampling(), None, None)
    assert (request.tool_choice, request.tier, request.tools, request.system) == (None, None, (), ())
    assert request.stream is False


def test_a_negative_top_k_limits_nothing(decoded):
    assert decoded(top_k=-1).sampling.top_k is None


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("Be brief.", (Text("Be brief."),)),
        (
            [
                {"type": "text", "text": "a"},
                {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "5m"}},
            ],
            (Text("a"), Text("b", cache=CacheMark("5m"))),
        ),
    ],
)
def test_system_is_one_message_with_a_part_for_each_block(decoded, system, expected):
    assert decoded(system=system).system == (Message(role="system", parts=expected),)


@pytest.mark.parametrize("system", ["", [], None, [{"type": "text", "text": ""}]])
def test_an_empty_system_is_none(decoded, system):
    assert decoded(system=system).system == ()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2_000}}, Reasoning(budget_tokens=2_000)),
        ({"thinking": {"type": "disabled"}}, Reasoning(effort="none")),
        ({"thinking": {"type": "adaptive"}}, Reasoning(adaptive=True)),
        ({"thinking": {"type": "between_tools"}}, Reasoning(between_tools=True)),
        ({"output_config": {"effort": "low"}}, Reasoning(effort="low")),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, Reasoning(effort="max")),
        (
            {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
            Reasoning(effort="high", adaptive=False),
        ),
        ({"thinking": {"type": "adaptive", "display": "summarized"}}, Reasoning(adaptive=True, show="auto")),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Reasoning(adaptive=True, show="none")),
        ({"output_config": {"effort": None}}, None),
    ],
)
def test_thinking_and_effort_are_one_setting(decoded, fields, expected):
    assert decoded(**fields).reasoning == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "sometimes"}}, "thinking.type"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"messages": "Hello"}, "messages"),
        ({"model": ""}, "model"),
        ({"system": [{"text": "x"}]}, "system[0].type"),
    ],
)
def test_a_wrong_field_is_refused_by_name(decoded, fields, param):
    with pytest.raises(InvalidRequest) as refused:
        decoded(**fields)
    assert refused.value.param == param


@pytest.mark.parametrize(
    "fields",
    [
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        {"output_format": {"type": "json_schema", "schema": {"type": "object"}}},
    ],
)
def test_a_schema_of_the_answer_is_read_in_both_places(decoded, fields):
    assert decoded(**fields).format == JsonSchema(schema=Raw(b'{"type": "object"}'))


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ({"type": "auto"}, ToolChoice()),
        ({"type": "none"}, ToolChoice(mode="none")),
        ({"type": "any"}, ToolChoice(mode="required")),
        ({"type": "tool", "name": "f"}, ToolChoice(mode="required", names=("f",))),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(parallel=False)),
        ({"type": "any", "disable_parallel_tool_use": False}, ToolChoice(mode="required", parallel=True)),
    ],
)
def test_tool_choice_and_parallel_calls(decoded, wire, expected):
    assert decoded(tool_choice=wire).tool_choice == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"service_tier": "auto"}, "auto"),
        ({"service_tier": "standard_only"}, "standard"),
        ({"speed": "fast"}, "fast"),
        ({"speed": "standard"}, None),
    ],
)
def test_tier_and_speed_are_one_setting(decoded, fields, expected):
    assert decoded(**fields).tier == expected


def test_other_fields_are_kept_by_their_names(decoded):
    request = decoded(
        inference_geo="us",
        output_config={"effort": "low", "task_budget": {"type": "tokens", "total": 9}},
        container={"id": "c", "skills": []},
    )
    assert request.extra == {
        "inference_geo": Raw(b'"us"'),
        "output_config": Raw(b'{"task_budget":{"type": "tokens", "total": 9}}'),
        "container": Raw(b'{"id": "c", "skills": []}'),
    }
    assert request.container == "c"


@pytest.mark.parametrize(
    ("trigger", "expected"), [({"type": "input_tokens", "value": 60_000}, 60_000), (None, 150_000)]
)
def test_compaction_has_a_threshold(decoded, trigger, expected):
    edit = {"type": "compact_20260112", "trigger": trigger}
    request = decoded(context_management={"edits": [edit]})
    assert request.compaction_threshold == expected
    assert set(request.extra) == {"context_management"}


TURNS = [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "1", "signature": ""},
                                      {"type": "text", "text": "b"}]},
    {"role": "user", "content": "c"},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "2", "signature": ""},
                                      {"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "3", "signature": ""},
                                      {"type": "text", "text": "d"}]},
    {"role": "user", "content": "e"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("keep", "thoughts"),
    [
        ("all", ["1", "2", "3"]),
        ({"type": "all"}, ["1", "2", "3"]),
        ({"type": "thinking_turns", "value": 2}, ["1", "2", "3"]),
        ({"type": "thinking_turns", "value": 1}, ["2", "3"]),
        (None, ["2", "3"]),
    ],
)
def test_old_thinking_that_the_client_wants_gone_is_gone_by_turns_not_by_messages(decoded, keep, thoughts):
    edit = {"type": "clear_thinking_20251015", "keep": keep}
    request = decoded(messages=TURNS, context_management={"edits": [edit]})
    parts = [part for message in request.messages for part in message.parts]
    assert [part.text for part in parts if isinstance(part, Thinking)] == thoughts
    assert [part for part in parts if not isinstance(part, Thinking)] == [
        Text("a"), Text("b"), Text("c"), ToolUse("t", "f", "{}"), ToolResult("t", (), name="f"), Text("d"), Text("e"),
    ]  # fmt: skip


def test_the_path_names_model_and_stream_where_the_body_does_not(decoded):

    body = b'{"messages":[{"role":"user","content":"Hi"}],"anthropic_version":"vertex-2023-10-16","max_tokens":5}'
    request = AnthropicCodec().decode(body, model="claude", stream=True, unseal=lambda text: None)
    assert (request.model, request.stream) == ("claude", True)
    assert set(request.extra) == {"anthropic_version"}
