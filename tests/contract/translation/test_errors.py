"""Errors of providers keep status and words in the client's dialect; nothing broken looks like success."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from proxyapi_fakes_gateway import read_until  # loaded by conftest.py

STATUS_OF = {"gemini": "code"}
REFUSALS: dict[str, Callable[[int], bytes]] = {
    "openai_chat": lambda status: b'{"error":{"message":"not now","type":"x","param":null,"code":null}}',
    "openai_responses": lambda status: b'{"error":{"message":"not now","type":"x","param":null,"code":null}}',
    "anthropic": lambda status: b'{"type":"error","error":{"type":"x","message":"not now"},"request_id":"r"}',
    "gemini": lambda status: b'{"error":{"code":%d,"message":"not now","status":"X"}}' % status,
}
CLASSES = {400: "BadRequestError", 404: "NotFoundError", 429: "RateLimitError", 500: "InternalServerError"}
GOOGLE_CLASSES = dict.fromkeys((400, 404, 429), "ClientError") | {500: "ServerError"}
EVENTS: dict[str, bytes] = {
    "openai_chat": b'data: {"error":{"message":"not now","type":"rate_limit_error","code":null}}\n\n',
    "openai_responses": b'event: error\ndata: {"type":"error","code":"rate_limit_exceeded","message":"not now"}\n\n',
    "anthropic": b'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error","message":"not now"}}\n\n',
    "gemini": b'data: {"error":{"code":429,"message":"not now","status":"RESOURCE_EXHAUSTED"}}\n\n',
}


def raised(world: Any, client: str, provider: str, key: str, *, stream: bool) -> tuple[int, Any]:
    """Status and error that the client's SDK raises."""
    with pytest.raises(world.errors) as caught:
        world.ask(client, provider, key, stream=stream)
    return getattr(caught.value, STATUS_OF.get(client, "status_code")), caught.value


@pytest.mark.parametrize("stream", [False, True], ids=["body", "stream"])
@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_a_refusal_keeps_its_status_and_words_in_the_clients_dialect(
    world: Any, customer: tuple[str, str], client: str, provider: str, status: int, stream: bool
) -> None:
    account, key = customer
    headers = {"content-type": "application/json", "retry-after": "7", "x-ratelimit-remaining": "3"}
    world.answer(status=status, headers=headers, body=REFUSALS[provider](status))
    told, error = raised(world, client, provider, key, stream=stream)
    assert told == status
    assert type(error).__name__ == (GOOGLE_CLASSES if client == "gemini" else CLASSES)[status]
    assert "not now" in str(error)
    if client != "gemini":
        assert error.response.headers["retry-after"] == "7"
        assert "x-ratelimit-remaining" not in error.response.headers
    entry = world.gateway.last_entry(account)
    assert (entry["charged"], entry["ending"]) == (0, "upstream_refused")


def test_an_overloaded_provider_has_the_status_that_clients_know(world: Any, key: str) -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    world.answer(status=529, body=body)
    for asking in ("openai_chat", "openai_responses", "gemini"):
        assert world.post(asking, "anthropic", key)[0] == 503
    world.answer(status=503, body=b'{"error":{"message":"busy"}}')
    status, _, answer = world.post("anthropic", "openai_chat", key)
    assert (status, answer["error"]["type"]) == (529, "overloaded_error")


@pytest.mark.parametrize(
    ("asking", "answering", "status", "error"),
    [
        ("openai_chat", "anthropic", 401, {"type": "authentication_error", "message": "sk-upstream-secret"}),
        ("openai_chat", "gemini", 400, {"message": "sk-upstream-secret", "details": [{"reason": "API_KEY_INVALID"}]}),
        ("anthropic", "openai_chat", 429, {"message": "sk-upstream-secret", "code": "insufficient_quota"}),
    ],
)
def test_what_is_about_the_operators_account_is_a_502_without_its_words(
    world: Any, key: str, asking: str, answering: str, status: int, error: dict[str, Any]
) -> None:
    world.answer(status=status, body=json.dumps({"error": error}).encode())
    told, _, answer = world.post(asking, answering, key)
    assert told == 502
    assert world.upstream_key not in json.dumps(answer)


@pytest.mark.parametrize("stream", [False, True], ids=["body", "stream"])
def test_an_error_behind_a_200_is_a_status_as_long_as_nothing_was_sent(
    world: Any, customer: tuple[str, str], client: str, provider: str, stream: bool
) -> None:
    account, key = customer
    world.answer(headers=world.events, chunks=[EVENTS[provider]])
    told, error = raised(world, client, provider, key, stream=stream)
    assert told == 429
    assert "not now" in str(error)
    assert world.gateway.last_entry(account)["charged"] == 0


