"""The table of errors: status, text, the object of each dialect, and what the official SDKs raise."""

from __future__ import annotations

import gzip
import json
import threading
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as google_errors
from google.genai import types

SHAPES = ("openai", "anthropic", "google")
PATHS = {
    "openai": "/openai/v1/chat/completions",
    "anthropic": "/anthropic/v1/messages",
    "google": "/google/v1beta/models/gemini-2.0-flash:generateContent",
}
HELLO: Any = [{"role": "user", "content": "Hello"}]
BODIES: dict[str, Any] = {
    "openai": {"model": "gpt-4o", "messages": HELLO, "max_tokens": 100},
    "anthropic": {"model": "claude-3-5-sonnet-20241022", "max_tokens": 100, "messages": HELLO},
    "google": {
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "generationConfig": {"maxOutputTokens": 9},
    },
}
BODY_BYTES_MAX = 200_000
UPSTREAM_KEY = "sk-upstream-secret"


def config(url: str, more: str = "") -> str:
    return f"""
[pause]
enabled = false
[limits]
body_bytes_max = {BODY_BYTES_MAX}
{more}
[providers.openai]
base_url = "{url}/v1"
api_key = "{UPSTREAM_KEY}"
[providers.anthropic]
base_url = "{url}"
api_key = "{UPSTREAM_KEY}"
[providers.google]
base_url = "{url}"
api_key = "{UPSTREAM_KEY}"
"""


