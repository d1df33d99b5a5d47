"""The same dialect on both sides: bytes reach the provider and come back as they were; headers by an allow-list."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
from proxyapi_fakes_gateway import read_until  # loaded by conftest.py

CHAT = "/openai/v1/chat/completions"
UNIFIED = "/v1/chat/completions"
HELLO: Any = [{"role": "user", "content": "Hello"}]
BODY: Any = {"model": "gpt-4o", "messages": HELLO, "max_tokens": 200}
EVENTS = {"content-type": "text/event-stream"}
GEMINI = "/google/v1beta/models/gemini-2.0-flash"
UPSTREAM_KEY = "sk-upstream-secret"


@pytest.fixture(scope="module")
def upstream(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        yield fake


@pytest.fixture(scope="module")
def gateway(gateways: Any, upstream: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    config = f"""
cors_origins = ["https://app.example.com"]
[pause]
enabled = false
[providers.openai]
base_url = "{upstream.url}/v1"
api_key = "{UPSTREAM_KEY}"
forward_headers = ["X-Operator-Tag"]
[providers.anthropic]
base_url = "{upstream.url}"
api_key = "{UPSTREAM_KEY}"
[providers.google]
base_url = "{upstream.url}"
api_key = "{UPSTREAM_KEY}"
"""
    models = ("openai/gpt-4o", "anthropic/claude-3-5-sonnet-20241022", "google/gemini-2.0-flash")
    prices = dict.fromkeys(models, ("100", "500"))
    with gateways.Gateway(tmp_path_factory.mktemp("passthrough"), config, prices=prices) as running:
        yield running
        running.assert_clean()


@pytest.fixture(scope="module")
def key(gateway: Any) -> str:
    return str(gateway.customer("100000")[1])


def post(gateway: Any, key: str, path: str, body: Any, **headers: str) -> requests.Response:
    """Raw bytes with the headers as given, and nothing that a client library adds for its own reasons."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    base = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    return requests.post(gateway.url + path, data=data, headers=base | named, timeout=20)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


# --- request bytes ---------------------------------------------------------------------------------------------------

ODD: dict[str, tuple[str, bytes]] = {
    "chat": (
        CHAT,
        '{ "zzz_unknown":{"a":1,"a":2, "Ключ":[1.0E+2,-0,1e-7,null]},\r\n\t"messages" :[ {"content":"При\\u0432ет 🙂 '
        '\\/ \\ud83d\\ude00","role":"user","x":1} ]'
        ' , "model":"gpt-4o","max_tokens" : 20 ,"temperature":0.10 } \n'.encode(),
    ),
    "responses": (
        "/openai/v1/responses",
        '{"input":"Привет",  "model":"gpt-4o","truncation":"auto","future_field":[{}],"max_output_tokens":20}'.encode(),
    ),
    "anthropic": (
        "/anthropic/v1/messages",
        '{"messages":[{"role":"user","content":"Привет"}],  "max_tokens":20,"model":"claude-3-5-sonnet-20241022",'
        '"future":{"x":0.50}}\n'.encode(),
    ),
    "gemini": (
        f"{GEMINI}:generateContent",
        '{ "contents":[{"parts":[{"text":"Привет"}]}], '
        '"generationConfig":{"maxOutputTokens":20,"future":1.0} }'.encode(),
    ),
}


@pytest.mark.parametrize(("path", "body"), ODD.values(), ids=ODD)
def test_a_request_reaches_the_provider_byte_for_byte(
    gateway: Any, key: str, upstreams: Any, upstream: Any, path: str, body: bytes
) -> None:
    upstream.reply = lambda _asked: upstreams.Reply()
    assert post(gateway, key, path, body).status_code == 200
    assert upstream.asked[-1].body == body
    assert upstream.asked[-1].headers["content-length"] == str(len(body))
    assert "transfer-encoding" not in upstream.asked[-1].headers


def test_of_a_unified_request_only_the_name_of_the_model_changes(
    gateway: Any, key: str, upstreams: Any, upstream: Any
) -> None:
    upstream.reply = lambda _asked: upstreams.Reply()
    body = ODD["chat"][1].replace(b'"gpt-4o"', b'"openai/gpt-4o"')
    assert post(gateway, key, UNIFIED, body).status_code == 200
    assert upstream.asked[-1].body == ODD["chat"][1]
    assert post(gateway, key, UNIFIED, ODD["chat"][1]).status_code == 200
    assert upstream.asked[-1].body == ODD["chat"][1]


