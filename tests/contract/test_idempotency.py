"""A request that is sent again with its `Idempotency-Key`: one answer, one charge, whatever happened in between."""

from __future__ import annotations

import io
import json
import threading
import wave
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import anthropic
import openai
import pytest
from proxyapi_fakes_gateway import read_until  # loaded by conftest.py

CHAT = "/openai/v1/chat/completions"
HELLO: Any = [{"role": "user", "content": "Hello"}]
BODY: Any = {"model": "gpt-4o", "messages": HELLO, "max_tokens": 200}
STREAM: Any = BODY | {"stream": True}
COST = 145_000_000
"""Nanos: 850 tokens at 100 and 120 at 500 per million."""
EVENTS = {"content-type": "text/event-stream"}
REPLAYED = "idempotent-replayed"
GEMINI = "/google/v1beta/models/gemini-2.0-flash"
CONTENTS: Any = {"contents": [{"parts": [{"text": "Hello"}]}], "generationConfig": {"maxOutputTokens": 2000}}

_numbers = count(1)


@pytest.fixture(scope="module")
def upstream(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        yield fake


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def nodes(
    request: pytest.FixtureRequest, gateways: Any, upstream: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, Any]]:
    """Two gateways with nothing in common but their store."""
    config = f"""
[pause]
enabled = false
[idempotency]
answer_bytes_max = 100_000
account_bytes_max = 400_000
[providers.openai]
base_url = "{upstream.url}/v1"
api_key = "sk-upstream"
[providers.anthropic]
base_url = "{upstream.url}"
api_key = "sk-upstream"
[providers.google]
base_url = "{upstream.url}"
api_key = "sk-upstream"
"""
    models = ("openai/gpt-4o", "anthropic/claude-3-5-sonnet-20241022", "google/gemini-2.0-flash")
    folder = tmp_path_factory.mktemp("idempotency")
    prices = dict.fromkeys(models, ("100", "500"))
    url = request.getfixturevalue("postgres").create() if request.param == "postgres" else ""
    first = gateways.Gateway(folder, config, prices=prices, database_url=url)
    with first as one, gateways.Gateway(folder, config, database_url=url) as other:
        yield one, other
        one.assert_clean()


@pytest.fixture
def customer(nodes: tuple[Any, Any]) -> tuple[str, str]:
    """A fresh account with money, and a key of it."""
    account, key = nodes[0].customer("10")
    return account, key


@pytest.fixture
def idempotency_key() -> str:
    return f"order-{next(_numbers)}"


@pytest.fixture(params=[0, 1], ids=["same node", "other node"])
def second(request: pytest.FixtureRequest, nodes: tuple[Any, Any]) -> Any:
    """Where the request is sent again."""
    return nodes[request.param]


@pytest.fixture
def answers(upstream: Any, upstreams: Any, replies: Any) -> Callable[..., None]:
    """`answers(body)` or `answers(chunks=…)`: what the provider says next, and every time."""

    def say(body: bytes = b"", *, chunks: list[bytes] | None = None, **more: Any) -> None:
        upstream.asked.clear()
        if chunks is not None:
            upstream.reply = lambda asked: upstreams.Reply(headers=EVENTS, chunks=list(chunks), **more)
        else:
            upstream.reply = lambda asked: upstreams.Reply(body=body, **more)

    say(replies.chat())
    return say


class Gated:
    """A stream that stops after its first event until it may go on."""

    def __init__(self, events: list[bytes]) -> None:
        self.events = events
        self.go_on = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield self.events[0]
        assert self.go_on.wait(20)
        yield from self.events[1:]


@pytest.fixture
def gated(upstream: Any, upstreams: Any, replies: Any) -> Iterator[Gated]:
    stream = Gated(replies.chat_events())
    upstream.asked.clear()
    upstream.reply = lambda asked: upstreams.Reply(headers=EVENTS, chunks=stream)
    yield stream
    stream.go_on.set()