@pytest.fixture(scope="module")
def upstream(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        yield fake


@pytest.fixture(scope="module")
def gateway(gateways: Any, upstream: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with gateways.Gateway(tmp_path_factory.mktemp("errors"), config(upstream.url)) as running:
        yield running


@pytest.fixture(scope="module")
def cut_off(gateways: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A gateway whose providers are not there."""
    url = f"http://127.0.0.1:{gateways.free_port()}"
    with gateways.Gateway(tmp_path_factory.mktemp("cut-off"), config(url)) as running:
        yield running


@pytest.fixture(scope="module")
def stalled(gateways: Any, upstreams: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A gateway whose providers accept everything and answer nothing."""
    over = threading.Event()
    with (
        upstreams.FakeUpstream(upstreams.Reply(before=lambda: over.wait(60))) as fake,
        gateways.Gateway(
            tmp_path_factory.mktemp("stalled"), config(fake.url, "[timeouts]\nfirst_byte_seconds = 0.3\n")
        ) as running,
    ):
        yield running
        over.set()


def check_shape(shape: str, status: int, headers: Any, body: bytes) -> str:
    """Every error has `detail`, the object of the dialect with the same text, and an id. Returns the text."""
    uuid.UUID(headers["x-request-id"])
    assert headers["content-type"].startswith("application/json")
    answer = json.loads(body)
    detail = answer["detail"]
    assert isinstance(detail, str) and detail
    if shape == "openai":
        assert set(answer["error"]) == {"message", "type", "param", "code"}
    elif shape == "anthropic":
        assert answer["type"] == "error"
        assert set(answer["error"]) == {"type", "message"}
        assert answer["request_id"] == headers["x-request-id"]
    else:
        assert set(answer["error"]) == {"code", "message", "status"}
        assert answer["error"]["code"] == status
    assert answer["error"]["message"] == detail
    return str(detail)


def refused(gateway: Any, shape: str, status: int, key: str, **request: Any) -> str:
    request = {"path": PATHS[shape], "body": BODIES[shape], "method": "POST"} | request
    answered, headers, body = gateway.request(request.pop("method"), request.pop("path"), key=key, **request)
    assert answered == status, body
    return check_shape(shape, status, headers, body)


def ask(shape: str, url: str, key: str, model: str = "") -> None:
    """The documented request of the dialect's official SDK."""
    if shape == "openai":
        with openai.OpenAI(api_key=key, base_url=f"{url}/openai/v1", max_retries=0) as client:
            client.chat.completions.create(model=model or "gpt-4o", messages=HELLO, max_tokens=100)
    elif shape == "anthropic":
        with anthropic.Anthropic(api_key=key, base_url=f"{url}/anthropic", max_retries=0) as other:
            other.messages.create(model=model or "claude-3-5-sonnet-20241022", max_tokens=100, messages=HELLO)
    else:
        google = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=f"{url}/google"))
        google.models.generate_content(model=model or "gemini-2.0-flash", contents="Hello")


RAISED: dict[int, tuple[type[Exception], type[Exception], str]] = {
    400: (openai.BadRequestError, anthropic.BadRequestError, "INVALID_ARGUMENT"),
    401: (openai.AuthenticationError, anthropic.AuthenticationError, "UNAUTHENTICATED"),
    402: (openai.APIStatusError, anthropic.APIStatusError, "FAILED_PRECONDITION"),
    403: (openai.PermissionDeniedError, anthropic.PermissionDeniedError, "PERMISSION_DENIED"),
    429: (openai.RateLimitError, anthropic.RateLimitError, "RESOURCE_EXHAUSTED"),
    502: (openai.InternalServerError, anthropic.InternalServerError, "UNAVAILABLE"),
    504: (openai.InternalServerError, anthropic.InternalServerError, "DEADLINE_EXCEEDED"),
}
TEXTS = {
    400: "Model not supported",
    401: "Invalid API Key",
    402: "Insufficient balance to run this request.",
    403: "You are not allowed to access this model",
    429: "Too many requests",
    502: "cannot be reached right now",
    504: "did not begin to answer in time",
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("status", RAISED)
def test_the_official_sdk_raises_its_own_exception_with_our_text(
    gateway: Any, cut_off: Any, stalled: Any, shape: str, status: int
) -> None:
    at = {502: cut_off, 504: stalled}.get(status, gateway)
    options = {403: ["--model", "other/*"], 429: ["--rpm", "1"]}.get(status, [])
    key = at.customer("0" if status == 402 else "1000", *options)[1] if status != 402 else at.key(at_empty(at))
    if status == 401:
        key = "sk-" + "0" * 48
    if status == 429:
        assert at.request("GET", "/v1/models", key=key)[0] == 200
    raised = dict(zip(SHAPES, (*RAISED[status][:2], google_errors.APIError), strict=True))[shape]
    with pytest.raises(raised) as caught:
        ask(shape, at.url, key, "gpt-0-none" if status == 400 else "")
    error: Any = caught.value
    assert TEXTS[status] in error.message
    if shape == "google":
        assert (error.code, error.status) == (status, RAISED[status][2])
    else:
        assert error.status_code == status


def at_empty(gateway: Any) -> str:
    """An account without money."""
    name = f"empty-{uuid.uuid4().hex[:8]}"
    gateway.cli("account", "create", name)
    return name


# --- 400 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("body", [b"", b"{", b'{"model": }', b"[]", b"null", b'"text"', b"\xff\xfe{}", b"{}trailing"])
def test_a_body_that_is_no_json_object_is_a_400(gateway: Any, bad_key: str, shape: str, body: bytes) -> None:
    refused(gateway, shape, 400, bad_key, body=body)


@pytest.fixture(scope="module")
def bad_key(gateway: Any) -> str:
    """A key of somebody who makes mistakes."""
    return str(gateway.customer()[1])


@pytest.mark.parametrize(
    ("shape", "change", "field"),
    [
        ("openai", {"model": None}, "model"),
        ("openai", {"model": 5}, "model"),
        ("openai", {"model": ""}, "model"),
        ("openai", {"messages": None}, "messages"),
        ("openai", {"messages": "Hello"}, "messages"),
        ("openai", {"max_tokens": "many"}, "max_tokens"),
        ("openai", {"max_completion_tokens": -1}, "max_completion_tokens"),
        ("openai", {"n": 0}, "n"),
        ("openai", {"stream": "yes"}, "stream"),
        ("anthropic", {"model": None}, "model"),
        ("anthropic", {"messages": {}}, "messages"),
        ("anthropic", {"max_tokens": None}, "max_tokens"),
        ("anthropic", {"max_tokens": 1.5}, "max_tokens"),
        ("google", {"contents": 5}, "contents"),
        ("google", {"generationConfig": {"maxOutputTokens": "x"}}, "maxOutputTokens"),
    ],
)
def test_a_missing_or_wrong_field_is_named(
    gateway: Any, upstream: Any, bad_key: str, shape: str, change: dict[str, Any], field: str
) -> None:
    body = {name: value for name, value in (BODIES[shape] | change).items() if value is not None}
    before = len(upstream.asked)
    status, headers, answer = gateway.request("POST", PATHS[shape], key=bad_key, body=body)
    assert status == 400, answer
    assert field in check_shape(shape, 400, headers, answer)
    if shape == "openai":
        assert field in json.loads(answer)["error"]["param"]
    assert len(upstream.asked) == before


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("openai", b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"x"}],"model":"gpt-4o"}'),
        ("openai", b'{"model":"gpt-4o","max_tokens":1,"messages":[{"role":"user","content":"x"}],"max_tokens":9000}'),
        ("openai", b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"mod\\u0065l":"gpt-4o-mini"}'),
        ("anthropic", b'{"model":"claude-3-5-sonnet-20241022","max_tokens":1,"messages":[],"max_tokens":2}'),
        ("google", b'{"contents":[{"parts":[{"text":"x"}]}],"contents":[{"parts":[{"text":"yy"}]}]}'),
    ],
)
def test_a_key_that_stands_twice_is_refused_and_nobody_is_asked(
    gateway: Any, upstream: Any, bad_key: str, shape: str, body: bytes
) -> None:
    before = len(upstream.asked)
    refused(gateway, shape, 400, bad_key, body=body)
    assert len(upstream.asked) == before


