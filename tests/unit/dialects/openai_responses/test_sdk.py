"""OpenAI Responses: what we write is read by OpenAI's own SDK, and is all that its types demand."""

import json

import httpx2
import openai
import pydantic
import pytest
from openai.types.responses import Response, ResponseStreamEvent

from proxyapi.dialects.model import (
    Failed,
    Finish,
    Image,
    Inline,
    Metered,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    PartSummary,
    ReasoningState,
    Refusal,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Start,
    Text,
    Thinking,
    ToolUse,
    UrlCitation,
)
from proxyapi.usage import Unit

EVENTS = pydantic.TypeAdapter(ResponseStreamEvent)
EVERYTHING = (
    Start(id="chatcmpl-1", model="x"),
    PartStart(0, Thinking()),
    PartSummary(0, 0, "a"),
    PartSummary(0, 1, "b"),
    PartDelta(0, "raw"),
    PartState(0, ReasoningState("anthropic_signature", "QUJD")),
    PartEnd(0),
    PartStart(1, ServerToolUse("s", "web_search", "web_search")),
    PartDelta(1, '{"query":"q"}'),
    PartEnd(1),
    PartStart(2, ServerToolResult("s", "web_search", (SearchResult("https://a", "A", ()),))),
    PartEnd(2),
    PartStart(3, ServerToolUse("t", "code_execution", "code_execution")),
    PartDelta(3, '{"code":"1"}'),
    PartEnd(3, ServerToolResult("t", "code_execution", (Text("1"),))),
    PartStart(4, ServerToolUse("u", "mcp", "ask", server="wiki")),
    PartDelta(4, "{}"),
    PartEnd(4, ServerToolResult("u", "mcp", (Text("no"),), is_error=True)),
    PartStart(5, Text("")),
    PartDelta(5, "Hel"),
    PartDelta(5, "lo"),
    PartCitation(5, UrlCitation("https://a", "A")),
    PartEnd(5),
    PartStart(6, ToolUse("c1", "look", "")),
    PartStart(7, ToolUse("c2", "free", "", "custom")),
    PartDelta(7, "text"),
    PartDelta(6, '{"a":1}'),
    PartEnd(6),
    PartEnd(7),
    PartStart(8, ToolUse("c3", "local_shell", "", "local_shell")),
    PartDelta(8, '{"command":["ls"]}'),
    PartEnd(8),
    PartStart(9, ToolUse("c4", "apply_patch", "", "apply_patch")),
    PartDelta(9, '{"type":"delete_file","path":"p"}'),
    PartEnd(9),
    PartStart(10, Image(Inline("", "image/png"))),
    PartData(10, "iVBORw0KGgo="),
    PartEnd(10),
    PartStart(11, Refusal("")),
    PartDelta(11, "No."),
    PartEnd(11),
    Metered({Unit.INPUT: 5, Unit.OUTPUT: 3, Unit.REASONING: 2, Unit.WEB_SEARCH: 1}),
)
DONE = Finish(reason="tool_use")


@pytest.fixture
def client():
    """The SDK with a provider that answers with the given bytes."""

    def run(content, kind):
        transport = httpx2.MockTransport(
            lambda request: httpx2.Response(200, content=content, headers={"content-type": kind})
        )
        return openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=httpx2.Client(transport=transport))

    return run


def test_the_stream_helper_builds_the_response_that_was_sent(client, reply):
    content = reply(*EVERYTHING, DONE, stream=True)
    with client(content, "text/event-stream").responses.stream(model="m", input="x") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert final.output_text == "Hello"
    calls = {item.call_id: item.type for item in final.output if hasattr(item, "call_id")}
    assert calls == {
        "c1": "function_call",
        "c2": "custom_tool_call",
        "c3": "local_shell_call",
        "c4": "apply_patch_call",
    }
    assert final.usage.total_tokens == 10


def test_a_body_is_a_response(client, reply):
    content = json.dumps(reply(*EVERYTHING, DONE)).encode()
    response = client(content, "application/json").responses.create(model="m", input="x")
    assert response.output_text == "Hello"
    assert response.usage.output_tokens_details.reasoning_tokens == 2


def test_events_and_responses_have_every_field_that_the_types_demand(reply, sent):
    for event in sent(*EVERYTHING, DONE):
        EVENTS.validate_python(event)
    Response.model_validate(reply(*EVERYTHING, DONE))
    Response.model_validate(reply(*EVERYTHING[:1], Finish(reason="length")))


def test_an_answer_that_was_cut_is_handed_over_as_incomplete(client, reply):
    content = reply(*EVERYTHING, Finish(reason="length"), stream=True)
    events = list(client(content, "text/event-stream").responses.create(model="m", input="x", stream=True))
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.incomplete_details.reason == "max_output_tokens"


def test_a_failure_is_handed_over_with_its_usage(client, reply):
    failed = Failed(kind="overloaded", message="Busy.", status=503)
    content = reply(*EVERYTHING, stream=True, failed=failed)
    events = list(client(content, "text/event-stream").responses.create(model="m", input="x", stream=True))
    error, last = events[-2:]
    assert (error.type, error.message) == ("error", "Busy.")
    assert (last.type, last.response.error.message) == ("response.failed", "Busy.")
    assert last.response.usage.input_tokens == 5
