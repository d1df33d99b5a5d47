"""Acts out every ending of `fakes/endings.py`: what the client sees, what is charged, whose loss it is, the journal."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from proxyapi_fakes_endings import CASES, FAILED, Case, Form, Heard  # loaded by conftest.py
from proxyapi_fakes_gateway import eventually, free_port
from proxyapi_fakes_upstream_scripts import Stage, acting

from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.reaper import reap
from proxyapi.store.database import open_database, sqlite_url

PATIENCE_SECONDS = 20.0
HELLO: Any = [{"role": "user", "content": "Hello"}]
PATHS = {"passed through": "/v1/chat/completions", "translated": "/v1/messages"}
"""The provider speaks Chat Completions."""
MODELS = {name: f"{name}/gpt-4o" for name in ("openai", "drained", "nowhere")} | {
    "openrouter": "openrouter/openai/gpt-4o"
}
MAX_TOKENS = 2_000
"""A hold of one unit and a little."""
EXPENSIVE_TOKENS = 20_000
DRAINS_MAX = 2

CONFIG = """
[pause]
enabled = false
[sandbox]
enabled = false
[timeouts]
idle_seconds = 0.5
first_byte_seconds = 0.5
drain_seconds = 0.5
stop_seconds = {stop_seconds}
[limits]
drains_max = {drains_max}
drains_amount_max = 5
[providers.openai]
base_url = "{url}/v1"
api_key = "sk-upstream"
[providers.openrouter]
base_url = "{url}/v1"
api_key = "sk-upstream"
[providers.drained]
base_url = "{url}/v1"
api_key = "sk-upstream"
on_gone = "drain"
[providers.nowhere]
base_url = "http://127.0.0.1:{nowhere}/v1"
api_key = "sk-upstream"
"""


class Act:
    """One customer and one request of a case."""

    def __init__(self, gateway: Any, upstream: Any, case: Case, form: Form, way: str) -> None:
        self.gateway, self.upstream, self.case, self.form, self.way = gateway, upstream, case, form, way
        self.stage = Stage(form)
        self.account, self.key = gateway.customer(str(case.funds / 10**9))
        self.body: dict[str, Any] = {"model": MODELS[case.provider], "messages": HELLO, "max_tokens": MAX_TOKENS}
        self.body |= {"stream": True} if form == "stream" else {}
        upstream.reply = acting(case.upstream, self.stage)

    def ask(self, body: bytes | None = None, key: str = "", headers: str = "") -> socket.socket:
        data = json.dumps(self.body).encode() if body is None else body
        connection: socket.socket = self.gateway.send(
            "POST", PATHS[self.way], key=key or self.key, body=data, headers=headers
        )
        return connection

    def wait(self, moment: str) -> None:
        assert getattr(self.stage, moment).wait(PATIENCE_SECONDS), f"the provider never was at {moment!r}"


def read(connection: socket.socket) -> Heard:
    """Everything until the end, a cut or a reset."""
    status, text, whole = 0, b"", False
    with suppress(ConnectionResetError), connection, connection.makefile("rb") as file:
        status = int((file.readline().split() or [b"", b"0"])[1])
        headers = {}
        while (line := file.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        if headers.get(b"transfer-encoding") != b"chunked":
            text = file.read(int(headers.get(b"content-length", 0)))
            return Heard(status, text, status > 0)
        while (line := file.readline()) and (size := int(line, 16)):
            text += file.read(size)
            file.readline()
        whole = bool(line) and file.readline() == b"\r\n"
    return Heard(status, text, whole)


def cut(connection: socket.socket) -> Heard:
    """Close with a reset, as a killed client does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return Heard(0, b"", False)


def read_until(connection: socket.socket, text: bytes) -> None:
    seen = b""
    while text not in seen:
        data = connection.recv(65_536)
        assert data, f"the answer ended without {text!r}: {seen!r}"
        seen += data


# --- clients ---------------------------------------------------------------------------------------------------------


def reads_to_the_end(act: Act) -> Heard:
    return read(act.ask())