def test_a_model_without_a_price_is_not_offered(gateway: Any, bad_key: str) -> None:
    body = BODIES["openai"] | {"model": "vendor-of-none/model-of-none"}
    assert refused(gateway, "openai", 400, bad_key, path="/v1/chat/completions", body=body) == (
        "Model not supported: vendor-of-none/model-of-none"
    )


# --- 401, 402, 403 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_no_key_and_a_wrong_key_are_401(gateway: Any, shape: str) -> None:
    for headers in ({}, {"authorization": "Bearer "}, {"authorization": "Basic eDp5"}, {"x-api-key": "k" * 100_0}):
        assert refused(gateway, shape, 401, "", headers=headers) == "Invalid API Key"
    assert refused(gateway, shape, 401, "sk-" + "A" * 48) == "Invalid API Key"
    status, headers, _ = gateway.request("POST", PATHS[shape], body=BODIES[shape])
    assert (status, headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("shape", SHAPES)
def test_402_tells_what_is_required_available_and_held_and_whose_limit_it_was(gateway: Any, shape: str) -> None:
    def answer(key: str) -> Any:
        status, headers, body = gateway.request("POST", PATHS[shape], key=key, body=BODIES[shape])
        assert status == 402
        check_shape(shape, 402, headers, body)
        return json.loads(body, parse_float=Decimal)

    poor = answer(gateway.customer("0.000000001")[1])
    assert poor["detail"] == "Insufficient balance to run this request."
    assert poor["available"] == Decimal("0.000000001")
    assert poor["required"] > poor["available"] and poor["held"] == 0
    assert poor["limit_source"] == "account"
    limited = answer(gateway.customer("1000", "--budget", "0.000000002")[1])
    assert limited["detail"] == "API Key budget exceeded."
    assert limited["available"] == Decimal("0.000000002")
    assert limited["limit_source"] == "key"


def test_a_refusal_for_money_says_what_is_held_by_a_request_in_flight(
    gateway: Any, upstreams: Any, upstream: Any, replies: Any
) -> None:
    path = f"/proxyapi/estimate?path={PATHS['openai']}"
    estimated = gateway.request("POST", path, key=gateway.customer()[1], body=BODIES["openai"])[2]
    hold = json.loads(estimated, parse_float=Decimal)["estimate"]
    key = gateway.customer(str(hold * 3 / 2))[1]
    held, go = threading.Event(), threading.Event()

    def slowly() -> None:
        held.set()
        go.wait(30)

    upstream.reply = lambda _asked: upstreams.Reply(body=replies.chat(), before=slowly)
    try:
        first = threading.Thread(
            target=gateway.request, args=("POST", PATHS["openai"]), kwargs={"key": key, "body": BODIES["openai"]}
        )
        first.start()
        assert held.wait(10)
        status, _, body = gateway.request("POST", PATHS["openai"], key=key, body=BODIES["openai"])
    finally:
        go.set()
        upstream.reply = lambda _asked: upstreams.Reply()
    first.join(10)
    assert status == 402
    answer = json.loads(body, parse_float=Decimal)
    assert (answer["required"], answer["available"], answer["held"]) == (hold, hold / 2, hold)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_key_may_not_use_is_a_403_that_names_it(gateway: Any, shape: str) -> None:
    assert "this model" in refused(gateway, shape, 403, gateway.customer("9", "--model", "other/*")[1])
    assert "this endpoint" in refused(gateway, shape, 403, gateway.customer("9", "--endpoint", "embeddings")[1])
    assert "IP address: 127.0.0.1" in refused(gateway, shape, 403, gateway.customer("9", "--ip", "10.0.0.0/8")[1])


# --- 404, 405 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "method", "path", "text"),
    [
        ("openai", "POST", "/openai/v1/files", "Files are not available"),
        ("openai", "GET", "/v1/files/file-1", "Files are not available"),
        ("openai", "POST", "/v1/batches", "Batches are not available"),
        ("openai", "POST", "/openai/v1/assistants", "Assistants are not available"),
        ("openai", "POST", "/openai/v1/vector_stores", "Vector stores are not available"),
        ("openai", "POST", "/openai/v1/conversations", "Conversations are not available"),
        ("anthropic", "POST", "/anthropic/v1/messages/batches", "Batches are not available"),
        ("anthropic", "GET", "/anthropic/v1/files", "Files are not available"),
        ("google", "POST", "/google/v1beta/cachedContents", "Cached contents are not available"),
        ("google", "GET", "/google/v1beta/files/x", "Files are not available"),
        ("openai", "GET", "/nowhere", "does not exist"),
        ("openai", "POST", "/v1/v1/chat/completions", "one /v1 too many"),
        ("openai", "POST", "/openai/chat/completions", "Did you mean /openai/v1/chat/completions?"),
        ("anthropic", "POST", "/anthropic/messages", "Did you mean /anthropic/v1/messages?"),
        ("openai", "GET", "/v1/models/openai/gpt-0-none", "does not exist"),
        ("anthropic", "GET", "/anthropic/v1/models/claude-none", "does not exist"),
        ("google", "GET", "/google/v1beta/models/gemini-none", "does not exist"),
        ("openai", "GET", "/openai/v1/responses/resp_none", "not found"),
    ],
)
def test_what_is_not_offered_does_not_exist(
    gateway: Any, upstream: Any, bad_key: str, shape: str, method: str, path: str, text: str
) -> None:
    before = len(upstream.asked)
    body = b"{}" if method == "POST" else None
    assert text in refused(gateway, shape, 404, bad_key, method=method, path=path, body=body)
    assert len(upstream.asked) == before