def send(node: Any, customer: tuple[str, str], idempotency_key: str, body: Any = BODY, path: str = CHAT) -> Any:
    return node.request("POST", path, key=customer[1], body=body, headers={"Idempotency-Key": idempotency_key})


def kept(node: Any) -> list[str]:
    return [row["answer"] for row in node.rows("SELECT answer FROM claim ORDER BY number")]


def assert_charged_once(nodes: tuple[Any, Any], customer: tuple[str, str], upstream: Any, eventually: Any) -> None:
    """One call of the provider, one settled entry, and the money of one."""
    eventually(lambda: not nodes[0].holds())
    entries = [entry for entry in nodes[0].entries(customer[0]) if entry["kind"] == "settle"]
    assert [entry["charged"] for entry in entries] == [COST]
    assert len(upstream.asked) == 1
    assert nodes[0].balance(customer[0]) == "9.855"


# --- finished --------------------------------------------------------------------------------------------------------


def test_a_repeated_request_is_charged_once(
    nodes: Any, second: Any, customer: Any, idempotency_key: str, answers: Any, upstream: Any, eventually: Any
) -> None:
    status, headers, body = send(nodes[0], customer, idempotency_key)
    assert (status, headers["x-proxyapi-cost"]) == (200, "0.145")
    assert REPLAYED not in headers
    eventually(lambda: kept(nodes[0])[-1] == "kept")
    again = send(second, customer, idempotency_key)
    assert (again[0], again[2]) == (200, body)
    told = again[1]
    assert (told[REPLAYED], told["x-proxyapi-cost"]) == ("true", "0.145")
    assert told["x-proxyapi-original-request"] == headers["x-request-id"] != told["x-request-id"]
    own = {"x-request-id", "x-proxyapi-original-request", REPLAYED}
    assert {name: told[name] for name in told.keys() - own} == {name: headers[name] for name in headers.keys() - own}
    assert_charged_once(nodes, customer, upstream, eventually)


def test_the_openai_sdk_gets_the_same_completion_twice(
    nodes: Any, customer: Any, idempotency_key: str, answers: Any, upstream: Any, eventually: Any
) -> None:
    with openai.OpenAI(api_key=customer[1], base_url=f"{nodes[0].url}/openai/v1", max_retries=2) as client:
        for _ in range(2):
            raw = client.chat.completions.with_raw_response.create(
                **BODY, extra_headers={"Idempotency-Key": idempotency_key}
            )
            assert raw.parse().choices[0].message.content == "ok"
    assert raw.headers[REPLAYED] == "true"
    assert_charged_once(nodes, customer, upstream, eventually)


def test_the_openai_sdk_hears_the_same_stream_twice(
    nodes: Any, second: Any, customer: Any, idempotency_key: str, answers: Any, replies: Any, upstream: Any,
    eventually: Any,
) -> None:  # fmt: skip
    answers(chunks=replies.chat_events())
    for node in (nodes[0], second):
        with openai.OpenAI(api_key=customer[1], base_url=f"{node.url}/openai/v1", max_retries=0) as client:
            events = client.chat.completions.create(**STREAM, extra_headers={"Idempotency-Key": idempotency_key})
            assert "".join(event.choices[0].delta.content or "" for event in events) == "one two three"
    assert_charged_once(nodes, customer, upstream, eventually)


def test_the_anthropic_sdk_hears_the_same_message_twice(
    nodes: Any, customer: Any, idempotency_key: str, answers: Any, replies: Any, upstream: Any, eventually: Any
) -> None:
    answers(chunks=replies.message_events())
    with anthropic.Anthropic(api_key=customer[1], base_url=f"{nodes[0].url}/anthropic", max_retries=0) as client:
        for _ in range(2):
            with client.messages.stream(
                model="claude-3-5-sonnet-20241022",
                max_tokens=2000,
                messages=HELLO,
                extra_headers={"Idempotency-Key": idempotency_key},
            ) as stream:
                assert stream.get_final_text() == "one two three"
    assert_charged_once(nodes, customer, upstream, eventually)


