"""Several worker processes, and what may happen to them: kill -9, SIGTERM, a store that does not answer."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from proxyapi_fakes_gateway import read_until  # loaded by conftest.py

CHAT = "/openai/v1/chat/completions"
BODY: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 200}
STREAM = json.dumps(BODY | {"stream": True}).encode()
EVENTS = {"content-type": "text/event-stream"}
COST = 145_000_000
CLIENTS = 8

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")


@pytest.fixture
def upstream(upstreams: Any, replies: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply(body=replies.chat())) as fake:
        yield fake


@pytest.fixture
def start(gateways: Any, upstream: Any, tmp_path: Path) -> Callable[..., Any]:
    """`start(more settings)`: a gateway with two workers and nothing else, to be used with `with`."""

    def make(more: str = "", workers: int = 2, database_url: str = "") -> Any:
        config = f"""
[pause]
enabled = false
[sandbox]
enabled = false
{more}
[providers.openai]
base_url = "{upstream.url}/v1"
api_key = "sk-upstream"
"""
        prices = {"openai/gpt-4o": ("100", "500")}
        return gateways.Gateway(tmp_path, config, workers=workers, prices=prices, database_url=database_url)

    return make


def children(pid: int) -> set[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in found if state(int(child)) not in ("Z", "")}


def state(pid: int) -> str:
    """As `ps` shows it; empty: there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


# --- kill -9 ---------------------------------------------------------------------------------------------------------


class Load:
    """Clients that ask until they are stopped, and note every answer that arrived whole."""

    def __init__(self, gateway: Any, key: str) -> None:
        self._gateway, self._key = gateway, key
        self._over = threading.Event()
        self.acknowledged: list[str] = []
        self.surprises: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, number: int) -> None:
        body = json.dumps(BODY | {"stream": number % 2 == 0})
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        while not self._over.is_set():
            connection = http.client.HTTPConnection(*self._gateway.address, timeout=10)
            try:
                while not self._over.is_set():
                    connection.request("POST", CHAT, body, headers)
                    answer = connection.getresponse()
                    text = answer.read()
                    if answer.status == 200 and (b"[DONE]" in text or b'"usage"' in text):
                        self.acknowledged.append(str(answer.headers["x-request-id"]))
                    else:
                        self.surprises.append(f"{answer.status} {text[:300]!r}")
            except (OSError, http.client.HTTPException):
                pass  # its worker was killed
            finally:
                connection.close()


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.long)])
def test_kill_9_of_workers_under_load_loses_no_acknowledged_answer_and_no_money(
    start: Callable[..., Any],
    upstreams: Any,
    upstream: Any,
    replies: Any,
    eventually: Any,
    database_url: str,
    kills: int,
) -> None:
    """F1 through the whole gateway."""
    whole = replies.chat()
    events = replies.chat_events()

    def reply(asked: Any) -> Any:
        if json.loads(asked.body).get("stream"):
            return upstreams.Reply(headers=EVENTS, chunks=events)
        return upstreams.Reply(body=whole)

    upstream.reply = reply
    chance = random.Random(kills)
    with start(database_url=database_url) as gateway:
        account, key = gateway.customer("1000000")
        with Load(gateway, key) as load:
            for _ in range(kills):
                workers = eventually(lambda: found if len(found := children(gateway.pid)) == 2 else None, seconds=30)
                enough = len(load.acknowledged) + chance.randrange(10, 60)
                eventually(lambda enough=enough: len(load.acknowledged) >= enough, seconds=20)
                victim = chance.choice(sorted(workers))
                os.kill(victim, signal.SIGKILL)
                eventually(lambda victim=victim: victim not in children(gateway.pid))
            eventually(lambda: len(children(gateway.pid)) == 2, seconds=30)
            enough = len(load.acknowledged) + 50
            eventually(lambda: len(load.acknowledged) >= enough, seconds=20)
        assert load.surprises == []
        assert gateway.cli("audit")["ok"] is True, "with the holds of the dead in place"
        assert gateway.log().count("ended (SIGKILL)") == kills
        gateway.assert_clean()  # in seconds: whoever took a dead one's place gave back what that one held
        assert gateway.stop() == 0
        entries = {entry["id"].hex(): entry for entry in gateway.entries(account)}
        finished = [entries.get(id.replace("-", "")) for id in load.acknowledged]
        assert None not in finished, "every answer that a client got whole is in the journal"
        kinds = [entry["kind"] for entry in finished if entry is not None]
        assert set(kinds) <= {"settle", "expire"}
        assert kinds.count("expire") <= kills * CLIENTS, "only what was in flight at a kill"
        assert {entry["charged"] for entry in finished if entry and entry["kind"] == "settle"} <= {COST}


def test_workers_end_when_their_supervisor_was_killed(start: Callable[..., Any], eventually: Any) -> None:
    with start() as gateway:
        workers = children(gateway.pid)
        assert len(workers) == 2
        os.kill(gateway.pid, signal.SIGKILL)
        eventually(lambda: all(state(pid) in ("Z", "") for pid in workers), seconds=15)


# --- SIGTERM ---------------------------------------------------------------------------------------------------------


