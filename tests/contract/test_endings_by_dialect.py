"""Endings whose bytes differ from dialect to dialect: each dialect's own errors, error events and usage."""

from __future__ import annotations

import io
import json
import socket
import struct
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import openai
import pytest
from proxyapi_fakes_gateway import read_until  # loaded by conftest.py

COST = 145_000_000
"""Nanos: 850 tokens at 100 and 120 at 500 per million."""
STREAM_HEADERS = {"content-type": "text/event-stream"}


@dataclass(frozen=True)
class Door:
    """One dialect: where it is asked for, and the names of what its provider answers."""

    name: str
    path: str
    stream_path: str
    body: Any
    reply: str
    events: str
    error_event: bytes
    errors_in_body: bytes


HELLO: Any = [{"role": "user", "content": "Hello"}]
GENERATE = "/google/v1beta/models/gemini-2.0-flash"
CONTENTS: Any = {"contents": [{"parts": [{"text": "Hello"}]}], "generationConfig": {"maxOutputTokens": 2000}}
DOORS = {
    door.name: door
    for door in (
        Door(
            "openai_chat", "/openai/v1/chat/completions", "/openai/v1/chat/completions",
            {"model": "gpt-4o", "messages": HELLO, "max_tokens": 2000}, "chat", "chat_events",
            b'data: {"error":{"message":"boom","type":"server_error","param":null,"code":null}}\n\n',
            b'{"error":{"message":"boom","type":"server_error","param":null,"code":null}}',
        ),
        Door(
            "openai_responses", "/openai/v1/responses", "/openai/v1/responses",
            {"model": "gpt-4o", "input": "Hello", "max_output_tokens": 2000}, "response", "response_events",
            b'event: error\ndata: {"type":"error","code":"server_error","message":"boom","param":null}\n\n',
            b'{"error":{"message":"boom","type":"server_error","param":null,"code":null}}',
        ),
        Door(
            "anthropic", "/anthropic/v1/messages", "/anthropic/v1/messages",
            {"model": "claude-3-5-sonnet-20241022", "messages": HELLO, "max_tokens": 2000}, "message", "message_events",
            b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"boom"}}\n\n',
            b'{"type":"error","error":{"type":"overloaded_error","message":"boom"}}',
        ),
        Door(
            "gemini", f"{GENERATE}:generateContent", f"{GENERATE}:streamGenerateContent?alt=sse",
            CONTENTS, "generated", "generated_events",
            b'data: {"error":{"code":503,"message":"boom","status":"UNAVAILABLE"}}\n\n',
            b'{"error":{"code":503,"message":"boom","status":"UNAVAILABLE"}}',
        ),
    )
}  # fmt: skip
every_dialect = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