def leaves_with_half_a_request_sent(act: Act) -> Heard:
    asked = len(act.upstream.asked)
    connection = act.gateway.connect()
    head = (
        f"POST {PATHS[act.way]} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {act.key}\r\ncontent-length: 100\r\n\r\n"
    )
    connection.sendall(head.encode() + b'{"model":')
    heard = cut(connection)
    assert act.gateway.request("GET", "/v1/models", key=act.key)[0] == 200
    assert len(act.upstream.asked) == asked
    return heard


def leaves_while_the_provider_thinks(act: Act) -> Heard:
    connection = act.ask()
    act.wait("asked")
    heard = cut(connection)
    # Another request on the same worker is answered only after the gateway has seen the first client leave.
    assert act.gateway.request("GET", "/healthz")[0] == 200
    act.stage.go.set()
    return heard


def leaves_in_the_middle(act: Act) -> Heard:
    connection = act.ask()
    act.wait("middle")
    if act.form == "stream":
        read_until(connection, b"two")
    heard = cut(connection)
    assert act.gateway.request("GET", "/healthz")[0] == 200
    if act.case.upstream != "does not end":
        act.stage.go.set()
    return heard


def leaves_after_too_many_others(act: Act) -> Heard:
    before = []
    for _ in range(DRAINS_MAX):
        other = Act(act.gateway, act.upstream, act.case, act.form, act.way)
        connection = other.ask()
        other.wait("middle")
        read_until(connection, b"two")
        cut(connection)
        before.append(other)
    act.upstream.reply = acting(act.case.upstream, act.stage)
    connection = act.ask()
    act.wait("middle")
    read_until(connection, b"two")
    heard = cut(connection)
    act.gateway.last_entry(act.account)
    for other in [*before, act]:
        other.stage.go.set()
    assert [other.gateway.last_entry(other.account)["source"] for other in before] == ["reported"] * DRAINS_MAX
    return heard


def leaves_an_expensive_request(act: Act) -> Heard:
    act.body["max_tokens"] = EXPENSIVE_TOKENS
    connection = act.ask()
    act.wait("middle")
    read_until(connection, b"two")
    heard = cut(connection)
    act.gateway.last_entry(act.account)
    act.stage.go.set()
    return heard


def leaves_before_the_last_event(act: Act) -> Heard:
    connection = act.ask()
    act.wait("middle")
    read_until(connection, b"three")
    assert act.gateway.request("GET", "/healthz")[0] == 200
    heard = cut(connection)
    act.gateway.last_entry(act.account)
    act.stage.go.set()
    return heard


def leaves_after_the_end(act: Act) -> Heard:
    connection = act.ask()
    read_until(connection, b"0\r\n\r\n" if act.form == "stream" else b"three")
    heard = Heard(200, b"", True)
    cut(connection)
    return heard


def asks_with_another_key(*options: str) -> Callable[[Act], Heard]:
    return lambda act: read(act.ask(key=act.gateway.key(act.account, *options)))


def caps_its_request(amount: str) -> Callable[[Act], Heard]:
    return lambda act: read(act.ask(headers=f"x-proxyapi-max-cost: {amount}\r\n"))


def has_its_requests_shortened(act: Act) -> Heard:
    act.gateway.cli("account", "edit", act.account, "--when-short", "shorten")
    return read(act.ask())


def has_a_revoked_key(act: Act) -> Heard:
    key = act.gateway.key(act.account, "--name", "old")
    shown = act.gateway.cli("key", "list", act.account)
    numbers = [entry["id"] for entry in shown["keys"] if entry["name"] == "old"]
    act.gateway.cli("key", "revoke", str(numbers[0]))
    return read(act.ask(key=key))


def asks_for_an_unknown_model(act: Act) -> Heard:
    act.body["model"] = "openai/no-such-model"
    return read(act.ask())


def asks_too_often(act: Act) -> Heard:
    key = act.gateway.key(act.account, "--rpm", "1")
    assert read(act.ask(b"{", key=key)).status == 400
    return read(act.ask(key=key))