class Streams:
    """Running streams, all past their first event."""

    def __init__(self, gateway: Any, key: str, count: int) -> None:
        self.connections = [
            gateway.send("POST", CHAT, key=key, body=STREAM, headers="connection: close\r\n") for _ in range(count)
        ]
        self.texts = [read_until(connection, b"chat.completion.chunk") for connection in self.connections]

    def finish(self) -> list[bytes]:
        for number, connection in enumerate(self.connections):
            try:
                while data := connection.recv(65_536):
                    self.texts[number] += data
            except ConnectionResetError:
                pass
            connection.close()
        return self.texts


def gated(upstreams: Any, replies: Any, gate: threading.Event, done: threading.Event) -> Callable[[Any], Any]:
    """Streams that stop after some text until the gate opens."""

    def chunks() -> Iterator[bytes]:
        events = replies.chat_events()
        yield b"".join(events[:3])
        gate.wait(30)
        yield b"".join(events[3:])
        done.set()

    return lambda _asked: upstreams.Reply(headers=EVENTS, chunks=chunks())


def admits_nothing(gateway: Any) -> bool:
    try:
        gateway.connect().close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize(("workers", "count"), [(1, 20), (2, 200)])
def test_sigterm_lets_running_streams_finish_and_admits_no_new_ones(
    start: Callable[..., Any],
    upstreams: Any,
    upstream: Any,
    replies: Any,
    eventually: Any,
    database_url: str,
    workers: int,
    count: int,
) -> None:
    """F9."""
    gate, done = threading.Event(), threading.Event()
    upstream.reply = gated(upstreams, replies, gate, done)
    with start(workers=workers, database_url=database_url) as gateway:
        account, key = gateway.customer()
        streams = Streams(gateway, key, count)
        os.kill(gateway.pid, signal.SIGTERM)
        eventually(lambda: admits_nothing(gateway))
        gate.set()
        texts = streams.finish()
        assert all(text.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") for text in texts)
        assert gateway.stop() == 0
        entries = gateway.entries(account)
        assert [(entry["ending"], entry["charged"]) for entry in entries] == [("completed", COST)] * count
        gateway.assert_clean()


@pytest.mark.parametrize("workers", [1, 2])
def test_streams_that_do_not_finish_in_time_are_cut_and_charged_for_what_they_gave(
    start: Callable[..., Any], upstreams: Any, upstream: Any, replies: Any, workers: int
) -> None:
    gate, done = threading.Event(), threading.Event()
    upstream.reply = gated(upstreams, replies, gate, done)
    with start("[timeouts]\nstop_seconds = 0.5\n", workers=workers) as gateway:
        account, key = gateway.customer()
        streams = Streams(gateway, key, 5)
        began = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - began < 5
        gate.set()
        assert not any(text.endswith(b"0\r\n\r\n") for text in streams.finish())
        entries = gateway.entries(account)
        assert [(entry["kind"], entry["source"]) for entry in entries] == [("settle", "counted")] * 5
        assert all(0 < entry["charged"] < COST for entry in entries)
        gateway.assert_clean()


# --- the store -------------------------------------------------------------------------------------------------------


@contextmanager
def file_lock(gateway: Any) -> Iterator[None]:
    """Somebody has the lock on which all writers queue, as a process that was stopped in its transaction."""
    with (gateway.data / "proxyapi.db.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def write_transaction(gateway: Any) -> Iterator[None]:
    """Somebody writes to the database for long, past our lock."""
    connection = sqlite3.connect(gateway.data / "proxyapi.db", timeout=10, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


@pytest.mark.parametrize("blocked", [file_lock, write_transaction])
def test_without_the_store_new_requests_get_503_in_two_seconds_and_running_ones_finish(
    start: Callable[..., Any],
    upstreams: Any,
    upstream: Any,
    replies: Any,
    eventually: Any,
    blocked: Callable[[Any], AbstractContextManager[None]],
) -> None:
    """F7, the short form."""
    gate, done = threading.Event(), threading.Event()
    with start(workers=1) as gateway:
        account, key = gateway.customer()
        assert gateway.request("POST", CHAT, key=key, body=BODY)[0] == 200
        upstream.reply = gated(upstreams, replies, gate, done)
        streams = Streams(gateway, key, 3)
        asked = len(upstream.asked)
        with blocked(gateway):
            for _ in range(2):
                began = time.monotonic()
                status, headers, body = gateway.request("POST", CHAT, key=key, body=BODY)
                assert time.monotonic() - began < 2.2
                assert status == 503, body
                assert json.loads(body)["detail"].startswith("The gateway cannot reach its own store")
                assert int(headers["retry-after"]) >= 1
            assert gateway.request("GET", "/readyz")[0] == 503
            assert gateway.request("GET", "/healthz")[0] == 200
            assert len(upstream.asked) == asked, "nobody was asked for what nobody pays"
            gate.set()
            assert all(text.endswith(b"0\r\n\r\n") for text in streams.finish()), "streams end though the store is away"
        upstream.reply = lambda _asked: upstreams.Reply(body=replies.chat())
        eventually(lambda: gateway.request("POST", CHAT, key=key, body=BODY)[0] == 200)
        eventually(lambda: gateway.request("GET", "/readyz")[0] == 200)
        eventually(lambda: [entry["charged"] for entry in gateway.entries(account)].count(COST) == 5)
        gateway.assert_clean()