@pytest.fixture(scope="module")
def upstream(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        yield fake


@pytest.fixture(scope="module")
def gateway(gateways: Any, upstream: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    config = f"""
[pause]
enabled = false
[timeouts]
idle_seconds = 0.5
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
    prices = dict.fromkeys(models, ("100", "500"))
    with gateways.Gateway(tmp_path_factory.mktemp("endings"), config, prices=prices) as running:
        yield running
        running.assert_clean()


class Asking:
    """A fresh customer with 10 units who asks once; knows what became of the money."""

    def __init__(self, gateway: Any, door: Door, amount: str = "10") -> None:
        self.gateway, self.door = gateway, door
        self.account, self.key = gateway.customer(amount)
        self.amount = Decimal(amount)
        self.status, self.headers, self.text = 0, {}, b""
        self.complete = False
        """The answer had a proper end."""

    def ask(self, *, stream: bool = False, **change: Any) -> Asking:
        door = self.door
        body = door.body | change | ({"stream": True} if stream and door.name != "gemini" else {})
        path = door.stream_path if stream else door.path
        with self.gateway.send("POST", path, key=self.key, body=json.dumps(body).encode()) as connection:
            self._read(connection.makefile("rb"))
        return self

    def _read(self, file: Any) -> None:
        self.status = int(file.readline().split()[1])
        while (line := file.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            self.headers[name.decode().lower()] = value.strip().decode()
        if self.headers.get("transfer-encoding") != "chunked":
            self.text = file.read(int(self.headers.get("content-length", 0)))
            self.complete = True
            return
        while (line := file.readline()) and (size := int(line, 16)):
            self.text += file.read(size)
            file.readline()
        self.complete = bool(line) and file.readline() == b"\r\n"

    @property
    def entry(self) -> dict[str, Any]:
        found: dict[str, Any] = self.gateway.entry(self.headers["x-request-id"])
        return found

    def journal(self, *fields: str) -> tuple[Any, ...]:
        entry = self.entry
        return tuple(entry[field] for field in fields)

    @property
    def paid(self) -> int:
        """Nanos, by the account itself."""
        self.entry  # noqa: B018 - waits until the charge is committed
        return int((self.amount - Decimal(self.gateway.balance(self.account))) * 10**9)


def answer_with(upstream: Any, upstreams: Any, **reply: Any) -> None:
    upstream.reply = lambda _asked: upstreams.Reply(**reply)


def stream_with(upstream: Any, upstreams: Any, chunks: Any, **more: Any) -> None:
    upstream.reply = lambda _asked: upstreams.Reply(headers=STREAM_HEADERS, chunks=chunks, **more)


# --- proper ends -----------------------------------------------------------------------------------------------------


@every_dialect
def test_a_whole_answer_is_charged_by_its_usage(
    gateway: Any, upstreams: Any, upstream: Any, replies: Any, door: Door
) -> None:
    answer_with(upstream, upstreams, body=getattr(replies, door.reply)())
    asking = Asking(gateway, door).ask()
    assert (asking.status, asking.headers["x-proxyapi-cost"]) == (200, "0.145")
    assert asking.journal("kind", "ending", "source", "charged", "actual", "loss", "status") == (
        "settle", "completed", "reported", COST, COST, 0, 200,
    )  # fmt: skip
    assert json.loads(asking.entry["units"]) == {"input_tokens": 850, "output_tokens": 120}
    assert asking.paid == COST


@every_dialect
def test_a_whole_stream_is_charged_by_its_usage(
    gateway: Any, upstreams: Any, upstream: Any, replies: Any, door: Door
) -> None:
    stream_with(upstream, upstreams, getattr(replies, door.events)())
    asking = Asking(gateway, door).ask(stream=True)
    assert asking.complete
    assert asking.journal("ending", "source", "charged") == ("completed", "reported", COST)
    assert asking.paid == COST


# --- the provider says no --------------------------------------------------------------------------------------------


@every_dialect
@pytest.mark.parametrize("status", [400, 404, 422, 429, 500, 503, 529])
def test_a_refusal_of_the_provider_passes_with_its_words_and_costs_nothing(
    gateway: Any, upstreams: Any, upstream: Any, door: Door, status: int
) -> None:
    headers = {"content-type": "application/json", "retry-after": "7", "x-request-id": "req-of-provider"}
    answer_with(upstream, upstreams, status=status, body=door.errors_in_body, headers=headers)
    asking = Asking(gateway, door).ask()
    assert (asking.status, asking.text) == (status, door.errors_in_body)
    assert asking.headers["retry-after"] == "7"
    assert asking.headers["x-upstream-request-id"] == "req-of-provider"
    assert "x-proxyapi-cost" not in asking.headers
    fields = ("kind", "ending", "charged", "loss", "status", "upstream_id")
    assert asking.journal(*fields) == ("release", "upstream_refused", 0, 0, status, "req-of-provider")
    assert asking.paid == 0


@every_dialect
def test_an_error_body_with_status_200_is_no_output(gateway: Any, upstreams: Any, upstream: Any, door: Door) -> None:
    answer_with(upstream, upstreams, body=door.errors_in_body)
    asking = Asking(gateway, door).ask()
    assert asking.text == door.errors_in_body
    assert asking.journal("kind", "ending", "charged") == ("release", "error_body", 0)
    assert asking.paid == 0


@every_dialect
def test_an_error_event_instead_of_a_stream_costs_nothing(
    gateway: Any, upstreams: Any, upstream: Any, door: Door
) -> None:
    stream_with(upstream, upstreams, [door.error_event])
    asking = Asking(gateway, door).ask(stream=True)
    assert asking.complete and asking.text.startswith(door.error_event)
    assert asking.journal("kind", "ending", "charged") == ("release", "error_event", 0)


@every_dialect
def test_an_error_event_in_the_middle_charges_what_was_generated_but_not_the_error(
    gateway: Any, upstreams: Any, upstream: Any, replies: Any, door: Door
) -> None:
    events = getattr(replies, door.events)(used=None)[:-2] if door.name != "gemini" else replies.generated_events(
        ("one", " two", ""), None)[:2]  # fmt: skip
    stream_with(upstream, upstreams, [*events, door.error_event])
    asking = Asking(gateway, door).ask(stream=True)
    assert asking.complete
    assert asking.text.count(b"boom") == 1
    assert asking.journal("kind", "ending") == ("settle", "error_event")
    units = json.loads(asking.entry["units"])
    assert 1 <= units["output_tokens"] <= 6
    assert 0 < asking.paid < COST


# --- the provider breaks ---------------------------------------------------------------------------------------------


@every_dialect
@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_that_ends_before_the_answer_begins_costs_nothing(
    gateway: Any, upstreams: Any, upstream: Any, door: Door, stream: bool
) -> None:
    answer_with(upstream, upstreams, raw=b"")
    asking = Asking(gateway, door).ask(stream=stream)
    assert asking.status == 502
    assert asking.journal("kind", "ending", "charged") == ("release", "upstream_broken", 0)
    assert asking.paid == 0


@every_dialect
def test_a_body_that_is_cut_is_a_502_and_costs_nothing(
    gateway: Any, upstreams: Any, upstream: Any, replies: Any, door: Door
) -> None:
    body = getattr(replies, door.reply)()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    answer_with(upstream, upstreams, raw=head + body[: len(body) // 2])
    asking = Asking(gateway, door).ask()
    assert asking.status == 502
    assert "broke off" in json.loads(asking.text)["detail"]
    assert asking.journal("kind", "ending", "charged") == ("release", "upstream_broken", 0)


ENDS_OF_FAILED_STREAMS = {
    "openai_chat": b"data: [DONE]\n\n",
    "openai_responses": b'"type":"response.failed"',
    "anthropic": b"event: error\n",
    "gemini": b'"status":"UNAVAILABLE"',
}


@every_dialect
@pytest.mark.parametrize("half", [False, True], ids=["between events", "within an event"])
def test_a_stream_that_is_cut_ends_with_an_error_event_and_charges_what_was_delivered(
    gateway: Any, upstreams: Any, upstream: Any, replies: Any, door: Door, half: bool
) -> None:
    words = [f" word{number}" for number in range(20)]
    # Gemini reports usage with every event in life; here only the last one has it, and it never comes.
    events = getattr(replies, door.events)(words)[:12]
    stream_with(upstream, upstreams, [*events, b'data: {"half'] if half else events, cut=True)
    asking = Asking(gateway, door).ask(stream=True)
    assert asking.complete, "the error event is followed by a proper end"
    assert asking.text.startswith(b"".join(events))
    rest = asking.text[len(b"".join(events)) :]
    assert b"half" not in rest
    assert ENDS_OF_FAILED_STREAMS[door.name] in rest
    assert b"broke off its answer" in rest
    kind, ending, source = asking.journal("kind", "ending", "source")
    assert (kind, ending) == ("settle", "upstream_broken")
    assert source == ("estimated" if door.name == "anthropic" else "counted")
    units = json.loads(asking.entry["units"])
    assert 8 <= units["output_tokens"] <= 40
    if door.name == "anthropic":
        assert units["input_tokens"] == 850, "its first event reported the prompt"
    assert 0 < asking.paid < COST


def test_a_stream_cut_before_any_text_costs_nothing(gateway: Any, upstreams: Any, upstream: Any, replies: Any) -> None:
    stream_with(upstream, upstreams, replies.chat_events()[:1], cut=True)
    asking = Asking(gateway, DOORS["openai_chat"]).ask(stream=True)
    assert asking.journal("kind", "charged") == ("release", 0)
    assert asking.paid == 0


@pytest.mark.parametrize("door", [DOORS["openai_chat"], DOORS["anthropic"]], ids=["openai_chat", "anthropic"])
def test_a_stream_that_stalls_ends_with_a_timeout_event(
    gateway: Any, upstreams: Any, upstream: Any, replies: Any, door: Door
) -> None:
    over = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield from getattr(replies, door.events)([" a"] * 9)[:7]
        over.wait(30)

    stream_with(upstream, upstreams, chunks(), cut=True)
    try:
        asking = Asking(gateway, door).ask(stream=True)
    finally:
        over.set()
    assert asking.complete
    assert b"stopped answering in the middle" in asking.text
    assert asking.journal("kind", "ending") == ("settle", "upstream_broken")


def test_a_body_that_stalls_is_a_504_and_costs_nothing(gateway: Any, upstreams: Any, upstream: Any) -> None:
    over = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b'{"id": '
        over.wait(30)

    upstream.reply = lambda _asked: upstreams.Reply(chunks=chunks(), cut=True)
    try:
        asking = Asking(gateway, DOORS["openai_chat"]).ask()
    finally:
        over.set()
    assert asking.status == 504
    assert asking.journal("kind", "charged") == ("release", 0)


# --- usage -----------------------------------------------------------------------------------------------------------


@every_dialect
@pytest.mark.parametrize("stream", [False, True])
def test_without_reported_usage_prompt_and_answer_are_counted(
    gateway: Any, upstreams: Any, upstream: Any, replies: Any, door: Door, stream: bool
) -> None:
    if stream:
        stream_with(upstream, upstreams, getattr(replies, door.events)(used=None))
    else:
        answer_with(upstream, upstreams, body=getattr(replies, door.reply)("one two three", None))
    asking = Asking(gateway, door).ask(stream=stream)
    assert asking.journal("kind", "ending", "source") == ("settle", "completed", "counted")
    units = json.loads(asking.entry["units"])
    assert units["output_tokens"] == 3
    assert 1 <= units["input_tokens"] <= 20
    assert asking.paid == asking.entry["charged"] > 0


@every_dialect
@pytest.mark.parametrize("stream", [False, True])
def test_an_explicit_zero_is_zero(
    gateway: Any, upstreams: Any, upstream: Any, replies: Any, door: Door, stream: bool
) -> None:
    if stream:
        stream_with(upstream, upstreams, getattr(replies, door.events)(used=(0, 0)))
    else:
        answer_with(upstream, upstreams, body=getattr(replies, door.reply)("one two three", (0, 0)))
    asking = Asking(gateway, door).ask(stream=stream)
    assert asking.journal("kind", "source", "charged", "actual") == ("settle", "reported", 0, 0)
    assert asking.paid == 0


def test_usage_that_comes_twice_is_charged_once(gateway: Any, upstreams: Any, upstream: Any, replies: Any) -> None:
    events = replies.chat_events()
    stream_with(upstream, upstreams, [*events[:-1], events[-2], events[-1]])
    asking = Asking(gateway, DOORS["openai_chat"]).ask(stream=True)
    assert asking.journal("source", "charged") == ("reported", COST)
    assert asking.paid == COST


@every_dialect
@pytest.mark.parametrize("stream", [False, True])
def test_usage_beyond_the_hold_takes_what_is_free_and_the_rest_is_our_loss(
    gateway: Any, upstreams: Any, upstream: Any, replies: Any, door: Door, stream: bool
) -> None:
    used = (10_000, 20_000)  # 11 units; the hold covers 2,000 tokens of output, 1 unit and a little
    if stream:
        stream_with(upstream, upstreams, getattr(replies, door.events)(used=used))
    else:
        answer_with(upstream, upstreams, body=getattr(replies, door.reply)(used=used))
    poor = Asking(gateway, door, "3").ask(stream=stream)
    assert poor.status == 200
    assert poor.journal("kind", "actual", "charged", "loss") == ("settle", 11 * 10**9, 3 * 10**9, 8 * 10**9)
    assert gateway.balance(poor.account) == "0"
    if not stream:
        assert poor.headers["x-proxyapi-cost"] == "3", "what was really taken"
    rich = Asking(gateway, door, "100").ask(stream=stream)
    assert rich.journal("actual", "charged", "loss") == (11 * 10**9, 11 * 10**9, 0)


# --- the client leaves -----------------------------------------------------------------------------------------------


def cut(connection: socket.socket) -> None:
    """Close with a reset, as a killed client does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def leave(gateway: Any, door: Door, *, stream: bool, after: Callable[[socket.socket], None]) -> dict[str, Any]:
    """A customer who asks, and leaves when `after` returns. The journal entry."""
    account, key = gateway.customer("10")
    body = door.body | ({"stream": True} if stream and door.name != "gemini" else {})
    path = door.stream_path if stream else door.path
    connection = gateway.send("POST", path, key=key, body=json.dumps(body).encode())
    after(connection)
    cut(connection)
    entry: dict[str, Any] = gateway.last_entry(account)
    return entry


@every_dialect
def test_a_client_that_leaves_in_mid_stream_pays_what_was_generated(
    gateway: Any, upstreams: Any, upstream: Any, replies: Any, eventually: Any, door: Door
) -> None:
    words = [f" word{number}" for number in range(20)]
    events = getattr(replies, door.events)(words)
    gone, disconnects = threading.Event(), upstream.disconnects

    def chunks() -> Iterator[bytes]:
        yield from events[:12]
        gone.wait(10)
        for _ in range(2_000):  # until the gateway closes the connection
            yield events[6]
            gone.wait(0.01)

    stream_with(upstream, upstreams, chunks())

    def after(connection: socket.socket) -> None:
        read_until(connection, events[11])

    entry = leave(gateway, door, stream=True, after=after)
    assert (entry["kind"], entry["ending"]) == ("settle", "client_gone")
    assert entry["source"] in ("counted", "estimated")
    assert 8 <= json.loads(entry["units"])["output_tokens"] <= 60
    gone.set()
    eventually(lambda: upstream.disconnects > disconnects)


def test_a_client_that_leaves_before_the_first_byte_of_a_body_pays_the_whole_answer(
    gateway: Any, upstreams: Any, upstream: Any, replies: Any
) -> None:
    """The provider generates, and bills, all of it."""
    asked, left = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        left.wait(10)

    answer_with(upstream, upstreams, body=replies.chat(), before=wait)
    account, key = gateway.customer("10")
    connection = gateway.send(
        "POST", "/openai/v1/chat/completions", key=key, body=json.dumps(DOORS["openai_chat"].body).encode()
    )
    assert asked.wait(10)
    cut(connection)
    left.set()
    entry = gateway.last_entry(account)
    assert (entry["kind"], entry["source"], entry["charged"]) == ("settle", "reported", COST)
    assert entry["ending"] in ("client_gone", "completed")  # the gateway may not have noticed


def test_a_client_that_leaves_after_the_last_byte_pays_once(
    gateway: Any, upstreams: Any, upstream: Any, replies: Any
) -> None:
    stream_with(upstream, upstreams, replies.chat_events())

    def after(connection: socket.socket) -> None:
        read_until(connection, b"[DONE]")

    entry = leave(gateway, DOORS["openai_chat"], stream=True, after=after)
    assert (entry["kind"], entry["source"], entry["charged"]) == ("settle", "reported", COST)


def test_a_client_that_leaves_with_half_a_request_sent_costs_nothing(gateway: Any, upstream: Any) -> None:
    account, key = gateway.customer("10")
    before = len(upstream.asked)
    for length in (0, 1, 30):
        with gateway.connect() as connection:
            head = f"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
            connection.sendall(head.encode() + b"content-length: 100\r\n\r\n" + b"{" * length)
            cut(connection)
    assert gateway.request("GET", "/v1/models", key=key)[0] == 200
    assert gateway.entries(account) == []
    assert len(upstream.asked) == before


# --- speech and transcription ----------------------------------------------------------------------------------------


def sound(seconds: float) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(8_000)
        opened.writeframes(b"\0\0" * int(8_000 * seconds))
    return file.getvalue()


def test_speech_is_charged_by_its_characters_and_passes_as_it_is(gateway: Any, upstreams: Any, upstream: Any) -> None:
    data = bytes(range(256)) * 40
    upstream.reply = lambda _asked: upstreams.Reply(headers={"content-type": "audio/mpeg"}, body=data)
    account, key = gateway.customer("10")
    client = openai.OpenAI(api_key=key, base_url=f"{gateway.url}/openai/v1", max_retries=0)
    assert client.audio.speech.create(model="tts-1", voice="alloy", input="Съешь ещё").content == data
    entry = gateway.last_entry(account)
    assert (entry["kind"], entry["ending"], entry["operation"]) == ("settle", "completed", "speech")
    assert json.loads(entry["units"]) == {"characters": 9}
    assert entry["charged"] > 0


def test_speech_that_is_cut_is_a_cut_connection_and_still_settles(gateway: Any, upstreams: Any, upstream: Any) -> None:
    upstream.reply = lambda _asked: upstreams.Reply(
        headers={"content-type": "audio/mpeg"}, chunks=[b"\xff\xfb" + b"\0" * 5000], cut=True
    )
    path, body = "/openai/v1/audio/speech", {"model": "tts-1", "voice": "alloy", "input": "Hello"}
    asking = Asking(gateway, Door("speech", path, path, body, "", "", b"", b""))
    with suppress(ConnectionResetError):
        asking.ask()
    assert asking.status == 200 and not asking.complete
    kind, ending, charged = asking.journal("kind", "ending", "charged")
    assert (kind, ending) == ("settle", "upstream_broken")
    assert charged > 0


def test_a_transcription_without_usage_is_charged_by_the_seconds_of_the_upload(
    gateway: Any, upstreams: Any, upstream: Any
) -> None:
    answer_with(upstream, upstreams, body=b'{"text": "one two"}')
    account, key = gateway.customer("10")
    client = openai.OpenAI(api_key=key, base_url=f"{gateway.url}/openai/v1", max_retries=0)
    assert client.audio.transcriptions.create(model="whisper-1", file=("a.wav", sound(2.5))).text == "one two"
    entry = gateway.last_entry(account)
    assert (entry["kind"], entry["ending"], entry["operation"]) == ("settle", "completed", "transcription")
    assert json.loads(entry["units"]) == {"audio_seconds": 3}
    assert entry["charged"] > 0


def test_after_all_of_it_the_audit_is_clean_and_nothing_is_held(gateway: Any) -> None:
    gateway.assert_clean()