DOORS: dict[str, tuple[str, Any, str]] = {
    "chat": (CHAT, STREAM, "chat_events"),
    "responses": (
        "/openai/v1/responses",
        {"model": "gpt-4o", "input": "Hello", "max_output_tokens": 2000, "stream": True},
        "response_events",
    ),
    "messages": (
        "/anthropic/v1/messages",
        {"model": "claude-3-5-sonnet-20241022", "messages": HELLO, "max_tokens": 2000, "stream": True},
        "message_events",
    ),
    "gemini": (f"{GEMINI}:streamGenerateContent?alt=sse", CONTENTS, "generated_events"),
    "chat of gemini": (
        "/v1beta/models/gpt-4o:streamGenerateContent".replace("gpt-4o", "openai%2Fgpt-4o"),
        CONTENTS,
        "chat_events",
    ),
    "messages by chat": (
        "/v1/chat/completions",
        {"model": "anthropic/claude-3-5-sonnet-20241022", "messages": HELLO, "max_tokens": 2000, "stream": True},
        "message_events",
    ),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_streams_of_every_dialect_are_told_again_byte_for_byte(
    nodes: Any, second: Any, customer: Any, idempotency_key: str, answers: Any, replies: Any, upstream: Any,
    eventually: Any, door: tuple[str, Any, str],
) -> None:  # fmt: skip
    path, body, events = door
    answers(chunks=getattr(replies, events)())
    first = send(nodes[0], customer, idempotency_key, body, path)
    again = send(second, customer, idempotency_key, body, path)
    assert (again[0], again[2]) == (200, first[2])
    assert again[1]["content-type"] == first[1]["content-type"]
    assert again[1][REPLAYED] == "true"
    assert_charged_once(nodes, customer, upstream, eventually)


def test_sound_is_told_again(
    nodes: Any, customer: Any, idempotency_key: str, answers: Any, upstream: Any, eventually: Any
) -> None:
    sound = bytes(range(256)) * 300
    answers(sound, headers={"content-type": "audio/mpeg"})
    body = {"model": "tts-1", "input": "Привет", "voice": "alloy"}
    first = send(nodes[0], customer, idempotency_key, body, "/openai/v1/audio/speech")
    eventually(lambda: kept(nodes[0])[-1] == "kept")
    again = send(nodes[1], customer, idempotency_key, body, "/openai/v1/audio/speech")
    assert first[2] == again[2] == sound
    assert again[1]["content-length"] == str(len(sound))
    assert len(upstream.asked) == 1


def test_an_upload_is_recognised_whatever_its_boundary(
    nodes: Any, customer: Any, idempotency_key: str, answers: Any, upstream: Any, eventually: Any
) -> None:
    answers(b'{"text":"Hello"}')
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16_000))
    with openai.OpenAI(api_key=customer[1], base_url=f"{nodes[0].url}/openai/v1", max_retries=0) as client:
        extra: Any = {"Idempotency-Key": idempotency_key}
        ask = client.audio.transcriptions.with_raw_response.create
        ask(model="whisper-1", file=("a.wav", file.getvalue()), extra_headers=extra)
        eventually(lambda: kept(nodes[0])[-1] == "kept")
        again = ask(model="whisper-1", file=("a.wav", file.getvalue()), extra_headers=extra)
        assert again.headers[REPLAYED] == "true"
        assert again.parse().text == "Hello"
        with pytest.raises(openai.UnprocessableEntityError):
            ask(model="whisper-1", file=("b.wav", file.getvalue()), extra_headers=extra)
    assert len(upstream.asked) == 1
    assert len(nodes[0].entries(customer[0])) == 1


# --- in flight -------------------------------------------------------------------------------------------------------