@pytest.mark.parametrize(
    ("shape", "method", "path", "allow"),
    [
        ("openai", "GET", "/openai/v1/chat/completions", "POST, OPTIONS"),
        ("openai", "DELETE", "/v1/models", "GET, HEAD, OPTIONS"),
        ("anthropic", "PUT", "/anthropic/v1/messages", "POST, OPTIONS"),
        ("google", "PATCH", PATHS["google"], "GET, POST, HEAD, OPTIONS"),
        ("openai", "POST", "/proxyapi/balance", "GET, HEAD, OPTIONS"),
    ],
)
def test_another_method_is_a_405_with_the_methods_that_work(
    gateway: Any, bad_key: str, shape: str, method: str, path: str, allow: str
) -> None:
    status, headers, body = gateway.request(method, path, key=bad_key)
    assert status == 405, body
    check_shape(shape, 405, headers, body)
    assert set(allow.split(", ")) <= set(headers["allow"].split(", "))
    assert method not in headers["allow"].split(", ")


# --- 413, 415, gzip --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_a_body_over_the_limit_is_a_413_in_the_shape_of_the_dialect(gateway: Any, bad_key: str, shape: str) -> None:
    text = refused(gateway, shape, 413, bad_key, body=b" " * (BODY_BYTES_MAX + 1))
    assert str(BODY_BYTES_MAX) in text


def test_a_chunked_body_is_bounded_too(gateway: Any, bad_key: str) -> None:
    connection = gateway.connect()
    head = f"POST {PATHS['openai']} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {bad_key}\r\n"
    connection.sendall(head.encode() + b"transfer-encoding: chunked\r\n\r\n")
    try:
        for _ in range(10):
            connection.sendall(b"%x\r\n%b\r\n" % (50_000, b" " * 50_000))
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert connection.recv(12) == b"HTTP/1.1 413"
    connection.close()


@pytest.mark.parametrize("shape", SHAPES)
def test_other_encodings_than_gzip_are_a_415(gateway: Any, bad_key: str, shape: str) -> None:
    text = refused(gateway, shape, 415, bad_key, headers={"content-encoding": "br"})
    assert "send gzip or nothing" in text


def test_a_gzip_body_reaches_the_provider_unpacked(gateway: Any, upstreams: Any, upstream: Any, replies: Any) -> None:
    key = gateway.customer()[1]
    body = json.dumps(BODIES["openai"]).encode()
    upstream.reply = lambda _asked: upstreams.Reply(body=replies.chat())
    status, _, answer = gateway.request(
        "POST", PATHS["openai"], key=key, body=gzip.compress(body), headers={"content-encoding": "gzip"}
    )
    assert status == 200, answer
    assert upstream.asked[-1].body == body
    assert "content-encoding" not in upstream.asked[-1].headers


