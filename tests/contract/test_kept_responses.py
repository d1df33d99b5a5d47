"""Responses of a provider that keeps none: the gateway keeps them, so that clients see no difference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import ResponseInputMessageItem

ROUTE = "/v1/responses"
MODEL = "openrouter/openai/gpt-4o"


@pytest.fixture(scope="module")
def upstream(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        yield fake


@pytest.fixture(scope="module")
def gateway(gateways: Any, upstream: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two workers: what one keeps the other knows."""
    config = "[pause]\nenabled = false\n" + "".join(
        f'[providers.{name}]\nbase_url = "{upstream.url}/{name}"\napi_key = "sk-upstream"\n'
        for name in ("anthropic", "openai", "openrouter")
    )
    with gateways.Gateway(tmp_path_factory.mktemp("kept"), config, workers=2) as running:
        yield running
        running.assert_clean()


@pytest.fixture(autouse=True)
def provider(upstream: Any, upstreams: Any, replies: Any) -> None:
    """Answers with a response of a new id, and keeps nothing."""
    numbers = iter(range(1, 1_000))

    def answer(asked: Any) -> Any:
        id = f"gen-{next(numbers)}-{asked.path.split('/')[1]}-{abs(hash(asked.body))}"
        if json.loads(asked.body).get("stream"):
            events = replies.response_events(id=id)
            return upstreams.Reply(headers={"content-type": "text/event-stream"}, chunks=events)
        return upstreams.Reply(body=replies.response(text=f"answer {id}", id=id))

    upstream.reply = answer


def client_of(gateway: Any, key: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=0)


def last_input(upstream: Any) -> Any:
    return json.loads(upstream.asked[-1].body)["input"]


@pytest.mark.parametrize("stream", [False, True], ids=["body", "stream"])
def test_a_conversation_goes_on_by_its_id(gateway: Any, upstream: Any, stream: bool) -> None:
    client = client_of(gateway, gateway.customer()[1])
    if stream:
        events = list(client.responses.create(model=MODEL, input="first?", stream=True))
        first = next(event.response for event in events if event.type == "response.completed")
    else:
        first = client.responses.create(model=MODEL, input="first?")
    for _ in range(5):  # both workers
        client.responses.create(model=MODEL, input="second?", previous_response_id=first.id)
        asked = last_input(upstream)
        assert [item["role"] for item in asked] == ["user", "assistant", "user"]
        assert (asked[0]["content"], asked[2]["content"]) == ("first?", "second?")
    assert json.loads(upstream.asked[-1].body)["previous_response_id"] is None


def test_what_came_before_is_paid_for(gateway: Any) -> None:
    key = gateway.customer()[1]
    long = client_of(gateway, key).responses.create(model=MODEL, input="word " * 5_000, max_output_tokens=16)
    body = {"model": MODEL, "input": "and?", "max_output_tokens": 16}

    def estimate(**more: Any) -> float:
        return float(
            json.loads(gateway.request("POST", f"/proxyapi/estimate?path={ROUTE}", key=key, body=body | more)[2])[
                "estimate"
            ]
        )

    assert estimate(previous_response_id=long.id) > 10 * estimate()


def test_another_accounts_response_does_not_exist(gateway: Any, upstream: Any) -> None:
    first = client_of(gateway, gateway.customer()[1]).responses.create(model=MODEL, input="mine")
    stranger = client_of(gateway, gateway.customer()[1])
    before = len(upstream.asked)
    for id in (first.id, "resp_none"):
        with pytest.raises(openai.BadRequestError) as caught:
            stranger.responses.create(model=MODEL, input="?", previous_response_id=id)
        assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")
        for attempt in (stranger.responses.retrieve, stranger.responses.delete, stranger.responses.input_items.list):
            with pytest.raises(openai.NotFoundError):
                attempt(id)
    assert len(upstream.asked) == before


