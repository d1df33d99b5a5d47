"""Messages through the anthropic SDK."""

import warnings
from typing import Any

import anthropic
import pytest
import requests

MODEL = "claude-x"
USER: Any = {"role": "user", "content": "What is a sandbox?"}
WEATHER: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CLOCK: Any = {"name": "clock", "input_schema": {"type": "object", "properties": {}}}
SEARCH: Any = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}


@pytest.fixture(autouse=True)
def _models_may_be_deprecated() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)


def both(client: anthropic.Anthropic, **request: Any) -> tuple[Any, Any, list[Any]]:
    """The body, the message that the helper made of the stream, and the raw events."""
    create: Any = client.messages.create
    body = create(**{"model": MODEL, "max_tokens": 500, "messages": [USER], **request})
    helper: Any = client.messages.stream
    with helper(**{"model": MODEL, "max_tokens": 500, "messages": [USER], **request}) as stream:
        final = stream.get_final_message()
    raw = list(create(**{"model": MODEL, "max_tokens": 500, "messages": [USER], "stream": True, **request}))
    return body, final, raw


def test_a_text_stream_has_every_event_in_order(anthropic_client: anthropic.Anthropic) -> None:
    body, final, raw = both(anthropic_client)
    assert final.content[0].text == body.content[0].text
    assert (final.stop_reason, final.usage.output_tokens) == (body.stop_reason, body.usage.output_tokens)
    names = [event.type for event in raw if event.type != "content_block_delta"]
    assert [name for name in names if name != "ping"] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_a_ping_follows_the_first_block_start(base: str) -> None:
    body: Any = {"model": MODEL, "max_tokens": 50, "messages": [USER], "stream": True}
    text = requests.post(f"{base}/anthropic/v1/messages?beta=true", json=body).text
    names = [line[7:] for line in text.splitlines() if line.startswith("event: ")]
    assert names[:3] == ["message_start", "content_block_start", "ping"]
    assert names[-1] == "message_stop" and "[DONE]" not in text


def test_max_tokens_and_stop_sequences_are_reported(anthropic_client: anthropic.Anthropic) -> None:
    body, final, _ = both(anthropic_client, max_tokens=4)
    assert body.stop_reason == final.stop_reason == "max_tokens"
    assert body.usage.output_tokens == 4
    words: Any = {"role": "user", "content": "one two three"}
    body, final, _ = both(anthropic_client, model="echo", messages=[words], stop_sequences=[" three"])
    assert (body.stop_reason, body.stop_sequence, final.stop_sequence) == ("stop_sequence", " three", " three")
    assert body.content[0].text == final.content[0].text == "one two"


def test_thinking_comes_first_and_is_signed(anthropic_client: anthropic.Anthropic) -> None:
    for thinking in ({"type": "enabled", "budget_tokens": 1_024}, {"type": "adaptive"}):
        body, final, _ = both(anthropic_client, thinking=thinking, max_tokens=2_000)
        assert [block.type for block in body.content] == ["thinking", "text"]
        assert body.content[0].thinking and body.content[0].signature
        assert final.content[0].model_dump() == body.content[0].model_dump()
        assert body.usage.output_tokens_details.thinking_tokens > 0
    body, _, _ = both(anthropic_client, thinking={"type": "adaptive", "display": "omitted"})
    assert body.content[0].thinking == "" and body.content[0].signature


def test_tools_are_called_and_their_results_named(anthropic_client: anthropic.Anthropic) -> None:
    body, final, _ = both(anthropic_client, model="tool", tools=[WEATHER])
    assert body.stop_reason == final.stop_reason == "tool_use"
    assert body.content[0].input == final.content[0].input == {"city": "Moscow"}
    result = {"type": "tool_result", "tool_use_id": body.content[0].id, "content": "+20"}
    history = [USER, {"role": "assistant", "content": body.content}, {"role": "user", "content": [result]}]
    answer, _, _ = both(anthropic_client, model="tool", tools=[WEATHER], messages=history)
    assert "weather" in answer.content[0].text and "+20" in answer.content[0].text


