"""A stream that comes to the cap of its own request ends as at a length, in every dialect, passed on and translated:
what was opened is ended, the provider is left, and the charge is never above the cap."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

DIALECTS = ("openai_chat", "openai_responses", "anthropic", "gemini")
WAYS = [(client, provider) for client in DIALECTS for provider in DIALECTS]
every_way = pytest.mark.parametrize("way", WAYS, ids=[f"{client}-{provider}" for client, provider in WAYS])
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
CAP, CAP_NANOS = "0.05", 50_000_000
WORDS = [f" word{number}" for number in range(400)]
"""Far more than a hundred tokens."""
LENGTHS = {"openai_chat": "length", "anthropic": "max_tokens", "gemini": "MAX_TOKENS", "openai_responses": "incomplete"}
PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/{model}:streamGenerateContent?alt=sse",
}


def talk(world: Any, pieces: list[bytes] | None = None) -> None:
    """A provider that talks on, whatever its ceiling; `pieces`: exactly these."""

    def reply(asked: Any) -> Any:
        dialect = world.spoken(asked.path.replace("/google/v1/", "/google/v1beta/"))
        return world.reply(headers=world.events, chunks=pieces or world.streams[dialect](WORDS, used=(5, 900)))

    world.answer(reply)


def listen(world: Any, client: str, provider: str, key: str, **more: Any) -> tuple[dict[str, str], bytes]:
    """The bytes of a capped stream."""
    body = world.body(client, provider) | ({"stream": True} if client != "gemini" else {}) | more
    path = PATHS[client].format(model=world.models[provider])
    status, headers, text = world.gateway.request(
        "POST", path, key=key, body=body, headers={"x-proxyapi-max-cost": CAP}
    )
    assert status == 200, text
    return headers, text


def frames(text: bytes) -> list[Any]:
    """The JSON of all events; their blank lines in place."""
    assert text.endswith(b"\n\n")
    blocks = [block for block in text.replace(b"\r\n", b"\n").split(b"\n\n") if block and not block.startswith(b":")]
    data = [block.split(b"data: ", 1)[1] for block in blocks]
    return [json.loads(one) for one in data if one != b"[DONE]"]


def said(client: str, events: list[Any]) -> str:
    """The text of a stream."""
    match client:
        case "openai_chat":
            return "".join(c["delta"].get("content") or "" for event in events for c in event["choices"])
        case "openai_responses":
            return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
        case "anthropic":
            return "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
    return "".join(
        part.get("text", "")
        for event in events
        for candidate in event.get("candidates", ())
        for part in candidate.get("content", {}).get("parts", ())
    )


def ended(client: str, events: list[Any]) -> str:
    """Its last word, and that what was opened was ended."""
    kinds = [event.get("type") for event in events]
    match client:
        case "openai_chat":
            return str(next(c["finish_reason"] for e in reversed(events) for c in e["choices"] if c["finish_reason"]))
        case "openai_responses":
            assert kinds.count("response.output_item.added") == kinds.count("response.output_item.done") == 1
            assert kinds.count("response.content_part.added") == kinds.count("response.content_part.done") == 1
            numbers = [event["sequence_number"] for event in events]
            assert numbers == sorted(set(numbers))
            last = events[-1]
            assert last["type"] == "response.incomplete"
            assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
            assert last["response"]["output"][0]["content"][0]["text"] == said(client, events)
            assert last["response"]["output"][0]["id"] == events[-2]["item"]["id"]
            return str(last["response"]["status"])
        case "anthropic":
            assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 1
            assert kinds[-2:] == ["message_delta", "message_stop"]
            return str(events[-2]["delta"]["stop_reason"])
    return str(events[-1]["candidates"][0]["finishReason"])


@every_way
def test_a_stream_ends_at_its_cap_as_at_a_length(world: Any, customer: tuple[str, str], way: tuple[str, str]) -> None:
    (account, key), (client, provider) = customer, way
    talk(world)
    _, text = listen(world, client, provider, key)
    events = frames(text)
    assert ended(client, events) == LENGTHS[client]
    words = said(client, events)
    assert "".join(WORDS).startswith(words)
    assert 20 < words.count("word") < 60
    entry = world.gateway.last_entry(account)
    assert entry["ending"] == "capped"
    assert entry["charged"] <= CAP_NANOS
    assert CAP_NANOS * 0.95 < entry["actual"] < CAP_NANOS * 1.05
    assert entry["charged"] + entry["loss"] == entry["actual"]
    if client == "openai_chat":
        assert text.endswith(b"data: [DONE]\n\n")
        assert events[-1]["choices"] == []
        assert events[-1]["usage"]["completion_tokens"] > 90
        assert Decimal(str(events[-1]["usage"]["cost"])) <= Decimal(CAP)


@every_dialect
def test_one_chunk_of_many_events_is_cut_between_them(world: Any, customer: tuple[str, str], dialect: str) -> None:
    account, key = customer
    talk(world, [b"".join(world.streams[dialect](WORDS, used=(5, 900)))])
    for client in DIALECTS:
        events = frames(listen(world, client, dialect, key)[1])
        assert ended(client, events) == LENGTHS[client]
        assert said(client, events).count("word") < 60
    assert world.gateway.last_entry(account, 4)["charged"] <= CAP_NANOS


@every_dialect
def test_the_provider_is_left_at_once(world: Any, eventually: Any, key: str, dialect: str) -> None:
    before = world.upstream.disconnects
    endless = world.streams[dialect](WORDS * 40)
    talk(world, endless)
    listen(world, dialect, dialect, key)
    eventually(lambda: world.upstream.disconnects > before)


@every_dialect
def test_an_answer_below_its_cap_is_not_touched(world: Any, customer: tuple[str, str], dialect: str) -> None:
    account, key = customer
    pieces = world.streams[dialect](used=(5, 90))
    talk(world, pieces)
    _, text = listen(world, dialect, dialect, key)
    assert b"".join(pieces[:-1]) in text
    assert world.gateway.last_entry(account)["ending"] == "completed"


def test_thoughts_that_only_the_last_word_tells_are_not_charged_above_the_cap(
    world: Any, customer: tuple[str, str]
) -> None:
    account, key = customer
    pieces = world.streams["openai_chat"](used=(5, 900))
    talk(world, pieces)
    events = frames(listen(world, "openai_chat", "openai_chat", key)[1])
    assert ended("openai_chat", events) == "stop"
    entry = world.gateway.last_entry(account)
    assert (entry["ending"], entry["charged"]) == ("completed", CAP_NANOS)


def test_a_native_client_of_chat_gets_a_usage_chunk_only_if_it_asked(world: Any, key: str) -> None:
    talk(world)
    for options, count in (({}, 0), ({"stream_options": {"include_usage": True}}, 1)):
        body = {"model": "gpt-4o-audio-preview", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        headers = {"x-proxyapi-max-cost": CAP, "x-proxyapi-cost": "1"}
        _, _, text = world.gateway.request(
            "POST", "/openai/v1/chat/completions", key=key, body=body | options, headers=headers
        )
        assert text.count(b'"usage":{') == count
        assert text.count(b": proxyapi cost=0.05 currency=RUB\n\n") == 1
        assert text.endswith(b"data: [DONE]\n\n")


def test_an_array_of_gemini_stays_an_array(world: Any, key: str) -> None:
    for provider in ("gemini", "anthropic"):
        if provider == "gemini":
            whole = [piece[6:-2] for piece in world.streams["gemini"](WORDS)]
            talk(world, [(b"[" if not n else b",\r\n") + piece for n, piece in enumerate(whole)])
        else:
            talk(world)
        path = f"/v1beta/models/{world.models[provider]}:streamGenerateContent"
        _, _, text = world.gateway.request(
            "POST", path, key=key, body=world.body("gemini", provider), headers={"x-proxyapi-max-cost": CAP}
        )
        elements = json.loads(text)
        assert ended("gemini", elements) == "MAX_TOKENS"
        assert said("gemini", elements).count("word") < 60


def test_a_conversation_goes_on_after_its_cap(world: Any, key: str) -> None:
    """The gateway keeps what was said of it, for providers that keep nothing."""
    talk(world)
    events = frames(listen(world, "openai_responses", "anthropic", key)[1])
    world.answer(world.usual)
    more = {"previous_response_id": events[-1]["response"]["id"]}
    status, _, answer = world.post("openai_responses", "anthropic", key, **more)
    assert status == 200, answer
    turns = json.loads(world.asked[-1].body)["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert said("openai_responses", events).strip() in json.dumps(turns[1])


def test_a_call_that_is_cut_is_ended(world: Any, key: str) -> None:
    """By the SDK of Messages, from a provider of Chat."""
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":"'}}
    growth = [{"tool_calls": [{"index": 0, "function": {"arguments": word}}]} for word in WORDS]
    talk(world, [world.replies.chat_chunk(delta) for delta in ({"tool_calls": [call]}, *growth)])
    tool = {"name": "look", "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}}}
    events = frames(listen(world, "anthropic", "openai_chat", key, tools=[tool])[1])
    assert ended("anthropic", events) == "max_tokens"
    assert next(e for e in events if e["type"] == "content_block_start")["content_block"]["name"] == "look"


def test_the_official_sdks_read_the_end(world: Any, key: str) -> None:
    talk(world)
    url, cap = world.gateway.url, {"x-proxyapi-max-cost": CAP}
    with openai.OpenAI(api_key=key, base_url=f"{url}/v1", default_headers=cap, max_retries=0) as client:
        events = list(client.responses.create(model=world.models["openai_responses"], input="Hello", stream=True))
        assert events[-1].type == "response.incomplete"
        assert events[-1].response.output_text.startswith(" word0 word1")
        chunks = list(
            client.chat.completions.create(
                model=world.models["openai_chat"], messages=[{"role": "user", "content": "Hello"}], stream=True
            )
        )
        assert chunks[-2].choices[0].finish_reason == "length"
        assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens > 80
    with (
        anthropic.Anthropic(api_key=key, base_url=url, default_headers=cap, max_retries=0) as other,
        other.messages.stream(
            model=world.models["anthropic"], max_tokens=900, messages=[{"role": "user", "content": "Hello"}]
        ) as told,
    ):
        message = told.get_final_message()
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens > 80
    options = types.HttpOptions(base_url=url, headers=cap)
    google = genai.Client(api_key=key, http_options=options)
    answers = list(google.models.generate_content_stream(model=world.models["gemini"], contents="Hello"))
    assert answers[-1].candidates is not None and answers[-1].candidates[0].finish_reason == "MAX_TOKENS"
    assert answers[-1].usage_metadata is not None and (answers[-1].usage_metadata.candidates_token_count or 0) > 80