def test_a_body_in_the_making_is_refused_until_it_is_there(
    nodes: Any, second: Any, customer: Any, idempotency_key: str, upstream: Any, upstreams: Any, replies: Any,
    eventually: Any,
) -> None:  # fmt: skip
    go_on = threading.Event()
    upstream.asked.clear()
    upstream.reply = lambda asked: upstreams.Reply(body=replies.chat(), before=lambda: go_on.wait(20))
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(send, nodes[0], customer, idempotency_key)
        eventually(lambda: upstream.asked)
        status, headers, body = send(second, customer, idempotency_key)
        assert (status, headers["retry-after"]) == (409, "5")
        error = json.loads(body)
        assert error["error"]["code"] == "idempotency_key_in_use"
        assert "still running" in error["detail"]
        go_on.set()
        assert first.result()[0] == 200
    eventually(lambda: kept(nodes[0])[-1] == "kept")
    assert send(second, customer, idempotency_key)[2] == first.result()[2]
    assert_charged_once(nodes, customer, upstream, eventually)


def test_a_stream_is_followed_live_from_its_beginning(
    nodes: Any, customer: Any, idempotency_key: str, gated: Gated, upstream: Any, eventually: Any
) -> None:
    def listen(node: Any) -> Any:
        with openai.OpenAI(api_key=customer[1], base_url=f"{node.url}/openai/v1", max_retries=0) as client:
            events = client.chat.completions.create(**STREAM, extra_headers={"Idempotency-Key": idempotency_key})
            for event in events:
                heard[node].append(event.choices[0].delta.content or "")
        return events.response.headers.get(REPLAYED)

    heard: dict[Any, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(listen, nodes[0])
        eventually(lambda: upstream.asked)
        again = threads.submit(listen, nodes[1])
        eventually(lambda: heard == {nodes[0]: [""], nodes[1]: [""]})
        gated.go_on.set()
        assert (first.result(), again.result()) == (None, "true")
    assert heard[nodes[0]] == heard[nodes[1]] == ["", "one", " two", " three", ""]
    assert_charged_once(nodes, customer, upstream, eventually)


def test_a_dropped_stream_is_fetched_in_whole(
    nodes: Any, second: Any, customer: Any, idempotency_key: str, gated: Gated, upstream: Any, eventually: Any
) -> None:
    headers = f"idempotency-key: {idempotency_key}\r\n"
    with nodes[0].send("POST", CHAT, key=customer[1], body=json.dumps(STREAM).encode(), headers=headers) as connection:
        assert b'"assistant"' in read_until(connection, b'"assistant"')
    eventually(lambda: nodes[0].rows("SELECT 1 FROM claim_piece JOIN hold ON hold.id = claim_piece.id"))
    with ThreadPoolExecutor(1) as threads:
        again = threads.submit(send, second, customer, idempotency_key, STREAM)
        gated.go_on.set()
        assert again.result()[2] == b"".join(gated.events[:-2] + gated.events[-1:])
    assert_charged_once(nodes, customer, upstream, eventually)
    entry = nodes[0].last_entry(customer[0])
    assert (entry["ending"], entry["source"]) == ("completed", "reported")
    assert send(second, customer, idempotency_key, STREAM)[2] == again.result()[2]


def test_of_racing_requests_on_two_nodes_exactly_one_runs(
    nodes: Any, customer: Any, idempotency_key: str, answers: Any, replies: Any, upstream: Any, eventually: Any
) -> None:
    answers(chunks=replies.chat_events())
    with ThreadPoolExecutor(16) as threads:
        sent = [threads.submit(send, nodes[at % 2], customer, idempotency_key, STREAM) for at in range(32)]
        got = [each.result() for each in sent]
    assert {(status, body) for status, _, body in got} == {(200, got[0][2])}
    assert sum(REPLAYED in headers for _, headers, _ in got) == 31
    assert_charged_once(nodes, customer, upstream, eventually)


# --- not repeated ----------------------------------------------------------------------------------------------------


def test_another_request_with_the_key_is_refused_in_the_words_of_its_dialect(
    nodes: Any, second: Any, customer: Any, idempotency_key: str, answers: Any, replies: Any
) -> None:
    answers(replies.chat())
    assert send(nodes[0], customer, idempotency_key)[0] == 200
    status, _, body = send(second, customer, idempotency_key, BODY | {"max_tokens": 201})
    assert (status, json.loads(body)["error"]["code"]) == (422, "idempotency_key_reused")
    with (
        anthropic.Anthropic(api_key=customer[1], base_url=f"{second.url}/anthropic", max_retries=0) as client,
        pytest.raises(anthropic.UnprocessableEntityError) as refused,
    ):
        client.messages.create(
            model="claude-3-5-sonnet-20241022",
            max_tokens=2000,
            messages=HELLO,
            extra_headers={"Idempotency-Key": idempotency_key},
        )
    assert "Idempotency-Key" in refused.value.message
    status, _, body = send(second, customer, idempotency_key, CONTENTS, f"{GEMINI}:generateContent")
    assert (status, json.loads(body)["error"]["code"]) == (422, 422)


def test_another_account_may_use_the_same_key(
    nodes: Any, customer: Any, idempotency_key: str, answers: Any, upstream: Any
) -> None:
    stranger = nodes[0].customer("10")
    assert send(nodes[0], customer, idempotency_key)[0] == 200
    status, headers, _ = send(nodes[0], stranger, idempotency_key)
    assert (status, headers.get(REPLAYED)) == (200, None)
    assert len(upstream.asked) == 2


def test_a_key_that_may_not_use_the_model_hears_no_answer_of_it(
    nodes: Any, customer: Any, idempotency_key: str, answers: Any, upstream: Any
) -> None:
    assert send(nodes[0], customer, idempotency_key)[0] == 200
    other = nodes[0].key(customer[0], "--model", "anthropic/*")
    assert send(nodes[0], (customer[0], other), idempotency_key)[0] == 403


@pytest.mark.parametrize("value", ["", "x" * 256, "ключ", "a\tb"], ids=["empty", "long", "cyrillic", "tab"])
def test_a_key_that_is_none_is_refused(nodes: Any, customer: Any, answers: Any, upstream: Any, value: str) -> None:
    headers = f"idempotency-key: {value}\r\n".encode().decode("latin-1")
    with nodes[0].send("POST", CHAT, key=customer[1], body=json.dumps(BODY).encode(), headers=headers) as connection:
        answer = read_until(connection, b"}")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"1 to 255 printable" in answer
    assert upstream.asked == []


@pytest.mark.parametrize("stream", [False, True], ids=["body", "stream"])
def test_what_the_provider_refused_runs_again(
    nodes: Any, second: Any, customer: Any, idempotency_key: str, answers: Any, replies: Any, upstream: Any,
    eventually: Any, stream: bool,
) -> None:  # fmt: skip
    body = STREAM if stream else BODY
    for status in (500, 429, 400):
        answers(b'{"error":{"message":"no","type":"server_error","param":null,"code":null}}', status=status)
        assert send(nodes[0], customer, idempotency_key, body)[0] == status
    if stream:
        answers(chunks=replies.chat_events())
    else:
        answers(replies.chat())
    got = send(second, customer, idempotency_key, body)
    assert (got[0], got[1].get(REPLAYED)) == (200, None)
    assert_charged_once(nodes, customer, upstream, eventually)
    assert [entry["kind"] for entry in nodes[0].entries(customer[0])] == ["release"] * 3 + ["settle"]


def test_what_the_balance_did_not_cover_runs_once_it_does(
    nodes: Any, second: Any, idempotency_key: str, answers: Any, upstream: Any
) -> None:
    poor = nodes[0].customer("0.01")
    assert send(nodes[0], poor, idempotency_key)[0] == 402
    assert upstream.asked == []
    nodes[0].cli("deposit", poor[0], "10")
    assert send(second, poor, idempotency_key)[0] == 200
    assert len(upstream.asked) == 1


def test_a_stream_that_ended_with_an_error_is_told_as_it_was(
    nodes: Any, second: Any, customer: Any, idempotency_key: str, answers: Any, replies: Any, upstream: Any,
    eventually: Any,
) -> None:  # fmt: skip
    events = replies.chat_events()
    answers(
        chunks=[*events[:3], b'data: {"error":{"message":"boom","type":"server_error","param":null,"code":null}}\n\n']
    )
    first = send(nodes[0], customer, idempotency_key, STREAM)
    assert b"boom" in first[2]
    again = send(second, customer, idempotency_key, STREAM)
    assert again[2] == first[2]
    eventually(lambda: not nodes[0].holds())
    assert len(upstream.asked) == 1
    (entry,) = nodes[0].entries(customer[0])
    assert (entry["kind"], entry["ending"]) == ("settle", "error_event")
    assert entry["charged"] > 0


def test_a_stream_that_the_provider_broke_off_is_told_as_it_was(
    nodes: Any, second: Any, customer: Any, idempotency_key: str, answers: Any, replies: Any, upstream: Any,
    eventually: Any,
) -> None:  # fmt: skip
    answers(chunks=replies.chat_events()[:3], cut=True)
    first = send(nodes[0], customer, idempotency_key, STREAM)
    assert b"broke off" in first[2]
    assert send(second, customer, idempotency_key, STREAM)[2] == first[2]
    eventually(lambda: not nodes[0].holds())
    assert [entry["kind"] for entry in nodes[0].entries(customer[0])] == ["settle"]
    assert len(upstream.asked) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["body", "stream"])