def test_of_a_chat_stream_only_the_wish_for_usage_is_added(
    gateway: Any, key: str, upstreams: Any, upstream: Any, replies: Any
) -> None:
    upstream.reply = lambda _asked: upstreams.Reply(headers=EVENTS, chunks=replies.chat_events())
    plain = b'{"model":"gpt-4o",  "stream":true, "messages":[{"role":"user","content":"x"}],"max_tokens":9 }'
    assert post(gateway, key, CHAT, plain).status_code == 200
    sent = json.loads(upstream.asked[-1].body)
    assert sent.pop("stream_options") == {"include_usage": True}
    assert sent == json.loads(plain)
    for options in (b'{"include_usage":true}', b'{ "include_usage" : true, "include_obfuscation":false}'):
        asked = plain.replace(b' "messages"', b' "stream_options":%b, "messages"' % options)
        assert post(gateway, key, CHAT, asked).status_code == 200
        assert upstream.asked[-1].body == asked


def test_a_picture_given_as_a_plain_string_becomes_the_object_that_the_provider_wants(
    gateway: Any, key: str, upstreams: Any, upstream: Any
) -> None:
    upstream.reply = lambda _asked: upstreams.Reply()
    parts = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": "https://example.com/a.png"}]
    body = BODY | {"messages": [{"role": "user", "content": parts}]}
    assert post(gateway, key, CHAT, body).status_code == 200
    sent = json.loads(upstream.asked[-1].body)
    assert sent["messages"][0]["content"][1]["image_url"] == {"url": "https://example.com/a.png"}


def test_an_upload_reaches_the_provider_byte_for_byte(gateway: Any, key: str, upstreams: Any, upstream: Any) -> None:
    upstream.reply = lambda _asked: upstreams.Reply(body=b'{"text":"ok","usage":{"type":"duration","seconds":1}}')
    sound = (
        b"RIFF" + (36 + 16_000).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0"
    )
    sound += b"data" + (16_000).to_bytes(4, "little") + bytes(range(250)) * 64
    part = b"--odd'bound:ary=?\r\nContent-Disposition: form-data; name="
    body = part + b'"model"\r\n\r\nwhisper-1\r\n' + part + b'"timestamp_granularities[]"\r\n\r\nword\r\n'
    body += part + b'"timestamp_granularities[]"\r\n\r\nsegment\r\n' + part + b'"unknown"\r\n\r\n\xd0\x9f\r\n'
    body += (
        part
        + b'"file"; filename="\xd0\xb7.wav"\r\nContent-Type: audio/wav\r\n\r\n'
        + sound
        + b"\r\n--odd'bound:ary=?--\r\n"
    )
    kind = 'multipart/form-data; boundary="odd\'bound:ary=?"'
    answer = post(gateway, key, "/openai/v1/audio/transcriptions", body, Content_Type=kind)
    assert answer.status_code == 200, answer.text
    assert upstream.asked[-1].body == body
    assert upstream.asked[-1].headers["content-type"] == kind


# --- answer bytes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "body"), ODD.values(), ids=ODD)
def test_a_body_comes_back_byte_for_byte(
    gateway: Any, key: str, upstreams: Any, upstream: Any, path: str, body: bytes
) -> None:
    odd = (
        '{ "usage":{"prompt_tokens":1,"completion_tokens":1,"input_tokens":1,"output_tokens":1},'
        ' "usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1}, "я":1.0E1 }\n'
    ).encode()
    upstream.reply = lambda _asked: upstreams.Reply(body=odd)
    assert post(gateway, key, path, body).content == odd
    upstream.reply = lambda _asked: upstreams.Reply(chunks=pieces(odd, 3))
    answer = post(gateway, key, path, body)
    assert answer.content == odd
    assert Decimal(answer.headers["x-proxyapi-cost"]) > 0
    uuid.UUID(answer.headers["x-request-id"])


STREAMS = {
    "chat": (UNIFIED, BODY | {"stream": True}, "chat_events"),
    "responses": ("/openai/v1/responses", {"model": "gpt-4o", "input": "x", "stream": True}, "response_events"),
    "anthropic": (
        "/anthropic/v1/messages",
        {"model": "claude-3-5-sonnet-20241022", "messages": HELLO, "max_tokens": 200, "stream": True},
        "message_events",
    ),
    "gemini": (
        f"{GEMINI}:streamGenerateContent?alt=sse",
        {"contents": [{"parts": [{"text": "x"}]}]},
        "generated_events",
    ),
}