def test_a_gzip_bomb_is_a_413(gateway: Any, bad_key: str) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    assert len(bomb) < BODY_BYTES_MAX
    text = refused(gateway, "openai", 413, bad_key, body=bomb, headers={"content-encoding": "gzip"})
    assert "once unpacked" in text


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"{}", mtime=0)[:-5], b""], ids=["no gzip", "cut", "empty"])
def test_broken_gzip_is_a_400(gateway: Any, bad_key: str, body: bytes) -> None:
    refused(gateway, "openai", 400, bad_key, body=body, headers={"content-encoding": "gzip"})


def test_what_the_http_layer_refuses_has_the_same_fields(gateway: Any) -> None:
    with gateway.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x-long: " + b"a" * 70_000 + b"\r\n\r\n")
        head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431")
    answer = json.loads(body)
    assert answer["detail"] == answer["error"]["message"]
    assert b"x-request-id: " in head.lower()


# --- 429 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_too_many_requests_say_when_to_come_back(gateway: Any, shape: str) -> None:
    key = gateway.customer("9", "--rpm", "1")[1]
    assert gateway.request("GET", "/v1/models", key=key)[0] == 200
    status, headers, body = gateway.request("POST", PATHS[shape], key=key, body=BODIES[shape])
    assert status == 429
    assert check_shape(shape, 429, headers, body).startswith("Too many requests")
    assert 1 <= int(headers["retry-after"]) <= 61


# --- 502, 504 and secrets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("upstream_status", [401, 402])
def test_a_provider_that_refuses_the_operators_key_is_a_502_without_its_words(
    gateway: Any, upstreams: Any, upstream: Any, shape: str, upstream_status: int
) -> None:
    account, key = gateway.customer("5")
    words = f"Incorrect API key provided: {UPSTREAM_KEY}".encode()
    upstream.reply = lambda _asked: upstreams.Reply(status=upstream_status, body=words)
    text = refused(gateway, shape, 502, key)
    assert "refused the gateway's own access" in text and UPSTREAM_KEY not in text
    assert gateway.last_entry(account)["charged"] == 0
    assert gateway.balance(account) == "5"


@pytest.mark.parametrize("shape", SHAPES)
def test_an_unreachable_provider_costs_nothing_and_its_address_stays_ours(cut_off: Any, shape: str) -> None:
    account, key = cut_off.customer("5")
    text = refused(cut_off, shape, 502, key)
    assert "Nothing was charged" in text
    assert "127.0.0.1" not in text and "http" not in text
    entry = cut_off.last_entry(account)
    assert (entry["kind"], entry["ending"], entry["charged"]) == ("release", "upstream_unreachable", 0)
    assert cut_off.balance(account) == "5"


def test_a_provider_that_does_not_answer_is_a_504_and_costs_nothing(stalled: Any) -> None:
    account, key = stalled.customer("5")
    assert "did not begin to answer in time" in refused(stalled, "openai", 504, key)
    entry = stalled.last_entry(account)
    assert (entry["kind"], entry["ending"], entry["charged"]) == ("release", "upstream_timeout", 0)


@pytest.mark.parametrize("garbage", [b"220 smtp.example.com ESMTP\r\n", b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n", b""])
def test_a_provider_that_speaks_no_http_is_a_502(gateway: Any, upstreams: Any, upstream: Any, garbage: bytes) -> None:
    key = gateway.customer()[1]
    upstream.reply = lambda _asked: upstreams.Reply(raw=garbage)
    assert "broke off its answer" in refused(gateway, "openai", 502, key)


def test_no_key_of_a_client_or_of_a_provider_and_no_address_of_a_provider_comes_into_the_log(
    gateway: Any, cut_off: Any, upstreams: Any, upstream: Any, replies: Any, eventually: Any
) -> None:
    upstream.reply = lambda _asked: upstreams.Reply(body=replies.chat())
    for at in (gateway, cut_off):
        key = at.customer()[1]
        wrong = "sk-" + "W" * 48
        for secret in (key, wrong):
            paths = ["/openai/v1/chat/completions", "/nowhere", "/v1/files", "/openai/v1/chat/completions%0a"]
            for path in (f"{path}?key={secret}&alt=sse" for path in paths):
                at.request("POST", path, body=BODIES["openai"])
            for header in ("authorization", "x-api-key", "x-goog-api-key"):
                value = f"Bearer {secret}" if header == "authorization" else secret
                at.request("POST", PATHS["openai"], body=BODIES["openai"], headers={header: value})
        _, headers, _ = at.request("GET", "/v1/models", key=key)
        eventually(lambda at=at, headers=headers: headers["x-request-id"] in at.log())
        log = at.log()
        assert log.count('"event":"request"') >= 14
        for secret in (key, wrong, UPSTREAM_KEY, "key=", "Bearer", "Traceback"):
            assert secret not in log, secret
        assert upstream.url.removeprefix("http://") not in log
