"""Paths, error shapes and magic names, without a network."""

import json
from collections.abc import Mapping

import pytest

from proxyapi.sandbox.reply import Reply
from proxyapi.sandbox.server import Sandbox

CHAT = ("/openai/v1/chat/completions", {"messages": [{"role": "user", "content": "one two three four five"}]})
RESPONSES = ("/openai/v1/responses", {"input": "one two three four five"})
MESSAGES = ("/anthropic/v1/messages", {"max_tokens": 100, "messages": [{"role": "user", "content": "one two three"}]})
STREAMS = (CHAT, RESPONSES, MESSAGES)
GEMINI = {"contents": [{"parts": [{"text": "one two three four five"}]}]}


def send(path: str, body: Mapping[str, object], *, query: str = "", sandbox: Sandbox | None = None) -> Reply:
    return (sandbox or Sandbox()).reply("POST", path, query, json.dumps(body).encode(), "application/json")


def answer(reply: Reply) -> dict[str, object]:
    value = json.loads(b"".join(reply.pieces))
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    "path",
    [
        "/openai/v1/chat/completions",
        "/openrouter/v1/chat/completions",
        "/openrouter/api/v1/chat/completions",
        "/deepseek/chat/completions",
        "/sandbox/openai/v1/chat/completions",
        "/v1/chat/completions",
    ],
)
def test_the_first_segment_names_the_provider_and_versions_do_not_matter(path: str) -> None:
    assert answer(send(path, {"model": "echo", **CHAT[1]}))["object"] == "chat.completion"


def test_the_same_request_has_the_same_answer_from_every_sandbox() -> None:
    for path, body in (CHAT, MESSAGES):
        for stream in (False, True):
            asked = {"model": "gpt-4o", "stream": stream, **body}
            assert send(path, asked) == send(path, asked)
    asked = {"model": "gpt-4o", "store": False, **RESPONSES[1]}
    assert send(RESPONSES[0], asked) == send(RESPONSES[0], asked)


def test_stored_responses_never_share_an_id() -> None:
    sandbox = Sandbox(clock_ns=lambda: 1_760_000_000_000_000_000)
    first, second = (answer(send(RESPONSES[0], {"model": "gpt-4o", "input": "x"}, sandbox=sandbox)) for _ in "12")
    assert first["id"] != second["id"]
    assert first["created_at"] == 1_760_000_000


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        (*CHAT, {"message": "Rate limit", "type": "requests", "code": "rate_limit_exceeded"}),
        (*RESPONSES, {"type": "requests"}),
        ("/openrouter/v1/chat/completions", CHAT[1], {"code": 429}),
        (*MESSAGES, {"type": "rate_limit_error"}),
        ("/openrouter/v1/messages", MESSAGES[1], {"type": "rate_limit_error"}),
        ("/google/v1beta/models/fail-429:generateContent", GEMINI, {"code": 429, "status": "RESOURCE_EXHAUSTED"}),
        ("/openai/v1/embeddings", {"input": "x"}, {"type": "requests"}),
        ("/openai/v1/audio/speech", {"input": "x", "voice": "alloy"}, {"type": "requests"}),
    ],
)
def test_fail_has_the_status_and_the_shape_of_the_provider(
    path: str, body: Mapping[str, object], error: Mapping[str, object]
) -> None:
    reply = send(path, {"model": "sandbox/fail-429", **body})
    assert reply.status == 429
    assert ("retry-after", "2") in reply.headers
    found = answer(reply)["error"]
    assert isinstance(found, dict)
    for name, value in error.items():
        assert found[name] == value or str(found[name]).startswith(str(value))


def test_an_array_stream_of_gemini_fails_with_a_list() -> None:
    reply = send("/google/v1beta/models/fail-503:streamGenerateContent", GEMINI)
    assert json.loads(reply.pieces[0])[0]["error"]["status"] == "UNAVAILABLE"


@pytest.mark.parametrize("status", [200, 302, 999])
def test_fail_with_what_is_no_error_is_a_400(status: int) -> None:
    assert send(CHAT[0], {"model": f"fail-{status}", **CHAT[1]}).status == 400


@pytest.mark.parametrize(("path", "body"), STREAMS)
def test_slow_waits_before_the_first_byte_only(path: str, body: Mapping[str, object]) -> None:
    for stream in (False, True):
        reply = send(path, {"model": "slow-1500", "stream": stream, **body})
        assert (reply.status, reply.delay_seconds) == (200, 1.5)


@pytest.mark.parametrize(("path", "body"), STREAMS)
def test_cut_ends_a_stream_after_so_many_events_without_an_end(path: str, body: Mapping[str, object]) -> None:
    for events in (0, 3):
        reply = send(path, {"model": f"cut-{events}", "stream": True, **body})
        assert (len(reply.pieces), reply.tail, reply.cut) == (events, b"", True)
    whole = send(path, {"model": "cut-9999", "stream": True, **body})
    assert whole.cut and whole.tail == b""
    assert send(path, {"model": "cut-1", **body}).cut