@pytest.mark.parametrize(("path", "body", "events"), STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_a_stream_comes_back_byte_for_byte_wherever_it_is_cut(
    gateway: Any, key: str, upstreams: Any, upstream: Any, replies: Any, path: str, body: Any, events: str, size: int
) -> None:
    whole = b": hello\n\n" + b"".join(getattr(replies, events)(["один", " два", " \n три"])).replace(b"\n", b"\r\n")
    upstream.reply = lambda _asked: upstreams.Reply(headers=EVENTS, chunks=pieces(whole, size))
    answer = post(gateway, key, path, body)
    assert answer.content == whole
    assert answer.headers["content-type"] == "text/event-stream"
    assert Decimal(answer.headers["x-proxyapi-estimate"]) > 0
    assert gateway.entry(answer.headers["x-request-id"])["charged"] == 145_000_000


def test_the_usage_chunk_is_kept_on_the_unified_route_and_on_the_native_one_if_asked_for(
    gateway: Any, key: str, upstreams: Any, upstream: Any, replies: Any
) -> None:
    events = replies.chat_events()
    body = BODY | {"stream": True}
    for size in (1, 5, 64, 100_000):
        cut = pieces(b"".join(events), size)
        upstream.reply = lambda _asked, cut=cut: upstreams.Reply(headers=EVENTS, chunks=cut)
        assert post(gateway, key, CHAT, body).content == b"".join([*events[:-2], events[-1]])
        assert post(gateway, key, UNIFIED, body).content == b"".join(events)
        asked = body | {"stream_options": {"include_usage": True}}
        assert post(gateway, key, CHAT, asked).content == b"".join(events)


def test_a_stream_of_a_thousand_events_arrives_whole_and_in_order(
    gateway: Any, key: str, upstreams: Any, upstream: Any, replies: Any
) -> None:
    words = [f" {number}" for number in range(1000)]
    events = replies.chat_events(words)
    upstream.reply = lambda _asked: upstreams.Reply(headers=EVENTS, chunks=events)
    client = openai.OpenAI(api_key=key, base_url=f"{gateway.url}/openai/v1", max_retries=0)
    stream = client.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=2000, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "".join(words)


def test_each_event_passes_before_the_next_one_is_made(
    gateway: Any, key: str, upstreams: Any, upstream: Any, replies: Any
) -> None:
    events, turns = replies.chat_events(), threading.Semaphore(1)

    def chunks() -> Iterator[bytes]:
        for event in events:
            assert turns.acquire(timeout=10)
            yield event

    upstream.reply = lambda _asked: upstreams.Reply(headers=EVENTS, chunks=chunks())
    data = json.dumps(BODY | {"stream": True}).encode()
    with gateway.send("POST", UNIFIED, key=key, body=data) as connection:
        for event in events:
            read_until(connection, event)
            turns.release()


# --- the cost --------------------------------------------------------------------------------------------------------


def test_the_cost_stands_in_a_header_of_a_body_with_the_estimate(
    gateway: Any, key: str, upstreams: Any, upstream: Any, replies: Any
) -> None:
    upstream.reply = lambda _asked: upstreams.Reply(body=replies.chat())
    answer = post(gateway, key, CHAT, BODY)
    assert answer.headers["x-proxyapi-cost"] == "0.145"
    assert answer.headers["x-proxyapi-estimate"] == "0.1008"  # 8 tokens at 100, 200 at 500 per million
    assert "x-proxyapi-balance-after" not in answer.headers
    open_key = gateway.customer("50", "--allow-balance")[1]
    assert post(gateway, open_key, CHAT, BODY).headers["x-proxyapi-balance-after"] == "49.855"


@pytest.mark.parametrize(("path", "body", "events"), STREAMS.values(), ids=STREAMS)
def test_the_cost_of_a_stream_is_a_comment_before_its_end_if_the_client_asks(
    gateway: Any, key: str, upstreams: Any, upstream: Any, replies: Any, path: str, body: Any, events: str
) -> None:
    whole = b"".join(getattr(replies, events)())
    comment = b": proxyapi cost=0.145 currency=RUB\n\n"
    long = body | ({"max_tokens": 2000} if "max_tokens" in body else {})
    for size in (3, 100_000):
        upstream.reply = lambda _asked, size=size: upstreams.Reply(headers=EVENTS, chunks=pieces(whole, size))
        asked = post(gateway, key, path, long, X_Proxyapi_Cost="1").content
        assert asked.count(comment) == 1
        assert asked.replace(comment, b"") == whole
        if events == "chat_events":
            assert asked.endswith(comment + replies.DONE)
        assert post(gateway, key, path, long).content == whole


# --- headers ---------------------------------------------------------------------------------------------------------

PRIVATE = {
    "Cookie": "session=1", "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "Forwarded": "for=1.2.3.4",
    "X-Real-IP": "1.2.3.4", "Via": "1.1 x", "OpenAI-Organization": "org-of-client", "OpenAI-Project": "proj",
    "X-Stainless-OS": "Linux", "X-Api-Key": "sk-of-client", "X-Goog-Api-Key": "sk-of-client", "X-Custom": "1",
    "Proxy-Authorization": "Basic eA==", "TE": "trailers", "Origin": "https://app.example.com", "X-Request-ID": "mine",
    "Accept-Encoding": "gzip, br", "X-Proxyapi-Cost": "1", "Referer": "https://private.example.com/page",
}  # fmt: skip
PUBLIC = {
    "User-Agent": "my-agent/1.0", "OpenAI-Beta": "assistants=v2", "HTTP-Referer": "https://app.example.com",
    "X-Title": "My app", "Accept": "application/json", "X-Operator-Tag": "blue",
}  # fmt: skip


def test_only_the_allowed_headers_of_the_client_reach_the_provider(
    gateway: Any, key: str, upstreams: Any, upstream: Any
) -> None:
    upstream.reply = lambda _asked: upstreams.Reply()
    assert post(gateway, key, CHAT, BODY, **(PRIVATE | PUBLIC)).status_code == 200
    asked = upstream.asked[-1].headers
    ours = {
        "host": upstream.url.removeprefix("http://"),
        "authorization": f"Bearer {UPSTREAM_KEY}",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": str(len(json.dumps(BODY))),
    }
    assert asked == ours | {name.lower(): value for name, value in PUBLIC.items()}


def test_the_operators_own_headers_never_reach_the_client(
    gateway: Any, key: str, upstreams: Any, upstream: Any, replies: Any
) -> None:
    private = {
        "openai-organization": "org-operator", "openai-project": "proj_operator", "set-cookie": "__cf_bm=1",
        "x-ratelimit-limit-requests": "10000", "x-ratelimit-remaining-tokens": "1", "server": "cloudflare",
        "anthropic-organization-id": "org", "anthropic-ratelimit-requests-limit": "4000", "cf-ray": "1",
        "via": "1.1 google", "x-proxyapi-cost": "0", "alt-svc": "h3", "strict-transport-security": "max-age=1",
    }  # fmt: skip
    public = {"openai-processing-ms": "12", "openai-version": "2020-10-01", "x-request-id": "req_upstream"}
    for stream in (False, True):
        kind = EVENTS if stream else {"content-type": "application/json; charset=utf-8"}
        answer_with = {"chunks": replies.chat_events()} if stream else {"body": replies.chat()}
        upstream.reply = lambda _asked, kind=kind, answer_with=answer_with: upstreams.Reply(
            headers=kind | private | public, **answer_with
        )
        answer = post(gateway, key, CHAT, BODY | {"stream": stream})
        found = {name.lower(): value for name, value in answer.headers.items()}
        assert found["x-upstream-request-id"] == "req_upstream"
        assert found["x-request-id"] != "req_upstream"
        assert found["openai-processing-ms"] == "12"
        assert found["content-type"] == kind["content-type"]
        if not stream:
            assert found.pop("x-proxyapi-cost") == "0.145"
        assert not set(found) & (set(private) - {"server"})
        assert "cloudflare" not in str(found) and "operator" not in str(found)


def test_anthropic_version_and_betas_pass_and_a_missing_version_is_added(
    gateway: Any, key: str, upstreams: Any, upstream: Any, replies: Any
) -> None:
    upstream.reply = lambda _asked: upstreams.Reply(body=replies.message())
    body = STREAMS["anthropic"][1] | {"stream": False}
    headers = {"anthropic_version": "2099-01-01", "anthropic_beta": "context-1m-2025-08-07,future"}
    assert post(gateway, key, "/anthropic/v1/messages?beta=true", body, **headers).status_code == 200
    asked = upstream.asked[-1]
    assert asked.path == "/v1/messages?beta=true"
    assert asked.headers["anthropic-version"] == "2099-01-01"
    assert asked.headers["anthropic-beta"] == "context-1m-2025-08-07,future"
    assert asked.headers["x-api-key"] == UPSTREAM_KEY and "authorization" not in asked.headers
    assert post(gateway, key, "/anthropic/v1/messages", body).status_code == 200
    assert upstream.asked[-1].headers["anthropic-version"] == "2023-06-01"


# --- HEAD, OPTIONS, CORS ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/anthropic", "/anthropic/", "/openai/v1", "/google", "/healthz"])
def test_head_answers_without_a_body_and_without_a_key(gateway: Any, path: str) -> None:
    answer = requests.head(gateway.url + path, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0
    uuid.UUID(answer.headers["x-request-id"])


def test_options_names_the_methods_of_a_path(gateway: Any) -> None:
    answer = requests.options(gateway.url + CHAT, timeout=10)
    assert (answer.status_code, answer.headers["allow"]) == (204, "POST, OPTIONS")
    assert "access-control-allow-origin" not in answer.headers
    assert requests.options(gateway.url + "/nowhere", timeout=10).status_code == 404


def test_a_browser_may_call_from_the_origins_that_the_operator_names_and_from_no_other(
    gateway: Any, key: str, upstreams: Any, upstream: Any, replies: Any, sandboxed: Any
) -> None:
    sent = "authorization,content-type,x-stainless-os,anthropic-dangerous-direct-browser-access"  # as the SDKs do
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": sent}
    own, other = {"Origin": "https://app.example.com"}, {"Origin": "https://evil.example.com"}
    preflight = requests.options(gateway.url + CHAT, headers=own | asking, timeout=10)
    assert preflight.headers["access-control-allow-origin"] == own["Origin"]
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == sent
    plain = requests.options(gateway.url + CHAT, headers=own, timeout=10)
    assert {"authorization", "content-type", "x-api-key"} <= set(
        plain.headers["access-control-allow-headers"].split(", ")
    )
    upstream.reply = lambda _asked: upstreams.Reply(body=replies.chat())
    answer = post(gateway, key, CHAT, BODY, **own)
    assert answer.headers["access-control-allow-origin"] == own["Origin"]
    assert "x-proxyapi-cost" in answer.headers["access-control-expose-headers"]
    refused = post(gateway, "sk-wrong", CHAT, BODY, **own)
    assert refused.status_code == 401 and "access-control-allow-origin" in refused.headers, "errors are readable too"
    for url, headers in ((gateway.url, other), (sandboxed.url, own)):
        assert "access-control-allow-origin" not in requests.options(url + CHAT, headers=headers, timeout=10).headers


# --- a slow reader ---------------------------------------------------------------------------------------------------


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_client_that_does_not_read_stops_the_provider_and_costs_no_memory(
    gateway: Any, upstreams: Any, upstream: Any, replies: Any, eventually: Any
) -> None:
    account, key = gateway.customer("100")
    padding = replies.event({"choices": [], "padding": "x" * 65_000})
    total, sent, progress = 1_000, 0, time.monotonic()

    def chunks() -> Iterator[bytes]:
        nonlocal sent, progress
        yield from replies.chat_events()[:2]
        for _ in range(total):
            yield padding
            sent, progress = sent + 1, time.monotonic()
        yield from replies.chat_events()[2:]

    upstream.reply = lambda _asked: upstreams.Reply(headers=EVENTS, chunks=chunks())
    before = resident_bytes(gateway.pid)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    connection.settimeout(10)
    connection.connect(gateway.address)
    data = json.dumps(BODY | {"stream": True}).encode()
    head = f"POST {UNIFIED} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n"
    connection.sendall(head.encode() + b"content-length: %d\r\n\r\n" % len(data) + data)
    eventually(lambda: sent > 0 and time.monotonic() - progress > 0.7)
    assert sent < total * 0.6, "the provider is held up by the client; the rest is in the buffers of the system"
    assert resident_bytes(gateway.pid) - before < 20_000_000
    received = 0
    while got := connection.recv(1_048_576):
        received += len(got)
    connection.close()
    assert received > total * len(padding), "it goes on when the client reads"
    assert gateway.last_entry(account)["ending"] == "completed"
    assert resident_bytes(gateway.pid) - before < 20_000_000
