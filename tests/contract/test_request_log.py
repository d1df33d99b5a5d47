"""The request log: what accounts ask to be kept is what was sent and what was answered, and nobody else's."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from proxyapi.logbook.conversation import read_conversation
from proxyapi.logbook.reading import Entry, Search, read, search
from proxyapi.store.database import open_database, sqlite_url

TEXT = 'What is the weather in Париж? \\ "quoted" \n'
PICTURE = b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 30).decode()
DOCUMENT = {"type": "object", "properties": {"city": {"type": "string"}}}

BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "model": "openai/gpt-4o",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": TEXT}],
    },
    "/v1/responses": {"model": "openai/gpt-4o", "instructions": "Be brief.", "input": TEXT},
    "/v1/messages": {
        "model": "anthropic/claude-sonnet-4-20250514",
        "max_tokens": 99,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": TEXT}],
    },
    "/v1beta/models/gemini-2.0-flash:generateContent": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": TEXT}]}],
    },
}
TRANSLATED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "anthropic/claude-sonnet-4-20250514", "max_tokens": 99},
    "/v1/responses": {"model": "google/gemini-2.0-flash"},
    "/v1/messages": {"model": "openai/gpt-4o"},
}


class Customer:
    """An account of a gateway, and its log as the console reads it."""

    def __init__(self, gateway: Any, eventually: Any, *options: str, days: str = "7", database_url: str = "") -> None:
        self.gateway = gateway
        self._eventually = eventually
        self._database_url = database_url or sqlite_url(gateway.data / "proxyapi.db")
        self.name, self.key = gateway.customer("1000", *options)
        self.id = gateway.cli("account", "edit", self.name, "--request-log", days)["id"] if days else 0

    def ask(self, path: str, body: Any, method: str = "POST", **headers: str) -> tuple[int, bytes, str]:
        status, answered, data = self.gateway.request(
            method,
            path,
            key=self.key,
            body=body,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        return status, data, answered["x-request-id"]

    def entry(self, request_id: str) -> Entry:
        """As soon as it is there."""
        id = uuid.UUID(request_id).bytes
        found: Entry = self._eventually(lambda: self._read(lambda database: read(database.fetch, self.id, id)))
        return found

    def lines(self) -> Any:
        return self._read(lambda database: search(database.fetch, self.id, Search(), limit=100)).lines

    def _read(self, question: Callable[[Any], Any]) -> Any:
        database = open_database(self._database_url)
        try:
            return asyncio.run(question(database))
        finally:
            database.close()


@pytest.fixture
def keeper(sandboxed: Any, eventually: Any) -> Customer:
    return Customer(sandboxed, eventually)


def spoken(entry: Entry) -> list[tuple[str, str]]:
    conversation = read_conversation(entry)
    assert conversation is not None
    return [(turn.who, "".join(piece.text for piece in turn.pieces)) for turn in conversation.turns]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("way", ["passed", "translated"])
@pytest.mark.parametrize("stream", [False, True])
def test_both_bodies_are_kept_byte_for_byte_and_read_as_a_conversation(
    keeper: Customer, path: str, way: str, stream: bool
) -> None:
    body = BODIES[path] | (TRANSLATED.get(path, {}) if way == "translated" else {})
    if path.startswith("/v1beta"):
        path = path.replace("gemini-2.0-flash", "openai%2Fgpt-4o") if way == "translated" else path
        path = path.replace("generate", "streamGenerate") + "?alt=sse" if stream else path
    else:
        body = body | ({"stream": True} if stream else {})
    sent = json.dumps(body, ensure_ascii=False, indent=1).encode()
    status, answer, request_id = keeper.ask(path, sent)
    assert status == 200, answer
    entry = keeper.entry(request_id)
    assert (entry.request.data, entry.request.cut) == (sent, False)
    assert (entry.response.data, entry.response.cut) == (answer, False)
    assert (entry.line.status, entry.line.error, entry.line.ending) == (200, "", entry.line.ending)
    assert entry.line.model.count("/") == 1
    turns = spoken(entry)
    assert [who for who, _ in turns] == ["system", "user", "assistant"]
    assert turns[0][1] == "Be brief."
    assert turns[1][1] == TEXT
    assert turns[2][1]


def test_a_gemini_stream_as_an_array_is_read_too(keeper: Customer) -> None:
    path = "/v1beta/models/gemini-2.0-flash:streamGenerateContent"
    _, answer, request_id = keeper.ask(path, BODIES["/v1beta/models/gemini-2.0-flash:generateContent"])
    entry = keeper.entry(request_id)
    assert entry.response.data == answer
    assert [who for who, _ in spoken(entry)] == ["system", "user", "assistant"]


def test_calls_results_and_pictures_stand_where_they_were(keeper: Customer) -> None:
    body = {
        "model": "anthropic/claude-sonnet-4-20250514",
        "max_tokens": 99,
        "tools": [{"name": "weather", "input_schema": DOCUMENT}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Where is this?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Oslo"}}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "rain"}]},
        ],
    }
    _, _, request_id = keeper.ask("/v1/messages", body)
    entry = keeper.entry(request_id)
    assert PICTURE[:100].encode() not in entry.request.data
    assert entry.request.size == len(json.dumps(body))
    conversation = read_conversation(entry)
    assert conversation is not None
    shown = [(turn.who, [(piece.kind, piece.title) for piece in turn.pieces]) for turn in conversation.turns[:3]]
    assert shown == [
        ("user", [("text", ""), ("media", "image/png")]),
        ("assistant", [("call", "weather")]),
        ("tool", [("result", "weather")]),
    ]
    assert conversation.turns[0].pieces[1].text == str(len(PICTURE) * 3 // 4)


@pytest.mark.parametrize(
    ("path", "media"),
    [
        ("/v1/chat/completions", {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}),
        ("/v1/responses", {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"}),
        ("/v1beta/models/gemini-2.0-flash:generateContent", {"inlineData": {"mimeType": "image/png", "data": PICTURE}}),
    ],
)
def test_a_conversation_with_a_stub_of_a_picture_can_be_read(keeper: Customer, path: str, media: Any) -> None:
    bodies: dict[str, Any] = {
        "/v1/chat/completions": {"model": "gpt-4o", "messages": [{"role": "user", "content": [media]}]},
        "/v1/responses": {"model": "gpt-4o", "input": [{"role": "user", "content": [media]}]},
    }
    body = bodies.get(path, {"contents": [{"role": "user", "parts": [media]}]})
    status, answer, request_id = keeper.ask(path, body)
    assert status == 200, answer
    entry = keeper.entry(request_id)
    assert PICTURE[:100].encode() not in entry.request.data
    conversation = read_conversation(entry)
    assert conversation is not None
    assert conversation.turns[0].pieces[0].kind == "media"


def test_speech_is_named_and_not_kept_and_a_form_is_kept_as_its_fields(keeper: Customer) -> None:
    _, sound, request_id = keeper.ask("/v1/audio/speech", {"model": "tts-1", "voice": "alloy", "input": "Привет"})
    entry = keeper.entry(request_id)
    assert (entry.response.data, entry.response.size) == (b"", len(sound))
    form = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b\r\n'
        b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
        + sound
        + b"\r\n--b--\r\n"
    )
    status, answer, request_id = keeper.ask(
        "/v1/audio/transcriptions", form, content_type="multipart/form-data; boundary=b"
    )
    assert status == 200, answer
    entry = keeper.entry(request_id)
    assert entry.response.data == answer
    kept = json.loads(entry.request.data)
    assert kept["model"] == "whisper-1"
    assert kept["(files)"] == [{"field": "file", "filename": "a.wav", "type": "audio/wav", "bytes": len(sound)}]
    assert read_conversation(entry) is None


def test_a_body_that_came_packed_is_kept_unpacked(keeper: Customer) -> None:
    body = json.dumps(BODIES["/v1/chat/completions"]).encode()
    _, _, request_id = keeper.ask("/v1/chat/completions", gzip.compress(body), content_encoding="gzip")
    assert keeper.entry(request_id).request.data == body


# --- refusals ---------------------------------------------------------------------------------------------------------

CHAT = BODIES["/v1/chat/completions"]


@pytest.mark.parametrize(
    ("options", "change", "status", "error"),
    [
        (("--budget", "0.000001"), {}, 402, "insufficient_balance"),
        (("--model", "anthropic/*"), {}, 403, "permission_denied"),
        (("--endpoint", "embeddings"), {}, 403, "permission_denied"),
        (("--rpm", "1"), {}, 429, "rate_limit_exceeded"),
        ((), {"model": "openai/nothing"}, 400, "model_not_found"),
        ((), {"max_tokens": "many"}, 400, "invalid_request_error"),
    ],
)
def test_what_the_gateway_refused_is_kept_with_its_reason(
    sandboxed: Any, eventually: Any, options: tuple[str, ...], change: dict[str, Any], status: int, error: str
) -> None:
    keeper = Customer(sandboxed, eventually, *options)
    if status == 429:
        keeper.ask("/v1/chat/completions", CHAT)
    body = CHAT | change
    got, answer, request_id = keeper.ask("/v1/chat/completions", body)
    assert got == status, answer
    entry = keeper.entry(request_id)
    assert (entry.line.status, entry.line.error) == (status, error)
    assert json.loads(entry.request.data) == body
    assert entry.response.data == answer
    conversation = read_conversation(entry)
    if error != "invalid_request_error":
        assert conversation is not None
        assert conversation.turns[-1].pieces[0].kind == "error"


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_a_body_that_comes_after_the_head_that_was_refused_is_kept_too(
    sandboxed: Any, eventually: Any, connection: str
) -> None:
    keeper = Customer(sandboxed, eventually, "--endpoint", "embeddings")
    body = json.dumps(CHAT).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {keeper.key}\r\n"
        f"connection: {connection}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with sandboxed.connect() as client:
        client.sendall(head.encode())
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.sendall(body)
        client.settimeout(10)
        answer = client.recv(65_536).decode()
    assert answer.startswith("HTTP/1.1 403")
    entry = keeper.entry(re.findall(r"x-request-id: (\S+)", answer)[0])
    assert json.loads(entry.request.data) == CHAT


def test_what_a_provider_refused_is_kept_too(keeper: Customer) -> None:
    status, answer, request_id = keeper.ask("/v1/chat/completions", CHAT | {"model": "sandbox/fail-503"})
    entry = keeper.entry(request_id)
    assert (entry.line.status, entry.response.data, entry.line.error) == (status, answer, "")
    assert spoken(entry)[-1][0] == "assistant"


# --- whose it is, and whether it is at all ----------------------------------------------------------------------------


def test_without_the_log_there_is_no_row(sandboxed: Any, eventually: Any, keeper: Customer) -> None:
    def written() -> int:
        text = sandboxed.request("GET", "/metrics")[2].decode()
        return int(re.findall(r"^proxyapi_request_log_written_total (\d+)", text, re.MULTILINE)[0])

    other = Customer(sandboxed, eventually, days="")
    before = written()
    _, _, silent = other.ask("/v1/chat/completions", CHAT)
    _, _, kept = keeper.ask("/v1/chat/completions", CHAT)
    keeper.entry(kept)
    assert eventually(lambda: written() - before) == 1, "nothing of it was even gathered"
    assert not sandboxed.rows("SELECT id FROM log_record WHERE id = ?", uuid.UUID(silent).bytes)


def test_turned_off_it_is_emptied_and_stays_empty(keeper: Customer, eventually: Any) -> None:
    _, _, request_id = keeper.ask("/v1/chat/completions", CHAT)
    keeper.entry(request_id)
    keeper.gateway.cli("account", "edit", keeper.name, "--request-log", "off", code=1)
    assert len(keeper.lines()) == 1, "nobody said yes"
    done = keeper.gateway.cli("account", "edit", keeper.name, "--request-log", "off", "--yes")
    assert (done["deleted_requests"], done["request_log_days"]) == (1, 0)
    for _ in range(3):
        keeper.ask("/v1/chat/completions", CHAT)
    other = Customer(keeper.gateway, eventually)
    other.entry(other.ask("/v1/chat/completions", CHAT)[2])
    assert keeper.lines() == ()


def test_neither_keys_nor_other_credentials_are_in_it(keeper: Customer) -> None:
    path = f"/v1/chat/completions?key={keeper.key}&alt=1"
    _, _, request_id = keeper.ask(path, CHAT, x_api_key=keeper.key, cookie="session=secret", user_agent="test/1")
    entry = keeper.entry(request_id)
    assert entry.line.path == "/v1/chat/completions?alt=1"
    assert ("user-agent", "test/1") in entry.request_headers
    row = keeper.gateway.rows("SELECT * FROM log_record WHERE id = ?", entry.line.id)[0]
    told = " ".join(str(value) for value in row.values() if not isinstance(value, bytes))
    assert keeper.key not in told
    assert "secret" not in told


def test_balances_and_lists_are_not_worth_a_row(keeper: Customer) -> None:
    keeper.ask("/v1/models", None, "GET")
    keeper.ask("/proxyapi/balance", None, "GET")
    _, _, request_id = keeper.ask("/v1/chat/completions", CHAT)
    keeper.entry(request_id)
    assert [line.path for line in keeper.lines()] == ["/v1/chat/completions"]


# --- bounds -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def narrow(gateways: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with gateways.Gateway(tmp_path_factory.mktemp("log"), "[request_log]\nkept_bytes_max = 500\n") as gateway:
        yield gateway
        gateway.assert_clean()


@pytest.mark.parametrize("stream", [False, True])
def test_longer_bodies_are_cut_and_the_answer_is_not(narrow: Any, eventually: Any, stream: bool) -> None:
    keeper = Customer(narrow, eventually)
    body = json.dumps(
        CHAT | {"stream": stream, "messages": [{"role": "user", "content": "long words " * 300}]}
    ).encode()
    _, answer, request_id = keeper.ask("/v1/chat/completions", body)
    entry = keeper.entry(request_id)
    assert (entry.request.data, entry.request.size, entry.request.cut) == (body[:500], len(body), True)
    assert (entry.response.data, entry.response.size) == (answer[:500], len(answer))
    assert entry.response.cut is (len(answer) > 500)
    assert read_conversation(entry) is None


def test_what_is_waiting_at_a_stop_is_still_written(gateways: Any, eventually: Any, tmp_path: Any) -> None:
    with gateways.Gateway(tmp_path) as gateway:
        keeper = Customer(gateway, eventually)
        _, _, request_id = keeper.ask("/v1/chat/completions", CHAT)
        assert gateway.stop() == 0
        assert keeper.entry(request_id).line.status == 200


def test_postgresql_keeps_it_too_from_every_worker(
    gateways: Any, eventually: Any, postgres: Any, tmp_path: Any
) -> None:
    url = postgres.create()
    with gateways.Gateway(tmp_path, workers=2, database_url=url) as gateway:
        keeper = Customer(gateway, eventually, database_url=url)
        bodies = [CHAT | {"messages": [{"role": "user", "content": f"Question {number}"}]} for number in range(8)]
        ids = [keeper.ask("/v1/chat/completions", body)[2] for body in bodies]
        for body, request_id in zip(bodies, ids, strict=True):
            assert json.loads(keeper.entry(request_id).request.data) == body
        assert len(keeper.lines()) == 8
        gateway.cli("account", "edit", keeper.name, "--request-log", "off", "--yes")
        assert keeper.lines() == ()