def test_an_answer_too_large_to_keep_is_named_instead(
    nodes: Any, second: Any, customer: Any, idempotency_key: str, answers: Any, replies: Any, upstream: Any,
    eventually: Any, stream: bool,
) -> None:  # fmt: skip
    text = "word " * 30_000
    if stream:
        answers(chunks=replies.chat_events([text]))
    else:
        answers(replies.chat(text))
    body = STREAM if stream else BODY
    first = send(nodes[0], customer, idempotency_key, body)
    assert first[0] == 200
    eventually(lambda: not nodes[0].holds())
    status, headers, said = send(second, customer, idempotency_key, body)
    assert (status, headers.get("retry-after")) == (409, None)
    error = json.loads(said)
    assert error["error"]["code"] == "idempotent_answer_not_kept"
    assert first[1]["x-request-id"] in error["detail"]
    assert_charged_once(nodes, customer, upstream, eventually)
    left = "SELECT 1 FROM claim_piece JOIN claim ON claim.id = claim_piece.id WHERE claim.answer = 'lost'"
    assert eventually(lambda: not nodes[0].rows(left))


def test_the_oldest_answers_of_an_account_give_way(
    nodes: Any, customer: Any, answers: Any, replies: Any, eventually: Any
) -> None:
    answers(replies.chat("word " * 15_000))
    keys = [f"large-{next(_numbers)}" for _ in range(16)]
    for key in keys:
        assert send(nodes[0], customer, key)[0] == 200
    account = nodes[0].rows("SELECT id FROM account WHERE name = ?", customer[0])[0]["id"]
    size = (
        "SELECT sum(length(data)) AS size FROM claim_piece JOIN claim ON claim.id = claim_piece.id WHERE account_id = ?"
    )
    eventually(lambda: nodes[0].rows(size, account)[0]["size"] <= 400_000)
    assert send(nodes[0], customer, keys[-1])[1][REPLAYED] == "true"
    assert send(nodes[0], customer, keys[0])[0] == 409