def test_a_kept_response_can_be_asked_for_and_deleted(gateway: Any, upstream: Any) -> None:
    client = client_of(gateway, gateway.customer()[1])
    first = client.responses.create(model=MODEL, input="first?")
    second = client.responses.create(model=MODEL, input="second?", previous_response_id=first.id)
    before = len(upstream.asked)
    assert client.responses.retrieve(second.id).output_text == second.output_text
    listed = list(client.responses.input_items.list(second.id, limit=2, order="asc"))
    assert [item.role for item in listed] == ["user", "assistant", "user"]  # type: ignore[union-attr]
    assert all(item.id for item in listed)
    newest = client.responses.input_items.list(second.id, limit=1)
    assert isinstance(newest.data[0], ResponseInputMessageItem)
    assert newest.data[0].content[0].text == "second?"  # type: ignore[union-attr]
    assert newest.has_more
    with pytest.raises(openai.BadRequestError, match="background"):
        client.responses.cancel(second.id)
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError, match="not found"):
        client.responses.create(model=MODEL, input="third?", previous_response_id=second.id)
    assert len(upstream.asked) == before


def test_a_conversation_may_move_to_a_provider_that_keeps_responses(gateway: Any, upstream: Any) -> None:
    client = client_of(gateway, gateway.customer()[1])
    first = client.responses.create(model=MODEL, input="first?")
    second = client.responses.create(model="openai/gpt-4o", input="second?", previous_response_id=first.id)
    assert [item["role"] for item in last_input(upstream)] == ["user", "assistant", "user"]
    client.responses.create(model="openai/gpt-4o", input="third?", previous_response_id=second.id)
    assert json.loads(upstream.asked[-1].body)["previous_response_id"] == second.id, "that one it keeps itself"


def test_items_are_referred_to_by_their_ids(gateway: Any, upstream: Any) -> None:
    client = client_of(gateway, gateway.customer()[1])
    first = client.responses.create(model=MODEL, input="first?")
    reference: Any = {"type": "item_reference", "id": first.output[0].id}
    client.responses.create(model=MODEL, input=[{"role": "user", "content": "first?"}, reference])
    assert last_input(upstream)[1]["content"][0]["text"] == first.output_text
    with pytest.raises(openai.NotFoundError):
        client_of(gateway, gateway.customer()[1]).responses.create(model=MODEL, input=[reference])


def test_what_is_not_to_be_stored_is_not_kept(gateway: Any) -> None:
    client = client_of(gateway, gateway.customer()[1])
    first = client.responses.create(model=MODEL, input="secret", store=False)
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model=MODEL, input="?", previous_response_id=first.id)


def test_conversations_of_openai_exist_nowhere_else(gateway: Any) -> None:
    client = client_of(gateway, gateway.customer()[1])
    with pytest.raises(openai.BadRequestError, match="OpenRouter keeps no conversations"):
        client.responses.create(model=MODEL, input="?", conversation="conv_1")


# --- a provider of another dialect -----------------------------------------------------------------------------------


def thoughts(upstream: Any) -> list[dict[str, Any]]:
    """Signed thinking in the last request to Anthropic."""
    messages = json.loads(upstream.asked[-1].body)["messages"]
    blocks = [block for message in messages if isinstance(message["content"], list) for block in message["content"]]
    return [block for block in blocks if block["type"] == "thinking"]


@pytest.mark.parametrize("stream", [False, True], ids=["body", "stream"])
def test_a_translated_conversation_goes_on_by_its_id(gateway: Any, upstream: Any, upstreams: Any, stream: bool) -> None:
    signed = {"type": "thinking", "thinking": "A greeting.", "signature": "c2lnbmVk"}
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-5", "stop_sequence": None,
        "content": [signed, {"type": "text", "text": "Hello!"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 9, "output_tokens": 9},
    }  # fmt: skip
    upstream.reply = lambda _asked: upstreams.Reply(body=json.dumps(message).encode())
    client = client_of(gateway, gateway.customer()[1])
    asked: dict[str, Any] = {"model": "anthropic/claude-opus-4-5", "reasoning": {"effort": "low"}}
    if stream:
        events = list(client.responses.create(input="Hi", stream=True, **asked))
        first = next(event.response for event in events if event.type == "response.completed")
    else:
        first = client.responses.create(input="Hi", **asked)
    assert first.id.startswith("resp_")
    second = client.responses.create(input="More", previous_response_id=first.id, **asked)
    assert second.previous_response_id == first.id
    assert thoughts(upstream) == [signed]
    roles = [message["role"] for message in json.loads(upstream.asked[-1].body)["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert client.responses.retrieve(second.id).output_text == "Hello!"
    counted = client.responses.input_tokens.count(
        input="And?", previous_response_id=second.id, model="anthropic/claude-opus-4-5"
    )
    assert counted.input_tokens > 20, "with all that came before"
