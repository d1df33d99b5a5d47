"""Reasoning states travel sealed through clients of other dialects, to their maker only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

SIGNATURE = "c2lnbmF0dXJl"
LOOK: Any = {"type": "function", "name": "look", "strict": False, "parameters": {"type": "object", "properties": {}}}
REFUSAL = (
    b'{"type":"error","error":{"type":"invalid_request_error","message":"Invalid `signature` in `thinking` block"}}'
)


@pytest.fixture
def responses(world: Any, key: str) -> Iterator[Any]:
    """A client of Responses."""
    with openai.OpenAI(api_key=key, base_url=f"{world.gateway.url}/v1", max_retries=0) as client:
        yield client.responses


def thinking(world: Any) -> bytes:
    """Claude thinks, and calls."""
    content = [
        {"type": "thinking", "thinking": "hm", "signature": SIGNATURE},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
    ]
    return bytes(world.replies.message(content=content, stop_reason="tool_use"))


def call_of(response: Any) -> str:
    return str(next(item.call_id for item in response.output if item.type == "function_call"))


def test_a_signature_goes_through_a_client_of_responses_and_back_to_its_maker_only(world: Any, responses: Any) -> None:
    world.answer(body=thinking(world))
    options: Any = {"tools": [LOOK], "reasoning": {"effort": "low"}, "store": False}
    options["include"] = ["reasoning.encrypted_content"]
    first = responses.create(model=world.models["anthropic"], input="Look", **options)
    sealed = next(item.encrypted_content for item in first.output if item.type == "reasoning")
    assert sealed.startswith("gw1.")
    history: Any = [{"role": "user", "content": "Look"}, *(item.model_dump() for item in first.output)]
    history.append({"type": "function_call_output", "call_id": call_of(first), "output": "7"})
    responses.create(model=world.models["anthropic"], input=history, **options)
    turn = json.loads(world.asked[-1].body)["messages"][1]["content"]
    assert turn[0] == {"type": "thinking", "thinking": "hm", "signature": SIGNATURE}
    assert turn[1]["type"] == "tool_use"
    world.answer(body=world.replies.generated())
    responses.create(model=world.models["gemini"], input=history, **options)
    assert SIGNATURE.encode() not in world.asked[-1].body


def test_states_that_their_provider_refuses_are_left_out_once(
    world: Any, responses: Any, customer: tuple[str, str]
) -> None:
    def reply(asked: Any) -> Any:
        if b"tool_result" not in asked.body:
            return world.reply(body=thinking(world))
        if SIGNATURE.encode() in asked.body:
            return world.reply(status=400, body=REFUSAL)
        return world.reply(body=world.replies.message("fine"))

    world.answer(reply)
    options: Any = {"model": world.models["anthropic"], "tools": [LOOK], "reasoning": {"effort": "low"}}
    first = responses.create(input="Look", **options)
    result: Any = [{"type": "function_call_output", "call_id": call_of(first), "output": "7"}]
    before = len(world.asked)
    done = responses.create(input=result, previous_response_id=first.id, **options)
    assert done.output_text == "fine"
    assert len(world.asked) == before + 2
    entry = world.gateway.last_entry(customer[0], 2)
    assert (entry["attempts"], entry["charged"]) == (2, 145_000_000)


def test_other_refusals_are_not_tried_again(world: Any, responses: Any) -> None:
    world.answer(status=400, body=REFUSAL)
    before = len(world.asked)
    with pytest.raises(openai.BadRequestError):
        responses.create(model=world.models["anthropic"], input="Look", tools=[LOOK])
    assert len(world.asked) == before + 1


def test_a_conversation_moves_on_to_a_model_of_the_clients_own_dialect_without_what_others_signed(
    world: Any, key: str
) -> None:
    """The sealed thoughts of the other provider are none that Claude could check: they stay behind."""
    called = json.loads(world.replies.generated())
    called["candidates"][0]["content"]["parts"] = [
        {"functionCall": {"name": "look", "args": {}}, "thoughtSignature": SIGNATURE}
    ]
    world.answer(body=json.dumps(called).encode())
    tool: Any = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
    with anthropic.Anthropic(api_key=key, base_url=world.gateway.url, max_retries=0) as client:
        asked: Any = {"max_tokens": 2_000, "tools": [tool]}
        question = {"role": "user", "content": "Look"}
        first = client.messages.create(model=world.models["gemini"], messages=[question], **asked)
        kept = [block.model_dump(exclude_none=True) for block in first.content]
        assert any("gw1." in str(block) for block in kept)
        call = next(block for block in first.content if block.type == "tool_use")
        result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "7"}]}
        history: Any = [question, {"role": "assistant", "content": kept}, result]
        world.answer(body=world.replies.message(text="Seven."))
        answer = client.messages.with_raw_response.create(model=world.models["anthropic"], messages=history, **asked)
    body = world.asked[-1].body
    assert b"gw1." not in body
    assert json.loads(body)["messages"][1]["content"] == [
        {"type": "tool_use", "id": call.id, "name": "look", "input": {}}
    ]
    assert world.asked[-1].headers["anthropic-version"]
    assert answer.headers["x-proxyapi-translation"] in ("exact", "lossy")
    assert answer.parse().content[0].text == "Seven."