def test_parallel_calls_when_asked_and_forced_calls_for_any_model(anthropic_client: anthropic.Anthropic) -> None:
    choice: Any = {"type": "auto", "disable_parallel_tool_use": False}
    body, final, _ = both(anthropic_client, model="tool", tools=[WEATHER, CLOCK], tool_choice=choice)
    assert [block.name for block in final.content] == [block.name for block in body.content] == ["weather", "clock"]
    body, _, _ = both(anthropic_client, tools=[WEATHER, CLOCK], tool_choice={"type": "tool", "name": "clock"})
    assert [block.name for block in body.content] == ["clock"]
    body, _, _ = both(anthropic_client, model="tool", tools=[{"type": "bash_20250124", "name": "bash"}])
    assert body.content[0].input == {"command": "echo sandbox"}


def test_web_search_runs_on_the_server_and_is_counted(anthropic_client: anthropic.Anthropic) -> None:
    body, final, _ = both(anthropic_client, tools=[SEARCH])
    assert [block.type for block in body.content] == ["server_tool_use", "web_search_tool_result", "text"]
    assert body.content[1].tool_use_id == body.content[0].id
    assert body.content[2].citations[0].type == "web_search_result_location"
    assert final.content[2].citations[0].url == body.content[1].content[0].url
    assert body.usage.server_tool_use.web_search_requests == 1


def test_marked_prompts_are_written_once_and_read_later(anthropic_client: anthropic.Anthropic) -> None:
    system: Any = [{"type": "text", "text": "rules " * 500, "cache_control": {"type": "ephemeral"}}]
    first, final, _ = both(anthropic_client, system=system)
    assert first.usage.cache_creation_input_tokens > 500 and first.usage.cache_read_input_tokens == 0
    assert first.usage.cache_creation.ephemeral_5m_input_tokens == first.usage.cache_creation_input_tokens
    assert final.usage.cache_creation_input_tokens == first.usage.cache_creation_input_tokens
    history = [USER, {"role": "assistant", "content": "Well."}, USER]
    later, _, _ = both(anthropic_client, system=system, messages=history)
    assert later.usage.cache_read_input_tokens == first.usage.cache_creation_input_tokens
    system[0]["cache_control"]["ttl"] = "1h"
    hour, _, _ = both(anthropic_client, system=system)
    assert hour.usage.cache_creation.ephemeral_1h_input_tokens > 500


def test_structured_output_is_json(anthropic_client: anthropic.Anthropic) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    body, final, _ = both(anthropic_client, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert body.content[0].text == final.content[0].text == '{"city":"Moscow"}'


def test_count_tokens_is_the_input_of_the_answer(anthropic_client: anthropic.Anthropic) -> None:
    counted = anthropic_client.messages.count_tokens(model=MODEL, messages=[USER], system="short")
    body, _, _ = both(anthropic_client, system="short")
    assert counted.input_tokens == body.usage.input_tokens


def test_a_coding_agent_gets_what_it_asks_for_first(base: str, anthropic_client: anthropic.Anthropic) -> None:
    assert requests.head(f"{base}/anthropic").status_code == 200
    notes = "<system-reminder>Many notes.</system-reminder>\nFix the bug"
    helper: Any = anthropic_client.beta.messages.stream
    with helper(
        model="claude-x",
        max_tokens=32_000,
        messages=[{"role": "user", "content": notes}],
        tools=[WEATHER] * 25,
        thinking={"type": "adaptive"},
        context_management={"edits": []},
        betas=["context-management-2025-06-27"],
    ) as stream:
        assert "“Fix the bug”" in stream.get_final_message().content[-1].text


def test_lists_of_models_are_anthropic_s(anthropic_client: anthropic.Anthropic) -> None:
    names = [model.id for model in anthropic_client.models.list()]
    assert "claude-sonnet-4-20250514" in names and "echo" in names
    assert anthropic_client.models.retrieve(names[0]).display_name