def test_an_error_in_the_middle_of_a_stream_is_an_event_that_the_sdk_raises(
    world: Any, customer: tuple[str, str], client: str, provider: str
) -> None:
    account, key = customer
    begun = world.streams[provider]()[: 2 if provider == "gemini" else 4]
    world.answer(headers=world.events, chunks=[*begun, EVENTS[provider]])
    with pytest.raises((*world.errors, RuntimeError)) as caught:
        world.ask(client, provider, key, stream=True)
    # The helper of Responses raises an error of its own where a response failed.
    assert isinstance(caught.value, RuntimeError) or "not now" in str(caught.value)
    assert world.gateway.last_entry(account)["ending"] == "error_event"


def texts_of(client: str, url: str, key: str, model: str) -> Iterator[str]:
    """What an SDK hands over while it streams, until it raises."""
    hello: Any = [{"role": "user", "content": "Hello"}]
    if client == "gemini":
        google = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))
        for piece in google.models.generate_content_stream(model=model, contents="Hello"):
            yield piece.text or ""
    elif client == "anthropic":
        with anthropic.Anthropic(api_key=key, base_url=url, max_retries=0) as claude:
            for told in claude.messages.create(model=model, messages=hello, max_tokens=500, stream=True):
                if told.type == "content_block_delta" and told.delta.type == "text_delta":
                    yield told.delta.text
    else:
        with openai.OpenAI(api_key=key, base_url=f"{url}/v1", max_retries=0) as sdk:
            if client == "openai_chat":
                for chunk in sdk.chat.completions.create(model=model, messages=hello, stream=True):
                    yield "".join(choice.delta.content or "" for choice in chunk.choices)
                return
            for event in sdk.responses.create(model=model, input="Hello", stream=True):
                if event.type == "response.output_text.delta":
                    yield event.delta
                elif event.type == "response.failed":
                    # The one dialect whose SDK leaves raising to its user.
                    assert event.response.error is not None
                    assert event.response.error.code == "rate_limit_exceeded"
                    raise openai.OpenAIError(event.response.error.message)


def test_what_was_said_before_an_error_in_a_stream_is_heard_and_so_are_its_words(
    world: Any, key: str, client: str, provider: str
) -> None:
    begun = world.streams[provider]()[: 2 if provider == "gemini" else 4]
    world.answer(headers=world.events, chunks=[*begun, EVENTS[provider]])
    heard = ""
    with pytest.raises((*world.errors, openai.OpenAIError)) as caught:
        for text in texts_of(client, world.gateway.url, key, world.models[provider]):
            heard += text
    assert heard.startswith("one")
    assert "one two three".startswith(heard)
    assert "not now" in str(caught.value)


@pytest.mark.parametrize("cut", [True, False], ids=["broken", "ended"])
def test_a_stream_that_breaks_off_never_looks_like_success(
    world: Any, customer: tuple[str, str], client: str, provider: str, cut: bool
) -> None:
    account, key = customer
    begun = world.streams[provider]()[: 2 if provider == "gemini" else 4]
    world.answer(headers=world.events, chunks=begun, cut=cut)
    with pytest.raises((*world.errors, RuntimeError)):
        world.ask(client, provider, key, stream=True)
    entry = world.gateway.last_entry(account)
    assert entry["ending"] == "upstream_broken"
    assert entry["charged"] > 0


@pytest.mark.parametrize("stream", [False, True], ids=["body", "stream"])
def test_an_answer_of_nothing_is_a_502(world: Any, key: str, client: str, provider: str, stream: bool) -> None:
    world.answer(body=b"<html>maintenance</html>", headers={"content-type": "text/html"})
    assert raised(world, client, provider, key, stream=stream)[0] == 502


def test_a_client_that_leaves_a_translated_stream_pays_for_what_came(world: Any, customer: tuple[str, str]) -> None:
    account, key = customer
    left, events = threading.Event(), world.replies.message_events()

    def chunks() -> Iterator[bytes]:
        yield from events[:3]
        left.wait(10)
        yield from repeat(events[3])

    world.answer(lambda _asked: world.reply(headers=world.events, chunks=chunks()))
    body = json.dumps(world.body("openai_chat", "anthropic", stream=True)).encode()
    with world.gateway.send("POST", "/v1/chat/completions", key=key, body=body) as connection:
        read_until(connection, b"one")
    left.set()
    entry = world.gateway.last_entry(account)
    assert entry["ending"] == "client_gone"
    assert entry["charged"] > 0
