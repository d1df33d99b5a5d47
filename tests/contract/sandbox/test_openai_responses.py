"""Responses through the openai SDK: bodies, ordered streams, tools, search, computer use, stored responses."""

from typing import Any

import openai
import pydantic
import pytest

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
COMPUTER: Any = {"type": "computer_use_preview", "display_width": 1024, "display_height": 768, "environment": "browser"}


class City(pydantic.BaseModel):
    name: str


def streamed(client: openai.OpenAI, **request: Any) -> tuple[list[Any], Any]:
    """All events, and the response that the SDK's helper made of them."""
    helper: Any = client.responses.stream
    with helper(**request) as stream:
        events = list(stream)
        return events, stream.get_final_response()


def test_a_text_stream_has_every_event_in_order(openai_client: openai.OpenAI) -> None:
    raw: Any = openai_client.responses.create(model="gpt-4o", input="one two", stream=True)
    events = list(raw)
    names = [event.type for event in events]
    deltas = names.count("response.output_text.delta")
    assert names == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * deltas,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if "delta" in event.type) == events[-1].response.output_text
    assert events[-1].response.usage.total_tokens > 0


def test_the_helper_agrees_with_the_body(openai_client: openai.OpenAI) -> None:
    body = openai_client.responses.create(model="gpt-4o", input="Привет", store=False)
    _, final = streamed(openai_client, model="gpt-4o", input="Привет", store=False)
    assert final.output_text == body.output_text
    assert final.usage == body.usage


def test_structured_output_parses(openai_client: openai.OpenAI) -> None:
    assert openai_client.responses.parse(model="gpt-4o", input="x", text_format=City).output_parsed is not None


def test_a_short_ceiling_leaves_the_response_incomplete(openai_client: openai.OpenAI) -> None:
    response = openai_client.responses.create(model="gpt-4o", input="hello", max_output_tokens=4)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None and response.incomplete_details.reason == "max_output_tokens"
    raw: Any = openai_client.responses.create(model="gpt-4o", input="hello", max_output_tokens=4, stream=True)
    assert list(raw)[-1].type == "response.incomplete"


def test_a_tool_loop_by_previous_response(openai_client: openai.OpenAI) -> None:
    _, first = streamed(openai_client, model="tool", input="weather?", tools=[WEATHER])
    (call,) = first.output
    assert (call.type, call.name, call.arguments) == ("function_call", "weather", '{"city":"Moscow"}')
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "+20"}
    second = openai_client.responses.create(
        model="tool", input=[output], tools=[WEATHER], previous_response_id=first.id
    )
    assert "weather" in second.output_text and "+20" in second.output_text
    assert second.usage is not None and second.usage.input_tokens > first.usage.total_tokens


def test_custom_tools_and_namespaces_are_called_with_their_names(openai_client: openai.OpenAI) -> None:
    tools: Any = [{"type": "custom", "name": "apply_patch"}]
    _, response = streamed(openai_client, model="tool", input="x", tools=tools)
    assert (response.output[0].type, response.output[0].input) == ("custom_tool_call", "sandbox")
    tools = [{"type": "namespace", "name": "mcp", "description": "d", "tools": [WEATHER]}]
    create: Any = openai_client.responses.create
    (call,) = create(model="tool", input="x", tools=tools).output
    assert (call.name, call.namespace) == ("weather", "mcp")


def test_reasoning_comes_first_with_a_summary_and_encrypted_content_when_asked(openai_client: openai.OpenAI) -> None:
    asked: Any = {
        "model": "gpt-5-codex",
        "input": "hello",
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low", "summary": "auto"},
    }
    events, response = streamed(openai_client, **asked)
    reasoning, message = response.output
    assert (reasoning.type, message.type) == ("reasoning", "message")
    assert reasoning.encrypted_content
    said = "".join(event.delta for event in events if event.type == "response.reasoning_summary_text.delta")
    assert said == reasoning.summary[0].text
    assert response.usage.output_tokens_details.reasoning_tokens > 0


def test_web_search_is_an_item_and_its_citation_is_in_the_text(openai_client: openai.OpenAI) -> None:
    events, response = streamed(openai_client, model="gpt-4o", input="sandbox news", tools=[{"type": "web_search"}])
    search, message = response.output
    assert (search.type, search.status, search.action.query) == ("web_search_call", "completed", "sandbox news")
    (annotation,) = message.content[0].annotations
    assert annotation.url in response.output_text[annotation.start_index : annotation.end_index]
    names = [event.type for event in events]
    order = [f"response.web_search_call.{state}" for state in ("in_progress", "searching", "completed")]
    assert [name for name in names if "web_search" in name] == order
    assert "response.output_text.annotation.added" in names


def test_computer_use_asks_for_a_safety_check_and_ends_after_the_screenshot(openai_client: openai.OpenAI) -> None:
    create: Any = openai_client.responses.create
    asked = {"model": "computer-use-preview", "tools": [COMPUTER], "truncation": "auto"}
    first = create(**asked, input="Open bing.com", reasoning={"generate_summary": "concise"})
    reasoning, call = first.output
    assert reasoning.summary[0].text
    assert call.type == "computer_call" and call.action.type == "click"
    (check,) = call.pending_safety_checks
    assert check.code == "malicious_instructions"
    output = {
        "type": "computer_call_output",
        "call_id": call.call_id,
        "acknowledged_safety_checks": [check.model_dump()],
        "current_url": "https://bing.com",
        "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,AAAA"},
    }
    second = create(**asked, input=[output], previous_response_id=first.id)
    assert second.output_text and all(item.type != "computer_call" for item in second.output)


def test_stored_responses_are_read_listed_and_deleted(openai_client: openai.OpenAI) -> None:
    items: Any = [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]
    made = openai_client.responses.create(model="gpt-4o", input=items, metadata={"a": "b"})
    found = openai_client.responses.retrieve(made.id)
    assert (found.output_text, found.metadata) == (made.output_text, {"a": "b"})
    listed: Any = list(openai_client.responses.input_items.list(made.id, limit=1))
    assert [item.content for item in listed] == ["two", "one"]
    replayed: Any = openai_client.responses.retrieve(made.id, stream=True, starting_after=1)
    assert next(iter(replayed)).sequence_number == 2
    openai_client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.retrieve(made.id)


def test_what_is_not_stored_cannot_be_found(openai_client: openai.OpenAI) -> None:
    made = openai_client.responses.create(model="gpt-4o", input="x", store=False)
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.retrieve(made.id)
    with pytest.raises(openai.BadRequestError, match="Previous response with id"):
        openai_client.responses.create(model="gpt-4o", input="x", previous_response_id=made.id)


def test_a_background_response_is_queued_and_can_be_cancelled_or_fetched(openai_client: openai.OpenAI) -> None:
    def begin() -> Any:
        return openai_client.responses.create(model="gpt-4o", input="x", background=True)

    made = begin()
    assert made.status == "queued"
    assert openai_client.responses.retrieve(made.id).status == "completed"
    made = begin()
    assert openai_client.responses.cancel(made.id).status == "cancelled"
    assert openai_client.responses.retrieve(made.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        openai_client.responses.cancel(openai_client.responses.create(model="gpt-4o", input="x").id)


def test_input_tokens_are_those_of_the_response(openai_client: openai.OpenAI) -> None:
    counted = openai_client.responses.input_tokens.count(model="gpt-4o", input="hello", instructions="be short")
    response = openai_client.responses.create(model="gpt-4o", input="hello", instructions="be short")
    assert response.usage is not None and counted.input_tokens == response.usage.input_tokens
