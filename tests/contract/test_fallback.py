"""A model with fallbacks: who is asked next, what the client sees of it, what it costs. Official SDKs, two fakes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
from proxyapi_fakes_sdks import ask_chat, ask_messages  # loaded by conftest.py
from proxyapi_fakes_upstream_scripts import Stage, acting

HELLO: Any = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2_000}
COSTS = {"first": 145_000_000, "second": 290_000_000}
"""Nanos of 850 tokens in and 120 out."""
CONFIG = """
[pause]
enabled = false
[sandbox]
enabled = false
[timeouts]
first_byte_seconds = 0.5
idle_seconds = 0.5
[providers.first]
base_url = "{first}/v1"
api_key = "sk-first"
[providers.second]
base_url = "{second}/v1"
api_key = "sk-second"
[providers.anthropic]
base_url = "{first}"
api_key = "sk-first"
[providers.openai]
base_url = "{first}/v1"
api_key = "sk-first"
[providers.openrouter]
base_url = "{second}/v1"
api_key = "sk-second"
[providers.google]
base_url = "{second}"
api_key = "sk-second"
[providers.deepseek]
enabled = false
api_key = "sk-first"
[fallbacks]
"first/m" = ["second/m"]
"first/chain" = ["first/m", "second/none", "second/m"]
"anthropic/claude-sonnet-4-5" = ["second/m"]
"anthropic/claude-opus-4-5" = ["openrouter/anthropic/claude-opus-4.5"]
"openai/gpt-5" = ["second/m"]
"deepseek/deepseek-chat" = ["second/m"]
"openai/text-embedding-3-small" = ["google/gemini-embedding-001"]
"openai/whisper-1" = ["second/m"]
"""
PRICES = {
    "first/m": ("100", "500"),
    "first/chain": ("100", "500"),
    "second/m": ("200", "1000"),
    "google/gemini-embedding-001": ("200", "0"),
    "anthropic/claude-sonnet-4-5": ("100", "500"),
    "anthropic/claude-opus-4-5": ("100", "500"),
    "openai/gpt-5": ("100", "500"),
}
FAILURES = (
    "refuses with 401",
    "refuses with 403",
    "refuses with 429",
    "refuses with 500",
    "hangs up at once",
    "hangs up after the head",
    "is silent",
    "answers an error",
    "answers nothing",
)
ASK: dict[str, Callable[..., Any]] = {"same dialect": ask_chat, "other dialect": ask_messages}
"""Both providers speak Chat Completions."""


@pytest.fixture(scope="module")
def first(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        yield fake


@pytest.fixture(scope="module")
def second(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        yield fake


@pytest.fixture(scope="module")
def gateway(gateways: Any, first: Any, second: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    config = CONFIG.format(first=first.url, second=second.url)
    with gateways.Gateway(tmp_path_factory.mktemp("fallback"), config, prices=PRICES) as running:
        yield running
        running.assert_clean()


@pytest.fixture(autouse=True)
def answering(first: Any, second: Any) -> None:
    """Unless a test says something else, both answer in one body."""
    for fake in (first, second):
        fake.asked.clear()
        fake.reply = acting("answers", Stage("body"))


def receipt(gateway: Any, key: str, entry: Any) -> Any:
    return json.loads(gateway.request("GET", f"/proxyapi/requests/{entry['id'].hex()}", key=key)[2])


# --- who is asked ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ASK)
@pytest.mark.parametrize("form", ["body", "stream"])
@pytest.mark.parametrize("failure", FAILURES)
def test_the_next_provider_answers_and_the_customer_pays_its_price_once(
    gateway: Any, first: Any, second: Any, failure: str, form: str, dialect: str
) -> None:
    account, key = gateway.customer("10")
    stage = Stage(form)
    first.reply, second.reply = acting(failure, stage), acting("answers", Stage(form))
    try:
        heard = ASK[dialect](gateway.url, key, "first/m", HELLO, stream=form == "stream")
    finally:
        stage.go.set()
    assert (heard.text, heard.tokens["input"], heard.tokens["output"]) == ("one two three", 850, 120)
    entry = gateway.last_entry(account)
    assert (entry["kind"], entry["provider"], entry["model"], entry["charged"], entry["attempts"]) == (
        "settle", "second", "second/m", COSTS["second"], 2,
    )  # fmt: skip
    assert len(gateway.entries(account)) == 1
    assert Decimal(gateway.balance(account)) == Decimal("9.71")
    (tried,) = receipt(gateway, key, entry)["tried"]
    assert (tried["provider"], tried["model"]) == ("first", "first/m")
    assert tried["status"] == (int(failure[-3:]) if failure.startswith("refuses") else tried["status"])
    assert json.loads(second.asked[-1].body)["model"] == "m"
    assert second.asked[-1].headers["authorization"] == "Bearer sk-second"


@pytest.mark.parametrize("form", ["body", "stream"])
def test_a_request_that_is_to_blame_itself_is_asked_once(gateway: Any, first: Any, second: Any, form: str) -> None:
    account, key = gateway.customer("10")
    first.reply = acting("refuses with 422", Stage(form))
    with pytest.raises(openai.UnprocessableEntityError, match="boom"):
        ask_chat(gateway.url, key, "first/m", HELLO, stream=form == "stream")
    entry = gateway.last_entry(account)
    assert (entry["ending"], entry["attempts"], entry["note"], second.asked) == ("upstream_refused", 1, None, [])


def test_what_the_last_one_says_is_what_the_client_hears(gateway: Any, first: Any, second: Any) -> None:
    account, key = gateway.customer("10")
    first.reply, second.reply = acting("hangs up at once", Stage("body")), acting("refuses with 503", Stage("body"))
    with pytest.raises(openai.InternalServerError, match="boom") as refused:
        ask_chat(gateway.url, key, "first/m", HELLO, stream=False)
    assert refused.value.response.headers["x-proxyapi-provider"] == "second"
    entry = gateway.last_entry(account)
    assert (entry["kind"], entry["provider"], entry["status"], entry["charged"]) == ("release", "second", 503, 0)
    assert [tried["ending"] for tried in receipt(gateway, key, entry)["tried"]] == ["upstream_broken"]
    assert Decimal(gateway.balance(account)) == 10


def test_every_attempt_is_written_down_and_what_is_not_on_sale_is_no_attempt(
    gateway: Any, first: Any, second: Any
) -> None:
    account, key = gateway.customer("10")
    first.reply = acting("refuses with 429", Stage("body"))
    ask_chat(gateway.url, key, "first/chain", HELLO, stream=False)
    entry = gateway.last_entry(account)
    tried = receipt(gateway, key, entry)["tried"]
    assert [one["model"] for one in tried] == ["first/chain", "first/m"]
    assert (entry["attempts"], entry["model"], len(first.asked), len(second.asked)) == (3, "second/m", 2, 1)


def test_a_native_route_has_one_provider(gateway: Any, first: Any, second: Any) -> None:
    _, key = gateway.customer("10")
    first.reply = acting("refuses with 503", Stage("body"))
    body = HELLO | {"model": "gpt-5"}
    status, headers, _ = gateway.request("POST", "/openai/v1/chat/completions", key=key, body=body)
    assert (status, "x-proxyapi-provider" in headers, second.asked) == (503, False, [])


def test_a_provider_that_is_switched_off_is_not_asked(gateway: Any, first: Any, second: Any) -> None:
    account, key = gateway.customer("10")
    ask_chat(gateway.url, key, "deepseek/deepseek-chat", HELLO, stream=False)
    entry = gateway.last_entry(account)
    assert (entry["provider"], entry["attempts"], entry["note"], first.asked) == ("second", 1, None, [])
    assert entry["charged"] == COSTS["second"]


def test_a_key_falls_back_to_models_that_it_may_use(gateway: Any, first: Any, second: Any) -> None:
    _, key = gateway.customer("10", "--model", "first/*")
    first.reply = acting("refuses with 503", Stage("body"))
    with pytest.raises(openai.InternalServerError):
        ask_chat(gateway.url, key, "first/m", HELLO, stream=False)
    assert second.asked == []


def test_an_upload_is_sent_once(gateway: Any, first: Any, second: Any) -> None:
    _, key = gateway.customer("10")
    first.reply = acting("refuses with 503", Stage("body"))
    with (
        openai.OpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=0) as client,
        pytest.raises(openai.InternalServerError),
    ):
        client.audio.transcriptions.create(model="openai/whisper-1", file=("a.mp3", b"\xff\xfb\x90\x64" * 500))
    assert (len(first.asked), second.asked) == (1, [])


def test_what_lies_at_a_provider_is_asked_for_there_only(
    gateway: Any, first: Any, second: Any, upstreams: Any, replies: Any
) -> None:
    _, key = gateway.customer("1000")
    first.reply = lambda _asked: upstreams.Reply(body=replies.response("Hi"))
    with openai.OpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        kept = client.responses.create(model="openai/gpt-5", input="Hello")
        first.reply = acting("refuses with 503", Stage("body"))
        with pytest.raises(openai.InternalServerError):
            client.responses.create(model="openai/gpt-5", input="And?", previous_response_id=kept.id)
        assert second.asked == []
        answered = client.responses.create(model="openai/gpt-5", input="Hello")
        assert (answered.output_text, len(second.asked)) == ("one two three", 1)
        again = client.responses.create(model="openai/gpt-5", input="And?", previous_response_id=answered.id)
    assert again.output_text == "one two three"
    texts = [message["content"] for message in json.loads(second.asked[-1].body)["messages"]]
    assert [text if isinstance(text, str) else text[0]["text"] for text in texts] == ["Hello", "one two three", "And?"]


# --- what passes -----------------------------------------------------------------------------------------------------


def test_an_error_after_the_first_words_is_no_reason_to_ask_anybody_else(gateway: Any, first: Any, second: Any) -> None:
    account, key = gateway.customer("10")
    first.reply = acting("errs in the middle", Stage("stream"))
    with pytest.raises(openai.APIError, match="boom"):
        ask_chat(gateway.url, key, "first/m", HELLO, stream=True)
    entry = gateway.last_entry(account)
    assert (entry["provider"], entry["ending"], entry["attempts"], second.asked) == ("first", "error_event", 1, [])
    assert 0 < entry["charged"] < COSTS["first"]


@pytest.mark.parametrize("ask", [ask_chat, ask_messages])
def test_a_head_and_signs_of_life_before_an_error_are_no_words(
    gateway: Any, first: Any, second: Any, upstreams: Any, replies: Any, ask: Any
) -> None:
    _, key = gateway.customer("10")
    start, *_ = replies.message_events()
    ping = b'event: ping\ndata: {"type":"ping"}\n\n'
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    first.reply = lambda _asked: upstreams.Reply(
        headers={"content-type": "text/event-stream"}, chunks=[start, ping, error]
    )
    second.reply = acting("answers", Stage("stream"))
    heard = ask(gateway.url, key, "anthropic/claude-sonnet-4-5", HELLO, stream=True)
    assert heard.text == "one two three"


@pytest.mark.parametrize("ask", [ask_chat, ask_messages])
def test_an_answer_in_another_form_than_was_asked_for_is_an_answer(
    gateway: Any, first: Any, second: Any, ask: Any
) -> None:
    _, key = gateway.customer("10")
    first.reply = acting("answers the other form", Stage("stream"))
    body = HELLO | {"model": "first/m", "stream": True}
    path = "/v1/messages" if ask is ask_messages else "/v1/chat/completions"
    status, headers, text = gateway.request("POST", path, key=key, body=body)
    assert (status, headers["x-proxyapi-provider"], second.asked) == (200, "first", [])
    assert b"one two three" in text


def test_what_the_next_one_signed_is_not_sent_to_the_first_when_it_is_back(
    gateway: Any, first: Any, second: Any, upstreams: Any, replies: Any
) -> None:
    _, key = gateway.customer("10")
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVkIGJ5IHRoZSBzZWNvbmQ="}
    said = json.loads(replies.message("Hi"))
    said["content"].insert(0, thought)
    first.reply = acting("refuses with 503", Stage("body"))
    second.reply = lambda _asked: upstreams.Reply(body=json.dumps(said).encode())
    question: Any = {"role": "user", "content": "Hello"}
    with anthropic.Anthropic(api_key=key, base_url=gateway.url, max_retries=0) as client:
        ask: Any = {"model": "anthropic/claude-opus-4-5", "max_tokens": 100}
        answered = client.messages.create(messages=[question], **ask)
        assert [block.type for block in answered.content] == ["thinking", "text"]
        assert second.asked[-1].path == "/v1/messages"
        first.reply = lambda _asked: upstreams.Reply(body=replies.message("Yes"))
        client.messages.create(messages=[question, {"role": "assistant", "content": answered.content}, question], **ask)
    assert len(second.asked) == 1
    assert not any(mark in first.asked[-1].body for mark in (b"c2lnbmVkIGJ5", b"gw1.", b"thinking"))


def test_a_stream_that_passes_is_the_same_byte_for_byte(gateway: Any, first: Any, upstreams: Any, replies: Any) -> None:
    _, key = gateway.customer("10")
    events = [b": waiting\n\n", *replies.chat_events(["Hel", "lo"])]
    first.reply = lambda _asked: upstreams.Reply(headers={"content-type": "text/event-stream"}, chunks=events)
    body = HELLO | {"model": "first/m", "stream": True, "stream_options": {"include_usage": True}}
    status, headers, text = gateway.request("POST", "/v1/chat/completions", key=key, body=body)
    assert (status, text) == (200, b"".join(events))
    assert (headers["x-proxyapi-provider"], headers["x-proxyapi-model"]) == ("first", "first/m")


def test_another_dialect_is_translated_anew_and_the_headers_are_of_who_answered(
    gateway: Any, first: Any, second: Any
) -> None:
    _, key = gateway.customer("10")
    first.reply = acting("refuses with 503", Stage("body"))
    body = HELLO | {"model": "anthropic/claude-sonnet-4-5", "top_k": 5}
    status, headers, text = gateway.request("POST", "/v1/messages", key=key, body=body)
    assert (status, json.loads(text)["content"][0]["text"]) == (200, "one two three")
    assert first.asked[-1].path == "/v1/messages" and second.asked[-1].path == "/v1/chat/completions"
    assert (headers["x-proxyapi-provider"], headers["x-proxyapi-translation"]) == ("second", "lossy")
    assert headers["x-proxyapi-dropped"] == "top_k"
    assert "top_k" not in json.loads(second.asked[-1].body)


def test_what_one_provider_signed_is_not_sent_to_the_next(gateway: Any, first: Any, second: Any) -> None:
    _, key = gateway.customer("10")
    first.reply = acting("refuses with 503", Stage("body"))
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVkIGJ5IHRoZSBmaXJzdA=="}
    turns = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "Hi"}]},
        {"role": "user", "content": "And?"},
    ]
    with anthropic.Anthropic(api_key=key, base_url=gateway.url, max_retries=0) as client:
        client.messages.create(model="anthropic/claude-sonnet-4-5", max_tokens=100, messages=turns)  # type: ignore[arg-type]
    assert b"c2lnbmVkIGJ5" in first.asked[-1].body
    assert b"c2lnbmVkIGJ5" not in second.asked[-1].body


def test_a_request_that_the_next_model_cannot_be_told_stays_with_the_first(
    gateway: Any, first: Any, second: Any
) -> None:
    _, key = gateway.customer("10")
    first.reply = acting("refuses with 503", Stage("body"))
    body = HELLO | {"model": "anthropic/claude-sonnet-4-5", "top_k": 5}
    strict = {"x-proxyapi-strict": "1"}
    status, _, _ = gateway.request("POST", "/v1/messages", key=key, body=body, headers=strict)
    assert (status, second.asked) == (503, [])


def test_vectors_come_from_the_next_provider_too(gateway: Any, first: Any, second: Any, upstreams: Any) -> None:
    account, key = gateway.customer("10")
    first.reply = acting("refuses with 503", Stage("body"))
    answer = json.dumps({"embeddings": [{"values": [0.5]}], "usageMetadata": {"promptTokenCount": 10}}).encode()
    second.reply = lambda _asked: upstreams.Reply(body=answer)
    with openai.OpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        found = client.embeddings.create(model="openai/text-embedding-3-small", input="Hello", encoding_format="float")
    assert found.data[0].embedding == [0.5]
    assert gateway.last_entry(account)["charged"] == 2_000_000


# --- money -----------------------------------------------------------------------------------------------------------


def test_the_hold_is_of_the_dearest_and_the_estimate_says_so(gateway: Any, first: Any) -> None:
    account, key = gateway.customer("10")
    body = HELLO | {"model": "first/m"}
    told = json.loads(
        gateway.request("POST", "/proxyapi/estimate?path=/v1/chat/completions", key=key, body=body)[2],
        parse_float=Decimal,
    )
    (other,) = told["fallbacks"]
    assert (told["provider"], other["provider"], other["model"]) == ("first", "second", "second/m")
    assert told["estimate"] == other["estimate"]
    ask_chat(gateway.url, key, "first/m", HELLO, stream=False)
    entry = gateway.last_entry(account)
    assert (entry["held"], entry["charged"]) == (told["estimate"] * 10**9, COSTS["first"])


def test_money_that_is_short_lowers_the_ceiling_for_whoever_answers(gateway: Any, first: Any, second: Any) -> None:
    account, key = gateway.customer("0.5")
    gateway.cli("account", "edit", account, "--when-short", "shorten")
    first.reply = acting("refuses with 503", Stage("body"))
    ask_chat(gateway.url, key, "first/m", HELLO, stream=False)
    ceilings = [json.loads(fake.asked[-1].body)["max_tokens"] for fake in (first, second)]
    assert ceilings[0] == ceilings[1] < HELLO["max_tokens"]
    assert gateway.last_entry(account)["held"] <= 500_000_000


def test_a_request_caps_whoever_answers(gateway: Any, first: Any, second: Any) -> None:
    account, key = gateway.customer("10")
    first.reply = acting("refuses with 503", Stage("stream"))
    second.reply = acting("talks on", Stage("stream"))
    body = HELLO | {"model": "first/m", "stream": True}
    status, _, text = gateway.request(
        "POST", "/v1/chat/completions", key=key, body=body, headers={"x-proxyapi-max-cost": "0.06"}
    )
    assert status == 200 and b'"length"' in text
    entry = gateway.last_entry(account)
    assert (entry["ending"], entry["provider"]) == ("capped", "second")
    assert 0 < entry["charged"] <= 60_000_000


def test_a_repeated_request_is_answered_by_whoever_answered_it(gateway: Any, first: Any, second: Any) -> None:
    account, key = gateway.customer("10")
    first.reply = acting("refuses with 503", Stage("body"))
    body, once = HELLO | {"model": "first/m"}, {"idempotency-key": "one"}
    answers = [gateway.request("POST", "/v1/chat/completions", key=key, body=body, headers=once)[2] for _ in range(2)]
    assert answers[0] == answers[1]
    assert (len(gateway.entries(account)), len(second.asked)) == (1, 1)


# --- what is said of it ----------------------------------------------------------------------------------------------


def test_the_list_of_models_says_who_else_may_answer(gateway: Any) -> None:
    _, key = gateway.customer("1")
    listed = {model["id"]: model for model in json.loads(gateway.request("GET", "/v1/models", key=key)[2])["data"]}
    assert listed["first/m"]["fallbacks"] == ["second/m"]
    assert "fallbacks" not in listed["second/m"]
    assert json.loads(gateway.request("GET", "/v1/models/first/m", key=key)[2])["fallbacks"] == ["second/m"]


def test_the_operator_reads_who_was_asked_before(gateway: Any, first: Any) -> None:
    account, key = gateway.customer("10")
    first.reply = acting("refuses with 503", Stage("body"))
    ask_chat(gateway.url, key, "first/m", HELLO, stream=False)
    told = gateway.cli("usage", "--request", gateway.last_entry(account)["id"].hex())
    assert (told["provider"], told["tried"][0]["provider"], told["tried"][0]["status"]) == ("second", "first", 503)