CLIENTS: dict[str, Callable[[Act], Heard]] = {
    "reads to the end": reads_to_the_end,
    "leaves with half a request sent": leaves_with_half_a_request_sent,
    "leaves while the provider thinks": leaves_while_the_provider_thinks,
    "leaves in the middle": leaves_in_the_middle,
    "leaves after too many others": leaves_after_too_many_others,
    "leaves an expensive request in the middle": leaves_an_expensive_request,
    "leaves before the last event": leaves_before_the_last_event,
    "leaves after the end": leaves_after_the_end,
    "sends no JSON": lambda act: read(act.ask(b"{")),
    "asks for an unknown model": asks_for_an_unknown_model,
    "caps its request": caps_its_request("0.06"),
    "caps it at nothing": caps_its_request("0.001"),
    "has its requests shortened": has_its_requests_shortened,
    "has a revoked key": has_a_revoked_key,
    "has a key for other models": asks_with_another_key("--model", "anthropic/*"),
    "has a key with a small budget": asks_with_another_key("--budget", "0.001"),
    "asks too often": asks_too_often,
}


# --- faults of the gateway -------------------------------------------------------------------------------------------


@contextmanager
def store_lost(act: Act) -> Iterator[None]:
    """Somebody has the lock on which all writers queue."""
    with (act.gateway.data / "proxyapi.db.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def kill(act: Act) -> None:
    os.kill(act.gateway.pid, signal.SIGKILL)


def reap_the_dead(act: Act) -> None:
    """What another worker does a minute after the last one was seen."""

    async def main() -> None:
        database = open_database(sqlite_url(act.gateway.data / "proxyapi.db"))
        ledger = Ledger(database, worker="heir", ids=IdSource())
        await ledger.open()
        await ledger.write("UPDATE worker SET seen_at = seen_at - 60000 WHERE id <> ?", (ledger.worker_id,))
        await reap(database, ledger, grace_seconds=30, claim_seconds=0)
        assert await ledger.close() == 0
        database.close()

    asyncio.run(main())


def worker_killed(act: Act) -> Heard:
    connection = act.ask()
    act.wait("asked")
    kill(act)
    act.stage.go.set()
    heard = read(connection)
    reap_the_dead(act)
    return heard


def worker_killed_in_the_middle(act: Act) -> Heard:
    connection = act.ask()
    act.wait("middle")
    eventually(lambda: b"two" in connection.recv(65_536, socket.MSG_PEEK))
    kill(act)
    act.stage.go.set()
    heard = read(connection)
    reap_the_dead(act)
    return heard


def worker_killed_unsettled(act: Act) -> Heard:
    connection = act.ask()
    act.wait("asked")
    with store_lost(act):
        act.stage.go.set()
        heard = read(connection)
        kill(act)
    reap_the_dead(act)
    return heard


def worker_frozen(act: Act) -> Heard:
    connection = act.ask()
    act.wait("middle")
    os.kill(act.gateway.pid, signal.SIGSTOP)
    reap_the_dead(act)
    os.kill(act.gateway.pid, signal.SIGCONT)
    act.stage.go.set()
    return read(connection)


def store_lost_before(act: Act) -> Heard:
    with store_lost(act):
        return read(act.ask())


def store_known_to_be_lost(act: Act) -> Heard:
    other = Act(act.gateway, act.upstream, act.case, act.form, act.way)
    with store_lost(act):
        assert read(other.ask()).status == 503
        return read(act.ask())


def store_lost_in_the_middle(act: Act) -> Heard:
    connection = act.ask()
    act.wait("middle")
    with store_lost(act):
        act.stage.go.set()
        heard = read(connection)
        assert act.gateway.entries(act.account) == []
    return heard


def stopped_in_the_middle(act: Act) -> Heard:
    connection = act.ask()
    act.wait("middle")
    os.kill(act.gateway.pid, signal.SIGTERM)
    act.stage.go.set()
    return read(connection)


def stopped_too_long(act: Act) -> Heard:
    connection = act.ask()
    act.wait("middle")
    if act.form == "stream":
        eventually(lambda: b"two" in connection.recv(65_536, socket.MSG_PEEK))
    assert act.gateway.stop() == 0
    act.stage.go.set()
    return read(connection)


FAULTS: dict[str, Callable[[Act], Heard]] = {
    "worker killed": worker_killed,
    "worker killed in the middle": worker_killed_in_the_middle,
    "worker killed unsettled": worker_killed_unsettled,
    "worker frozen": worker_frozen,
    "store lost": store_lost_before,
    "store known to be lost": store_known_to_be_lost,
    "store lost in the middle": store_lost_in_the_middle,
    "stopped in the middle": stopped_in_the_middle,
    "stopped, too long": stopped_too_long,
}


# --- the tests -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def upstream(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        yield fake


@pytest.fixture(scope="module")
def start(gateways: Any, upstream: Any) -> Callable[[Path, float], Any]:
    def make(folder: Path, stop_seconds: float) -> Any:
        config = CONFIG.format(url=upstream.url, nowhere=free_port(), stop_seconds=stop_seconds, drains_max=DRAINS_MAX)
        return gateways.Gateway(folder, config, prices=dict.fromkeys(MODELS.values(), ("100", "500")))

    return make


@pytest.fixture(scope="module")
def gateway(start: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with start(tmp_path_factory.mktemp("endings"), 30) as running:
        yield running


def acted(cases: tuple[Case, ...]) -> pytest.MarkDecorator:
    forms: tuple[Form, ...] = ("body", "stream")
    every = [
        pytest.param(case, form, way, id=f"{case.group}: {case.happens}: {form}, {way}")
        for case in cases
        for form in forms
        if case.outcome(form) is not None
        for way in case.ways
    ]
    return pytest.mark.parametrize(("case", "form", "way"), every)


@acted(tuple(case for case in CASES if not case.fault))
def test_a_request_ends_as_the_table_of_endings_says(
    gateway: Any, upstream: Any, case: Case, form: Form, way: str
) -> None:
    act = Act(gateway, upstream, case, form, way)
    try:
        check(act, CLIENTS[case.client](act))
    finally:
        act.stage.go.set()


@acted(FAILED)
def test_a_request_ends_as_the_table_of_endings_says_where_the_gateway_or_its_store_fails(
    start: Any, upstream: Any, tmp_path: Path, case: Case, form: Form, way: str
) -> None:
    with start(tmp_path, 0.5 if case.fault == "stopped, too long" else 30) as gateway:
        act = Act(gateway, upstream, case, form, way)
        try:
            check(act, FAULTS[case.fault](act))
            gateway.assert_clean()
        finally:
            act.stage.go.set()


def test_after_all_of_it_the_audit_is_clean_and_nothing_is_held(gateway: Any) -> None:
    gateway.assert_clean()


def check(act: Act, heard: Heard) -> None:
    outcome = act.case.outcome(act.form)
    assert outcome is not None
    seen = (act.way == "translated" and outcome.translated) or outcome.seen
    assert seen.check(heard), f"not {seen.words!r}: {heard}"
    charged = 0
    if outcome.journal is None:
        assert act.gateway.entries(act.account) == []
    else:
        kind, ending, source = outcome.journal
        entry = eventually(lambda: of_kind(act, kind))
        assert (entry["kind"], entry["ending"], source and entry["source"]) == (kind, ending, source)
        assert outcome.charge.check(entry), f"not {outcome.charge.words!r}: {entry}"
        assert outcome.loss.check(entry), f"not {outcome.loss.words!r}: {entry}"
        charged = entry["charged"]
    eventually(lambda: not of_account(act, "SELECT hold.id FROM hold JOIN account ON account.id = hold.account_id"))
    (state,) = of_account(act, "SELECT funded - spent AS balance, held FROM account")
    assert (state["balance"], state["held"]) == (act.case.funds - charged, 0)


def of_kind(act: Act, kind: str) -> dict[str, Any] | None:
    """The one ending of the request; of one that expired, what corrects it."""
    entries = act.gateway.entries(act.account)
    return next((entry for entry in entries if kind != "correction" or entry["kind"] == kind), None)


def of_account(act: Act, select: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = act.gateway.rows(f"{select} WHERE account.name = ?", act.account)
    return rows