@pytest.mark.parametrize(("path", "body"), STREAMS)
def test_error_breaks_a_stream_after_so_many_events_and_a_body_at_once(path: str, body: Mapping[str, object]) -> None:
    reply = send(path, {"model": "error-2", "stream": True, **body})
    assert (reply.status, len(reply.pieces), reply.tail, reply.cut) == (200, 3, b"", False)
    assert b'"error"' in reply.pieces[-1]
    assert send(path, {"model": "error-2", **body}).status in (500, 529)


def test_error_in_an_array_stream_leaves_valid_json() -> None:
    for events in (0, 2):
        reply = send(f"/google/v1beta/models/error-{events}:streamGenerateContent", GEMINI)
        chunks = json.loads(b"".join(reply.pieces) + reply.tail)
        assert len(chunks) == events + 1
        assert list(chunks[-1]) == ["error"]


@pytest.mark.parametrize("stream", [False, True])
def test_nousage_reports_no_usage_anywhere(stream: bool) -> None:
    for path, body in STREAMS:
        asked = {"model": "nousage", "stream": stream, "stream_options": {"include_usage": True}, **body}
        text = b"".join(send(path, asked).pieces)
        assert not any(name in text for name in (b'"prompt_tokens"', b'"input_tokens"', b'"output_tokens"'))
    method = "streamGenerateContent" if stream else "generateContent"
    assert b"usageMetadata" not in b"".join(send(f"/google/v1beta/models/nousage:{method}", GEMINI).pieces)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT[0], b"{"),
        (CHAT[0], b"[]"),
        (CHAT[0], b'{"model":"m"}'),
        (CHAT[0], b'{"messages":[{"role":"user","content":"x"}]}'),
        (CHAT[0], b'{"model":"m","messages":[{"role":"robot","content":"x"}]}'),
        (RESPONSES[0], b'{"model":"m"}'),
        (MESSAGES[0], b'{"model":"m","messages":[{"role":"user","content":"x"}]}'),
        ("/google/v1beta/models/m:generateContent", b"{}"),
        ("/openai/v1/audio/transcriptions", b'{"model":"whisper-1"}'),
        ("/openai/v1/audio/speech", b'{"model":"tts-1","input":"x"}'),
        ("/openai/v1/images/generations", b'{"model":"gpt-image-1","prompt":"x","size":"99999x1"}'),
    ],
)
def test_a_bad_request_is_a_400(path: str, body: bytes) -> None:
    assert Sandbox().reply("POST", path, "", body, "application/json").status == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/openai/v1/chat/completions"), ("POST", "/openai/v1/nothing"), ("POST", "/google/v1beta/models/m:fly")],
)
def test_an_unknown_path_is_a_404(method: str, path: str) -> None:
    assert Sandbox().reply(method, path).status == 404


def test_lists_of_models_are_what_the_constructor_says_and_show_the_magic_names() -> None:
    sandbox = Sandbox(models={"openai": ("gpt-x",)})
    listed = answer(sandbox.reply("GET", "/openai/v1/models"))["data"]
    assert isinstance(listed, list)
    assert [entry["id"] for entry in listed][:2] == ["gpt-x", "echo"]
    assert answer(sandbox.reply("GET", "/openai/v1/models/gpt-x"))["id"] == "gpt-x"
    assert sandbox.reply("GET", "/openai/v1/models/gpt-y").status == 404
    one = Sandbox().reply("GET", "/openrouter/v1/models/openai%2Fgpt-4o-mini")
    assert one.status == 200


def test_openrouter_reports_its_cost_and_says_that_it_works_on_it() -> None:
    body = {"model": "openai/gpt-4o-mini", **CHAT[1]}
    usage = answer(send("/openrouter/v1/chat/completions", body))["usage"]
    assert isinstance(usage, dict)
    cost = usage["prompt_tokens"] * 150 + usage["completion_tokens"] * 600
    assert round(usage["cost"] * 1e9) == cost > 0
    stream = send("/openrouter/v1/chat/completions", {**body, "stream": True})
    assert stream.pieces[0].startswith(b": OPENROUTER PROCESSING\n\ndata: ")
    assert b'"cost":' in stream.pieces[-1]


def test_deepseek_splits_its_prompt_by_the_cache_and_shows_its_reasoning() -> None:
    long = {"messages": [{"role": "user", "content": "word " * 2_000}]}
    reply = answer(send("/deepseek/chat/completions", {"model": "deepseek-reasoner", **long}))
    usage = reply["usage"]
    assert isinstance(usage, dict)
    assert usage["prompt_cache_hit_tokens"] > 0
    assert usage["prompt_cache_hit_tokens"] + usage["prompt_cache_miss_tokens"] == usage["prompt_tokens"]
    assert reply["choices"][0]["message"]["reasoning_content"]  # type: ignore[index]


def test_the_given_counter_counts() -> None:
    sandbox = Sandbox(count=lambda text: 1_000)
    usage = answer(send(CHAT[0], {"model": "echo", **CHAT[1]}, sandbox=sandbox))["usage"]
    assert isinstance(usage, dict)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (1_007, 1_000)
